// The extension's decisions, without a browser. Run by test_extension.py.
import assert from 'node:assert/strict';
import test from 'node:test';

const at = name => import(new URL(`../../../services/viewer/extension/${name}.mjs`, import.meta.url));
const { PlatformError, checked } = await at('platform');
const { RefusedError, allowedProxy, read, resolved, write } = await at('choice');
const { CHOSEN, dataSources, dicomwebRoot } = await at('data_source');
const { ohifConfiguration } = await at('configuration');
const { failure, failureHandler } = await at('failures');
const { UID, asked, reason, runsPath, usage } = await at('runs_page');
const { SourceDialog } = await at('source_dialog');

const east = { name: 'east', friendlyName: 'East', region: 'us-east-1', datastoreId: 'e'.repeat(32) };
const west = { name: 'west', region: 'us-west-2', datastoreId: 'f'.repeat(32) };
const PROXY = 'https://tiles.example.org/us';
const json = { stores: [east, west], proxyUrls: ['', PROXY], oidc: null, ohif: {} };
const platform = checked(json);

class Storage extends Map {
  getItem = key => this.get(key) ?? null;
  setItem = (key, value) => this.set(key, value);
}
const services = (subject, storage = new Storage()) => {
  globalThis.localStorage = storage;
  return { userAuthenticationService: { getUser: () => subject && { profile: { sub: subject } } } };
};

test('a platform that cannot work is refused by name', () => {
  const table = [
    [null, /not an object/],
    [{ ...json, stores: [] }, /stores is empty/],
    [{ ...json, proxyUrls: [] }, /proxyUrls is empty/],
    [{ ...json, stores: [east, east] }, /two stores are named east/],
    [{ ...json, stores: [{ ...east, region: 'us/../x' }] }, /region is us\/\.\.\/x/],
    [{ ...json, stores: [{ ...east, name: 'isocenter' }] }, /isocenter/],
    [{ ...json, proxyUrls: ['javascript:alert(1)'] }, /not an origin/],
    [{ ...json, proxyUrls: ['https://u:p@tiles.example.org'] }, /not an origin/],
    [{ ...json, oidc: { authority: 'https://id' } }, /oidc.clientId/],
  ];
  for (const [bad, said] of table) {
    assert.throws(() => checked(bad), error => error instanceof PlatformError && said.test(error.message));
  }
});

test('only listed proxies are used, however they are written', () => {
  const table = [
    ['', ''],
    [` ${PROXY}/ `, PROXY],
    ['HTTPS://TILES.example.org/us', PROXY],
    ['https://tiles.example.org:443/us', PROXY],
  ];
  for (const [typed, url] of table) assert.equal(allowedProxy(platform, typed), url);
  const refused = [
    'https://tiles.example.org',
    'https://tiles.example.org/us/../eu',
    'https://tiles.example.org.evil.example/us',
    'https://tiles.example.org@evil.example/us',
    'http://tiles.example.org/us',
    `${PROXY}?token=`,
    'javascript:alert(1)',
    'tiles.example.org',
  ];
  for (const typed of refused) assert.throws(() => allowedProxy(platform, typed), RefusedError, typed);
});

test('what is no longer offered falls back and is named', () => {
  assert.deepEqual(resolved(platform, null), { store: east, proxyUrl: '', dropped: [] });
  assert.deepEqual(resolved(platform, { store: 'west', proxyUrl: PROXY }), {
    store: west,
    proxyUrl: PROXY,
    dropped: [],
  });
  const gone = resolved(platform, { store: 'north', proxyUrl: 'https://evil.example' });
  assert.deepEqual([gone.store, gone.proxyUrl], [east, '']);
  assert.deepEqual(gone.dropped, ['data store north', 'tile proxy https://evil.example']);
});

test('each user keeps their own choice', () => {
  const storage = new Storage();
  write(platform, 'ann', { store: 'west', proxyUrl: PROXY }, storage);
  assert.equal(read(platform, 'ann', storage).store, west);
  assert.equal(read(platform, 'bob', storage).store, east);
  assert.throws(() => write(platform, 'ann', { store: 'east', proxyUrl: 'https://evil.example' }, storage), RefusedError);
  assert.throws(() => write(platform, 'ann', { store: 'north', proxyUrl: '' }, storage), RefusedError);
  assert.equal(read(platform, 'ann', storage).proxyUrl, PROXY, 'a refused choice changes nothing');
  storage.setItem('isocenter.settings:ann', '{broken');
  assert.equal(read(platform, 'ann', storage).store, east);
});

test('a source follows the choice each time it is entered, and an image set once', () => {
  let choice = { store: east, proxyUrl: '' };
  const sources = dataSources(platform, () => choice);
  assert.deepEqual(sources.map(each => each.sourceName), [CHOSEN, 'east', 'west']);
  const { configuration } = sources[0];
  const enter = (before, query) =>
    before.onConfiguration(before, { params: {}, query: new URLSearchParams(query) });
  const scoped = enter(configuration, 'ImageSetID=a/b');
  assert.equal(scoped.wadoRoot, `/dicomweb/us-east-1/${east.datastoreId}/imageset/a%2Fb`);
  assert.equal(scoped.qidoRoot, scoped.wadoUriRoot);
  choice = { store: west, proxyUrl: PROXY };
  assert.equal(enter(scoped, '').qidoRoot, `${PROXY}/dicomweb/us-west-2/${west.datastoreId}`);
  const east_ = sources[1].configuration;
  assert.equal(enter(east_, '').qidoRoot, dicomwebRoot(PROXY, east), 'its own store, the chosen proxy');
});

test('slices fetched ahead are whole: the default retrieve option comes first and is empty', () => {
  for (const { configuration } of dataSources(platform, () => ({ store: east, proxyUrl: '' }))) {
    const { retrieveOptions, stages } = configuration.stackRetrieveOptions;
    assert.deepEqual(Object.entries(retrieveOptions)[0], ['default', {}]);
    assert.deepEqual(retrieveOptions.final, {});
    assert.equal(retrieveOptions.fast.urlArguments, 'reduce=2');
    assert.deepEqual(stages.map(each => each.retrieveType), ['fast', 'final']);
  }
});

test('the installation may add to OHIF but not replace where it reads and who logs in', () => {
  const own = {
    ...platform,
    ohif: { investigationalUseDialog: { option: 'never' }, dataSources: [], extensions: ['/x.mjs'], oidc: [], dangerouslyUseDynamicConfig: { enabled: true } },
    oidc: { authority: 'https://id.example.org', clientId: 'web', scope: 'openid', cognito: true },
  };
  const made = ohifConfiguration(own, services(null), 'https://viewer.example.org');
  assert.equal(made.investigationalUseDialog.option, 'never');
  assert.equal(made.dataSources.length, 3);
  assert.equal(made.extensions[0].id, 'isocenter');
  assert.equal(made.dangerouslyUseDynamicConfig.enabled, false);
  assert.equal(made.oidc[0].response_type, 'code');
  assert.equal(made.oidc[0].client_id, 'web');
  assert.equal(made.oidc[0].extraQueryParams.logout_uri, 'https://viewer.example.org/');
  const open = ohifConfiguration({ ...platform, ohif: { oidc: [{}] } }, services(null), 'https://viewer.example.org');
  assert.ok(!('oidc' in open));
  assert.ok(!('investigationalUseDialog' in open), 'the notice stays unless it is said');
});

test('a study in a path is a UID, never a way up', () => {
  for (const uid of ['1.2.840.10008', '2']) assert.match(uid, UID);
  for (const bad of ['..', '.', '.1', '1/2', '', '1'.repeat(65)]) assert.doesNotMatch(bad, UID);
});

test('failures are told in words, once', () => {
  const frame = 'https://x/dicomweb/r/d/studies/1/series/2/instances/3/frames/1?reduce=2';
  const table = [
    [{ responseURL: frame, status: 404 }, /image/, /no longer/],
    [{ request: { responseURL: 'https://x/dicomweb/r/d/studies?limit=1' }, status: 503 }, /Studies/, /busy/],
    [{ request: { responseURL: 'https://x/studies/1/series/2/metadata', status: 401 } }, /series/, /log in/],
    [{ responseURL: '', status: 0 }, /image/, /cannot be reached/],
    [{ responseURL: frame, status: 418 }, /image/, /418/],
    [new Error('bad codestream'), /image/, /decoded/],
    [152704, /image/, /decoded/],
  ];
  for (const [error, title, message] of table) {
    assert.match(failure(error).title, title);
    assert.match(failure(error).message, message);
  }
  for (const nothing of [undefined, null, 'request failed']) assert.equal(failure(nothing), null);

  const shown = [];
  let now = 0;
  const handle = failureHandler(message => shown.push(message.message), () => now);
  const lost = { responseURL: frame, status: 404 };
  handle(lost);
  handle(lost);
  handle({ responseURL: frame, status: 503 });
  assert.equal(shown.length, 2);
  now = 10_001;
  handle(lost);
  handle(undefined);
  assert.equal(shown.length, 3);
});

test('the runs page asks the right place', async () => {
  const choice = { store: east, proxyUrl: PROXY };
  assert.equal(runsPath(['1.2', '3.4'], 'west'), '/runs?StudyInstanceUIDs=1.2%2C3.4&datasources=west');
  assert.deepEqual(asked(platform, choice, '?StudyInstanceUIDs=1.2,3.4&datasources=west'), {
    store: west,
    proxyUrl: PROXY,
    studies: ['1.2', '3.4'],
  });
  assert.deepEqual(asked(platform, choice, '?datasources=north').store, east);

  const calls = [];
  const get = async (...call) => {
    calls.push(call);
    return Response.json({ runs: [] });
  };
  const headers = { Authorization: 'Bearer abc' };
  assert.deepEqual(await usage({ store: west, proxyUrl: PROXY, study: '1.2', headers, get }), { runs: [] });
  assert.equal(calls[0][0], `${PROXY}/usage/us-west-2/${west.datastoreId}/studies/1.2`);
  assert.equal(calls[0][1].headers.Authorization, 'Bearer abc');
});

test('the runs page says what went wrong', async () => {
  assert.match(reason(401, null), /login/);
  assert.match(reason(403, { detail: 'x' }), /right/);
  assert.equal(reason(404, { detail: 'runs_s3_uri is not set' }), 'runs_s3_uri is not set');
  assert.match(reason(500, null), /HTTP 500/);
  const ask = get => usage({ store: east, proxyUrl: '', study: '1.2', headers: {}, get });
  await assert.rejects(ask(async () => Promise.reject(new TypeError('net'))), /cannot be reached/);
  await assert.rejects(ask(async () => new Response('<html>', { status: 502 })), /HTTP 502/);
  await assert.rejects(ask(async () => new Response('<html>')), /not understood/);
});

test("OHIF's Source dialog walks region, store, proxy and keeps what was chosen", async () => {
  const storage = new Storage();
  const updated = [];
  const manager = {
    getDataSourceDefinition: () => ({ configuration: { name: CHOSEN } }),
    updateDataSourceConfiguration: (...call) => updated.push(call),
  };
  const dialog = new SourceDialog(platform, services('ann', storage), manager, CHOSEN);
  assert.deepEqual(dialog.getItemLabels(), ['Region', 'Data store', 'Tile proxy']);
  const [, region] = await dialog.initialize();
  const [store] = await dialog.setCurrentItem(region);
  assert.equal(store.store, west);
  const proxies = await dialog.setCurrentItem(store);
  assert.equal(updated.length, 0, 'nothing yet');
  assert.deepEqual(await dialog.setCurrentItem(proxies[1]), []);
  assert.equal(updated[0][0], CHOSEN);
  assert.equal(read(platform, 'ann', storage).proxyUrl, PROXY);
  const names = (await dialog.getConfiguredItems()).map(each => each.name);
  assert.deepEqual(names, ['us-west-2', 'west', PROXY]);

  const single = checked({ ...json, proxyUrls: [''] });
  const short = new SourceDialog(single, services('bob', storage), manager, CHOSEN);
  assert.deepEqual(short.getItemLabels(), ['Region', 'Data store']);
  await short.setCurrentItem({ level: 'store', store: west });
  assert.equal(read(single, 'bob', storage).store, west);
});
