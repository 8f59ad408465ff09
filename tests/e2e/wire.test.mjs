// The search for leaks is only worth something if it finds what is there.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { launchBrowser, quietPage } from './support/browser.mjs';
import { Wire, find, formsOf, formsOfId } from './support/wire.mjs';

const secret = 'Three! The smallest hides behind the pipe.';

test('a text is found as it is, in UTF-16, in hex and in base64 wherever it starts', () => {
  const forms = formsOf(secret);
  for (let before = 0; before < 7; before++) {
    const plain = Buffer.concat([Buffer.alloc(before, 7), Buffer.from(secret), Buffer.alloc(5, 9)]);
    for (const bytes of [plain, Buffer.from(plain.toString('hex')), Buffer.from(plain.toString('base64'))]) assert.ok(find(bytes, forms));
  }
  assert.ok(find(Buffer.from(`x${secret}`, 'utf16le'), forms));
  assert.equal(find(Buffer.from(secret.slice(1)), forms), undefined);
});

test('an id is found as text and as bytes', () => {
  const id = 'ab12'.repeat(16);
  assert.ok(find(Buffer.from(`…${id}…`), formsOfId(id)));
  assert.ok(find(Buffer.concat([Buffer.from([1, 2]), Buffer.from(id, 'hex')]), formsOfId(`0x${id}`)));
});

test('bodies of requests and responses and messages of a socket are recorded, binary ones too', { timeout: 30_000 }, async () => {
  const server = createServer((request, response) => {
    if (request.method !== 'POST') return response.setHeader('content-type', 'text/html').end('<p>hello');
    request.resume().on('end', () => response.setHeader('content-type', 'application/grpc-web+proto').end(Buffer.from([0, 255, 128, 3])));
  });
  server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.write(Buffer.from([0x82, 3, 250, 251, 252]));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const browser = await launchBrowser();
  try {
    const { page } = await quietPage(await browser.newContext(), { allow: [/./] });
    const wire = await Wire.record(page);
    await page.goto(`http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/`);
    await page.evaluate(async () => {
      await (await fetch('/call', { method: 'POST', body: new Uint8Array([9, 200, 201, 0, 202]) })).arrayBuffer();
      const socket = new WebSocket(`ws://${location.host}/socket`);
      socket.binaryType = 'arraybuffer';
      await new Promise((resolve) => (socket.onmessage = resolve));
      socket.send(new Uint8Array([240, 241]));
    });
    const has = (where, bytes) => wire.matching(where).some((passage) => passage.bytes.equals(Buffer.from(bytes)));
    while (!has(/^sent ws/, [240, 241])) await page.waitForTimeout(10);
    await wire.settled();
    assert.ok(has(/^request .*\/call/, [9, 200, 201, 0, 202]), 'request');
    assert.ok(has(/^response .*\/call/, [0, 255, 128, 3]), 'response');
    assert.ok(has(/^received ws/, [250, 251, 252]), 'received');
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
});
