// What Cargo.lock says: the versions other tools must match, and rules the lock file itself has to keep.
import { read, SetupError } from './shell.mjs';

/** The versions of a crate in Cargo.lock. */
export function lockedVersions(crate) {
  const entry = new RegExp(`^name = "${crate}"\\r?\\nversion = "([^"]+)"`, 'gm');
  return [...read('Cargo.lock').matchAll(entry)].map((match) => match[1]);
}

/** The one version of a crate in Cargo.lock. */
export function lockedVersion(crate) {
  const versions = lockedVersions(crate);
  if (versions.length !== 1) {
    throw new SetupError(`Cargo.lock should hold one version of ${crate}; it holds ${versions.join(', ') || 'none'}.`);
  }
  return versions[0];
}

// Each release line of getrandom needs its browser back end switched on in Cargo.toml. A line nobody
// switched on compiles on the host and fails, or worse panics, in the browser.
const getrandomLines = ['0.2', '0.4'];

/** Fails when a release line of getrandom appears for which no browser back end is set up. */
export function checkGetrandom() {
  const strange = lockedVersions('getrandom').filter(
    (version) => !getrandomLines.some((line) => version.startsWith(`${line}.`)),
  );
  if (strange.length > 0) {
    throw new SetupError(
      `Cargo.lock has getrandom ${strange.join(', ')}, which has no browser back end set up. ` +
        'Enable it for wasm32 in Cargo.toml, then list it in scripts/lib/lockfile.mjs.',
    );
  }
}
