// A frame that was shown reduced is continued, not fetched again.
//
// The answer to …/frames/N?reduce=K begins with the same bytes as that to …/frames/N.
// So when the first is here, the rest of the second is asked for at once, by Range,
// while the reduced picture is still being decoded; OHIF's own request for the whole
// frame is then answered with both, put together.
//
// cornerstone's options for its requests (open, beforeProcessing) are closed to an
// extension at run time, so this is a subclass of XMLHttpRequest in the page. Requests
// other than a tile proxy's frames are the browser's own, untouched. Whatever isn't as
// expected leads to OHIF's request being sent as it is.

const FRAMES = /^\/dicomweb\/[^?#]*\/frames\/\d+$/;
/** Bytes of reduced answers that wait to be asked for as a whole. */
const MOST_BYTES = 4 << 20;
const UNUSED_MS = 10_000;

/**
 * What a request is for: {whole, reduced}, the address of the whole frame and whether
 * the request is for less. Null for anything that isn't a frame of these proxies.
 */
export function frameOf(url, proxyUrls, page) {
  let found;
  try {
    found = new URL(url, page);
  } catch {
    return null;
  }
  const roots = proxyUrls.map(each => new URL(each || '/', page).href.replace(/\/$/, ''));
  const bare = found.origin + found.pathname;
  if (!roots.some(root => bare.startsWith(root) && FRAMES.test(bare.slice(root.length)))) return null;
  const reduced = found.searchParams.has('reduce');
  if (reduced) found.searchParams.delete('reduce');
  return { whole: found.href, reduced };
}

/**
 * The entity tag of a whole frame, from that of its reduced answer: the tile proxy
 * makes them of the frame's ids, "imageSet.frame.r2.m" and "imageSet.frame.m". Null
 * where it is none of these.
 */
export function wholeTag(tag) {
  const found = /^"([0-9a-z]+\.[0-9a-z]+)\.r\d+\.m"$/.exec(tag ?? '');
  return found && `"${found[1]}.m"`;
}

/** How many bytes of a multipart answer come before its end; null if it has none. */
export function unclosed(body, contentType) {
  const boundary = /^multipart\/.*;\s*boundary="?([^";\s]+)"?/.exec(contentType ?? '')?.[1];
  if (!boundary) return null;
  const end = new TextEncoder().encode(`\r\n--${boundary}--\r\n`);
  const from = body.length - end.length;
  return from > 0 && end.every((byte, at) => body[from + at] === byte) ? from : null;
}

/**
 * The whole answer {contentType, body}: of the reduced one {contentType, tag, body},
 * its bytes, and of what `ask(Range)` fetches. Null unless it can only be that frame.
 */
export async function continued(reduced, ask) {
  const { contentType, body } = reduced;
  const tag = wholeTag(reduced.tag);
  const start = unclosed(body, contentType);
  if (!tag || start === null) return null;
  // A copy: whoever has the answer too may hand its buffer on to a worker.
  const begun = body.slice(0, start);
  const answer = await ask(`bytes=${start}-`);
  const { status, headers } = answer;
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get('content-range') ?? '');
  const [first, last, length] = (range ?? []).slice(1).map(Number);
  const same = headers.get('etag') === tag && headers.get('content-type') === contentType;
  if (status !== 206 || !same || first !== start || last !== length - 1) {
    await answer.body?.cancel();
    return null;
  }
  const rest = new Uint8Array(await answer.arrayBuffer());
  if (start + rest.length !== length) return null;
  const whole = new Uint8Array(length);
  whole.set(begun);
  whole.set(rest, start);
  return { contentType, body: whole.buffer };
}

/** Continued frames on their way, by address; each is handed out once, or dropped. */
export class Underway {
  #kept = new Map();
  #bytes = 0;

  constructor(fetch, unusedMs = UNUSED_MS) {
    this.fetch = fetch;
    this.unusedMs = unusedMs;
  }

  /** Continues a reduced answer, if it can be and there is room. */
  begin(whole, reduced, headers) {
    const size = reduced.body.length;
    if (this.#kept.has(whole) || this.#bytes + size > MOST_BYTES) return;
    const stop = new AbortController();
    const ask = range =>
      this.fetch(whole, { headers: { ...headers, Range: range }, signal: stop.signal });
    const answer = continued(reduced, ask).catch(() => null);
    const timer = setTimeout(() => {
      this.take(whole);
      stop.abort();
    }, this.unusedMs);
    this.#kept.set(whole, { answer, size, timer });
    this.#bytes += size;
  }

  /** A promise of the whole answer, or of null; undefined if none was begun. */
  take(whole) {
    const found = this.#kept.get(whole);
    if (!found) return undefined;
    clearTimeout(found.timer);
    this.#kept.delete(whole);
    this.#bytes -= found.size;
    return found.answer;
  }
}

/** XMLHttpRequest, continuing frames; `frame(url)` is frameOf for this page. */
export function continuing(Request, frame, underway) {
  return class extends Request {
    #frame = null;
    #headers = {};
    #answer = null;
    // Which open() a late answer belongs to.
    #turn = 0;

    open(method, url, async = true, ...more) {
      this.#turn++;
      this.#headers = {};
      this.#answer = null;
      this.#frame = async && /^get$/i.test(method) ? frame(url) : null;
      super.open(method, url, async, ...more);
    }

    setRequestHeader(name, value) {
      super.setRequestHeader(name, value);
      this.#headers[name] = value;
    }

    send(body) {
      const asked = this.#frame;
      if (!asked || this.responseType !== 'arraybuffer' || this.withCredentials) {
        super.send(body);
      } else if (asked.reduced) {
        const turn = this.#turn;
        this.addEventListener('load', () => turn === this.#turn && this.#begin(), { once: true });
        super.send(body);
      } else {
        const answer = underway.take(asked.whole);
        if (answer) this.#join(answer, body);
        else super.send(body);
      }
    }

    abort() {
      this.#turn++;
      this.#answer = null;
      super.abort();
    }

    #begin() {
      if (this.status !== 200 || !this.response) return;
      const [contentType, tag] = ['Content-Type', 'ETag'].map(name => this.getResponseHeader(name));
      const reduced = { contentType, tag, body: new Uint8Array(this.response) };
      underway.begin(this.#frame.whole, reduced, this.#headers);
    }

    async #join(promised, body) {
      const turn = this.#turn;
      const answer = await promised;
      if (turn !== this.#turn) return;
      if (!answer) {
        super.send(body);
        return;
      }
      this.#answer = answer;
      const sizes = { lengthComputable: true, loaded: answer.body.byteLength, total: answer.body.byteLength };
      this.dispatchEvent(new ProgressEvent('loadstart'));
      this.dispatchEvent(new Event('readystatechange'));
      for (const name of ['progress', 'load', 'loadend']) {
        this.dispatchEvent(new ProgressEvent(name, sizes));
      }
    }

    get readyState() {
      return this.#answer ? 4 : super.readyState;
    }
    get status() {
      return this.#answer ? 200 : super.status;
    }
    get response() {
      return this.#answer ? this.#answer.body : super.response;
    }
    getResponseHeader(name) {
      if (!this.#answer) return super.getResponseHeader(name);
      return /^content-type$/i.test(name) ? this.#answer.contentType : null;
    }
  };
}

/** Has the page's requests continue the frames of a platform's tile proxies. */
export function continueFrames({ proxyUrls }, page = window) {
  const frame = url => frameOf(url, proxyUrls, page.location.href);
  const underway = new Underway((...request) => page.fetch(...request));
  page.XMLHttpRequest = continuing(page.XMLHttpRequest, frame, underway);
}
