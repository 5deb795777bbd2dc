// Failed requests in words. OHIF 3.13 shows a black viewport and writes to the console;
// it calls `httpErrorHandler` of its configuration, when there is one, for what DICOMweb
// and image requests end with.

const WHAT = [
  [/\/frames\//, 'An image could not be shown'],
  [/\/metadata(\?|$)/, 'A series could not be read'],
  [/\/studies(\?|$)/, 'Studies could not be listed'],
];

const UNDECODED = 'What arrived could not be decoded.';

const WHY = {
  400: 'The tile proxy did not understand the request.',
  401: 'You are not logged in, or the login has expired. Reload the page to log in again.',
  403: 'You have no right to this data store.',
  404: 'It is not, or no longer, in this data store.',
  416: 'The image does not have the resolution level that was asked for.',
  429: 'HealthImaging is busy. Try again in a moment.',
  502: 'The tile proxy cannot be reached.',
  503: 'HealthImaging is busy. Try again in a moment.',
  504: 'HealthImaging did not answer in time. Try again.',
};

/**
 * {title, message} of what OHIF or cornerstone hands to an error handler: an Error
 * with its `request` (DICOMweb client), the XMLHttpRequest itself (image loader), an
 * Error of the decoder or its number (WebAssembly's exceptions are numbers). Null for
 * anything else: cornerstone says the same failure again as text, or as nothing at all.
 */
export function failure(error) {
  if (typeof error === 'number') {
    return { title: 'An image could not be shown', message: UNDECODED };
  }
  if (!error || typeof error !== 'object') return null;
  const request = 'responseURL' in error ? error : error.request;
  const status = error.status ?? request?.status;
  const url = request?.responseURL ?? '';
  const title = WHAT.find(([pattern]) => pattern.test(url))?.[1] ?? 'An image could not be shown';
  if (status === undefined) {
    return { title, message: UNDECODED };
  }
  if (status === 0) return { title, message: 'The tile proxy cannot be reached.' };
  return { title, message: WHY[status] ?? `The tile proxy answered HTTP ${status}.` };
}

const QUIET_MS = 10_000;

/** A handler that shows each different failure once in ten seconds. */
export function failureHandler(show, now = Date.now) {
  const shown = new Map();
  return error => {
    const found = failure(error);
    if (!found || error.name === 'AbortError') return;
    const { title, message } = found;
    const said = `${title} ${message}`;
    if (now() - (shown.get(said) ?? -Infinity) < QUIET_MS) return;
    shown.set(said, now());
    show({ title, message, type: 'error', duration: 8000 });
  };
}
