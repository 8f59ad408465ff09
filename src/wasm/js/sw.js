// The entry for service workers, of pages and of extensions: the engine is a file beside the worker's own script.
// There is no dynamic import, no top-level await and no import.meta here, so a bundler can make a classic script of it.

import { loadFrom } from "./runtime.js";

export * from "./api.js";

loadFrom(() => new URL("sotto_bg.wasm", globalThis.location.href));
