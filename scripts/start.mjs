// Sets everything up, builds, and starts a node on this machine with the demo on the same port.
// `npm start -- --port 8080` for another port. Its data stays in .data/ and is there at the next start.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { build } from './build.mjs';
import { at, main, root, run, say, SetupError } from './lib/shell.mjs';

await main(async () => {
  const port = readPort();
  await build();
  say('Compiling the node');
  await run('cargo', ['build', '--locked', '--package', 'sotto-node']);

  mkdirSync(at('.data'), { recursive: true });
  say(`Starting the node. Open http://127.0.0.1:${port} in two browser profiles and say hello. Ctrl+C stops it.`);
  const program = at('target', 'debug', process.platform === 'win32' ? 'sotto-node.exe' : 'sotto-node');
  const node = spawn(
    program,
    ['--listen', `127.0.0.1:${port}`, '--store', 'sqlite:.data/node.db', '--www', 'dist/www'],
    { cwd: root, stdio: 'inherit' },
  );
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => node.kill(signal));
  const code = await new Promise((resolve, reject) => {
    node.on('error', reject);
    node.on('exit', resolve);
  });
  if (code) throw new SetupError(`The node stopped with exit code ${code}.`);
});

function readPort() {
  const index = process.argv.indexOf('--port');
  if (index < 0) return 5556;
  const port = Number(process.argv[index + 1]);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new SetupError('--port takes a number from 1 to 65535.');
  return port;
}
