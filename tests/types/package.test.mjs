// What would be published: the files of the tarball, and whether other people's tools find the entries and their types.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isCurrent } from '../../scripts/api.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
let folder;
let packed;

/** Runs a tool and returns what it printed; fails with that when the tool does. */
function tool(command, args, cwd = root) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sotto-pack-'));
  [packed] = JSON.parse(tool('npm', ['pack', '--json', '--pack-destination', folder], join(root, 'pkg')));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('every entry is in the tarball with its declarations, and so are the engine and the licences', () => {
  const files = packed.files.map(({ path }) => path);
  const { exports } = JSON.parse(readFileSync(join(root, 'pkg', 'package.json'), 'utf8'));
  const wanted = Object.values(exports).flatMap((target) => (typeof target === 'string' ? [target] : Object.values(target)));
  for (const path of [...wanted, './LICENSE-MIT', './LICENSE-APACHE', './README.md', './inline-wasm.js']) {
    assert.ok(files.includes(path.replace('./', '')), `${path} is missing`);
  }
});

test('publint finds nothing wrong', () => {
  tool(join(root, 'node_modules', '.bin', 'publint'), [join(folder, packed.filename), '--strict']);
});

test('TypeScript finds the types of every entry in each way of resolving that knows ES modules', () => {
  const args = [join(folder, packed.filename), '--profile', 'esm-only', '--exclude-entrypoints', './sotto_bg.wasm'];
  tool(join(root, 'node_modules', '.bin', 'attw'), args);
});

test('the API report is that of the declarations', () => {
  assert.ok(isCurrent(), 'api/sotto.api.md is stale: run `npm run api` and look at what changed');
});
