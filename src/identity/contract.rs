//! Signatures of contract wallets (ERC-1271, ERC-6492). Whether one is valid only its contract
//! can say, so this module formulates the question and reads the answer; a node asks a chain.

use std::collections::BTreeMap;
use std::fmt;

use sotto_proto::identity_api::VerifySmartContractWalletSignatureRequestSignature as CheckRequest;

use super::error::IdentityError;
use super::identifier::Identifier;

/// A CAIP-10 account ID: `eip155:<chain>:<address>`, kept as it came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId {
    namespace: String,
    reference: String,
    address: String,
}

impl AccountId {
    /// Takes the general form of CAIP-10; whether it is an account we know how to check is
    /// [`AccountId::chain_id`]'s matter.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let part =
            |text: &str, length: std::ops::RangeInclusive<usize>, allowed: fn(u8) -> bool| {
                length.contains(&text.len()) && text.bytes().all(allowed)
            };
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(namespace), Some(reference), Some(address), None)
                if part(
                    namespace,
                    3..=8,
                    |b| matches!(b, b'-' | b'a'..=b'z' | b'0'..=b'9'),
                ) && part(reference, 1..=32, |b| {
                    matches!(b, b'-' | b'_') || b.is_ascii_alphanumeric()
                }) && part(address, 1..=128, |b| {
                    matches!(b, b'-' | b'.' | b'%') || b.is_ascii_alphanumeric()
                }) =>
            {
                Ok(Self {
                    namespace: namespace.to_owned(),
                    reference: reference.to_owned(),
                    address: address.to_owned(),
                })
            }
            _ => Err(IdentityError::Malformed("account ID")),
        }
    }

    /// The account of a contract wallet on an EVM chain.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`] if the identifier is no canonical address.
    pub fn ethereum(chain_id: u64, wallet: &Identifier) -> Result<Self, IdentityError> {
        match wallet {
            Identifier::Ethereum(address) if wallet.is_canonical() => Ok(Self {
                namespace: "eip155".to_owned(),
                reference: chain_id.to_string(),
                address: address.clone(),
            }),
            _ => Err(IdentityError::Malformed("account ID")),
        }
    }

    /// The EIP-155 chain ID.
    ///
    /// # Errors
    /// [`IdentityError::InvalidSignature`] for another namespace or a chain that is no number.
    pub fn chain_id(&self) -> Result<u64, IdentityError> {
        if self.namespace != "eip155" {
            return Err(IdentityError::InvalidSignature("not an EVM account"));
        }
        self.reference
            .parse()
            .map_err(|_| IdentityError::InvalidSignature("chain ID is no number"))
    }

    /// The account's address in lower case, with `0x` if the account ID has it.
    ///
    /// # Errors
    /// [`IdentityError::InvalidSignature`] if it is not 40 hex digits.
    pub fn address(&self) -> Result<String, IdentityError> {
        let digits = self.address.strip_prefix("0x").unwrap_or(&self.address);
        if digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(self.address.to_ascii_lowercase())
        } else {
            Err(IdentityError::InvalidSignature("account is no address"))
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.namespace, self.reference, self.address)
    }
}

/// A contract wallet's signature as an update carries it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContractSignature {
    /// Whose it is.
    pub account_id: AccountId,
    /// The block at which the contract accepted it.
    pub block_number: u64,
    /// Whatever the contract takes for a signature.
    pub signature: Vec<u8>,
}

impl ContractSignature {
    pub(super) fn check(&self, hash: [u8; 32]) -> ContractCheck {
        ContractCheck {
            account_id: self.account_id.to_string(),
            block_number: self.block_number,
            hash,
            signature: self.signature.clone(),
        }
    }
}

/// The question to a contract wallet: is this your signature over this hash, as of this block?
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractCheck {
    /// A CAIP-10 account ID, verbatim.
    pub account_id: String,
    /// The block to look at; always sent, 0 too.
    pub block_number: u64,
    /// The EIP-191 hash of the signature text.
    pub hash: [u8; 32],
    /// The signature.
    pub signature: Vec<u8>,
}

impl From<&ContractCheck> for CheckRequest {
    fn from(check: &ContractCheck) -> Self {
        Self {
            account_id: check.account_id.clone(),
            block_number: Some(check.block_number),
            signature: check.signature.clone(),
            hash: check.hash.to_vec(),
        }
    }
}

/// What to ask about a contract wallet's new signature, before an update carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContractCheck {
    /// Whose signature it is.
    pub account_id: AccountId,
    /// At which block to look; at the newest without one.
    pub block_number: Option<u64>,
    /// The EIP-191 hash of the signature text.
    pub hash: [u8; 32],
    /// The signature.
    pub signature: Vec<u8>,
}

impl From<&NewContractCheck> for CheckRequest {
    fn from(check: &NewContractCheck) -> Self {
        Self {
            account_id: check.account_id.to_string(),
            block_number: check.block_number,
            signature: check.signature.clone(),
            hash: check.hash.to_vec(),
        }
    }
}

/// What was answered to each question.
pub type ContractAnswers = BTreeMap<ContractCheck, bool>;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ADDRESS: &str = "0x53E7B5CE6C241874E9B5CECC21D1DBAE953385E0";

    #[test]
    fn account_ids_keep_their_spelling_and_give_a_lower_case_address() {
        let text = format!("eip155:8453:{ADDRESS}");
        let account = AccountId::parse(&text).unwrap();
        assert_eq!(account.to_string(), text);
        assert_eq!(account.chain_id(), Ok(8453));
        assert_eq!(account.address(), Ok(ADDRESS.to_ascii_lowercase()));
        let made = AccountId::ethereum(8453, &Identifier::ethereum(ADDRESS).unwrap()).unwrap();
        assert_eq!(made.to_string(), text.to_ascii_lowercase());
    }

    #[test]
    fn what_is_not_three_parts_of_the_right_form_is_malformed() {
        let long = "a".repeat(129);
        let bad = [
            "",
            "::",
            "eip155:1",
            "eip155:1:0x1:2",
            ":1:0x1",
            "ei:1:0x1",
            "eip155eip:1:0x1",
            "EIP155:1:0x1",
            "eip155::0x1",
            "eip155:1 :0x1",
            "eip155:1:",
            "eip155:1:0x_1",
            "eip155:1:0x1\n",
            &format!("eip155:{}:0x1", &long[..33]),
            &format!("eip155:1:{long}"),
        ];
        for text in bad {
            let error = AccountId::parse(text).unwrap_err();
            assert_eq!(error.class(), "Malformed", "{text:?}");
        }
        for text in [
            "cosmos:a-b_C:a.b%c-d",
            &format!("-ab:{}:{}", &long[..32], &long[..128]),
        ] {
            assert!(AccountId::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn accounts_that_no_evm_chain_has_fail_only_when_looked_at() {
        let class = |text: &str| {
            let account = AccountId::parse(text).unwrap();
            let error = account.chain_id().err().or(account.address().err());
            error.map(|error| error.class())
        };
        let invalid = Some("InvalidSignature");
        assert_eq!(class(&format!("solana:1:{ADDRESS}")), invalid);
        assert_eq!(class(&format!("eip155:abc:{ADDRESS}")), invalid);
        assert_eq!(
            class(&format!("eip155:18446744073709551616:{ADDRESS}")),
            invalid
        );
        assert_eq!(class("eip155:1:0x1234"), invalid);
        assert_eq!(class(&format!("eip155:1:{ADDRESS}")), None);
    }

    #[test]
    fn a_passkey_or_a_mixed_case_address_has_no_account() {
        let passkey = Identifier::passkey("02", None).unwrap();
        assert!(AccountId::ethereum(1, &passkey).is_err());
        assert!(AccountId::ethereum(1, &Identifier::Ethereum(ADDRESS.into())).is_err());
    }
}
