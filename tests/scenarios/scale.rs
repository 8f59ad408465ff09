//! What an invitation of many costs. `SOTTO_SCALE=10,250,1000` says how many members; a short run
//! by default.

use std::time::{Duration, Instant};

use sotto::client::testing::World;
use sotto_proto::Message as _;
use sotto_proto::paths;

use crate::support::*;

fn measure(members: usize) {
    let world = World::new(900);
    let mut device = world.device();
    device.options.max_group_size = members.max(250);
    let a = world.open(&device).unwrap();
    let others: Vec<_> = (1..members)
        .map(|_| world.open(&world.device()).unwrap())
        .collect();
    let inboxes: Vec<String> = others.iter().map(|tab| tab.inbox_id().to_owned()).collect();
    world.node.record();
    let start = Instant::now();
    let id = act(&world, &a, async move |client| {
        client.create_group(inboxes, named("many")).await
    })
    .unwrap();
    let creating = start.elapsed();
    let (mut commits, mut welcomes, mut rest) = (0, 0, 0);
    for heard in world.node.heard() {
        match heard.path {
            paths::SEND_GROUP_MESSAGES => commits += heard.request.len(),
            paths::SEND_WELCOME_MESSAGES => welcomes += heard.request.len(),
            _ => rest += heard.request.len(),
        }
    }
    let log = world.node.group_log(id.as_bytes());
    let expected = (members - 1).div_ceil(200).max(1);
    assert_eq!(log.len(), expected, "commits of at most 200 installations");
    let size = |tab: &sotto::client::testing::Tab| -> usize {
        let stored = world.node.welcomes(tab.me.installation.as_bytes());
        stored.iter().map(|message| message.encoded_len()).sum()
    };
    let (first, last) = (&others[0], &others[others.len() - 1]);
    let own = size(last);
    let start = Instant::now();
    for tab in [first, last] {
        sync(&world, tab);
    }
    let joining = start.elapsed() / 2;
    let start = Instant::now();
    say(&world, first, id, "hello, everybody");
    let speaking = start.elapsed();
    sync(&world, &a);
    assert_eq!(row(&world, &a, id).members.len(), members);
    assert_converged(&world, &[&a, first, last], id);
    assert!(texts(&world, last, id).contains(&"hello, everybody".to_owned()));
    println!(
        "{members} members: {} commits of {commits} bytes, Welcomes {welcomes} bytes ({own} at an \
         installation), other requests {rest} bytes; created in {creating:?}, joined in \
         {joining:?}, first message with its key update in {speaking:?}",
        log.len()
    );
    // One shared copy, not one a member: far below the tree times the members.
    if members > 100 {
        assert!(own < 4_000, "{own}");
        assert!(welcomes < members * 4_000 + 5_000_000, "{welcomes}");
    }
    assert!(joining < Duration::from_secs(60));
}

#[test]
fn an_invitation_of_many_costs_one_copy_of_the_tree_a_commit() {
    let sizes = std::env::var("SOTTO_SCALE").unwrap_or_else(|_| "10".to_owned());
    for size in sizes.split(',') {
        measure(size.trim().parse().unwrap());
    }
}

#[test]
fn more_than_250_members_need_the_setting_and_are_refused_without_it() {
    let world = World::new(901);
    let mut device = world.device();
    let a = world.open(&device).unwrap();
    let inboxes: Vec<String> = (0..250).map(|number| format!("{number:064x}")).collect();
    let refused = |tab: &sotto::client::testing::Tab| {
        let inboxes = inboxes.clone();
        act(&world, tab, async move |client| {
            client.create_group(inboxes, named("many")).await
        })
        .unwrap_err()
        .code()
    };
    assert_eq!(refused(&a), sotto::Code::TooLarge);
    device.options.max_group_size = 251;
    let b = world.open(&device).unwrap();
    // Nobody of them exists: that is all there is against it.
    assert_eq!(refused(&b), sotto::Code::NotFound);
}
