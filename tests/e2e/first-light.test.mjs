// First light: people chat in their browsers through a real node, which is killed and comes back, and neither the
// network nor the node's disk ever holds what they said.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { launchBrowser } from './support/browser.mjs';
import { Node } from './support/node.mjs';
import { Person } from './support/person.mjs';
import { find, formsOf, formsOfId } from './support/wire.mjs';

describe('first light', { timeout: 240_000 }, () => {
  let browser;
  let node;
  /** @type {Person[]} */
  let people;

  before(async () => (browser = await launchBrowser()));
  after(() => browser?.close());
  beforeEach(async () => {
    people = [];
    node = await Node.start();
  });
  afterEach(async () => {
    for (const person of people) await person.leave();
    await node.close();
  });

  const arrive = async (settings = {}, button = undefined) => {
    const person = await Person.arrive(browser, node.url, settings);
    people.push(person);
    return person.register(button);
  };

  test('two people make a group, chat both ways, reload, survive a killed node, and nobody else can read it', async () => {
    const ana = await arrive();
    const ben = await arrive({ injectedWallet: true }, 'Use my wallet');
    const [anaIs, benIs] = [await ana.identity(), await ben.identity()];
    const asked = await ben.signatures();
    assert.ok(asked >= 1, 'registering asks the wallet');

    const group = 'Kestrel nest on the tower';
    const said = ['Did you see both chicks this morning?', 'Three! The smallest hides behind the pipe.', 'Bringing the long lens on Friday then'];
    await ana.makeGroup(group, [benIs.address]);
    await ana.say(said[0]);
    await ben.openConversation(group);
    await ben.sees(said[0]);
    await ben.say(said[1]);
    await ana.sees(said[1]);

    // Reloaded, they are who they were, without signing, and go on.
    await Promise.all([ana.page.reload(), ben.page.reload()]);
    await Promise.all([ana.sees(said[1]), ben.sees(said[0])]);
    assert.deepEqual(await ana.texts(), said.slice(0, 2));
    assert.deepEqual(await ben.texts(), said.slice(0, 2));
    await ana.say(said[2]);
    await ben.sees(said[2]);
    assert.deepEqual([await ana.identity(), await ben.identity()], [anaIs, benIs]);
    assert.equal(await ben.signatures(), asked, 'no signature is asked for again');

    // The node is killed. The pages say so; what is written meanwhile is kept; all of it arrives when it is back.
    await ana.openConversation(group);
    await ben.openConversation(group);
    await node.kill();
    await Promise.all(people.map(({ page }) => page.locator('.connection').getByText('Offline').waitFor()));
    const meanwhile = 'Written while nobody was listening';
    await ana.say(meanwhile);
    await node.restart();
    await Promise.all(people.map(({ page }) => page.locator('.connection').waitFor({ state: 'hidden', timeout: 60_000 })));
    await Promise.all([ben.sees(meanwhile), ana.sees(meanwhile)]);
    const last = 'And here we are again';
    await ben.say(last);
    await ana.sees(last);
    const all = [...said, meanwhile, last];
    assert.deepEqual(await ana.texts(), all);
    assert.deepEqual(await ben.texts(), all);

    // What the network carried and what the node stored.
    await Promise.all(people.map(({ wire }) => wire.settled()));
    const passages = people.flatMap(({ wire }) => wire.passages).filter(({ where }) => !/\.(js|css|html|svg|wasm)$/.test(where));
    const stored = await node.storedBytes();
    const everything = [...passages.map(({ bytes }) => bytes), ...stored];
    assert.ok(everything.some((bytes) => find(bytes, formsOf(benIs.address))), 'look-ups carry addresses: the search works');
    assert.ok(stored.some((bytes) => find(bytes, formsOfId(benIs.inboxId))), 'identities are public: the search works');
    assert.ok(passages.some(({ where }) => /^(sent|received) ws/.test(where)), 'the socket was recorded');
    for (const secret of [group, ...all]) {
      const leak = passages.find(({ bytes }) => find(bytes, formsOf(secret)));
      assert.equal(leak?.where, undefined, `“${secret}” crossed the network`);
      assert.ok(!stored.some((bytes) => find(bytes, formsOf(secret))), `“${secret}” is in the node's store`);
    }
    // Nothing that belongs to a group or an invitation names a member.
    const ofGroups = people.flatMap(({ wire }) => wire.matching(/(Send|Query)(Group|Welcome)Messages|BatchPublish|^(sent|received) ws/));
    assert.ok(ofGroups.length > 10);
    for (const { inboxId, address } of [anaIs, benIs]) {
      const leak = ofGroups.find(({ bytes }) => find(bytes, [...formsOfId(inboxId), ...formsOfId(address)]));
      assert.equal(leak?.where, undefined, `a member is named`);
    }
    for (const { complaints } of people) assert.deepEqual(complaints, []);
  });

  test('a name, an invitation and a removal reach everybody, and who comes later reads only what comes later', async () => {
    const ana = await arrive();
    const ben = await arrive();
    const cleo = await arrive();
    const [benIs, cleoIs] = [await ben.identity(), await cleo.identity()];
    await ana.makeGroup('Reading circle', [benIs.address]);
    await ana.say('Before she came');
    await ben.openConversation('Reading circle');
    await ben.sees('Before she came');

    await ana.openMembers();
    await ana.page.getByLabel('Name of the group').fill('Reading circle, Tuesdays');
    await ana.page.getByRole('button', { name: 'Rename' }).click();
    await ben.page.getByRole('heading', { name: 'Reading circle, Tuesdays', level: 1 }).waitFor();

    await ana.page.getByLabel('Invite people').fill(cleoIs.address);
    await ana.page.getByRole('button', { name: 'Invite', exact: true }).click();
    await ana.page.getByRole('heading', { name: '3 members' }).waitFor();
    await cleo.openConversation('Reading circle, Tuesdays');
    await ana.say('Welcome, Cleo');
    await cleo.sees('Welcome, Cleo');
    await ben.sees('Welcome, Cleo');
    assert.deepEqual(await cleo.texts(), ['Welcome, Cleo']);

    const row = ana.page.getByRole('region', { name: 'Members' }).getByRole('listitem').filter({ hasText: benIs.address });
    await row.getByRole('button', { name: /^Remove/ }).click();
    await ana.page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await ben.page.getByText('You are no longer in this group.').waitFor();
    await ana.say('Between the two of us');
    await cleo.sees('Between the two of us');
    await ben.page.reload();
    await ben.page.getByText('You are no longer in this group.').waitFor();
    await ben.sees('Welcome, Cleo');
    assert.deepEqual(await ben.texts(), ['Before she came', 'Welcome, Cleo']);
    for (const { complaints } of people) assert.deepEqual(complaints, []);
  });

  test('somebody who registers twice from one key is one person with two installations', async () => {
    const ana = await arrive();
    const first = await ana.identity();
    await ana.page.getByRole('button', { name: 'Show my key' }).click();
    const key = await ana.page.locator('.secret').textContent();
    const elsewhere = await Person.arrive(browser, node.url);
    people.push(elsewhere);
    await elsewhere.page.getByText('I have a key from another browser').click();
    await elsewhere.page.getByLabel('Your key').fill(key);
    await elsewhere.page.getByRole('button', { name: 'Use it' }).click();
    await elsewhere.isIn();
    const second = await elsewhere.identity();
    assert.equal(second.inboxId, first.inboxId);
    assert.notEqual(second.installationId, first.installationId);
  });

  test('an invitation to an address that nobody uses is refused before anything is made', async () => {
    const ana = await arrive();
    await ana.page.getByRole('button', { name: 'New group' }).click();
    await ana.page.getByLabel('People', { exact: true }).fill(`0x${'12'.repeat(20)}`);
    await ana.page.getByLabel('People', { exact: true }).press('Enter');
    await ana.page.getByText('has not used sotto yet').waitFor();
    await ana.page.getByRole('button', { name: 'Make the group' }).click();
    await ana.page.getByRole('alert').filter({ hasText: 'Leave it out to go on.' }).waitFor();
    assert.equal(await ana.page.getByRole('navigation', { name: 'Conversations' }).getByRole('listitem').count(), 0);
  });

  test('the node ends cleanly when asked to', async () => {
    await arrive();
    assert.equal(await node.stop(), 0);
  });
});
