// /runs?StudyInstanceUIDs=1.2.3: the TrainingRuns and datasets that used a study, by
// the tile proxy's GET /usage/{region}/{datastore}/studies/{study}.
import { read, subjectOf } from './choice.mjs';
import { dom, sheet } from './element.mjs';

// PS3.5 section 9.1. It goes into a path: ".." would lead out of it.
export const UID = /^[0-9][0-9.]{0,63}$/;

/** Path of the page for studies; `source` is an OHIF data source's name. */
export function runsPath(studies, source) {
  const query = new URLSearchParams({ StudyInstanceUIDs: studies.join(',') });
  if (source) query.set('datasources', source);
  return `/runs?${query}`;
}

/** What the page's address asks for: {store, proxyUrl, studies}. */
export function asked(platform, choice, search) {
  const query = new URLSearchParams(search);
  const named = platform.stores.find(each => each.name === query.get('datasources'));
  const studies = query
    .getAll('StudyInstanceUIDs')
    .flatMap(each => each.split(','))
    .map(each => each.trim())
    .filter(Boolean);
  return { store: named ?? choice.store, proxyUrl: choice.proxyUrl, studies };
}

const REASONS = {
  401: 'You are not logged in, or the login has expired: reload the page.',
  403: 'You have no right to this data store.',
  429: 'The tile proxy is busy: try again in a moment.',
  503: 'The tile proxy is busy: try again in a moment.',
};

/** What went wrong, in words; `problem` is an RFC 9457 body, if there was one. */
export function reason(status, problem) {
  const detail = typeof problem?.detail === 'string' ? problem.detail : '';
  return REASONS[status] ?? (detail || `The tile proxy answered HTTP ${status}.`);
}

/** The usage of one study; throws an Error whose message is for the reader. */
export async function usage({ store, proxyUrl, study, headers, get = fetch }) {
  const path = `/usage/${store.region}/${store.datastoreId}/studies/${study}`;
  let answer;
  try {
    answer = await get(proxyUrl + path, { headers: { Accept: 'application/json', ...headers } });
  } catch {
    throw new Error('The tile proxy cannot be reached.');
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(reason(answer.status, body));
  if (!Array.isArray(body?.runs)) throw new Error('The tile proxy gave an answer that is not understood.');
  return body;
}

const COLUMNS = ['Training run', 'Attempt', 'Completed', 'Image sets', 'Dataset', 'Model', 'Execution'];

function row(run) {
  const text = value => dom('td', {}, value == null || value === '' ? '–' : String(value));
  return dom(
    'tr',
    {},
    text(`${run.namespace}/${run.name}`),
    text(run.attempt),
    text(run.completedAt),
    text((run.imageSets ?? []).join(' ')),
    text(run.datasetS3Uri),
    text(run.modelS3Uri),
    text(run.execution)
  );
}

/** The DOM of one study's usage. */
export function table(body) {
  if (body.runs.length === 0) {
    return dom('p', { role: 'status' }, 'No training run has used this study.');
  }
  return dom(
    'table',
    {},
    dom('thead', {}, dom('tr', {}, ...COLUMNS.map(name => dom('th', { scope: 'col' }, name)))),
    dom('tbody', {}, ...body.runs.map(row))
  );
}

/** Fills the page; `go(path)` goes to another one. */
export function runsPage(platform, services, go) {
  return node => {
    const choice = read(platform, subjectOf(services));
    const { store, proxyUrl, studies } = asked(platform, choice, location.search);
    const main = sheet(
      'Training runs that used this study',
      go,
      dom('p', {}, dom('small', {}, `${store.friendlyName || store.name} (${store.region})`))
    );
    node.append(main);
    if (studies.length === 0) {
      main.append(dom('p', { role: 'alert' }, 'The address names no study (StudyInstanceUIDs).'));
    }
    for (const study of studies) {
      const place = dom('p', { role: 'status' }, 'Looking …');
      main.append(dom('h2', {}, study), place);
      if (!UID.test(study)) {
        place.replaceWith(dom('p', { role: 'alert' }, 'This is not a Study Instance UID.'));
        continue;
      }
      const headers = services.userAuthenticationService.getAuthorizationHeader() ?? {};
      usage({ store, proxyUrl, study, headers }).then(
        body => place.replaceWith(table(body)),
        error => place.replaceWith(dom('p', { role: 'alert' }, error.message))
      );
    }
  };
}
