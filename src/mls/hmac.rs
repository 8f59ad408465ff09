//! The HMAC by which a sender recognises its own messages in push notifications (mls.md 4.4).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{GroupId, MlsError};

/// Length of user keys and derived keys.
pub const HMAC_KEY: usize = 42;
/// Seconds for which a derived key is used.
const PERIOD: u64 = 30 * 24 * 60 * 60;
const SALT: &[u8] = b"libXMTP HKDF salt!";

/// The number of the 30-day period that `unix_seconds` is in.
#[must_use]
pub fn period(unix_seconds: u64) -> u64 {
    unix_seconds / PERIOD
}

/// The key for one group and one period.
///
/// # Errors
///
/// Never, in practice: only if the key length were too long for HKDF.
pub fn derive_key(
    user_key: &[u8; HMAC_KEY],
    group_id: &GroupId,
    period: u64,
) -> Result<Zeroizing<[u8; HMAC_KEY]>, MlsError> {
    let secret = Zeroizing::new([user_key.as_slice(), group_id.as_slice()].concat());
    let info = [group_id.as_slice(), &period.to_le_bytes()].concat();
    let mut key = Zeroizing::new([0; HMAC_KEY]);
    Hkdf::<Sha256>::new(Some(SALT), &secret)
        .expand(&info, key.as_mut_slice())
        .map_err(MlsError::mls)?;
    Ok(key)
}

/// The HMAC over `data`, a whole MLSMessage.
///
/// # Errors
///
/// Never, in practice: HMAC takes keys of any length.
pub fn sender_hmac(key: &[u8; HMAC_KEY], data: &[u8]) -> Result<[u8; 32], MlsError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(MlsError::mls)?;
    mac.update(data);
    Ok(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_hmac_are_those_of_vector_a7() {
        let user_key: [u8; 42] = std::array::from_fn(|index| index as u8);
        let group_id: GroupId = std::array::from_fn(|index| index as u8);
        let key = derive_key(&user_key, &group_id, 700).unwrap();
        assert_eq!(
            hex::encode(*key),
            "e79d9c4b8fb780e803b4701ab1930a45d6a59c17bf2c948e3d5a7d324522e7ad5b855febb779f68141b3"
        );
        assert_eq!(
            hex::encode(sender_hmac(&key, b"mls-bytes").unwrap()),
            "2de572f18cb0428eb4fe8528f1978806a4727194718209353546a665c804d5de"
        );
    }

    #[test]
    fn a_period_is_thirty_days() {
        assert_eq!(period(700 * 2_592_000), 700);
        assert_eq!(period(701 * 2_592_000 - 1), 700);
    }
}
