//! A member that uses the MLS library without our rules.

use openmls::prelude::{
    CredentialWithKey, Extensions, GroupContext, LeafNodeParameters, MlsGroupJoinConfig,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
};
use openmls_traits::OpenMlsProvider as _;

use super::super::extensions::{GROUP_NAME, IMMUTABLE_METADATA, MUTABLE_METADATA};
use super::super::facts::credential;
use super::super::provider::MlsSigner;
use super::*;

/// The extensions of the group with one attribute replaced.
fn renamed_context(client: &mut Client, key: &str, value: &str) -> Extensions<GroupContext> {
    let mut mutable = client.facts().mutable;
    mutable.attributes.insert(key.to_owned(), value.to_owned());
    let mut list = client.group().mls.extensions().clone();
    extensions::replace(&mut list, MUTABLE_METADATA, mutable.encode()).unwrap();
    list
}

/// Sends a standalone proposal to rename the group and keeps it for a Commit by reference.
fn propose(client: &mut Client, key: &str, value: &str) -> Vec<u8> {
    let list = renamed_context(client, key, value);
    let signing = client.key.clone();
    let group = client.group();
    let (message, _) = group
        .mls
        .propose_group_context_extensions(&group.provider, list, &MlsSigner(&signing))
        .unwrap();
    message.to_bytes().unwrap()
}

/// Commits what was proposed, by reference.
fn commit_proposals(client: &mut Client) -> Vec<u8> {
    let signing = client.key.clone();
    let group = client.group();
    let (commit, ..) = group
        .mls
        .commit_to_pending_proposals(&group.provider, &MlsSigner(&signing))
        .unwrap();
    group.mls.merge_pending_commit(&group.provider).unwrap();
    commit.to_bytes().unwrap()
}

fn rejection(incoming: Incoming) -> Rejection {
    match incoming {
        Incoming::Skip(SkipReason::Rejected(rejection)) => rejection,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn s_46_prop_2_a_held_proposal_serves_the_commit_that_names_it() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    let proposal = propose(&mut clients[1], GROUP_NAME, "x");
    let incoming = clients[0].process(&proposal, &logs);
    assert!(matches!(incoming, Incoming::Held), "{incoming:?}");
    // It blocks nothing, and is there after a reload.
    clients[0].reload();
    let text = clients[0].group().encrypt(b"still here").unwrap();
    assert_eq!(clients[1].read(&text, &logs), "still here");
    let commit = commit_proposals(&mut clients[1]);
    let Incoming::Commit(report) = clients[0].process(&commit, &logs) else {
        panic!("not merged");
    };
    assert_eq!(report.facts.mutable.attribute(GROUP_NAME), "x");
    assert_eq!(report.change.findings, []);
    // Whoever did not see the proposal cannot follow, and is not changed.
    let incoming = clients[2].process(&commit, &logs);
    assert!(
        matches!(incoming, Incoming::Skip(SkipReason::Undecryptable(_))),
        "{incoming:?}"
    );
    assert_eq!(clients[2].group().epoch(), 1);
}

#[test]
fn s_46_prop_2_a_held_proposal_is_forgotten_with_its_epoch() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let proposal = propose(&mut clients[1], GROUP_NAME, "x");
    assert!(matches!(
        clients[0].process(&proposal, &logs),
        Incoming::Held
    ));
    let (commit, _) = clients[0].commit(Change::default(), &logs);
    assert!(clients[0].group().view().own_row(65).is_none());
    assert_eq!(
        clients[0].facts().mutable.attribute(GROUP_NAME),
        "",
        "never committed by us"
    );
    assert!(matches!(
        clients[1].process(&commit.bytes, &logs),
        Incoming::Commit(_)
    ));
}

#[test]
fn a_proposal_without_the_right_is_not_held_and_leaves_no_trace() {
    let (mut clients, logs) = group_of(2, Preset::AdminOnly);
    clients[0].group().view().mark_saved();
    let proposal = propose(&mut clients[1], GROUP_NAME, "x");
    for _ in 0..2 {
        let incoming = clients[0].process(&proposal, &logs);
        assert!(
            matches!(incoming, Incoming::Skip(SkipReason::Proposal)),
            "{incoming:?}"
        );
    }
    assert_eq!(clients[0].group().view().changes(), []);
}

#[test]
fn prop_3_at_most_sixteen_proposals_are_held() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    for number in 0..18 {
        let proposal = propose(&mut clients[1], GROUP_NAME, &number.to_string());
        let held = matches!(clients[0].process(&proposal, &logs), Incoming::Held);
        assert_eq!(held, number < 16, "{number}");
    }
}

#[test]
fn other_standalone_proposals_are_dropped() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    clients[0].group().view().mark_saved();
    let signing = clients[1].key.clone();
    let group = clients[1].group();
    let removed = openmls::prelude::LeafNodeIndex::new(2);
    let (message, _) = group
        .mls
        .propose_remove_member(&group.provider, &MlsSigner(&signing), removed)
        .unwrap();
    let incoming = clients[0].process(&message.to_bytes().unwrap(), &logs);
    assert!(
        matches!(incoming, Incoming::Skip(SkipReason::Proposal)),
        "{incoming:?}"
    );
    assert_eq!(clients[0].group().view().changes(), []);
}

#[test]
fn s_44_safe_h1_a_path_that_takes_another_name_is_rejected() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    let victim = clients[0].name();
    let signing = clients[1].key.clone();
    let group = clients[1].group();
    let renamed = LeafNodeParameters::builder().with_credential_with_key(CredentialWithKey {
        credential: credential(&victim),
        signature_key: signing.id().as_bytes().as_slice().into(),
    });
    let provider = &group.provider;
    let bundle = group
        .mls
        .commit_builder()
        .consume_proposal_store(false)
        .force_self_update(true)
        .leaf_node_parameters(renamed.build())
        .load_psks(provider.storage())
        .unwrap()
        .build(
            provider.rand(),
            provider.crypto(),
            &MlsSigner(&signing),
            |_| true,
        )
        .unwrap()
        .stage_commit(provider)
        .unwrap();
    let commit = bundle.commit().to_bytes().unwrap();
    let rejection = rejection(clients[2].process(&commit, &logs));
    assert_eq!(rejection.code, RejectCode::LeafIdentityChanged);
    assert_eq!(rejection.committer.unwrap().inbox_id, clients[1].name());
}

#[test]
fn what_comes_in_the_clear_is_refused() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let group = clients[1].group();
    let plain = MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .build();
    group
        .mls
        .set_configuration(group.provider.storage(), &plain)
        .unwrap();
    let commit = group.stage_commit(Change::default()).unwrap();
    assert_eq!(commit.bytes[..4], [0, 1, 0, 1]);
    let incoming = clients[0].process(&commit.bytes, &logs);
    assert!(
        matches!(incoming, Incoming::Skip(SkipReason::Unsupported)),
        "{incoming:?}"
    );
}

#[test]
fn other_mls_messages_are_no_group_messages() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let newcomer = Client::new('f', 40);
    let change = Change {
        add: vec![newcomer.verified()],
        ..Change::default()
    };
    let commit = clients[0].group().stage_commit(change).unwrap();
    let welcome = commit.welcome.unwrap();
    let incoming = clients[1].process(&welcome, &logs);
    assert!(
        matches!(incoming, Incoming::Skip(SkipReason::Unsupported)),
        "{incoming:?}"
    );
    let incoming = clients[1].process(newcomer.key_package.public(), &logs);
    assert!(
        matches!(incoming, Incoming::Skip(SkipReason::Malformed)),
        "{incoming:?}"
    );
}

#[test]
fn an_add_that_no_identity_log_calls_for_is_rejected() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let stranger = Client::new('f', 40);
    let change = Change {
        add: vec![stranger.verified()],
        ..Change::default()
    };
    let commit = clients[0].group().stage_commit(change).unwrap();
    let code = rejection(clients[1].process(&commit.bytes, &logs)).code;
    assert_eq!(code, RejectCode::UnexpectedAdd);
    // Our own Commit is judged by the same rules.
    let own = clients[0]
        .group()
        .check_pending(&logs, &Rules::default())
        .unwrap();
    assert!(matches!(own, Verdict::Rejected(_)), "{own:?}");
}

#[test]
fn safe_q1_a_leaf_under_a_false_name_is_not_trusted() {
    let (mut clients, mut logs) = group_of(2, Preset::AllMembers);
    // N's identity log lists an installation whose key package names inbox b.
    let impostor = Client::new('b', 40);
    let named = "f".repeat(64);
    let sequence = logs.set(&named, &[impostor.id()]);
    let mut membership = clients[0].facts().membership;
    membership.members.insert(named, sequence);
    let change = Change {
        add: vec![impostor.verified()],
        membership: Some(membership),
        ..Change::default()
    };
    let (commit, _) = clients[0].commit(change, &logs);
    let Incoming::Commit(report) = clients[1].process(&commit.bytes, &logs) else {
        panic!("peers merge it");
    };
    let foreign = Finding::ForeignInstallation {
        inbox: clients[1].name(),
        installation: impostor.id(),
    };
    assert!(
        report.change.findings.contains(&foreign),
        "{:?}",
        report.change.findings
    );
    assert!(!report.facts.installation(&impostor.id()).unwrap().trusted);
    assert!(report.facts.installation(&clients[1].id()).unwrap().trusted);
    clients[1].reload();
    assert!(
        !clients[1]
            .facts()
            .installation(&impostor.id())
            .unwrap()
            .trusted
    );
}

#[test]
fn s_43_other_immutable_metadata_quarantines_and_the_pinned_one_goes_on_counting() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let before = clients[0].facts().metadata;
    let forged = ImmutableMetadata {
        creator: clients[1].name(),
        ..before.clone()
    };
    let signing = clients[1].key.clone();
    let group = clients[1].group();
    let mut list = group.mls.extensions().clone();
    extensions::replace(&mut list, IMMUTABLE_METADATA, forged.encode()).unwrap();
    let (crypto, rand) = (group.provider.crypto(), group.provider.rand());
    let commit = (group.mls.commit_builder())
        .force_self_update(true)
        .propose_group_context_extensions(list)
        .unwrap()
        .load_psks(group.provider.storage())
        .unwrap()
        .build(rand, crypto, &MlsSigner(&signing), |_| true)
        .unwrap()
        .stage_commit(&group.provider)
        .unwrap();
    let bytes = commit.commit().to_bytes().unwrap();
    let Incoming::Commit(report) = clients[0].process(&bytes, &logs) else {
        panic!("not merged");
    };
    let codes: Vec<&str> = report.change.findings.iter().map(Finding::code).collect();
    assert_eq!(codes, ["SAFE-Q2"]);
    assert!(report.change.findings.iter().all(Finding::quarantines));
    assert_eq!(report.facts.metadata, before);
    clients[0].reload();
    assert_eq!(clients[0].facts().metadata, before);
}
