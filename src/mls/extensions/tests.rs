use std::collections::BTreeMap;

use super::vector::read_vector;
use super::*;
use crate::mls::InstallationId;
use crate::mls::policy::Preset;

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

const A: &str = "294a9065a39500d5687dea89f3b8672c973b475fb5dc6ad11fcc36877f901ac2";
const B: &str = "c22bf07a201ab622c447a902503afc072870950ed70e5d207b4047a9454d78cc";

#[test]
fn vectors_a1_and_a2_immutable_metadata() {
    let group = hex(
        "404408011a4032393461393036356133393530306435363837646561383966336238363732633937336234373566623564633661643131666363333638373766393031616332",
    );
    let metadata = ImmutableMetadata::decode(&group).unwrap();
    assert_eq!(metadata.kind, ConversationKind::Group);
    assert_eq!(
        (metadata.creator.as_str(), metadata.dm_members.as_ref()),
        (A, None)
    );
    assert_eq!(metadata.encode(), group);
    let dm = hex(
        "40cf08021a40323934613930363561333935303064353638376465613839663362383637326339373362343735666235646336616431316663633336383737663930316163322288010a420a403239346139303635613339353030643536383764656138396633623836373263393733623437356662356463366164313166636333363837376639303161633212420a4063323262663037613230316162363232633434376139303235303361666330373238373039353065643730653564323037623430343761393435346437386363",
    );
    let metadata = ImmutableMetadata::decode(&dm).unwrap();
    assert_eq!(metadata.kind, ConversationKind::Dm);
    assert_eq!(metadata.dm_members, Some([A.to_owned(), B.to_owned()]));
    assert!(metadata.is_dm_member(B) && !metadata.is_dm_member("x"));
    assert_eq!(metadata.encode(), dm);
}

#[test]
fn vector_a3_membership() {
    let bytes = hex(
        "0a440a403239346139303635613339353030643536383764656138396633623836373263393733623437356662356463366164313166636333363837376639303161633210010a440a40633232626630376132303161623632326334343761393032353033616663303732383730393530656437306535643230376234303437613934353464373863631002",
    );
    let membership = Membership::decode(&bytes).unwrap();
    assert_eq!(
        membership.members,
        [(A.to_owned(), 1), (B.to_owned(), 2)].into()
    );
    assert_eq!(membership.encode(), bytes);
}

#[test]
fn vector_a4_required_capabilities() {
    use openmls::prelude::tls_codec::Serialize as _;
    let bytes = required_capabilities().tls_serialize_detached().unwrap();
    assert_eq!(bytes, hex("0cff01ff00ff02f000000a0001020007020001"));
    assert!(within_ours(&required_capabilities()));
    let more = RequiredCapabilitiesExtension::new(&[ExtensionType::Unknown(6)], &[], &[]);
    assert!(!within_ours(&more));
}

#[test]
fn u_g_the_inner_length_of_immutable_metadata_has_every_size() {
    for length in [0, 1, 63, 64, 16_383, 16_384, 100_000] {
        let content = vec![7; length];
        let written = write_vector(&content);
        let prefix = match length {
            0..64 => 1,
            64..16_384 => 2,
            _ => 4,
        };
        assert_eq!(written.len(), prefix + length);
        assert_eq!(read_vector(&written), Some(content.as_slice()));
        let longer = [written.as_slice(), &[0]].concat();
        assert_eq!(read_vector(&longer), None, "nothing may follow");
        assert_eq!(read_vector(&written[..written.len() - 1]), None);
    }
    for not_minimal in ["4001ff", "80000001ff", "c000000000000001ff", ""] {
        assert_eq!(read_vector(&hex(not_minimal)), None, "{not_minimal}");
    }
}

#[test]
fn u_g_empty_admin_lists_are_written() {
    let bytes = MutableMetadata::default().encode();
    assert_eq!(bytes, hex("12001a00"));
    assert_eq!(
        MutableMetadata::decode(&bytes),
        Ok(MutableMetadata::default())
    );
    for incomplete in ["", "1200", "1a00"] {
        let error = Err(ExtensionError::Undecodable(MUTABLE_METADATA));
        assert_eq!(MutableMetadata::decode(&hex(incomplete)), error);
    }
}

#[test]
fn u_g_the_golden_bytes_of_new_metadata() {
    let creator = "a".repeat(64);
    let a64 = hex::encode(&creator);
    let golden = hex(&format!(
        "0a0c0a0a67726f75705f6e616d650a0d0a0b6465736372697074696f6e0a180a1667726f75705f696d6167655f75726c5f7371756172650a0a0a086170705f6461746112001a420a40{a64}"
    ));
    let metadata = MutableMetadata::decode(&golden).unwrap();
    let keys = [APP_DATA, DESCRIPTION, GROUP_NAME, GROUP_IMAGE_URL];
    let empty = |key: &str| (key.to_owned(), String::new());
    assert_eq!(
        metadata.attributes,
        keys.iter().map(|key| empty(key)).collect()
    );
    assert_eq!(metadata.super_admins, [creator]);
    assert_eq!(MutableMetadata::decode(&metadata.encode()), Ok(metadata));
}

#[test]
fn u_g_a_new_membership_has_its_creator_at_zero() {
    let creator = "a".repeat(64);
    let bytes = hex(&format!("0a420a40{}", hex::encode(&creator)));
    let membership = Membership::decode(&bytes).unwrap();
    assert_eq!(membership.members, [(creator, 0)].into());
    assert_eq!(Membership::decode(&membership.encode()), Ok(membership));
}

#[test]
fn failed_installations_are_a_set_of_ids() {
    let ids = [[1; 32], [2; 32]].map(InstallationId::from_bytes);
    let membership = Membership {
        members: BTreeMap::new(),
        failed: ids.into(),
    };
    let decoded = Membership::decode(&membership.encode()).unwrap();
    assert_eq!(decoded, membership);
    // An id of another length stands for no installation.
    let odd = Membership::decode(&hex("12020102")).unwrap();
    assert_eq!(odd, Membership::default());
}

#[test]
fn immutable_metadata_of_no_known_kind_is_refused() {
    for content in [
        "",
        "0800",
        "0805",
        "08021a0161220a0a08",
        "08022204 0a020a00",
    ] {
        let content = hex(&content.replace(' ', ""));
        assert!(ImmutableMetadata::decode(&write_vector(&content)).is_err());
    }
}

#[test]
fn a_new_context_has_our_five_extensions_in_order() {
    let metadata = ImmutableMetadata {
        kind: ConversationKind::Group,
        creator: A.to_owned(),
        dm_members: None,
    };
    let list = new_group(
        &metadata,
        &MutableMetadata::default(),
        &Membership::default(),
        &Preset::AllMembers.policies(),
    )
    .unwrap();
    let types: Vec<u16> = list.iter().map(|e| u16::from(e.extension_type())).collect();
    assert_eq!(types, [0xf000, 0xff00, 0xff01, 0xff02, 3]);
}
