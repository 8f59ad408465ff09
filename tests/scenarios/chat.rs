//! First light: two people, then more.

use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use sotto::Code;
use sotto::client::conversation::SendOptions;
use sotto::client::testing::World;
use sotto::content::{ContentType as _, Text};
use sotto::net::fake::{Fate, Hook};

use crate::support::{assert_converged, group, say, sync, texts, try_say};

#[test]
fn two_people_chat_both_ways() {
    let world = World::new(1);
    let (a, b) = (
        world.open(&world.device()).unwrap(),
        world.open(&world.device()).unwrap(),
    );
    let id = group(&world, &a, &[&b]);
    say(&world, &a, id, "hello");
    sync(&world, &b);
    assert_eq!(texts(&world, &b, id), ["hello"]);
    say(&world, &b, id, "hello yourself");
    sync(&world, &a);
    assert_eq!(texts(&world, &a, id), ["hello", "hello yourself"]);
    assert_eq!(texts(&world, &b, id), ["hello", "hello yourself"]);
    assert_converged(&world, &[&a, &b], id);
}

#[test]
fn a_store_is_opened_again_without_a_signature_and_the_chat_goes_on() {
    let world = World::new(2);
    let (device_a, device_b) = (world.device(), world.device());
    let (a, b) = (
        world.open(&device_a).unwrap(),
        world.open(&device_b).unwrap(),
    );
    let id = group(&world, &a, &[&b]);
    say(&world, &a, id, "one");
    sync(&world, &b);
    a.kill();
    b.kill();
    let updates = world.node.identity_updates(a.inbox_id());
    let (a, b) = (
        world.open(&device_a).unwrap(),
        world.open(&device_b).unwrap(),
    );
    assert_eq!(world.node.identity_updates(a.inbox_id()), updates);
    assert_eq!(texts(&world, &b, id), ["one"]);
    say(&world, &b, id, "two");
    sync(&world, &a);
    assert_eq!(texts(&world, &a, id), ["one", "two"]);
    assert_converged(&world, &[&a, &b], id);
}

#[test]
fn members_come_and_go() {
    let world = World::new(3);
    let tabs: Vec<_> = (0..4)
        .map(|_| world.open(&world.device()).unwrap())
        .collect();
    let [a, b, c, d] = tabs.as_slice() else {
        unreachable!()
    };
    let id = group(&world, a, &[b, c]);
    say(&world, a, id, "three of us");
    for tab in [b, c] {
        sync(&world, tab);
    }
    let (client, inbox) = (b.client.clone(), d.inbox_id().to_owned());
    world
        .run(async move { client.add_members(id, vec![inbox]).await })
        .unwrap();
    sync(&world, d);
    say(&world, d, id, "here I am");
    let (client, inbox) = (a.client.clone(), c.inbox_id().to_owned());
    sync(&world, a);
    world
        .run(async move { client.remove_members(id, vec![inbox]).await })
        .unwrap();
    say(&world, a, id, "without c");
    sync(&world, c);
    assert_eq!(texts(&world, c, id), ["three of us", "here I am"]);
    assert_eq!(
        try_say(&world, c, id, "still here?").unwrap_err().code(),
        Code::NotAMember
    );
    sync(&world, d);
    assert_eq!(texts(&world, d, id), ["here I am", "without c"]);
    assert_converged(&world, &[a, b, d], id);
}

#[test]
fn a_lost_race_is_redone() {
    let world = World::new(4);
    let tabs: Vec<_> = (0..4)
        .map(|_| world.open(&world.device()).unwrap())
        .collect();
    let [a, b, c, d] = tabs.as_slice() else {
        unreachable!()
    };
    let id = group(&world, a, &[b]);
    sync(&world, b);
    say(&world, b, id, "rotated");
    sync(&world, a);
    let (one, two) = (a.client.clone(), b.client.clone());
    let (c_inbox, d_inbox) = (c.inbox_id().to_owned(), d.inbox_id().to_owned());
    let (first, second) = world.run(async move {
        futures::future::join(
            one.add_members(id, vec![c_inbox]),
            two.add_members(id, vec![d_inbox]),
        )
        .await
    });
    first.unwrap();
    second.unwrap();
    assert_converged(&world, &[a, b, c, d], id);
}

#[test]
fn a_text_sent_while_a_commit_is_under_way_is_with_the_node_when_the_call_ends() {
    let slow: Hook = Rc::new(|_| {
        Box::pin(async {
            turns(10).await;
            Fate::Pass
        })
    });
    for head_start in (0..80).step_by(4) {
        let world = World::new(6);
        let a = world
            .open_with(&world.device(), Some(slow.clone()))
            .unwrap();
        let b = world.open(&world.device()).unwrap();
        let id = group(&world, &a, &[&b]);
        sync(&world, &b);
        let (renamer, sender) = (a.client.clone(), a.client.clone());
        let (set, content) = (
            [("group_name".to_owned(), "new".to_owned())].into(),
            Text::from("amid").encode().unwrap(),
        );
        let (renamed, sent) = world.run(async move {
            let rename = renamer.update_metadata(id, set, [].into());
            let send = async {
                turns(head_start).await;
                sender.send(id, &content, &SendOptions::default()).await
            };
            futures::future::join(rename, send).await
        });
        renamed.unwrap();
        sent.unwrap();
        sync(&world, &b);
        assert_eq!(texts(&world, &b, id), ["amid"], "{head_start} turns later");
    }
}

/// Lets everything else go on, so many times.
async fn turns(count: u32) {
    for _ in 0..count {
        let mut yielded = false;
        futures::future::poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[test]
fn a_message_arrives_through_the_subscription() {
    let world = World::new(5);
    let (a, b) = (
        world.open(&world.device()).unwrap(),
        world.open(&world.device()).unwrap(),
    );
    b.go_live();
    let client = b.client.clone();
    let mut reader = world.run(async move { client.read_feed().await }).unwrap();
    let id = group(&world, &a, &[&b]);
    say(&world, &a, id, "live");
    let (entries, _reader) = world.run(async move {
        let mut entries = Vec::new();
        while !entries.iter().any(|entry: &sotto::client::rows::FeedRow| {
            entry.kind == sotto::client::rows::FeedKind::Messages as i32
        }) {
            entries.push(reader.next().await.unwrap().unwrap());
        }
        (entries, reader)
    });
    assert!(!entries.is_empty());
    world.pass(Duration::from_secs(2));
    assert_eq!(texts(&world, &b, id), ["live"]);
    assert_eq!(b.live.state(), sotto::client::live::LinkState::Live);
}

#[test]
fn what_is_sent_first_without_waiting_arrives_first() {
    let world = World::new(6);
    let (a, b) = (
        world.open(&world.device()).unwrap(),
        world.open(&world.device()).unwrap(),
    );
    let id = group(&world, &a, &[&b]);
    let expected: Vec<String> = (0..30).map(|number| format!("text {number}")).collect();
    let sends = expected.iter().map(|text| {
        let (client, text) = (a.client.clone(), text.clone());
        async move {
            use sotto::content::{ContentType as _, Text};
            let content = Text::from(text.as_str()).encode().unwrap();
            client.send(id, &content, &Default::default()).await
        }
    });
    let sends: Vec<_> = sends.collect();
    for result in world.run(futures::future::join_all(sends)) {
        result.unwrap();
    }
    sync(&world, &b);
    assert_eq!(texts(&world, &b, id), expected);
}
