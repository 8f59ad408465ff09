//! A log of one node: the rows of the view are the log, written by one thread.
//!
//! Everything that waits while a transaction commits goes into the next one, so the cost of
//! making data durable is shared by all who publish at the same time.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::future::{BoxFuture, FutureExt};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{Log, Submitted};
use crate::{
    fanout::Fanout,
    metrics::Metrics,
    record::{Record, Stored},
    status::Status,
    view::{self, Outcome, Position, View, lock},
};

/// Submissions that may wait for the writer.
const QUEUE: usize = 4_096;
/// Records and bytes in one transaction.
const BATCH_RECORDS: usize = 2_048;
const BATCH_BYTES: usize = 16 << 20;
/// The only shard of this log.
const SHARD: u8 = 0;

struct Submission {
    records: Vec<Record>,
    answer: oneshot::Sender<Result<Vec<Outcome>, Status>>,
}

struct Committed {
    /// For each submission.
    outcomes: Vec<Vec<Outcome>>,
    /// What is new, in order.
    published: Vec<Stored<Record>>,
}

/// A log whose only writer is this process.
pub struct LocalLog {
    queue: Mutex<Option<mpsc::Sender<Submission>>>,
    finished: Mutex<Option<oneshot::Receiver<()>>>,
}

impl LocalLog {
    /// Starts the writer thread.
    ///
    /// # Errors
    /// When the position cannot be read or the thread cannot be started.
    pub fn start(view: &View, fanout: Arc<Fanout>, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let connection = view.writer();
        let position =
            view::load_position(&lock(&connection), SHARD).map_err(std::io::Error::other)?;
        let (queue, submissions) = mpsc::channel(QUEUE);
        let (done, finished) = oneshot::channel();
        let writer = Writer {
            connection,
            position,
            fanout,
            metrics,
        };
        thread::Builder::new().name("log".into()).spawn(move || {
            writer.run(submissions);
            let _ = done.send(());
        })?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            finished: Mutex::new(Some(finished)),
        })
    }
}

impl Log for LocalLog {
    fn submit(&self, records: Vec<Record>) -> Submitted {
        let queue = lock(&self.queue).clone();
        async move {
            let (answer, outcome) = oneshot::channel();
            let queue = queue.ok_or_else(Status::draining)?;
            queue
                .send(Submission { records, answer })
                .await
                .map_err(|_| Status::draining())?;
            outcome
                .await
                .map_err(|_| Status::storage(&"the writer is gone"))?
        }
        .boxed()
    }

    fn catch_up(&self) -> BoxFuture<'static, Result<(), Status>> {
        // The view is written before anything is answered.
        futures_util::future::ready(Ok(())).boxed()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        lock(&self.queue).take();
        let finished = lock(&self.finished).take();
        async move {
            if let Some(finished) = finished {
                let _ = finished.await;
            }
        }
        .boxed()
    }
}

struct Writer {
    connection: Arc<Mutex<Connection>>,
    position: Position,
    fanout: Arc<Fanout>,
    metrics: Arc<Metrics>,
}

impl Writer {
    fn run(mut self, mut submissions: mpsc::Receiver<Submission>) {
        while let Some(first) = submissions.blocking_recv() {
            let (mut records, mut bytes) = weight(&first);
            let mut batch = vec![first];
            while records < BATCH_RECORDS && bytes < BATCH_BYTES {
                let Ok(next) = submissions.try_recv() else {
                    break;
                };
                let (more_records, more_bytes) = weight(&next);
                records += more_records;
                bytes += more_bytes;
                batch.push(next);
            }
            self.metrics.batch(records);
            self.write(batch);
        }
        // Leaves one file without a log beside it, if nobody reads any more.
        let _ = lock(&self.connection).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    fn write(&mut self, batch: Vec<Submission>) {
        let (answers, records): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|submission| (submission.answer, submission.records))
            .unzip();
        match self.commit(records) {
            Ok(committed) => {
                self.fanout.publish(committed.published);
                for (answer, outcomes) in answers.into_iter().zip(committed.outcomes) {
                    let _ = answer.send(Ok(outcomes));
                }
            }
            Err(error) => {
                let status = Status::storage(&error);
                for answer in answers {
                    let _ = answer.send(Err(status.clone()));
                }
            }
        }
    }

    /// One transaction. The position moves only if it commits.
    fn commit(&mut self, submissions: Vec<Vec<Record>>) -> rusqlite::Result<Committed> {
        let mut connection = lock(&self.connection);
        let transaction = connection.transaction()?;
        let mut position = self.position;
        let mut published = Vec::new();
        let mut outcomes = Vec::with_capacity(submissions.len());
        for records in submissions {
            let mut results = Vec::with_capacity(records.len());
            for record in records {
                let next = Position {
                    last_id: position.last_id + 1,
                    last_ns: now_ns().max(position.last_ns + 1),
                };
                let outcome = view::apply(&transaction, next.last_id, next.last_ns, &record)?;
                results.push(outcome);
                if let Outcome::Stored(_) = outcome {
                    position = next;
                    published.push(Stored {
                        id: next.last_id,
                        created_ns: next.last_ns,
                        item: record,
                    });
                }
            }
            outcomes.push(results);
        }
        if position != self.position {
            view::save_position(&transaction, SHARD, position)?;
        }
        transaction.commit()?;
        self.position = position;
        Ok(Committed {
            outcomes,
            published,
        })
    }
}

fn weight(submission: &Submission) -> (usize, usize) {
    let bytes = submission.records.iter().map(Record::size).sum();
    (submission.records.len(), bytes)
}

/// The wall clock, Unix nanoseconds.
fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
