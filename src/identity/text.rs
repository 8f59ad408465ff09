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
