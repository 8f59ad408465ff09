//! Identity logs of everybody we meet: fetched, verified from the first entry, kept, resolved at
//! exact sequence ids. A log with one invalid entry is unusable as a whole; it is never patched.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use prost::Message;
use sotto_proto::identity_api::VerifySmartContractWalletSignatureRequestSignature as ContractQuestion;

use super::db::Db;
use super::env::Env;
use super::registration::update_error;
use super::rows::IdentityLogRow;
use crate::error::{Code, Error, Result};
use crate::gather::Gather;
use crate::identity::{
    AssociationState, ContractAnswers, InboxId, InstallationId, SignatureRequest, SignedUpdate,
};
use crate::mls::{IdentityStates, Lookup};
use crate::net::api::Api;
use crate::store::{Changes, Durability, Key, Table};

/// Pauses before each attempt to read an entry that a peer cites.
const ID_WAIT: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(900),
    Duration::from_millis(2_700),
    Duration::from_millis(6_000),
];

/// Resolved logs, in memory and in the store.
pub struct Identities<E: Env> {
    env: Rc<E>,
    api: Rc<Api<E>>,
    db: Rc<Db<E>>,
    known: RefCell<Rc<HashMap<String, Known>>>,
}

/// What is known of one inbox: the state after each entry of its log.
#[derive(Clone, Default)]
struct Known {
    states: BTreeMap<u64, Rc<AssociationState>>,
    installations: BTreeMap<u64, Rc<BTreeSet<InstallationId>>>,
    /// The log holds an entry that does not verify.
    broken: bool,
    /// The node was asked for entries up to here, and has none above the last state.
    asked: u64,
}

impl Known {
    fn is_short_of(&self, sequence_id: u64) -> bool {
        !self.broken && self.end() < sequence_id && self.asked < sequence_id
    }

    fn end(&self) -> u64 {
        self.states
            .last_key_value()
            .map_or(0, |(sequence_id, _)| *sequence_id)
    }

    fn push(&mut self, sequence_id: u64, state: AssociationState) {
        self.installations
            .insert(sequence_id, Rc::new(state.installations()));
        self.states.insert(sequence_id, Rc::new(state));
    }
}

impl<E: Env> Identities<E> {
    /// An empty cache over the store and the node.
    pub fn new(env: Rc<E>, api: Rc<Api<E>>, db: Rc<Db<E>>) -> Self {
        Self {
            env,
            api,
            db,
            known: RefCell::default(),
        }
    }

    /// The newest state known of an inbox, with its sequence id.
    pub fn latest(&self, inbox: &str) -> Option<(u64, Rc<AssociationState>)> {
        let known = self.known.borrow();
        let (sequence_id, state) = known.get(inbox)?.states.last_key_value()?;
        Some((*sequence_id, Rc::clone(state)))
    }

    /// The state of an inbox exactly at a sequence id, if it is known.
    pub fn at(&self, inbox: &str, sequence_id: u64) -> Option<Rc<AssociationState>> {
        self.known
            .borrow()
            .get(inbox)?
            .states
            .get(&sequence_id)
            .cloned()
    }

    /// Brings the stored logs of `inboxes` into memory, without the network.
    pub async fn load(&self, inboxes: impl IntoIterator<Item = String>) -> Result<()> {
        for inbox in inboxes {
            if self.known.borrow().contains_key(&inbox) {
                continue;
            }
            let log = self.db.identity_log(&inbox, 0).await?;
            let entries = log
                .into_iter()
                .map(|(sequence_id, row)| (sequence_id, row.update))
                .collect();
            let mut known = Known::default();
            self.extend(&mut known, entries).await?;
            if known.end() > 0 || known.broken {
                Rc::make_mut(&mut self.known.borrow_mut()).insert(inbox, known);
            }
        }
        Ok(())
    }

    /// Fetches what is new in the logs of `inboxes`, verifies and stores it.
    pub async fn refresh(&self, inboxes: &[String]) -> Result<()> {
        self.load(inboxes.iter().cloned()).await?;
        // A name that is no inbox id has no log; asking a node for it is refused.
        let inboxes: Vec<&String> = inboxes
            .iter()
            .filter(|inbox| InboxId::parse(inbox).is_ok())
            .collect();
        if inboxes.is_empty() {
            return Ok(());
        }
        let wanted: Vec<(String, u64)> = inboxes
            .iter()
            .map(|inbox| {
                (
                    (*inbox).clone(),
                    self.known.borrow().get(*inbox).map_or(0, Known::end),
                )
            })
            .collect();
        let answers = self.api.get_identity_updates(&wanted).await?;
        let mut changes = Changes::new();
        changes.durability(Durability::Relaxed);
        for (inbox, updates) in inboxes.into_iter().zip(answers) {
            if updates.is_empty() {
                continue;
            }
            let mut known = self.known.borrow().get(inbox).cloned().unwrap_or_default();
            let floor = known.end();
            let fresh: Vec<_> = updates
                .into_iter()
                .filter(|entry| entry.sequence_id > floor)
                .collect();
            let entries = fresh
                .iter()
                .map(|entry| (entry.sequence_id, entry.update.clone().unwrap_or_default()))
                .collect();
            self.extend(&mut known, entries).await?;
            if !known.broken {
                for entry in fresh {
                    let row = IdentityLogRow {
                        update: entry.update.unwrap_or_default(),
                        server_ns: entry.server_timestamp_ns,
                    };
                    let key = Key::new(
                        Table::IdentityLogs,
                        inbox.as_bytes(),
                        entry.sequence_id.to_be_bytes(),
                    );
                    changes.put(key, row.encode_to_vec());
                }
            }
            Rc::make_mut(&mut self.known.borrow_mut()).insert(inbox.clone(), known);
        }
        if !changes.is_empty() {
            self.db.apply(changes).await?;
        }
        Ok(())
    }

    /// Makes each (inbox, sequence id) resolvable if the node's log allows it. An identity update
    /// may become readable slightly after a commit that cites it: so it is asked for several times
    /// (CV-IDWAIT, permissions.md 7.6) before it counts as absent.
    pub async fn resolve(&self, wanted: &[(String, u64)]) -> Result<()> {
        self.load(wanted.iter().map(|(inbox, _)| inbox.clone()))
            .await?;
        for pause in ID_WAIT {
            let missing: BTreeSet<String> = wanted
                .iter()
                .filter(|(inbox, sequence_id)| {
                    self.known
                        .borrow()
                        .get(inbox)
                        .is_none_or(|known| known.is_short_of(*sequence_id))
                })
                .map(|(inbox, _)| inbox.clone())
                .gather();
            if missing.is_empty() {
                return Ok(());
            }
            self.env.sleep(pause).await;
            self.refresh(&missing.into_iter().collect::<Vec<_>>())
                .await?;
        }
        let mut known = self.known.borrow_mut();
        let known = Rc::make_mut(&mut known);
        for (inbox, sequence_id) in wanted {
            let known = known.entry(inbox.clone()).or_default();
            known.asked = known.asked.max(*sequence_id);
        }
        Ok(())
    }

    /// The newest state of an inbox, fetched from the node. An inbox without a log, or with one
    /// that does not verify, is an error.
    pub async fn require(&self, inbox: &str) -> Result<(u64, Rc<AssociationState>)> {
        self.refresh(&[inbox.to_owned()]).await?;
        if self
            .known
            .borrow()
            .get(inbox)
            .is_some_and(|known| known.broken)
        {
            return Err(Error::new(
                Code::InvalidIdentity,
                "the inbox's identity log does not verify",
            ));
        }
        self.latest(inbox)
            .ok_or_else(|| Error::new(Code::NotFound, "there is no such inbox on this network"))
    }

    /// For synchronous MLS code: what is in memory now, to be asked about exact positions.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            known: Rc::clone(&self.known.borrow()),
        }
    }

    /// Verifies and appends entries. A failing entry marks the log as broken.
    async fn extend(&self, known: &mut Known, entries: Vec<(u64, Vec<u8>)>) -> Result<()> {
        for (sequence_id, bytes) in entries {
            let Ok(update) = SignedUpdate::decode(&bytes) else {
                known.broken = true;
                return Ok(());
            };
            let answers = self.ask_contracts(&update).await?;
            let state = known
                .states
                .last_key_value()
                .map(|(_, state)| Rc::clone(state));
            match AssociationState::apply(state.as_deref(), &update, &answers) {
                Ok(next) => known.push(sequence_id, next),
                Err(_) => {
                    known.broken = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether the inbox's log up to `sequence_id` has held exactly one installation ever.
    pub fn only_one_installation_ever(&self, inbox: &str, sequence_id: u64) -> bool {
        let known = self.known.borrow();
        let Some(known) = known.get(inbox) else {
            return false;
        };
        let ever: BTreeSet<InstallationId> = known
            .installations
            .range(..=sequence_id)
            .flat_map(|(_, installations)| installations.iter().copied())
            .gather();
        ever.len() == 1
    }

    /// Whether an inbox's stored log holds exactly these bytes.
    pub async fn holds_update(&self, inbox: &str, update: &[u8]) -> Result<bool> {
        Ok(self
            .db
            .identity_log(inbox, 0)
            .await?
            .iter()
            .any(|(_, row)| row.update == update))
    }

    /// Refuses an update that its inbox's log would not take, before anybody else sees it. One
    /// that the log holds already is fine: sending it again changes nothing.
    pub async fn expect_valid(&self, request: &SignatureRequest, update: &[u8]) -> Result<()> {
        let inbox = request.inbox_id();
        self.load([inbox.to_owned()]).await?;
        let check = || {
            let state = self.latest(inbox).map(|(_, state)| state);
            let update = SignedUpdate::decode(update)?;
            AssociationState::apply(state.as_deref(), &update, &request.answers())
        };
        if check().is_ok() {
            return Ok(());
        }
        // What is at hand may be behind.
        self.refresh(&[inbox.to_owned()]).await?;
        if self.holds_update(inbox, update).await? {
            return Ok(());
        }
        check().map(drop).map_err(|error| update_error(&error))
    }

    /// Has the node check an update's contract-wallet signatures.
    pub async fn ask_contracts(&self, update: &SignedUpdate) -> Result<ContractAnswers> {
        let mut answers = ContractAnswers::new();
        for check in update.contract_checks() {
            let question = ContractQuestion {
                account_id: check.account_id.clone(),
                block_number: Some(check.block_number),
                signature: check.signature.clone(),
                hash: check.hash.to_vec(),
            };
            let answer = self.api.verify_contract_signature(question).await?;
            answers.insert(check, answer.is_valid);
        }
        Ok(answers)
    }
}

/// Identity states in memory, for one synchronous piece of work.
pub struct Snapshot {
    known: Rc<HashMap<String, Known>>,
}

impl IdentityStates for Snapshot {
    fn installations(&self, inbox: &str, sequence_id: u64) -> Lookup<'_> {
        match self.known.get(inbox) {
            None => Lookup::NotLoaded,
            Some(known) => match known.installations.get(&sequence_id) {
                Some(installations) => Lookup::Known(installations),
                None if known.is_short_of(sequence_id) => Lookup::NotLoaded,
                None => Lookup::Absent {
                    previous: known
                        .states
                        .range(..sequence_id)
                        .next_back()
                        .map_or(0, |(id, _)| *id),
                },
            },
        }
    }
}
