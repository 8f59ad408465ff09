// Random work of official clients and ours in one group, from a seed that is printed: `SEED=1 npm run test:interop`
// does the same again. Some of it happens at the same time, some is refused; in the end all agree.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { agree } from './support/person.mjs';
import { World } from './support/world.mjs';

const operations = 200;
const seed = Number(process.env.SEED ?? 20_251);

describe('random work in a mixed group', { timeout: 900_000 }, () => {
  /** @type {World} */
  let world;
  let people;
  before(async () => {
    world = await World.make();
    people = [await world.official('oda'), await world.sotto('sam'), await world.official('otto'), await world.sotto('sue')];
  });
  after(() => world?.close());

  test(`${operations} operations, seed ${seed}`, async (t) => {
    const random = generator(seed);
    const pick = (list) => list[random(list.length)];
    const [oda, ...others] = people;
    const id = await oda.createGroup(others);
    await agree(id, ...people);
    // Who stays in for good and may do anything: one of each kind.
    await oda.change(id, 'addSuperAdmin', people[1].inboxId);
    await agree(id, ...people);

    const inside = new Set(people);
    const sent = new Set();
    const refused = {};
    const attempt = async (what, work) => {
      try {
        await work();
        return true;
      } catch (error) {
        (refused[what] ??= new Set()).add(String(error.message ?? error).slice(0, 120));
        return false;
      }
    };
    const one = async (number) => {
      const actor = pick([...inside]);
      const kind = random(20);
      if (kind < 9) {
        const text = `${number} by ${actor.name}`;
        if (await attempt('text', () => actor.say(id, text))) sent.add(text);
      } else if (kind < 11) await attempt('name', () => actor.change(id, 'updateName', `name ${number}`));
      else if (kind < 13) await attempt('description', () => actor.change(id, 'updateDescription', `description ${number}`));
      else if (kind < 15) {
        const [method, target] = [pick(['addAdmin', 'removeAdmin']), pick(people.slice(2))];
        await attempt(method, () => actor.change(id, method, target.inboxId));
      } else if (kind < 16) await attempt('app data', () => actor.change(id, 'updateAppData', `data ${number}`));
      else if (kind < 18) {
        const target = pick(people.slice(2));
        const chief = pick(people.slice(0, 2));
        if (inside.has(target)) {
          if (await attempt('remove', () => chief.change(id, 'removeMembers', [target.inboxId]))) inside.delete(target);
        } else if (await attempt('add', () => chief.change(id, 'addMembers', [target.inboxId]))) {
          await target.syncAll();
          inside.add(target);
        }
      } else await actor.syncAll();
    };
    let done = 0;
    while (done < operations) {
      const together = 1 + random(3);
      const batch = Array.from({ length: together }, () => one(done++));
      await Promise.all(batch);
    }
    for (const target of people.slice(2)) {
      if (inside.has(target)) continue;
      await oda.change(id, 'addMembers', [target.inboxId]);
      inside.add(target);
    }
    const view = await agree(id, ...people);
    assert.equal(view.members.length, people.length);
    // Those who never left have read all that was sent, each once, under the same id. Not always in the same place: a
    // text that three commits overtook is sent again, and who could read it the first time keeps that.
    const expected = [...sent].sort();
    const ids = [];
    for (const person of people.slice(0, 2)) {
      const transcript = await person.transcript(id);
      const contents = transcript.map(({ content }) => content).sort();
      const lost = expected.filter((text) => !contents.includes(text));
      const extra = contents.filter((text, i) => !sent.has(text) || text === contents[i - 1]);
      assert.deepEqual({ lost, extra }, { lost: [], extra: [] }, `what ${person.name} (${person.kind}) has read`);
      ids.push(transcript.map((message) => `${message.id} ${message.sender} ${message.content}`).sort().join('\n'));
    }
    assert.equal(ids[1], ids[0]);
    t.diagnostic(`epoch ${view.epoch}, ${sent.size} texts`);
    for (const [what, messages] of Object.entries(refused)) for (const message of messages) t.diagnostic(`refused: ${what}: ${message}`);
  });

  test('how long things took', (t) => {
    for (const line of world.timings()) t.diagnostic(line);
  });
});

/** A generator of whole numbers below a bound, the same for the same seed. */
function generator(seed) {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}
