// Headless Chromium for the end-to-end tests. One browser a test file, one context a person.
import { chromium } from 'playwright-core';

/**
 * A running browser. The caller closes it.
 * @returns {Promise<import('playwright-core').Browser>}
 */
export function launchBrowser() {
  const executablePath = process.env.CHROME_PATH;
  if (!executablePath) throw new Error('CHROME_PATH is not set; run this through `npm run test:e2e`.');
  const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath, args: [...asRoot, '--disable-gpu'] });
}

/**
 * A page that fails the test when it logs an error or throws. `allow` holds what is expected to go wrong.
 * @param {import('playwright-core').BrowserContext} context
 * @param {{ allow?: RegExp[] }} [options]
 */
export async function quietPage(context, { allow = [] } = {}) {
  const page = await context.newPage();
  const complaints = [];
  const note = (text) => {
    if (!allow.some((pattern) => pattern.test(text))) complaints.push(text);
  };
  page.on('console', (message) => message.type() === 'error' && note(message.text()));
  page.on('pageerror', (error) => note(String(error)));
  return { page, complaints };
}
