// Pages that use the package without the demo: an empty page on the node's origin, in which tests run code.

/**
 * An empty page. In it `sotto()` imports the package, and `make(options)` makes a client with a new wallet.
 * @param {import('playwright-core').BrowserContext} context @param {string} url the node's
 */
export async function apiPage(context, url) {
  const page = await context.newPage();
  await page.route('**/empty.html', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>empty</title>' }));
  await page.addInitScript(prepare);
  await page.goto(`${url}/empty.html`);
  return page;
}

/** Runs in the page. */
function prepare() {
  const sotto = () => import(new URL('/pkg/index.js', location.href).href);
  Object.assign(globalThis, {
    sotto,
    /** A client for a new wallet. */
    async make(options = {}) {
      const { Client, LocalWallet } = await sotto();
      const wallet = await LocalWallet.generate();
      const client = await Client.create(wallet.signer(), { apiUrl: location.origin, ...options });
      return { wallet, client };
    },
    /** What a call fails with, as plain data; or `{ fulfilled: true }`. */
    async failureOf(call) {
      const { SottoError } = await sotto();
      try {
        await call();
        return { fulfilled: true };
      } catch (error) {
        const { name, code, retryable, message } = error;
        return { name, code, retryable, message, typed: error instanceof SottoError && error instanceof Error };
      }
    },
  });
}
