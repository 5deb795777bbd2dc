// What the installation says, read once from /platform.json:
//
//   { "proxyUrls": ["", "https://tiles.example.org"],      "" is this page's origin
//     "stores": [{ "name", "friendlyName", "region", "datastoreId" }],
//     "oidc": null | { "authority", "clientId", "scope" },
//     "ohif": { … }                                         more of OHIF's own options }
//
// The first proxy and the first store are what a user starts with.

export class PlatformError extends Error {}

/** The platform from its JSON; throws PlatformError naming what is wrong. */
export function checked(json) {
  const wrong = text => {
    throw new PlatformError(`/platform.json: ${text}`);
  };
  if (!json || typeof json !== 'object') wrong('not an object');
  const { proxyUrls, stores, oidc = null, ohif = {} } = json;
  if (!Array.isArray(stores) || stores.length === 0) wrong('stores is empty');
  if (!Array.isArray(proxyUrls) || proxyUrls.length === 0) wrong('proxyUrls is empty');
  const names = new Set();
  for (const store of stores) {
    for (const key of ['name', 'region', 'datastoreId']) {
      if (!/^[a-z0-9-]+$/.test(store[key] ?? '')) wrong(`a store's ${key} is ${store[key]}`);
    }
    // The source that follows the user's choice has this name (data_source.mjs).
    if (store.name === 'isocenter') wrong('a store is named isocenter');
    if (names.has(store.name)) wrong(`two stores are named ${store.name}`);
    names.add(store.name);
  }
  for (const url of proxyUrls) {
    if (url !== '' && proxyUrl(url) !== url) wrong(`not an origin in proxyUrls: ${url}`);
  }
  if (oidc) {
    for (const key of ['authority', 'clientId']) {
      if (!oidc[key]) wrong(`oidc.${key} is missing`);
    }
  }
  return { proxyUrls, stores, oidc, ohif };
}

/** A proxy's URL as it is compared, its origin and path; null when it is none. */
export function proxyUrl(text) {
  const typed = String(text ?? '').trim();
  if (typed === '') return '';
  let url;
  try {
    url = new URL(typed);
  } catch {
    return null;
  }
  const plain = !url.username && !url.password && !url.search && !url.hash;
  if (!plain || !['https:', 'http:'].includes(url.protocol)) return null;
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/** Fetches and checks /platform.json. */
export async function platform() {
  const answer = await fetch('/platform.json', { cache: 'no-store' });
  if (!answer.ok) throw new PlatformError(`/platform.json: HTTP ${answer.status}`);
  let json;
  try {
    json = await answer.json();
  } catch {
    throw new PlatformError('/platform.json: not JSON');
  }
  return checked(json);
}
