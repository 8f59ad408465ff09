// A field that takes addresses and says of each whether it can be invited.
import { ethereum, isAddress } from '../wallet.js';
import { h, iconButton } from './dom.js';
import { sentence, short } from './words.js';

const words = {
  asking: 'looking…',
  yes: 'can be invited',
  no: 'has not used sotto yet',
  invalid: 'is not an address',
};

/**
 * @param {import('../session.js').Session} session
 * @param {{ label?: string, initial?: string[] }} [settings] `initial` holds addresses
 */
export function peopleField(session, { label = 'People', initial = [] } = {}) {
  const chosen = new Map(); // address → { state, chip }
  const chips = h('ul', { class: 'chips', 'aria-label': 'People to invite' });
  const input = h('input', {
    id: 'people',
    type: 'text',
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    placeholder: '0x…',
    'aria-describedby': 'people-help',
  });
  const element = h(
    'div',
    { class: 'field' },
    h('label', { for: 'people' }, label),
    chips,
    input,
    h('p', { class: 'help', id: 'people-help' }, 'Paste one address or several, then press Enter. They find theirs on their page “You”.'),
  );

  function take() {
    const found = input.value.split(/[\s,;]+/).filter(Boolean);
    input.value = '';
    for (const text of found) add(text);
  }

  function add(text) {
    // A link of the kind “Copy my link” makes is as good as the address in it.
    const address = (text.match(/0x[0-9a-f]{40}$/i)?.[0] ?? text).toLowerCase();
    if (chosen.has(address)) return;
    const state = h('span', { class: 'chip-state' });
    const chip = h(
      'li',
      { class: 'chip' },
      h('span', { class: 'address', title: address }, short(address)),
      state,
      iconButton('close', `Leave out ${short(address)}`, () => (chip.remove(), chosen.delete(address), input.focus())),
    );
    const item = {
      chip,
      set(value) {
        item.state = value;
        chip.dataset.state = value;
        state.textContent = words[value];
      },
      state: '',
    };
    chosen.set(address, item);
    chips.append(chip);
    if (!isAddress(address)) return item.set('invalid');
    item.set('asking');
    check(address, item);
  }

  async function check(address, item) {
    try {
      const answer = await session.client.canMessage([ethereum(address)]);
      item.set(answer.get(address) ? 'yes' : 'no');
    } catch (error) {
      item.chip.querySelector('.chip-state').textContent = sentence(error);
    }
  }

  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && input.value.trim() !== '') {
      event.preventDefault();
      take();
    }
    if (event.key === 'Backspace' && input.value === '') [...chosen.values()].pop()?.chip.querySelector('button').click();
  });
  input.addEventListener('paste', () => setTimeout(take));
  // Not at once: a new chip would move the button from under the finger that presses it.
  input.addEventListener('blur', () => setTimeout(take, 300));
  initial.forEach(add);

  return {
    element,
    input,
    /** The addresses that were given, as the library takes them. Throws a sentence when one cannot be invited. */
    identifiers() {
      take();
      for (const [address, { state }] of chosen) {
        if (state === 'no' || state === 'invalid') throw new Error(`${short(address)} ${words[state]}. Leave it out to go on.`);
      }
      return [...chosen.keys()].map(ethereum);
    },
    clear() {
      chosen.clear();
      chips.replaceChildren();
    },
  };
}
