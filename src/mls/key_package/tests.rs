use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{
    Capabilities, Ciphersuite, Credential, Extension, Extensions, Lifetime, UnknownExtension,
};

use super::*;
use crate::mls::InstallationKey;
use crate::mls::group::credential_with_key;
use crate::mls::provider::MlsSigner;
use crate::mls::tests::now;

const INBOX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn key() -> InstallationKey {
    InstallationKey::from_seed(&[7; 32])
}

fn own() -> OwnKeyPackage {
    OwnKeyPackage::generate(INBOX, &key(), lifetime_at(now())).unwrap()
}

fn fetch(bytes: &[u8]) -> Result<VerifiedKeyPackage, KeyPackageFault> {
    validate_fetched(bytes, &key().id(), INBOX, now())
}

/// A key package that differs from ours in something.
struct Forged {
    capabilities: Capabilities,
    credential: Credential,
    suite: Ciphersuite,
    lifetime: (u64, u64),
    extensions: Vec<Extension>,
}

impl Default for Forged {
    fn default() -> Self {
        Self {
            capabilities: extensions::capabilities(),
            credential: facts::credential(INBOX),
            suite: CIPHERSUITE,
            lifetime: lifetime_at(now()),
            extensions: Vec::new(),
        }
    }
}

impl Forged {
    fn bytes(self) -> Vec<u8> {
        let mut owner = credential_with_key(INBOX, &key());
        owner.credential = self.credential;
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(self.capabilities)
            .key_package_extensions(Extensions::from_vec(self.extensions).unwrap())
            .key_package_lifetime(Lifetime::init(self.lifetime.0, self.lifetime.1))
            .mark_as_last_resort()
            .build(
                self.suite,
                // Ours makes nothing of another suite.
                &openmls_rust_crypto::OpenMlsRustCrypto::default(),
                &MlsSigner(&key()),
                owner,
            )
            .unwrap();
        bundle.key_package().tls_serialize_detached().unwrap()
    }
}

fn wrapper(algorithm: i32, public_key: Vec<u8>) -> Extension {
    let message = proto::WelcomeWrapperEncryption {
        pub_key: public_key,
        algorithm,
    };
    Extension::Unknown(WELCOME_WRAPPER, UnknownExtension(message.encode_to_vec()))
}

fn pointee(types: Vec<i32>) -> Extension {
    let message = proto::WelcomePointeeEncryptionAeadTypesExtension {
        supported_aead_types: types,
    };
    Extension::Unknown(WELCOME_POINTEE, UnknownExtension(message.encode_to_vec()))
}

#[test]
fn our_key_package_is_one_that_we_would_add() {
    let own = own();
    let verified = fetch(own.public()).unwrap();
    assert_eq!(verified.installation_id(), key().id());
    assert_eq!(verified.inbox_id(), INBOX);
    let recipient = verified.recipient();
    assert_eq!(recipient.algorithm, WrapperAlgorithm::XWing);
    assert_eq!(recipient.public_key, own.welcome_keys()[1]);
    assert!(recipient.takes_pointers);
    assert_eq!(validate_upload(own.public(), now()), Ok(key().id()));
}

#[test]
fn our_key_package_has_the_parts_that_peers_expect() {
    let key_package = fetch(own().public()).unwrap().into_inner();
    assert!(key_package.last_resort());
    let leaf = key_package.leaf_node();
    let application_id = leaf.extensions().application_id().unwrap();
    assert_eq!(application_id.as_slice(), INBOX.as_bytes());
    let listed: Vec<u16> = leaf
        .capabilities()
        .extensions()
        .iter()
        .map(|kind| u16::from(*kind))
        .collect();
    assert_eq!(
        listed,
        [
            0x000a, 0x0001, 0xf000, 0xff00, 0xff01, 0xff02, 0xff03, 0xff04
        ]
    );
    assert_eq!(
        leaf.capabilities().proposals(),
        [ProposalType::GroupContextExtensions]
    );
    assert_eq!(leaf.capabilities().ciphersuites(), [CIPHERSUITE.into()]);
    let pointee = key_package.extensions().unknown(WELCOME_POINTEE).unwrap();
    assert_eq!(pointee.0, [0x0a, 0x01, 0x03]);
    let wrapper = key_package.extensions().unknown(WELCOME_WRAPPER).unwrap();
    assert_eq!(wrapper.0[..3], [0x0a, 0xc0, 0x09]);
    assert_eq!(wrapper.0[3 + 1_216..], [0x10, 0x02]);
    assert_eq!(leaf.credential().serialized_content()[..2], [0x0a, 0x40]);
}

#[test]
fn a_key_package_is_kept_as_a_row() {
    let own = own();
    let kept = OwnKeyPackage::decode(&own.encode().unwrap()).unwrap();
    assert_eq!(kept.public(), own.public());
    assert_eq!(kept.welcome_keys(), own.welcome_keys());
    assert!(format!("{own:?}").len() < 200, "no keys are printed");
    assert!(OwnKeyPackage::decode(&own.public()[..100]).is_err());
}

#[test]
fn mls_12_every_defect_has_its_reason() {
    assert_eq!(fetch(&[]).unwrap_err(), KeyPackageFault::Absent);
    let good = own().public().to_vec();
    assert_eq!(
        fetch(&good[..good.len() - 1]).unwrap_err(),
        KeyPackageFault::Malformed
    );
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(fetch(&longer).unwrap_err(), KeyPackageFault::Malformed);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(fetch(&flipped).unwrap_err(), KeyPackageFault::Invalid);
    let other = InstallationId::from_bytes([1; 32]);
    let owner = |id: &InstallationId, inbox: &str| validate_fetched(&good, id, inbox, now());
    assert_eq!(
        owner(&other, INBOX).unwrap_err(),
        KeyPackageFault::WrongOwner
    );
    assert_eq!(
        owner(&key().id(), "b").unwrap_err(),
        KeyPackageFault::WrongOwner
    );
    let forged = |edit: fn(&mut Forged)| {
        let mut forged = Forged::default();
        edit(&mut forged);
        fetch(&forged.bytes()).map(drop)
    };
    assert_eq!(forged(|_| {}), Ok(()));
    assert_eq!(
        forged(|f| f.suite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519),
        Err(KeyPackageFault::Ciphersuite)
    );
    assert_eq!(
        forged(|f| f.credential = Credential::new(CredentialType::X509, vec![0])),
        Err(KeyPackageFault::Credential)
    );
    assert_eq!(
        forged(|f| f.credential = Credential::new(CredentialType::Basic, vec![0xff])),
        Err(KeyPackageFault::Credential)
    );
    let expired = |f: &mut Forged| f.lifetime = (now() - 1_000, now() - 10);
    assert_eq!(forged(expired), Err(KeyPackageFault::Lifetime));
    let future = |f: &mut Forged| f.lifetime = (now() + 1_000, now() + 2_000);
    assert_eq!(forged(future), Err(KeyPackageFault::Lifetime));
    let too_long = |f: &mut Forged| f.lifetime = (now() - LIFETIME_MARGIN, now() + LIFETIME + 1);
    assert_eq!(forged(too_long), Err(KeyPackageFault::Lifetime));
}

#[test]
fn a_leaf_that_could_not_be_in_our_groups_is_not_added() {
    let types = [0xf000, 0xff00, 0xff01, 0xff02].map(ExtensionType::Unknown);
    for missing in 0..types.len() {
        let mut list = vec![ExtensionType::LastResort];
        list.extend(
            types
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != missing)
                .map(|(_, t)| *t),
        );
        let forged = Forged {
            capabilities: Capabilities::new(
                None,
                Some(&[CIPHERSUITE]),
                Some(&list),
                Some(&[ProposalType::GroupContextExtensions]),
                None,
            ),
            ..Forged::default()
        };
        assert_eq!(
            fetch(&forged.bytes()).unwrap_err(),
            KeyPackageFault::Capabilities
        );
    }
}

#[test]
fn mls_05_unknown_capabilities_of_peers_are_accepted() {
    let mut list: Vec<ExtensionType> = extensions::capabilities().extensions().to_vec();
    list.extend([ExtensionType::Unknown(6), ExtensionType::Grease(0x0a0a)]);
    let proposals = [
        ProposalType::GroupContextExtensions,
        ProposalType::Custom(8),
    ];
    let forged = Forged {
        capabilities: Capabilities::new(
            None,
            Some(&[CIPHERSUITE]),
            Some(&list),
            Some(&proposals),
            None,
        ),
        ..Forged::default()
    };
    assert!(fetch(&forged.bytes()).is_ok());
}

#[test]
fn a_welcome_goes_to_the_key_that_the_key_package_asks_for() {
    let with = |list: Vec<Extension>| {
        let forged = Forged {
            extensions: list,
            ..Forged::default()
        };
        fetch(&forged.bytes()).map(|verified| verified.recipient().clone())
    };
    let plain = with(vec![]).unwrap();
    assert_eq!(plain.algorithm, WrapperAlgorithm::Curve25519);
    assert_eq!(plain.public_key.len(), 32);
    assert!(!plain.takes_pointers);
    for algorithm in [0, 1, 9] {
        let named = with(vec![wrapper(algorithm, vec![9; 32])]).unwrap();
        assert_eq!(named.algorithm, WrapperAlgorithm::Curve25519);
        assert_eq!(named.public_key, [9; 32]);
    }
    // A pointer can only be sealed with X-Wing.
    let pointed = with(vec![wrapper(1, vec![9; 32]), pointee(vec![3])]).unwrap();
    assert!(!pointed.takes_pointers);
    let xwing = own().welcome_keys()[1].to_vec();
    let other_cipher = with(vec![wrapper(2, xwing.clone()), pointee(vec![1])]).unwrap();
    assert_eq!(other_cipher.algorithm, WrapperAlgorithm::XWing);
    assert!(!other_cipher.takes_pointers);
    for unusable in [
        wrapper(3, vec![9; 32]),
        wrapper(2, vec![9; 32]),
        wrapper(1, vec![]),
    ] {
        assert_eq!(with(vec![unusable]), Err(KeyPackageFault::WelcomeKey));
    }
}
