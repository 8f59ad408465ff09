// Streams: async iterables that also call back. They read from the store, so a slow consumer
// loses nothing and costs no memory, and they end without an error however they end.

import { call } from "./runtime.js";

/** A stream of values. */
export class Stream {
  #source;
  #convert;
  #options;
  #batch = [];
  #ended = false;
  #reading = Promise.resolve();
  isDone = false;

  /**
   * @param {any} source the engine's stream
   * @param {(value: any) => any} convert returns undefined for what is not shown
   * @param {{ onValue?: (value: any) => void, onError?: (error: Error) => void, onEnd?: () => void }} [options]
   */
  constructor(source, convert, options = {}) {
    this.#source = source;
    this.#convert = convert;
    this.#options = options;
    if (options.onValue) this.#push();
  }

  async #push() {
    for await (const value of this) {
      // What a callback throws is the app's; the stream goes on.
      try {
        this.#options.onValue(value);
      } catch (error) {
        this.#tell(error);
      }
    }
  }

  #tell(error) {
    try {
      this.#options.onError?.(error);
    } catch {
      // Nobody is left to tell.
    }
  }

  async #pull() {
    while (!this.isDone) {
      while (this.#batch.length > 0) {
        let value;
        try {
          value = await this.#convert(this.#batch.shift());
        } catch (error) {
          this.#tell(error);
          continue;
        }
        if (value !== undefined) return { value, done: false };
      }
      if (this.#ended && !this.draining) break;
      let batch;
      try {
        batch = await call(() => this.#source.next());
      } catch (error) {
        if (error.code !== "ERR_CLOSED") this.#tell(error);
        this.#finish();
        if (error.fatal) throw error;
        break;
      }
      if (batch === undefined) break;
      this.#batch.push(...batch);
    }
    this.#finish();
    return { value: undefined, done: true };
  }

  #finish() {
    if (this.isDone) return;
    this.isDone = true;
    this.#ended = true;
    try {
      this.#options.onEnd?.();
    } catch (error) {
      this.#tell(error);
    }
  }

  /** The next value. Calls may overlap; they answer in order. */
  next() {
    const result = this.#reading.then(() => this.#pull());
    this.#reading = result.catch(() => {});
    return result;
  }

  /**
   * Ends the stream; again is fine.
   * @param {{ drain?: boolean }} [options] with `drain` the values already here still come
   */
  async end({ drain = false } = {}) {
    this.draining = drain;
    this.#ended = true;
    if (!drain) this.#batch = [];
    try {
      this.#source.end(drain);
    } catch {
      // The engine is gone, and the stream with it.
    }
    if (!drain) this.#finish();
    return { value: undefined, done: true };
  }

  return() {
    return this.end();
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

if (Symbol.asyncDispose) {
  Stream.prototype[Symbol.asyncDispose] = function dispose() {
    return this.end();
  };
}
