// Everything that crosses the network of a page, decoded as the page sees it: request and response bodies and
// WebSocket messages. And the search for things that must not be in there.

/**
 * @typedef {{ where: string, bytes: Buffer }} Passage `where` is "request", "response", "sent" or "received", and a URL
 */

export class Wire {
  /** @type {Passage[]} */
  passages = [];
  #waiting = new Set();
  #urls = new Map();
  #session;

  /**
   * Records from now on. To be called before the page goes anywhere.
   * @param {import('playwright-core').Page} page
   */
  static async record(page) {
    const wire = new Wire();
    const session = await page.context().newCDPSession(page);
    wire.#session = session;
    session.on('Network.requestWillBeSent', ({ requestId, request }) => {
      wire.#urls.set(requestId, request.url);
      wire.#note(`request ${request.url}`, Buffer.from(request.url));
      for (const { bytes } of request.postDataEntries ?? []) if (bytes) wire.#note(`request ${request.url}`, Buffer.from(bytes, 'base64'));
      if (request.hasPostData && !request.postDataEntries?.length) wire.#fetchRequest(requestId);
    });
    session.on('Network.loadingFinished', ({ requestId }) => wire.#fetchResponse(requestId));
    session.on('Network.webSocketCreated', ({ requestId, url }) => wire.#urls.set(requestId, url));
    session.on('Network.webSocketFrameSent', ({ requestId, response }) => wire.#noteFrame('sent', requestId, response));
    session.on('Network.webSocketFrameReceived', ({ requestId, response }) => wire.#noteFrame('received', requestId, response));
    await session.send('Network.enable', { maxPostDataSize: 64 * 1024 * 1024 });
    return wire;
  }

  /** Resolves when the bodies asked for so far have arrived. */
  async settled() {
    while (this.#waiting.size > 0) await Promise.all(this.#waiting);
  }

  /** The passages to or from URLs that match. */
  matching(pattern) {
    return this.passages.filter(({ where }) => pattern.test(where));
  }

  #noteFrame(direction, requestId, { opcode, payloadData }) {
    this.#note(`${direction} ${this.#urls.get(requestId)}`, Buffer.from(payloadData, opcode === 2 ? 'base64' : 'utf8'));
  }

  #fetchRequest(requestId) {
    this.#later(async () => {
      const { postData } = await this.#session.send('Network.getRequestPostData', { requestId });
      this.#note(`request ${this.#urls.get(requestId)}`, Buffer.from(postData, 'latin1'));
    });
  }

  #fetchResponse(requestId) {
    this.#later(async () => {
      const { body, base64Encoded } = await this.#session.send('Network.getResponseBody', { requestId });
      this.#note(`response ${this.#urls.get(requestId)}`, Buffer.from(body, base64Encoded ? 'base64' : 'utf8'));
    });
  }

  /** A body can be gone when the page has moved on; then there is nothing to record. */
  #later(work) {
    const promise = work()
      .catch(() => {})
      .finally(() => this.#waiting.delete(promise));
    this.#waiting.add(promise);
  }

  #note(where, bytes) {
    this.passages.push({ where, bytes });
  }
}

/**
 * The forms in which a text could lie in bytes: as it is, in UTF-16, in hex, in base64 at each of its three offsets.
 * @param {string} text
 */
export function formsOf(text) {
  const utf8 = Buffer.from(text, 'utf8');
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), utf8]).toString('base64');
    // The first and last characters also hold bits of what stands before and after.
    return Buffer.from(encoded.slice(Math.ceil((offset * 4) / 3), Math.floor(((offset + utf8.length) * 4) / 3)));
  });
  return [utf8, Buffer.from(text, 'utf16le'), Buffer.from(utf8.toString('hex')), ...base64];
}

/** An id in hex as it could lie in bytes: as text, and as what the hex stands for. */
export function formsOfId(hex) {
  const plain = hex.replace(/^0x/, '');
  return [Buffer.from(plain), Buffer.from(plain, 'hex')];
}

/** The first of the forms that occurs in the bytes, or undefined. */
export function find(bytes, forms) {
  return forms.find((form) => bytes.includes(form));
}
