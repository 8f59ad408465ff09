//! Identity updates: one or more actions under one text, each with the signatures it needs.

use std::collections::{BTreeSet, HashMap};

use sotto_proto::Message;
use sotto_proto::associations::IdentityUpdate;

use super::contract::{ContractAnswers, ContractCheck};
use super::error::IdentityError;
use super::identifier::Identifier;
use super::member::MemberIdentifier;
use super::signature::{Signature, SignatureKind, VerifiedSignature};
use super::text::SignatureText;
use super::wire::{decode_action, encode_action};

/// One change to an inbox. `S` is what stands where a signature belongs: the signature as it
/// came, the signature once verified, or, while a request is being signed, who has to sign.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action<S> {
    /// Brings the inbox into being; its ID is derived from the identifier and the nonce.
    CreateInbox {
        /// The first member, and recovery identifier.
        identifier: Identifier,
        /// Lets one identifier create several inboxes.
        nonce: u64,
        /// The identifier's.
        signature: S,
    },
    /// Adds a member, or adds it once more.
    AddAssociation {
        /// Who is added.
        new_member: MemberIdentifier,
        /// A member's, or the recovery identifier's.
        existing_member_signature: S,
        /// The new member's own.
        new_member_signature: S,
    },
    /// Removes a member, and the installations that it added.
    RevokeAssociation {
        /// Who is removed; may be nobody that is there.
        member: MemberIdentifier,
        /// The recovery identifier's.
        recovery_signature: S,
    },
    /// Names another recovery identifier, which does not become a member by that.
    ChangeRecoveryIdentifier {
        /// The new recovery identifier.
        identifier: Identifier,
        /// The old recovery identifier's.
        recovery_signature: S,
    },
}

impl<S> Action<S> {
    /// The one or two signatures of the action; of an addition the existing member's first.
    pub fn signatures(&self) -> impl Iterator<Item = &S> {
        let (first, second) = match self {
            Self::CreateInbox { signature, .. } => (signature, None),
            Self::AddAssociation {
                existing_member_signature,
                new_member_signature,
                ..
            } => (existing_member_signature, Some(new_member_signature)),
            Self::RevokeAssociation {
                recovery_signature, ..
            }
            | Self::ChangeRecoveryIdentifier {
                recovery_signature, ..
            } => (recovery_signature, None),
        };
        std::iter::once(first).chain(second)
    }

    /// The same action with each signature put through `f`.
    ///
    /// # Errors
    /// The first of `f`.
    pub fn try_map<T, E>(&self, mut f: impl FnMut(&S) -> Result<T, E>) -> Result<Action<T>, E> {
        Ok(match self {
            Self::CreateInbox {
                identifier,
                nonce,
                signature,
            } => Action::CreateInbox {
                identifier: identifier.clone(),
                nonce: *nonce,
                signature: f(signature)?,
            },
            Self::AddAssociation {
                new_member,
                existing_member_signature,
                new_member_signature,
            } => Action::AddAssociation {
                new_member: new_member.clone(),
                existing_member_signature: f(existing_member_signature)?,
                new_member_signature: f(new_member_signature)?,
            },
            Self::RevokeAssociation {
                member,
                recovery_signature,
            } => Action::RevokeAssociation {
                member: member.clone(),
                recovery_signature: f(recovery_signature)?,
            },
            Self::ChangeRecoveryIdentifier {
                identifier,
                recovery_signature,
            } => Action::ChangeRecoveryIdentifier {
                identifier: identifier.clone(),
                recovery_signature: f(recovery_signature)?,
            },
        })
    }
}

/// The contents of an identity update.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Update<S> {
    /// Which inbox it is for, as the message has it.
    pub inbox_id: String,
    /// What the author's clock said, in nanoseconds since 1970. Nobody checks it.
    pub client_timestamp_ns: u64,
    /// What it does, in this order.
    pub actions: Vec<Action<S>>,
}

impl<S> Update<S> {
    /// Every signature, in the order of the actions.
    pub fn signatures(&self) -> impl Iterator<Item = &S> {
        self.actions.iter().flat_map(Action::signatures)
    }

    /// The text that every signer signs.
    #[must_use]
    pub fn text(&self) -> String {
        SignatureText::of(self).text
    }

    /// The same update with each signature put through `f`.
    ///
    /// # Errors
    /// The first of `f`.
    pub fn try_map<T, E>(&self, mut f: impl FnMut(&S) -> Result<T, E>) -> Result<Update<T>, E> {
        Ok(Update {
            inbox_id: self.inbox_id.clone(),
            client_timestamp_ns: self.client_timestamp_ns,
            actions: self
                .actions
                .iter()
                .map(|action| action.try_map(&mut f))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Update<Signature> {
    /// The protobuf bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        IdentityUpdate {
            actions: self.actions.iter().map(encode_action).collect(),
            client_timestamp_ns: self.client_timestamp_ns,
            inbox_id: self.inbox_id.clone(),
        }
        .encode_to_vec()
    }
}

/// An identity update as it came: well-formed, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUpdate {
    update: Update<Signature>,
    text: SignatureText,
}

impl SignedUpdate {
    /// Reads the protobuf bytes. Nothing in them is normalised, unknown fields are ignored.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let message = IdentityUpdate::decode(bytes)
            .map_err(|_| IdentityError::Malformed("not an IdentityUpdate"))?;
        let update = Update {
            inbox_id: message.inbox_id,
            client_timestamp_ns: message.client_timestamp_ns,
            actions: message
                .actions
                .into_iter()
                .map(decode_action)
                .collect::<Result<_, _>>()?,
        };
        let text = SignatureText::of(&update);
        Ok(Self { update, text })
    }

    /// Which inbox it says it is for; any string.
    #[must_use]
    pub fn inbox_id(&self) -> &str {
        &self.update.inbox_id
    }

    /// What the author's clock said, in nanoseconds since 1970.
    #[must_use]
    pub fn client_timestamp_ns(&self) -> u64 {
        self.update.client_timestamp_ns
    }

    /// What it does.
    #[must_use]
    pub fn actions(&self) -> &[Action<Signature>] {
        &self.update.actions
    }

    /// The text that every signature in it is over.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text.text
    }

    /// The EIP-191 hash of the text.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.text.hash
    }

    /// Every signature, in the order of the actions.
    pub fn signatures(&self) -> impl Iterator<Item = &Signature> {
        self.update.signatures()
    }

    /// What has to be asked of contract wallets before the update can be verified, each question
    /// once.
    #[must_use]
    pub fn contract_checks(&self) -> Vec<ContractCheck> {
        let mut checks = BTreeSet::new();
        for signature in self.signatures() {
            if let Signature::Contract(signature) = signature {
                checks.insert(signature.check(self.text.hash));
            }
        }
        checks.into_iter().collect()
    }

    /// How the inbox's creator signed, if this update creates one: tells an inbox that belongs
    /// to a contract wallet from one that belongs to a key.
    #[must_use]
    pub fn creation_signature_kind(&self) -> Option<SignatureKind> {
        self.update.actions.iter().find_map(|action| match action {
            Action::CreateInbox { signature, .. } => Some(signature.kind()),
            _ => None,
        })
    }

    /// Verifies every signature over the text. Who may do what is not looked at here.
    ///
    /// # Errors
    /// [`IdentityError::InvalidSignature`]; [`IdentityError::Unanswered`] if one of
    /// [`SignedUpdate::contract_checks`] is not among the answers.
    pub fn verify(&self, answers: &ContractAnswers) -> Result<VerifiedUpdate, IdentityError> {
        // One signature commonly fills several fields.
        let mut verified: HashMap<&Signature, VerifiedSignature> = HashMap::new();
        for signature in self.signatures() {
            if !verified.contains_key(signature) {
                verified.insert(signature, signature.verify(&self.text, answers)?);
            }
        }
        let lookup = |signature: &Signature| {
            verified
                .get(signature)
                .cloned()
                .ok_or(IdentityError::InvalidSignature("not verified"))
        };
        self.update.try_map(lookup).map(VerifiedUpdate)
    }
}

/// An identity update of which every signature has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedUpdate(Update<VerifiedSignature>);

impl VerifiedUpdate {
    /// What it holds.
    #[must_use]
    pub fn update(&self) -> &Update<VerifiedSignature> {
        &self.0
    }
}
