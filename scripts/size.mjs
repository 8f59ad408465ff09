// How big the package is for the people who load a page with it: all its JavaScript and WebAssembly,
// raw and as a web server compresses them. Fails above the budget.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { at, main, SetupError } from './lib/shell.mjs';

// What `import 'sotto'` does not load: the other entries, one of which holds the engine a second time.
const otherEntries = ['inline.js', 'inline-wasm.js', 'sw.js', 'node.js'];
const budget = 900 * 1024; // bytes of gzip

await main(async () => {
  if (!existsSync(at('pkg'))) throw new SetupError('There is no pkg/ yet. Run `npm run build` first.');
  const rows = readdirSync(at('pkg'))
    .filter((name) => /\.(js|wasm)$/.test(name) && !otherEntries.includes(name))
    .map((name) => measure(name, readFileSync(at('pkg', name))));
  const total = rows.reduce((sum, row) => sum.map((n, i) => n + row.sizes[i]), [0, 0, 0]);

  print('', ['raw', 'gzip', 'brotli']);
  for (const { name, sizes } of rows) print(name, sizes.map(kilobytes));
  print('total', total.map(kilobytes));

  if (total[1] > budget) {
    throw new SetupError(`The package is ${kilobytes(total[1])} of gzip; the budget is ${kilobytes(budget)}.`);
  }
  console.log(`${kilobytes(budget - total[1])} of gzip below the budget of ${kilobytes(budget)}.`);
});

function measure(name, bytes) {
  return { name, sizes: [bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes).length] };
}

function kilobytes(bytes) {
  return `${(bytes / 1024).toFixed(1)} KB`;
}

function print(name, columns) {
  console.log(name.padEnd(20) + columns.map((column) => column.padStart(12)).join(''));
}
