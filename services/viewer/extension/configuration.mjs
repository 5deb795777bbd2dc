// OHIF's configuration, from the installation's. Everything that is loaded from
// elsewhere by an address in the link stays off: it would take the login with it.
import { read, subjectOf } from './choice.mjs';
import { CHOSEN, dataSources } from './data_source.mjs';
import { extension } from './extension.mjs';
import { login } from './login.mjs';
import { platform as fetched } from './platform.mjs';

/** OHIF's configuration object, of a checked platform and OHIF's services. */
export function ohifConfiguration(platform, services, origin) {
  const chosen = () => read(platform, subjectOf(services));
  const { oidc: _, ...more } = platform.ohif;
  return {
    routerBasename: null,
    showStudyList: true,
    showErrorDetails: 'dev',
    maxNumberOfWebWorkers: 3,
    maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
    modes: [],
    customizationService: {},
    ...more,
    extensions: [extension(platform)],
    dangerouslyUseDynamicConfig: { enabled: false },
    defaultDataSourceName: CHOSEN,
    dataSources: dataSources(platform, chosen),
    ...login(platform.oidc, origin),
  };
}

/** What app-config.js hands to OHIF. A page that cannot start says why. */
export async function configuration({ servicesManager }) {
  try {
    return ohifConfiguration(await fetched(), servicesManager.services, location.origin);
  } catch (error) {
    const text = document.createElement('p');
    text.style.cssText = 'color:#fff;font:16px sans-serif;margin:3rem';
    text.setAttribute('role', 'alert');
    text.textContent = `The viewer cannot start. ${error.message}`;
    document.body.append(text);
    throw error;
  }
}
