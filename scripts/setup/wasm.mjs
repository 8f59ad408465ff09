// The tools that make a web package of the Rust library: wasm-bindgen's CLI, whose version must be that of
// the crate in Cargo.lock, and wasm-pack. Both go into .tools/, so nothing on the machine is replaced.
import { lockedVersion } from '../lib/lockfile.mjs';
import { atLeast, capture, cargoInstall } from '../lib/shell.mjs';

const wasmPack = { install: '0.15.1', atLeast: '0.13.0' };

/** Installs wasm-bindgen-cli and wasm-pack where the right version is not there already. */
export async function setUpWasmTools() {
  const wanted = lockedVersion('wasm-bindgen');
  if (installed('wasm-bindgen') !== wanted) await cargoInstall('wasm-bindgen-cli', wanted);

  const pack = installed('wasm-pack');
  if (!pack || !atLeast(pack, wasmPack.atLeast)) await cargoInstall('wasm-pack', wasmPack.install);
}

function installed(tool) {
  return capture(tool, ['--version'])?.match(/\d+\.\d+\.\d+/)?.[0] ?? null;
}
