// A wallet made in the page, for first steps and tests: whoever has the page's storage has it.

import { IdentifierKind } from "./enums.js";
import { callNow, glue, init } from "./runtime.js";

const toHex = (bytes) => `0x${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;

/** An Ethereum account whose key is held by the page. */
export class LocalWallet {
  #key;

  constructor(key, address) {
    this.#key = key;
    this.address = address;
  }

  /** A new wallet. */
  static async generate() {
    await init();
    return LocalWallet.#of(callNow(() => glue.newPrivateKey()));
  }

  /** A wallet from its private key: 32 bytes, or hex. */
  static async fromPrivateKey(key) {
    await init();
    const hex = typeof key === "string" ? key.replace(/^0x/, "") : undefined;
    const bytes = hex === undefined ? key : Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
    return LocalWallet.#of(bytes);
  }

  static #of(bytes) {
    return new LocalWallet(bytes, callNow(() => glue.addressOf(bytes)));
  }

  get privateKey() {
    return toHex(this.#key);
  }

  get identifier() {
    return { identifier: this.address, identifierKind: IdentifierKind.Ethereum };
  }

  /** What `Client.create` wants. */
  signer() {
    return {
      type: "EOA",
      getIdentifier: () => this.identifier,
      signMessage: async (message) => callNow(() => glue.personalSign(this.#key, message)),
    };
  }
}
