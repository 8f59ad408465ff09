// The conversations, the newest on top, with the way to a new one and to oneself.
import { h, icon, iconButton } from '../parts/dom.js';
import { preview } from '../parts/message.js';
import { voiceprint } from '../parts/voiceprint.js';
import { short, stateWords, when } from '../parts/words.js';
import { go, to } from '../router.js';

export function listScreen(session) {
  const rows = h('ul', { class: 'rows' });
  const empty = h(
    'div',
    { class: 'empty', hidden: true },
    h('p', {}, 'Nobody here yet.'),
    h('p', {}, 'Start a group with the address of somebody you know, or send them your link from your page below.'),
    h('a', { class: 'button primary', href: to.newGroup() }, 'New group'),
  );
  const light = h('span', { class: 'light', role: 'img' });
  const element = h(
    'nav',
    { class: 'list', 'aria-label': 'Conversations' },
    h(
      'header',
      { class: 'bar-top' },
      h('a', { class: 'wordmark small', href: to.list(), 'aria-label': 'sotto, home' }, 'sotto'),
      light,
      iconButton('plus', 'New group', () => go(to.newGroup())),
    ),
    rows,
    empty,
    h(
      'a',
      { class: 'me', href: to.settings() },
      voiceprint(session.client.inboxId),
      h('span', { class: 'row-words' }, h('strong', {}, 'You'), h('span', { class: 'row-last' }, short(session.wallet.address))),
      icon('settings'),
    ),
  );
  let selected;
  let waiting = false;

  const update = () => {
    waiting = false;
    const entries = session.list();
    empty.hidden = entries.length > 0 || session.progress !== null;
    const focused = document.activeElement?.closest?.('.row')?.getAttribute('href');
    rows.replaceChildren(...entries.map((entry) => row(session, entry, entry.id === selected)));
    if (focused) rows.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
    const unread = entries.filter((entry) => session.isUnread(entry)).length;
    document.title = unread > 0 ? `(${unread}) sotto` : 'sotto';
  };
  // Many messages at once redraw the list once.
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(update);
  };
  const showState = () => {
    const words = stateWords(session.state);
    light.dataset.state = session.state;
    light.setAttribute('aria-label', words);
    light.title = words;
    soon();
  };
  session.addEventListener('list', soon);
  session.addEventListener('state', showState);
  showState();
  update();

  return {
    element,
    /** Marks the conversation that is open. */
    select(id) {
      selected = id;
      update();
    },
  };
}

function row(session, entry, isSelected) {
  const unread = session.isUnread(entry);
  const { last } = entry;
  return h(
    'li',
    {},
    h(
      'a',
      { class: `row${unread ? ' unread' : ''}`, href: to.conversation(entry.id), 'aria-current': isSelected ? 'page' : null },
      voiceprint(entry.id),
      h(
        'span',
        { class: 'row-words' },
        h('span', { class: 'row-name' }, session.title(entry)),
        h('span', { class: 'row-last' }, last ? preview(session, last) : 'No messages yet'),
      ),
      h(
        'span',
        { class: 'row-side' },
        last && h('time', { datetime: last.sentAt.toISOString() }, when(last.sentAt)),
        unread && h('span', { class: 'dot' }, h('span', { class: 'visually-hidden' }, 'New messages')),
      ),
    ),
  );
}
