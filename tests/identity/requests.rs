//! Signature requests, from the question to the bytes.

use sotto::identity::{
    AssociationState, ContractAnswers, Identifier, IdentityError, InboxId, RequestError, Signature,
    SignatureRequest, publish,
};

use super::support::*;

fn owner_of(key: &Key) -> sotto::identity::EthereumKey {
    match key {
        Key::Wallet(key) => key.clone(),
        _ => panic!("no wallet"),
    }
}

fn app_of(key: &Key) -> sotto::identity::InstallationKey {
    match key {
        Key::Installation(key) => key.clone(),
        _ => panic!("no installation"),
    }
}

fn registration(owner: &Identifier, app: &Key) -> SignatureRequest {
    SignatureRequest::create_inbox(owner, 1, app_of(app).id(), T0)
}

/// What a state the finished request leads to.
fn apply(state: Option<&AssociationState>, request: &SignatureRequest) -> AssociationState {
    let update = decode(&request.finish().unwrap());
    assert_eq!(update.text(), request.text());
    assert_eq!(publish::check(&[], &update), Ok(()));
    assert_eq!(request.answers(), yes(&update));
    AssociationState::apply(state, &update, &request.answers()).unwrap()
}

#[test]
fn a_registration_is_signed_by_the_wallet_once_and_by_the_installation() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let mut request = registration(&owner.identifier(), &app);
    assert_eq!(request.missing_signers().len(), 2);
    request.sign_with(&app_of(&app)).unwrap();
    assert_eq!(request.missing_signers(), [owner.member()].into());
    assert!(!request.is_complete());
    let signature = owner_of(&owner).sign_personal(request.text());
    request.add_wallet_signature(&signature).unwrap();
    assert!(request.is_complete());

    let state = apply(None, &request);
    assert_eq!(state.inbox_id(), &InboxId::derive(&owner.identifier(), 1));
    assert_eq!(state.inbox_id().as_str(), request.inbox_id());
    assert!(state.contains_installation(&app_of(&app).id()));
}

#[test]
fn strangers_and_second_signatures_are_unknown_signers() {
    let (owner, stranger) = (wallet("owner"), wallet("stranger"));
    let (app, other) = (installation("app"), installation("other"));
    let mut request = registration(&owner.identifier(), &app);
    let unknown = |key: &Key| Err(RequestError::UnknownSigner(key.member()));

    let foreign = owner_of(&stranger).sign_personal(request.text());
    assert_eq!(request.add_wallet_signature(&foreign), unknown(&stranger));
    assert_eq!(request.sign_with(&app_of(&other)), unknown(&other));
    // Over another text a wallet's signature is some other address's.
    let elsewhere = owner_of(&owner).sign_personal("another text");
    let result = request.add_wallet_signature(&elsewhere);
    assert!(matches!(result, Err(RequestError::UnknownSigner(signer)) if signer != owner.member()));

    let signature = owner_of(&owner).sign_personal(request.text());
    request.add_wallet_signature(&signature).unwrap();
    assert_eq!(request.add_wallet_signature(&signature), unknown(&owner));
    request.sign_with(&app_of(&app)).unwrap();
    assert_eq!(request.sign_with(&app_of(&app)), unknown(&app));
    assert!(request.is_complete());
}

#[test]
fn an_incomplete_request_says_who_is_missing() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let mut request = registration(&owner.identifier(), &app);
    let missing = |keys: &[&Key]| {
        let keys = keys.iter().map(|key| key.member()).collect();
        Err(RequestError::MissingSignatures(keys))
    };
    assert_eq!(request.finish(), missing(&[&owner, &app]));
    request.sign_with(&app_of(&app)).unwrap();
    assert_eq!(request.finish(), missing(&[&owner]));
}

#[test]
fn garbage_is_no_signature_and_takes_nobodys_place() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let mut request = registration(&owner.identifier(), &app);
    for garbage in [&[][..], &[1; 64], &[1; 66], &[0; 65], &[255; 65]] {
        let refused = request.add_wallet_signature(garbage);
        assert!(
            matches!(refused, Err(RequestError::Signature(_))),
            "{garbage:?}"
        );
    }
    let id = app_of(&app).id();
    for garbage in [&[][..], &[1; 64], &[1; 65]] {
        let refused = request.add_installation_signature(id, garbage);
        assert!(matches!(refused, Err(RequestError::Signature(_))));
    }
    // A signature for the app's own use is none for an identity update.
    let public = app_of(&app).sign_public(request.text());
    assert!(request.add_installation_signature(id, &public).is_err());
    assert_eq!(request.missing_signers().len(), 2);
}

#[test]
fn whatever_form_a_wallet_gives_its_signature_the_update_has_the_one_that_all_accept() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let request = registration(&owner.identifier(), &app);
    let signature = owner_of(&owner).sign_personal(request.text());
    let parity = signature[64] - 27;
    let mut high_s = k256::ecdsa::Signature::from_slice(&signature[..64]).unwrap();
    let (r, s) = high_s.split_scalars();
    high_s = k256::ecdsa::Signature::from_scalars(r, -*s).unwrap();

    let with_v = |v: u8| [&signature[..64], &[v]].concat();
    let high = |v: u8| [high_s.to_bytes().as_slice(), &[v]].concat();
    let forms = [
        with_v(parity),
        with_v(27 + parity),
        with_v(35 + parity),
        with_v(37 + parity),
        high(1 - parity),
        high(28 - parity),
    ];
    for form in forms {
        let mut request = request.clone();
        request.add_wallet_signature(&form).unwrap();
        request.sign_with(&app_of(&app)).unwrap();
        let update = decode(&request.finish().unwrap());
        let expected = Signature::Erc191(signature.to_vec());
        assert_eq!(update.signatures().next(), Some(&expected), "{form:?}");
        apply(None, &request);
    }
    let mut request = request;
    assert!(request.add_wallet_signature(&with_v(2)).is_err());
}

#[test]
fn a_static_revocation_with_the_wrong_wallet_is_refused_by_the_node_alone() {
    let (owner, wrong, app) = (wallet("owner"), wallet("wrong"), installation("app"));
    let mut inbox = Inbox::created(&owner);
    inbox.update(vec![add(&app, &owner)]).unwrap();
    let state = inbox.state.as_ref();
    let revocation = |recovery: &Key| {
        let members = [app.member()];
        let now = inbox.now + SECOND;
        let mut request = SignatureRequest::revoke(&inbox.id, &recovery.identifier(), members, now);
        let signature = owner_of(recovery).sign_personal(request.text());
        request.add_wallet_signature(&signature).unwrap();
        decode(&request.finish().unwrap())
    };
    let none = ContractAnswers::new();
    let refused = AssociationState::apply(state, &revocation(&wrong), &none);
    assert_eq!(refused, Err(IdentityError::MissingExistingMember));
    let after = AssociationState::apply(state, &revocation(&owner), &none).unwrap();
    assert!(!after.contains(&app.member()));
}

#[test]
fn a_contract_wallet_signs_in_two_steps_and_the_answers_block_number_counts() {
    let (owner, app) = (contract("safe", 8453), installation("app"));
    let mut request = registration(&owner.identifier(), &app);
    request.sign_with(&app_of(&app)).unwrap();
    let check = request
        .contract_check(8453, &owner.identifier(), vec![0xde, 0xad], Some(555))
        .unwrap();
    assert_eq!(
        check.account_id.to_string(),
        format!("eip155:8453:{}", owner.identifier())
    );
    assert_eq!(
        (check.hash, check.block_number),
        (sotto::identity::eip191_hash(request.text()), Some(555))
    );

    let refused = request.add_contract_signature(check.clone(), false, Some(777));
    assert_eq!(refused, Err(RequestError::RefusedByContract));
    let refused = request.add_contract_signature(check.clone(), true, None);
    assert_eq!(refused, Err(RequestError::NoBlockNumber));
    assert!(!request.is_complete());

    request
        .add_contract_signature(check.clone(), true, Some(777))
        .unwrap();
    let again = request.add_contract_signature(check, true, Some(777));
    assert_eq!(again, Err(RequestError::UnknownSigner(owner.member())));
    let update = decode(&request.finish().unwrap());
    let checks = update.contract_checks();
    assert_eq!((checks.len(), checks[0].block_number), (1, 777));
    assert_eq!(apply(None, &request).members().len(), 2);
}

#[test]
fn a_contract_is_not_asked_about_strangers_nor_believed_about_another_text() {
    let (owner, stranger, app) = (
        contract("safe", 1),
        contract("other", 1),
        installation("app"),
    );
    let mut request = registration(&owner.identifier(), &app);
    let unknown = |key: &Key| RequestError::UnknownSigner(key.member());
    let refused = request.contract_check(1, &stranger.identifier(), vec![1], None);
    assert_eq!(refused, Err(unknown(&stranger)));
    assert!(
        request
            .contract_check(1, &passkey("key").identifier(), vec![1], None)
            .is_err()
    );

    let later =
        SignatureRequest::create_inbox(&owner.identifier(), 1, app_of(&app).id(), T0 + SECOND);
    let check = later
        .contract_check(1, &owner.identifier(), vec![1], None)
        .unwrap();
    let refused = request.add_contract_signature(check, true, Some(1));
    assert_eq!(refused, Err(unknown(&owner)));
}

#[test]
fn a_passkey_registers_and_another_assertion_is_refused() {
    let (owner, app) = (passkey("owner"), installation("app"));
    let Key::Passkey(key) = &owner else { panic!() };
    let mut request = registration(&owner.identifier(), &app);
    let refused = request.add_passkey_signature(assertion(key, "another text"));
    assert!(matches!(refused, Err(RequestError::Signature(_))));
    request
        .add_passkey_signature(assertion(key, request.text()))
        .unwrap();
    request.sign_with(&app_of(&app)).unwrap();
    let state = apply(None, &request);
    assert_eq!(state.identifiers(), [&owner.identifier()]);
}

#[test]
fn every_request_of_a_client_does_what_it_says() {
    let (owner, second, app) = (wallet("owner"), wallet("second"), installation("app"));
    let more = installation("more");
    let sign = |mut request: SignatureRequest, keys: &[&Key]| {
        for key in keys {
            match key {
                Key::Wallet(key) => {
                    let signature = key.sign_personal(request.text());
                    request.add_wallet_signature(&signature).unwrap();
                }
                Key::Installation(key) => request.sign_with(key).unwrap(),
                _ => panic!(),
            }
        }
        request
    };
    let request = sign(registration(&owner.identifier(), &app), &[&owner, &app]);
    let state = apply(None, &request);
    let id = state.inbox_id().clone();

    let (of_app, of_more) = (app_of(&app).id(), app_of(&more).id());
    let mut now = T0;
    let mut tick = || {
        now += SECOND;
        now
    };
    let request = SignatureRequest::add_installation(&id, &owner.identifier(), of_more, tick());
    let state = apply(Some(&state), &sign(request, &[&more, &owner]));
    assert_eq!(state.installations().len(), 2);
    let request = SignatureRequest::add_identifier(&id, of_app, &second.identifier(), tick());
    let state = apply(Some(&state), &sign(request, &[&app, &second]));
    assert_eq!(state.identifiers().len(), 2);
    let request =
        SignatureRequest::change_recovery(&id, &owner.identifier(), &second.identifier(), tick());
    let state = apply(Some(&state), &sign(request, &[&owner]));
    assert_eq!(*state.recovery_identifier(), second.identifier());
    let members = [more.member(), owner.member()];
    let request = SignatureRequest::revoke(&id, &second.identifier(), members, tick());
    let state = apply(Some(&state), &sign(request, &[&second]));
    // The first installation was the owner's and went with it.
    assert_eq!(state.members().len(), 1);
    assert!(state.contains(&second.member()));
}

#[test]
fn a_saved_request_goes_on_where_it_was_left() {
    let app = installation("app");
    let Key::Passkey(key) = passkey("second") else {
        panic!()
    };
    let owner = contract("safe", 10);
    let id = InboxId::derive(&owner.identifier(), u64::MAX);
    let mut request = SignatureRequest::builder(&id, u64::MAX - 1)
        .create_inbox(owner.identifier(), u64::MAX)
        .add(app_of(&app).id(), owner.identifier())
        .add(passkey("second").identifier(), app_of(&app).id())
        .build();
    let reload = |request: &SignatureRequest| {
        let restored = SignatureRequest::from_bytes(&request.to_bytes()).unwrap();
        assert_eq!(&restored, request);
        assert_eq!(restored.missing_signers(), request.missing_signers());
        restored
    };
    request = reload(&request);
    request.sign_with(&app_of(&app)).unwrap();
    request = reload(&request);
    let check = request
        .contract_check(10, &owner.identifier(), vec![9; 99], None)
        .unwrap();
    request
        .add_contract_signature(check, true, Some(u64::MAX))
        .unwrap();
    request = reload(&request);
    request
        .add_passkey_signature(assertion(&key, request.text()))
        .unwrap();
    request = reload(&request);
    assert_eq!(apply(None, &request).members().len(), 3);
}

#[test]
fn a_saved_request_that_was_tampered_with_is_refused() {
    let (owner, app) = (wallet("owner"), installation("app"));
    let mut request = registration(&owner.identifier(), &app);
    request.sign_with(&app_of(&app)).unwrap();
    let saved = String::from_utf8(request.to_bytes()).unwrap();
    let restore = |saved: &str| SignatureRequest::from_bytes(saved.as_bytes());
    assert!(restore(&saved).is_ok());
    // Another time is another text, which nobody signed.
    let moved = saved.replace(&T0.to_string(), &(T0 + SECOND).to_string());
    assert!(matches!(restore(&moved), Err(RequestError::Signature(_))));
    let future = saved.replace("\"version\":1", "\"version\":2");
    assert_eq!(restore(&future), Err(RequestError::NotASavedRequest));
    for garbage in ["", "{}", "null", &saved[..saved.len() - 1]] {
        assert_eq!(restore(garbage), Err(RequestError::NotASavedRequest));
    }
    assert_ne!(moved, saved);
    assert_ne!(future, saved);
}

#[test]
fn keys_never_show_in_debug_output() {
    let (owner, app) = (owner_of(&wallet("owner")), app_of(&installation("app")));
    assert_eq!(format!("{owner:?}"), "EthereumKey([redacted])");
    assert_eq!(format!("{app:?}"), "InstallationKey([redacted])");
    let again = sotto::identity::EthereumKey::from_bytes(&owner.to_bytes()).unwrap();
    assert_eq!(again.address(), owner.address());
    let again = sotto::identity::InstallationKey::from_seed(app.seed());
    assert_eq!(again.id(), app.id());
}
