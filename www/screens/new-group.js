// A new group: what it is called and who is in it.
import { h, icon } from '../parts/dom.js';
import { workingForm } from '../parts/form.js';
import { peopleField } from '../parts/people-field.js';
import { go, to } from '../router.js';

/** @param {import('../session.js').Session} session @param {string} [address] of somebody whose link was opened */
export function newGroupScreen(session, address) {
  const people = peopleField(session, { initial: address ? [address] : [] });
  const name = h('input', { id: 'group-name', type: 'text', maxlength: 100, autocomplete: 'off', placeholder: 'Sunday hike' });
  const title = h('h1', { class: 'title', tabindex: -1 }, 'New group');
  const form = workingForm(
    {
      class: 'page',
      button: 'Make the group',
      busy: 'Making the group…',
      submit: async () => {
        const groupName = name.value.trim();
        const group = await session.client.conversations.createGroupWithIdentifiers(
          people.identifiers(),
          groupName ? { groupName } : {},
        );
        await session.add(group);
        go(to.conversation(group.id), { replace: true });
      },
    },
    h('div', { class: 'field' }, h('label', { for: 'group-name' }, 'Name ', h('span', { class: 'faint' }, '(may stay empty)')), name),
    people.element,
  );
  const element = h(
    'section',
    { class: 'scrolling' },
    h('header', { class: 'bar-top' }, h('a', { class: 'icon-button back', href: to.list(), 'aria-label': 'Back to the conversations' }, icon('back')), title),
    form,
  );
  return {
    element,
    focus: () => (matchMedia('(pointer: fine)').matches ? name.focus() : title.focus()),
    close() {},
  };
}
