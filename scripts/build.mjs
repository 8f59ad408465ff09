// Makes pkg/, the npm package: wasm-pack, then wasm-opt, then our JavaScript entry and package.json.
// And dist/www/, the demo with the package beside it. `--dev` leaves out the slow optimisation.
// Nothing is rebuilt when the inputs are those of the last build.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { at, main, read, run, say } from './lib/shell.mjs';
import { setUpNpm } from './setup/npm.mjs';
import { setUpRust } from './setup/rust.mjs';
import { setUpWasmTools } from './setup/wasm.mjs';

const wasm = 'pkg/sotto_bg.wasm';
const entryFolder = 'src/wasm/js';

// What every browser of the last years has, named one by one: "all features" would let wasm-opt use
// proposals that a browser in use refuses to load.
const wasmFeatures = [
  'bulk-memory',
  'multivalue',
  'mutable-globals',
  'nontrapping-float-to-int',
  'reference-types',
  'sign-ext',
].map((feature) => `--enable-${feature}`);

/** Builds pkg/ and dist/www/. */
export async function build({ dev = false } = {}) {
  await setUpRust();
  await setUpNpm();
  await setUpWasmTools();

  const profile = dev ? 'dev' : 'release';
  say(`Compiling the library to WebAssembly (${profile})`);
  const target = ['--target', 'wasm32-unknown-unknown'];
  await run('cargo', ['build', '--package', 'sotto', '--lib', ...target, ...(dev ? [] : ['--release'])]);

  const stamp = inputsDigest(dev);
  const stampFile = at('target', 'pkg.stamp');
  if (existsSync(at(wasm)) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
    say('pkg/ is up to date');
  } else {
    rmSync(stampFile, { force: true });
    await makePackage(dev);
    writeFileSync(stampFile, stamp);
  }
  assembleDemo();
}

async function makePackage(dev) {
  rmSync(at('pkg'), { recursive: true, force: true });
  await run('wasm-pack', [
    'build', dev ? '--dev' : '--release', '--target', 'web', '--out-dir', 'pkg', '--out-name', 'sotto',
    '--mode', 'no-install', '--no-opt', '--no-pack', '--no-gitignore',
  ]);
  if (!dev) {
    say('Optimising the WebAssembly (wasm-opt)');
    await run('wasm-opt', ['-Oz', ...wasmFeatures, '--strip-producers', '-o', `${wasm}.opt`, wasm]);
    renameSync(at(`${wasm}.opt`), at(wasm));
  }
  if (existsSync(at(entryFolder))) cpSync(at(entryFolder), at('pkg'), { recursive: true });
  for (const file of ['README.md', 'CHANGELOG.md', 'LICENSE-MIT', 'LICENSE-APACHE']) {
    if (existsSync(at(file))) cpSync(at(file), at('pkg', file));
  }
  // For the entry that holds the engine itself.
  const packed = gzipSync(readFileSync(at(wasm)), { level: 9 }).toString('base64');
  writeFileSync(at('pkg', 'inline-wasm.js'), `export const gzipBase64 = "${packed}";\n`);
  writeFileSync(at('pkg', 'package.json'), `${JSON.stringify(packageJson(), null, 2)}\n`);
}

/** The manifest people install. Its version is that of the workspace in Cargo.toml. */
function packageJson() {
  const cargo = read('Cargo.toml');
  const field = (name) => cargo.match(new RegExp(`^${name} = "([^"]+)"`, 'm'))[1];
  const entry = (name) => ({ types: `./${name}.d.ts`, default: `./${name}.js` });
  return {
    name: 'sotto',
    version: field('version'),
    description: field('description'),
    keywords: ['chat', 'mls', 'rfc9420', 'end-to-end encryption', 'xmtp', 'wasm'],
    license: field('license'),
    repository: { type: 'git', url: `git+${field('repository')}.git` },
    type: 'module',
    // The entries say where the engine is; a bundler must not leave that out.
    sideEffects: ['./index.js', './inline.js', './sw.js', './node.js'],
    exports: {
      '.': entry('index'),
      './inline': entry('inline'),
      './sw': entry('sw'),
      './node': entry('node'),
      './sotto_bg.wasm': './sotto_bg.wasm',
      './package.json': './package.json',
    },
    types: './index.d.ts',
    engines: { node: '>=20' },
    files: ['*.js', '*.d.ts', '*.wasm', 'CHANGELOG.md', 'LICENSE-*'],
  };
}

/** dist/www/: what a web server hands out. The demo finds the package at ./pkg/, as its import map says. */
function assembleDemo() {
  if (!existsSync(at('www'))) return;
  const out = at('dist', 'www');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const notServed = ['README.md', 'tsconfig.json', 'pkg'];
  cpSync(at('www'), out, { recursive: true, filter: (path) => !notServed.includes(basename(path)) });
  cpSync(at('pkg'), join(out, 'pkg'), { recursive: true, filter: (path) => !/(package\.json|inline(-wasm)?\.js|node\.js)$/.test(path) });
}

function inputsDigest(dev) {
  const hash = createHash('sha256').update(String(dev));
  const compiled = `target/wasm32-unknown-unknown/${dev ? 'debug' : 'release'}/sotto.wasm`;
  const scripts = ['scripts/build.mjs', 'Cargo.toml', 'package-lock.json', 'README.md', 'CHANGELOG.md'];
  for (const file of [compiled, ...scripts, ...filesBelow(entryFolder)]) {
    if (existsSync(at(file))) hash.update(file).update(readFileSync(at(file)));
  }
  return hash.digest('hex');
}

function filesBelow(folder) {
  if (!existsSync(at(folder))) return [];
  return readdirSync(at(folder))
    .sort()
    .flatMap((name) => {
      const path = `${folder}/${name}`;
      return statSync(at(path)).isDirectory() ? filesBelow(path) : [path];
    });
}

if (process.argv[1] === at('scripts', 'build.mjs')) {
  await main(() => build({ dev: process.argv.includes('--dev') }));
}
