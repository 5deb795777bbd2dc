// OHIF's own "Source" dialog in the study list: region, data store and, when there are
// several, tile proxy. What is chosen is kept as on the settings page.
import { read, subjectOf, write } from './choice.mjs';

const proxyName = url => url || 'this origin';

/** A DataSourceConfigurationAPI (OHIF's platform/core/src/types) for a data source. */
export class SourceDialog {
  constructor(platform, services, extensionManager, sourceName) {
    Object.assign(this, { platform, services, extensionManager, sourceName });
  }

  /** Whether the last step, the proxy, is asked for. */
  get asksProxy() {
    return this.platform.proxyUrls.length > 1;
  }

  getItemLabels() {
    return ['Region', 'Data store', ...(this.asksProxy ? ['Tile proxy'] : [])];
  }

  #region(region) {
    return { id: region, name: region, level: 'region', region };
  }

  #store(store) {
    return { id: store.name, name: store.friendlyName || store.name, level: 'store', store };
  }

  #proxy(store, url) {
    return { id: url || '/', name: proxyName(url), level: 'proxy', store, proxyUrl: url };
  }

  async initialize() {
    return [...new Set(this.platform.stores.map(store => store.region))].map(this.#region);
  }

  async getConfiguredItems() {
    const { store, proxyUrl } = read(this.platform, subjectOf(this.services));
    const items = [this.#region(store.region), this.#store(store)];
    return this.asksProxy ? [...items, this.#proxy(store, proxyUrl)] : items;
  }

  /** The items below one; the last level's item is kept and put into force. */
  async setCurrentItem(item) {
    if (item.level === 'region') {
      return this.platform.stores.filter(each => each.region === item.region).map(this.#store);
    }
    if (item.level === 'store' && this.asksProxy) {
      return this.platform.proxyUrls.map(url => this.#proxy(item.store, url));
    }
    const [first] = this.platform.proxyUrls;
    write(this.platform, subjectOf(this.services), {
      store: item.store.name,
      proxyUrl: item.proxyUrl ?? first,
    });
    // OHIF makes the source anew and lists the studies again.
    const { configuration } = this.extensionManager.getDataSourceDefinition(this.sourceName);
    this.extensionManager.updateDataSourceConfiguration(this.sourceName, { ...configuration });
    return [];
  }
}
