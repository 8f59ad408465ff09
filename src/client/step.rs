//! One logical step on one group: lock, load, work in memory, save everything in one
//! transaction. What a step publishes or reports happens only after it was saved.
//!
//! Lock order: the welcome lock, a group's turn to send, that group's lock; never two groups at
//! once.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use futures::lock::Mutex;
use prost::Message;

use super::db::{conversation_key, decode_rows, intent_key};
use super::env::{Env, LockGuard, Notice};
use super::rows::{ConversationRow, FeedKind, FeedRow, IntentRow, IntentState, MessageRow};
use super::turn::Turns;
use super::{GroupId, Inner};
use crate::error::{Code, Error, Result};
use crate::gather::Gather;
use crate::mls;
use crate::mls::roles::RoleLog;
use crate::store::{Changes, Durability, Key, Query, Table};

/// How often a step is repeated because somebody else wrote first.
const CONFLICTS: usize = 8;
/// How long the failure of a wish is kept, in nanoseconds.
const FAILURES_KEPT_NS: u64 = 3600 * 1_000_000_000;
/// Groups whose MLS state is kept in memory.
const CACHED_GROUPS: usize = 64;

/// A group as loaded under a stored revision.
pub struct Loaded {
    revision: u64,
    /// What lists show.
    pub row: ConversationRow,
    /// MLS state; `None` once we are no member any more.
    pub mls: Option<mls::Group>,
    /// Our wishes that are not done, by number.
    pub intents: BTreeMap<u64, IntentRow>,
}

/// Groups in memory, and the lock that serialises steps on each of them in this context.
#[derive(Default)]
pub struct Groups {
    loaded: RefCell<HashMap<GroupId, Loaded>>,
    locks: RefCell<HashMap<GroupId, Rc<Mutex<()>>>>,
    sending: RefCell<HashMap<GroupId, Rc<Mutex<()>>>>,
    order: RefCell<HashMap<GroupId, Rc<Turns>>>,
}

impl Groups {
    fn lock(&self, id: GroupId) -> Rc<Mutex<()>> {
        Rc::clone(self.locks.borrow_mut().entry(id).or_default())
    }

    /// The order of this context's calls to send: what an app sends first is sent first. Taken
    /// before the turn to send.
    pub fn order(&self, id: GroupId) -> Rc<Turns> {
        Rc::clone(self.order.borrow_mut().entry(id).or_default())
    }

    /// The turn to send to a group's log: held over sealing, saving and sending, so that what this
    /// context sends arrives in the order in which it was sealed. Taken before a step's lock.
    pub fn sending(&self, id: GroupId) -> Rc<Mutex<()>> {
        Rc::clone(self.sending.borrow_mut().entry(id).or_default())
    }

    fn take(&self, id: GroupId) -> Option<Loaded> {
        self.loaded.borrow_mut().remove(&id)
    }

    fn keep(&self, id: GroupId, group: Loaded) {
        let mut loaded = self.loaded.borrow_mut();
        if loaded.len() >= CACHED_GROUPS
            && let Some(victim) = loaded.keys().next().copied()
        {
            loaded.remove(&victim);
        }
        loaded.insert(id, group);
    }

    /// Forgets what is in memory; the next step reads the store.
    pub fn forget_all(&self) {
        self.loaded.borrow_mut().clear();
    }
}

/// A step under way.
pub struct Step<'a, E: Env> {
    /// The client.
    pub client: &'a Inner<E>,
    /// The group.
    pub id: GroupId,
    /// The group's state; changes to it are saved with the step.
    pub group: Loaded,
    /// Further rows to write with the step.
    pub changes: Changes,
    row_before: ConversationRow,
    intents_before: BTreeMap<u64, IntentRow>,
    /// The role log, once it was needed.
    pub(super) roles: Option<RoleLog>,
    /// Messages that this step writes, with their order keys, by id: what the store does not
    /// answer with yet.
    pub(super) fresh: HashMap<Vec<u8>, (Vec<u8>, MessageRow)>,
    /// What is handled came from a stream: commits that belong before it may be missing.
    pub(super) provisional: bool,
    /// Ids of messages that this step takes back.
    pub(super) withdrawn: HashSet<Vec<u8>>,
    feed: Vec<FeedRow>,
    lock: Box<dyn LockGuard>,
}

impl<E: Env> Inner<E> {
    /// Runs `body` as one step on an existing group and saves what it changed. `body` is run again
    /// from fresh state when another context wrote first, so it must not act on the world.
    pub async fn step<R>(
        &self,
        id: GroupId,
        mut body: impl AsyncFnMut(&mut Step<'_, E>) -> Result<R>,
    ) -> Result<R> {
        let local = self.groups.lock(id);
        let _local = local.lock().await;
        for _ in 0..CONFLICTS {
            self.check_open()?;
            let lock = self.env.lock(&self.lock_name(id)).await?;
            let Some(group) = self.load(id).await? else {
                return Err(Error::new(Code::NotFound, "no such conversation"));
            };
            let mut step = Step::new(self, id, group, lock);
            let result = match body(&mut step).await {
                Ok(result) => result,
                Err(error) if error.is_conflict() => continue,
                Err(error) => return Err(error),
            };
            match step.save().await {
                Ok(()) => return Ok(result),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(
            Code::Busy,
            "other tabs keep changing this conversation",
        ))
    }

    /// Saves a group that did not exist, or that replaces one we have left. Fails with
    /// `ERR_BUSY` where another context did so first.
    pub async fn create_step(
        &self,
        id: GroupId,
        row: ConversationRow,
        group: mls::Group,
        body: impl AsyncFnOnce(&mut Step<'_, E>) -> Result<()>,
    ) -> Result<()> {
        let local = self.groups.lock(id);
        let _local = local.lock().await;
        self.check_open()?;
        let lock = self.env.lock(&self.lock_name(id)).await?;
        self.groups.take(id);
        let revision = self.db.0.revision(id.as_bytes()).await?;
        let loaded = Loaded {
            revision,
            row,
            mls: Some(group),
            intents: BTreeMap::new(),
        };
        let mut step = Step::new(self, id, loaded, lock);
        step.row_before = ConversationRow::default();
        // Nothing of an earlier life of this group may stay behind.
        for table in [Table::Mls, Table::Intents] {
            step.changes.delete_scope(table, id.as_bytes());
        }
        body(&mut step).await?;
        step.save().await
    }

    /// A group's row without a lock: for showing, never for deciding.
    pub async fn peek(&self, id: GroupId) -> Result<ConversationRow> {
        self.db
            .conversation(id)
            .await?
            .ok_or_else(|| Error::new(Code::NotFound, "no such conversation"))
    }

    async fn load(&self, id: GroupId) -> Result<Option<Loaded>> {
        // A cached group is used without asking: if it is stale the save says so, and nothing
        // was published before the save.
        if let Some(group) = self.groups.take(id) {
            return Ok(Some(group));
        }
        let scope = id.as_bytes();
        let queries = [Table::Conversations, Table::Mls, Table::Intents]
            .map(|table| Query::scope(table, scope));
        let (revision, rows) = self.db.0.load(scope, &queries).await?;
        let [conversation, mls_rows, intents] = rows.as_slice() else {
            return Err(Error::internal(
                "a read answered with another number of ranges",
            ));
        };
        let Some(row) = decode_rows::<ConversationRow>(conversation, Table::Conversations)?
            .into_iter()
            .next()
        else {
            return Ok(None);
        };
        let mls = if row.active && !mls_rows.is_empty() {
            let rows = mls_rows
                .iter()
                .map(|row| (row.order.clone(), row.value.clone()))
                .collect();
            let corrupt = |error: &dyn std::fmt::Display| {
                Error::new(Code::StorageCorrupt, error.to_string()).with("groupId", id)
            };
            let view = mls::View::from_rows(rows).map_err(|error| corrupt(&error))?;
            mls::Group::load(view, &id.0, &self.me.key).map_err(|error| corrupt(&error))?
        } else {
            None
        };
        let intents = decode_rows::<IntentRow>(intents, Table::Intents)?
            .into_iter()
            .map(|row| (row.number, row))
            .gather();
        Ok(Some(Loaded {
            revision,
            row,
            mls,
            intents,
        }))
    }

    fn lock_name(&self, id: GroupId) -> String {
        // Lock names are visible to the whole origin: a blinded id, not the group's own.
        hex::encode(self.db.0.blind(Table::Conversations, id.as_bytes()))
    }
}

impl<'a, E: Env> Step<'a, E> {
    fn new(client: &'a Inner<E>, id: GroupId, group: Loaded, lock: Box<dyn LockGuard>) -> Self {
        Self {
            client,
            id,
            row_before: group.row.clone(),
            intents_before: group.intents.clone(),
            group,
            changes: Changes::new(),
            roles: None,
            fresh: HashMap::new(),
            provisional: false,
            withdrawn: HashSet::new(),
            feed: Vec::new(),
            lock,
        }
    }

    /// The MLS group; fails with `ERR_NOT_A_MEMBER` once we are out.
    pub fn mls(&mut self) -> Result<&mut mls::Group> {
        self.group.mls.as_mut().ok_or_else(|| {
            Error::new(
                Code::NotAMember,
                "not a member of this conversation any more",
            )
        })
    }

    /// Tells streams and other contexts, once the step is saved.
    pub fn report(&mut self, kind: FeedKind, items: Vec<Vec<u8>>) {
        if let Some(last) = self.feed.last_mut()
            && last.kind == kind as i32
        {
            last.items.extend(items);
            return;
        }
        self.feed.push(FeedRow {
            kind: kind as i32,
            group_id: self.id.as_bytes().to_vec(),
            items,
        });
    }

    /// A key in one of this group's scopes.
    #[must_use]
    pub fn key(&self, table: Table, order: impl Into<Vec<u8>>) -> Key {
        Key::new(table, self.id.as_bytes(), order)
    }

    /// Puts a new intent behind the others and returns its number.
    pub fn push_intent(&mut self, mut intent: IntentRow) -> u64 {
        self.group.row.next_intent += 1;
        intent.number = self.group.row.next_intent;
        intent.group_id = self.id.as_bytes().to_vec();
        let number = intent.number;
        self.group.intents.insert(number, intent);
        number
    }

    /// Failures are kept for whoever waits for them; after an hour nobody does.
    fn forget_failures(&mut self) {
        let now = self.client.env.now_ns();
        self.group.intents.retain(|_, intent| {
            intent.state != IntentState::Failed as i32
                || now.saturating_sub(intent.failed_ns) < FAILURES_KEPT_NS
        });
    }

    /// Saves what has changed so far and goes on with the same step.
    pub async fn save_and_go_on(&mut self) -> Result<()> {
        self.write().await
    }

    async fn save(mut self) -> Result<()> {
        self.write().await?;
        self.client.groups.keep(self.id, self.group);
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        let id = self.id;
        let scope = id.as_bytes();
        let mut changes = std::mem::take(&mut self.changes);
        if let Some(group) = &self.group.mls {
            for (key, value) in group.view().changes() {
                match value {
                    Some(value) => changes.put(Key::new(Table::Mls, scope, key), value.to_vec()),
                    None => changes.delete(Key::new(Table::Mls, scope, key)),
                };
            }
        }
        self.forget_failures();
        self.group.row.open =
            (self.group.intents.values()).any(|intent| intent.state != IntentState::Failed as i32);
        if self.group.row != self.row_before {
            changes.put(conversation_key(self.id), self.group.row.encode_to_vec());
        }
        for (number, intent) in &self.group.intents {
            if self.intents_before.get(number) != Some(intent) {
                changes.put(intent_key(self.id, intent), intent.encode_to_vec());
            }
        }
        for (number, intent) in &self.intents_before {
            if !self.group.intents.contains_key(number) {
                changes.delete(intent_key(self.id, intent));
            }
        }
        for entry in &self.feed {
            changes.append(Table::Feed, entry.encode_to_vec());
        }
        if changes.is_empty() {
            return Ok(());
        }
        if self.lock.is_stolen() {
            return Err(Error::conflict());
        }
        changes.expect(scope, self.group.revision);
        changes.durability(self.client.options.durability);
        let applied = self.client.db.apply(changes).await?;
        self.client
            .written
            .set(self.client.written.get() + applied.bytes);
        self.group.revision += 1;
        if let Some(group) = &self.group.mls {
            group.view().mark_saved();
        }
        self.row_before = self.group.row.clone();
        self.intents_before = self.group.intents.clone();
        let topics = self
            .feed
            .iter()
            .any(|entry| entry.kind == FeedKind::Conversation as i32);
        if !self.feed.is_empty() {
            self.feed.clear();
            self.client.feed_grew();
            self.client.env.announce(Notice::Feed);
        }
        if topics {
            self.client.live.topics_changed();
            self.client.env.announce(Notice::Topics);
        }
        Ok(())
    }
}

/// How sure the engine's writes are, by default.
pub const DEFAULT_DURABILITY: Durability = Durability::Relaxed;
