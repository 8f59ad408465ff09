// The messages of a conversation as elements, in order of time. One element a message, made once; a change
// touches that element and its neighbours, so that a long conversation stays quick.
import { DeliveryStatus } from 'sotto';
import { h } from './dom.js';
import { isNote, textOf } from './message.js';
import { hueOf, voiceprint } from './voiceprint.js';
import { day, sameDay, timeOfDay } from './words.js';

const pauseNs = 5n * 60n * 1_000_000_000n; // after this a sender's next message starts a new turn

export class Timeline {
  element = h('div', { class: 'timeline' });
  #session;
  #actions;
  /** @type {{ message: import('sotto').DecodedMessage, element: HTMLElement }[]} oldest first */
  #rows = [];

  /**
   * @param {import('../session.js').Session} session
   * @param {Record<'sendAgain' | 'discard', (message: import('sotto').DecodedMessage) => void>} actions on what was not sent
   */
  constructor(session, actions) {
    this.#session = session;
    this.#actions = actions;
  }

  /** The oldest message shown, or undefined. */
  get oldest() {
    return this.#rows[0]?.message;
  }

  get isEmpty() {
    return this.#rows.length === 0;
  }

  /** Puts a message in its place, or takes over what changed in it. True when it was not there before. */
  put(message) {
    const known = this.#rows.findIndex((row) => row.message.id === message.id);
    if (known >= 0 && this.#rows[known].message.sentAtNs === message.sentAtNs) {
      this.#rows[known].message = message;
      this.#decorate(known);
      return false;
    }
    // One of ours that was sent has the node's time now, and with it perhaps another place.
    if (known >= 0) this.remove(message.id);
    let index = this.#rows.length;
    while (index > 0 && this.#rows[index - 1].message.sentAtNs > message.sentAtNs) index--;
    const element = this.#make(message);
    this.element.insertBefore(element, this.#rows[index]?.element ?? null);
    this.#rows.splice(index, 0, { message, element });
    for (const near of [index - 1, index, index + 1]) this.#decorate(near);
    return known < 0;
  }

  /** Takes a message out. */
  remove(id) {
    const index = this.#rows.findIndex(({ message }) => message.id === id);
    if (index < 0) return;
    this.#rows[index].element.remove();
    this.#rows.splice(index, 1);
    for (const near of [index - 1, index]) this.#decorate(near);
  }

  /** Writes names again, after addresses became known. */
  rename() {
    for (const { message, element } of this.#rows) {
      if (isNote(message)) element.querySelector('.text').textContent = textOf(this.#session, message);
      else element.querySelector('.by').textContent = this.#session.name(message.senderInboxId);
    }
  }

  #make(message) {
    const mine = message.senderInboxId === this.#session.client.inboxId;
    const kind = isNote(message) ? 'note' : mine ? 'mine' : 'theirs';
    const text = textOf(this.#session, message);
    const element = h(
      'article',
      { class: `message ${kind}` },
      h('h2', { class: 'day' }),
      kind === 'theirs' && h('span', { class: 'face' }, voiceprint(message.senderInboxId)),
      kind !== 'note' && h('p', { class: 'by' }, this.#session.name(message.senderInboxId)),
      h('p', { class: 'text' }, ...(kind === 'note' ? [text] : linked(text))),
      kind !== 'note' &&
        h('p', { class: 'at' }, h('time', { datetime: message.sentAt.toISOString() }, timeOfDay(message.sentAt)), h('span', { class: 'delivery' })),
    );
    element.style.setProperty('--hue', String(hueOf(message.senderInboxId)));
    return element;
  }

  #delivery(message) {
    if (message.deliveryStatus === DeliveryStatus.Unpublished) return [' · on its way'];
    if (message.deliveryStatus !== DeliveryStatus.Failed) return [];
    const { sendAgain, discard } = this.#actions;
    const action = (words, act) => h('button', { type: 'button', class: 'link', onclick: () => act(message) }, words);
    return [' · not sent. ', action('Send again', sendAgain), ' ', action('Discard', discard)];
  }

  /** What depends on the neighbours: the day's heading, where a turn begins and ends; and the delivery state. */
  #decorate(index) {
    const row = this.#rows[index];
    if (!row) return;
    const { message, element } = row;
    const before = this.#rows[index - 1]?.message;
    const after = this.#rows[index + 1]?.message;
    const newDay = !before || !sameDay(before.sentAt, message.sentAt);
    element.querySelector('.day').textContent = newDay ? day(message.sentAt) : '';
    element.classList.toggle('new-day', newDay);
    element.classList.toggle('first', newDay || !sameTurn(before, message));
    element.classList.toggle('last', !after || !sameTurn(message, after) || !sameDay(message.sentAt, after.sentAt));
    element.querySelector('.delivery')?.replaceChildren(...this.#delivery(message));
    element.classList.toggle('failed', message.deliveryStatus === DeliveryStatus.Failed);
  }
}

function sameTurn(a, b) {
  return a.senderInboxId === b.senderInboxId && isNote(a) === isNote(b) && b.sentAtNs - a.sentAtNs < pauseNs;
}

/** Text with its web addresses as links. */
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]}'])/).map((part, i) =>
    i % 2 === 0 ? part : h('a', { href: part, target: '_blank', rel: 'noopener noreferrer' }, part),
  );
}
