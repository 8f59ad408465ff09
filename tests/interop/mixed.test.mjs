// The official SDK and our package in the same groups. Every scenario runs in both directions: official
// makes and ours joins, and the other way round.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { agree } from './support/person.mjs';
import { World } from './support/world.mjs';

describe('official and ours in one group', { timeout: 900_000 }, () => {
  /** @type {World} */
  let world;
  const people = {};
  before(async () => {
    world = await World.make();
    people.official = [await world.official('oda'), await world.official('otto')];
    people.sotto = [await world.sotto('sam'), await world.sotto('sue')];
  });
  after(() => world?.close());

  for (const [makers, joiners] of [['official', 'sotto'], ['sotto', 'official']]) {
    describe(`${makers} makes, ${joiners} joins`, () => {
      let maker, friend, joiner, other;
      before(() => {
        [maker, friend] = people[makers];
        [joiner, other] = people[joiners];
      });

      test('a group with its metadata', async () => {
        const options = { groupName: 'name', groupDescription: 'description', groupImageUrlSquare: 'https://example.org/i.png', appData: 'data' };
        const id = await maker.createGroup([joiner], options);
        const view = await agree(id, maker, joiner);
        assert.deepEqual([view.name, view.description, view.imageUrl, view.appData], Object.values(options));
        assert.deepEqual(view.superAdmins, [maker.inboxId]);
        assert.equal(view.epoch, 1);
      });

      test('texts both ways, with the same ids, senders and times', async () => {
        const id = await maker.createGroup([joiner]);
        await maker.say(id, 'one');
        await joiner.syncAll();
        await joiner.say(id, 'two');
        await maker.say(id, 'three');
        await agree(id, maker, joiner);
        assert.deepEqual(await joiner.texts(id), ['one', 'two', 'three']);
        assert.deepEqual(await joiner.transcript(id), await maker.transcript(id));
      });

      test('the key update before a first text', async () => {
        const id = await maker.createGroup([joiner]);
        const { epoch } = await agree(id, maker, joiner);
        await joiner.say(id, 'first');
        assert.equal((await agree(id, maker, joiner)).epoch, epoch + 1);
        await joiner.say(id, 'second');
        assert.equal((await agree(id, maker, joiner)).epoch, epoch + 1);
      });

      test('the maker adds, then the joiner adds', async () => {
        const id = await maker.createGroup([joiner]);
        await maker.change(id, 'addMembers', [friend.inboxId]);
        await agree(id, maker, joiner, friend);
        await joiner.change(id, 'addMembers', [other.inboxId]);
        const { members } = await agree(id, maker, joiner, friend, other);
        assert.equal(members.length, 4);
        for (const person of [maker, joiner, friend, other]) await person.say(id, `from ${person.name}`);
        await agree(id, maker, joiner, friend, other);
        for (const person of [maker, joiner, friend, other]) assert.equal((await person.texts(id)).filter((text) => text.startsWith('from')).length >= 1, true);
        assert.deepEqual(await joiner.transcript(id), await maker.transcript(id));
      });

      test('who is removed reads and sends nothing more', async () => {
        const id = await maker.createGroup([joiner, other]);
        await maker.say(id, 'all three');
        await agree(id, maker, joiner, other);
        await maker.change(id, 'removeMembers', [joiner.inboxId]);
        await maker.say(id, 'only two');
        await joiner.syncAll();
        assert.equal(await joiner.isIn(id), false);
        assert.deepEqual(await joiner.texts(id), ['all three']);
        await assert.rejects(joiner.say(id, 'me too'));
        const { members } = await agree(id, maker, other);
        assert.equal(members.length, 2);
        assert.deepEqual(await other.texts(id), ['all three', 'only two']);
      });

      test('who is re-added reads on from there', async () => {
        const id = await maker.createGroup([joiner, other]);
        await maker.say(id, 'before');
        await agree(id, maker, joiner, other);
        await maker.change(id, 'removeMembers', [joiner.inboxId]);
        await maker.say(id, 'between');
        await joiner.syncAll();
        await maker.change(id, 'addMembers', [joiner.inboxId]);
        await maker.say(id, 'after');
        await agree(id, maker, joiner, other);
        await joiner.say(id, 'back');
        await agree(id, maker, joiner, other);
        assert.deepEqual(await joiner.texts(id), ['before', 'after', 'back']);
        assert.deepEqual(await maker.texts(id), ['before', 'between', 'after', 'back']);
      });

      test('renames by both', async () => {
        const id = await maker.createGroup([joiner]);
        await maker.change(id, 'updateName', 'by the maker');
        assert.equal((await agree(id, maker, joiner)).name, 'by the maker');
        await joiner.change(id, 'updateName', 'by the joiner');
        assert.equal((await agree(id, maker, joiner)).name, 'by the joiner');
        await joiner.change(id, 'updateDescription', 'described');
        await maker.change(id, 'updateImageUrl', 'https://example.org/new.png');
        await joiner.change(id, 'updateAppData', 'theirs');
        const { description, imageUrl, appData } = await agree(id, maker, joiner);
        assert.deepEqual([description, imageUrl, appData], ['described', 'https://example.org/new.png', 'theirs']);
      });

      test('an admin removes, and is no admin any more', async () => {
        const id = await maker.createGroup([joiner, friend, other]);
        await maker.change(id, 'addAdmin', joiner.inboxId);
        assert.deepEqual((await agree(id, maker, joiner, friend, other)).admins, [joiner.inboxId]);
        await joiner.change(id, 'removeMembers', [friend.inboxId]);
        assert.equal((await agree(id, maker, joiner, other)).members.length, 3);
        await maker.change(id, 'removeAdmin', joiner.inboxId);
        assert.deepEqual((await agree(id, maker, joiner, other)).admins, []);
        await assert.rejects(joiner.change(id, 'removeMembers', [other.inboxId]));
        assert.equal((await agree(id, maker, joiner, other)).members.length, 3);
      });

      test('a super admin is made, and takes over', async () => {
        const id = await maker.createGroup([joiner]);
        await maker.change(id, 'addSuperAdmin', joiner.inboxId);
        await agree(id, maker, joiner);
        await joiner.change(id, 'removeSuperAdmin', maker.inboxId);
        assert.deepEqual((await agree(id, maker, joiner)).superAdmins, [joiner.inboxId]);
        await joiner.change(id, 'removeMembers', [maker.inboxId]);
        await maker.syncAll();
        assert.equal(await maker.isIn(id), false);
        assert.equal((await agree(id, joiner)).members.length, 1);
      });

      test('a permission is changed, and holds', async () => {
        const id = await maker.createGroup([joiner]);
        await maker.change(id, 'updatePermission', 4 /* UpdateMetadata */, 2 /* Admin */, await fieldName(maker));
        const { permissions } = await agree(id, maker, joiner);
        assert.equal(permissions.policySet.updateGroupNamePolicy, 2);
        await assert.rejects(joiner.change(id, 'updateName', 'no'));
        await maker.change(id, 'updateName', 'yes');
        assert.equal((await agree(id, maker, joiner)).name, 'yes');
      });

      test('a group that only admins may change', async () => {
        const id = await maker.createGroup([joiner], { permissions: 1 });
        assert.equal((await agree(id, maker, joiner)).permissions.policyType, 1);
        await assert.rejects(joiner.change(id, 'addMembers', [other.inboxId]));
        await assert.rejects(joiner.change(id, 'updateName', 'no'));
        await maker.change(id, 'addAdmin', joiner.inboxId);
        await agree(id, maker, joiner);
        await joiner.change(id, 'addMembers', [other.inboxId]);
        assert.equal((await agree(id, maker, joiner, other)).members.length, 3);
      });

      test('a group with permissions of its own', async () => {
        const policySet = {
          addMemberPolicy: 0, removeMemberPolicy: 2, addAdminPolicy: 3, removeAdminPolicy: 3, updateGroupNamePolicy: 2, updateGroupDescriptionPolicy: 0,
          updateGroupImageUrlSquarePolicy: 1, updateMessageDisappearingPolicy: 2, updateAppDataPolicy: 0,
        };
        const id = await maker.createGroup([joiner], { permissions: 2, customPermissionPolicySet: policySet });
        const { permissions } = await agree(id, maker, joiner);
        assert.deepEqual(permissions, { policyType: 2, policySet });
      });

      test('commits at the same time', async () => {
        const id = await maker.createGroup([joiner]);
        await agree(id, maker, joiner);
        for (let round = 0; round < 3; round++) {
          await Promise.all([
            maker.change(id, 'updateName', `maker ${round}`),
            joiner.change(id, 'updateDescription', `joiner ${round}`),
          ]);
          const { name, description } = await agree(id, maker, joiner);
          assert.deepEqual([name, description], [`maker ${round}`, `joiner ${round}`]);
        }
      });

      test('two adds and two texts at the same time', async () => {
        const id = await maker.createGroup([joiner]);
        await agree(id, maker, joiner);
        await Promise.all([
          maker.change(id, 'addMembers', [friend.inboxId]),
          joiner.change(id, 'addMembers', [other.inboxId]),
          maker.say(id, 'amid'),
          joiner.say(id, 'the noise'),
        ]);
        const { members } = await agree(id, maker, joiner, friend, other);
        assert.equal(members.length, 4);
        for (const person of [maker, joiner]) assert.deepEqual((await person.texts(id)).sort(), ['amid', 'the noise']);
      });

      test('a DM', async () => {
        const id = await maker.createDm(joiner);
        await maker.say(id, `hello from ${makers}`);
        await joiner.syncAll();
        await joiner.say(id, `hello from ${joiners}`);
        await agree(id, maker, joiner);
        const texts = await maker.texts(id);
        assert.deepEqual(texts.slice(-2), [`hello from ${makers}`, `hello from ${joiners}`]);
        assert.deepEqual(await joiner.texts(id), texts);
        assert.equal(await peer(maker, id), joiner.inboxId);
        assert.equal(await peer(joiner, id), maker.inboxId);
      });

      test('leaving', async () => {
        const id = await maker.createGroup([joiner, other]);
        await agree(id, maker, joiner, other);
        await joiner.change(id, 'requestRemoval');
        const deadline = Date.now() + 30_000;
        while ((await memberCount(maker, id)) > 2) assert.ok(Date.now() < deadline, 'still a member after 30 s');
        await joiner.syncAll();
        assert.equal(await joiner.isIn(id), false);
        assert.equal((await agree(id, maker, other)).members.length, 2);
      });

      test('a stream brings each text once, of old groups and of new', async () => {
        const old = await maker.createGroup([joiner]);
        await agree(old, maker, joiner);
        await joiner.listen();
        for (const text of ['one', 'two', 'three']) await maker.say(old, `${makers} ${text}`);
        await joiner.hears(`${makers} three`);
        await maker.change(old, 'updateName', 'renamed meanwhile');
        const young = await maker.createGroup([joiner]);
        await maker.say(young, `${makers} four`);
        await joiner.hears(`${makers} four`);
        await maker.say(old, `${makers} five`);
        await joiner.hears(`${makers} five`);
        assert.deepEqual(await joiner.heard(), ['one', 'two', 'three', 'four', 'five'].map((text) => `${makers} ${text}`));
      });

      test('more texts than fit in a page', async () => {
        const id = await maker.createGroup([joiner]);
        const expected = Array.from({ length: 120 }, (_, i) => `text ${i}`);
        await maker.do(async ({ group }, { id, texts }) => {
          const found = await group(id);
          for (const text of texts) await found.sendText(text);
        }, { id, texts: expected });
        await agree(id, maker, joiner);
        assert.deepEqual(await joiner.texts(id), expected);
      });

      test('many commits while somebody is away', async () => {
        const id = await maker.createGroup([joiner]);
        await agree(id, maker, joiner);
        for (let i = 0; i < 8; i++) {
          await maker.change(id, 'updateName', `name ${i}`);
          await maker.say(id, `text ${i}`);
        }
        await agree(id, maker, joiner);
        assert.equal((await joiner.texts(id)).length, 8);
      });

      test('reactions, replies and other content', async () => {
        const id = await maker.createGroup([joiner]);
        await agree(id, maker, joiner);
        const reference = await maker.say(id, 'react to me');
        await joiner.syncAll();
        await joiner.do(async ({ group, sdk }, { id, reference, referenceInboxId }) => {
          const found = await group(id);
          await found.sendReaction({ reference, referenceInboxId, action: 1, content: '👍', schema: 1 });
          await found.sendReply({ reference, referenceInboxId, content: await sdk.encodeText('a reply') });
          await found.sendReadReceipt();
          await found.sendMarkdown('**bold**');
          await found.sendAttachment({ filename: 'a.txt', mimeType: 'text/plain', content: new Uint8Array([1, 2, 3]) });
        }, { id, reference, referenceInboxId: maker.inboxId });
        await agree(id, maker, joiner);
        const seen = await maker.do(async ({ group }, id) => {
          const messages = await (await group(id)).messages();
          return messages.filter(({ kind }) => kind === 0).map(({ contentType, reactions, content }) => ({
            type: contentType.typeId,
            reactions: reactions.map(({ content }) => content.content),
            text: typeof content === 'string' ? content : content?.content && typeof content.content === 'string' ? content.content : null,
          }));
        }, id);
        const byType = Object.fromEntries(seen.map((message) => [message.type, message]));
        assert.deepEqual(byType.text.reactions, ['👍']);
        assert.equal(byType.reply.text, 'a reply');
        assert.equal(byType.markdown.text, '**bold**');
        assert.ok(byType.attachment);
      });

      test('messages that disappear are switched on and off', async () => {
        const id = await maker.createGroup([joiner]);
        await agree(id, maker, joiner);
        const settings = (person) => person.do(async ({ group }, id) => (await (await group(id)).messageDisappearingSettings())?.inNs, id);
        await maker.do(async ({ group }, id) => (await group(id)).updateMessageDisappearingSettings(1n, 3_600_000_000_000n), id);
        await agree(id, maker, joiner);
        for (const person of [maker, joiner]) assert.equal(await settings(person), 3_600_000_000_000n);
      });

      test('a second installation of each enters, and reads on', async () => {
        const id = await maker.createGroup([joiner]);
        await maker.say(id, 'before');
        await agree(id, maker, joiner);
        const makerAgain = await world[makers]('maker-again', maker.wallet);
        const joinerAgain = await world[joiners]('joiner-again', joiner.wallet);
        await new Promise((resolve) => setTimeout(resolve, 5_100)); // clients look for installations every 5 s
        await maker.say(id, 'to all four');
        const { members } = await agree(id, maker, joiner, makerAgain, joinerAgain);
        assert.ok(members.every(({ installationIds }) => installationIds.length === 2));
        await joinerAgain.say(id, 'from the fourth');
        await makerAgain.say(id, 'from the third');
        await agree(id, maker, joiner, makerAgain, joinerAgain);
        for (const person of [makerAgain, joinerAgain]) {
          assert.deepEqual((await person.texts(id)).sort(), ['from the fourth', 'from the third', 'to all four']);
        }

        await joiner.do(({ client }) => client.revokeAllOtherInstallations());
        await maker.do(({ client }) => client.revokeAllOtherInstallations());
        await new Promise((resolve) => setTimeout(resolve, 5_100));
        await maker.say(id, 'to the first two');
        const after = await agree(id, maker, joiner);
        assert.ok(after.members.every(({ installationIds }) => installationIds.length === 1));
        for (const person of [makerAgain, joinerAgain]) {
          await person.syncAll().catch(() => {}); // a revoked client may refuse to do anything
          assert.ok(!(await person.texts(id)).includes('to the first two'));
          await person.leave();
        }
      });
    });
  }

  test('how long things took', (t) => {
    for (const line of world.timings()) t.diagnostic(line);
  });
});

/** The number of GroupName differs between the packages. */
function fieldName(person) {
  return person.do(({ sdk }) => sdk.MetadataField.GroupName);
}

function peer(person, id) {
  return person.do(async ({ group }, id) => (await group(id)).peerInboxId(), id);
}

function memberCount(person, id) {
  return person.do(async ({ group }, id) => {
    const found = await group(id);
    await found.sync();
    return (await found.members()).length;
  }, id);
}
