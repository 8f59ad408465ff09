//! Rules of the association state that the vectors leave open, and each error at least once by
//! keys of our own.

use std::collections::BTreeSet;

use sotto::identity::{
    Action, AssociationState, ContractAnswers, Identifier, IdentityError, Signature, SignatureKind,
    Update, fold, resolve,
};

use super::support::*;

#[test]
fn one_signature_fills_every_field_of_its_signer() {
    let (owner, second, app) = (wallet("owner"), wallet("second"), installation("app"));
    let mut inbox = Inbox::of(&owner, 1);
    let actions = vec![
        create(&owner, 1),
        add(&second, &owner),
        add(&app, &owner),
        revoke(&second, &owner),
        change_recovery(&second, &owner),
    ];
    let bytes = inbox.sign(actions);
    let different: BTreeSet<Vec<u8>> = decode(&bytes)
        .signatures()
        .map(|signature| format!("{signature:?}").into_bytes())
        .collect();
    assert_eq!(different.len(), 3, "one per signer");
    inbox.push(bytes).unwrap();
    assert!(inbox.has(&app) && !inbox.has(&second));
    let state = inbox.state.unwrap();
    assert_eq!(*state.recovery_identifier(), second.identifier());
}

#[test]
fn a_member_revoked_and_added_in_one_update_is_a_member() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    inbox.update(vec![add(&app, &owner)]).unwrap();
    inbox
        .update(vec![revoke(&app, &owner), add(&app, &owner)])
        .unwrap();
    assert!(inbox.has(&app));
    inbox
        .update(vec![add(&app, &owner), revoke(&app, &owner)])
        .unwrap();
    assert!(!inbox.has(&app));
}

#[test]
fn the_state_takes_more_installations_than_a_client_would_register() {
    let owner = wallet("owner");
    let mut inbox = Inbox::created(&owner);
    for n in 0..12 {
        let app = installation(&format!("app {n}"));
        inbox.update(vec![add(&app, &owner)]).unwrap();
    }
    let state = inbox.state.unwrap();
    assert_eq!(state.installations().len(), 12);
    // In the order in which they came; the creator, who has no time, last.
    let names: Vec<_> = state
        .members()
        .iter()
        .map(|m| m.identifier.clone())
        .collect();
    let mut expected: Vec<_> = (0..12)
        .map(|n| installation(&format!("app {n}")).member())
        .collect();
    expected.push(owner.member());
    assert_eq!(names, expected);
}

#[test]
fn an_update_without_actions_changes_nothing_but_needs_an_inbox() {
    let owner = wallet("owner");
    let mut inbox = Inbox::created(&owner);
    let before = inbox.state.clone();
    inbox.update(vec![]).unwrap();
    assert_eq!(inbox.state, before);

    let mut nothing = Inbox::of(&owner, 1);
    assert_eq!(nothing.update(vec![]), Err(IdentityError::NotCreated));
}

#[test]
fn a_recovery_identifier_that_never_was_a_member_adds_installations_and_revokes() {
    let (owner, recovery, app) = (wallet("owner"), wallet("recovery"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    inbox
        .update(vec![change_recovery(&recovery, &owner)])
        .unwrap();
    assert!(!inbox.has(&recovery));
    inbox.update(vec![add(&app, &recovery)]).unwrap();
    assert!(inbox.has(&app));
    inbox.update(vec![revoke(&owner, &recovery)]).unwrap();
    assert!(!inbox.has(&owner));
    // Its installations go when it is revoked, though it is not there.
    inbox.update(vec![revoke(&recovery, &recovery)]).unwrap();
    assert!(!inbox.has(&app));
}

#[test]
fn revoking_takes_the_installations_that_the_revoked_added_and_nothing_else() {
    let (owner, second, third) = (wallet("owner"), wallet("second"), wallet("third"));
    let (app, own) = (installation("app"), installation("own"));
    let mut inbox = Inbox::created(&owner);
    inbox
        .update(vec![add(&second, &owner), add(&own, &owner)])
        .unwrap();
    inbox
        .update(vec![add(&third, &second), add(&app, &second)])
        .unwrap();
    inbox.update(vec![revoke(&second, &owner)]).unwrap();
    assert!(inbox.has(&owner) && inbox.has(&own) && inbox.has(&third));
    assert!(!inbox.has(&second) && !inbox.has(&app));
}

#[test]
fn a_member_added_once_more_belongs_to_who_added_it_last() {
    let (owner, second, app) = (wallet("owner"), wallet("second"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    inbox
        .update(vec![add(&second, &owner), add(&app, &owner)])
        .unwrap();
    inbox.update(vec![add(&app, &second)]).unwrap();
    inbox.update(vec![revoke(&second, &owner)]).unwrap();
    assert!(!inbox.has(&app));
}

#[test]
fn every_signer_has_its_rights_and_no_others() {
    let (owner, second, stranger) = (wallet("owner"), wallet("second"), wallet("stranger"));
    let (key, app) = (passkey("key"), installation("app"));
    let (new_wallet, new_key, new_app) = (wallet("new"), passkey("new"), installation("new"));
    let mut inbox = Inbox::created(&owner);
    inbox
        .update(vec![
            add(&second, &owner),
            add(&key, &owner),
            add(&app, &owner),
        ])
        .unwrap();
    let verdict = |action: Act<'_>| {
        inbox
            .clone()
            .update(vec![action])
            .err()
            .map(|error| error.class())
    };
    for signer in [&owner, &second, &key] {
        assert_eq!(verdict(add(&new_wallet, signer)), None);
        assert_eq!(verdict(add(&new_key, signer)), None);
        assert_eq!(verdict(add(&new_app, signer)), None);
    }
    assert_eq!(verdict(add(&new_wallet, &app)), None);
    assert_eq!(verdict(add(&new_key, &app)), None);
    assert_eq!(verdict(add(&new_app, &app)), Some("MemberNotAllowed"));
    assert_eq!(verdict(revoke(&app, &owner)), None);
    assert_eq!(verdict(change_recovery(&second, &owner)), None);
    for signer in [&second, &key, &app, &stranger] {
        let refused = Some("MissingExistingMember");
        assert_eq!(verdict(revoke(&owner, signer)), refused);
        assert_eq!(verdict(change_recovery(&second, signer)), refused);
    }
    let refused = Some("MissingExistingMember");
    assert_eq!(verdict(add(&new_app, &stranger)), refused);
    assert_eq!(verdict(add(&owner, &owner)), Some("AddSelf"));
}

#[test]
fn an_update_of_another_inbox_is_refused_and_so_is_a_second_creation() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    let mut other = Inbox::of(&owner, 2);
    other.update(vec![create(&owner, 2)]).unwrap();
    let moved = other.sign(vec![add(&app, &owner)]);
    assert_eq!(
        inbox.clone().push(moved.clone()),
        Err(IdentityError::WrongInboxId)
    );
    assert_eq!(other.push(moved), Ok(()));

    assert_eq!(
        inbox.update(vec![create(&owner, 1)]),
        Err(IdentityError::MultipleCreate)
    );
    // Even an exact copy of the first update: there is nothing else to check before.
    let first = inbox.log[0].clone();
    assert_eq!(inbox.push(first), Err(IdentityError::MultipleCreate));
}

#[test]
fn no_update_works_twice() {
    let (owner, second, app) = (wallet("owner"), wallet("second"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    let addition = inbox.sign(vec![add(&app, &owner)]);
    inbox.push(addition.clone()).unwrap();
    assert_eq!(inbox.push(addition.clone()), Err(IdentityError::Replay));
    inbox.update(vec![revoke(&app, &owner)]).unwrap();
    assert_eq!(inbox.push(addition), Err(IdentityError::Replay));
    let change = inbox.sign(vec![change_recovery(&second, &owner)]);
    inbox.push(change.clone()).unwrap();
    assert_eq!(inbox.push(change), Err(IdentityError::Replay));
    let revocation = inbox.sign(vec![revoke(&owner, &second)]);
    inbox.push(revocation.clone()).unwrap();
    assert_eq!(inbox.push(revocation), Err(IdentityError::Replay));
    // Added back with fresh signatures it is a member again.
    inbox.update(vec![add(&app, &second)]).unwrap();
    assert!(inbox.has(&app));
}

#[test]
fn a_refused_update_leaves_no_trace() {
    let (owner, second, app) = (wallet("owner"), wallet("second"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    let before = inbox.state.clone();
    // The first action is fine, the second is not.
    let refused = inbox.update(vec![add(&app, &owner), revoke(&app, &second)]);
    assert_eq!(refused, Err(IdentityError::MissingExistingMember));
    assert_eq!(inbox.state, before);
}

#[test]
fn any_flipped_bit_in_any_signature_is_refused() {
    let app = installation("app");
    for owner in [wallet("owner"), passkey("owner"), contract("owner", 1)] {
        let inbox = Inbox::of(&owner, 1);
        let update = Update {
            inbox_id: inbox.id.to_string(),
            client_timestamp_ns: T0,
            actions: vec![create(&owner, 1), add(&app, &owner)],
        };
        let text = update.text();
        let signed = update.try_map(|key| Ok::<_, ()>(key.sign(&text))).unwrap();
        // The contract accepts what was signed and nothing else.
        let mut answers = yes(&decode(&signed.encode()));
        let mut apply = |change: &dyn Fn(&mut Signature)| {
            let changed = signed.try_map(|signature| {
                let mut signature = signature.clone();
                change(&mut signature);
                Ok::<_, ()>(signature)
            });
            let update = decode(&changed.unwrap().encode());
            for check in update.contract_checks() {
                answers.entry(check).or_insert(false);
            }
            AssociationState::apply(None, &update, &answers)
        };
        assert!(apply(&|_| ()).is_ok());
        for bit in (0..64 * 8).step_by(3) {
            let flip = |bytes: &mut Vec<u8>| {
                let position = bit / 8 % bytes.len();
                bytes[position] ^= 1 << (bit % 8);
            };
            let changed = apply(&|signature| match signature {
                Signature::Erc191(bytes) => flip(bytes),
                Signature::Contract(contract) => flip(&mut contract.signature),
                Signature::Passkey(assertion) => flip(&mut assertion.signature),
                _ => (),
            });
            assert!(changed.is_err(), "owner, bit {bit}");
            let changed = apply(&|signature| {
                if let Signature::InstallationKey { signature, .. } = signature {
                    flip(signature);
                }
            });
            let class = changed.unwrap_err().class();
            assert_eq!(class, "InvalidSignature", "installation, bit {bit}");
        }
    }
}

#[test]
fn a_contract_wallet_signs_on_the_chain_on_which_it_joined() {
    let (on_one, on_two) = (contract("safe", 1), contract("safe", 2));
    let app = installation("app");
    assert_eq!(on_one.member(), on_two.member());
    let mut inbox = Inbox::created(&on_one);
    let mismatch = Err(IdentityError::ChainIdMismatch {
        joined: Some(1),
        signed: Some(2),
    });
    assert_eq!(inbox.update(vec![add(&app, &on_two)]), mismatch);
    assert_eq!(inbox.update(vec![revoke(&app, &on_two)]), mismatch);
    assert_eq!(
        inbox.update(vec![change_recovery(&on_one, &on_two)]),
        mismatch
    );
    inbox.update(vec![add(&app, &on_one)]).unwrap();
    assert!(inbox.has(&app));
}

#[test]
fn a_wallet_signs_as_what_it_joined() {
    let key = wallet("owner");
    let as_contract = Key::Contract(1, key.identifier());
    let app = installation("app");
    let mut joined_as_contract = Inbox::created(&as_contract);
    let refused = joined_as_contract.update(vec![add(&app, &key)]);
    assert_eq!(refused.unwrap_err().class(), "ChainIdMismatch");
    let mut joined_as_key = Inbox::created(&key);
    let refused = joined_as_key.update(vec![add(&app, &as_contract)]);
    assert_eq!(refused.unwrap_err().class(), "ChainIdMismatch");
}

#[test]
fn what_contracts_answered_decides_and_no_answer_is_no_refusal() {
    let (owner, app) = (contract("safe", 1), installation("app"));
    let bytes = Inbox::of(&owner, 1).sign(vec![create(&owner, 1), add(&app, &owner)]);
    let update = decode(&bytes);
    let checks = update.contract_checks();
    assert_eq!(checks.len(), 1, "each question once");
    assert_eq!(checks[0].hash, update.hash());
    let unanswered = AssociationState::apply(None, &update, &ContractAnswers::new()).unwrap_err();
    assert!(unanswered.is_retryable());
    assert_eq!(
        unanswered,
        IdentityError::Unanswered(Box::new(checks[0].clone()))
    );
    let no = ContractAnswers::from([(checks[0].clone(), false)]);
    let refused = AssociationState::apply(None, &update, &no).unwrap_err();
    assert_eq!(refused.class(), "InvalidSignature");
    assert!(!refused.is_retryable());
    // An answer to another question is none.
    let mut other = checks[0].clone();
    other.block_number += 1;
    let elsewhere = ContractAnswers::from([(other, true)]);
    let unanswered = AssociationState::apply(None, &update, &elsewhere).unwrap_err();
    assert_eq!(unanswered.class(), "Unanswered");
    assert!(AssociationState::apply(None, &update, &yes(&update)).is_ok());
    assert_eq!(
        update.creation_signature_kind(),
        Some(SignatureKind::Contract)
    );
}

#[test]
fn an_inbox_cannot_be_created_for_an_address_without_its_prefix() {
    // A contract wallet's account ID may lack it, so the signer can be such a string.
    let bare = Identifier::Ethereum("ab".repeat(20));
    let account = format!("eip155:1:{bare}");
    let inbox = sotto::identity::InboxId::derive(&bare, 1);
    let update = Update {
        inbox_id: inbox.to_string(),
        client_timestamp_ns: T0,
        actions: vec![Action::CreateInbox {
            identifier: bare,
            nonce: 1,
            signature: Signature::Contract(sotto::identity::ContractSignature {
                account_id: sotto::identity::AccountId::parse(&account).unwrap(),
                block_number: 1,
                signature: vec![1],
            }),
        }],
    };
    let update = decode(&update.encode());
    let refused = AssociationState::apply(None, &update, &yes(&update)).unwrap_err();
    assert_eq!(refused.class(), "Malformed");
}

#[test]
fn an_installation_key_of_another_length_is_an_identifier_of_nobody() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    inbox.update(vec![add(&app, &owner)]).unwrap();
    let before = inbox.state.clone().unwrap();
    let short = sotto::identity::MemberIdentifier::Installation(vec![7; 31]);
    let text = |actions| Update {
        inbox_id: inbox.id.to_string(),
        client_timestamp_ns: inbox.now + SECOND,
        actions,
    };
    let revocation = text(vec![Action::RevokeAssociation {
        member: short.clone(),
        recovery_signature: &owner,
    }]);
    let addition = text(vec![Action::AddAssociation {
        new_member: short,
        existing_member_signature: &owner,
        new_member_signature: &app,
    }]);
    let apply = |update: Update<&Key>| {
        let text = update.text();
        let update = update.try_map(|key| Ok::<_, ()>(key.sign(&text))).unwrap();
        let update = decode(&update.encode());
        AssociationState::apply(Some(&before), &update, &yes(&update))
    };
    let after = apply(revocation).unwrap();
    assert_eq!(after.members(), before.members());
    assert_eq!(
        apply(addition),
        Err(IdentityError::NewMemberSignatureMismatch)
    );
}

#[test]
fn diffs_show_who_came_and_who_went() {
    let (owner, second) = (wallet("owner"), wallet("second"));
    let (app, other) = (installation("app"), installation("other"));
    let mut inbox = Inbox::created(&owner);
    inbox.update(vec![add(&app, &owner)]).unwrap();
    let old = inbox.state.clone().unwrap();
    inbox
        .update(vec![
            revoke(&app, &owner),
            add(&other, &owner),
            add(&second, &owner),
            change_recovery(&second, &owner),
        ])
        .unwrap();
    let new = inbox.state.unwrap();
    let diff = AssociationState::diff(Some(&old), &new);
    assert_eq!(
        diff.new_members,
        BTreeSet::from([other.member(), second.member()])
    );
    assert_eq!(diff.removed_members, BTreeSet::from([app.member()]));
    let id = |key: &Key| BTreeSet::from([key.member().installation().unwrap()]);
    assert_eq!(
        (diff.new_installations(), diff.removed_installations()),
        (id(&other), id(&app))
    );
    let whole = AssociationState::diff(None, &new);
    assert_eq!(whole.new_members.len(), 3);
    assert!(whole.removed_members.is_empty());
    assert_eq!(AssociationState::diff(Some(&new), &new), Default::default());
}

#[test]
fn one_bad_entry_makes_a_log_unresolvable_from_there_on() {
    let (owner, stranger, app) = (wallet("owner"), wallet("stranger"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    let bad = inbox.sign(vec![add(&app, &stranger)]);
    inbox.log.push(bad);
    inbox.update(vec![add(&app, &owner)]).unwrap();
    let log = inbox.decoded();
    let none = ContractAnswers::new();
    assert_eq!(fold(&log, &none), Err(IdentityError::MissingExistingMember));
    let entries = || (10..).step_by(10).zip(&log);
    assert!(resolve(entries(), Some(10), &none).is_ok());
    for at in [Some(20), Some(30), None] {
        assert_eq!(
            resolve(entries(), at, &none),
            Err(IdentityError::MissingExistingMember)
        );
    }
    assert_eq!(
        resolve(entries(), Some(15), &none),
        Err(IdentityError::MissingIdentityUpdate)
    );
    assert_eq!(fold(&[], &none), Err(IdentityError::MissingIdentityUpdate));
}

#[test]
fn states_survive_their_cache_in_text_and_in_bytes() {
    let (owner, key, app) = (contract("safe", 10), passkey("key"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    inbox
        .update(vec![
            add(&key, &owner),
            add(&app, &owner),
            change_recovery(&key, &owner),
        ])
        .unwrap();
    let state = inbox.state.unwrap();
    let json = serde_json::to_vec(&state).unwrap();
    assert_eq!(
        serde_json::from_slice::<AssociationState>(&json).unwrap(),
        state
    );
    let back = AssociationState::decode(&state.encode()).unwrap();
    assert_eq!(back, state);
    // The passkey's site, which takes no part in comparisons, is kept too.
    let site = |state: &AssociationState| {
        let member = state.member(&key.member()).unwrap().identifier.clone();
        member
            .identifier()
            .unwrap()
            .relying_party()
            .map(str::to_owned)
    };
    assert_eq!(site(&state).as_deref(), Some("https://app.example"));
    assert_eq!(site(&back), site(&state));
    assert!(AssociationState::decode(b"nonsense").is_err());
}

#[test]
fn a_legacy_key_speaks_for_its_wallet_in_the_inbox_with_nonce_0_alone() {
    let (owner, old) = (wallet("owner"), legacy("owner"));
    let (app, second) = (installation("app"), wallet("second"));
    let reuse = Err(IdentityError::LegacySignatureReuse);

    assert_eq!(Inbox::of(&old, 1).update(vec![create(&old, 1)]), reuse);
    let mut inbox = Inbox::of(&old, 0);
    inbox
        .update(vec![create(&old, 0), add(&app, &old)])
        .unwrap();
    assert!(inbox.has(&owner) && inbox.has(&app));
    // The wallet signed the key once, and once counts.
    let replayed = inbox.update(vec![add(&installation("more"), &old)]);
    assert_eq!(replayed, Err(IdentityError::Replay));

    // As existing member, and as new one, in an inbox that is not its wallet's with nonce 0.
    let mut inbox = Inbox::created(&owner);
    assert_eq!(inbox.update(vec![add(&app, &old)]), reuse);
    assert_eq!(inbox.update(vec![add(&legacy("second"), &owner)]), reuse);
    // Let in by an installation it may be anybody's.
    inbox.update(vec![add(&app, &owner)]).unwrap();
    inbox.update(vec![add(&legacy("second"), &app)]).unwrap();
    assert!(inbox.has(&second));
}

#[test]
fn a_legacy_key_never_speaks_for_the_recovery_identifier() {
    let (owner, old, app) = (wallet("owner"), legacy("owner"), installation("app"));
    let mut inbox = Inbox::of(&owner, 0);
    inbox.update(vec![create(&owner, 0)]).unwrap();
    let not_allowed = Err(IdentityError::SignatureNotAllowed);
    assert_eq!(inbox.update(vec![revoke(&app, &old)]), not_allowed);
    assert_eq!(
        inbox.update(vec![change_recovery(&owner, &old)]),
        not_allowed
    );
    // A member may let others in with it; one that is no member any more may not.
    inbox.clone().update(vec![add(&app, &old)]).unwrap();
    inbox.update(vec![revoke(&owner, &owner)]).unwrap();
    let refused = inbox.update(vec![add(&app, &old)]);
    assert_eq!(refused, Err(IdentityError::LegacySignatureReuse));
    inbox.update(vec![add(&app, &owner)]).unwrap();
}

#[test]
fn a_legacy_signature_is_by_the_key_that_the_wallet_signed() {
    let (Key::Wallet(owner), Key::Wallet(key), Key::Wallet(other)) =
        (wallet("owner"), wallet("key"), wallet("other"))
    else {
        panic!()
    };
    let inbox = Inbox::of(&wallet("owner"), 0);
    let verdict = |change: &dyn Fn(&mut sotto::identity::LegacySignature, &str)| {
        let update = Update {
            inbox_id: inbox.id.to_string(),
            client_timestamp_ns: T0,
            actions: vec![Action::CreateInbox {
                identifier: owner.identifier(),
                nonce: 0,
                signature: (),
            }],
        };
        let text = update.text();
        let mut signature = delegated(&owner, &key, &text);
        change(&mut signature, &text);
        let update = update
            .try_map(|()| Ok::<_, ()>(Signature::LegacyDelegated(signature.clone())))
            .unwrap();
        let update = decode(&update.encode());
        AssociationState::apply(None, &update, &ContractAnswers::new())
            .map(|_| ())
            .map_err(|error| error.class())
    };
    assert_eq!(verdict(&|_, _| ()), Ok(()));
    let by_other = verdict(&|s, text| s.signature = other.sign_personal(text).to_vec());
    assert_eq!(by_other, Err("InvalidSignature"));
    assert_eq!(
        verdict(&|s, _| s.signature.clear()),
        Err("InvalidSignature")
    );
    assert_eq!(
        verdict(&|s, _| s.wallet_signature.clear()),
        Err("InvalidSignature")
    );
    assert_eq!(
        verdict(&|s, _| s.key_bytes.truncate(20)),
        Err("InvalidSignature")
    );
}

#[test]
fn a_passkey_added_once_more_is_kept_as_it_signed_last() {
    let (owner, member) = (wallet("owner"), passkey("key"));
    let mut inbox = Inbox::created(&owner);
    inbox.update(vec![add(&member, &owner)]).unwrap();
    inbox.now += SECOND;
    let update = Update {
        inbox_id: inbox.id.to_string(),
        client_timestamp_ns: inbox.now,
        actions: vec![add(&member, &owner)],
    };
    let text = update.text();
    let moved = update.try_map(|signer| {
        Ok::<_, ()>(match signer {
            Key::Passkey(key) => Signature::Passkey(assertion_at(key, &text, "https://other")),
            other => other.sign(&text),
        })
    });
    inbox.push(moved.unwrap().encode()).unwrap();
    let state = inbox.state.unwrap();
    let kept = state.member(&member.member()).unwrap();
    let site = kept.identifier.identifier().unwrap().relying_party();
    assert_eq!(site, Some("https://other"));
    // Equal states have equal bytes, down to what takes no part in comparisons.
    let bytes = state.encode();
    assert_eq!(AssociationState::decode(&bytes).unwrap().encode(), bytes);
}
