// The official SDK alone on our node, nothing stubbed.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { agree } from './support/person.mjs';
import { World } from './support/world.mjs';

describe('the official SDK alone on our node', { timeout: 600_000 }, () => {
  /** @type {World} */
  let world;
  let ada, bob, cyd;
  before(async () => {
    world = await World.make();
    ada = await world.official('ada');
    bob = await world.official('bob');
    cyd = await world.official('cyd');
  });
  after(() => world?.close());

  test('people register and can be messaged; an address nobody has cannot', async () => {
    const nobody = { identifier: '0x000000000000000000000000000000000000dead', identifierKind: 0 };
    // The answer is a map; the official client fills it in no particular order.
    const answers = await ada.do(async ({ client }, identifiers) => {
      const answer = await client.canMessage(identifiers);
      return identifiers.map(({ identifier }) => answer.get(identifier));
    }, [bob.identifier, cyd.identifier, nobody]);
    assert.deepEqual(answers, [true, true, false]);
  });

  test('texts go both ways in a group, and all see the same', async () => {
    const id = await ada.createGroup([bob, cyd], { groupName: 'first' });
    await ada.say(id, 'one');
    await bob.syncAll();
    await bob.say(id, 'two');
    const view = await agree(id, ada, bob, cyd);
    assert.equal(view.name, 'first');
    assert.equal(view.members.length, 3);
    for (const person of [ada, bob, cyd]) assert.deepEqual(await person.texts(id), ['one', 'two']);
    assert.deepEqual(await bob.transcript(id), await ada.transcript(id));
  });

  test('a group of ten', async () => {
    const others = [];
    for (let i = 0; i < 7; i++) {
      const other = await world.official(`guest${i}`);
      others.push(other);
      if (i > 0) await other.leave();
    }
    const id = await ada.createGroup([bob, cyd, ...others]);
    await ada.say(id, 'to ten');
    const view = await agree(id, ada, bob, cyd, others[0]);
    assert.equal(view.members.length, 10);
    assert.deepEqual(await others[0].texts(id), ['to ten']);
    await others[0].leave();
  });

  test('metadata of every kind', async () => {
    const id = await ada.createGroup([bob]);
    await ada.change(id, 'updateName', 'a name');
    await ada.change(id, 'updateDescription', 'a description');
    await ada.change(id, 'updateImageUrl', 'https://example.org/a.png');
    await ada.change(id, 'updateAppData', 'some data');
    const { name, description, imageUrl, appData } = await agree(id, ada, bob);
    assert.deepEqual([name, description, imageUrl, appData], ['a name', 'a description', 'https://example.org/a.png', 'some data']);
  });

  test('promotion and demotion, to admin and to super admin', async () => {
    const id = await ada.createGroup([bob, cyd]);
    await ada.change(id, 'addAdmin', bob.inboxId);
    assert.deepEqual((await agree(id, ada, bob, cyd)).admins, [bob.inboxId]);
    await ada.change(id, 'removeAdmin', bob.inboxId);
    await ada.change(id, 'addSuperAdmin', cyd.inboxId);
    const view = await agree(id, ada, bob, cyd);
    assert.deepEqual(view.admins, []);
    assert.deepEqual(view.superAdmins, [ada.inboxId, cyd.inboxId].sort());
    await cyd.change(id, 'removeSuperAdmin', ada.inboxId);
    assert.deepEqual((await agree(id, ada, bob, cyd)).superAdmins, [cyd.inboxId]);
  });

  test('who is removed reads and sends nothing more, and does again once re-added', async () => {
    const id = await ada.createGroup([bob, cyd]);
    await ada.say(id, 'with bob');
    await agree(id, ada, bob, cyd);
    await ada.change(id, 'removeMembers', [bob.inboxId]);
    await ada.say(id, 'without bob');
    await bob.syncAll();
    assert.equal(await bob.isIn(id), false);
    assert.deepEqual(await bob.texts(id), ['with bob']);
    await assert.rejects(bob.say(id, 'I am still here'));
    await ada.change(id, 'addMembers', [bob.inboxId]);
    await agree(id, ada, bob, cyd);
    await bob.say(id, 'back');
    await agree(id, ada, bob, cyd);
    assert.deepEqual(await bob.texts(id), ['with bob', 'back']);
    assert.deepEqual(await cyd.texts(id), ['with bob', 'without bob', 'back']);
  });

  test('a DM', async () => {
    const id = await ada.createDm(bob);
    await ada.say(id, 'just us');
    await bob.syncAll();
    await bob.say(id, 'indeed');
    await agree(id, ada, bob);
    assert.deepEqual(await ada.texts(id), ['just us', 'indeed']);
  });

  test('streams bring texts of old and of new groups', async () => {
    const old = await ada.createGroup([bob]);
    await agree(old, ada, bob);
    await bob.listen();
    await ada.say(old, 'live in the old');
    await bob.hears('live in the old');
    const young = await ada.createGroup([bob]);
    await ada.say(young, 'live in the new');
    await bob.hears('live in the new');
    assert.deepEqual(await bob.heard(), ['live in the old', 'live in the new']);
  });

  test('a second installation enters the groups, and leaves them when it is revoked', async () => {
    const id = await ada.createGroup([bob]);
    await agree(id, ada, bob);
    const again = await world.official('bob-again', bob.wallet);
    assert.equal(again.inboxId, bob.inboxId);
    assert.notEqual(again.installationId, bob.installationId);
    await new Promise((resolve) => setTimeout(resolve, 5_100)); // official clients look for installations every 5 s
    await ada.say(id, 'to both');
    await agree(id, ada, bob, again);
    assert.deepEqual(await again.texts(id), ['to both']);

    await bob.do(({ client }) => client.revokeAllOtherInstallations());
    await new Promise((resolve) => setTimeout(resolve, 5_100));
    await ada.say(id, 'to one');
    const { members } = await agree(id, ada, bob);
    assert.deepEqual(members.find(({ inboxId }) => inboxId === bob.inboxId).installationIds, [bob.installationId]);
    await again.syncAll();
    assert.deepEqual(await again.texts(id), ['to both']);
    await again.leave();
  });

  test('a key package is replaced after it was used', async () => {
    const created = () =>
      ada.do(async ({ client }, id) => String((await client.fetchKeyPackageStatuses([id])).get(id).lifetime.notBefore), cyd.installationId);
    const before = await created();
    await ada.createGroup([cyd]);
    await cyd.syncAll();
    const deadline = Date.now() + 30_000;
    while ((await created()) === before) {
      assert.ok(Date.now() < deadline, 'no new key package within 30 s');
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  });

  test('a node that restarts has lost nothing, and streams go on', async () => {
    const id = await ada.createGroup([cyd]);
    await agree(id, ada, cyd);
    await cyd.listen({ retryDelay: 500 });
    await ada.say(id, 'before');
    await cyd.hears('before');
    await world.node.kill();
    await world.node.restart();
    await ada.say(id, 'after');
    await cyd.hears('after');
    await agree(id, ada, cyd);
    assert.deepEqual(await cyd.texts(id), ['before', 'after']);
  });

  test('how long things took', (t) => {
    for (const line of world.timings()) t.diagnostic(line);
  });
});
