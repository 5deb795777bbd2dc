// What a user has chosen: a data store and a tile proxy, kept in this browser under
// the subject of their token, so that two users of one workstation keep their own.
import { proxyUrl } from './platform.mjs';

export class RefusedError extends Error {}

const key = subject => `isocenter.settings:${subject ?? ''}`;

/** The subject of whoever is logged in, or null. */
export const subjectOf = services =>
  services.userAuthenticationService?.getUser?.()?.profile?.sub ?? null;

/** An allowed proxy's URL; a URL that the chart does not list is refused. */
export function allowedProxy(platform, text) {
  const url = proxyUrl(text);
  if (url === null) throw new RefusedError(`Not a URL of a tile proxy: ${text}`);
  const own = typeof location === 'undefined' ? null : location.origin;
  const same = url === own ? '' : url;
  if (!platform.proxyUrls.includes(same)) {
    throw new RefusedError(
      `${url || 'This origin'} is not on this installation's list of tile proxies. ` +
        'Your login would be sent there, so only listed ones are used.'
    );
  }
  return same;
}

/**
 * The choice in force: { store, proxyUrl, dropped }. What was stored but is no longer
 * offered falls back to the first, and is named in `dropped`.
 */
export function resolved(platform, stored) {
  const dropped = [];
  let store = platform.stores.find(each => each.name === stored?.store);
  if (!store) {
    if (stored?.store) dropped.push(`data store ${stored.store}`);
    [store] = platform.stores;
  }
  let [proxy] = platform.proxyUrls;
  if (stored?.proxyUrl !== undefined) {
    if (platform.proxyUrls.includes(stored.proxyUrl)) proxy = stored.proxyUrl;
    else dropped.push(`tile proxy ${stored.proxyUrl || 'of this origin'}`);
  }
  return { store, proxyUrl: proxy, dropped };
}

/** The stored choice of a subject, resolved. */
export function read(platform, subject, storage = localStorage) {
  let stored = null;
  try {
    stored = JSON.parse(storage.getItem(key(subject)));
  } catch {
    // Not ours, or storage is off: as if nothing had been chosen.
  }
  return resolved(platform, stored);
}

/** Keeps a choice; throws RefusedError before anything is written. */
export function write(platform, subject, { store, proxyUrl: text }, storage = localStorage) {
  if (!platform.stores.some(each => each.name === store)) {
    throw new RefusedError(`There is no data store ${store}`);
  }
  const choice = { store, proxyUrl: allowedProxy(platform, text) };
  storage.setItem(key(subject), JSON.stringify(choice));
  return choice;
}
