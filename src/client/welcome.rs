//! Welcomes: being invited, inviting, and the key packages that make it possible.

use std::time::Duration;

use prost::Message as _;
use sotto_proto::mls_api as wire;

use super::conversations::{CONSENT_ALLOWED, MEMBERSHIP_ALLOWED, MEMBERSHIP_PENDING};
use super::db::{IDENTITY_SCOPE, identity_key};
use super::env::Env;
use super::rows::{ConversationRow, FeedKind, Hold, IntentRow, KeyPackageRow, Recipient};
use super::{Client, GroupId, Inner};
use crate::content::GroupUpdated;
use crate::error::{Code, Error, Result};
use crate::mls::roles::RoleRecord;
use crate::mls::welcome::{
    self, JoinRemark, JoinVerdict, Joining, OpenedWelcome, WrapperAlgorithm,
};
use crate::mls::{ConversationKind, OwnKeyPackage, Rules, key_package};
use crate::store::{Changes, Key, Query, Table};

/// Age at which a key package is replaced, in nanoseconds.
pub const ROTATION_NS: u64 = 30 * 24 * 3600 * 1_000_000_000;
/// How long a superseded key package still opens Welcomes, in nanoseconds.
const GRACE_NS: u64 = 24 * 3600 * 1_000_000_000;
/// Pause between a batch of Welcomes and the rotation that follows.
const ROTATION_PAUSE: Duration = Duration::from_secs(5);
/// Welcomes sent in one request.
const WELCOMES_PER_CALL: usize = 50;
/// Bytes sent in one request.
const BYTES_PER_CALL: usize = 20 * 1024 * 1024;
/// How often the copy that a pointer names is asked for before the next sync must try again.
const POINTEE_TRIES: u32 = 4;

/// How often a write of our own row is repeated because somebody else wrote it first.
const CONFLICTS: usize = 8;

/// What became of a Welcome.
enum Outcome {
    /// Joined, or of no use ever: the cursor passes it.
    Done,
    /// Of use later.
    Later(Error),
}

/// `xmtp.mls.message_contents.ConversationType` of a kind.
#[must_use]
pub fn kind_number(kind: ConversationKind) -> i32 {
    match kind {
        ConversationKind::Group => 1,
        ConversationKind::Dm => 2,
        ConversationKind::Sync => 3,
        ConversationKind::Oneshot => 4,
    }
}

/// The row that a fresh key package is kept in.
pub fn key_package_row(package: &OwnKeyPackage, now: u64) -> Result<(Key, Vec<u8>)> {
    let row = KeyPackageRow {
        package: package.encode()?.to_vec(),
        created_ns: now,
        superseded_ns: 0,
    };
    Ok((
        Key::global(Table::KeyPackages, now.to_be_bytes()),
        row.encode_to_vec(),
    ))
}

impl<E: Env> Client<E> {
    /// Fetches and joins by every new Welcome, in order. Stops at one that cannot be handled now.
    pub async fn sync_welcomes(&self) -> Result<()> {
        let _turn = self.welcome_lock.lock().await;
        let mut joined = Vec::new();
        let mut result = self.read_welcomes(&mut joined).await;
        for _ in 0..CONFLICTS {
            // Another context, or our own key package rotation, wrote our row meanwhile.
            if !result.as_ref().is_err_and(Error::is_conflict) {
                break;
            }
            result = self.read_welcomes(&mut joined).await;
        }
        if !joined.is_empty() {
            self.rotate_soon();
        }
        for id in joined {
            // What was said since we were added.
            self.receive(id).await?;
        }
        self.expire_key_packages().await?;
        result
    }

    async fn read_welcomes(&self, joined: &mut Vec<GroupId>) -> Result<()> {
        loop {
            let lock = self.env.lock("welcomes").await?;
            let (identity, _) = self.db.identity().await?;
            let cursor = identity.map_or(0, |row| row.welcome_cursor);
            let page = self
                .api
                .query_welcome_messages(self.me.installation.as_bytes(), cursor)
                .await?;
            for message in &page.items {
                match self.handle_welcome(message, joined).await? {
                    Outcome::Done => {}
                    Outcome::Later(error) => return Err(error),
                }
            }
            drop(lock);
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn handle_welcome(
        &self,
        message: &wire::WelcomeMessage,
        joined: &mut Vec<GroupId>,
    ) -> Result<Outcome> {
        use wire::welcome_message::Version;
        let packages = self.key_packages().await?;
        let (id, created_ns, opened) = match &message.version {
            Some(Version::V1(v1)) => {
                let opened = packages
                    .iter()
                    .find_map(|package| welcome::open(v1, package).ok());
                (v1.id, v1.created_ns, opened)
            }
            Some(Version::WelcomePointer(pointer)) => {
                let opened = match packages
                    .iter()
                    .find_map(|package| welcome::open_pointer(pointer, package).ok())
                {
                    Some(target) => match self.follow_pointer(&target).await? {
                        Some(opened) => opened,
                        None => {
                            return Ok(Outcome::Later(Error::new(
                                Code::Network,
                                "an invitation is not complete at the node yet",
                            )));
                        }
                    },
                    None => None,
                };
                (pointer.id, pointer.created_ns, opened)
            }
            None => return Ok(Outcome::Done),
        };
        let group = match opened {
            Some(opened) => match self.join(opened, &packages, id, created_ns).await {
                Ok(group) => group,
                Err(error) if error.retryable() || error.code() == Code::Closed => {
                    return Ok(Outcome::Later(error));
                }
                // Permanent: the Welcome is of no use.
                Err(_) => None,
            },
            None => None,
        };
        match group {
            Some(group) => {
                joined.push(group);
                Ok(Outcome::Done)
            }
            None => {
                self.pass_welcome(id).await?;
                Ok(Outcome::Done)
            }
        }
    }

    /// The shared copy that a pointer names. `None`: not there yet; `Some(None)`: of no use.
    async fn follow_pointer(
        &self,
        pointer: &welcome::Pointer,
    ) -> Result<Option<Option<OpenedWelcome>>> {
        let mut pause = Duration::from_millis(50);
        for _ in 0..POINTEE_TRIES {
            let found = self
                .api
                .query_welcome_messages(&pointer.destination, 0)
                .await?;
            if let Some(first) = found.items.into_iter().next() {
                let opened = match first.version {
                    Some(wire::welcome_message::Version::V1(v1)) => {
                        welcome::open_pointee(&v1, pointer).ok()
                    }
                    _ => None,
                };
                return Ok(Some(opened));
            }
            self.env.sleep(pause).await;
            pause *= 3;
        }
        Ok(None)
    }

    /// Joins by an opened Welcome. `None` where there is nothing to join.
    async fn join(
        &self,
        opened: OpenedWelcome,
        packages: &[OwnKeyPackage],
        welcome_id: u64,
        created_ns: u64,
    ) -> Result<Option<GroupId>> {
        let Ok(joining) = Joining::new(&opened.inner, packages, &self.me.key) else {
            return Ok(None);
        };
        let facts = joining.facts().clone();
        let id = GroupId(facts.group_id);
        if facts.metadata.kind == ConversationKind::Oneshot {
            return Ok(None);
        }
        let cursor = opened.message_cursor.unwrap_or(0);
        let rejoin = match self.db.conversation(id).await? {
            None => None,
            Some(row) => match self.may_replace(id, &row, &joining).await? {
                true => Some(row),
                false => return Ok(None),
            },
        };
        let remarks = match self.check_join(&joining).await? {
            JoinVerdict::Join(remarks) => remarks,
            _ => return Ok(None),
        };
        let adder = joining.adder().inbox_id.clone();
        let row = self.joined_row(&joining, rejoin, &remarks, cursor);
        let group = joining.into_group(crate::mls::View::empty())?;
        let facts = group.facts()?;
        let (identity, revision) = self.db.identity().await?;
        let mut identity = identity
            .ok_or_else(|| Error::new(Code::StorageMissing, "this installation's row is gone"))?;
        identity.welcome_cursor = identity.welcome_cursor.max(welcome_id);
        self.create_step(id, row, group, async |step| {
            step.copy_facts(&facts);
            step.add_role_record(RoleRecord::first(cursor, &facts))
                .await?;
            step.changes.put(identity_key(), identity.encode_to_vec());
            step.changes.expect(IDENTITY_SCOPE, revision);
            if facts.metadata.kind != ConversationKind::Sync {
                let own = step.client.inbox_id().to_owned();
                let updated = GroupUpdated::of_welcome(&adder, &own);
                let key = format!("{created_ns}_welcome_added");
                step.put_transcript(&updated, &adder, cursor, created_ns, &key)
                    .await?;
            }
            step.report(FeedKind::Conversation, vec![]);
            for remark in &remarks {
                step.report(FeedKind::Notice, vec![format!("{remark:?}").into_bytes()]);
            }
            Ok(())
        })
        .await?;
        Ok(Some(id))
    }

    /// Resolves identity logs until the checks come to a verdict.
    async fn check_join(&self, joining: &Joining) -> Result<JoinVerdict> {
        let sequence = joining
            .facts()
            .membership
            .members
            .get(self.inbox_id())
            .copied()
            .unwrap_or(0);
        for _ in 0..4 {
            let states = self.identities.snapshot();
            let only = self
                .identities
                .only_one_installation_ever(self.inbox_id(), sequence);
            match joining.check(&states, self.inbox_id(), only, &Rules::default()) {
                JoinVerdict::NeedIdentity(wanted) => self.identities.resolve(&wanted).await?,
                verdict => return Ok(verdict),
            }
        }
        Err(Error::internal("a join asks for identity logs without end"))
    }

    /// Rule JOIN-3 (permissions.md 7.13): when a Welcome may replace a group that we have.
    async fn may_replace(
        &self,
        id: GroupId,
        row: &ConversationRow,
        joining: &Joining,
    ) -> Result<bool> {
        let facts = joining.facts();
        if facts.metadata.encode() != row.pinned {
            return Ok(false);
        }
        if !row.active {
            return Ok(true);
        }
        if row.epoch >= facts.epoch {
            return Ok(false);
        }
        // The log says whether we were really removed: it is read first.
        self.receive(id).await?;
        let row = self.peek(id).await?;
        if !row.active {
            return Ok(true);
        }
        if row.epoch >= facts.epoch {
            return Ok(false);
        }
        let by_super_admin = row
            .super_admins
            .iter()
            .any(|inbox| inbox == joining.adder().inbox_id.as_str());
        if row.maybe_forked && by_super_admin {
            return Ok(true);
        }
        self.step(id, async |step| {
            step.report(FeedKind::Notice, vec![b"suspiciousWelcome".to_vec()]);
            Ok(())
        })
        .await?;
        Ok(false)
    }

    fn joined_row(
        &self,
        joining: &Joining,
        rejoin: Option<ConversationRow>,
        remarks: &[JoinRemark],
        cursor: u64,
    ) -> ConversationRow {
        let facts = joining.facts();
        let now = self.env.now_ns();
        let adder = joining.adder().inbox_id.clone();
        let own = facts.metadata.creator == self.inbox_id()
            || facts.metadata.kind == ConversationKind::Sync;
        let left = rejoin.as_ref().is_some_and(|row| row.membership_state == 4);
        let mut hold = Hold::default();
        for remark in remarks {
            match remark {
                JoinRemark::SuspiciousDm => hold.quarantine.push("suspiciousDm".to_owned()),
                JoinRemark::UnauthorisedAdder => {
                    hold.quarantine.push("unauthorisedAdder".to_owned())
                }
                JoinRemark::Paused(floor) => hold.paused_for = Some(floor.clone()),
                JoinRemark::AdderMayLackPermission => {}
            }
        }
        let before = rejoin.unwrap_or_default();
        let (consent, consent_ns) = match (own, left, before.group_id.is_empty()) {
            (true, ..) => (CONSENT_ALLOWED, now),
            (false, true, _) | (false, false, true) => (0, 0),
            (false, false, false) => (before.consent, before.consent_ns),
        };
        let allowed = facts.metadata.kind == ConversationKind::Sync || left;
        ConversationRow {
            group_id: facts.group_id.to_vec(),
            kind: kind_number(facts.metadata.kind),
            creator: facts.metadata.creator.clone(),
            added_by: adder,
            created_ns: if before.created_ns == 0 {
                now
            } else {
                before.created_ns
            },
            cursor: cursor.max(before.cursor),
            active: true,
            hold: (hold != Hold::default()).then_some(hold),
            dm_members: facts
                .metadata
                .dm_members
                .iter()
                .flatten()
                .cloned()
                .collect(),
            rotated_ns: 0,
            checked_ns: now,
            last_message_ns: before.last_message_ns.max(now),
            consent,
            consent_ns,
            membership_state: if allowed {
                MEMBERSHIP_ALLOWED
            } else {
                MEMBERSHIP_PENDING
            },
            next_intent: before.next_intent,
            pinned: facts.metadata.encode(),
            read_ns: before.read_ns,
            commit_id: cursor,
            ..ConversationRow::default()
        }
    }

    async fn pass_welcome(&self, id: u64) -> Result<()> {
        let (row, revision) = self.db.identity().await?;
        let mut row =
            row.ok_or_else(|| Error::new(Code::StorageMissing, "this installation's row is gone"))?;
        if row.welcome_cursor >= id {
            return Ok(());
        }
        row.welcome_cursor = id;
        let mut changes = Changes::new();
        changes.put(identity_key(), row.encode_to_vec());
        changes.expect(IDENTITY_SCOPE, revision);
        self.db.apply(changes).await?;
        Ok(())
    }

    /// Our key packages, current and superseded, newest first.
    async fn key_packages(&self) -> Result<Vec<OwnKeyPackage>> {
        let rows = self
            .db
            .read(&[Query::table(Table::KeyPackages).reverse()])
            .await?;
        let mut packages = Vec::new();
        for row in rows.into_iter().flatten() {
            let row = KeyPackageRow::decode(row.value.as_slice()).map_err(|_| {
                Error::new(Code::StorageCorrupt, "a key package of ours cannot be read")
            })?;
            packages.push(OwnKeyPackage::decode(&row.package)?);
        }
        Ok(packages)
    }

    fn rotate_soon(&self) {
        let client = self.clone();
        self.env.spawn(Box::pin(async move {
            client.env.sleep(ROTATION_PAUSE).await;
            if !client.is_closed() {
                // Tried again with the next batch of Welcomes, at the latest when it is due.
                let _ = client.rotate_key_package().await;
            }
        }));
    }

    /// Replaces the key package; the old one opens Welcomes for another day.
    pub async fn rotate_key_package(&self) -> Result<()> {
        let now = self.env.now_ns();
        let package = OwnKeyPackage::generate(
            self.inbox_id(),
            &self.me.key,
            key_package::lifetime_at(now / 1_000_000_000),
        )?;
        let _lock = self.env.lock("key-packages").await?;
        let rows = self.db.read(&[Query::table(Table::KeyPackages)]).await?;
        let mut changes = Changes::new();
        for row in rows.into_iter().flatten() {
            let Ok(mut old) = KeyPackageRow::decode(row.value.as_slice()) else {
                continue;
            };
            if old.superseded_ns == 0 {
                old.superseded_ns = now;
                changes.put(
                    Key::global(Table::KeyPackages, row.order),
                    old.encode_to_vec(),
                );
            }
        }
        let (key, value) = key_package_row(&package, now)?;
        changes.put(key, value);
        // Private keys first: a Welcome may be sealed to the new package at once.
        self.db.apply(changes).await?;
        self.api
            .upload_key_package(package.public().to_vec())
            .await?;
        for _ in 0..CONFLICTS {
            let (Some(mut row), revision) = self.db.identity().await? else {
                return Ok(());
            };
            row.rotate_at_ns = now + ROTATION_NS;
            let mut changes = Changes::new();
            changes.put(identity_key(), row.encode_to_vec());
            changes.expect(IDENTITY_SCOPE, revision);
            match self.db.apply(changes).await {
                Err(error) if error.is_conflict() => {}
                result => return result.map(|_| ()),
            }
        }
        Err(Error::conflict())
    }

    /// Erases superseded key packages whose grace is over, and rotates an old one.
    async fn expire_key_packages(&self) -> Result<()> {
        let now = self.env.now_ns();
        let rows = self.db.read(&[Query::table(Table::KeyPackages)]).await?;
        let mut changes = Changes::new();
        for row in rows.into_iter().flatten() {
            let Ok(old) = KeyPackageRow::decode(row.value.as_slice()) else {
                continue;
            };
            if old.superseded_ns != 0 && now.saturating_sub(old.superseded_ns) > GRACE_NS {
                changes.delete(Key::global(Table::KeyPackages, row.order));
            }
        }
        if !changes.is_empty() {
            self.db.apply(changes).await?;
        }
        let due = self
            .db
            .identity()
            .await?
            .0
            .is_some_and(|row| row.rotate_at_ns != 0 && now >= row.rotate_at_ns);
        if due {
            self.rotate_key_package().await?;
        }
        Ok(())
    }
}

impl<E: Env> Inner<E> {
    /// Seals and sends the Welcome of a commit that was read back. Doing it twice is harmless.
    pub async fn send_welcomes(&self, intent: &IntentRow) -> Result<()> {
        let recipients: Vec<welcome::Recipient> =
            intent.recipients.iter().filter_map(recipient).collect();
        let messages = welcome::seal_for_all(&intent.welcome, intent.commit_id, &recipients)
            .map_err(Error::internal)?;
        let mut chunk = Vec::new();
        let mut bytes = 0;
        for message in messages {
            let size = message.encoded_len();
            if !chunk.is_empty()
                && (chunk.len() >= WELCOMES_PER_CALL || bytes + size > BYTES_PER_CALL)
            {
                self.api
                    .send_welcome_messages(std::mem::take(&mut chunk))
                    .await?;
                bytes = 0;
            }
            bytes += size;
            chunk.push(message);
        }
        if !chunk.is_empty() {
            self.api.send_welcome_messages(chunk).await?;
        }
        Ok(())
    }
}

/// What is kept of a recipient until its Welcome is sent.
#[must_use]
pub fn recipient_row(recipient: &welcome::Recipient) -> Recipient {
    Recipient {
        installation: recipient.installation_id.as_bytes().to_vec(),
        x_wing: recipient.algorithm == WrapperAlgorithm::XWing,
        public_key: recipient.public_key.clone(),
        takes_pointers: recipient.takes_pointers,
    }
}

fn recipient(row: &Recipient) -> Option<welcome::Recipient> {
    Some(welcome::Recipient {
        installation_id: crate::identity::InstallationId::try_from(row.installation.as_slice())
            .ok()?,
        algorithm: if row.x_wing {
            WrapperAlgorithm::XWing
        } else {
            WrapperAlgorithm::Curve25519
        },
        public_key: row.public_key.clone(),
        takes_pointers: row.takes_pointers,
    })
}
