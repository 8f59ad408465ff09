// Node's version and the development dependencies in node_modules.
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { at, atLeast, run, say, SetupError } from '../lib/shell.mjs';

const nodeWanted = '20.0.0';

/** Checks Node and installs the dependencies when they are missing or not those of package-lock.json. */
export async function setUpNpm() {
  if (!atLeast(process.versions.node, nodeWanted)) {
    throw new SetupError(`Node ${process.versions.node} is too old: 20 or newer is needed (https://nodejs.org).`);
  }
  await installIn('.', 'development dependencies');
}

/** Installs the official clients that the tests of wire compatibility run. */
export async function setUpOfficialClients() {
  await installIn('tests/interop', 'the official clients');
}

async function installIn(folder, what) {
  const lock = at(folder, 'package-lock.json');
  const mark = at(folder, 'node_modules', '.sotto-lock.json');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === readFileSync(lock, 'utf8')) return;
  say(`Installing ${what} (npm ci)`);
  await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: at(folder) });
  // Written last: an interrupted install is done again.
  copyFileSync(lock, mark);
}
