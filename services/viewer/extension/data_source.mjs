// OHIF's stock DICOMweb data source, pointed at the tile proxy. One source follows the
// user's choice; each store also has a source by its own name, for links such as
// /viewer/<name>?StudyInstanceUIDs=… that must mean the same for everybody.

export const CHOSEN = 'isocenter';
export const CONFIGURATION_API = 'isocenter.dataSourceConfigurationAPI';

/** The DICOMweb root of a store, behind a proxy; `imageSetId` narrows it to one. */
export function dicomwebRoot(proxyUrl, store, imageSetId) {
  const root = `${proxyUrl}/dicomweb/${store.region}/${store.datastoreId}`;
  return imageSetId ? `${root}/imageset/${encodeURIComponent(imageSetId)}` : root;
}

const roots = root => ({ qidoRoot: root, wadoRoot: root, wadoUriRoot: root });

/**
 * One OHIF data source. `where` gives {store, proxyUrl}; it is asked each time OHIF
 * enters a page, that is after login, when the user's own choice can be read.
 */
function dataSource(sourceName, friendlyName, where, more) {
  return {
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName,
    configuration: {
      friendlyName,
      name: sourceName,
      ...roots(dicomwebRoot(where().proxyUrl, where().store)),
      imageRendering: 'wadors',
      thumbnailRendering: 'thumbnail',
      thumbnailRequestStrategy: 'fetch',
      enableStudyLazyLoad: true,
      supportsFuzzyMatching: false,
      supportsWildcard: true,
      omitQuotationForMultipartRequest: true,
      bulkDataURI: { enabled: false },
      stackRetrieveOptions: {
        stages: [
          { id: 'fast', retrieveType: 'fast' },
          { id: 'final', retrieveType: 'final' },
        ],
        retrieveOptions: {
          // Slices that are fetched ahead use this entry, or the first when there is
          // none: they would stay reduced, and a volume made of them be wrong.
          default: {},
          fast: { urlArguments: 'reduce=2', decodeLevel: 2, imageQualityStatus: 6 },
          final: {},
        },
      },
      ...more,
      onConfiguration: (configuration, { query }) => {
        const { proxyUrl, store } = where();
        const root = dicomwebRoot(proxyUrl, store, query.get('ImageSetID'));
        return { ...configuration, ...roots(root) };
      },
    },
  };
}

/** All data sources of a platform; `chosen()` gives the choice in force. */
export function dataSources(platform, chosen) {
  return [
    dataSource(CHOSEN, 'HealthImaging', chosen, { configurationAPI: CONFIGURATION_API }),
    ...platform.stores.map(store =>
      dataSource(store.name, store.friendlyName || store.name, () => ({
        store,
        proxyUrl: chosen().proxyUrl,
      }))
    ),
  ];
}
