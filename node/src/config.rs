//! Settings, by flags or environment.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::Parser;
use tracing::level_filters::LevelFilter;

use crate::{
    contract::Endpoint,
    limits::{Rate, Rates},
    proxies::Network,
    view::Location,
};

/// Runs an XMTP v3 node: gRPC, gRPC-Web and WebSocket on one port, SQLite inside.
///
/// Every flag can also be given as an environment variable.
#[derive(Clone, Debug, Parser)]
#[command(name = "sotto-node", version, max_term_width = 100)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "SOTTO_LISTEN",
        default_value = "127.0.0.1:5556",
        value_name = "ADDR:PORT"
    )]
    pub listen: SocketAddr,

    /// Where data is kept: sqlite:PATH, or memory: for trying things out
    #[arg(
        long,
        env = "SOTTO_STORE",
        default_value = "sqlite:sotto.db",
        value_name = "STORE"
    )]
    pub store: Store,

    /// Directory whose files are served over HTTP
    #[arg(long, env = "SOTTO_WWW", value_name = "DIR")]
    pub www: Option<PathBuf>,

    /// Refuse WebSockets, as other nodes do; clients then use streaming calls
    #[arg(long, env = "SOTTO_NO_WEBSOCKET")]
    pub no_websocket: bool,

    /// Proxy or network of proxies whose x-forwarded-for header is believed; may be repeated
    #[arg(
        long,
        env = "SOTTO_TRUSTED_PROXY",
        value_delimiter = ',',
        value_name = "NET"
    )]
    pub trusted_proxy: Vec<Network>,

    /// Where to ask a chain about contract wallets, as in 1=https://example.org; may be repeated
    #[allow(rustdoc::bare_urls)]
    #[arg(
        long,
        env = "SOTTO_ETH_RPC",
        value_delimiter = ',',
        hide_env_values = true,
        value_name = "CHAIN=URL"
    )]
    pub eth_rpc: Vec<Endpoint>,

    /// Published messages a minute for one client address; 0 for no limit
    #[arg(
        long,
        env = "SOTTO_WRITE_RATE",
        default_value_t = 30_000,
        value_name = "N"
    )]
    pub write_rate: u32,

    /// Published messages that a rested client may send at once
    #[arg(
        long,
        env = "SOTTO_WRITE_BURST",
        default_value_t = 30_000,
        value_name = "N"
    )]
    pub write_burst: u32,

    /// Other calls a minute for one client address; 0 for no limit
    #[arg(
        long,
        env = "SOTTO_READ_RATE",
        default_value_t = 120_000,
        value_name = "N"
    )]
    pub read_rate: u32,

    /// Other calls that a rested client may make at once
    #[arg(
        long,
        env = "SOTTO_READ_BURST",
        default_value_t = 120_000,
        value_name = "N"
    )]
    pub read_burst: u32,

    /// Connections a minute for one client address; 0 for no limit
    #[arg(
        long,
        env = "SOTTO_CONNECTION_RATE",
        default_value_t = 30_000,
        value_name = "N"
    )]
    pub connection_rate: u32,

    /// Connections that a rested client may open at once
    #[arg(
        long,
        env = "SOTTO_CONNECTION_BURST",
        default_value_t = 30_000,
        value_name = "N"
    )]
    pub connection_burst: u32,

    /// Connections open at the same time, all clients together
    #[arg(
        long,
        env = "SOTTO_MAX_CONNECTIONS",
        default_value_t = 20_000,
        value_name = "N"
    )]
    pub max_connections: usize,

    /// Bytes of one request
    #[arg(long, env = "SOTTO_MAX_REQUEST", default_value_t = 25 << 20, value_name = "BYTES")]
    pub max_request: usize,

    /// Bytes of one message, welcome or key package
    #[arg(long, env = "SOTTO_MAX_ENVELOPE", default_value_t = 5 << 20, value_name = "BYTES")]
    pub max_envelope: usize,

    /// Entries of one batch: messages, group ids, installation keys, inboxes
    #[arg(
        long,
        env = "SOTTO_MAX_BATCH",
        default_value_t = 5_000,
        value_name = "N"
    )]
    pub max_batch: usize,

    /// Topics of one stream
    #[arg(
        long,
        env = "SOTTO_MAX_TOPICS",
        default_value_t = 20_000,
        value_name = "N"
    )]
    pub max_topics: usize,

    /// Messages that wait for a slow subscriber before it is cut off
    #[arg(long, env = "SOTTO_QUEUE", default_value_t = 1_024, value_name = "N")]
    pub queue: usize,

    /// Milliseconds of silence after which a subscriber is pinged
    #[arg(
        long,
        env = "SOTTO_KEEPALIVE_MS",
        default_value_t = 20_000,
        value_name = "MS"
    )]
    pub keepalive_ms: u32,

    /// Seconds that calls and connections may take to finish at shutdown
    #[arg(
        long,
        env = "SOTTO_DRAIN_SECONDS",
        default_value_t = 10,
        value_name = "S"
    )]
    pub drain_seconds: u64,

    /// Connections to SQLite for reading
    #[arg(long, env = "SOTTO_READERS", default_value_t = 4, value_name = "N")]
    pub readers: usize,

    /// What to log: off, error, warn, info, debug or trace
    #[arg(
        long,
        env = "SOTTO_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub log_level: LevelFilter,

    /// Write logs as JSON
    #[arg(long, env = "SOTTO_LOG_JSON")]
    pub log_json: bool,
}

impl Config {
    /// Default settings on a free port, in memory: for tests and embedding.
    pub fn in_memory() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            store: Store(Location::Memory),
            ..Self::parse_from(["sotto-node"])
        }
    }

    /// The rate limits.
    pub fn rates(&self) -> Rates {
        let rate = |per_minute, burst| Rate { per_minute, burst };
        Rates {
            writes: rate(self.write_rate, self.write_burst),
            reads: rate(self.read_rate, self.read_burst),
            connections: rate(self.connection_rate, self.connection_burst),
        }
    }

    /// The ping cadence of subscriptions.
    pub fn keepalive(&self) -> Duration {
        Duration::from_millis(u64::from(self.keepalive_ms.max(1)))
    }
}

/// Where data is kept, as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store(pub Location);

/// Not a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected sqlite:PATH or memory:")]
pub struct NotAStore;

impl FromStr for Store {
    type Err = NotAStore;

    fn from_str(text: &str) -> Result<Self, NotAStore> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self(Location::Memory)),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self(Location::File(path.into()))),
            _ => Err(NotAStore),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn stores_are_named_by_scheme() {
        assert_eq!("memory:".parse(), Ok(Store(Location::Memory)));
        assert_eq!(
            "sqlite:a:b".parse(),
            Ok(Store(Location::File("a:b".into())))
        );
        for text in ["", "memory", "sqlite:", "postgres:x", "a.db"] {
            assert_eq!(text.parse::<Store>(), Err(NotAStore), "{text}");
        }
    }
}
