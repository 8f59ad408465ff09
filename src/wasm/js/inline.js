// The entry with the engine inside, for pages that cannot fetch it: single-file apps, a strict connect-src, bundlers
// that move files. It is a third bigger to load than the usual entry.

import { loadFrom } from "./runtime.js";
import { gzipBase64 } from "./inline-wasm.js";

export * from "./api.js";

loadFrom(async () => {
  const packed = Uint8Array.from(atob(gzipBase64), (character) => character.charCodeAt(0));
  // Not by fetch of a data: address, which a Content-Security-Policy may forbid.
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
});
