//! A [`SystemTime`] that can be pinned, for targets without a clock of their own.

use std::cell::RefCell;
use std::time::Duration;

/// The start of Unix time.
pub const UNIX_EPOCH: SystemTime = SystemTime(Duration::ZERO);

/// A moment, as the time since [`UNIX_EPOCH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SystemTime(Duration);

/// The second moment was later than the first; how much later.
#[derive(Clone, Debug)]
pub struct SystemTimeError(Duration);

/// The times of one [`Pin`] and how often they were asked for.
struct Pinned {
    times: Vec<u64>,
    readings: usize,
}

thread_local! {
    static PINS: RefCell<Vec<Pinned>> = const { RefCell::new(Vec::new()) };
}

/// Holds the time still for the calling thread until it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Pin {
    depth: usize,
}

/// Makes [`SystemTime::now`] answer the given Unix times (in seconds), one a call and the last
/// one for ever, while the returned guard lives. An empty list leaves the clock alone.
pub fn pin(seconds: &[u64]) -> Pin {
    PINS.with(|pins| {
        let mut pins = pins.borrow_mut();
        pins.push(Pinned {
            times: seconds.to_vec(),
            readings: 0,
        });
        Pin { depth: pins.len() }
    })
}

impl Pin {
    /// How often the clock was read under this pin.
    #[must_use]
    pub fn readings(&self) -> usize {
        PINS.with(|pins| {
            let pins = pins.borrow();
            let pinned = self.depth.checked_sub(1).and_then(|index| pins.get(index));
            pinned.map_or(0, |pinned| pinned.readings)
        })
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        PINS.with(|pins| pins.borrow_mut().truncate(self.depth.saturating_sub(1)));
    }
}

impl SystemTime {
    /// The present, or the pinned time.
    #[must_use]
    pub fn now() -> Self {
        let pinned = PINS.with(|pins| {
            let mut pins = pins.borrow_mut();
            let pinned = pins.last_mut()?;
            let time = pinned
                .times
                .get(pinned.readings)
                .or(pinned.times.last())
                .copied();
            pinned.readings += 1;
            time
        });
        Self(pinned.map_or_else(clock, Duration::from_secs))
    }

    /// How long ago `earlier` was, seen from `self`.
    ///
    /// # Errors
    ///
    /// If `earlier` is the later one.
    pub fn duration_since(&self, earlier: SystemTime) -> Result<Duration, SystemTimeError> {
        self.0
            .checked_sub(earlier.0)
            .ok_or_else(|| SystemTimeError(earlier.0.saturating_sub(self.0)))
    }
}

impl SystemTimeError {
    /// How much later the second moment was.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.0
    }
}

impl std::fmt::Display for SystemTimeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("second time provided was later than self")
    }
}

impl std::error::Error for SystemTimeError {}

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
fn clock() -> Duration {
    let milliseconds = js_sys::Date::now();
    if milliseconds.is_finite() && milliseconds > 0.0 {
        // A cast saturates, so this cannot overflow.
        Duration::from_millis(milliseconds as u64)
    } else {
        Duration::ZERO
    }
}

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
fn clock() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    }

    #[test]
    fn an_unpinned_clock_shows_the_present() {
        assert!(now() > 1_700_000_000);
    }

    #[test]
    fn pinned_times_are_handed_out_one_a_call_and_the_last_one_stays() {
        let pin = pin(&[10, 20]);
        assert_eq!([now(), now(), now()], [10, 20, 20]);
        assert_eq!(pin.readings(), 3);
        drop(pin);
        assert!(now() > 1_700_000_000);
    }

    #[test]
    fn the_inner_pin_wins_and_the_outer_one_returns() {
        let _outer = pin(&[10]);
        {
            let _inner = pin(&[20]);
            assert_eq!(now(), 20);
        }
        assert_eq!(now(), 10);
    }

    #[test]
    fn a_later_moment_has_no_duration_since_an_earlier_one_the_other_way_round() {
        let early = SystemTime(Duration::from_secs(1));
        let late = SystemTime(Duration::from_secs(3));
        assert_eq!(late.duration_since(early).unwrap(), Duration::from_secs(2));
        assert_eq!(
            early.duration_since(late).unwrap_err().duration(),
            Duration::from_secs(2)
        );
    }
}
