// Loading the wasm module, once, and keeping watch over it: every promise settles, also when the
// engine crashes.

import initModule, * as glue from "./sotto.js";
import { NetworkError, UsageError, panicked, toSottoError } from "./errors.js";

let loading;
let whereFrom;
let dead;
const pending = new Set();

/** What the imported entry chose: where the engine is, and where data is kept by default. */
export const defaults = { storage: undefined };

/**
 * For the entries: where the engine comes from unless `init` is told. Nothing is loaded yet.
 * @param {() => any} source what `init` takes, or a promise of it
 * @param {{ storage?: "memory" }} [choices]
 */
export function loadFrom(source, { storage } = {}) {
  whereFrom = source;
  defaults.storage = storage;
}

/**
 * Loads the engine. Calling it is optional: the first call that needs it does. Two calls at once
 * load it once; after a failure the next call tries again.
 * @param {string | URL | Request | Response | BufferSource | WebAssembly.Module} [source] by default what the entry says
 */
export function init(source) {
  loading ??= load(source).catch((error) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(given) {
  let source = given;
  try {
    source ??= await whereFrom();
    await initModule({ module_or_path: await moduleFrom(source) });
  } catch (error) {
    throw explain(error, source);
  }
  glue.onPanic((place) => {
    dead = panicked(place);
    for (const reject of pending) reject(dead);
    pending.clear();
  });
}

/** Compiles what `source` gives, whatever content type a server puts on it. */
async function moduleFrom(source) {
  if (source instanceof WebAssembly.Module || ArrayBuffer.isView(source) || source instanceof ArrayBuffer) return source;
  const response = source instanceof Response ? source : await fetch(source);
  if (!response.ok) throw httpError(response, `HTTP ${response.status}${hint(response.url, "")}`);
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/wasm")) return response;
  const bytes = await response.arrayBuffer();
  const magic = new Uint8Array(bytes, 0, Math.min(4, bytes.byteLength));
  if (magic.length < 4 || magic[0] !== 0 || magic[1] !== 0x61 || magic[2] !== 0x73 || magic[3] !== 0x6d) {
    throw httpError(response, `it is not WebAssembly but ${type ? `"${type}"` : "of no content type"}${hint(response.url, type)}`);
  }
  return bytes;
}

function httpError(response, problem) {
  return new NetworkError({
    code: "ERR_LOAD_FAILED",
    message: `the engine could not be loaded from ${response.url}: ${problem}`,
    retryable: true,
    details: { url: response.url, status: String(response.status) },
  });
}

/** What to do about it, where what came instead tells. */
function hint(url, type) {
  if (/\/\.vite\/deps/.test(url)) return "; Vite moved the package: set optimizeDeps.exclude to ['sotto']";
  if (type.startsWith("text/html") || type === "") {
    return "; put sotto_bg.wasm there, pass its address to init(), or import 'sotto/inline'";
  }
  return "";
}

function explain(error, source) {
  if (error?.code) return error;
  const message = String(error?.message ?? error);
  if (/unsafe-eval|Content Security Policy/i.test(message)) {
    return new UsageError({
      code: "ERR_WASM_BLOCKED",
      message: "the page's Content-Security-Policy forbids WebAssembly: add 'wasm-unsafe-eval' to script-src",
      details: { directive: "script-src" },
      cause: error,
    });
  }
  return new NetworkError({
    code: "ERR_LOAD_FAILED",
    message: `the engine could not be loaded${place(source)}: ${message}`,
    retryable: true,
    cause: error,
  });
}

function place(source) {
  if (typeof source !== "string" && !(source instanceof URL)) return "";
  const inNode = String(source).startsWith("file:") && globalThis.process?.versions?.node;
  return ` from ${source}${inNode ? " (in Node, import 'sotto/node')" : ""}`;
}

/** Throws if the engine has crashed. */
export function alive() {
  if (dead) throw dead;
}

/** Awaits what the engine promises; rejects with our classes, also when the engine crashes. */
export async function call(work) {
  alive();
  let crash;
  const crashed = new Promise((_, reject) => {
    crash = reject;
    pending.add(crash);
  });
  try {
    return await Promise.race([work(), crashed]);
  } catch (error) {
    const known = toSottoError(error);
    if (known.fatal) dead ??= known;
    throw known;
  } finally {
    pending.delete(crash);
  }
}

/** Calls what answers at once. */
export function callNow(work) {
  alive();
  try {
    return work();
  } catch (error) {
    const known = toSottoError(error);
    if (known.fatal) dead ??= known;
    throw known;
  }
}

export { glue };
