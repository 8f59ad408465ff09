// Who is in a group, with what rights; inviting and removing people; the group's name.
import { Dm } from 'sotto';
import { asked, confirmed, h, icon, speak } from '../parts/dom.js';
import { workingForm } from '../parts/form.js';
import { peopleField } from '../parts/people-field.js';
import { voiceprint } from '../parts/voiceprint.js';
import { counted, sentence, short } from '../parts/words.js';
import { to } from '../router.js';

const roles = { 1: 'Admin', 2: 'Super admin' };

export function membersScreen(session, entry) {
  const { conversation, id } = entry;
  const isGroup = !(conversation instanceof Dm); // two people stay two people
  const title = h('h1', { class: 'title', tabindex: -1 }, 'Members');
  const rows = h('ul', { class: 'people' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const people = peopleField(session, { label: 'Invite people' });
  const name = h('input', { id: 'name', type: 'text', maxlength: 100, autocomplete: 'off', value: conversation.name ?? '' });

  const invite = workingForm(
    {
      button: 'Invite',
      busy: 'Inviting…',
      submit: async () => {
        const identifiers = people.identifiers();
        if (identifiers.length === 0) throw new Error('Give the address of somebody to invite.');
        await conversation.addMembersByIdentifiers(identifiers);
        people.clear();
        await session.refresh(id);
        speak('Invited');
      },
    },
    people.element,
  );
  const rename = workingForm(
    {
      button: 'Rename',
      busy: 'Renaming…',
      primary: false,
      submit: async () => {
        await conversation.updateName(name.value.trim());
        await session.refresh(id);
        speak('Renamed');
      },
    },
    h('div', { class: 'field' }, h('label', { for: 'name' }, 'Name of the group'), name),
  );

  async function remove(member, button) {
    const who = session.name(member.inboxId);
    const yes = await confirmed(`Remove ${who}?`, 'They keep what they have read, and cannot read what is written from now on.', 'Remove');
    if (!yes) return;
    problem.textContent = '';
    button.disabled = true;
    try {
      await conversation.removeMembers([member.inboxId]);
      await session.refresh(id);
      speak(`${who} was removed`);
    } catch (error) {
      problem.textContent = sentence(error);
      button.disabled = false;
    }
  }

  async function giveName(member) {
    const { inboxId } = member;
    const name = await asked('What do you call them?', 'Only you see this name. Their address stays below it.', session.givenName(inboxId));
    if (name !== null) session.giveName(inboxId, name);
  }

  // Everybody may be asked to leave by an admin. Whether the group's rules agree is the library's to say.
  const mayRemove = () => isGroup && entry.members.some(({ inboxId, permissionLevel }) => inboxId === session.client.inboxId && permissionLevel > 0);

  function row(member) {
    const { inboxId, accountIdentifiers, permissionLevel } = member;
    const isMe = inboxId === session.client.inboxId;
    const address = accountIdentifiers[0]?.identifier ?? inboxId;
    const button = h('button', { type: 'button', class: 'link danger', 'aria-label': `Remove ${short(address)}`, onclick: () => remove(member, button) }, 'Remove');
    return h(
      'li',
      { class: 'person' },
      voiceprint(inboxId),
      h(
        'span',
        { class: 'row-words' },
        h(
          'span',
          { class: 'row-name' },
          isMe ? 'You' : h('button', { type: 'button', class: 'naming', title: 'Give them a name', onclick: () => giveName(member) }, session.name(inboxId)),
          ' ',
          roles[permissionLevel] && h('span', { class: 'role' }, roles[permissionLevel]),
        ),
        h('span', { class: 'row-last address' }, address),
      ),
      mayRemove() && !isMe && button,
    );
  }

  function update() {
    title.textContent = counted(entry.members.length, 'member');
    const ordered = [...entry.members].sort((a, b) => b.permissionLevel - a.permissionLevel);
    rows.replaceChildren(...ordered.map(row));
    if (document.activeElement !== name) name.value = conversation.name ?? '';
  }

  const element = h(
    'section',
    { class: 'scrolling', 'aria-label': 'Members' },
    h('header', { class: 'bar-top' }, h('a', { class: 'icon-button', href: to.conversation(id), 'aria-label': 'Back to the conversation' }, icon('close')), title),
    h(
      'div',
      { class: 'page' },
      h('div', {}, rows, h('p', { class: 'help' }, 'Select a name to change what you call somebody.'), problem),
      isGroup && invite,
      isGroup && rename,
    ),
  );
  const stopped = new AbortController();
  session.addEventListener('members', ({ detail }) => detail === id && update(), { signal: stopped.signal });
  update();
  return { element, focus: () => title.focus(), close: () => stopped.abort() };
}
