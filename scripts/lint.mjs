// Everything that can be found wrong without running a test: formatting, clippy on both targets,
// types of the declarations and of the demo, and the rules for Cargo.lock.
import { build } from './build.mjs';
import { checkGetrandom } from './lib/lockfile.mjs';
import { main, run, say } from './lib/shell.mjs';
import { setUpNpm, setUpOfficialClients } from './setup/npm.mjs';
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
  await run('cargo', ['clippy', '--locked', '--package', 'sotto', '--lib', '--test', 'web*', '--target', 'wasm32-unknown-unknown', ...strict]);

  say('Documentation of the crates (cargo doc)');
  await run('cargo', ['doc', '--locked', '--workspace', '--no-deps'], { env: { RUSTDOCFLAGS: '-D warnings' } });

  await setUpOfficialClients();
  for (const project of ['scripts', 'tests/e2e', 'tests/interop']) await checkTypes(project);
  // The demo is checked against the declarations of the built package.
  await build();
  await checkTypes('www');
  say('Nothing to complain about');
});

async function checkTypes(project) {
  say(`Types of ${project} (tsc)`);
  await run('tsc', ['--project', `${project}/tsconfig.json`]);
}
