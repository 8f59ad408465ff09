// Everything that can be found wrong without running a test: formatting, clippy on both targets,
// types of the declarations and of the demo, and the rules for Cargo.lock.
import { existsSync } from 'node:fs';
import { checkGetrandom } from './lib/lockfile.mjs';
import { at, main, read, run, say } from './lib/shell.mjs';
import { setUpNpm } from './setup/npm.mjs';
import { setUpRust } from './setup/rust.mjs';

const strict = ['--', '-D', 'warnings'];

await main(async () => {
  await setUpRust();
  await setUpNpm();

  say('Cargo.lock: every getrandom has a browser back end');
  checkGetrandom();

  say('Formatting (cargo fmt)');
  await run('cargo', ['fmt', '--all', '--check']);

  say('Clippy on this machine, the whole workspace');
  await run('cargo', ['clippy', '--locked', '--workspace', '--all-targets', ...strict]);

  say('Clippy for the browser (wasm32)');
  const webTests = /^name = "web"$/m.test(read('Cargo.toml')) ? ['--test', 'web'] : [];
  await run('cargo', ['clippy', '--locked', '--package', 'sotto', '--lib', ...webTests, '--target', 'wasm32-unknown-unknown', ...strict]);

  for (const project of ['scripts', 'www', 'tests/e2e']) {
    if (!existsSync(at(project, 'tsconfig.json'))) continue;
    say(`Types of ${project} (tsc)`);
    await run('tsc', ['--project', `${project}/tsconfig.json`]);
  }
  say('Nothing to complain about');
});
