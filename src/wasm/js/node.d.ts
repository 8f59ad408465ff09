/** The same for Node: the engine is read from disk, and storage is memory by default. */
export * from "./index.js";
