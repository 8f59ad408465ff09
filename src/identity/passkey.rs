//! Passkey signatures: WebAuthn assertions by a P-256 key whose challenge is the text itself.

use base64ct::{Base64UrlUnpadded, Encoding};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::IdentityError;
use super::member::hex_bytes;

/// What a browser's `navigator.credentials.get` gives, and the key that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PasskeyAssertion {
    /// The P-256 key in SEC1 form, exactly as in the identifier.
    #[serde(with = "hex_bytes")]
    pub public_key: Vec<u8>,
    /// ECDSA signature in DER.
    #[serde(with = "hex_bytes")]
    pub signature: Vec<u8>,
    /// The authenticator's data, uninterpreted.
    #[serde(with = "hex_bytes")]
    pub authenticator_data: Vec<u8>,
    /// The client data, a JSON object in UTF-8.
    #[serde(with = "hex_bytes")]
    pub client_data_json: Vec<u8>,
}

/// The two members that count. Others are ignored, a repetition of one of these is an error, and
/// so is anything but white space around the object. The order of the fields matters: an array
/// of the two reads like the object, in this order, to everyone who resolves a log.
#[derive(Deserialize)]
struct ClientData {
    origin: String,
    challenge: String,
}

impl PasskeyAssertion {
    /// Checks the assertion over `text`. Gives the site's origin, and r and s.
    ///
    /// Type, origin, flags and counter are not judged: whether a log resolves must not depend on
    /// which site is asking.
    pub(super) fn verify(&self, text: &str) -> Result<(String, [u8; 64]), IdentityError> {
        let data: ClientData = serde_json::from_slice(&self.client_data_json)
            .map_err(|_| IdentityError::InvalidSignature("client data"))?;
        if data.challenge != Base64UrlUnpadded::encode_string(text.as_bytes()) {
            return Err(IdentityError::InvalidSignature("challenge is another text"));
        }
        let invalid = |_| IdentityError::InvalidSignature("passkey");
        let key = VerifyingKey::from_sec1_bytes(&self.public_key).map_err(invalid)?;
        let signature = self.parse_signature()?;
        let mut signed = self.authenticator_data.clone();
        signed.extend_from_slice(&Sha256::digest(&self.client_data_json));
        key.verify(&signed, &signature).map_err(invalid)?;
        Ok((data.origin, signature.to_bytes().into()))
    }

    /// The signature's r, by which it is known again when its s is negated.
    pub(super) fn r(&self) -> Result<[u8; 32], IdentityError> {
        Ok(self.parse_signature()?.split_bytes().0.into())
    }

    fn parse_signature(&self) -> Result<Signature, IdentityError> {
        Signature::from_der(&self.signature)
            .map_err(|_| IdentityError::InvalidSignature("not an ECDSA signature in DER"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer;

    use super::*;

    const TEXT: &str = "text";
    const CHALLENGE: &str = "dGV4dA"; // "text" in base64url

    fn verify(client_data_json: &str) -> Result<(String, [u8; 64]), IdentityError> {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let digest = Sha256::digest(client_data_json);
        let signature: Signature = key.sign(&digest);
        PasskeyAssertion {
            public_key: key
                .verifying_key()
                .to_encoded_point(true)
                .as_bytes()
                .to_vec(),
            signature: signature.to_der().as_bytes().to_vec(),
            authenticator_data: vec![],
            client_data_json: client_data_json.as_bytes().to_vec(),
        }
        .verify(TEXT)
    }

    #[test]
    fn client_data_needs_one_challenge_and_one_origin_and_may_hold_more() {
        let good = [
            format!(r#"{{"challenge":"{CHALLENGE}","origin":"https://a"}}"#),
            format!(r#" {{ "origin" : "https://a", "challenge" : "{CHALLENGE}" }} "#),
            format!(
                r#"{{"challenge":"{CHALLENGE}","origin":"https://a","x":{{"origin":1}},"x":2}}"#
            ),
            format!(r#"{{"\u0063hallenge":"{CHALLENGE}","origin":"https:\/\/a"}}"#),
        ];
        for json in good {
            let (origin, _) = verify(&json).expect(&json);
            assert_eq!(origin, "https://a");
        }
        let bad = [
            String::new(),
            "{}".into(),
            "null".into(),
            format!(r#"{{"challenge":"{CHALLENGE}"}}"#),
            format!(r#"{{"challenge":"{CHALLENGE}","origin":null}}"#),
            format!(r#"{{"challenge":"{CHALLENGE}==","origin":"https://a"}}"#),
            format!(r#"{{"challenge":"{CHALLENGE}","origin":"a","origin":"a"}}"#),
            format!(r#"{{"challenge":"{CHALLENGE}","challenge":"{CHALLENGE}","origin":"a"}}"#),
            format!(r#"{{"challenge":"{CHALLENGE}","origin":"a"}}}}"#),
            format!(r#"{{"challenge":"{CHALLENGE}","origin":"a",}}"#),
            format!(r#"{{"Challenge":"{CHALLENGE}","origin":"a"}}"#),
        ];
        for json in bad {
            assert_eq!(
                verify(&json).unwrap_err().class(),
                "InvalidSignature",
                "{json}"
            );
        }
    }
}
