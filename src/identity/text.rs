//! The signature text: what every signer of an update signs, word for word.

use super::ethereum::eip191_hash;
use super::identifier::IdentifierKind;
use super::member::MemberIdentifier;
use super::update::{Action, Update};

/// A text and what signatures over it are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignatureText {
    pub text: String,
    /// What wallets sign: see [`eip191_hash`].
    pub hash: [u8; 32],
}

impl SignatureText {
    pub fn of<S>(update: &Update<S>) -> Self {
        let actions: Vec<String> = update.actions.iter().map(describe).collect();
        let text = format!(
            "XMTP : Authenticate to inbox\n\nInbox ID: {}\nCurrent time: {}\n\n{}\n\n\
             For more info: https://xmtp.org/signatures",
            update.inbox_id,
            format_timestamp(update.client_timestamp_ns),
            actions.join("\n"),
        );
        let hash = eip191_hash(&text);
        Self { text, hash }
    }
}

fn describe<S>(action: &Action<S>) -> String {
    match action {
        Action::CreateInbox { identifier, .. } => {
            format!("- Create inbox\n  (Owner: {identifier})")
        }
        Action::AddAssociation { new_member, .. } => {
            let what = match label(new_member) {
                Label::Address => "Link address to inbox",
                Label::Installation => "Grant messaging access to app",
                Label::Passkey => "Link passkey to inbox",
            };
            format!("- {what}\n  ({}: {new_member})", label(new_member).name())
        }
        Action::RevokeAssociation { member, .. } => {
            let what = match label(member) {
                Label::Address => "Unlink address from inbox",
                Label::Installation => "Revoke messaging access from app",
                Label::Passkey => "Unlink passkey from inbox",
            };
            format!("- {what}\n  ({}: {member})", label(member).name())
        }
        // A passkey too is called an address here.
        Action::ChangeRecoveryIdentifier { identifier, .. } => {
            format!("- Change inbox recovery address\n  (Address: {identifier})")
        }
    }
}

enum Label {
    Address,
    Installation,
    Passkey,
}

impl Label {
    fn name(&self) -> &'static str {
        match self {
            Self::Address => "Address",
            Self::Installation => "ID",
            Self::Passkey => "Passkey",
        }
    }
}

fn label(member: &MemberIdentifier) -> Label {
    match member {
        MemberIdentifier::Installation(_) => Label::Installation,
        MemberIdentifier::Identifier(identifier) => match identifier.kind() {
            IdentifierKind::Ethereum => Label::Address,
            IdentifierKind::Passkey => Label::Passkey,
        },
    }
}

/// A client timestamp as the text shows it: `YYYY-MM-DDTHH:MM:SSZ`. The nanoseconds are read as
/// a signed number and rounded down to seconds.
#[must_use]
pub fn format_timestamp(client_timestamp_ns: u64) -> String {
    let seconds = client_timestamp_ns.cast_signed().div_euclid(1_000_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian calendar. Years are
/// counted from March, so that the leap day is a year's last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // since 0000-03-01
    let era = days.div_euclid(146_097); // 400 years
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::identifier::Identifier;
    use super::super::inbox::InboxId;
    use super::super::installation::InstallationId;
    use super::*;

    const T: u64 = 1_700_000_000_123_456_789;

    fn address() -> Identifier {
        Identifier::Ethereum("0x1234567890abcdef1234567890abcdef12345678".into())
    }

    fn second() -> Identifier {
        Identifier::Ethereum("0x4567890abcdef1234567890abcdef12345678123".into())
    }

    fn passkey() -> Identifier {
        Identifier::Passkey {
            key: [&[2], [0x11; 32].as_slice()].concat(),
            relying_party: Some("not.in.the.text".into()),
        }
    }

    fn app(first: u8) -> MemberIdentifier {
        InstallationId::from_bytes(std::array::from_fn(|n| first + n as u8)).into()
    }

    fn create(identifier: Identifier) -> Action<()> {
        Action::CreateInbox {
            identifier,
            nonce: 1,
            signature: (),
        }
    }

    fn add(new_member: impl Into<MemberIdentifier>) -> Action<()> {
        Action::AddAssociation {
            new_member: new_member.into(),
            existing_member_signature: (),
            new_member_signature: (),
        }
    }

    fn revoke(member: impl Into<MemberIdentifier>) -> Action<()> {
        Action::RevokeAssociation {
            member: member.into(),
            recovery_signature: (),
        }
    }

    fn change_recovery(identifier: Identifier) -> Action<()> {
        Action::ChangeRecoveryIdentifier {
            identifier,
            recovery_signature: (),
        }
    }

    fn text(actions: Vec<Action<()>>) -> SignatureText {
        SignatureText::of(&Update {
            inbox_id: InboxId::derive(&address(), 1).to_string(),
            client_timestamp_ns: T,
            actions,
        })
    }

    #[test]
    fn each_action_has_its_two_lines() {
        let id = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let key = "021111111111111111111111111111111111111111111111111111111111111111";
        let owner = "0x1234567890abcdef1234567890abcdef12345678";
        let rows = [
            (
                create(address()),
                format!("- Create inbox\n  (Owner: {owner})"),
            ),
            (
                create(passkey()),
                format!("- Create inbox\n  (Owner: {key})"),
            ),
            (
                add(address()),
                format!("- Link address to inbox\n  (Address: {owner})"),
            ),
            (
                add(app(0)),
                format!("- Grant messaging access to app\n  (ID: {id})"),
            ),
            (
                add(passkey()),
                format!("- Link passkey to inbox\n  (Passkey: {key})"),
            ),
            (
                revoke(address()),
                format!("- Unlink address from inbox\n  (Address: {owner})"),
            ),
            (
                revoke(app(0)),
                format!("- Revoke messaging access from app\n  (ID: {id})"),
            ),
            (
                revoke(passkey()),
                format!("- Unlink passkey from inbox\n  (Passkey: {key})"),
            ),
            (
                change_recovery(address()),
                format!("- Change inbox recovery address\n  (Address: {owner})"),
            ),
            // Called an address all the same.
            (
                change_recovery(passkey()),
                format!("- Change inbox recovery address\n  (Address: {key})"),
            ),
        ];
        for (action, lines) in rows {
            assert_eq!(describe(&action), lines);
            let whole = format!(
                "XMTP : Authenticate to inbox\n\n\
                 Inbox ID: a38db5b39c536ce8cda4a67ce2a2d2fee6360dd0935875f26138e7899d6c15f7\n\
                 Current time: 2023-11-14T22:13:20Z\n\n{lines}\n\n\
                 For more info: https://xmtp.org/signatures"
            );
            assert_eq!(text(vec![action]).text, whole);
        }
    }

    #[test]
    fn worked_examples_have_their_length_and_hash() {
        let third = "0x7890abcdef1234567890abcdef12345678123456".to_owned();
        let examples = [
            (
                vec![create(address()), add(app(0))],
                358,
                "38239ac8d42e8ea63676b6bfa393ab032a9d965e2ccb894adcc9ba537998dc42",
            ),
            (
                vec![add(app(0x20))],
                289,
                "149a9ba00e7788bf3a07849a3cc7958e7186f51238898b321fe443af96be561d",
            ),
            (
                vec![add(second())],
                264,
                "f599aeea191fb541c2f0876193fcc7f19136b1df612bfff5841f6e4b172fbd91",
            ),
            (
                vec![revoke(app(0)), revoke(app(0x20))],
                400,
                "2cefd092900648661a0d9604df695bbcd74679cdfb08ff99692132b59746c821",
            ),
            (
                vec![
                    create(address()),
                    add(second()),
                    add(app(0)),
                    add(passkey()),
                    revoke(passkey()),
                    revoke(second()),
                    revoke(app(0)),
                    change_recovery(Identifier::Ethereum(third)),
                ],
                930,
                "0757a988fca45ecee9ba65562abe5edc52dd5b15faca7c44825092309d64ee43",
            ),
        ];
        for (actions, length, hash) in examples {
            let text = text(actions);
            assert_eq!(text.text.len(), length);
            assert_eq!(hex::encode(text.hash), hash);
        }
    }

    #[test]
    fn actions_keep_their_order_and_strings_their_case() {
        let mixed = Identifier::Ethereum("0xABc".into());
        let text = text(vec![revoke(mixed), create(address())]).text;
        let unlink = text.find("(Address: 0xABc)").unwrap();
        assert!(unlink < text.find("- Create inbox").unwrap());
        assert!(!text.ends_with('\n'));
    }

    #[test]
    fn without_actions_four_line_ends_stand_in_their_place() {
        let text = text(vec![]).text;
        assert!(text.ends_with("20Z\n\n\n\nFor more info: https://xmtp.org/signatures"));
    }

    #[test]
    fn timestamps_are_rounded_down_and_wrap_to_before_1970() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (999_999_999, "1970-01-01T00:00:00Z"),
            (1_000_000_000, "1970-01-01T00:00:01Z"),
            (T, "2023-11-14T22:13:20Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_709_251_199_999_999_999, "2024-02-29T23:59:59Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00Z"),
            (i64::MAX as u64, "2262-04-11T23:47:16Z"),
            (i64::MAX as u64 + 1, "1677-09-21T00:12:43Z"),
            (u64::MAX, "1969-12-31T23:59:59Z"),
        ];
        for (ns, text) in cases {
            assert_eq!(format_timestamp(ns), text, "{ns}");
        }
    }
}
