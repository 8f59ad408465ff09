// The classes of what a call can fail with. `code` is stable; `message` is for developers.

/** What every failed call rejects with. */
export class SottoError extends Error {
  /** @param {{ code: string, message: string, retryable?: boolean, fatal?: boolean, details?: Record<string, string>, cause?: unknown }} fields */
  constructor({ code, message, retryable = false, fatal = false, details = {}, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = retryable;
    this.fatal = fatal;
    this.details = details;
  }
}

/** The call was wrong, or is not allowed as things stand. */
export class UsageError extends SottoError {}
/** The node could not be reached, or would not answer now. */
export class NetworkError extends SottoError {}
/** The browser's storage failed. */
export class StorageError extends SottoError {}
/** A peer or the node broke the protocol. */
export class ProtocolError extends SottoError {}
/** A ciphertext could not be opened. */
export class DecryptError extends SottoError {}
/** The client was closed. */
export class ClosedError extends SottoError {}
/** Our bug. */
export class InternalError extends SottoError {}

const CLASSES = {
  usage: UsageError,
  network: NetworkError,
  storage: StorageError,
  protocol: ProtocolError,
  decrypt: DecryptError,
  closed: ClosedError,
  internal: InternalError,
};

/** Turns what the engine rejects with into an instance of its class. */
export function toSottoError(error) {
  if (error instanceof SottoError) return error;
  if (error && typeof error === "object" && typeof error.code === "string" && error.kind in CLASSES) {
    return new CLASSES[error.kind](error);
  }
  if (typeof WebAssembly === "object" && error instanceof WebAssembly.RuntimeError) return panicked("", error);
  return new InternalError({ code: "ERR_INTERNAL", message: String(error?.message ?? error), cause: error });
}

/** The engine has crashed: nothing of this instance may be called any more. */
export function panicked(place, cause) {
  const message = `the engine crashed${place ? ` at ${place}` : ""}; nothing stored is lost, load the page or worker anew`;
  return new InternalError({ code: "ERR_PANICKED", message, fatal: true, cause });
}
