// The entries of the package and init(): in pages, in service workers, in Node. What fails says why and may be tried again.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launchBrowser } from './support/browser.mjs';
import { Node } from './support/node.mjs';
import { serve } from './support/serve.mjs';

const pkg = fileURLToPath(new URL('../../pkg', import.meta.url));
let server;
let node;
let browser;
before(async () => {
  server = await serve({ '/pkg/': pkg });
  node = await Node.start();
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await node?.close();
  await server?.close();
});

/** An empty page on the server, with a Content-Security-Policy if one is given. */
async function emptyPage(policy = '') {
  const context = await browser.newContext();
  const page = await context.newPage();
  const headers = policy === '' ? {} : { 'content-security-policy': policy };
  await page.route('**/empty.html', (route) => route.fulfill({ headers, contentType: 'text/html', body: '<!doctype html><title>empty</title>' }));
  await page.goto(`${server.url}/empty.html`);
  return { page, close: () => context.close() };
}

/** How many requests for the engine the page made. */
const counted = (page) => {
  let count = 0;
  page.on('request', (request) => request.url().endsWith('.wasm') && count++);
  return () => count;
};

test('two calls at once load one engine, and a failed download can be tried again', async () => {
  const { page, close } = await emptyPage();
  const requests = counted(page);
  await page.route('**/sotto_bg.wasm', (route) => route.fulfill({ status: 503, body: 'busy' }), { times: 1 });
  const seen = await page.evaluate(async () => {
    const { init, LocalWallet } = await import(new URL('/pkg/index.js', location.href).href);
    const failure = await init().catch(({ code, retryable }) => ({ code, retryable }));
    const [a] = await Promise.all([LocalWallet.generate(), LocalWallet.generate(), init()]);
    return { failure, address: a.address };
  });
  assert.deepEqual(seen.failure, { code: 'ERR_LOAD_FAILED', retryable: true });
  assert.match(seen.address, /^0x[0-9a-fA-F]{40}$/);
  assert.equal(requests(), 2);
  await close();
});

test('a page instead of the engine is named, with what to do; a wrong content type on the engine itself does not matter', async () => {
  const { page, close } = await emptyPage();
  await page.route('**/elsewhere', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>not found' }));
  await page.route('**/sotto_bg.wasm', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { 'content-type': 'text/plain' } });
  });
  const message = await page.evaluate(async () => {
    const { init } = await import(new URL('/pkg/index.js', location.href).href);
    const failure = await init('/elsewhere').catch((error) => error.message);
    await init();
    return failure;
  });
  assert.match(message, /elsewhere: it is not WebAssembly but "text\/html"; .*sotto\/inline/);
  await close();
});

for (const [name, make] of /** @type {const} */ ([
  ['an address', 'url'],
  ['a Response', 'fetch(url)'],
  ['bytes', 'fetch(url).then((response) => response.arrayBuffer())'],
  ['a compiled module', 'WebAssembly.compileStreaming(fetch(url))'],
])) {
  test(`init takes ${name}`, async () => {
    const { page, close } = await emptyPage();
    const address = await page.evaluate(`(async () => {
      const { init, LocalWallet } = await import(new URL('/pkg/index.js', location.href).href);
      const url = new URL('/pkg/sotto_bg.wasm', location.href);
      await init(await (${make}));
      return (await LocalWallet.generate()).address;
    })()`);
    assert.match(String(address), /^0x/);
    await close();
  });
}

test('sotto/inline loads in a page that may connect to nothing', async () => {
  const { page, close } = await emptyPage(`default-src 'none'; script-src 'self' 'wasm-unsafe-eval'`);
  const requests = counted(page);
  const address = await page.evaluate(async () => {
    const { LocalWallet } = await import(new URL('/pkg/inline.js', location.href).href);
    return (await LocalWallet.generate()).address;
  });
  assert.match(address, /^0x/);
  assert.equal(requests(), 0);
  await close();
});

test('sotto/sw loads in a service worker', async () => {
  const { page, close } = await emptyPage();
  await page.context().route('**/pkg/worker.js', (route) =>
    route.fulfill({
      contentType: 'text/javascript',
      body: `import { LocalWallet } from './sw.js';
        addEventListener('message', ({ data, ports: [port] }) =>
          LocalWallet.generate().then(({ address }) => port.postMessage(address), (error) => port.postMessage(error.message)));`,
    }),
  );
  const answer = await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.register('/pkg/worker.js', { type: 'module' });
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    if (worker.state !== 'activated') {
      await new Promise((resolve) => worker.addEventListener('statechange', () => worker.state === 'activated' && resolve(undefined)));
    }
    const { port1, port2 } = new MessageChannel();
    const heard = new Promise((resolve) => (port1.onmessage = ({ data }) => resolve(data)));
    worker.postMessage('go', [port2]);
    return heard;
  });
  assert.match(String(answer), /^0x/);
  await close();
});

test('sotto/node: two clients in Node chat through a node, in memory, and the program ends', () => {
  const program = `
    import { Client, LocalWallet } from ${JSON.stringify(`${pkg}/node.js`)};
    const [ana, ben] = await Promise.all([0, 1].map(async () => {
      const wallet = await LocalWallet.generate();
      return Client.create(wallet.signer(), { apiUrl: ${JSON.stringify(node.url)} });
    }));
    const group = await ana.conversations.createGroup([ben.inboxId], { groupName: 'Unit test' });
    await group.sendText('Hello from Node');
    await ben.conversations.syncAll();
    const [copy] = await ben.conversations.listGroups();
    console.log(copy.name, (await copy.lastMessage()).content);
    await Promise.all([ana.close(), ben.close()]);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(stderr, '');
  assert.equal(stdout, 'Unit test Hello from Node\n');
  assert.equal(status, 0);
});
