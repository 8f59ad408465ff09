//! The protocol floor of a group (step 15, permissions.md 7.9).

use std::cmp::Ordering;

use super::super::extensions::PROTOCOL_FLOOR;
use super::verdict::{Pause, RejectCode, Rules};
use super::{States, Stop};

/// The version that we claim to be: the newest libxmtp release whose group rules we implement.
pub const COMPAT_VERSION: Version = Version::new(1, 11, 0);

/// A version, ordered as Semantic Versioning 2.0 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    pre_release: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Text(String),
}

impl Version {
    /// A release.
    #[must_use]
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self {
            numbers: [major, minor, patch],
            pre_release: Vec::new(),
        }
    }

    /// Reads `x.y.z`, with an optional pre-release and build part.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (text, build) = text
            .split_once('+')
            .map_or((text, None), |(v, b)| (v, Some(b)));
        let (release, pre) = text
            .split_once('-')
            .map_or((text, None), |(v, p)| (v, Some(p)));
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return None;
        }
        let mut parts = release.split('.').map(number);
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        if parts.next().is_some() {
            return None;
        }
        let pre_release = match pre {
            None => Vec::new(),
            Some(pre) => pre.split('.').map(part).collect::<Option<_>>()?,
        };
        Some(Self {
            numbers,
            pre_release,
        })
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A number without leading zeros.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if digits && !leading_zero {
        text.parse().ok()
    } else {
        None
    }
}

fn part(text: &str) -> Option<Part> {
    if !is_identifier(text) {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text).map(Part::Number);
    }
    Some(Part::Text(text.to_owned()))
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let pre_release = match (self.pre_release.is_empty(), other.pre_release.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.pre_release.cmp(&other.pre_release),
        };
        self.numbers.cmp(&other.numbers).then(pre_release)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

pub(super) fn check(states: &States, rules: &Rules) -> Result<(), Stop> {
    let Some(floor) = states.metadata.new.attributes.get(PROTOCOL_FLOOR) else {
        return Ok(());
    };
    let version = Version::parse(floor).ok_or(RejectCode::BadVersion)?;
    if version <= rules.version || rules.despite_floor {
        return Ok(());
    }
    let raised_now = states
        .metadata
        .attributes
        .iter()
        .any(|change| change.key == PROTOCOL_FLOOR);
    Err(Stop::Pause(Pause {
        floor: floor.clone(),
        raised_by: raised_now.then(|| states.committer.inbox_id.clone()),
        by_super_admin: raised_now
            && states
                .old
                .mutable
                .is_super_admin(&states.committer.inbox_id),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_semantic_versioning_orders_them() {
        let ascending = [
            "0.9.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.9.0",
            "1.11.0-dev",
            "1.11.0",
            "1.11.1",
        ];
        let versions: Vec<Version> = ascending
            .iter()
            .map(|v| Version::parse(v).unwrap())
            .collect();
        assert!(versions.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn what_is_no_version_is_not_read_as_one() {
        for text in [
            "", "x", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.-2.3", "1.2.3+",
        ] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        assert!(Version::parse("1.2.3-x.y+build.1").is_some());
    }
}
