// Node's version and the development dependencies in node_modules.
import { copyFileSync, existsSync } from 'node:fs';
import { at, atLeast, read, run, say, SetupError } from '../lib/shell.mjs';

const nodeWanted = '20.0.0';
const mark = 'node_modules/.sotto-lock.json';

/** Checks Node and installs the dependencies when they are missing or not those of package-lock.json. */
export async function setUpNpm() {
  if (!atLeast(process.versions.node, nodeWanted)) {
    throw new SetupError(`Node ${process.versions.node} is too old: 20 or newer is needed (https://nodejs.org).`);
  }
  if (existsSync(at(mark)) && read(mark) === read('package-lock.json')) return;
  say('Installing development dependencies (npm ci)');
  await run('npm', ['ci', '--no-audit', '--no-fund']);
  // Written last: an interrupted install is done again.
  copyFileSync(at('package-lock.json'), at(mark));
}
