//! What several contexts share: locks, messages, persistence.

use std::time::Duration;

use futures::StreamExt;
use sotto::store::indexeddb::{
    Channel, Guard, Heard, LockError, LockMode, LockRequest, locks_available, persist,
};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

use crate::browser;

const LONG: Duration = Duration::from_secs(5);

fn waiting(wait: Duration) -> LockRequest {
    LockRequest {
        wait,
        ..LockRequest::default()
    }
}

#[wasm_bindgen_test]
async fn one_context_at_a_time_holds_a_lock() {
    assert!(locks_available());
    let guard = Guard::acquire("lock", waiting(LONG)).await.unwrap();
    assert!(guard.is_held() && guard.is_real());
    assert_eq!(
        Guard::acquire("lock", waiting(Duration::ZERO)).await.err(),
        Some(LockError::Busy)
    );
    Guard::acquire("another", waiting(Duration::ZERO))
        .await
        .unwrap();
    let next = async {
        let next = Guard::acquire("lock", waiting(LONG)).await.unwrap();
        assert!(next.is_held());
    };
    futures::join!(next, async { drop(guard) });
    Guard::acquire("lock", waiting(LONG)).await.unwrap();
}

#[wasm_bindgen_test]
async fn shared_holders_keep_only_exclusive_ones_out() {
    let shared = LockRequest {
        mode: LockMode::Shared,
        ..LockRequest::default()
    };
    let one = Guard::acquire("shared", shared).await.unwrap();
    let two = Guard::acquire("shared", shared).await.unwrap();
    assert_eq!(
        Guard::acquire("shared", LockRequest::default()).await.err(),
        Some(LockError::Busy)
    );
    drop((one, two));
    Guard::acquire("shared", waiting(LONG)).await.unwrap();
}

/// FR-27: a frozen tab keeps its lock; we wait for a bounded time, then may take it.
#[wasm_bindgen_test]
async fn a_lock_of_a_frozen_context_is_busy_and_can_be_stolen() {
    let frozen = browser::hold_lock("frozen").await;
    let soon = waiting(Duration::from_millis(50));
    assert_eq!(
        Guard::acquire("frozen", soon).await.err(),
        Some(LockError::Busy)
    );
    let stolen = Guard::acquire(
        "frozen",
        LockRequest {
            steal: true,
            ..soon
        },
    )
    .await
    .unwrap();
    assert!(stolen.is_held());
    drop(frozen);
    assert_eq!(
        Guard::acquire("frozen", soon).await.err(),
        Some(LockError::Busy)
    );
}

#[wasm_bindgen_test]
async fn a_holder_hears_that_its_lock_was_stolen() {
    let guard = Guard::acquire("stolen", waiting(LONG)).await.unwrap();
    browser::steal_lock("stolen").await;
    guard.lost().await;
    guard.lost().await;
    assert!(!guard.is_held());
}

#[wasm_bindgen_test]
async fn a_lock_is_not_held_beyond_its_limit() {
    let limited = LockRequest {
        hold: Some(Duration::from_millis(20)),
        ..waiting(LONG)
    };
    let guard = Guard::acquire("limited", limited).await.unwrap();
    guard.lost().await;
    assert!(!guard.is_held());
    Guard::acquire("limited", waiting(LONG)).await.unwrap();
}

#[wasm_bindgen_test]
async fn a_request_that_is_dropped_while_it_waits_takes_nothing() {
    let first = Guard::acquire("dropped", waiting(LONG)).await.unwrap();
    {
        let mut second = std::pin::pin!(Guard::acquire("dropped", waiting(LONG)));
        assert!(futures::poll!(second.as_mut()).is_pending());
    }
    drop(first);
    Guard::acquire("dropped", waiting(LONG)).await.unwrap();
}

#[wasm_bindgen_test]
async fn without_web_locks_a_guard_says_that_it_is_not_real() {
    let fault = browser::hide("navigator", "locks");
    let one = Guard::acquire("none", waiting(LONG)).await.unwrap();
    let two = Guard::acquire("none", waiting(Duration::ZERO))
        .await
        .unwrap();
    let mut lost = std::pin::pin!(one.lost());
    assert!(futures::poll!(lost.as_mut()).is_pending());
    assert!(!locks_available() && !one.is_real() && one.is_held() && !two.is_real());
    drop(fault);
    assert!(locks_available());
}

#[wasm_bindgen_test]
async fn every_other_context_hears_a_message() {
    let (one, mut heard_by_one) = Channel::open("channel");
    let (two, mut heard_by_two) = Channel::open("channel");
    let (_other, mut heard_elsewhere) = Channel::open("another");
    assert!(one.is_real());
    one.post(b"first");
    one.post(b"");
    assert_eq!(
        heard_by_two.next().await,
        Some(Heard::Message(b"first".to_vec()))
    );
    assert_eq!(heard_by_two.next().await, Some(Heard::Message(vec![])));
    two.post(b"answer");
    assert_eq!(
        heard_by_one.next().await,
        Some(Heard::Message(b"answer".to_vec()))
    );
    assert!(futures::poll!(heard_elsewhere.next()).is_pending());
    drop(one);
    assert_eq!(heard_by_one.next().await, None);
}

#[wasm_bindgen_test]
async fn a_slow_listener_is_told_that_it_missed_something() {
    let (speaker, _) = Channel::open("flood");
    let (_listener, mut heard) = Channel::open("flood");
    let (_witness, mut witness) = Channel::open("flood");
    for n in 0..300u32 {
        speaker.post(&n.to_be_bytes());
        // The witness keeps up, so it hears the last one, and by then the listener has been sent all of them.
        assert_eq!(
            witness.next().await,
            Some(Heard::Message(n.to_be_bytes().to_vec()))
        );
    }
    for n in 0..256u32 {
        assert_eq!(
            heard.next().await,
            Some(Heard::Message(n.to_be_bytes().to_vec()))
        );
    }
    assert_eq!(heard.next().await, Some(Heard::Missed));
    assert!(futures::poll!(heard.next()).is_pending());
}

#[wasm_bindgen_test]
async fn without_broadcast_channels_nobody_hears_and_nothing_breaks() {
    let fault = browser::hide("globalThis", "BroadcastChannel");
    let (channel, mut heard) = Channel::open("none");
    drop(fault);
    assert!(!channel.is_real());
    channel.post(b"nobody");
    assert!(futures::poll!(heard.next()).is_pending());
    drop(channel);
    assert_eq!(heard.next().await, None);
}

#[wasm_bindgen_test]
async fn persistence_is_asked_for_and_the_answer_reported() {
    let answer = persist().await;
    console_log!("persistence: {answer:?}");
    let fault = browser::hide("navigator", "storage");
    assert_eq!(
        persist().await,
        sotto::store::indexeddb::Persistence::Unknown
    );
    drop(fault);
}
