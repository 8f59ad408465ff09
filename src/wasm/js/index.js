// The usual entry: the engine is the file beside this one, fetched at the first call. The address is written so
// that bundlers find it and put the file into what they build.

import { loadFrom } from "./runtime.js";

export * from "./api.js";

loadFrom(() => new URL("./sotto_bg.wasm", import.meta.url));
