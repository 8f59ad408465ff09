//! Random histories of an inbox, valid and not: nothing panics, and whoever follows the log
//! step by step, from a cache, or in one go comes to the same state as the node that keeps it.

use proptest::prelude::*;
use sotto::identity::{
    Action, AssociationState, ContractAnswers, InboxId, MemberIdentifier, SignedUpdate, Update,
    fold, publish,
};

use super::support::*;

/// Nine signers of every kind; the first owns the inbox.
fn cast() -> Vec<Key> {
    vec![
        wallet("a"),
        wallet("b"),
        passkey("c"),
        contract("d", 1),
        contract("d", 2),
        installation("e"),
        installation("f"),
        installation("g"),
        // The first one's address as a contract wallet's.
        Key::Contract(1, wallet("a").identifier()),
    ]
}

#[derive(Debug, Clone)]
enum Wish {
    Create { owner: usize, nonce: u64 },
    Add { new: usize, existing: usize },
    Revoke { member: usize, recovery: usize },
    ChangeRecovery { new: usize, recovery: usize },
}

#[derive(Debug, Clone)]
enum Step {
    /// An update, so many half seconds later.
    Update { wishes: Vec<Wish>, later: u64 },
    /// The same, with a bit flipped somewhere.
    Flip { wishes: Vec<Wish>, at: usize },
    /// The same, cut off.
    Cut { wishes: Vec<Wish>, at: usize },
    /// The same, for another inbox.
    Elsewhere { wishes: Vec<Wish> },
    /// Bytes that were sent before.
    Again { which: usize },
    /// An earlier update with the signatures of another.
    Splice { which: usize, signatures: usize },
}

fn wish() -> impl Strategy<Value = Wish> {
    let who = 0..9usize;
    prop_oneof![
        1 => (prop_oneof![5 => Just(0usize), 1 => 0..9usize], 0..2u64)
            .prop_map(|(owner, nonce)| Wish::Create { owner, nonce }),
        6 => (who.clone(), prop_oneof![3 => Just(0usize), 1 => Just(5usize), 2 => who.clone()])
            .prop_map(|(new, existing)| Wish::Add { new, existing }),
        3 => (who.clone(), prop_oneof![3 => Just(0usize), 1 => who.clone()])
            .prop_map(|(member, recovery)| Wish::Revoke { member, recovery }),
        1 => (who.clone(), who).prop_map(|(new, recovery)| Wish::ChangeRecovery { new, recovery }),
    ]
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    prop_oneof![6 => prop::collection::vec(wish(), 1..2), 2 => prop::collection::vec(wish(), 0..4)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (wishes(), 0..4u64).prop_map(|(wishes, later)| Step::Update { wishes, later }),
        1 => (wishes(), any::<usize>()).prop_map(|(wishes, at)| Step::Flip { wishes, at }),
        1 => (wishes(), any::<usize>()).prop_map(|(wishes, at)| Step::Cut { wishes, at }),
        1 => wishes().prop_map(|wishes| Step::Elsewhere { wishes }),
        1 => any::<usize>().prop_map(|which| Step::Again { which }),
        1 => (any::<usize>(), any::<usize>())
            .prop_map(|(which, signatures)| Step::Splice { which, signatures }),
    ]
}

fn actions<'a>(cast: &'a [Key], wishes: &[Wish]) -> Vec<Act<'a>> {
    let is_app = |n: usize| matches!(cast[n], Key::Installation(_));
    wishes
        .iter()
        .map(|wish| match *wish {
            Wish::Create { owner, nonce } if !is_app(owner) => create(&cast[owner], nonce),
            Wish::Create { nonce, .. } => create(&cast[0], nonce),
            Wish::Add { new, existing } => add(&cast[new], &cast[existing]),
            Wish::Revoke { member, recovery } => revoke(&cast[member], &cast[recovery]),
            Wish::ChangeRecovery { new, recovery } if !is_app(new) => {
                change_recovery(&cast[new], &cast[recovery])
            }
            Wish::ChangeRecovery { recovery, .. } => change_recovery(&cast[1], &cast[recovery]),
        })
        .collect()
}

/// What each step sends.
fn bytes(cast: &[Key], steps: &[Step]) -> Vec<Vec<u8>> {
    let id = InboxId::derive(&cast[0].identifier(), 1);
    let other = InboxId::derive(&cast[0].identifier(), 0);
    let mut now = T0;
    // A history without its beginning is all refusals.
    let mut sent = vec![signed(
        &id,
        now,
        vec![create(&cast[0], 1), add(&cast[5], &cast[0])],
    )];
    for step in steps {
        now += SECOND;
        let pick = |n: usize| sent[n % sent.len()].clone();
        let next = match step {
            Step::Update { wishes, later } => {
                now += later * SECOND / 2;
                signed(&id, now, actions(cast, wishes))
            }
            Step::Flip { wishes, at } => {
                let mut bytes = signed(&id, now, actions(cast, wishes));
                let bit = at % (8 * bytes.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
                bytes
            }
            Step::Cut { wishes, at } => {
                let mut bytes = signed(&id, now, actions(cast, wishes));
                bytes.truncate(at % bytes.len());
                bytes
            }
            Step::Elsewhere { wishes } => signed(&other, now, actions(cast, wishes)),
            Step::Again { which } => pick(*which),
            Step::Splice { which, signatures } => splice(&pick(*which), &pick(*signatures)),
        };
        sent.push(next);
    }
    sent
}

fn splice(one: &[u8], other: &[u8]) -> Vec<u8> {
    let (Ok(one), Ok(other)) = (SignedUpdate::decode(one), SignedUpdate::decode(other)) else {
        return Vec::new();
    };
    let signatures: Vec<_> = other.signatures().cloned().collect();
    let mut signatures = signatures.iter().cycle().cloned();
    Update {
        inbox_id: one.inbox_id().to_owned(),
        client_timestamp_ns: one.client_timestamp_ns(),
        actions: one.actions().to_vec(),
    }
    .try_map(|own| Ok::<_, ()>(signatures.next().unwrap_or_else(|| own.clone())))
    .unwrap()
    .encode()
}

/// What must hold of any state that follows another, told without looking at any rule.
fn expect_sound(
    before: Option<&AssociationState>,
    after: &AssociationState,
    update: &SignedUpdate,
) {
    assert_eq!(after.inbox_id().as_str(), update.inbox_id());
    for member in after.members() {
        let by_app = matches!(member.added_by, Some(MemberIdentifier::Installation(_)));
        if let MemberIdentifier::Installation(key) = &member.identifier {
            assert_eq!(key.len(), 32);
            assert!(!by_app, "an installation let an installation in");
            assert!(member.added_by.is_some());
        }
    }
    let Some(before) = before else { return };
    let diff = AssociationState::diff(Some(before), after);
    let signers: Vec<MemberIdentifier> = update
        .verify(&yes(update))
        .unwrap()
        .update()
        .signatures()
        .map(|signature| signature.signer().clone())
        .collect();
    // Whoever came in signed for it themselves.
    assert!(
        diff.new_members
            .iter()
            .all(|member| signers.contains(member))
    );
    // Somebody known let it happen.
    let is_known = |signer: &MemberIdentifier| {
        before.contains(signer) || signer.identifier() == Some(before.recovery_identifier())
    };
    assert!(update.actions().is_empty() || signers.iter().any(is_known));
    let is_recovery =
        |signer: &MemberIdentifier| signer.identifier() == Some(before.recovery_identifier());
    if !diff.removed_members.is_empty()
        || before.recovery_identifier() != after.recovery_identifier()
    {
        assert!(
            signers.iter().any(is_recovery),
            "without the recovery identifier"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everyone_agrees_on_every_history(steps in prop::collection::vec(step(), 1..20)) {
        let cast = cast();
        // What the node holds, and its cached state.
        let mut log: Vec<SignedUpdate> = Vec::new();
        let mut node: Option<AssociationState> = None;
        let mut answers = ContractAnswers::new();
        for bytes in bytes(&cast, &steps) {
            let Ok(update) = SignedUpdate::decode(&bytes) else { continue };
            answers.extend(yes(&update));
            let same = Update {
                inbox_id: update.inbox_id().to_owned(),
                client_timestamp_ns: update.client_timestamp_ns(),
                actions: update.actions().to_vec(),
            };
            prop_assert_eq!(&SignedUpdate::decode(&same.encode()), &Ok(update.clone()));

            // From the cache, and from the first entry on.
            let next = AssociationState::apply(node.as_ref(), &update, &answers);
            let whole = fold(log.iter().chain([&update]), &answers);
            prop_assert_eq!(&next, &whole);

            let Ok(next) = next else { continue };
            expect_sound(node.as_ref(), &next, &update);
            if publish::check(&log, &update).is_ok() {
                node = AssociationState::decode(&next.encode()).ok();
                log.push(update);
            }
        }
        // A client that comes late.
        prop_assert_eq!(node, fold(&log, &answers).ok());
        prop_assert!(!log.is_empty());
    }

    #[test]
    fn no_accepted_update_is_accepted_again_in_any_encoding(steps in prop::collection::vec(step(), 1..8)) {
        let cast = cast();
        let mut log: Vec<SignedUpdate> = Vec::new();
        let mut state: Option<AssociationState> = None;
        for bytes in bytes(&cast, &steps) {
            let Ok(update) = SignedUpdate::decode(&bytes) else { continue };
            let Ok(next) = AssociationState::apply(state.as_ref(), &update, &yes(&update)) else { continue };
            if publish::check(&log, &update).is_ok() {
                state = Some(next);
                log.push(update);
            }
        }
        for update in &log {
            let again = Update {
                inbox_id: update.inbox_id().to_owned(),
                client_timestamp_ns: update.client_timestamp_ns(),
                actions: update
                    .actions()
                    .iter()
                    // A creation fails for another reason.
                    .filter(|action| !matches!(action, Action::CreateInbox { .. }))
                    .cloned()
                    .collect(),
            };
            if again.actions.len() == update.actions().len() && !again.actions.is_empty() {
                let refused = AssociationState::apply(state.as_ref(), update, &yes(update));
                prop_assert_eq!(refused.map_err(|error| error.class()), Err("Replay"));
            }
        }
    }
}
