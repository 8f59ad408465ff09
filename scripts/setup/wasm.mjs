// The tools that make a web package of the Rust library: wasm-bindgen's CLI, whose version must be that of
// the crate in Cargo.lock, and wasm-pack. Both go into .tools/, so nothing on the machine is replaced.
import { lockedVersion } from '../lib/lockfile.mjs';
import { atLeast, attempt, capture, run, say, toolsDir } from '../lib/shell.mjs';

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

async function cargoInstall(crate, version) {
  say(`Installing ${crate} ${version} into .tools (once; takes a few minutes)`);
  const args = ['install', crate, '--version', version, '--root', toolsDir];
  // As its authors tested it if we can. A registry mirror may lag behind one of the exact versions they locked.
  if ((await attempt('cargo', [...args, '--locked'])) === 0) return;
  say('That did not work with the locked dependencies; trying with the newest compatible ones');
  await run('cargo', args);
}
