/** The same for service workers: the engine is sotto_bg.wasm beside the worker's script. */
export * from "./index.js";
