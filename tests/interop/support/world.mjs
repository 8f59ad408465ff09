// One node, one Chromium, and everybody in it. Each person has an origin of their own, so storage, workers and
// connections are theirs alone, and every call to the node crosses origins as it does for real apps.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { Node } from '../../e2e/support/node.mjs';
import { bundleOfficialSdk } from './bundle.mjs';
import { Person } from './person.mjs';

const packageFolder = fileURLToPath(new URL('../../../dist/www/pkg/', import.meta.url));
const types = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

export class World {
  /** @type {Node} */
  node;
  #folder;
  #context;
  #server;
  #origins = 0;
  #people = [];

  static async make() {
    const executablePath = process.env.CHROME_PATH;
    if (!executablePath) throw new Error('CHROME_PATH is not set; run this through `npm run test:interop`.');
    const world = new World();
    world.#folder = await mkdtemp(join(tmpdir(), 'sotto-interop-'));
    const official = join(world.#folder, 'official');
    await bundleOfficialSdk(official);
    world.#server = await serve({ '/official/': official, '/pkg/': packageFolder });
    // A profile on disk: the official SDK's storage is many times slower in an incognito one.
    const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    world.#context = await chromium.launchPersistentContext(join(world.#folder, 'profile'), {
      executablePath,
      args: [...asRoot, '--disable-gpu'],
    });
    world.node = await Node.start();
    return world;
  }

  /** Somebody with the official SDK. @param {{ key?: string }} [settings] `key`: a wallet that exists */
  official(name, settings) {
    return this.#arrive('official', name, settings);
  }

  /** Somebody with our package. @param {{ key?: string }} [settings] `key`: a wallet that exists */
  sotto(name, settings) {
    return this.#arrive('sotto', name, settings);
  }

  /** Medians of what people waited for, in milliseconds. */
  timings() {
    const byLabel = {};
    for (const { kind, waits } of this.#people) {
      for (const [label, ms] of waits) ((byLabel[label] ??= {})[kind] ??= []).push(ms);
    }
    const median = (all) => Math.round(all.sort((a, b) => a - b)[all.length >> 1]);
    return Object.entries(byLabel).map(
      ([label, kinds]) => `${label}: ${Object.entries(kinds).map(([kind, all]) => `${kind} ${median(all)} ms (${all.length})`).join(', ')}`,
    );
  }

  async close() {
    await this.#context?.close();
    await this.node?.close();
    this.#server?.close();
    this.#server?.closeAllConnections();
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
  }

  async #arrive(kind, name, settings) {
    const host = `${name}-${++this.#origins}.localhost`;
    const page = await this.#context.newPage();
    const node = new URL(this.node.url);
    const person = await Person.arrive(page, {
      kind,
      name,
      origin: `http://${host}:${this.#server.address().port}`,
      apiUrl: `http://${host}:${node.port}`,
      ...settings,
    });
    this.#people.push(person);
    return person;
  }
}

/** Serves folders by the beginning of the path, and an empty page at /. */
async function serve(folders) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://x').pathname);
    const prefix = Object.keys(folders).find((start) => path.startsWith(start));
    try {
      if (path === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>empty</title>');
      if (prefix === undefined || path.includes('..')) throw new Error('not here');
      const file = join(folders[prefix], path.slice(prefix.length));
      // The official SDK names its workers without an extension.
      const body = await readFile(extname(file) ? file : `${file}.js`);
      response.writeHead(200, { 'content-type': types[extname(file) || '.js'] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
