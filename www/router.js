// Which screen is shown, kept in the address after the #, so that reload, back and bookmarks do what they should.

/**
 * @typedef {{ screen: 'list' | 'new' | 'settings' }
 *   | { screen: 'conversation' | 'members', id: string }
 *   | { screen: 'invite', address: string }} Route
 */

/**
 * Where we are.
 * @returns {Route}
 */
export function currentRoute() {
  const [first, second, third] = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  if (first === 'c' && second) return { screen: third === 'members' ? 'members' : 'conversation', id: second };
  if (first === 'with' && second) return { screen: 'invite', address: second };
  if (first === 'new' || first === 'settings') return { screen: first };
  return { screen: 'list' };
}

/** The address of a screen, for links. */
export const to = {
  list: () => '#/',
  newGroup: () => '#/new',
  settings: () => '#/settings',
  conversation: (id) => `#/c/${encodeURIComponent(id)}`,
  members: (id) => `#/c/${encodeURIComponent(id)}/members`,
  invite: (address) => `#/with/${encodeURIComponent(address)}`,
};

/** Goes to a screen. */
export function go(hash, { replace = false } = {}) {
  if (replace) location.replace(hash);
  else location.hash = hash;
}

/** Calls back on every change of the screen. */
export function onRoute(callback) {
  window.addEventListener('hashchange', () => callback(currentRoute()));
}
