//! One connection to one database: opened when needed, dropped when it is of no use, opened again.
//!
//! It gives way to an upgrade or a deletion elsewhere at once, never waits for ever, and never makes a database where
//! one was expected.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures::lock::Mutex;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Event, IdbDatabase};

use super::Callback;
use super::failure::Failure;
use super::marker;
use super::migrations::Step;
use super::open::{Absent, Opened, open};
use crate::store::StoreError;

/// A database and our connection to it, if there is one now.
pub(super) struct Connection {
    name: String,
    steps: &'static [Step],
    deadline: Duration,
    state: RefCell<State>,
    /// Held while opening, so that many calls on a lost connection open one.
    opening: Mutex<()>,
    version_changed: Cell<bool>,
}

enum State {
    Open(Rc<Live>),
    Lost,
    Closed,
}

impl Connection {
    /// Opens the database called `name`. If there is none: makes it if `absent` allows that and no marker says that
    /// there was one.
    pub(super) async fn new(
        name: &str,
        steps: &'static [Step],
        deadline: Duration,
        absent: Absent,
    ) -> Result<Option<Rc<Self>>, StoreError> {
        let connection = Rc::new(Self {
            name: name.into(),
            steps,
            deadline,
            state: RefCell::new(State::Lost),
            opening: Mutex::new(()),
            version_changed: Cell::new(false),
        });
        let mut opened = connection.open(Absent::Leave).await?;
        if opened.is_none() {
            if let Some(installation) = marker::read(name, deadline).await? {
                return Err(StoreError::MissingButExpected {
                    installation: Some(installation),
                });
            }
            if absent == Absent::Make {
                opened = connection.open(Absent::Make).await?;
            }
        }
        let Some(opened) = opened else {
            return Ok(None);
        };
        connection
            .state
            .replace(State::Open(Live::new(opened, &connection)));
        Ok(Some(connection))
    }

    /// The name of the database.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether another context has changed the version of the database, or deleted it, while we had it open.
    pub(super) fn version_changed(&self) -> bool {
        self.version_changed.get()
    }

    /// The live connection, opened again if it was lost.
    pub(super) async fn live(self: &Rc<Self>) -> Result<Rc<Live>, StoreError> {
        if let Some(live) = self.current()? {
            return Ok(live);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(live) = self.current()? {
            return Ok(live);
        }
        let Some(opened) = self.open(Absent::Leave).await? else {
            let installation = marker::read(&self.name, self.deadline).await?;
            return Err(StoreError::MissingButExpected { installation });
        };
        self.current()?; // closed meanwhile
        let live = Live::new(opened, self);
        self.state.replace(State::Open(Rc::clone(&live)));
        Ok(live)
    }

    /// Gives up `live`, unless a newer connection has already taken its place.
    pub(super) fn lose(&self, live: &IdbDatabase) {
        let mut state = self.state.borrow_mut();
        if matches!(&*state, State::Open(current) if current.database() == live) {
            let _lost = std::mem::replace(&mut *state, State::Lost);
        }
    }

    /// Closes for good. Transactions that run end as they would.
    pub(super) fn close(&self) {
        if let State::Open(live) = self.state.replace(State::Closed) {
            live.opened.0.close();
        }
    }

    fn current(&self) -> Result<Option<Rc<Live>>, StoreError> {
        match &*self.state.borrow() {
            State::Open(live) => Ok(Some(Rc::clone(live))),
            State::Lost => Ok(None),
            State::Closed => Err(StoreError::Closed),
        }
    }

    /// Opens, and once more if the first attempt failed for no lasting reason.
    async fn open(&self, absent: Absent) -> Result<Option<Opened>, StoreError> {
        let mut reason = String::new();
        for _ in 0..2 {
            match open(&self.name, self.steps, absent, self.deadline).await {
                Ok(opened) => return Ok(opened),
                Err(Failure::Store(error)) => return Err(error),
                Err(Failure::Lost(name)) => reason = name,
            }
        }
        Err(StoreError::Unavailable {
            retryable: true,
            reason,
        })
    }
}

/// A connection that was live when we last heard of it. Closed when dropped.
pub(super) struct Live {
    opened: Opened,
    _on_close: Callback,
    _on_version_change: Callback,
}

impl Live {
    fn new(opened: Opened, connection: &Rc<Connection>) -> Rc<Self> {
        let on_close = {
            let connection = Rc::downgrade(connection);
            Closure::new(move |event: Event| drop(lost(&connection, &event)))
        };
        let on_version_change = {
            let connection = Rc::downgrade(connection);
            Closure::new(move |event: Event| {
                // To close at once lets transactions that run end, and the other context go ahead.
                if let Some(connection) = lost(&connection, &event) {
                    connection.version_changed.set(true);
                }
            })
        };
        opened
            .0
            .set_onclose(Some(on_close.as_ref().unchecked_ref()));
        opened
            .0
            .set_onversionchange(Some(on_version_change.as_ref().unchecked_ref()));
        Rc::new(Self {
            opened,
            _on_close: on_close,
            _on_version_change: on_version_change,
        })
    }

    pub(super) fn database(&self) -> &IdbDatabase {
        &self.opened.0
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.opened.0.set_onclose(None);
        self.opened.0.set_onversionchange(None);
    }
}

/// Closes the database an event is about, and gives up our connection if it is that one.
fn lost(connection: &Weak<Connection>, event: &Event) -> Option<Rc<Connection>> {
    let database = event.target()?.dyn_into::<IdbDatabase>().ok()?;
    database.close();
    let connection = connection.upgrade()?;
    connection.lose(&database);
    Some(connection)
}
