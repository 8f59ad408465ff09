// Starts the app: the welcome screen on the first visit, else the session this browser has, and then the screen
// that the address names. Wide windows show the list beside it, narrow ones show one thing at a time.
import { h, notice } from './parts/dom.js';
import { connectionBanner } from './parts/connection.js';
import { sentence } from './parts/words.js';
import { currentRoute, go, onRoute, to } from './router.js';
import { conversationScreen } from './screens/conversation.js';
import { listScreen } from './screens/list.js';
import { membersScreen } from './screens/members.js';
import { newGroupScreen } from './screens/new-group.js';
import { settingsScreen } from './screens/settings.js';
import { brokenScreen, welcomeScreen } from './screens/welcome.js';
import { Session } from './session.js';
import { applyTheme } from './theme.js';
import { remember, rememberedWallet } from './wallet.js';

const app = document.getElementById('app');

applyTheme();
start().catch((error) => notice(sentence(error)));

async function start() {
  const wallet = await rememberedWallet();
  if (wallet === null) return showWelcome();
  try {
    run(await Session.resume(wallet));
  } catch (error) {
    app.replaceChildren(
      brokenScreen(error, {
        again: () => location.reload(),
        register: async () => run(await Session.beginAnew(wallet)),
      }),
    );
  }
}

function showWelcome() {
  app.replaceChildren(
    welcomeScreen(async (wallet) => {
      const session = await Session.begin(wallet);
      remember(wallet);
      run(session);
    }),
  );
}

/** Shows the app for an open session, for as long as the page lives. */
function run(session) {
  const banner = connectionBanner(session);
  const list = listScreen(session);
  const main = h('main', { id: 'main', class: 'main', tabindex: -1 });
  const side = h('div', { class: 'side' });
  app.replaceChildren(banner, h('div', { class: 'panes' }, list.element, main, side));

  session.addEventListener('problem', ({ detail }) => notice(sentence(detail)));
  window.addEventListener('pagehide', () => session.client.close());
  // A page that comes back from the browser's cache has a closed client: it starts again.
  window.addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

  let shown = { main: null, side: null, id: null };
  const show = async (route) => {
    if (route.screen === 'members' || route.screen === 'conversation') await session.ready(route.id);
    if (JSON.stringify(route) !== JSON.stringify(currentRoute())) return; // moved on meanwhile
    const entry = 'id' in route ? session.entries.get(route.id) : undefined;
    if ('id' in route && !entry) return go(to.list(), { replace: true });

    app.dataset.screen = route.screen;
    list.select(entry?.id);
    shown.side?.close();
    shown.side = route.screen === 'members' ? membersScreen(session, entry) : null;
    side.replaceChildren(...(shown.side ? [shown.side.element] : []));

    // Opening the members beside a conversation leaves the conversation, and what is being written, in place.
    if (!entry || shown.id !== entry.id) {
      shown.main?.close();
      shown.main = mainScreen(session, route, entry);
      shown.id = entry?.id ?? null;
      main.replaceChildren(shown.main.element);
    }
    (shown.side ?? shown.main).focus();
  };
  onRoute(show);
  show(currentRoute());
}

function mainScreen(session, route, entry) {
  if (entry) return conversationScreen(session, entry);
  if (route.screen === 'new') return newGroupScreen(session);
  if (route.screen === 'invite') return newGroupScreen(session, route.address);
  if (route.screen === 'settings') return settingsScreen(session);
  return nothingChosen();
}

function nothingChosen() {
  const element = h(
    'div',
    { class: 'nothing' },
    h('p', { class: 'quiet-mark', 'aria-hidden': 'true' }, 'sotto'),
    h('p', {}, 'Choose a conversation, or ', h('a', { href: to.newGroup() }, 'start one'), '.'),
  );
  return { element, focus() {}, close() {} };
}
