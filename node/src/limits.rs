//! Rate limits per client address.
//!
//! An address is only ever kept as a keyed hash, for as long as its bucket is not full, and the
//! key is replaced every day. IPv6 clients count by their /64, which is what one customer gets.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{status::Status, view::lock};

/// How long one hash key is used.
const KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How often full buckets are forgotten.
const SWEEP: Duration = Duration::from_secs(60);
const SHARDS: usize = 16;

/// A token bucket that refills by fractions.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A bucket that holds its whole burst.
    pub fn full(burst: f64) -> Self {
        Self {
            tokens: burst,
            at: Instant::now(),
        }
    }

    /// Takes `cost` tokens if they are there.
    pub fn take(&mut self, cost: f64, burst: f64, per_second: f64) -> bool {
        self.take_at(Instant::now(), cost, burst, per_second)
            .is_ok()
    }

    /// Takes `cost` tokens, or says how long until they are there. A cost above the burst needs a
    /// full bucket and leaves it in debt, so that large batches are slowed and not shut out.
    fn take_at(
        &mut self,
        now: Instant,
        cost: f64,
        burst: f64,
        per_second: f64,
    ) -> Result<(), Duration> {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * per_second).min(burst);
        self.at = now;
        let needed = cost.min(burst);
        if self.tokens >= needed {
            self.tokens -= cost;
            return Ok(());
        }
        let wait = (needed - self.tokens) / per_second.max(f64::MIN_POSITIVE);
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }

    fn is_full(&self, now: Instant, rate: Rate) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens + elapsed * rate.per_second() >= f64::from(rate.burst)
    }
}

/// What a request is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charge {
    /// Publishing: one for each message.
    Write,
    /// Everything else: one for each call or stream.
    Read,
    /// Opening a connection.
    Connection,
}

/// A steady rate and a burst on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a minute; 0 switches the limit off.
    pub per_minute: u32,
    /// Tokens that a rested client has.
    pub burst: u32,
}

impl Rate {
    fn per_second(self) -> f64 {
        f64::from(self.per_minute) / 60.0
    }
}

/// The rates of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// For [`Charge::Write`].
    pub writes: Rate,
    /// For [`Charge::Read`].
    pub reads: Rate,
    /// For [`Charge::Connection`].
    pub connections: Rate,
}

/// A client address, hashed. Means nothing after a day, or outside this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(u64);

/// The limiter.
pub struct Limiter {
    rates: Rates,
    key: Mutex<(RandomState, Instant)>,
    buckets: Vec<Mutex<Shard>>,
}

struct Shard {
    buckets: HashMap<(ClientKey, Charge), Bucket>,
    swept: Instant,
}

impl Limiter {
    /// A limiter without any memory yet.
    pub fn new(rates: Rates) -> Self {
        let now = Instant::now();
        Self {
            rates,
            key: Mutex::new((RandomState::new(), now)),
            buckets: (0..SHARDS)
                .map(|_| {
                    Mutex::new(Shard {
                        buckets: HashMap::new(),
                        swept: now,
                    })
                })
                .collect(),
        }
    }

    /// Hashes an address with today's key.
    pub fn client(&self, address: IpAddr) -> ClientKey {
        let mut key = lock(&self.key);
        if key.1.elapsed() > KEY_LIFETIME {
            *key = (RandomState::new(), Instant::now());
        }
        ClientKey(key.0.hash_one(prefix(address)))
    }

    /// Charges a client.
    ///
    /// # Errors
    /// `ResourceExhausted` with the time after which there is room.
    pub fn charge(&self, client: ClientKey, charge: Charge, cost: usize) -> Result<(), Status> {
        self.charge_at(Instant::now(), client, charge, cost)
            .map_err(Status::limited)
    }

    fn charge_at(
        &self,
        now: Instant,
        client: ClientKey,
        charge: Charge,
        cost: usize,
    ) -> Result<(), Duration> {
        let rate = self.rate(charge);
        if rate.per_minute == 0 {
            return Ok(());
        }
        let burst = f64::from(rate.burst);
        // The remainder is below the length.
        let mut shard = lock(&self.buckets[(client.0 % SHARDS as u64) as usize]);
        if now.saturating_duration_since(shard.swept) > SWEEP {
            shard.swept = now;
            shard
                .buckets
                .retain(|(_, charge), bucket| !bucket.is_full(now, self.rate(*charge)));
        }
        let bucket = shard.buckets.entry((client, charge)).or_insert(Bucket {
            tokens: burst,
            at: now,
        });
        // Costs are counts of items in one request.
        let cost = f64::from(u32::try_from(cost).unwrap_or(u32::MAX));
        bucket.take_at(now, cost, burst, rate.per_second())
    }

    fn rate(&self, charge: Charge) -> Rate {
        match charge {
            Charge::Write => self.rates.writes,
            Charge::Read => self.rates.reads,
            Charge::Connection => self.rates.connections,
        }
    }
}

/// What one customer of a network provider has: an IPv4 address, or an IPv6 /64.
fn prefix(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h, ..] = v6.octets();
            [a, b, c, d, e, f, g, h]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_minute: u32, burst: u32) -> Limiter {
        let rate = Rate { per_minute, burst };
        Limiter::new(Rates {
            writes: rate,
            reads: rate,
            connections: rate,
        })
    }

    #[test]
    fn a_bucket_refills_by_fractions_however_often_it_is_used() {
        let limiter = limiter(60, 1);
        let client = limiter.client([127, 0, 0, 1].into());
        let start = Instant::now();
        let mut granted = 0;
        for step in 0..1_000 {
            let now = start + Duration::from_millis(step * 10);
            granted += u32::from(limiter.charge_at(now, client, Charge::Read, 1).is_ok());
        }
        // Ten seconds at one a second, asked a hundred times a second.
        assert!((9..=11).contains(&granted), "{granted}");
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let limiter = limiter(60, 2);
        let client = limiter.client([127, 0, 0, 1].into());
        let now = Instant::now();
        assert!(limiter.charge_at(now, client, Charge::Write, 2).is_ok());
        let wait = limiter
            .charge_at(now, client, Charge::Write, 1)
            .unwrap_err();
        assert!(
            limiter
                .charge_at(now + wait, client, Charge::Write, 1)
                .is_ok()
        );
    }

    #[test]
    fn a_batch_above_the_burst_passes_once_and_leaves_a_debt() {
        let limiter = limiter(60, 10);
        let client = limiter.client([127, 0, 0, 1].into());
        let now = Instant::now();
        assert!(limiter.charge_at(now, client, Charge::Write, 50).is_ok());
        let wait = limiter
            .charge_at(now, client, Charge::Write, 1)
            .unwrap_err();
        assert!(wait > Duration::from_secs(40), "{wait:?}");
    }

    #[test]
    fn clients_are_told_apart_by_address_and_ipv6_by_its_prefix() {
        let limiter = limiter(60, 1);
        let key = |text: &str| limiter.client(text.parse().unwrap());
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let limiter = limiter(60, 1);
        let now = Instant::now();
        for last in 0..100 {
            let client = limiter.client([10, 0, 0, last].into());
            limiter.charge_at(now, client, Charge::Read, 1).unwrap();
        }
        for last in 0..100 {
            let client = limiter.client([10, 0, 1, last].into());
            let later = now + Duration::from_secs(3_600);
            limiter.charge_at(later, client, Charge::Read, 1).unwrap();
        }
        let kept: usize = limiter
            .buckets
            .iter()
            .map(|shard| lock(shard).buckets.len())
            .sum();
        assert!(kept <= 116, "{kept}");
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let limiter = limiter(0, 0);
        let client = limiter.client([127, 0, 0, 1].into());
        assert!((0..10_000).all(|_| limiter.charge(client, Charge::Read, 1).is_ok()));
    }
}
