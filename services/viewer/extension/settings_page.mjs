// /settings: region, data store and tile proxy, of those that the installation offers.
import { RefusedError, read, subjectOf, write } from './choice.mjs';
import { dom, sheet } from './element.mjs';

const proxyLabel = url => url || `${location.origin} (this origin)`;
const options = (values, chosen, label = value => value) =>
  values.map(value => dom('option', { value, selected: value === chosen }, label(value)));

/** Fills the page; `go(path)` goes to another one. */
export function settingsPage(platform, services, go) {
  return node => {
    const subject = subjectOf(services);
    const choice = read(platform, subject);
    const regions = [...new Set(platform.stores.map(store => store.region))];

    const region = dom('select', { id: 'region' }, ...options(regions, choice.store.region));
    const store = dom('select', { id: 'store' });
    const offer = () => {
      const there = platform.stores.filter(each => each.region === region.value);
      store.replaceChildren(
        ...there.map(each =>
          dom(
            'option',
            { value: each.name, selected: each.name === choice.store.name },
            each.friendlyName || each.name
          )
        )
      );
    };
    region.addEventListener('change', offer);
    offer();

    const proxy = dom('input', {
      id: 'proxy',
      list: 'proxies',
      value: choice.proxyUrl || location.origin,
      spellcheck: 'false',
      autocomplete: 'off',
    });
    const proxies = dom(
      'datalist',
      { id: 'proxies' },
      ...platform.proxyUrls.map(url => dom('option', { value: url || location.origin }))
    );
    const alert = dom('p', { role: 'alert' });
    if (choice.dropped.length) {
      alert.textContent = `No longer offered, so not used: ${choice.dropped.join(', ')}.`;
    }

    const save = event => {
      event.preventDefault();
      try {
        write(platform, subject, { store: store.value, proxyUrl: proxy.value });
      } catch (error) {
        alert.textContent =
          error instanceof RefusedError
            ? error.message
            : `Not saved: this browser keeps no settings (${error.name}).`;
        return;
      }
      go('/');
    };
    node.append(
      sheet(
        'Settings',
        go,
        dom(
          'form',
          { onsubmit: save },
          dom('label', { for: 'region' }, 'HealthImaging region'),
          region,
          dom('label', { for: 'store' }, 'Data store'),
          store,
          dom('label', { for: 'proxy' }, 'Tile proxy (TLM proxy) URL'),
          proxy,
          proxies,
          dom('p', {}, dom('small', {}, `Offered: ${platform.proxyUrls.map(proxyLabel).join(', ')}`)),
          alert,
          dom('button', { type: 'submit' }, 'Save')
        )
      )
    );
  };
}
