// One conversation: its messages, live, and the place to write.
import { SortDirection } from 'sotto';
import { h, icon, iconButton, speak } from '../parts/dom.js';
import { preview } from '../parts/message.js';
import { Timeline, linked } from '../parts/timeline.js';
import { voiceprint } from '../parts/voiceprint.js';
import { counted, sentence } from '../parts/words.js';
import { to } from '../router.js';

const page = 50n; // messages read at a time
const drafts = new Map(); // what was being written, by conversation id, for as long as the page lives

export function conversationScreen(session, entry) {
  const { id } = entry;
  const timeline = new Timeline(session);
  const name = h('h1', { class: 'title', tabindex: -1 });
  const size = h('span', { class: 'sub' });
  const top = h('div', { class: 'top-of-log' });
  const pending = h('div', { class: 'timeline' });
  // New messages are spoken one by one below; the log itself is silent, or it would read out what is loaded.
  const log = h('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': 'Messages', tabindex: 0 }, top, timeline.element, pending);
  const toEnd = iconButton('down', 'To the newest message', () => scrollToEnd(), { class: 'to-end', hidden: true });
  const field = h('textarea', { id: 'words', rows: 1, placeholder: 'Write a message', 'aria-label': 'Message', enterkeyhint: 'send' });
  const composer = h(
    'form',
    { class: 'composer', onsubmit: submit },
    field,
    h('button', { class: 'send', 'aria-label': 'Send', title: 'Send' }, icon('send')),
  );
  const gone = h('p', { class: 'gone', hidden: true }, 'You are no longer in this group. What was written before stays here.');
  const element = h(
    'section',
    { class: 'conversation' },
    h(
      'header',
      { class: 'bar-top' },
      h('a', { class: 'icon-button back', href: to.list(), 'aria-label': 'Back to the conversations' }, icon('back')),
      voiceprint(id),
      h('div', { class: 'titles' }, name, size),
      h('a', { class: 'icon-button', href: to.members(id), 'aria-label': 'Members and settings of this group', title: 'Members' }, icon('people')),
    ),
    h('div', { class: 'log-frame' }, log, toEnd),
    gone,
    composer,
  );

  let hasOlder = true;
  let loading = false;
  let atEnd = true;

  function submit(event) {
    event.preventDefault();
    const text = field.value.trim();
    if (text === '') return;
    field.value = '';
    drafts.delete(id);
    fit();
    send(text);
  }

  /** Shows the message at once and keeps it on screen, with a way to try again, until it is sent. */
  async function send(text) {
    const state = h('span', { class: 'delivery', role: 'status' }, 'sending…');
    const row = h('article', { class: 'message mine first last pending' }, h('p', { class: 'text' }, ...linked(text)), h('p', { class: 'at' }, state));
    row.dataset.text = text;
    row.dataset.since = String(Date.now());
    pending.append(row);
    scrollToEnd();
    try {
      await entry.conversation.sendText(text);
      row.remove();
      const messages = await loadNewest();
      if (messages.length > 0) session.noteMessage(messages[messages.length - 1]);
      scrollToEnd();
    } catch (error) {
      // What was stored before the node could not be reached is sent by the library itself, later.
      await loadNewest().catch(showProblem);
      if (!row.isConnected) return;
      row.classList.add('failed');
      state.replaceChildren(
        `${sentence(error)} `,
        h('button', { type: 'button', class: 'link', onclick: () => (row.remove(), send(text)) }, 'Send again'),
        ' ',
        h('button', { type: 'button', class: 'link', onclick: () => row.remove() }, 'Discard'),
      );
    }
  }

  async function loadNewest() {
    const messages = await entry.conversation.messages({ limit: page, direction: SortDirection.Descending });
    if (timeline.isEmpty && messages.length < Number(page)) hasOlder = false;
    for (const message of messages.reverse()) show(message);
    showTop();
    return messages;
  }

  async function loadOlder() {
    if (loading || !hasOlder || !timeline.oldest) return;
    loading = true;
    try {
      const messages = await entry.conversation.messages({
        limit: page,
        direction: SortDirection.Descending,
        sentBeforeNs: timeline.oldest.sentAtNs,
      });
      hasOlder = messages.length === Number(page);
      const height = log.scrollHeight;
      const position = log.scrollTop;
      for (const message of messages) timeline.put(message);
      log.scrollTop = position + (log.scrollHeight - height); // what is read stays where it is
      showTop();
    } finally {
      loading = false;
    }
  }

  function show(message) {
    // Our own message can be read back before sending it has resolved.
    if (message.senderInboxId === session.client.inboxId) {
      const isThis = (row) => row.dataset.text === message.content && message.sentAt.getTime() >= Number(row.dataset.since);
      [...pending.children].find(isThis)?.remove();
    }
    return timeline.put(message);
  }

  function showTop() {
    if (hasOlder) top.replaceChildren(h('p', { class: 'faint' }, 'Reading earlier messages…'));
    else {
      top.replaceChildren(
        icon('lock'),
        h('p', {}, 'Only the people in this group can read what is written here. The server that carries it cannot.'),
      );
    }
  }

  function showNames() {
    name.textContent = session.title(entry);
    size.textContent = counted(entry.members.length, 'member');
    timeline.rename();
  }

  async function showActive() {
    const active = await entry.conversation.isActive();
    composer.hidden = !active;
    gone.hidden = active;
  }

  function scrollToEnd() {
    log.scrollTop = log.scrollHeight;
  }

  function seen() {
    if (atEnd && document.visibilityState === 'visible') session.markRead(entry);
  }

  /** The field grows with what is written, up to a height the style sheet sets. */
  function fit() {
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
  }

  field.value = drafts.get(id) ?? '';
  field.addEventListener('input', () => {
    drafts.set(id, field.value);
    fit();
  });
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    composer.requestSubmit();
  });
  log.addEventListener('scroll', () => {
    atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    toEnd.hidden = atEnd;
    seen();
  });

  const stopped = new AbortController();
  const on = (target, type, listener) => target.addEventListener(type, listener, { signal: stopped.signal });
  on(session, 'message', ({ detail: message }) => {
    if (message.conversationId !== id) return;
    const isNew = show(message);
    if (isNew && atEnd) scrollToEnd();
    if (isNew && message.senderInboxId !== session.client.inboxId) speak(preview(session, message));
    seen();
  });
  on(session, 'members', ({ detail }) => {
    if (detail !== id) return;
    showNames();
    showActive().catch(() => {});
  });
  on(document, 'visibilitychange', seen);
  const watchSize = new ResizeObserver(() => atEnd && scrollToEnd());
  for (const part of [log, timeline.element, pending]) watchSize.observe(part);

  const watchTop = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && loadOlder().catch(showProblem), { root: log });
  const showProblem = (error) => session.dispatchEvent(new CustomEvent('problem', { detail: error }));

  showNames();
  showActive().catch(showProblem);
  loadNewest()
    .then(() => {
      scrollToEnd();
      seen();
      watchTop.observe(top);
    })
    .catch(showProblem);

  return {
    element,
    focus() {
      fit();
      if (matchMedia('(pointer: fine)').matches && !composer.hidden) field.focus();
      else name.focus();
    },
    close() {
      stopped.abort();
      watchTop.disconnect();
      watchSize.disconnect();
    },
  };
}
