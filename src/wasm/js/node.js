// The entry for Node: rendering on a server, unit tests, scripts. The engine is read from disk, and clients keep
// what they have in memory unless they are told otherwise.

import { readFile } from "node:fs/promises";
import { loadFrom } from "./runtime.js";

export * from "./api.js";

loadFrom(() => readFile(new URL("./sotto_bg.wasm", import.meta.url)), { storage: "memory" });
