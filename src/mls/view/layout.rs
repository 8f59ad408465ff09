//! How a group's values lie in rows.
//!
//! | row key | row value |
//! |---|---|
//! | key of the value | version, 0, the value |
//! | key of the value | version, 1, numbers of its chunks in order (LEB128) |
//! | 0xff, key of the value, number (u32, big-endian) | version, bytes of the chunk |
//!
//! Keys of chunked values are one byte long and never 0xff. The number of a chunk that went away
//! is given to one that came, so most changes overwrite a row and few delete one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::chunks;
use super::storage::ViewError;
use super::{RowChange, Values};
use crate::gather::Gather;

/// The format of all rows of this module. A later format gets another number.
const VERSION: u8 = 1;
const WHOLE: u8 = 0;
const CHUNKED: u8 = 1;
const CHUNK_KEY: u8 = 0xff;
/// Longer values are stored in chunks.
const LONGEST_WHOLE: usize = 4 * 1024;

/// What is stored, value by value.
#[derive(Default)]
pub(super) struct Layout {
    saved: BTreeMap<Vec<u8>, Stored>,
    planned: BTreeMap<Vec<u8>, Stored>,
}

/// One value as it lies in rows.
#[derive(Clone)]
struct Stored {
    value: Rc<[u8]>,
    /// Number and chunk in order; none if the value is stored whole.
    chunks: Rc<[Numbered]>,
}

#[derive(Clone)]
struct Numbered {
    number: u32,
    start: usize,
    length: usize,
    hash: u64,
}

impl Layout {
    /// Sorts rows into values.
    pub(super) fn read(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(Values, Self), ViewError> {
        let mut heads = Vec::new();
        let mut pieces: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (key, value) in rows {
            if key.first() == Some(&CHUNK_KEY) {
                pieces.insert(key, value);
            } else {
                heads.push((key, value));
            }
        }
        let mut values = Values::new();
        let mut saved = BTreeMap::new();
        for (key, row) in heads {
            let stored = match row.as_slice() {
                [VERSION, WHOLE, value @ ..] => Stored {
                    value: Rc::from(value),
                    chunks: Rc::from([]),
                },
                [VERSION, CHUNKED, numbers @ ..] => read_chunked(&key, numbers, &pieces)?,
                _ => return Err(ViewError::UnknownFormat),
            };
            values.insert(key.clone(), Rc::clone(&stored.value));
            saved.insert(key, stored);
        }
        let layout = Self {
            saved,
            planned: BTreeMap::new(),
        };
        Ok((values, layout))
    }

    /// The rows in which `values` differ from what is stored.
    pub(super) fn changes(&mut self, values: &Values) -> Vec<RowChange> {
        self.plan(values);
        let mut changes = Vec::new();
        for (key, old) in &self.saved {
            let new = self.planned.get(key);
            if new.is_none() {
                changes.push((key.clone(), None));
            }
            let kept: BTreeSet<u32> = new.iter().flat_map(|new| new.numbers()).gather();
            let gone = old.numbers().filter(|number| !kept.contains(number));
            changes.extend(gone.map(|number| (chunk_key(key, number), None)));
        }
        for (key, new) in &self.planned {
            new.changes(key, self.saved.get(key), &mut changes);
        }
        changes
    }

    /// Takes `values` for what is stored.
    pub(super) fn mark_saved(&mut self, values: &Values) {
        self.plan(values);
        self.saved = std::mem::take(&mut self.planned);
    }

    /// Lays out `values`, reusing what is laid out already.
    fn plan(&mut self, values: &Values) {
        let mut planned = BTreeMap::new();
        for (key, value) in values {
            let same = |stored: &&Stored| Rc::ptr_eq(&stored.value, value);
            let known = self.planned.get(key).filter(same);
            let saved = self.saved.get(key);
            let stored = known
                .or_else(|| saved.filter(same))
                .cloned()
                .unwrap_or_else(|| Stored::lay_out(key, Rc::clone(value), saved));
            planned.insert(key.clone(), stored);
        }
        self.planned = planned;
    }
}

impl Stored {
    /// Lays `value` out so that as many chunks as possible are those of `old`.
    fn lay_out(key: &[u8], value: Rc<[u8]>, old: Option<&Stored>) -> Self {
        if value.len() <= LONGEST_WHOLE || key.len() != 1 {
            return Self {
                value,
                chunks: Rc::from([]),
            };
        }
        let mut known: HashMap<(usize, u64), Vec<&Numbered>> = HashMap::new();
        let mut highest = None;
        if let Some(old) = old {
            for chunk in old.chunks.iter().rev() {
                known
                    .entry((chunk.length, chunk.hash))
                    .or_default()
                    .push(chunk);
                highest = highest.max(Some(chunk.number));
            }
        }
        let mut start = 0;
        let mut laid_out: Vec<(Option<u32>, usize, usize, u64)> = Vec::new();
        for chunk in chunks::split(&value) {
            let length = chunk.bytes.len();
            let same = |stored: &&Numbered| old.is_some_and(|old| old.bytes(stored) == chunk.bytes);
            let number = known.get_mut(&(length, chunk.hash)).and_then(|candidates| {
                let position = candidates.iter().rposition(same)?;
                Some(candidates.remove(position).number)
            });
            laid_out.push((number, start, length, chunk.hash));
            start += length;
        }
        let mut free: Vec<u32> = known.into_values().flatten().map(|c| c.number).collect();
        free.sort_unstable_by(|a, b| b.cmp(a));
        let mut next = highest.map_or(0, |highest| highest.wrapping_add(1));
        let chunks = laid_out
            .into_iter()
            .map(|(number, start, length, hash)| {
                let number = number.or_else(|| free.pop()).unwrap_or_else(|| {
                    next = next.wrapping_add(1);
                    next.wrapping_sub(1)
                });
                Numbered {
                    number,
                    start,
                    length,
                    hash,
                }
            })
            .collect();
        Self { value, chunks }
    }

    fn bytes(&self, chunk: &Numbered) -> &[u8] {
        self.value
            .get(chunk.start..chunk.start + chunk.length)
            .unwrap_or_default()
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        self.chunks.iter().map(|chunk| chunk.number)
    }

    /// The rows that have to be written for this value when `old` is stored.
    fn changes(&self, key: &[u8], old: Option<&Stored>, changes: &mut Vec<RowChange>) {
        if old.is_some_and(|old| Rc::ptr_eq(&old.value, &self.value)) {
            return;
        }
        let head = self.head();
        if old.is_none_or(|old| old.head() != head) {
            changes.push((key.to_vec(), Some(Rc::from(head))));
        }
        let stored: BTreeMap<u32, &[u8]> = old.map_or_else(BTreeMap::new, |old| {
            old.chunks.iter().map(|c| (c.number, old.bytes(c))).gather()
        });
        for chunk in self.chunks.iter() {
            let bytes = self.bytes(chunk);
            if stored.get(&chunk.number) != Some(&bytes) {
                let row = [&[VERSION], bytes].concat();
                changes.push((chunk_key(key, chunk.number), Some(Rc::from(row))));
            }
        }
    }

    fn head(&self) -> Vec<u8> {
        if self.chunks.is_empty() {
            return [&[VERSION, WHOLE], &*self.value].concat();
        }
        let mut row = vec![VERSION, CHUNKED];
        for mut number in self.numbers() {
            while number >= 0x80 {
                row.push((number & 0x7f) as u8 | 0x80);
                number >>= 7;
            }
            row.push(number as u8);
        }
        row
    }
}

fn chunk_key(key: &[u8], number: u32) -> Vec<u8> {
    [&[CHUNK_KEY], key, &number.to_be_bytes()].concat()
}

fn read_chunked(
    key: &[u8],
    numbers: &[u8],
    pieces: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> Result<Stored, ViewError> {
    let mut value = Vec::new();
    let mut chunks = Vec::new();
    for number in read_numbers(numbers)? {
        let piece = pieces
            .get(&chunk_key(key, number))
            .ok_or(ViewError::MissingChunk)?;
        let [VERSION, bytes @ ..] = piece.as_slice() else {
            return Err(ViewError::UnknownFormat);
        };
        chunks.push((number, value.len(), bytes.len()));
        value.extend_from_slice(bytes);
    }
    // The fingerprints are those that a split of the value gives; chunks that it cuts elsewhere
    // are never reused, which is harmless.
    let hashes: BTreeMap<usize, u64> = chunks::split(&value)
        .iter()
        .scan(0, |start, chunk| {
            let at = *start;
            *start += chunk.bytes.len();
            Some((at, chunk.hash))
        })
        .gather();
    let chunks = chunks
        .into_iter()
        .map(|(number, start, length)| Numbered {
            number,
            start,
            length,
            hash: hashes.get(&start).copied().unwrap_or_default(),
        })
        .collect();
    Ok(Stored {
        value: Rc::from(value),
        chunks,
    })
}

fn read_numbers(bytes: &[u8]) -> Result<Vec<u32>, ViewError> {
    let mut numbers = Vec::new();
    let mut number = 0u32;
    let mut shift = 0;
    for byte in bytes {
        let bits = u32::from(byte & 0x7f);
        number |= bits.checked_shl(shift).ok_or(ViewError::UnknownFormat)?;
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
            shift = 0;
        } else {
            shift += 7;
        }
    }
    if shift == 0 {
        Ok(numbers)
    } else {
        Err(ViewError::UnknownFormat)
    }
}
