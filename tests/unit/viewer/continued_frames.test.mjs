// Frames that are continued, without a browser. Run by test_extension.py.
import assert from 'node:assert/strict';
import test from 'node:test';

const { Underway, continued, continuing, frameOf, unclosed, wholeTag } = await import(
  new URL('../../../services/viewer/extension/continued_frames.mjs', import.meta.url)
);

const PAGE = 'https://viewer.example.org/viewer?StudyInstanceUIDs=1';
const PROXY = 'https://tiles.example.org/us';
const FRAME = '/dicomweb/us-east-1/e/studies/1/series/2/instances/3/frames/1';
const WHOLE = `https://viewer.example.org${FRAME}`;
const TYPE = 'multipart/related; type="image/jphc"; transfer-syntax=1.2; boundary=b0';
const TAG = '"set1.frame1.m"';
const HEAD = '--b0\r\nContent-Type: image/jphc\r\n\r\n';
const TAIL = '\r\n--b0--\r\n';
const bytes = text => new TextEncoder().encode(text);
const text = buffer => new TextDecoder().decode(buffer);
const REDUCED = { contentType: TYPE, tag: '"set1.frame1.r2.m"', body: bytes(`${HEAD}abc${TAIL}`) };
const FULL = `${HEAD}abcdefgh${TAIL}`;

/** The tile proxy's answer to a Range of the whole frame. */
function rest(range, { status = 206, etag = TAG, type = TYPE, contentRange, body } = {}) {
  const start = Number(/^bytes=(\d+)-$/.exec(range)[1]);
  const headers = {
    etag,
    'content-type': type,
    'content-range': contentRange ?? `bytes ${start}-${FULL.length - 1}/${FULL.length}`,
  };
  return new Response(body ?? FULL.slice(start), { status, headers });
}

test('frames of the listed proxies are meant, and nothing else', () => {
  const of = url => frameOf(url, ['', PROXY], PAGE);
  assert.deepEqual(of(`${FRAME}?reduce=2`), { whole: WHOLE, reduced: true });
  assert.deepEqual(of(FRAME), { whole: WHOLE, reduced: false });
  assert.equal(of(`${FRAME}?reduce=2&imageSetId=a`).whole, `${WHOLE}?imageSetId=a`);
  assert.equal(of(`${PROXY}${FRAME}?reduce=2`).whole, PROXY + FRAME);
  const others = [
    '/dicomweb/us-east-1/e/studies',
    FRAME.replace('/frames/1', '/metadata'),
    `/else${FRAME}`,
    `https://tiles.example.org${FRAME}`,
    `https://evil.example${FRAME}`,
    `blob:https://viewer.example.org${FRAME}`,
    'http://[',
  ];
  for (const url of others) assert.equal(of(url), null, url);
});

test("the whole's tag is known from a reduced answer's alone", () => {
  assert.equal(wholeTag(REDUCED.tag), TAG);
  const others = [null, '', TAG, '"set1.frame1.r2"', 'W/"set1.frame1.r2.m"', '"set1.frame1.l0-1.m"', '"5f-1a"'];
  for (const tag of others) assert.equal(wholeTag(tag), null, tag);
});

test("a multipart's end is found where its boundary says", () => {
  assert.equal(unclosed(REDUCED.body, TYPE), REDUCED.body.length - TAIL.length);
  assert.equal(unclosed(REDUCED.body, TYPE.replace('b0', '"b0"')), REDUCED.body.length - TAIL.length);
  for (const type of [null, 'image/jphc', TYPE.replace('b0', 'b1'), 'multipart/related']) {
    assert.equal(unclosed(REDUCED.body, type), null, type);
  }
  assert.equal(unclosed(REDUCED.body.subarray(0, -1), TYPE), null, 'cut off');
});

test('what was sent and what follows it are the whole answer', async () => {
  const made = await continued(REDUCED, async range => rest(range));
  assert.equal(text(made.body), FULL);
  assert.equal(made.contentType, TYPE);
  // A frame without levels: all of it came with the first answer, its end is left.
  const all = { ...REDUCED, body: bytes(FULL) };
  assert.equal(text((await continued(all, async range => rest(range))).body), FULL);
});

test('anything else than the rest of that frame is not put together', async () => {
  const start = HEAD.length + 3;
  const end = `${FULL.length - 1}/${FULL.length}`;
  const table = {
    'the whole': { status: 200 },
    'no rights any more': { status: 403 },
    'another version': { etag: '"set1.frame2.m"' },
    'no tag': { etag: '' },
    'another syntax': { type: TYPE.replace('1.2', '1.3') },
    'another beginning': { contentRange: `bytes ${start + 1}-${end}` },
    'not up to the end': { contentRange: `bytes ${start}-${FULL.length - 2}/${FULL.length}` },
    'unknown length': { contentRange: `bytes ${start}-${FULL.length - 1}/*` },
    'no range': { contentRange: '' },
    'cut off': { body: 'de' },
  };
  for (const [what, answer] of Object.entries(table)) {
    assert.equal(await continued(REDUCED, async range => rest(range, answer)), null, what);
  }
  const never = () => assert.fail('asked');
  assert.equal(await continued({ ...REDUCED, tag: null }, never), null);
  assert.equal(await continued({ ...REDUCED, contentType: 'image/jphc' }, never), null);
});

test('each is handed out once, and dropped when nobody asks', async () => {
  const asked = [];
  const fetch = async (url, options) => {
    asked.push([url, options.headers]);
    return rest(options.headers.Range);
  };
  const underway = new Underway(fetch, 20);
  underway.begin(WHOLE, REDUCED, { Authorization: 'Bearer abc' });
  underway.begin(WHOLE, REDUCED, {});
  assert.deepEqual(asked, [[WHOLE, { Authorization: 'Bearer abc', Range: `bytes=${HEAD.length + 3}-` }]]);
  assert.equal(text((await underway.take(WHOLE)).body), FULL);
  assert.equal(underway.take(WHOLE), undefined);

  let stopped;
  const slow = new Underway((_, { signal }) => {
    stopped = signal;
    return new Promise((_, reject) => signal.addEventListener('abort', reject));
  }, 20);
  slow.begin(WHOLE, REDUCED, {});
  await new Promise(done => setTimeout(done, 60));
  assert.ok(stopped.aborted);
  assert.equal(slow.take(WHOLE), undefined);

  const failing = new Underway(async () => Promise.reject(new TypeError('net')));
  failing.begin(WHOLE, REDUCED, {});
  assert.equal(await failing.take(WHOLE), null);

  const large = { ...REDUCED, body: new Uint8Array(3 << 20) };
  const full = new Underway(fetch);
  for (const name of ['a', 'b']) full.begin(name, large, {});
  assert.equal(await full.take('a'), null, 'no multipart');
  assert.equal(full.take('b'), undefined, 'no room');
  full.begin('b', large, {});
  assert.notEqual(full.take('b'), undefined, 'room again');
});

// A browser's XMLHttpRequest as far as it is used here.
globalThis.ProgressEvent ??= class extends Event {};
class Request extends EventTarget {
  static sent = [];
  responseType = '';
  withCredentials = false;
  readyState_ = 0;
  get readyState() {
    return this.readyState_;
  }
  get status() {
    return this.readyState_ === 4 ? 200 : 0;
  }
  get response() {
    return this.body?.buffer ?? null;
  }
  open(method, url) {
    Object.assign(this, { url, readyState_: 1, body: null, headers: {} });
  }
  setRequestHeader(name, value) {
    this.headers[name] = value;
  }
  send() {
    Request.sent.push(this.url);
  }
  abort() {}
  getResponseHeader(name) {
    return { 'Content-Type': TYPE, ETag: REDUCED.tag }[name] ?? null;
  }
  arrive(body) {
    Object.assign(this, { body, readyState_: 4 });
    this.dispatchEvent(new Event('readystatechange'));
    this.dispatchEvent(new Event('load'));
  }
}

function asking(fetch) {
  Request.sent = [];
  const frame = url => frameOf(url, [''], PAGE);
  const Continuing = continuing(Request, frame, new Underway(fetch));
  return url => {
    const request = new Continuing();
    const seen = [];
    for (const name of ['readystatechange', 'load', 'loadend']) {
      request.addEventListener(name, () => seen.push(`${name} ${request.readyState}`));
    }
    request.open('get', url, true);
    request.responseType = 'arraybuffer';
    request.setRequestHeader('Authorization', 'Bearer abc');
    request.send();
    return { request, seen };
  };
}
const settled = () => new Promise(done => setTimeout(done, 10));

test('the request for the whole frame is answered without being sent', async () => {
  const ask = asking(async (_, { headers }) => {
    assert.equal(headers.Authorization, 'Bearer abc');
    return rest(headers.Range);
  });
  ask(`${FRAME}?reduce=2`).request.arrive(REDUCED.body);
  const { request, seen } = ask(FRAME);
  await settled();
  assert.deepEqual(Request.sent, [`${FRAME}?reduce=2`]);
  assert.deepEqual(seen, ['readystatechange 4', 'load 4', 'loadend 4']);
  assert.deepEqual([request.status, text(request.response)], [200, FULL]);
  assert.equal(request.getResponseHeader('Content-Type'), TYPE);
  ask(FRAME);
  await settled();
  assert.equal(Request.sent.at(-1), FRAME, 'the next one is');
});

test('the request for the whole frame is sent where nothing was continued', async () => {
  const refused = asking(async (_, { headers }) => rest(headers.Range, { etag: '"set1.frame2.m"' }));
  refused(`${FRAME}?reduce=2`).request.arrive(REDUCED.body);
  const { request } = refused(FRAME);
  await settled();
  assert.deepEqual(Request.sent, [`${FRAME}?reduce=2`, FRAME]);
  request.arrive(bytes(FULL));
  assert.equal(text(request.response), FULL);

  const never = asking(() => assert.fail('asked'));
  never(FRAME);
  never('/dicomweb/us-east-1/e/studies');
  await settled();
  assert.deepEqual(Request.sent.toSorted(), ['/dicomweb/us-east-1/e/studies', FRAME]);
});

test('an aborted request hears nothing', async () => {
  const ask = asking(async (_, { headers }) => rest(headers.Range));
  ask(`${FRAME}?reduce=2`).request.arrive(REDUCED.body);
  const { request, seen } = ask(FRAME);
  request.abort();
  await settled();
  assert.deepEqual(seen, []);
  assert.deepEqual(Request.sent, [`${FRAME}?reduce=2`]);
});
