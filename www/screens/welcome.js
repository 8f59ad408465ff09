// The first visit: a wallet made here, one the browser has, or one that was backed up. And the screen for the
// day this browser's copy cannot be opened.
import { h } from '../parts/dom.js';
import { sentence } from '../parts/words.js';
import { hasInjectedWallet, injectedWallet, newWallet, restoredWallet } from '../wallet.js';

/**
 * @param {(wallet: import('../wallet.js').Wallet) => Promise<void>} enter registers and goes on
 */
export function welcomeScreen(enter) {
  const status = h('p', { class: 'status', role: 'status' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const buttons = h('div', { class: 'choices' });

  const attempt = async (find, words) => {
    problem.textContent = '';
    status.textContent = words;
    setBusy(true);
    try {
      await enter(await find());
    } catch (error) {
      problem.textContent = sentence(error);
      status.textContent = '';
      setBusy(false);
    }
  };
  const setBusy = (busy) => {
    for (const control of element.querySelectorAll('button, input')) control.disabled = busy;
    element.setAttribute('aria-busy', String(busy));
  };

  buttons.append(
    h(
      'button',
      { type: 'button', class: 'button primary large', onclick: () => attempt(newWallet, 'Making your keys…') },
      'Start chatting',
    ),
  );
  if (hasInjectedWallet()) {
    buttons.append(
      h(
        'button',
        {
          type: 'button',
          class: 'button large',
          onclick: () => attempt(injectedWallet, 'Your wallet asks you to sign. It costs nothing.'),
        },
        'Use my wallet',
      ),
    );
  }

  const key = h('input', { id: 'key', type: 'password', autocomplete: 'off', spellcheck: 'false', required: true });
  const restore = h(
    'details',
    { class: 'restore' },
    h('summary', {}, 'I have a key from another browser'),
    h(
      'form',
      {
        onsubmit: (event) => {
          event.preventDefault();
          attempt(() => restoredWallet(key.value), 'Opening your identity…');
        },
      },
      h('label', { for: 'key' }, 'Your key'),
      h('div', { class: 'field-row' }, key, h('button', { class: 'button' }, 'Use it')),
    ),
  );

  const element = h(
    'main',
    { id: 'main', class: 'welcome' },
    h(
      'div',
      { class: 'welcome-words' },
      h('h1', { class: 'wordmark' }, 'sotto'),
      h('p', { class: 'lead' }, 'Say it to them, and to nobody else.'),
      h(
        'p',
        {},
        'Group chat that only the people in it can read. No phone number, no password: ' +
          'your key is made in this browser and stays here.',
      ),
      buttons,
      status,
      problem,
      restore,
    ),
    murmur(),
  );
  return element;
}

/** Shown when what this browser has cannot be opened. Nothing is registered anew unless the person asks for it. */
export function brokenScreen(error, { again, register }) {
  const problem = h('p', { class: 'problem', role: 'alert' }, sentence(error));
  const anew = h(
    'button',
    {
      type: 'button',
      class: 'button',
      onclick: async () => {
        anew.disabled = true;
        try {
          await register();
        } catch (failure) {
          problem.textContent = sentence(failure);
          anew.disabled = false;
        }
      },
    },
    'Register this browser anew',
  );
  return h(
    'main',
    { id: 'main', class: 'welcome' },
    h(
      'div',
      { class: 'welcome-words' },
      h('h1', { class: 'wordmark' }, 'sotto'),
      problem,
      h('p', {}, 'Nothing was deleted. Registering anew keeps your address; earlier messages stay unreadable here.'),
      h('div', { class: 'choices' }, h('button', { type: 'button', class: 'button primary', onclick: again }, 'Try again'), anew),
    ),
  );
}

/** Two voices, drawn as bars that swell and fall. Decoration only. */
function murmur() {
  const element = h('div', { class: 'murmur', 'aria-hidden': 'true' });
  for (let i = 0; i < 41; i++) {
    const bar = h('i', { class: i % 14 < 8 ? 'low' : 'high' });
    const height = 10 + 62 * Math.abs(Math.sin(i * 0.53) * Math.cos(i * 0.17 + 0.6));
    bar.style.setProperty('--height', `${height.toFixed(1)}%`);
    bar.style.setProperty('--delay', `${-(i % 9) * 0.31}s`);
    element.append(bar);
  }
  return element;
}
