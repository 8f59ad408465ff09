// You: your address and the link to give away, your key, your installations, the connection, the looks.
import { h, icon, speak } from '../parts/dom.js';
import { voiceprint } from '../parts/voiceprint.js';
import { sentence, short, stateWords } from '../parts/words.js';
import { to } from '../router.js';
import { setTheme, theme } from '../theme.js';

export function settingsScreen(session) {
  const { client, wallet } = session;
  const title = h('h1', { class: 'title', tabindex: -1 }, 'You');
  const link = new URL(to.invite(wallet.address), location.href.replace(/#.*/, '')).href;
  const stopped = new AbortController();

  const element = h(
    'section',
    { class: 'scrolling' },
    h('header', { class: 'bar-top' }, h('a', { class: 'icon-button back', href: to.list(), 'aria-label': 'Back to the conversations' }, icon('back')), title),
    h(
      'div',
      { class: 'page' },
      h(
        'div',
        { class: 'card identity' },
        voiceprint(client.inboxId),
        h('div', {}, h('p', { class: 'address' }, wallet.address), h('p', { class: 'help' }, 'People invite you with this address, or with your link. The picture is drawn from your inbox and looks the same to everybody.')),
        h('div', { class: 'actions' }, copyButton('Copy my link', link, true), copyButton('Copy my address', wallet.address)),
      ),
      wallet.privateKey ? keySection(wallet) : h('p', { class: 'help' }, 'Your wallet signs for you. sotto never sees its key.'),
      installations(session),
      appearance(),
      connection(session, stopped.signal),
    ),
  );
  return { element, focus: () => title.focus(), close: () => stopped.abort() };
}

function keySection(wallet) {
  const shown = h('output', { class: 'secret', hidden: true });
  const reveal = h(
    'button',
    {
      type: 'button',
      class: 'button',
      'aria-expanded': 'false',
      onclick: () => {
        shown.hidden = !shown.hidden;
        shown.textContent = shown.hidden ? '' : wallet.privateKey;
        reveal.textContent = shown.hidden ? 'Show my key' : 'Hide my key';
        reveal.setAttribute('aria-expanded', String(!shown.hidden));
      },
    },
    'Show my key',
  );
  return h(
    'section',
    { class: 'card' },
    h('h2', {}, 'Your key'),
    h('p', { class: 'help' }, 'It was made here and is kept only in this browser. Write it down: whoever has it is you, and without it nobody can be you again.'),
    shown,
    h('div', { class: 'actions' }, reveal, copyButton('Copy my key', wallet.privateKey)),
  );
}

function installations(session) {
  const rows = h('ul', { class: 'people' });
  const problem = h('p', { class: 'problem' });
  const section = h(
    'section',
    { class: 'card' },
    h('h2', {}, 'Where you use sotto'),
    rows,
    problem,
  );
  const { client } = session;
  const row = (id, isThis, ns) =>
    h(
      'li',
      { class: 'person' },
      h(
        'span',
        { class: 'row-words' },
        h('span', { class: 'row-name' }, isThis ? 'This browser' : 'Another app or browser'),
        h('span', { class: 'row-last address' }, short(id), ns ? `, since ${new Date(Number(ns / 1_000_000n)).toLocaleDateString()}` : ''),
      ),
    );
  rows.append(row(client.installationId, true));
  client.preferences
    .fetchInboxState()
    .then(({ installations: all }) => {
      const ordered = [...all].sort((a, b) => Number(b.id === client.installationId) - Number(a.id === client.installationId));
      rows.replaceChildren(...ordered.map(({ id, clientTimestampNs }) => row(id, id === client.installationId, clientTimestampNs)));
    })
    .catch((error) => (problem.textContent = sentence(error)));
  return section;
}

function appearance() {
  const choices = [
    ['system', 'As the system'],
    ['light', 'Light'],
    ['dark', 'Dark'],
  ];
  return h(
    'fieldset',
    { class: 'card' },
    h('legend', {}, 'Looks'),
    h(
      'div',
      { class: 'segments' },
      choices.map(([value, words]) =>
        h('label', {}, h('input', { type: 'radio', name: 'theme', value, checked: theme() === value, onchange: () => setTheme(value) }), h('span', {}, words)),
      ),
    ),
  );
}

function connection(session, signal) {
  const words = h('dd', {});
  const update = () => (words.textContent = stateWords(session.state));
  session.addEventListener('state', update, { signal });
  update();
  const { client } = session;
  return h(
    'section',
    { class: 'card' },
    h('h2', {}, 'Connection'),
    h(
      'dl',
      { class: 'facts' },
      h('dt', {}, 'State'),
      words,
      h('dt', {}, 'Node'),
      h('dd', {}, location.host),
      h('dt', {}, 'Inbox'),
      h('dd', { class: 'address' }, client.inboxId),
      h('dt', {}, 'Installation'),
      h('dd', { class: 'address' }, client.installationId),
    ),
  );
}

function copyButton(words, text, primary = false) {
  const button = h(
    'button',
    {
      type: 'button',
      class: `button${primary ? ' primary' : ''}`,
      onclick: async () => {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
        speak('Copied');
        setTimeout(() => (button.textContent = words), 1500);
      },
    },
    words,
  );
  return button;
}
