// How things are said: times, names, errors. Everything a person reads that is not fixed text of a screen.

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'long' });
const shortDate = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const longDate = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const dayMs = 86_400_000;

/** The time of day. */
export function timeOfDay(date) {
  return clock.format(date);
}

/** A day as a heading between messages: Today, Yesterday, Monday, or the date. */
export function day(date, now = new Date()) {
  const days = Math.round((midnight(now) - midnight(date)) / dayMs);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return days > 1 && days < 7 ? weekday.format(date) : longDate.format(date);
}

/** When something last happened, short enough for a list. */
export function when(date, now = new Date()) {
  const days = Math.round((midnight(now) - midnight(date)) / dayMs);
  if (days <= 0) return clock.format(date);
  if (days === 1) return 'Yesterday';
  return days < 7 ? weekday.format(date) : shortDate.format(date);
}

/** True when both are on the same day here. */
export function sameDay(a, b) {
  return midnight(a) === midnight(b);
}

function midnight(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

/** An address or id short enough to read: its beginning and its end. */
export function short(address) {
  return address.length > 14 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address;
}

/** "a, b and c", or "a, b and 3 others" when there are many. */
export function listed(names, most = 3) {
  if (names.length === 0) return '';
  if (names.length === 1) return names[0];
  if (names.length <= most) return `${names.slice(0, -1).join(', ')} and ${names[names.length - 1]}`;
  return `${names.slice(0, most - 1).join(', ')} and ${names.length - most + 1} others`;
}

/** A number with its noun. */
export function counted(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

/** What a state of the connection is called. */
export function stateWords(state) {
  return { live: 'Connected', 'catching-up': 'Catching up', connecting: 'Connecting', offline: 'Offline, trying again' }[state] ?? 'Not connected';
}

const sentences = {
  ERR_SIGNER_REJECTED: 'The wallet did not sign, so nothing was changed. You can try again.',
  ERR_SIGNER_MISMATCH: 'The wallet signed with another account than the one you chose.',
  ERR_INVALID_IDENTIFIER: 'That is not an address.',
  ERR_NOT_REGISTERED: 'This browser is not registered for your address yet.',
  ERR_TOO_MANY_INSTALLATIONS: 'Your address is used in ten apps and browsers, which is the most there can be. Remove one of them first.',
  ERR_NOT_A_MEMBER: 'You are no longer in this group.',
  ERR_PERMISSION_DENIED: 'You do not have the right to do that in this group.',
  ERR_SUPERSEDED: 'Somebody else changed the same thing first, so nothing was done.',
  ERR_CANNOT_BE_ADDED: 'None of these people can be added at the moment. Ask them to open sotto once.',
  ERR_TOO_LARGE: 'That is too long. Send it in parts.',
  ERR_NETWORK: 'The node cannot be reached. You can try again.',
  ERR_RATE_LIMITED: 'That was a lot at once. Wait a moment and try again.',
  ERR_STORAGE_QUOTA: 'This browser has no room left. Free some space and try again.',
  ERR_STORAGE_CORRUPT: 'What this browser stored is damaged.',
  ERR_STORAGE_MISSING: 'This browser was registered, but what it stored is gone.',
  ERR_STORAGE_VERSION: 'Another tab runs an older version of sotto. Close it and try again.',
  ERR_NO_STORAGE: 'This browser does not let sotto store anything. It may be a private window.',
  ERR_WRONG_KEY: 'The messages stored in this browser are locked with another key.',
  ERR_LOAD_FAILED: 'sotto could not be loaded. Check the connection and try again.',
  ERR_CLOSED: 'sotto was closed in this tab. Reload the page to go on.',
  ERR_PANICKED: 'sotto stopped unexpectedly. Reload the page; nothing that was stored is lost.',
};

/**
 * What went wrong as a sentence for a person. Errors of the library have a code; those we have better words for
 * are listed above, the others explain themselves.
 */
export function sentence(error) {
  if (error?.code === 4001) return sentences.ERR_SIGNER_REJECTED; // EIP-1193: the person said no
  const text = sentences[error?.code];
  if (text) return text;
  if (error?.retryable) return `${finished(error.message)} You can try again.`;
  return finished(error?.message || 'Something went wrong that has no name.');
}

function finished(text) {
  const trimmed = text.trim();
  const sentenceCase = trimmed[0].toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(sentenceCase) ? sentenceCase : `${sentenceCase}.`;
}
