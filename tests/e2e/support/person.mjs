// Somebody who uses the demo: a browser context of their own, and what one does and sees in the app.
import { Wire } from './wire.mjs';
import { quietPage } from './browser.mjs';

// What a browser says when a server goes away. The app says it in its own words, which is tested.
const offline = [/Failed to load resource/, /WebSocket connection/, /net::ERR/];

export class Person {
  /** @type {import('playwright-core').BrowserContext} */
  context;
  /** @type {import('playwright-core').Page} */
  page;
  /** @type {Wire} */
  wire;
  /** Errors the page logged or threw. @type {string[]} */
  complaints;

  /**
   * Opens the demo for somebody new.
   * @param {import('playwright-core').Browser} browser @param {string} url
   * @param {import('playwright-core').BrowserContextOptions & { injectedWallet?: boolean }} [settings]
   */
  static async arrive(browser, url, { injectedWallet = false, ...settings } = {}) {
    const person = new Person();
    person.context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...settings });
    if (injectedWallet) await person.context.addInitScript(installWallet);
    Object.assign(person, await quietPage(person.context, { allow: offline }));
    person.wire = await Wire.record(person.page);
    await person.page.goto(url);
    return person;
  }

  /** Registers with the wallet made in the page, or with the browser's. */
  async register(button = 'Start chatting') {
    await this.page.getByRole('button', { name: button }).click();
    await this.isIn();
    return this;
  }

  /** Waits until the app shows its list. */
  async isIn() {
    await this.page.getByRole('navigation', { name: 'Conversations' }).waitFor();
  }

  /** Address, inbox and installation, read off the page about oneself. */
  async identity() {
    await this.page.getByRole('link', { name: /^You/ }).click();
    await this.page.getByRole('heading', { name: 'You', level: 1 }).waitFor();
    const fact = (name) => this.page.locator(`dt:text-is("${name}") + dd`).textContent();
    const address = await this.page.locator('.identity .address').textContent();
    return { address, inboxId: await fact('Inbox'), installationId: await fact('Installation') };
  }

  /** Makes a group and is in it. */
  async makeGroup(name, addresses) {
    await this.page.getByRole('button', { name: 'New group' }).click();
    await this.page.getByLabel(/^Name/).fill(name);
    await this.page.getByLabel('People', { exact: true }).fill(addresses.join(' '));
    await this.page.getByRole('button', { name: 'Make the group' }).click();
    await this.page.getByRole('heading', { name, level: 1 }).waitFor();
  }

  /** Opens a conversation from the list, which it may have to appear in first. */
  async openConversation(name) {
    await this.page.getByRole('navigation', { name: 'Conversations' }).getByRole('link', { name }).click();
    await this.page.getByRole('heading', { name, level: 1 }).waitFor();
  }

  /** Writes in the open conversation and sends. Does not wait. */
  async say(text) {
    await this.page.getByLabel('Message', { exact: true }).fill(text);
    await this.page.getByLabel('Message', { exact: true }).press('Enter');
  }

  /** Waits until the open conversation shows a text, and no longer on its way. */
  async sees(text) {
    await this.page.getByRole('log').locator('.message:not(.pending)').filter({ hasText: text }).waitFor();
  }

  /** The texts of the open conversation, from the oldest that is shown. */
  texts() {
    return this.page.getByRole('log').locator('.message:is(.mine, .theirs) .text').allTextContents();
  }

  /** Opens the members of the open conversation. */
  async openMembers() {
    await this.page.getByRole('link', { name: 'Members and settings of this group' }).click();
    await this.page.getByRole('region', { name: 'Members' }).waitFor();
  }

  /** How often the browser's wallet was asked to sign. */
  signatures() {
    return this.page.evaluate(() => Number(localStorage.getItem('test.signatures') ?? 0));
  }

  async leave() {
    await this.context.close();
  }
}

/**
 * Runs in the page: an EIP-1193 wallet as an extension would put it there. It signs with a key of its own, by
 * means of the package that the demo loads, and counts how often.
 */
function installWallet() {
  const wallet = async () => {
    const { LocalWallet } = await import(new URL('/pkg/index.js', location.href).href);
    const key = localStorage.getItem('test.key');
    const opened = key ? await LocalWallet.fromPrivateKey(key) : await LocalWallet.generate();
    localStorage.setItem('test.key', opened.privateKey);
    return opened;
  };
  Object.assign(globalThis, {
    ethereum: {
      async request({ method, params }) {
        const opened = await wallet();
        if (method === 'eth_requestAccounts') return [opened.address];
        if (method !== 'personal_sign') throw Object.assign(new Error(`no ${method} here`), { code: 4200 });
        localStorage.setItem('test.signatures', String(Number(localStorage.getItem('test.signatures') ?? 0) + 1));
        const bytes = Uint8Array.from(params[0].slice(2).match(/../g), (pair) => parseInt(pair, 16));
        const signature = await opened.signer().signMessage(new TextDecoder().decode(bytes));
        return `0x${Array.from(signature, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
      },
    },
  });
}
