// The wallet behind an identity: one made in this page, or one the browser has (EIP-1193). Which of them this
// browser uses is remembered in localStorage; the key of a wallet made here is kept there too, and nowhere else.
import { IdentifierKind, LocalWallet } from 'sotto';

const place = 'sotto.wallet';

/**
 * @typedef {object} Wallet
 * @property {string} address lower case, with 0x
 * @property {'local' | 'injected'} kind
 * @property {() => import('sotto').Signer} signer asks the person only when something has to be signed
 * @property {string} [privateKey] only of a wallet made here
 */

/** The form in which the library takes an address. */
export function ethereum(address) {
  return { identifier: address.toLowerCase(), identifierKind: IdentifierKind.Ethereum };
}

/** True for what looks like an address: 0x and forty hex digits. */
export function isAddress(text) {
  return /^0x[0-9a-f]{40}$/i.test(text);
}

/** A wallet with a new key. */
export async function newWallet() {
  return local(await LocalWallet.generate());
}

/** The wallet of a key that was backed up. Throws when it is not a key. */
export async function restoredWallet(privateKey) {
  return local(await LocalWallet.fromPrivateKey(privateKey.trim()));
}

/** True when the browser has a wallet. */
export function hasInjectedWallet() {
  return provider() !== undefined;
}

/** The wallet the browser has. It asks the person for leave. */
export async function injectedWallet() {
  const [address] = await provider().request({ method: 'eth_requestAccounts' });
  return injected(address.toLowerCase());
}

/** Makes this the wallet of this browser. */
export function remember(wallet) {
  const { kind, address, privateKey } = wallet;
  localStorage.setItem(place, JSON.stringify({ kind, address, privateKey }));
}

/**
 * The wallet this browser uses, or null on the first visit.
 * @returns {Promise<Wallet | null>}
 */
export async function rememberedWallet() {
  const saved = localStorage.getItem(place);
  if (saved === null) return null;
  const { kind, address, privateKey } = JSON.parse(saved);
  return kind === 'local' ? local(await LocalWallet.fromPrivateKey(privateKey)) : injected(address);
}

/** @returns {Wallet} */
function local(wallet) {
  return {
    kind: 'local',
    address: wallet.address.toLowerCase(),
    privateKey: wallet.privateKey,
    signer: () => wallet.signer(),
  };
}

/** @returns {Wallet} */
function injected(address) {
  return {
    kind: 'injected',
    address,
    signer: () => ({
      type: 'EOA',
      getIdentifier: () => ethereum(address),
      signMessage: async (text) => {
        const message = toHex(new TextEncoder().encode(text));
        const signature = await provider().request({ method: 'personal_sign', params: [message, address] });
        return fromHex(signature);
      },
    }),
  };
}

function provider() {
  return /** @type {any} */ (globalThis).ethereum;
}

function toHex(bytes) {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function fromHex(text) {
  const pairs = text.replace(/^0x/, '').match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => parseInt(pair, 16));
}
