//! The client engine, generic over its surroundings ([`env::Env`]): identity, conversations,
//! publishing, syncing and streams. It holds no JavaScript and no browser type.
//!
//! Rules that every file here keeps: state is changed in [`step::Step`]s, each saved in one
//! transaction; nothing is published or reported before it was saved; nothing is deleted on error.

pub mod conversation;
pub mod conversations;
pub mod db;
pub mod effects;
pub mod env;
pub mod errors;
pub mod feed;
pub mod health;
pub mod identities;
pub mod identity;
pub mod intent;
pub mod live;
pub mod message;
pub mod moderation;
pub mod permissions;
pub mod plan;
pub mod preferences;
pub mod receive;
pub mod registration;
pub mod rows;
pub mod step;
#[cfg(any(test, feature = "test-utils"))]
pub mod testing;
pub mod turn;
pub mod welcome;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::rc::Rc;

use futures::lock::Mutex;

use self::db::Db;
use self::env::Env;
use self::feed::Feed;
use self::identities::Identities;
use self::live::Live;
use self::rows::IdentityRow;
use self::step::Groups;
use crate::error::{Code, Error, Result};
use crate::identity::{Identifier, InboxId, InstallationId, InstallationKey};
use crate::net::api::Api;
use crate::store::{Durability, Vault};

/// A group's id: 16 bytes, shown as 32 lower-case hex characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub [u8; 16]);

impl GroupId {
    /// From its bytes; `None` unless there are 16.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// From hex, as JavaScript passes it.
    pub fn parse(text: &str) -> Result<Self> {
        hex::decode(text)
            .ok()
            .and_then(|bytes| Self::from_slice(&bytes))
            .ok_or_else(|| {
                Error::new(
                    Code::InvalidArgument,
                    "a conversation id has 32 hex characters",
                )
            })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupId({self})")
    }
}

/// Settings of a client.
#[derive(Debug, Clone)]
pub struct Options {
    /// How sure a write must be before it counts.
    pub durability: Durability,
    /// Whether preferences are kept in step with one's other installations.
    pub device_sync: bool,
    /// Most inboxes in a group that we create or add to. Above the default, keep in mind that
    /// official clients refuse to add more.
    pub max_group_size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: step::DEFAULT_DURABILITY,
            device_sync: true,
            max_group_size: crate::mls::validate::MAX_INBOXES,
        }
    }
}

/// Who we are.
pub struct Me {
    /// Our inbox.
    pub inbox_id: InboxId,
    /// This installation.
    pub installation: InstallationId,
    /// Its key.
    pub key: InstallationKey,
    /// The identifier that registered it.
    pub identifier: Identifier,
}

/// A client: cheap to clone, all clones are the same client.
pub struct Client<E: Env>(Rc<Inner<E>>);

impl<E: Env> Clone for Client<E> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<E: Env> std::ops::Deref for Client<E> {
    type Target = Inner<E>;
    fn deref(&self) -> &Inner<E> {
        &self.0
    }
}

/// What all parts of a client share.
pub struct Inner<E: Env> {
    /// Surroundings.
    pub env: Rc<E>,
    /// The node.
    pub api: Rc<Api<E>>,
    /// The store.
    pub db: Rc<Db<E>>,
    /// Us.
    pub me: Me,
    /// Settings.
    pub options: Options,
    /// Identity logs.
    pub identities: Identities<E>,
    /// Groups in memory.
    pub groups: Groups,
    /// The feed's readers.
    pub feed: Feed,
    /// The subscription.
    pub live: Live,
    /// What HMACs for push servers are derived from.
    pub hmac_user_key: Cell<[u8; 42]>,
    /// Bytes written so far, for benchmarks.
    pub written: Cell<u64>,
    welcome_lock: Mutex<()>,
    /// Messages that the node has taken and that were not read back yet.
    acknowledged: RefCell<HashSet<[u8; 32]>>,
    /// Removals of who asked to leave that came to nothing, by group: how many, and when the next
    /// is due, Unix nanoseconds.
    blocked_leavers: RefCell<HashMap<GroupId, (u32, u64)>>,
    /// Groups with a read-back on its way, and when we last sent there, Unix nanoseconds.
    reading_back: RefCell<HashMap<GroupId, u64>>,
    closed: Cell<bool>,
}

impl<E: Env> Client<E> {
    /// A client over an opened store that holds `identity`.
    pub(crate) fn assemble(
        env: Rc<E>,
        api: Rc<Api<E>>,
        db: Rc<Db<E>>,
        identity: &IdentityRow,
        options: Options,
    ) -> Result<Self> {
        let me = Me::from_row(identity)?;
        let identities = Identities::new(Rc::clone(&env), Rc::clone(&api), Rc::clone(&db));
        Ok(Self(Rc::new(Inner {
            env,
            api,
            db,
            me,
            options,
            identities,
            groups: Groups::default(),
            feed: Feed::default(),
            live: Live::default(),
            hmac_user_key: Cell::new(
                identity
                    .hmac_user_key
                    .as_slice()
                    .try_into()
                    .unwrap_or([0; 42]),
            ),
            written: Cell::new(0),
            welcome_lock: Mutex::new(()),
            acknowledged: RefCell::default(),
            blocked_leavers: RefCell::default(),
            reading_back: RefCell::default(),
            closed: Cell::new(false),
        })))
    }

    /// Ends everything: streams end, calls under way finish or fail with `ERR_CLOSED`, the store
    /// is let go. Calling it again does nothing.
    pub async fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        self.live.stop();
        self.feed.close();
        self.api.close();
        self.groups.forget_all();
        self.db.0.close().await;
    }
}

impl<E: Env> Inner<E> {
    /// Fails once the client is closed.
    pub fn check_open(&self) -> Result<()> {
        if self.closed.get() {
            Err(Error::new(Code::Closed, "the client is closed"))
        } else {
            Ok(())
        }
    }

    /// Whether the client was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Our inbox id as text.
    pub fn inbox_id(&self) -> &str {
        self.me.inbox_id.as_str()
    }
}

impl Me {
    fn from_row(row: &IdentityRow) -> Result<Self> {
        let corrupt = || Error::new(Code::StorageCorrupt, "the stored identity cannot be read");
        let seed: [u8; 32] = row.seed.as_slice().try_into().map_err(|_| corrupt())?;
        let key = InstallationKey::from_seed(&seed);
        let identifier = Identifier::from_wire(row.identifier_kind, row.identifier.clone(), None)
            .ok_or_else(corrupt)?;
        Ok(Self {
            inbox_id: InboxId::parse(&row.inbox_id).map_err(|_| corrupt())?,
            installation: key.id(),
            key,
            identifier,
        })
    }
}

/// Opens the vault's client, or tells that there is none yet.
pub async fn stored_identity<E: Env>(vault: &Db<E>) -> Result<Option<IdentityRow>> {
    Ok(vault.identity().await?.0)
}

/// The vault type of an environment.
pub type EnvVault<E> = Vault<<E as Env>::Store>;
