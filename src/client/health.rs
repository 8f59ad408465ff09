//! How a conversation is doing, and why: what an app shows when something needs a person's eye.
//! Only looks; never changes or fetches anything.

use std::collections::BTreeSet;

use super::env::Env;
use super::rows::ConversationRow;
use super::{Client, GroupId};
use crate::error::Result;
use crate::gather::Gather;
use crate::identity::InstallationId;

/// Whether a conversation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HealthState {
    /// It does.
    Ok,
    /// Things of ours wait to be sent, or the log is read out of order.
    Behind,
    /// Others are in epochs that we cannot follow.
    Forked,
    /// A suspicious change waits for the app to acknowledge it.
    Quarantined,
    /// It asks for a newer version of this library.
    Paused,
    /// We are no member any more.
    Removed,
}

impl HealthState {
    /// The name that apps know it by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Behind => "behind",
            Self::Forked => "forked",
            Self::Quarantined => "quarantined",
            Self::Paused => "paused",
            Self::Removed => "removed",
        }
    }
}

/// An installation of a member that reads nothing here, because it could not be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingInstallation {
    /// Its inbox.
    pub inbox_id: String,
    /// The installation.
    pub installation: InstallationId,
    /// Whether the group's list of failed installations has it. One that it lacks keeps
    /// newcomers out until the next membership change lists it (SAFE-Q8).
    pub listed: bool,
}

/// What is worth knowing about a conversation's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The worst of it.
    pub state: HealthState,
    /// MLS epoch.
    pub epoch: u64,
    /// The version that it asks for, where it is paused.
    pub paused_for: Option<String>,
    /// Codes of suspicious changes.
    pub quarantine: Vec<String>,
    /// Installations of members that are not in the group, as far as identity logs are known.
    pub missing: Vec<MissingInstallation>,
    /// Members that asked to leave.
    pub leaving: Vec<String>,
    /// Only one member leads the group: should it go, nobody can change roles any more.
    pub single_super_admin: bool,
    /// Super admins that are no members, or have no installation in the group.
    pub ghost_super_admins: Vec<String>,
    /// Admins that are no members: they are admins again at once if they are added.
    pub ghost_admins: Vec<String>,
}

impl<E: Env> Client<E> {
    /// How a conversation is doing, by what is stored here.
    pub async fn health(&self, id: GroupId) -> Result<Health> {
        let row = self.peek(id).await?;
        let members = row.members.iter().map(|member| member.inbox_id.clone());
        self.identities.load(members).await?;
        let mut missing = Vec::new();
        for member in &row.members {
            let at = self.identities.at(&member.inbox_id, member.sequence_id);
            let Some(state) = at else {
                continue;
            };
            let here: BTreeSet<&[u8]> = (member.installations.iter()).map(Vec::as_slice).gather();
            for installation in state.installations() {
                let bytes = installation.as_bytes();
                if !here.contains(bytes.as_slice()) {
                    missing.push(MissingInstallation {
                        inbox_id: member.inbox_id.clone(),
                        installation,
                        listed: row.failed.iter().any(|id| id == bytes),
                    });
                }
            }
        }
        Ok(assess(&row, missing))
    }
}

fn assess(row: &ConversationRow, missing: Vec<MissingInstallation>) -> Health {
    let hold = row.hold.clone().unwrap_or_default();
    let state = if !row.active {
        HealthState::Removed
    } else if row.maybe_forked {
        HealthState::Forked
    } else if !hold.quarantine.is_empty() {
        HealthState::Quarantined
    } else if hold.paused_for.is_some() {
        HealthState::Paused
    } else if row.open || !row.ahead.is_empty() {
        HealthState::Behind
    } else {
        HealthState::Ok
    };
    let member = |inbox: &String| row.members.iter().find(|member| member.inbox_id == *inbox);
    let leads = |inbox: &&String| member(inbox).is_some_and(|row| !row.installations.is_empty());
    let (leaders, ghost_super_admins): (Vec<&String>, Vec<&String>) =
        row.super_admins.iter().partition(leads);
    Health {
        state,
        epoch: row.epoch,
        paused_for: hold.paused_for,
        quarantine: hold.quarantine,
        missing,
        leaving: row.leaving.clone(),
        single_super_admin: leaders.len() == 1 && row.members.len() > 1,
        ghost_super_admins: ghost_super_admins.into_iter().cloned().collect(),
        ghost_admins: (row.admins.iter())
            .filter(|inbox| member(inbox).is_none())
            .cloned()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::rows::{Hold, MemberRow};

    fn row() -> ConversationRow {
        let member = |inbox: &str, leaves: usize| MemberRow {
            inbox_id: inbox.to_owned(),
            sequence_id: 1,
            installations: vec![vec![1; 32]; leaves],
        };
        ConversationRow {
            active: true,
            members: vec![member("a", 1), member("b", 1), member("c", 0)],
            super_admins: vec!["a".to_owned()],
            ..ConversationRow::default()
        }
    }

    #[test]
    fn the_worst_is_what_shows() {
        let mut row = row();
        assert_eq!(assess(&row, vec![]).state, HealthState::Ok);
        row.open = true;
        assert_eq!(assess(&row, vec![]).state, HealthState::Behind);
        row.hold = Some(Hold {
            paused_for: Some("99.0.0".to_owned()),
            ..Hold::default()
        });
        assert_eq!(assess(&row, vec![]).state, HealthState::Paused);
        row.hold.get_or_insert_default().quarantine = vec!["SAFE-Q6".to_owned()];
        assert_eq!(assess(&row, vec![]).state, HealthState::Quarantined);
        row.maybe_forked = true;
        assert_eq!(assess(&row, vec![]).state, HealthState::Forked);
        row.active = false;
        assert_eq!(assess(&row, vec![]).state, HealthState::Removed);
    }

    #[test]
    fn leaders_who_cannot_lead_are_named() {
        let mut row = row();
        assert!(assess(&row, vec![]).single_super_admin);
        row.super_admins.extend(["c".to_owned(), "z".to_owned()]);
        row.admins = vec!["b".to_owned(), "y".to_owned()];
        let health = assess(&row, vec![]);
        assert!(health.single_super_admin);
        assert_eq!(health.ghost_super_admins, ["c", "z"]);
        assert_eq!(health.ghost_admins, ["y"]);
        row.super_admins.push("b".to_owned());
        assert!(!assess(&row, vec![]).single_super_admin);
    }
}
