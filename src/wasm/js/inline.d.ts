/** The same, with the engine inside: nothing is fetched to load it. */
export * from "./index.js";
