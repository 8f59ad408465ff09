//! What a node refuses on top of the rules of the state: each refusal once, by an update that
//! every reader would take.

use sotto::identity::publish::{self, MAX_SIGNATURES, MAX_UPDATES, PublishRefusal};
use sotto::identity::{
    Action, AssociationState, Identifier, MemberIdentifier, Signature, SignedUpdate, Update,
};

use super::support::*;

/// Every reader takes the update; what does the node say?
fn verdict(inbox: &Inbox, bytes: &[u8]) -> Result<(), PublishRefusal> {
    let update = decode(bytes);
    AssociationState::apply(inbox.state.as_ref(), &update, &yes(&update)).expect("readers take it");
    publish::check(&inbox.decoded(), &update)
}

fn reencode(bytes: &[u8], change: impl Fn(&Signature) -> Signature) -> Vec<u8> {
    let update = decode(bytes);
    Update {
        inbox_id: update.inbox_id().to_owned(),
        client_timestamp_ns: update.client_timestamp_ns(),
        actions: update.actions().to_vec(),
    }
    .try_map(|signature| Ok::<_, ()>(change(signature)))
    .unwrap()
    .encode()
}

/// The same Ethereum signature with v 0 or 1 in place of 27 or 28.
fn other_v(signature: &Signature) -> Signature {
    match signature {
        Signature::Erc191(bytes) => {
            let mut bytes = bytes.clone();
            bytes[64] -= 27;
            Signature::Erc191(bytes)
        }
        other => other.clone(),
    }
}

/// The same Ethereum signature with its s negated and its v as it was.
fn high_s(signature: &Signature) -> Signature {
    match signature {
        Signature::Erc191(bytes) => {
            let parsed = k256::ecdsa::Signature::from_slice(&bytes[..64]).unwrap();
            let (r, s) = parsed.split_scalars();
            let negated = k256::ecdsa::Signature::from_scalars(r, -*s).unwrap();
            Signature::Erc191([negated.to_bytes().as_slice(), &bytes[64..]].concat())
        }
        other => other.clone(),
    }
}

/// The same P-256 signature with its s negated.
fn other_s(signature: &Signature) -> Signature {
    match signature {
        Signature::Passkey(assertion) => {
            let parsed = p256::ecdsa::Signature::from_der(&assertion.signature).unwrap();
            let (r, s) = parsed.split_scalars();
            let negated = p256::ecdsa::Signature::from_scalars(r, -*s).unwrap();
            let mut assertion = assertion.clone();
            assertion.signature = negated.to_der().as_bytes().to_vec();
            Signature::Passkey(assertion)
        }
        other => other.clone(),
    }
}

#[test]
fn a_signature_of_an_earlier_update_in_another_encoding_is_a_replay() {
    let (owner, second) = (wallet("owner"), wallet("second"));
    let mut inbox = Inbox::created(&owner);
    let addition = inbox.sign(vec![add(&second, &owner)]);
    inbox.push(addition.clone()).unwrap();
    inbox.update(vec![revoke(&second, &owner)]).unwrap();
    let again = reencode(&addition, other_v);
    assert_eq!(verdict(&inbox, &again), Err(PublishRefusal::Replay));
    // The other encoding is as good as any for a signature that is new.
    let fresh = inbox.sign(vec![add(&second, &owner)]);
    assert_eq!(verdict(&inbox, &reencode(&fresh, other_v)), Ok(()));

    let key = passkey("key");
    let mut inbox = Inbox::created(&key);
    let change = inbox.sign(vec![change_recovery(&key, &key)]);
    inbox.push(change.clone()).unwrap();
    let again = reencode(&change, other_s);
    assert_eq!(verdict(&inbox, &again), Err(PublishRefusal::Replay));
    let fresh = inbox.sign(vec![change_recovery(&key, &key)]);
    assert_eq!(verdict(&inbox, &reencode(&fresh, other_s)), Ok(()));

    let safe = contract("safe", 1);
    let mut inbox = Inbox::created(&safe);
    let change = inbox.sign(vec![change_recovery(&safe, &safe)]);
    inbox.push(change.clone()).unwrap();
    let wrapped = reencode(&change, |signature| match signature {
        Signature::Contract(contract) => {
            let mut contract = contract.clone();
            contract.signature.push(0);
            contract.block_number += 1;
            Signature::Contract(contract)
        }
        other => other.clone(),
    });
    assert_eq!(verdict(&inbox, &wrapped), Err(PublishRefusal::Replay));
}

#[test]
fn a_replay_is_known_whichever_encoding_came_first() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    let update = inbox.sign(vec![add(&app, &owner)]);
    let earlier = decode(&reencode(&update, high_s));
    let again = decode(&reencode(&update, other_v));
    assert_eq!(
        publish::check(&[earlier], &again),
        Err(PublishRefusal::Replay)
    );
    assert_eq!(publish::check(&[], &again), Ok(()));
}

#[test]
fn an_encoding_that_not_every_reader_takes_is_refused() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    let update = inbox.sign(vec![add(&app, &owner)]);
    assert_eq!(verdict(&inbox, &update), Ok(()));
    let chain_v = reencode(&update, |signature| match signature {
        Signature::Erc191(bytes) => {
            let mut bytes = bytes.clone();
            bytes[64] += 8; // 35 or 36
            Signature::Erc191(bytes)
        }
        other => other.clone(),
    });
    assert_eq!(
        verdict(&inbox, &chain_v),
        Err(PublishRefusal::SignatureEncoding)
    );
    let high_s = reencode(&update, high_s);
    assert_eq!(
        verdict(&inbox, &high_s),
        Err(PublishRefusal::SignatureEncoding)
    );
}

#[test]
fn an_identifier_that_nobody_could_sign_for_is_refused() {
    let owner = wallet("owner");
    let inbox = Inbox::created(&owner);
    let publish = |action: Act<'_>| verdict(&inbox, &inbox.clone().sign(vec![action]));
    let refused = Err(PublishRefusal::Identifier);
    let recovery = |identifier| Action::ChangeRecoveryIdentifier {
        identifier,
        recovery_signature: &owner,
    };
    let address = owner.identifier().to_string();
    let upper = format!("0x{}", address[2..].to_uppercase());
    for bad in [&upper, &address[2..], "nobody", "", "0x12"] {
        assert_eq!(
            publish(recovery(Identifier::Ethereum(bad.to_owned()))),
            refused,
            "{bad}"
        );
    }
    let no_point = Identifier::passkey(&"02".repeat(5), None).unwrap();
    assert_eq!(publish(recovery(no_point)), refused);
    assert_eq!(publish(recovery(passkey("key").identifier())), Ok(()));
    assert_eq!(publish(recovery(wallet("second").identifier())), Ok(()));

    let revocation = |member| Action::RevokeAssociation {
        member,
        recovery_signature: &owner,
    };
    let short = MemberIdentifier::Installation(vec![7; 31]);
    assert_eq!(publish(revocation(short)), refused);
    assert_eq!(
        publish(revocation(Identifier::Ethereum(upper).into())),
        refused
    );
    assert_eq!(publish(revocation(installation("app").member())), Ok(()));
}

#[test]
fn a_weak_installation_key_is_refused() {
    let owner = wallet("owner");
    let mut inbox = Inbox::created(&owner);
    // The neutral point as key and as R, with S = 0, satisfies the equation for every text.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let id = sotto::identity::InstallationId::from_bytes(neutral);
    assert!(id.is_weak());
    let update = Update {
        inbox_id: inbox.id.to_string(),
        client_timestamp_ns: inbox.now + SECOND,
        actions: vec![Action::AddAssociation {
            new_member: id.into(),
            existing_member_signature: Some(&owner),
            new_member_signature: None,
        }],
    };
    let text = update.text();
    let mut signature = neutral.to_vec();
    signature.extend_from_slice(&[0; 32]);
    let forged = Signature::InstallationKey { key: id, signature };
    let bytes = update
        .try_map(|key| Ok::<_, ()>(key.map_or(forged.clone(), |key| key.sign(&text))))
        .unwrap()
        .encode();
    assert_eq!(
        verdict(&inbox, &bytes),
        Err(PublishRefusal::WeakInstallationKey)
    );
    let strong = inbox.sign(vec![add(&installation("app"), &owner)]);
    assert_eq!(verdict(&inbox, &strong), Ok(()));
}

#[test]
fn a_foreign_form_of_inbox_id_is_refused() {
    let owner = wallet("owner");
    let inbox = Inbox::of(&owner, 1);
    let bytes = Update::<Signature> {
        inbox_id: inbox.id.as_str().to_uppercase(),
        client_timestamp_ns: T0,
        actions: vec![],
    }
    .encode();
    let refused = publish::check(&[], &decode(&bytes));
    assert_eq!(refused, Err(PublishRefusal::InboxId));
}

#[test]
fn a_full_log_takes_no_more() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    let update: SignedUpdate = decode(&inbox.sign(vec![add(&app, &owner)]));
    let first = decode(&inbox.log[0]);
    let log = vec![first; MAX_UPDATES];
    assert_eq!(publish::check(&log, &update), Err(PublishRefusal::LogFull));
    assert_eq!(publish::check(&log[1..], &update), Ok(()));
}

#[test]
fn an_update_that_would_take_long_to_verify_is_refused_unread() {
    let owner = wallet("owner");
    let mut inbox = Inbox::created(&owner);
    let apps: Vec<Key> = (0..MAX_SIGNATURES)
        .map(|n| installation(&format!("app {n}")))
        .collect();
    let mut additions: Vec<_> = apps.iter().map(|app| add(app, &owner)).collect();
    let too_many = inbox.sign(additions.clone());
    assert_eq!(
        verdict(&inbox, &too_many),
        Err(PublishRefusal::TooManySignatures)
    );
    additions.pop();
    let enough = inbox.sign(additions);
    assert_eq!(verdict(&inbox, &enough), Ok(()));
    // However many actions one signature serves, it is one.
    inbox.push(enough).unwrap();
    let revocations = apps.iter().map(|app| revoke(app, &owner)).collect();
    let many = inbox.sign(revocations);
    assert_eq!(verdict(&inbox, &many), Ok(()));
}

#[test]
fn what_honest_clients_send_is_taken() {
    let (owner, second, key) = (wallet("owner"), wallet("second"), passkey("key"));
    let (safe, app) = (contract("safe", 137), installation("app"));
    let mut inbox = Inbox::of(&owner, 1);
    let steps: Vec<Vec<Act<'_>>> = vec![
        vec![create(&owner, 1), add(&app, &owner)],
        vec![add(&second, &app)],
        vec![add(&key, &app)],
        vec![add(&safe, &app)],
        vec![change_recovery(&safe, &owner)],
        vec![revoke(&app, &safe), revoke(&owner, &safe)],
        vec![add(&app, &key)],
        vec![add(&owner, &app)],
    ];
    for actions in steps {
        let bytes = inbox.sign(actions);
        assert_eq!(verdict(&inbox, &bytes), Ok(()));
        inbox.push(bytes).unwrap();
    }
    assert_eq!(inbox.state.unwrap().members().len(), 5);
}
