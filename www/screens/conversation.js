// One conversation: its messages, live, and the place to write.
import { SortDirection } from 'sotto';
import { h, icon, iconButton, speak } from '../parts/dom.js';
import { preview } from '../parts/message.js';
import { Timeline } from '../parts/timeline.js';
import { voiceprint } from '../parts/voiceprint.js';
import { counted } from '../parts/words.js';
import { to } from '../router.js';

const page = 50n; // messages read at a time
const drafts = new Map(); // what was being written, by conversation id, for as long as the page lives

export function conversationScreen(session, entry) {
  const { id } = entry;
  const timeline = new Timeline(session, { sendAgain, discard });
  const name = h('h1', { class: 'title', tabindex: -1 });
  const size = h('span', { class: 'sub' });
  const top = h('div', { class: 'top-of-log' });
  // New messages are spoken one by one below; the log itself is silent, or it would read out what is loaded.
  const log = h('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': 'Messages', tabindex: 0 }, top, timeline.element);
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

  const showProblem = (error) => session.report(error);
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

  /** Stored and shown at once; it leaves now, or as soon as the node can be reached. */
  async function send(text) {
    try {
      await entry.conversation.sendText(text, { optimistic: true });
    } catch (error) {
      if (field.value === '') field.value = text;
      fit();
      return showProblem(error);
    }
    await loadNewest();
    scrollToEnd();
    session.publish(entry);
  }

  async function sendAgain(message) {
    await entry.conversation.retryMessage(message.id).catch(showProblem);
    await loadNewest();
  }

  async function discard(message) {
    await entry.conversation.dropMessage(message.id).then(() => timeline.remove(message.id), showProblem);
  }

  async function loadNewest() {
    const messages = await entry.conversation.messages({ limit: page, direction: SortDirection.Descending });
    if (timeline.isEmpty && messages.length < Number(page)) hasOlder = false;
    for (const message of messages.reverse()) timeline.put(message);
    if (messages.length > 0) session.noteLast(messages[messages.length - 1]);
    showTop();
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
    const isNew = timeline.put(message);
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
  for (const part of [log, timeline.element]) watchSize.observe(part);

  const watchTop = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && loadOlder().catch(showProblem), { root: log });
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
