// The Rust toolchain: present, recent enough, able to build for the browser and to lint.
import { existsSync } from 'node:fs';
import { atLeast, capture, read, run, say, SetupError, which } from '../lib/shell.mjs';

const wasmTarget = 'wasm32-unknown-unknown';

/** Checks cargo and adds the wasm32 target, clippy and rustfmt where rustup can. */
export async function setUpRust() {
  const version = capture('rustc', ['--version'])?.match(/rustc (\S+)/)?.[1];
  if (!version || !which('cargo')) {
    throw new SetupError('Rust is missing. Install it from https://rustup.rs and run this again.');
  }
  const wanted = read('Cargo.toml').match(/rust-version = "([^"]+)"/)?.[1] ?? '1.90';
  if (!atLeast(version, wanted)) {
    throw new SetupError(`Rust ${version} is too old: ${wanted} or newer is needed. Run \`rustup update stable\`.`);
  }

  const targetLibs = capture('rustc', ['--print', 'target-libdir', '--target', wasmTarget]);
  if (!targetLibs || !existsSync(targetLibs)) {
    await addWithRustup(`the ${wasmTarget} target`, ['target', 'add', wasmTarget]);
  }
  for (const [component, tool] of [['clippy', 'cargo-clippy'], ['rustfmt', 'rustfmt']]) {
    if (capture(tool, ['--version']) === null) {
      await addWithRustup(component, ['component', 'add', component]);
    }
  }
}

async function addWithRustup(what, args) {
  if (!which('rustup')) {
    throw new SetupError(`Rust lacks ${what}, and there is no rustup to add it. Install rustup from https://rustup.rs.`);
  }
  say(`Adding ${what} to Rust`);
  await run('rustup', args);
}
