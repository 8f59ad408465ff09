// All tests, or the named parts: `node scripts/test.mjs [rust] [web] [types] [e2e] [interop]`. Sets up what they need.
// Every part runs even when one before it failed; the last lines say what each one counted.
import { readdirSync } from 'node:fs';
import { build } from './build.mjs';
import { Counter } from './lib/counter.mjs';
import { at, attempt, main, run, say, SetupError } from './lib/shell.mjs';
import { setUpBrowser } from './setup/browser.mjs';
import { setUpNpm, setUpOfficialClients } from './setup/npm.mjs';
import { setUpRust } from './setup/rust.mjs';
import { setUpWasmTools } from './setup/wasm.mjs';

const suites = { rust: testRust, web: testWeb, types: testTypes, e2e: testEndToEnd, interop: testInterop };

await main(async () => {
  const asked = process.argv.slice(2);
  const unknown = asked.find((name) => !(name in suites));
  if (unknown) throw new SetupError(`There is no test suite "${unknown}"; there are ${Object.keys(suites).join(', ')}.`);

  await setUpRust();
  await setUpNpm();

  const results = [];
  for (const name of asked.length > 0 ? asked : Object.keys(suites)) {
    const counter = new Counter();
    const started = performance.now();
    const code = await suites[name](counter);
    results.push({ name, code, counter, seconds: Math.round((performance.now() - started) / 1000) });
  }

  console.log('');
  for (const { name, code, counter, seconds } of results) {
    console.log(`${name.padEnd(7)} ${counter} (${seconds} s)${code === 0 ? '' : '  ✗'}`);
  }
  const failed = results.filter(({ code }) => code !== 0).map(({ name }) => name);
  if (failed.length > 0) throw new SetupError(`Failed: ${failed.join(', ')}.`);
});

/** Unit tests and scenarios, on this machine. */
async function testRust(counter) {
  say('Rust tests, the whole workspace');
  return attempt('cargo', ['test', '--locked', '--workspace'], { onStdout: counter.take });
}

/** Tests of the browser parts, in a headless browser. Flags for it are in webdriver.json. */
async function testWeb(counter) {
  await setUpWasmTools();
  const { driver } = await setUpBrowser();
  say('Browser tests (headless)');
  return attempt('wasm-pack', ['test', '--mode', 'no-install', '--headless', '--chrome', '--chromedriver', driver, '--', '--locked', '--test', 'web*'], {
    // Seconds for the whole run, not for one test.
    env: { WASM_BINDGEN_TEST_TIMEOUT: '600' },
    onStdout: counter.take,
  });
}

/** Use of the declarations that must and must not compile, and whether they say what is there. */
async function testTypes(counter) {
  await build();
  say('Type tests (tsc)');
  const compiles = await attempt('tsc', ['--project', 'tests/types/tsconfig.json']);
  counter.add(compiles === 0 ? 1 : 0, compiles === 0 ? 0 : 1);
  const agrees = await nodeTest(['tests/types/declared.test.mjs', 'tests/types/package.test.mjs'], {}, counter);
  return compiles || agrees;
}

/** Runs test files with Node's own runner, one after the other. */
function nodeTest(files, env, counter) {
  return attempt(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files], { env, onStdout: counter.take });
}

/** The built package in real pages against a real node. */
function testEndToEnd(counter) {
  return testInPages('e2e', 'End-to-end tests', counter);
}

/** The official SDK on our node, alone and in groups with ours. */
async function testInterop(counter) {
  await setUpOfficialClients();
  return testInPages('interop', 'Tests with the official SDK', counter);
}

/** Tests of a folder below tests/ that use pages, the built package and a node. */
async function testInPages(name, title, counter) {
  const files = readdirSync(at('tests', name)).filter((file) => file.endsWith('.test.mjs'));
  await build();
  say('Compiling the node');
  await run('cargo', ['build', '--locked', '--package', 'sotto-node']);
  const { browser } = await setUpBrowser();
  say(title);
  return nodeTest(files.map((file) => `tests/${name}/${file}`), { CHROME_PATH: browser }, counter);
}
