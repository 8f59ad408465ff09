//! Counters, in Prometheus' text format. Labels name RPCs and codes only: nothing about who.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{rpc::Rpc, status::Code};

/// Upper bounds of the latency buckets, microseconds.
const LATENCY_BOUNDS: [u64; 10] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000,
];

/// All counters of a node.
#[derive(Debug, Default)]
pub struct Metrics {
    calls: [[AtomicU64; Code::ALL.len()]; Rpc::ALL.len()],
    latency: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    latency_sum_us: AtomicU64,
    transactions: AtomicU64,
    records: AtomicU64,
    connections: AtomicU64,
}

/// What is read at the moment of asking.
#[derive(Clone, Copy, Debug)]
pub struct Gauges {
    /// Live subscribers.
    pub subscribers: usize,
}

impl Metrics {
    /// A finished unary call, or the opening of a stream.
    pub fn call(&self, rpc: Rpc, code: Code, took: Duration) {
        let code = Code::ALL.iter().position(|other| *other == code);
        if let Some(counter) = code.and_then(|code| self.calls.get(rpc as usize)?.get(code)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS.partition_point(|bound| *bound < us);
        if let Some(counter) = self.latency.get(bucket) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.latency_sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// A transaction of the log.
    pub fn batch(&self, records: usize) {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// An accepted connection.
    pub fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// The page for `/metrics`.
    pub fn render(&self, gauges: Gauges) -> String {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut out = String::new();
        // Writing to a string cannot fail.
        let mut line = |text: std::fmt::Arguments<'_>| {
            let _ = out.write_fmt(text);
            out.push('\n');
        };
        line(format_args!("# TYPE sotto_calls_total counter"));
        for (rpc, codes) in Rpc::ALL.iter().zip(&self.calls) {
            for (code, counter) in Code::ALL.iter().zip(codes) {
                let count = load(counter);
                if count > 0 {
                    line(format_args!(
                        "sotto_calls_total{{rpc=\"{}\",code=\"{code:?}\"}} {count}",
                        rpc.name()
                    ));
                }
            }
        }
        line(format_args!("# TYPE sotto_call_seconds histogram"));
        let mut below = 0;
        for (bound, counter) in LATENCY_BOUNDS.iter().zip(&self.latency) {
            below += load(counter);
            let seconds = Duration::from_micros(*bound).as_secs_f64();
            line(format_args!(
                "sotto_call_seconds_bucket{{le=\"{seconds}\"}} {below}"
            ));
        }
        let total: u64 = self.latency.iter().map(load).sum();
        let sum = Duration::from_micros(load(&self.latency_sum_us)).as_secs_f64();
        line(format_args!(
            "sotto_call_seconds_bucket{{le=\"+Inf\"}} {total}"
        ));
        line(format_args!("sotto_call_seconds_sum {sum}"));
        line(format_args!("sotto_call_seconds_count {total}"));
        for (name, kind, value) in [
            (
                "sotto_log_transactions_total",
                "counter",
                load(&self.transactions),
            ),
            ("sotto_log_records_total", "counter", load(&self.records)),
            (
                "sotto_connections_total",
                "counter",
                load(&self.connections),
            ),
            ("sotto_subscribers", "gauge", gauges.subscribers as u64),
        ] {
            line(format_args!("# TYPE {name} {kind}"));
            line(format_args!("{name} {value}"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_counts_calls_and_its_histogram_is_cumulative() {
        let metrics = Metrics::default();
        metrics.call(Rpc::GetInboxIds, Code::Ok, Duration::from_millis(2));
        metrics.call(Rpc::GetInboxIds, Code::Ok, Duration::from_secs(60));
        let page = metrics.render(Gauges { subscribers: 3 });
        assert!(page.contains("sotto_calls_total{rpc=\"GetInboxIds\",code=\"Ok\"} 2"));
        assert!(page.contains("sotto_call_seconds_bucket{le=\"0.001\"} 0"));
        assert!(page.contains("sotto_call_seconds_bucket{le=\"0.0025\"} 1"));
        assert!(page.contains("sotto_call_seconds_bucket{le=\"+Inf\"} 2"));
        assert!(page.contains("sotto_subscribers 3"));
    }
}
