//! Signers of every kind, and updates signed by them.

use base64ct::{Base64UrlUnpadded, Encoding};
use p256::ecdsa::signature::Signer as _;
use sha2::{Digest, Sha256};
use sotto::identity::{
    AccountId, Action, AssociationState, ContractAnswers, ContractSignature, EthereumKey,
    Identifier, IdentityError, InboxId, InstallationKey, LegacySignature, MemberIdentifier,
    PasskeyAssertion, Signature, SignedUpdate, Update,
};
use sotto_proto::{Message, associations as proto};

/// 2023-11-14T22:13:20Z, and a bit.
pub const T0: u64 = 1_700_000_000_123_456_789;
pub const SECOND: u64 = 1_000_000_000;

/// Someone who can sign.
#[derive(Clone)]
pub enum Key {
    Wallet(EthereumKey),
    Installation(InstallationKey),
    Passkey(p256::ecdsa::SigningKey),
    /// A contract wallet on a chain.
    Contract(u64, Identifier),
    /// A wallet, and a legacy key that speaks for it.
    Legacy(EthereumKey, EthereumKey),
}

fn seed(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

pub fn wallet(name: &str) -> Key {
    Key::Wallet(EthereumKey::from_bytes(&seed(name)).unwrap())
}

pub fn installation(name: &str) -> Key {
    Key::Installation(InstallationKey::from_seed(&seed(name)))
}

pub fn passkey(name: &str) -> Key {
    Key::Passkey(p256::ecdsa::SigningKey::from_slice(&seed(name)).unwrap())
}

pub fn contract(name: &str, chain_id: u64) -> Key {
    let address = format!("0x{}", hex::encode(&seed(name)[..20]));
    Key::Contract(chain_id, Identifier::Ethereum(address))
}

/// A legacy key of the wallet with that name.
pub fn legacy(name: &str) -> Key {
    let key = |name: &str| EthereumKey::from_bytes(&seed(name)).unwrap();
    Key::Legacy(key(name), key("legacy"))
}

impl Key {
    pub fn member(&self) -> MemberIdentifier {
        match self {
            Self::Installation(key) => key.id().into(),
            _ => self.identifier().into(),
        }
    }

    pub fn identifier(&self) -> Identifier {
        match self {
            Self::Wallet(wallet) | Self::Legacy(wallet, _) => wallet.identifier(),
            Self::Passkey(key) => Identifier::Passkey {
                key: key
                    .verifying_key()
                    .to_encoded_point(true)
                    .as_bytes()
                    .to_vec(),
                relying_party: None,
            },
            Self::Contract(_, identifier) => identifier.clone(),
            Self::Installation(_) => panic!("an installation is no identifier"),
        }
    }

    pub fn sign(&self, text: &str) -> Signature {
        match self {
            Self::Wallet(key) => Signature::Erc191(key.sign_personal(text).to_vec()),
            Self::Installation(key) => Signature::InstallationKey {
                key: key.id(),
                signature: key.sign_text(text).to_vec(),
            },
            Self::Passkey(key) => Signature::Passkey(assertion(key, text)),
            Self::Legacy(wallet, key) => Signature::LegacyDelegated(delegated(wallet, key, text)),
            Self::Contract(chain_id, wallet) => Signature::Contract(ContractSignature {
                account_id: AccountId::ethereum(*chain_id, wallet).unwrap(),
                block_number: 7,
                signature: Sha256::digest(format!("{chain_id} {wallet} {text}")).to_vec(),
            }),
        }
    }
}

/// What a v2 client made of a wallet and an identity key.
pub fn delegated(wallet: &EthereumKey, key: &EthereumKey, text: &str) -> LegacySignature {
    use proto::unsigned_public_key::{Secp256k1Uncompressed, Union};
    let public = k256::ecdsa::SigningKey::from_slice(key.to_bytes().as_slice())
        .unwrap()
        .verifying_key()
        .to_encoded_point(false);
    let key_bytes = proto::UnsignedPublicKey {
        created_ns: 1,
        union: Some(Union::Secp256k1Uncompressed(Secp256k1Uncompressed {
            bytes: public.as_bytes().to_vec(),
        })),
    }
    .encode_to_vec();
    let key_text = format!(
        "XMTP : Create Identity\n{}\n\nFor more info: https://xmtp.org/signatures/",
        hex::encode(&key_bytes)
    );
    LegacySignature {
        wallet_signature: wallet.sign_personal(&key_text).to_vec(),
        signature: key.sign_personal(text).to_vec(),
        key_bytes,
    }
}

pub fn assertion(key: &p256::ecdsa::SigningKey, text: &str) -> PasskeyAssertion {
    assertion_at(key, text, "https://app.example")
}

pub fn assertion_at(key: &p256::ecdsa::SigningKey, text: &str, origin: &str) -> PasskeyAssertion {
    let challenge = Base64UrlUnpadded::encode_string(text.as_bytes());
    let client_data_json =
        format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{origin}"}}"#)
            .into_bytes();
    let authenticator_data = vec![5; 37];
    let mut signed = authenticator_data.clone();
    signed.extend_from_slice(&Sha256::digest(&client_data_json));
    let signature: p256::ecdsa::Signature = key.sign(&signed);
    PasskeyAssertion {
        public_key: key
            .verifying_key()
            .to_encoded_point(true)
            .as_bytes()
            .to_vec(),
        signature: signature.to_der().as_bytes().to_vec(),
        authenticator_data,
        client_data_json,
    }
}

pub type Act<'a> = Action<&'a Key>;

pub fn create(owner: &Key, nonce: u64) -> Act<'_> {
    Action::CreateInbox {
        identifier: owner.identifier(),
        nonce,
        signature: owner,
    }
}

pub fn add<'a>(new: &'a Key, existing: &'a Key) -> Act<'a> {
    Action::AddAssociation {
        new_member: new.member(),
        existing_member_signature: existing,
        new_member_signature: new,
    }
}

pub fn revoke<'a>(member: &Key, recovery: &'a Key) -> Act<'a> {
    Action::RevokeAssociation {
        member: member.member(),
        recovery_signature: recovery,
    }
}

pub fn change_recovery<'a>(new: &Key, recovery: &'a Key) -> Act<'a> {
    Action::ChangeRecoveryIdentifier {
        identifier: new.identifier(),
        recovery_signature: recovery,
    }
}

/// The update with these actions, signed by whom they name.
pub fn signed(inbox_id: &InboxId, client_timestamp_ns: u64, actions: Vec<Act<'_>>) -> Vec<u8> {
    let update = Update {
        inbox_id: inbox_id.to_string(),
        client_timestamp_ns,
        actions,
    };
    let text = update.text();
    update
        .try_map(|key| Ok::<_, ()>(key.sign(&text)))
        .unwrap()
        .encode()
}

pub fn decode(bytes: &[u8]) -> SignedUpdate {
    SignedUpdate::decode(bytes).unwrap()
}

/// Every contract says yes.
pub fn yes(update: &SignedUpdate) -> ContractAnswers {
    update
        .contract_checks()
        .into_iter()
        .map(|check| (check, true))
        .collect()
}

/// A log in the making; one second passes between updates.
#[derive(Clone)]
pub struct Inbox {
    pub id: InboxId,
    pub now: u64,
    pub log: Vec<Vec<u8>>,
    pub state: Option<AssociationState>,
}

impl Inbox {
    pub fn of(owner: &Key, nonce: u64) -> Self {
        Self {
            id: InboxId::derive(&owner.identifier(), nonce),
            now: T0,
            log: Vec::new(),
            state: None,
        }
    }

    /// With the inbox created by its owner.
    pub fn created(owner: &Key) -> Self {
        let mut inbox = Self::of(owner, 1);
        inbox.update(vec![create(owner, 1)]).unwrap();
        inbox
    }

    pub fn sign(&mut self, actions: Vec<Act<'_>>) -> Vec<u8> {
        self.now += SECOND;
        signed(&self.id, self.now, actions)
    }

    pub fn update(&mut self, actions: Vec<Act<'_>>) -> Result<(), IdentityError> {
        let bytes = self.sign(actions);
        self.push(bytes)
    }

    pub fn push(&mut self, bytes: Vec<u8>) -> Result<(), IdentityError> {
        let update = SignedUpdate::decode(&bytes)?;
        let state = AssociationState::apply(self.state.as_ref(), &update, &yes(&update))?;
        self.state = Some(state);
        self.log.push(bytes);
        Ok(())
    }

    pub fn decoded(&self) -> Vec<SignedUpdate> {
        self.log.iter().map(|bytes| decode(bytes)).collect()
    }

    pub fn has(&self, key: &Key) -> bool {
        self.state.as_ref().unwrap().contains(&key.member())
    }
}

/// A small reproducible generator (splitmix64).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
