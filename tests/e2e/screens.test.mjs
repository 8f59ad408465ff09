// The demo's screens in states that a real node brings about rarely, over the stand-in of support/mock. Pictures
// of every screen, wide and narrow, light and dark, are left in tests/e2e/results/.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launchBrowser, quietPage } from './support/browser.mjs';
import { serve } from './support/serve.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const sizes = { wide: { width: 1280, height: 800 }, narrow: { width: 360, height: 740 } };
const friend = '0x19ac2e7764f0bb3d5581c9a0ef43127d6e80b5f4';

let server;
let browser;
before(async () => {
  server = await serve({ '/pkg/': here('support/mock'), '/': here('../../www') });
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/**
 * A page at the welcome screen; `setup` runs in it before anything else and may change the stand-in's steps.
 * @param {{ setup?: Function, size?: 'wide' | 'narrow' } & import('playwright-core').BrowserContextOptions} settings
 */
async function open({ setup = () => {}, size = 'wide', ...context } = {}) {
  const opened = await browser.newContext({ viewport: sizes[size], ...context });
  const { page, complaints } = await quietPage(opened);
  await page.addInitScript(`globalThis.mockSetup = ${setup}`);
  await page.goto(server.url);
  return { page, complaints, close: () => opened.close() };
}

async function enter(page) {
  await page.getByRole('button', { name: 'Start chatting' }).click();
  await page.getByRole('navigation', { name: 'Conversations' }).waitFor();
}

async function openConversation(page, name = 'Sunday hike') {
  await page.getByRole('link', { name }).click();
  await page.getByRole('heading', { name, level: 1 }).waitFor();
}

async function write(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

for (const size of /** @type {const} */ (['wide', 'narrow'])) {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    test(`every screen fits, is named for screen readers and complains of nothing: ${size}, ${colorScheme}`, async () => {
      const { page, complaints, close } = await open({ size, colorScheme, reducedMotion: 'reduce' });
      const look = async (name) => {
        await page.screenshot({ path: here(`results/${name}-${size}-${colorScheme}.png`) });
        assert.deepEqual(await page.evaluate(unnamedControls), [], `${name}: controls without a name`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name}: wider than the window`);
      };
      await page.getByRole('button', { name: 'Start chatting' }).waitFor();
      await look('welcome');
      await enter(page);
      await page.getByRole('link', { name: 'Allotment 14' }).waitFor();
      await look('list');
      await openConversation(page);
      await page.getByRole('log').getByText('Good. And who has the key to the hut?').waitFor();
      await look('conversation');
      await page.getByRole('link', { name: 'Members and settings of this group' }).click();
      await page.getByRole('heading', { name: '4 members' }).waitFor();
      await look('members');
      await page.goto(`${server.url}/#/with/${friend}`);
      await page.getByText('can be invited').waitFor();
      await look('new-group');
      await page.goto(`${server.url}/#/settings`);
      await page.getByText('Another app or browser').waitFor();
      await look('you');
      assert.deepEqual(complaints, []);
      await close();
    });
  }
}

/** Runs in the page: controls that are shown and that a screen reader could not name. */
function unnamedControls() {
  return [...document.querySelectorAll('button, a, input, textarea, summary')]
    .filter((control) => control.checkVisibility())
    .filter((/** @type {any} */ control) => {
      const label = control.getAttribute('aria-label') ?? (control.labels?.[0] ?? control).textContent;
      return label.trim() === '';
    })
    .map((control) => control.outerHTML);
}

test('a wallet that refuses leaves the first screen usable and says so', async () => {
  const { page, close } = await open({
    setup: (steps, failure) => (steps.registerError = failure('ERR_SIGNER_REJECTED', 'user rejected the request')),
  });
  await page.getByRole('button', { name: 'Start chatting' }).click();
  await page.getByText('The wallet did not sign, so nothing was changed.').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Start chatting' }).isEnabled());
  await close();
});

test('something that is no key is refused with a sentence', async () => {
  const { page, close } = await open();
  await page.getByText('I have a key from another browser').click();
  await page.getByLabel('Your key').fill('correct horse');
  await page.getByRole('button', { name: 'Use it' }).click();
  await page.getByRole('alert').filter({ hasText: 'This is not a private key of 32 bytes in hex.' }).waitFor();
  await close();
});

test('a browser whose store is gone registers anew only when asked to', async () => {
  const { page, close } = await open({
    setup: (steps, failure) => {
      if (localStorage.getItem('sotto.wallet')) steps.buildError = failure('ERR_STORAGE_MISSING', 'gone');
    },
  });
  await enter(page);
  await page.reload();
  await page.getByText('This browser was registered, but what it stored is gone.').waitFor();
  await page.getByRole('button', { name: 'Register this browser anew' }).click();
  await page.getByText('Sunday hike').waitFor();
  await close();
});

test('a long first sync shows how far it is', async () => {
  const { page, close } = await open({
    setup: (steps) => (steps.sync = [{ done: 40, total: 120, until: new Promise((resolve) => (globalThis.finish = resolve)) }]),
  });
  await enter(page);
  await page.getByText('Catching up: 40 of 120 conversations').waitFor();
  assert.equal(await page.getByRole('progressbar').evaluate((bar) => /** @type {HTMLProgressElement} */ (bar).position), 1 / 3);
  await page.evaluate(() => globalThis.finish());
  await page.getByRole('progressbar').waitFor({ state: 'hidden' });
  await close();
});

test('a lost connection is shown and spoken, and so is its return', async () => {
  const { page, close } = await open();
  await enter(page);
  await page.evaluate(() => globalThis.mock.client.setState('offline'));
  await page.getByText('Offline. What you write is kept').first().waitFor();
  await page.getByRole('status').filter({ hasText: 'Offline' }).waitFor({ state: 'attached' });
  await page.evaluate(() => globalThis.mock.client.setState('live'));
  await page.getByRole('status').filter({ hasText: 'Connected' }).waitFor({ state: 'attached' });
  await page.locator('.connection').waitFor({ state: 'hidden' });
  await close();
});

test('what is written without a connection waits in its place and leaves when the connection is back', async () => {
  const { page, close } = await open();
  await enter(page);
  await openConversation(page);
  await page.evaluate(() => {
    globalThis.mock.client.setState('offline');
    globalThis.mock.steps.sendError = globalThis.mock.failure('ERR_NETWORK', 'unreachable', true);
  });
  await write(page, 'I have the key');
  await page.getByText('· on its way').waitFor();
  await page.evaluate(() => {
    globalThis.mock.steps.sendError = null;
    globalThis.mock.client.setState('live');
  });
  await page.getByText('· on its way').waitFor({ state: 'detached' });
  assert.equal(await page.getByRole('log').getByText('I have the key').count(), 1);
  await close();
});

test('a message that could not be sent stays until it is sent again or discarded', async () => {
  const { page, close } = await open();
  await enter(page);
  await openConversation(page);
  await page.evaluate(() => (globalThis.mock.steps.sendError = globalThis.mock.failure('ERR_PERMISSION_DENIED', 'no')));
  await write(page, 'first');
  await page.getByText('· not sent').waitFor();
  await page.getByRole('alert').filter({ hasText: 'You do not have the right to do that in this group.' }).waitFor();
  await page.evaluate(() => (globalThis.mock.steps.sendError = null));
  await page.getByRole('button', { name: 'Send again' }).click();
  await page.getByText('· not sent').waitFor({ state: 'detached' });
  await page.evaluate(() => (globalThis.mock.steps.sendError = globalThis.mock.failure('ERR_PERMISSION_DENIED', 'no')));
  await write(page, 'second');
  await page.getByRole('button', { name: 'Discard' }).click();
  await page.getByRole('log').getByText('second').waitFor({ state: 'detached' });
  assert.equal(await page.getByRole('log').getByText('first').count(), 1);
  await close();
});

test('what a peer writes is shown as text, and only its web addresses become links', async () => {
  const { page, complaints, close } = await open();
  await enter(page);
  await openConversation(page);
  const text = '<img src=x onerror="document.title=1"> see https://example.org/a?b=1. javascript:alert(1)';
  await page.evaluate((words) => globalThis.mock.conversations.list().then(([group]) => group.receive(globalThis.mock.people.mira, words)), text);
  const message = page.getByRole('log').getByText('<img src=x');
  await message.waitFor();
  assert.equal(await message.textContent(), text);
  assert.deepEqual(await message.getByRole('link').evaluateAll((links) => links.map((link) => /** @type {HTMLAnchorElement} */ (link).href)), ['https://example.org/a?b=1']);
  assert.deepEqual(complaints, []);
  await close();
});

test('somebody removed can read on, cannot write, and is told why', async () => {
  const { page, close } = await open();
  await enter(page);
  await openConversation(page);
  await page.evaluate(() => globalThis.mock.conversations.list().then(([group]) => group.removeMe()));
  await page.getByText('You are no longer in this group.').waitFor();
  assert.equal(await page.getByLabel('Message', { exact: true }).isVisible(), false);
  await close();
});

test('earlier messages come as one scrolls up, in order, and new ones do not move what is read', async () => {
  const { page, close } = await open();
  await enter(page);
  await page.getByRole('link', { name: 'Sunday hike' }).waitFor();
  await page.evaluate(() => {
    const { conversations, people, client } = globalThis.mock;
    const lines = Array.from({ length: 180 }, (_, i) => [people.lena, 4000 - i * 20, `line ${i}`]);
    globalThis.long = conversations.seed('Long', [people.lena, { inboxId: client.inboxId, address: '0x0' }], lines);
    location.hash = `#/c/${globalThis.long.id}`;
  });
  const log = page.getByRole('log');
  await log.getByText('line 179', { exact: true }).waitFor();
  assert.equal(await log.getByText('line 0', { exact: true }).count(), 0);
  for (let i = 0; i < 20 && (await log.getByText('line 0', { exact: true }).count()) === 0; i++) {
    await log.evaluate((element) => element.scrollTo(0, 0));
    await page.waitForFunction(() => document.querySelector('.log').scrollTop > 0 || document.body.textContent.includes('Only the people in this group'));
  }
  const order = await log.locator('.text').allTextContents();
  assert.deepEqual(order, Array.from({ length: 180 }, (_, i) => `line ${i}`));
  const before = await log.evaluate((element) => element.scrollTop);
  await page.evaluate(() => globalThis.long.receive(globalThis.mock.people.lena, 'the newest'));
  await page.getByRole('button', { name: 'To the newest message' }).click();
  await log.getByText('the newest').waitFor();
  assert.ok((await log.evaluate((element) => element.scrollTop)) > before);
  await close();
});

test('the keyboard is enough: choose a conversation, write, send, invite somebody, go back', async () => {
  const { page, close } = await open();
  await page.getByRole('button', { name: 'Start chatting' }).press('Enter');
  await page.getByRole('link', { name: /Allotment 14/ }).press('Enter');
  await page.getByLabel('Message', { exact: true }).waitFor();
  await page.waitForFunction(() => document.activeElement?.id === 'words');
  await page.keyboard.type('From the keyboard');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('on two lines');
  await page.keyboard.press('Enter');
  const sent = page.getByRole('log').getByText('From the keyboard');
  await sent.waitFor();
  assert.equal(await sent.textContent(), 'From the keyboard\non two lines');
  await page.getByRole('link', { name: 'Members and settings of this group' }).press('Enter');
  await page.getByLabel('Invite people').fill(friend);
  await page.getByLabel('Invite people').press('Enter');
  await page.getByText('can be invited').waitFor();
  await page.getByRole('button', { name: 'Invite', exact: true }).press('Enter');
  await page.getByRole('heading', { name: '4 members' }).waitFor();
  await page.goBack();
  await page.waitForFunction(() => location.hash.endsWith('members') === false);
  await close();
});

test('a name given to somebody is used everywhere, here only, and the address stays visible', async () => {
  const { page, close } = await open();
  await enter(page);
  await openConversation(page);
  await page.getByRole('link', { name: 'Members and settings of this group' }).click();
  await page.getByRole('button', { name: '0x19ac…b5f4' }).click();
  await page.getByLabel('What do you call them?').fill('Mira');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('log').getByText('Mira', { exact: true }).first().waitFor();
  await page.getByRole('region', { name: 'Members' }).getByText(friend).waitFor();
  await page.getByRole('navigation', { name: 'Conversations' }).getByText('Mira', { exact: true }).waitFor();
  await close();
});
