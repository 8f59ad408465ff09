// Running programs and talking to the person at the terminal. Plain Node, no dependencies:
// these scripts run before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. Every program runs there. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Where tools that belong to this checkout are installed. Never committed. */
export const toolsDir = join(root, '.tools');

/** A path below the root. */
export const at = (...parts) => join(root, ...parts);

/** The text of a file below the root. */
export const read = (...parts) => readFileSync(at(...parts), 'utf8');

const onWindows = process.platform === 'win32';

// Our pinned tools come first, so that an older one elsewhere on PATH is not picked up.
process.env.PATH = [join(toolsDir, 'bin'), at('node_modules', '.bin'), process.env.PATH].join(delimiter);

/** A mistake on the machine that the person can mend; shown without a stack. */
export class SetupError extends Error {}

/** Prints one line about what happens now. */
export function say(text) {
  console.log(`\x1b[1;36m▸\x1b[0m ${text}`);
}

/**
 * @typedef {object} RunOptions
 * @property {Record<string, string>} [env] variables besides those of this process
 * @property {(text: string) => void} [onStdout] also gets what the program prints
 * @property {string} [cwd] the folder it runs in; the root by default
 */

/**
 * Runs a program with its output shown. Throws when it fails.
 * @param {string} command @param {string[]} args @param {RunOptions} options
 */
export async function run(command, args = [], options = {}) {
  const code = await attempt(command, args, options);
  if (code !== 0) throw new SetupError(`\`${[command, ...args].join(' ')}\` failed (exit code ${code}).`);
}

/**
 * Runs a program with its output shown and resolves to its exit code.
 * @param {string} command @param {string[]} args @param {RunOptions} options
 * @returns {Promise<number | string>}
 */
export function attempt(command, args = [], { env, onStdout, cwd = root } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', onStdout ? 'pipe' : 'inherit', 'inherit'],
      shell: onWindows,
    });
    child.stdout?.on('data', (chunk) => {
      process.stdout.write(chunk);
      onStdout(chunk.toString());
    });
    child.on('error', (/** @type {NodeJS.ErrnoException} */ error) =>
      reject(error.code === 'ENOENT' ? new SetupError(`\`${command}\` is not installed.`) : error),
    );
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
}

/** What a program prints, trimmed, or null when it is missing or fails. */
export function capture(command, args = []) {
  const { status, stdout } = spawnSync(command, args, { cwd: root, encoding: 'utf8', shell: onWindows });
  return status === 0 ? stdout.trim() : null;
}

/** Installs a program from crates.io into .tools/. */
export async function cargoInstall(crate, version) {
  say(`Installing ${crate} ${version} into .tools (once; takes a few minutes)`);
  const args = ['install', crate, '--version', version, '--root', toolsDir];
  // As its authors tested it if we can. A registry mirror may lag behind one of the exact versions they locked.
  if ((await attempt('cargo', [...args, '--locked'])) === 0) return;
  say('That did not work with the locked dependencies; trying with the newest compatible ones');
  await run('cargo', args);
}

/** The full path of a program on PATH, or null. */
export function which(name) {
  for (const folder of process.env.PATH.split(delimiter)) {
    const path = join(folder, onWindows ? `${name}.exe` : name);
    if (folder && existsSync(path)) return path;
  }
  return null;
}

/** True when the dotted version `have` is at least `want`. */
export function atLeast(have, want) {
  const [a, b] = [have, want].map((version) => version.split('.').map((part) => parseInt(part, 10) || 0));
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0);
  return true;
}

/** Runs a script's main function: expected failures in one sentence, bugs with a stack. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    console.error(`\n\x1b[1;31m✗\x1b[0m ${error instanceof SetupError ? error.message : (error?.stack ?? error)}`);
    process.exit(1);
  }
}
