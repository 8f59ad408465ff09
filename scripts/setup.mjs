// Everything a fresh machine needs, each step quick when it is done already.
// `node scripts/setup.mjs [--firefox]` sets up all of it; the other scripts ask for the parts they use.
import { main, say } from './lib/shell.mjs';
import { setUpBrowser } from './setup/browser.mjs';
import { setUpNpm, setUpOfficialClients } from './setup/npm.mjs';
import { setUpRust } from './setup/rust.mjs';
import { setUpWasmTools } from './setup/wasm.mjs';

await main(async () => {
  await setUpRust();
  await setUpNpm();
  await setUpOfficialClients();
  await setUpWasmTools();
  await setUpBrowser();
  if (process.argv.includes('--firefox')) await setUpBrowser('firefox');
  say('Everything is set up');
});
