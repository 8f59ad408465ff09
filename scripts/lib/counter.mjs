// How many tests passed and failed, read off what the test runners print.

/** Adds up what the test runners print: cargo's and wasm-bindgen's result lines, and node's closing lines. */
export class Counter {
  passed = 0;
  failed = 0;
  #rest = '';

  take = (text) => {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const rust = line.match(/test result: .*?(\d+) passed; (\d+) failed/);
      if (rust) this.add(Number(rust[1]), Number(rust[2]));
      const node = line.match(/^ℹ (pass|fail|cancelled) (\d+)$/);
      if (node) this.add(node[1] === 'pass' ? Number(node[2]) : 0, node[1] === 'pass' ? 0 : Number(node[2]));
    }
  };

  add(passed, failed) {
    this.passed += passed;
    this.failed += failed;
  }

  toString() {
    return `${this.passed} passed, ${this.failed} failed`;
  }
}
