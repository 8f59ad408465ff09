//! Random histories: members add, remove, rename, promote, leave, talk, race and go away, and in
//! the end all who are in agree. `SOTTO_HISTORIES` says how many, `SOTTO_SEED` where to start; a
//! failing seed makes the same choices again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{AbortHandle, LocalBoxFuture, abortable, join_all};
use sotto::client::GroupId;
use sotto::client::testing::{Device, Tab, World};
use sotto::content::{ContentType as _, Text};
use sotto::mls::extensions::MODERATION;
use sotto::mls::policy::{PolicySet, Preset};
use sotto::mls::{Change, GroupFacts};
use sotto::net::fake::{Fate, Hook};

use crate::support::*;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }
}

type Act = LocalBoxFuture<'static, Option<String>>;

/// A person: a store, the context that uses it now, and its network.
struct Person {
    device: Device,
    tab: Tab,
    away: Rc<Cell<bool>>,
}

impl std::ops::Deref for Person {
    type Target = Tab;
    fn deref(&self) -> &Tab {
        &self.tab
    }
}

impl Person {
    fn new(world: &World) -> Self {
        let device = world.device();
        let away = Rc::default();
        let tab = open(world, &device, &away, None);
        Self { device, tab, away }
    }

    /// The context dies wherever it is, and another opens the store.
    fn restart(&mut self, world: &World, chance: Option<u64>) {
        self.tab.kill();
        self.tab = open(world, &self.device, &self.away, chance);
    }
}

/// Opens a context whose requests and answers are lost while it is away, and now and then if it
/// is given to chance.
fn open(world: &World, device: &Device, away: &Rc<Cell<bool>>, chance: Option<u64>) -> Tab {
    let (away, dice) = (Rc::clone(away), RefCell::new(chance.map(Dice)));
    let open = Rc::new(Cell::new(false));
    let opened = Rc::clone(&open);
    let hook: Hook = Rc::new(move |_| {
        let lost = (dice.borrow_mut().as_mut()).map_or(9, |dice| dice.roll(10));
        let fate = match lost {
            _ if !opened.get() => Fate::Pass,
            _ if away.get() => Fate::LoseRequest,
            0 => Fate::LoseRequest,
            1 => Fate::LoseAnswer,
            _ => Fate::Pass,
        };
        async move { fate }.boxed_local()
    });
    let tab = world.open_with(device, Some(hook)).unwrap();
    open.set(true);
    tab
}

/// One thing that a client does by itself; a text that it certainly sent comes back.
fn action(dice: &mut Dice, tabs: &[Person], who: usize, id: GroupId, mark: String) -> Act {
    let client = tabs[who].client.clone();
    let whom = tabs[dice.roll(tabs.len())].inbox_id().to_owned();
    let (kind, flag, other) = (dice.roll(12), dice.roll(2) == 0, dice.roll(2) == 0);
    // What is refused is refused: only the outcome for all counts.
    Box::pin(async move {
        match kind {
            0 | 1 => drop(client.add_members(id, vec![whom]).await),
            2 => drop(client.remove_members(id, vec![whom]).await),
            3 => drop(
                client
                    .update_metadata(id, name_of(&mark), BTreeMap::new())
                    .await,
            ),
            4 | 5 => drop(client.update_role(id, whom, flag, other).await),
            6 if flag && other => drop(client.request_removal(id).await),
            6..=8 => {
                let content = Text::from(mark.as_str()).encode().ok()?;
                let sent = client.send(id, &content, &Default::default()).await;
                return sent.is_ok().then_some(mark);
            }
            _ => drop(client.sync_all(None, None).await),
        }
        None
    })
}

/// What a plain member has no right to, well formed as MLS wants it.
fn crime(dice: &mut Dice, tab: &Tab, facts: &GroupFacts) -> Change {
    let mut change = Change::default();
    let mut mutable = facts.mutable.clone();
    let me = tab.inbox_id();
    let victim = facts.members.iter().find(|member| member.inbox_id != me);
    match (dice.roll(9), victim) {
        (0, _) => mutable.super_admins.push(me.to_owned()),
        (1, _) => mutable.super_admins.clear(),
        (2, _) => drop(mutable.attributes.insert(MODERATION.into(), "v1;".into())),
        (3, _) => mutable.admins.push(me.to_owned()),
        (4, _) => change.permissions = Some(PolicySet::dm()),
        // A member is removed, or loses its leaf, or its place in the list alone.
        (roll @ 5..=7, Some(victim)) => {
            let mut membership = facts.membership.clone();
            if roll != 6 {
                membership.members.remove(&victim.inbox_id);
            }
            if roll != 7 {
                change.remove.push(victim.leaf);
            }
            change.membership = Some(membership);
            return change;
        }
        // Its identity log is rolled back.
        (_, Some(victim)) => {
            let mut membership = facts.membership.clone();
            membership.members.insert(victim.inbox_id.clone(), 0);
            change.membership = Some(membership);
            return change;
        }
        _ => mutable.super_admins = vec![me.to_owned()],
    }
    change.mutable = (change.permissions.is_none()).then_some(mutable);
    change
}

/// A member with a changed client commits what it likes; its own state is as it was.
fn misbehave(world: &World, dice: &mut Dice, tab: &Tab, id: GroupId) {
    let row = act(world, tab, async move |client| client.peek(id).await);
    let may = row.is_ok_and(|row| {
        let me = tab.inbox_id().to_owned();
        row.active && !row.open && !row.super_admins.contains(&me) && !row.admins.contains(&me)
    });
    if !may {
        return;
    }
    let change = crime(dice, tab, &facts(world, tab, id));
    let forged = forge(world, tab, id, change);
    world.node.inject(id.as_bytes(), forged, true);
}

/// Tells how to see a failure again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            println!(
                "replay: SOTTO_SEED={seed} SOTTO_HISTORIES=1 cargo test -p sotto --test scenarios \
                 s_48 -- --nocapture"
            );
        }
    }
}

fn history(seed: u64) {
    let _replay = Replay(seed);
    let world = World::new(seed);
    let mut dice = Dice(seed.wrapping_mul(2_654_435_761).wrapping_add(1));
    let mut tabs: [Person; 5] = std::array::from_fn(|_| Person::new(&world));
    let id = group(&world, &tabs[0], &[&tabs[1], &tabs[2]]);
    for round in 0..8 {
        if dice.roll(6) == 0 {
            let who = dice.roll(tabs.len());
            misbehave(&world, &mut dice, &tabs[who], id);
        }
        let who = dice.roll(tabs.len());
        match dice.roll(4) {
            0 => tabs[who].away.set(!tabs[who].away.get()),
            1 => {
                let chance = (dice.roll(2) == 0).then_some(dice.0);
                tabs[who].restart(&world, chance);
            }
            _ => {}
        }
        // Some at once, some not at all.
        let acts: Vec<(usize, Act)> = (0..1 + dice.roll(3))
            .map(|number| {
                let who = dice.roll(tabs.len());
                let mark = format!("{round}.{number}");
                (who, action(&mut dice, &tabs, who, id, mark))
            })
            .collect();
        if dice.roll(4) == 0 {
            // One dies in the middle of it.
            let dies = dice.roll(tabs.len());
            let mut cut = Vec::new();
            for (who, act) in acts {
                let (act, handle) = abortable(act);
                if who == dies {
                    cut.push(handle);
                }
                world.spawn(act);
            }
            world.pass(Duration::from_millis(dice.roll(400) as u64));
            cut.iter().for_each(AbortHandle::abort);
            tabs[dies].restart(&world, None);
            world.pass(Duration::from_secs(20));
        } else {
            world.run(join_all(acts.into_iter().map(|(_, act)| act)));
        }
        if dice.roll(3) == 0 {
            let who = dice.roll(tabs.len());
            let client = tabs[who].client.clone();
            let _ = world.run(async move { client.sync_all(None, None).await });
        }
    }
    for person in &mut tabs {
        person.away.set(false);
        person.restart(&world, None);
    }
    let tabs: Vec<&Tab> = tabs.iter().map(|person| &person.tab).collect();
    settle(&world, &tabs, id, seed);
}

fn settle(world: &World, tabs: &[&Tab], id: GroupId, seed: u64) {
    let mut quiet = 0;
    for _ in 0..12 {
        let before = log_length(world, id);
        for tab in tabs {
            sync(world, tab);
        }
        world.pass(std::time::Duration::from_secs(3));
        quiet = if log_length(world, id) == before {
            quiet + 1
        } else {
            0
        };
        if quiet == 2 {
            break;
        }
    }
    assert_eq!(quiet, 2, "seed {seed}: the group does not come to rest");
    let active: Vec<&Tab> = tabs
        .iter()
        .copied()
        .filter(|tab| {
            let row = act(world, tab, async move |client| client.peek(id).await);
            row.is_ok_and(|row| row.active)
        })
        .collect();
    let Some(first) = active.first() else {
        panic!("seed {seed}: nobody is left");
    };
    assert_converged(world, &active, id);
    let roster = row(world, first, id);
    let mut listed: Vec<&str> = roster
        .members
        .iter()
        .map(|member| member.inbox_id.as_str())
        .collect();
    let mut present: Vec<&str> = active.iter().map(|tab| tab.inbox_id()).collect();
    listed.sort_unstable();
    present.sort_unstable();
    assert_eq!(listed, present, "seed {seed}");
    assert!(!roster.super_admins.is_empty(), "seed {seed}: nobody leads");
    assert!(
        !roster.attributes.contains_key(MODERATION),
        "seed {seed}: a rule was broken"
    );
    assert_eq!(
        roster.permissions,
        Preset::AllMembers.policies().encode(),
        "seed {seed}: a rule was broken"
    );
    // Who asked to leave is gone, unless it leads by now or there was nobody to take it out.
    let leads = |inbox: &String| roster.super_admins.contains(inbox);
    let stays = |inbox: &String| roster.leaving.contains(inbox);
    let speakers: Vec<&Tab> = (active.iter().copied())
        .filter(|tab| !stays(&tab.inbox_id().to_owned()))
        .collect();
    assert!(
        roster.leaving.iter().all(leads)
            || (roster.super_admins.iter())
                .all(|leader| stays(leader) || !present.contains(&leader.as_str())),
        "seed {seed}: a request to leave is not met"
    );
    // Each can still speak to all, and no message is lost or doubled between those who heard both.
    for tab in &speakers {
        say(world, tab, id, &format!("end of {}", tab.inbox_id()));
    }
    for _ in 0..2 {
        for tab in &active {
            sync(world, tab);
        }
    }
    for tab in &active {
        let heard = texts(world, tab, id);
        for speaker in &speakers {
            let end = format!("end of {}", speaker.inbox_id());
            let times = heard.iter().filter(|text| **text == end).count();
            assert_eq!(times, 1, "seed {seed}: {end}");
        }
        let mut once = heard.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), heard.len(), "seed {seed}: a message twice");
    }
}

#[test]
fn s_48_random_histories_end_in_agreement() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (start, count) = (number("SOTTO_SEED", 1), number("SOTTO_HISTORIES", 60));
    let begun = std::time::Instant::now();
    for seed in start..start + count {
        history(seed);
    }
    println!(
        "{count} histories from seed {start} in {:?}",
        begun.elapsed()
    );
}
