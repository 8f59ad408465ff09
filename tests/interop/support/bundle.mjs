// The official SDK as a browser loads it: page, workers and wasm, put together as an app's bundler would.
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const installed = fileURLToPath(new URL('../node_modules/@xmtp/', import.meta.url));

/**
 * Bundles the official SDK into a folder: `index.js` for pages, `workers/` beside it, the wasm beside each.
 * @param {string} folder
 */
export async function bundleOfficialSdk(folder) {
  const dist = join(installed, 'browser-sdk', 'dist');
  await build({
    entryPoints: [join(dist, 'index.js'), join(dist, 'workers', 'client.js'), join(dist, 'workers', 'opfs.js')],
    outbase: dist,
    outdir: folder,
    bundle: true,
    format: 'esm',
    logLevel: 'error',
  });
  const wasm = join(installed, 'wasm-bindings', 'dist', 'bindings_wasm_bg.wasm');
  await mkdir(join(folder, 'workers'), { recursive: true });
  for (const beside of ['.', 'workers']) await cp(wasm, join(folder, beside, 'bindings_wasm_bg.wasm'));
}
