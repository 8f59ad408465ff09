//! The binary itself: it survives being killed, ends in order, and logs nothing about anyone.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sotto_proto::{identity_api as id, mls_api as api, paths};

use crate::support::*;

/// A running node; killed when dropped.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(store: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sotto-node"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--store",
                &format!("sqlite:{}", store.display()),
            ])
            .args(more)
            .args(["--log-level", "trace"])
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(store.with_extension("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .expect("the line")
            .to_owned();
        Self { child, address }
    }

    async fn native(&self) -> Native {
        Native::connect(&self.address).await
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    async fn exit(&mut self) -> ExitStatus {
        let waiting = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(waiting).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn store() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.db");
    (directory, path)
}

async fn all_of(client: &Native, group: [u8; 16]) -> Vec<api::group_message::V1> {
    let mut out: Vec<api::group_message::V1> = vec![];
    loop {
        let cursor = out.last().map_or(0, |message| message.id);
        let answer: api::QueryGroupMessagesResponse = client
            .call(
                paths::QUERY_GROUP_MESSAGES,
                query(group, paging(1, 100, cursor)),
            )
            .await
            .unwrap();
        if answer.messages.is_empty() {
            return out;
        }
        out.extend(
            answer
                .messages
                .iter()
                .map(|message| group_v1(message).clone()),
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_kill_9_with_its_ids() {
    let (_directory, path) = store();
    let mut node = Process::start(&path, &[]);
    let groups: Vec<[u8; 16]> = (0..4).map(|_| unique_bytes()).collect();
    let person = Person::new();
    let client = node.native().await;
    let _: id::PublishIdentityUpdateResponse = client
        .call(
            paths::PUBLISH_IDENTITY_UPDATE,
            publish(person.registration()),
        )
        .await
        .unwrap();
    let updates = updates_of(&person.inbox(), 0);
    let before: id::GetIdentityUpdatesResponse = client
        .call(paths::GET_IDENTITY_UPDATES, updates.clone())
        .await
        .unwrap();

    // Everybody publishes until the node dies in the middle of it.
    let dead = Arc::new(AtomicBool::new(false));
    let mut publishers = vec![];
    for (n, group) in groups.iter().copied().cycle().take(16).enumerate() {
        let (client, dead) = (node.native().await, Arc::clone(&dead));
        publishers.push(tokio::spawn(async move {
            let mut acknowledged = vec![];
            for m in 0.. {
                let text = format!("{n}/{m}");
                match client
                    .call::<()>(
                        paths::SEND_GROUP_MESSAGES,
                        send(vec![message(group, &text)]),
                    )
                    .await
                {
                    Ok(()) => acknowledged.push((group, text)),
                    Err(_) => {
                        assert!(
                            dead.load(Ordering::SeqCst),
                            "failed before the node was killed"
                        );
                        break;
                    }
                }
            }
            acknowledged
        }));
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    let seen = all_of(&client, groups[0]).await;
    dead.store(true, Ordering::SeqCst);
    node.child.kill().unwrap();
    node.child.wait().unwrap();
    let mut acknowledged = vec![];
    for publisher in publishers {
        acknowledged.extend(soon(publisher).await.unwrap());
    }
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());

    let node = Process::start(&path, &[]);
    let client = node.native().await;
    let mut last = 0;
    for group in &groups {
        let stored = all_of(&client, *group).await;
        assert!(
            stored
                .windows(2)
                .all(|w| w[0].id < w[1].id && w[0].created_ns < w[1].created_ns)
        );
        last = last.max(stored.last().unwrap().id);
        if group == &groups[0] {
            assert_eq!(
                stored[..seen.len()],
                seen,
                "what a reader saw has not changed"
            );
        }
        for (_, text) in acknowledged.iter().filter(|(of, _)| of == group) {
            let found = stored
                .iter()
                .filter(|m| m.data[33..] == *text.as_bytes())
                .count();
            assert_eq!(found, 1, "{text}");
        }
    }
    let after: id::GetIdentityUpdatesResponse = client
        .call(paths::GET_IDENTITY_UPDATES, updates)
        .await
        .unwrap();
    assert_eq!(after, before);
    client
        .call::<()>(
            paths::SEND_GROUP_MESSAGES,
            send(vec![message(groups[0], "after")]),
        )
        .await
        .unwrap();
    assert!(
        all_of(&client, groups[0]).await.last().unwrap().id > last,
        "no id is used twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_streams_and_exits_with_zero() {
    let (_directory, path) = store();
    let mut node = Process::start(&path, &[]);
    let client = node.native().await;
    let request = api::SubscribeGroupMessagesRequest {
        filters: vec![api::subscribe_group_messages_request::Filter {
            group_id: vec![1; 16],
            id_cursor: 0,
        }],
    };
    let mut stream = client
        .stream::<api::GroupMessage>(paths::SUBSCRIBE_GROUP_MESSAGES, request)
        .await
        .unwrap();
    client
        .call::<()>(
            paths::SEND_GROUP_MESSAGES,
            send(vec![message([1; 16], "kept")]),
        )
        .await
        .unwrap();
    assert!(soon(stream.message()).await.unwrap().is_some());
    node.terminate();
    assert_eq!(
        soon(stream.message()).await.map_err(failure).unwrap_err().0,
        14
    );
    assert!(node.exit().await.success());
    assert!(
        !path.with_extension("db-wal").exists(),
        "one file is left, whole"
    );

    let node = Process::start(&path, &[]);
    assert_eq!(all_of(&node.native().await, [1; 16]).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_name_no_address_key_or_payload() {
    let (_directory, path) = store();
    let mut node = Process::start(&path, &["--log-json"]);
    let client = node.native().await;
    let person = Person::new();
    let group: [u8; 16] = unique_bytes();
    client
        .call::<()>(
            paths::SEND_GROUP_MESSAGES,
            send(vec![message(group, "PAYLOAD")]),
        )
        .await
        .unwrap();
    client
        .call::<()>(paths::UPLOAD_KEY_PACKAGE, person.key_package())
        .await
        .unwrap();
    let _: id::PublishIdentityUpdateResponse = client
        .call(
            paths::PUBLISH_IDENTITY_UPDATE,
            publish(person.registration()),
        )
        .await
        .unwrap();
    for bad in [publish(vec![1, 2, 3]), publish(b"PAYLOAD".to_vec())] {
        client
            .call::<id::PublishIdentityUpdateResponse>(paths::PUBLISH_IDENTITY_UPDATE, bad)
            .await
            .unwrap_err();
    }
    node.terminate();
    assert!(node.exit().await.success());
    let logs = std::fs::read_to_string(path.with_extension("log")).unwrap();
    assert!(logs.contains("shutting down"), "{logs}");
    for secret in [
        "127.0.0.1".to_owned(),
        "PAYLOAD".to_owned(),
        hex::encode(group),
        hex::encode(person.installation.id().as_bytes()),
        person.inbox(),
        person.wallet.address(),
    ] {
        assert!(
            !logs.to_lowercase().contains(&secret.to_lowercase()),
            "{secret}"
        );
    }
}

#[test]
fn a_store_that_is_not_ours_is_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    std::fs::write(&path, vec![7; 8_192]).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sotto-node"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--store",
            &format!("sqlite:{}", path.display()),
        ])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot open the store"));
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 8_192]);
}
