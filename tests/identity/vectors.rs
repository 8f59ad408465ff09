//! What official clients made, in `tests/vectors/`.

use std::collections::{BTreeMap, BTreeSet};

use base64ct::{Base64, Encoding};
use serde_json::Value;
use sotto::identity::{
    AssociationState, ContractAnswers, EthereumKey, Identifier, IdentifierKind, IdentityError,
    InboxId, InstallationId, InstallationKey, MemberIdentifier, SignedUpdate, eip191_hash, fold,
    format_timestamp, publish, resolve,
};
use sotto_proto::{Message, identity_api, message_contents::MlsCredential};

use super::support::{decode, yes};

const IDENTITY: &str = include_str!("../vectors/identity.json");
const WIRE: &str = include_str!("../vectors/wire/identity-updates.json");

fn identity() -> Value {
    serde_json::from_str(IDENTITY).unwrap()
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a string: {value}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn number(value: &Value) -> u64 {
    text(value).parse().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// The SDK's numbers, which are not those of the wire.
fn sdk_kind(value: &Value) -> IdentifierKind {
    match value.as_u64() {
        Some(0) => IdentifierKind::Ethereum,
        Some(1) => IdentifierKind::Passkey,
        _ => panic!("no kind: {value}"),
    }
}

fn derive(entry: &Value, nonce: &Value) -> Option<(Identifier, InboxId)> {
    let identifier =
        Identifier::parse(sdk_kind(&entry["kind"]), text(&entry["identifier"])).ok()?;
    let inbox_id = InboxId::derive(&identifier, text(nonce).parse().ok()?);
    Some((identifier, inbox_id))
}

#[test]
fn every_inbox_id_is_derived() {
    let vectors = identity();
    let entries = list(&vectors["inbox_ids"]);
    assert_eq!(entries.len(), 64);
    for entry in entries {
        let nonce = match &entry["nonce"] {
            Value::Null => {
                assert_eq!(number(&entry["nonce_used"]), sotto::identity::DEFAULT_NONCE);
                &entry["nonce_used"]
            }
            nonce => nonce,
        };
        let (identifier, inbox_id) = derive(entry, nonce).unwrap();
        assert_eq!(identifier.text(), text(&entry["normalized"]));
        assert_eq!(inbox_id.as_str(), text(&entry["inbox_id"]));
        assert!(InboxId::parse(text(&entry["inbox_id"])).is_ok());
    }
}

#[test]
fn what_gives_no_inbox_id_is_refused() {
    let vectors = identity();
    let entries = list(&vectors["inbox_id_rejects"]);
    assert_eq!(entries.len(), 11);
    for entry in entries {
        assert_eq!(derive(entry, &entry["nonce"]), None, "{}", entry["why"]);
    }
}

#[test]
fn every_timestamp_is_formatted() {
    let vectors = identity();
    let entries = list(&vectors["timestamps"]);
    assert_eq!(entries.len(), 12);
    for entry in entries {
        let formatted = format_timestamp(number(&entry["client_timestamp_ns"]));
        assert_eq!(formatted, text(&entry["text"]));
    }
}

#[test]
fn every_wallet_signature_is_made_again() {
    let vectors = identity();
    let entries = list(&vectors["wallet_signatures"]);
    assert_eq!(entries.len(), 15);
    for entry in entries {
        let key = EthereumKey::from_bytes(&array(&entry["private_key"])).unwrap();
        assert_eq!(key.address(), text(&entry["address"]));
        let message = text(&entry["text"]);
        assert_eq!(eip191_hash(message), array(&entry["eip191_hash"]));
        assert_eq!(
            key.sign_personal(message).to_vec(),
            bytes(&entry["signature"])
        );
    }
}

#[test]
fn every_installation_signature_verifies_and_those_with_a_seed_are_made_again() {
    let vectors = identity();
    let entries = list(&vectors["installation_signatures"]);
    assert_eq!(entries.len(), 14);
    let mut made = 0;
    for entry in entries {
        let id = InstallationId::from_bytes(array(&entry["public_key"]));
        let (message, signature) = (text(&entry["text"]), bytes(&entry["signature"]));
        let is_public = match text(&entry["context"]) {
            "IDENTITY UPDATE SIGNATURE" => false,
            "PUBLIC SIGNATURE CONTEXT" => true,
            other => panic!("context {other}"),
        };
        // Under its own context, and under no other.
        assert_eq!(id.verify_text(message, &signature).is_ok(), !is_public);
        assert_eq!(id.verify_public(message, &signature).is_ok(), is_public);
        if !entry["seed"].is_null() {
            made += 1;
            let key = InstallationKey::from_seed(&array(&entry["seed"]));
            assert_eq!(key.id(), id);
            let again = if is_public {
                key.sign_public(message)
            } else {
                key.sign_text(message)
            };
            assert_eq!(again.to_vec(), signature);
        }
    }
    assert!(made > 0);
}

#[test]
fn every_credential_is_encoded() {
    let vectors = identity();
    for entry in list(&vectors["mls_credentials"]) {
        let inbox_id = InboxId::parse(text(&entry["inbox_id"])).unwrap();
        let credential = MlsCredential {
            inbox_id: inbox_id.to_string(),
        };
        assert_eq!(
            credential.encode_to_vec(),
            bytes(&entry["basic_credential_identity"])
        );
    }
}

/// Every published update of the recorded sessions, with its step.
fn published(vectors: &Value) -> Vec<(&Value, &Value)> {
    list(&vectors["flows"])
        .iter()
        .flat_map(|flow| list(&flow["steps"]))
        .flat_map(|step| {
            let updates = step["published"].as_array().map_or(&[][..], Vec::as_slice);
            updates.iter().map(move |update| (step, update))
        })
        .collect()
}

#[test]
fn every_recorded_update_has_its_text_verifies_and_encodes_to_the_same_bytes() {
    let vectors = identity();
    let updates = published(&vectors);
    assert_eq!(updates.len(), 20);
    for (step, entry) in updates {
        let encoded = bytes(&entry["identity_update_hex"]);
        let update = decode(&encoded);
        assert_eq!(
            update.text(),
            text(&step["signature_text"]),
            "{}",
            step["name"]
        );
        assert_eq!(encode(&update), encoded);
        update.verify(&yes(&update)).unwrap();
        assert_eq!(publish::check(&[], &update), Ok(()), "{}", step["name"]);
    }
}

fn encode(update: &SignedUpdate) -> Vec<u8> {
    sotto::identity::Update {
        inbox_id: update.inbox_id().to_owned(),
        client_timestamp_ns: update.client_timestamp_ns(),
        actions: update.actions().to_vec(),
    }
    .encode()
}

#[test]
fn every_recorded_session_leads_to_the_recorded_states() {
    let vectors = identity();
    let mut logs: BTreeMap<String, Vec<SignedUpdate>> = BTreeMap::new();
    let mut compared = 0;
    for flow in list(&vectors["flows"]) {
        for step in list(&flow["steps"]) {
            for entry in step["published"].as_array().into_iter().flatten() {
                let update = decode(&bytes(&entry["identity_update_hex"]));
                logs.entry(update.inbox_id().to_owned())
                    .or_default()
                    .push(update);
            }
            let expected = &step["state"];
            let Some(log) = expected["inbox_id"].as_str().and_then(|id| logs.get(id)) else {
                continue;
            };
            let state = fold(log, &answers(log)).unwrap();
            assert_eq!(
                state.recovery_identifier().text(),
                text(&expected["recovery"])
            );
            let identifiers: BTreeSet<_> = list(&expected["identifiers"])
                .iter()
                .map(|entry| Identifier::parse(sdk_kind(&entry[0]), text(&entry[1])).unwrap())
                .collect();
            assert_eq!(
                state
                    .identifiers()
                    .into_iter()
                    .cloned()
                    .collect::<BTreeSet<_>>(),
                identifiers
            );
            let installations: BTreeSet<_> = list(&expected["installations"])
                .iter()
                .map(|entry| {
                    (
                        InstallationId::parse(text(&entry[0])).unwrap(),
                        number(&entry[1]),
                    )
                })
                .collect();
            assert_eq!(timed_installations(&state), installations);
            compared += 1;
        }
    }
    assert_eq!(compared, 13, "states compared");
}

fn answers(log: &[SignedUpdate]) -> ContractAnswers {
    log.iter().flat_map(yes).collect()
}

fn timed_installations(state: &AssociationState) -> BTreeSet<(InstallationId, u64)> {
    state
        .members()
        .into_iter()
        .filter_map(|member| {
            let id = member.identifier.installation()?;
            Some((id, member.client_timestamp_ns.unwrap()))
        })
        .collect()
}

#[test]
fn every_cached_state_of_the_official_client_is_reached_at_its_sequence_id() {
    let vectors = identity();
    let cached = &vectors["association_states"];
    let inbox_id = text(&cached["inbox_id"]);
    let log: Vec<SignedUpdate> = published(&vectors)
        .into_iter()
        .map(|(_, entry)| decode(&bytes(&entry["identity_update_hex"])))
        .filter(|update| update.inbox_id() == inbox_id)
        .collect();
    let ids: Vec<u64> = list(&cached["update_sequence_ids"])
        .iter()
        .map(|id| id.as_u64().unwrap())
        .collect();
    // The static revocation came after the last cached state.
    assert_eq!(log.len(), ids.len() + 1);
    let entries = || ids.iter().copied().zip(&log);
    let states = list(&cached["states"]);
    assert_eq!(states.len(), 6);
    for entry in states {
        let at = entry["sequence_id"].as_u64();
        let state = resolve(entries(), at, &ContractAnswers::new()).unwrap();
        let official = AssociationState::decode(&bytes(&entry["hex"])).unwrap();
        assert_eq!(state, official, "at {at:?}");
        assert_eq!(AssociationState::decode(&state.encode()), Ok(state));
    }
    let none = ContractAnswers::new();
    for at in [Some(0), Some(100), Some(110)] {
        let missing = resolve(entries(), at, &none);
        assert_eq!(
            missing,
            Err(IdentityError::MissingIdentityUpdate),
            "at {at:?}"
        );
    }
    assert_eq!(
        resolve(entries(), None, &none),
        resolve(entries(), Some(109), &none)
    );
}

/// What a log folds to, or the class of the error.
fn outcome(log: &Value, check: impl Fn(&SignedUpdate)) -> Result<AssociationState, &'static str> {
    let answer = log["smart_contract_verifier_answers"] != "false";
    let mut state = None;
    for entry in list(&log["updates"]) {
        let update = SignedUpdate::decode(&bytes(&entry["identity_update_hex"]))
            .map_err(|error| error.class())?;
        check(&update);
        let answers = yes(&update)
            .into_keys()
            .map(|check| (check, answer))
            .collect();
        let next = AssociationState::apply(state.as_ref(), &update, &answers)
            .map_err(|error| error.class())?;
        // A state from the cache is as good as the state itself.
        assert_eq!(AssociationState::decode(&next.encode()).as_ref(), Ok(&next));
        state = Some(next);
    }
    Ok(state.unwrap())
}

#[test]
fn every_log_has_its_result_and_every_rejected_one_its_class() {
    let vectors = identity();
    let logs = list(&vectors["association_logs"]);
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for log in logs {
        let expected = match text(&log["result"]) {
            "accept" => Ok(()),
            _ => Err(text(&log["error"])),
        };
        *counts
            .entry(expected.err().unwrap_or("accept"))
            .or_default() += 1;
        let result = outcome(log, |_| ());
        if result.as_ref().map(|_| ()).map_err(|class| *class) != expected {
            wrong.push((text(&log["name"]), expected, result.map(|_| ())));
        } else if let Ok(state) = result {
            expect_state(log, &state);
        }
    }
    assert_eq!(wrong, []);
    assert_eq!(logs.len(), 167);
    let expected = [
        ("accept", 80),
        ("Malformed", 11),
        ("InvalidSignature", 26),
        ("MissingExistingMember", 19),
        ("NewMemberSignatureMismatch", 4),
        ("AddSelf", 1),
        ("MemberNotAllowed", 1),
        ("Replay", 10),
        ("ChainIdMismatch", 5),
        ("NotCreated", 3),
        ("MultipleCreate", 2),
        ("WrongInboxId", 3),
        ("LegacySignatureReuse", 1),
        ("SignatureNotAllowed", 1),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}

fn expect_state(log: &Value, state: &AssociationState) {
    let name = text(&log["name"]);
    let expected = &log["state"];
    let kind = |identifier: &Identifier| match identifier.kind() {
        IdentifierKind::Ethereum => "ethereum",
        IdentifierKind::Passkey => "passkey",
    };
    assert_eq!(state.inbox_id().as_str(), text(&log["inbox_id"]), "{name}");
    let recovery = state.recovery_identifier();
    assert_eq!(
        recovery.text(),
        text(&expected["recovery_identifier"]),
        "{name}"
    );
    assert_eq!(
        kind(recovery),
        text(&expected["recovery_identifier_kind"]),
        "{name}"
    );
    let identifiers: BTreeSet<(String, String)> = state
        .identifiers()
        .into_iter()
        .map(|identifier| (kind(identifier).to_owned(), identifier.to_string()))
        .collect();
    let pair = |entry: &Value| {
        (
            text(&entry["kind"]).into(),
            text(&entry["identifier"]).into(),
        )
    };
    assert_eq!(
        identifiers,
        list(&expected["identifiers"]).iter().map(pair).collect(),
        "{name}"
    );
    let installations: BTreeSet<_> = list(&expected["installations"])
        .iter()
        .map(|entry| {
            let id = InstallationId::parse(text(&entry["installation_id"])).unwrap();
            (id, number(&entry["client_timestamp_ns"]))
        })
        .collect();
    assert_eq!(timed_installations(state), installations, "{name}");
    let ids: BTreeSet<_> = installations.into_iter().map(|(id, _)| id).collect();
    assert_eq!(state.installations(), ids, "{name}");
}

#[test]
fn every_accepted_log_is_signed_over_the_text_we_build() {
    let vectors = identity();
    let mut compared = 0;
    for log in list(&vectors["association_logs"]) {
        if text(&log["result"]) == "accept" {
            for entry in list(&log["updates"]) {
                let update = decode(&bytes(&entry["identity_update_hex"]));
                // The one whose time was moved within its second has the same text too.
                if let Some(signed_text) = entry["signed_text"].as_str() {
                    assert_eq!(update.text(), signed_text, "{}", log["name"]);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 100, "only {compared} texts");
}

#[test]
fn contract_wallets_are_asked_what_the_official_client_asked() {
    let vectors = identity();
    let mut compared = 0;
    for log in list(&vectors["association_logs"]) {
        let Some(requests) = log["verify_requests"].as_array() else {
            continue;
        };
        let recorded: BTreeSet<Vec<u8>> = requests
            .iter()
            .map(|request| {
                identity_api::VerifySmartContractWalletSignatureRequestSignature {
                    account_id: text(&request["account_id"]).to_owned(),
                    block_number: Some(number(&request["block_number"])),
                    signature: bytes(&request["signature"]),
                    hash: bytes(&request["hash"]),
                }
                .encode_to_vec()
            })
            .collect();
        let asked = std::cell::RefCell::new(BTreeSet::new());
        let _ = outcome(log, |update| {
            for check in update.contract_checks() {
                let request =
                    identity_api::VerifySmartContractWalletSignatureRequestSignature::from(&check);
                asked.borrow_mut().insert(request.encode_to_vec());
            }
        });
        assert_eq!(asked.into_inner(), recorded, "{}", log["name"]);
        compared += 1;
    }
    assert_eq!(compared, 13);
}

#[test]
fn of_the_accepted_logs_a_node_takes_all_but_those_it_must_not_hold() {
    let vectors = identity();
    let mut refused = BTreeSet::new();
    for log in list(&vectors["association_logs"]) {
        if text(&log["result"]) != "accept" {
            continue;
        }
        let updates: Vec<SignedUpdate> = list(&log["updates"])
            .iter()
            .map(|entry| decode(&bytes(&entry["identity_update_hex"])))
            .collect();
        let verdict =
            (0..updates.len()).try_for_each(|n| publish::check(&updates[..n], &updates[n]));
        if let Err(refusal) = verdict {
            refused.insert((text(&log["name"]), format!("{refusal:?}")));
        }
    }
    let expected = [
        ("change_recovery_to_garbage_string", "Identifier"),
        ("change_recovery_to_mixed_case", "Identifier"),
        ("change_recovery_to_non_ascii", "Identifier"),
        ("ecdsa_high_s_parity_unchanged", "SignatureEncoding"),
        ("ecdsa_replay_v_malleated", "Replay"),
        ("ecdsa_replay_v_malleated_after_revoke", "Replay"),
        ("ecdsa_replay_v_malleated_change_recovery", "Replay"),
        ("ecdsa_v_255_or_254", "SignatureEncoding"),
        ("ecdsa_v_35_36", "SignatureEncoding"),
        ("ecdsa_v_eip155_chain1", "SignatureEncoding"),
        ("inst_small_order_member", "WeakInstallationKey"),
        ("legacy_create_and_add_nonce0", "LegacySignature"),
        ("legacy_ecdsa_compact_union", "LegacySignature"),
        ("passkey_replay_s_malleated_change_recovery", "Replay"),
        ("revoke_mixed_case_address_is_noop", "Identifier"),
    ];
    let expected: BTreeSet<_> = expected
        .into_iter()
        .map(|(name, refusal)| (name, refusal.to_owned()))
        .collect();
    assert_eq!(refused, expected);
}

#[test]
fn every_update_seen_on_the_wire_verifies_and_encodes_to_the_same_bytes() {
    let wire: Value = serde_json::from_str(WIRE).unwrap();
    let items = list(&wire["items"]);
    assert_eq!(items.len(), 12);
    let mut logs: BTreeMap<&str, Vec<(u64, SignedUpdate)>> = BTreeMap::new();
    for item in items {
        let encoded = Base64::decode_vec(text(&item["update_b64"])).unwrap();
        let update = decode(&encoded);
        assert_eq!(encode(&update), encoded, "{}", item["name"]);
        let verified = update.verify(&ContractAnswers::new()).unwrap();
        for entry in list(&item["signed_text"]) {
            assert_eq!(update.text(), text(&entry["text"]), "{}", item["name"]);
            let signer = Identifier::ethereum(text(&entry["address"])).unwrap();
            let signers: Vec<_> = verified.update().signatures().map(|s| s.signer()).collect();
            assert!(
                signers.contains(&&MemberIdentifier::from(signer)),
                "{}",
                item["name"]
            );
        }
        let log = logs.entry(text(&item["inbox_id"])).or_default();
        log.push((number(&item["sequence_id"]), update));
    }
    for (inbox_id, log) in &logs {
        for n in 0..log.len() {
            let at = Some(log[n].0);
            let entries = log.iter().map(|(id, update)| (*id, update));
            let state = resolve(entries, at, &ContractAnswers::new()).unwrap();
            assert_eq!(state.inbox_id().as_str(), *inbox_id);
            let earlier: Vec<_> = log[..n].iter().map(|(_, update)| update.clone()).collect();
            assert_eq!(publish::check(&earlier, &log[n].1), Ok(()));
        }
    }
}
