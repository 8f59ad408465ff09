// A real node for a test: its own port and store, killed and started again as the test likes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const program = join(root, 'target', 'debug', process.platform === 'win32' ? 'sotto-node.exe' : 'sotto-node');
const startLimitMs = 20_000;

export class Node {
  #folder;
  #child;
  #log = '';
  #port = 0;

  /** Starts a node on a free port with an empty store, serving the built demo. */
  static async start() {
    const node = new Node();
    node.#folder = await mkdtemp(join(tmpdir(), 'sotto-node-'));
    await node.#spawn();
    return node;
  }

  /** Where the demo and the API are. The same before and after a restart. */
  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Everything it has printed. */
  get log() {
    return this.#log;
  }

  /** Ends it as a power cut would: no warning, no time. */
  async kill() {
    this.#child.kill('SIGKILL');
    await this.#ended();
  }

  /** Asks it to end, and returns its exit code. */
  async stop() {
    this.#child.kill('SIGTERM');
    await this.#ended();
    return this.#child.exitCode;
  }

  /** Starts it again on the same port and store. */
  async restart() {
    await this.#spawn();
  }

  /** All bytes of its store, one buffer a file. */
  async storedBytes() {
    const names = await readdir(this.#folder);
    return Promise.all(names.map((name) => readFile(join(this.#folder, name))));
  }

  /** Ends it and removes its store. */
  async close() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #spawn() {
    this.#child = spawn(program, [
      '--listen', `127.0.0.1:${this.#port}`,
      '--store', `sqlite:${join(this.#folder, 'node.db')}`,
      '--www', join(root, 'dist', 'www'),
    ]);
    const from = this.#log.length;
    const ready = new Promise((resolve, reject) => {
      const take = (chunk) => {
        this.#log += chunk;
        const address = this.#log.slice(from).match(/listening on http:\/\/[^\s:]+:(\d+)/);
        if (address) resolve(Number(address[1]));
      };
      this.#child.stdout.on('data', take);
      this.#child.stderr.on('data', take);
      this.#child.on('error', reject);
      this.#child.on('exit', (code) => reject(new Error(`the node ended with ${code}:\n${this.#log.slice(from)}`)));
      setTimeout(() => reject(new Error(`the node is not ready:\n${this.#log.slice(from)}`)), startLimitMs).unref();
    });
    this.#port = await ready;
  }

  async #ended() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}
