//! All conversations: create, list, find, sync.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::env::{Env, random};
use super::rows::{ConversationRow, FeedKind, MembershipWish, Wish};
use super::{Client, GroupId};
use crate::error::{Code, Error, Result};
use crate::gather::Gather;
use crate::identity::{Identifier, InboxId};
use crate::mls::extensions::{
    APP_DATA, COMMIT_LOG_SIGNER, ConversationKind, DESCRIPTION, DISAPPEAR_FROM, DISAPPEAR_IN,
    GROUP_IMAGE_URL, GROUP_NAME, ImmutableMetadata, MutableMetadata, PROTOCOL_FLOOR,
};
use crate::mls::policy::{CustomPolicies, PolicySet, Preset};
use crate::mls::roles::RoleRecord;
use crate::mls::{self, NewGroup};

/// Groups synced at the same time.
const PARALLEL_SYNCS: usize = 8;
/// Validity of our leaf in a new group: one hour back, 84 days ahead, in seconds.
const LEAF_BACK: u64 = 3_600;
const LEAF_AHEAD: u64 = 7_257_600;

/// `ConsentState` numbers.
pub const CONSENT_ALLOWED: i32 = 1;
/// Denied.
pub const CONSENT_DENIED: i32 = 2;
/// `GroupMembershipState` numbers.
pub const MEMBERSHIP_ALLOWED: i32 = 0;
/// Joined by Welcome, not looked at yet.
pub const MEMBERSHIP_PENDING: i32 = 2;

/// How a new group shall be.
#[derive(Debug, Clone, Default)]
pub struct GroupOptions {
    /// Preset permissions; the default set when neither this nor `custom` is given.
    pub preset: Option<Preset>,
    /// Custom permissions.
    pub custom: Option<CustomPolicies>,
    /// Name.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Image URL.
    pub image_url: Option<String>,
    /// App data.
    pub app_data: Option<String>,
    /// Disappearing messages: (from, in), nanoseconds.
    pub disappearing: Option<(i64, i64)>,
}

/// Which conversations to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only these consent states; default allowed and unknown.
    pub consent: Option<BTreeSet<i32>>,
    /// `ConversationType` on the wire: 1 group, 2 DM.
    pub kind: Option<i32>,
    /// Only created later, Unix nanoseconds, exclusive.
    pub created_after_ns: Option<u64>,
    /// Only created earlier, Unix nanoseconds, exclusive.
    pub created_before_ns: Option<u64>,
    /// Every group of a DM instead of one.
    pub include_duplicate_dms: bool,
    /// By creation instead of last activity.
    pub by_creation: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

/// What a sync of many did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SyncSummary {
    /// Conversations that could be synced.
    pub eligible: usize,
    /// Those that had news and were read.
    pub synced: usize,
}

/// Told as a long sync goes on: (done, of).
pub type Progress<'a> = &'a dyn Fn(usize, usize);

impl<E: Env> Client<E> {
    /// Creates a group with `inboxes` (and us) in it.
    pub async fn create_group(
        &self,
        inboxes: Vec<String>,
        options: GroupOptions,
    ) -> Result<GroupId> {
        let inboxes = self.invitees(inboxes)?;
        super::plan::check_size(inboxes.len() + 1, self.options.max_group_size)?;
        let policies = match (options.preset, &options.custom) {
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    Code::InvalidArgument,
                    "give a preset or custom permissions, not both",
                ));
            }
            (None, Some(custom)) => PolicySet::custom(custom)
                .map_err(|error| Error::new(Code::InvalidArgument, error.to_string()))?,
            (preset, None) => preset.unwrap_or(Preset::AllMembers).policies(),
        };
        let mut attributes = BTreeMap::new();
        attributes.insert(GROUP_NAME.to_owned(), options.name.unwrap_or_default());
        attributes.insert(
            DESCRIPTION.to_owned(),
            options.description.unwrap_or_default(),
        );
        attributes.insert(
            GROUP_IMAGE_URL.to_owned(),
            options.image_url.unwrap_or_default(),
        );
        attributes.insert(APP_DATA.to_owned(), options.app_data.unwrap_or_default());
        super::plan::check_lengths(&attributes)?;
        let metadata = ImmutableMetadata {
            kind: ConversationKind::Group,
            creator: self.inbox_id().to_owned(),
            dm_members: None,
        };
        let supers = vec![self.inbox_id().to_owned()];
        self.create(
            metadata,
            attributes,
            supers,
            policies,
            options.disappearing,
            inboxes,
        )
        .await
    }

    /// Founds a group anew without those who took it over (ROLE-6): the members as they were
    /// before the newest commits of `excluding`, with the metadata and permissions of now, and us
    /// and the other super admins of then to lead it. The old group stays as it is.
    pub async fn refound(&self, id: GroupId, excluding: Vec<String>) -> Result<GroupId> {
        let row = self.peek(id).await?;
        if row.kind != 1 {
            return Err(Error::new(
                Code::InvalidArgument,
                "only a group can be founded anew",
            ));
        }
        let log = self.db.roles(id).await?;
        let Some(before) = log.before(&excluding) else {
            return Err(Error::new(
                Code::NotFound,
                "nothing is known of the time before",
            ));
        };
        let wanted = |inbox: &&String| !excluding.contains(inbox);
        let members: Vec<String> = before.members.iter().filter(wanted).cloned().collect();
        let leaders: Vec<String> = (before.super_admins.iter().filter(wanted))
            .filter(|inbox| members.contains(inbox) && *inbox != self.inbox_id())
            .cloned()
            .collect();
        let invitees = self.invitees(members)?;
        super::plan::check_size(invitees.len() + 1, self.options.max_group_size)?;
        let metadata = ImmutableMetadata {
            kind: ConversationKind::Group,
            creator: self.inbox_id().to_owned(),
            dm_members: None,
        };
        let mut attributes = row.attributes.clone();
        attributes.retain(|name, _| !name.starts_with('_') && name != PROTOCOL_FLOOR);
        let policies = PolicySet::decode(&row.permissions)
            .map_err(|error| Error::new(Code::StorageCorrupt, error.to_string()))?;
        let supers = vec![self.inbox_id().to_owned()];
        let anew = self
            .create(metadata, attributes, supers, policies, None, invitees)
            .await?;
        for inbox in leaders {
            self.update_role(anew, inbox, true, false).await?;
        }
        Ok(anew)
    }

    /// Creates a DM with the inbox, or returns the one there is.
    pub async fn create_dm(
        &self,
        inbox: &str,
        disappearing: Option<(i64, i64)>,
    ) -> Result<GroupId> {
        let peer = parse_inbox(inbox)?;
        if peer == self.inbox_id() {
            return Err(Error::new(
                Code::InvalidArgument,
                "a DM needs another inbox than our own",
            ));
        }
        if let Some(row) = self.find_dm(inbox).await? {
            return GroupId::from_slice(&row.group_id)
                .ok_or_else(|| Error::internal("a stored group id is not one"));
        }
        let attributes = [GROUP_NAME, DESCRIPTION, GROUP_IMAGE_URL]
            .map(|name| (name.to_owned(), String::new()))
            .into_iter()
            .gather();
        let metadata = ImmutableMetadata {
            kind: ConversationKind::Dm,
            creator: self.inbox_id().to_owned(),
            dm_members: Some([self.inbox_id().to_owned(), peer.clone()]),
        };
        self.create(
            metadata,
            attributes,
            vec![],
            PolicySet::dm(),
            disappearing,
            vec![peer],
        )
        .await
    }

    async fn create(
        &self,
        metadata: ImmutableMetadata,
        mut attributes: BTreeMap<String, String>,
        super_admins: Vec<String>,
        permissions: PolicySet,
        disappearing: Option<(i64, i64)>,
        invitees: Vec<String>,
    ) -> Result<GroupId> {
        let wish = MembershipWish {
            add: invitees,
            remove: vec![],
        };
        let id = GroupId(random(&*self.env));
        let now = self.env.now_ns();
        attributes.insert(
            COMMIT_LOG_SIGNER.to_owned(),
            hex::encode(random::<32, E>(&*self.env)),
        );
        if let Some((from, after)) = disappearing {
            attributes.insert(DISAPPEAR_FROM.to_owned(), from.to_string());
            attributes.insert(DISAPPEAR_IN.to_owned(), after.to_string());
        }
        let seconds = now / 1_000_000_000;
        let new = NewGroup {
            group_id: id.0,
            metadata,
            mutable: MutableMetadata {
                attributes,
                admins: vec![],
                super_admins,
            },
            permissions,
            lifetime: (seconds.saturating_sub(LEAF_BACK), seconds + LEAF_AHEAD),
        };
        let group = mls::Group::create(&new, &self.me.key)?;
        let facts = group.facts()?;
        // Whoever cannot be added must be known before anything is stored or sent.
        let prepared = super::plan::prepare_new(self, &facts, &wish).await?;
        let row = ConversationRow {
            group_id: id.as_bytes().to_vec(),
            kind: super::welcome::kind_number(facts.metadata.kind),
            creator: self.inbox_id().to_owned(),
            added_by: self.inbox_id().to_owned(),
            created_ns: now,
            last_message_ns: now,
            active: true,
            rotated_ns: 0,
            checked_ns: now,
            consent: CONSENT_ALLOWED,
            consent_ns: now,
            membership_state: MEMBERSHIP_ALLOWED,
            dm_members: facts
                .metadata
                .dm_members
                .iter()
                .flatten()
                .cloned()
                .collect(),
            pinned: facts.metadata.encode(),
            ..ConversationRow::default()
        };
        let mut numbers = Vec::new();
        self.create_step(id, row, group, async |step| {
            step.copy_facts(&facts);
            step.add_role_record(RoleRecord::first(0, &facts)).await?;
            for part in prepared.split(&wish) {
                numbers.push(step.push_intent(super::rows::IntentRow {
                    wish: Some(Wish::Membership(part)),
                    ..Default::default()
                }));
            }
            step.report(FeedKind::Conversation, vec![]);
            Ok(())
        })
        .await?;
        self.drive_all(id, &numbers, prepared).await?;
        Ok(id)
    }

    /// The conversations to show, newest activity first.
    pub async fn list(&self, query: &ListQuery) -> Result<Vec<ConversationRow>> {
        let (mut rows, _) = self.db.conversations().await?;
        rows.retain(|row| {
            // JOIN-1: a DM that is not made as DMs are waits until the app has looked at it.
            let suspicious = (row.hold.iter())
                .flat_map(|hold| &hold.quarantine)
                .any(|code| code == "suspiciousDm");
            let shown = (row.kind == 1 || row.kind == 2) && !suspicious;
            let consent = match &query.consent {
                Some(states) => states.contains(&row.consent),
                None => row.consent != CONSENT_DENIED,
            };
            shown
                && consent
                && query.kind.is_none_or(|kind| row.kind == kind)
                && query.created_after_ns.is_none_or(|ns| row.created_ns > ns)
                && query.created_before_ns.is_none_or(|ns| row.created_ns < ns)
        });
        rows.sort_unstable_by(|a, b| {
            b.last_message_ns
                .cmp(&a.last_message_ns)
                .then_with(|| a.group_id.cmp(&b.group_id))
        });
        if !query.include_duplicate_dms {
            let mut seen = BTreeSet::new();
            rows.retain(|row| row.dm_members.is_empty() || seen.insert(dm_id(row)));
        }
        if query.by_creation {
            rows.sort_unstable_by(|a, b| {
                b.created_ns
                    .cmp(&a.created_ns)
                    .then_with(|| a.group_id.cmp(&b.group_id))
            });
        }
        if let Some(limit) = query.limit {
            rows.truncate(limit);
        }
        Ok(rows)
    }

    /// A conversation by id.
    pub async fn find(&self, id: GroupId) -> Result<Option<ConversationRow>> {
        Ok(self
            .db
            .conversation(id)
            .await?
            .filter(|row| row.kind == 1 || row.kind == 2))
    }

    /// The DM with an inbox: of several groups the one that lists show.
    pub async fn find_dm(&self, inbox: &str) -> Result<Option<ConversationRow>> {
        let query = ListQuery {
            kind: Some(2),
            consent: Some([0, 1, 2].into_iter().gather()),
            ..ListQuery::default()
        };
        let rows = self.list(&query).await?;
        Ok(rows
            .into_iter()
            .find(|row| row.dm_members.iter().any(|member| member == inbox)))
    }

    /// Fetches Welcomes; new conversations appear.
    pub async fn sync(&self) -> Result<()> {
        self.sync_welcomes().await
    }

    /// Fetches Welcomes and everything new in the conversations with these consent states
    /// (default: not denied).
    pub async fn sync_all(
        &self,
        consent: Option<BTreeSet<i32>>,
        progress: Option<Progress<'_>>,
    ) -> Result<SyncSummary> {
        self.sync_welcomes().await?;
        let (rows, _) = self.db.conversations().await?;
        let wanted = rows
            .into_iter()
            .filter(|row| match &consent {
                Some(states) => states.contains(&row.consent),
                None => row.consent != CONSENT_DENIED,
            })
            .collect();
        self.sync_rows(wanted, progress).await
    }

    /// Reads the logs of conversations that have news.
    pub async fn sync_groups(&self, progress: Option<Progress<'_>>) -> Result<SyncSummary> {
        let (rows, _) = self.db.conversations().await?;
        self.sync_rows(rows, progress).await
    }

    async fn sync_rows(
        &self,
        rows: Vec<ConversationRow>,
        progress: Option<Progress<'_>>,
    ) -> Result<SyncSummary> {
        let rows: Vec<ConversationRow> = rows.into_iter().filter(|row| row.active).collect();
        if rows.is_empty() {
            return Ok(SyncSummary::default());
        }
        let ids: Vec<Vec<u8>> = rows.iter().map(|row| row.group_id.clone()).collect();
        let newest = self.api.newest_group_messages(&ids).await?;
        let stale: Vec<GroupId> = rows
            .iter()
            .zip(newest)
            .filter_map(|(row, newest)| {
                let id = GroupId::from_slice(&row.group_id)?;
                let news = newest.is_some_and(|newest| newest.id > row.cursor);
                (news || row.has_work(self.inbox_id())).then_some(id)
            })
            .collect();
        let summary = SyncSummary {
            eligible: rows.len(),
            synced: stale.len(),
        };
        let mut done = 0;
        let mut problem = None;
        for chunk in stale.chunks(PARALLEL_SYNCS) {
            let passes = chunk
                .iter()
                .map(|id| async { self.pass(*id, &mut BTreeMap::new()).await });
            for result in join_all(passes).await {
                done += 1;
                // One conversation's trouble does not keep the others from being read.
                problem = problem.or(result.err());
                if let Some(progress) = progress {
                    progress(done, stale.len());
                }
            }
        }
        match problem {
            Some(error) if error.retryable() || error.code() == Code::Closed => Err(error),
            _ => Ok(summary),
        }
    }

    /// Which identifiers belong to an inbox on this network, in the order asked.
    pub async fn inbox_ids(&self, identifiers: &[Identifier]) -> Result<Vec<Option<String>>> {
        let wanted: Vec<(String, i32)> = identifiers
            .iter()
            .map(|identifier| (identifier.text().into_owned(), identifier.kind().to_wire()))
            .collect();
        Ok(self.api.get_inbox_ids(&wanted).await?)
    }

    fn invitees(&self, inboxes: Vec<String>) -> Result<Vec<String>> {
        let mut invitees = BTreeSet::new();
        for inbox in inboxes {
            let inbox = parse_inbox(&inbox)?;
            if inbox != self.inbox_id() {
                invitees.insert(inbox);
            }
        }
        Ok(invitees.into_iter().collect())
    }
}

impl ConversationRow {
    /// Whether there is something to do in it even without news from others.
    fn has_work(&self, me: &str) -> bool {
        self.open || !self.ahead.is_empty() || !self.leavers_for(me).is_empty()
    }

    /// The members that asked to leave, if it is on `me` to take them out (permissions.md 11).
    #[must_use]
    pub fn leavers_for(&self, me: &str) -> Vec<String> {
        let mine = self.super_admins.iter().any(|inbox| inbox == me);
        if !self.active || !mine || self.leaving.iter().any(|inbox| inbox == me) {
            return Vec::new();
        }
        let member = |inbox: &&String| self.members.iter().any(|row| row.inbox_id == **inbox);
        // A super admin has to be demoted first; who became one may think again.
        let leaves = |inbox: &&String| !self.super_admins.contains(inbox);
        (self.leaving.iter())
            .filter(member)
            .filter(leaves)
            .cloned()
            .collect()
    }
}

/// Key that unites the groups of one pair (mls.md 8.1).
#[must_use]
pub fn dm_id(row: &ConversationRow) -> String {
    let mut members: Vec<String> = row
        .dm_members
        .iter()
        .map(|inbox| inbox.to_lowercase())
        .collect();
    members.sort_unstable();
    format!("dm:{}", members.join(":"))
}

fn parse_inbox(text: &str) -> Result<String> {
    InboxId::parse(text).map(|_| text.to_owned()).map_err(|_| {
        Error::new(
            Code::InvalidArgument,
            "an inbox id has 64 lower-case hex characters",
        )
    })
}
