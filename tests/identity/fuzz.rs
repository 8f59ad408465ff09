//! Arbitrary bytes as a log of identity updates. [`log_from_bytes`] is the entry point for any
//! fuzzer; the test drives it with mutations of real updates, for a moment, or for as many
//! seconds as `SOTTO_FUZZ_SECONDS` says.

use std::time::{Duration, Instant};

use sotto::identity::{AssociationState, InboxId, SignatureRequest, SignedUpdate, publish};

use super::support::*;

/// Reads `data` as a log, each entry behind its length in two bytes, and does with it what client
/// and node do. Must not panic, whatever the data. Says how many entries were accepted.
fn log_from_bytes(mut data: &[u8]) -> usize {
    let mut log = Vec::new();
    let mut state: Option<AssociationState> = None;
    while let Some((length, rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (entry, rest) = rest.split_at(length);
        data = rest;
        let Ok(update) = SignedUpdate::decode(entry) else {
            continue;
        };
        let _ = publish::check(&log, &update);
        match AssociationState::apply(state.as_ref(), &update, &yes(&update)) {
            Ok(next) => {
                let _ = AssociationState::diff(state.as_ref(), &next);
                assert_eq!(AssociationState::decode(&next.encode()).as_ref(), Ok(&next));
                state = Some(next);
                log.push(update);
            }
            Err(error) => assert!(!error.is_retryable(), "every contract was asked"),
        }
    }
    let _ = SignatureRequest::from_bytes(data);
    let _ = AssociationState::decode(data);
    log.len()
}

/// Logs to start from: signers of every kind, and a legacy key from the vectors.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for owner in [wallet("owner"), passkey("owner"), contract("owner", 5)] {
        let (app, second) = (installation("app"), passkey("second"));
        let mut inbox = Inbox::of(&owner, 1);
        inbox
            .update(vec![create(&owner, 1), add(&app, &owner)])
            .unwrap();
        inbox.update(vec![add(&second, &app)]).unwrap();
        inbox
            .update(vec![change_recovery(&second, &owner)])
            .unwrap();
        inbox.update(vec![revoke(&owner, &second)]).unwrap();
        seeds.push(framed(&inbox.log));
    }
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../vectors/identity.json")).unwrap();
    for log in vectors["association_logs"].as_array().unwrap() {
        if log["name"]
            .as_str()
            .unwrap()
            .starts_with("legacy_create_and_add")
        {
            let updates = log["updates"].as_array().unwrap();
            let bytes = updates
                .iter()
                .map(|u| hex::decode(u["identity_update_hex"].as_str().unwrap()).unwrap());
            seeds.push(framed(&bytes.collect::<Vec<_>>()));
        }
    }
    assert_eq!(seeds.len(), 4);
    seeds
}

fn framed(log: &[Vec<u8>]) -> Vec<u8> {
    let frame = |entry: &Vec<u8>| [&(entry.len() as u16).to_be_bytes(), entry.as_slice()].concat();
    log.iter().flat_map(frame).collect()
}

fn mutate(rng: &mut Rng, data: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(data.len());
        let length = 1 + rng.below(64);
        let end = (at + length).min(data.len());
        match rng.below(7) {
            0 if at < data.len() => data[at] ^= 1 << rng.below(8),
            1 if at < data.len() => data[at] = rng.next() as u8,
            2 => drop(data.drain(at..end)),
            3 => drop(data.splice(
                at..at,
                (0..length).map(|_| rng.next() as u8).collect::<Vec<_>>(),
            )),
            4 => {
                let copy = data[at..end].to_vec();
                let to = rng.below(data.len());
                data.splice(to..to, copy);
            }
            5 => {
                let from = rng.below(other.len());
                let copy = other[from..(from + length).min(other.len())].to_vec();
                data.splice(at..end, copy);
            }
            _ => data.truncate(at.max(1)),
        }
    }
}

#[test]
fn arbitrary_bytes_are_refused_and_nothing_worse() {
    let seeds = seeds();
    for seed in &seeds {
        assert!(log_from_bytes(seed) >= 1, "seeds are valid");
    }
    let seconds = std::env::var("SOTTO_FUZZ_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok());
    let (rounds, time) = match seconds {
        Some(seconds) => (u64::MAX, Duration::from_secs(seconds)),
        None => (1_500, Duration::MAX),
    };
    let start = Instant::now();
    for round in 0..rounds {
        if start.elapsed() > time {
            println!("{round} rounds");
            break;
        }
        let mut rng = Rng(round);
        let mut data = seeds[rng.below(seeds.len())].clone();
        let other = seeds[rng.below(seeds.len())].clone();
        mutate(&mut rng, &mut data, &other);
        if std::panic::catch_unwind(|| log_from_bytes(&data)).is_err() {
            panic!("round {round}: {}", hex::encode(&data));
        }
    }
}

#[test]
fn a_saved_request_can_be_any_bytes() {
    let owner = wallet("owner");
    let id = InboxId::derive(&owner.identifier(), 1);
    let mut request = SignatureRequest::builder(&id, T0)
        .create_inbox(owner.identifier(), 1)
        .add(installation("app").member(), owner.identifier())
        .build();
    if let Key::Installation(key) = installation("app") {
        request.sign_with(&key).unwrap();
    }
    let saved = request.to_bytes();
    for round in 0..1_000 {
        let mut rng = Rng(round);
        let mut data = saved.clone();
        mutate(&mut rng, &mut data, &saved);
        // Whatever comes back is a request that signatures can be added to.
        if let Ok(mut request) = SignatureRequest::from_bytes(&data) {
            let _ = request.text();
            let _ = request.add_wallet_signature(&[1; 65]);
            let _ = request.finish();
        }
    }
}
