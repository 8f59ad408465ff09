//! Accepting connections, and ending them in order.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{Request, Version};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    config::Config,
    contract::Chains,
    fanout::{Fanout, QueueLimits},
    http::{Files, Gated, Guard, UPLOAD_UNIT, Web},
    limits::{Charge, Limiter},
    log::{LocalLog, Log},
    metrics::Metrics,
    node::{Inboxes, Node, RequestLimits, draining},
    proxies::TrustedProxies,
    subscribe::session::SessionLimits,
    view::{OpenError, View},
};

/// Bytes that wait for one slow subscriber before it is cut off.
const QUEUE_BYTES: usize = 16 << 20;
/// Bytes of large requests that are held at the same time, all clients together.
const UPLOAD_BYTES: usize = 256 << 20;
/// Parallel calls and streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 1_000;
/// Flow control: enough for large uploads without a pause for every window.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// HTTP/2 pings find peers that have vanished; theirs are answered by the library at any rate.
const H2_PING_INTERVAL: Duration = Duration::from_secs(30);
const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a request's head, or the next request of an idle connection, may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The address, a thread or a directory.
    #[error("{what}: {error}")]
    Io {
        /// What failed.
        what: &'static str,
        /// How.
        error: io::Error,
    },
}

/// A node that listens.
pub struct Server {
    address: SocketAddr,
    log: Arc<dyn Log>,
    drain: watch::Sender<bool>,
    drain_time: Duration,
    accepting: JoinHandle<()>,
    /// Yields `None` when no connection is left.
    connections: mpsc::Receiver<Infallible>,
}

impl Server {
    /// Opens the store, listens, and serves until [`Server::shutdown`].
    ///
    /// # Errors
    /// When the store, the address or the directory of files cannot be opened.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let io = |what| move |error| StartError::Io { what, error };
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(io("cannot listen"))?;
        let address = listener.local_addr().map_err(io("cannot listen"))?;
        let files = match &config.www {
            Some(directory) => Some(Files::new(directory).map_err(io("cannot serve --www"))?),
            None => None,
        };
        let view = Arc::new(View::open(&config.store.0, config.readers)?);
        let metrics = Arc::new(Metrics::default());
        let fanout = Fanout::start(QueueLimits {
            messages: config.queue,
            bytes: QUEUE_BYTES,
        })
        .map_err(io("cannot start a thread"))?;
        let log = LocalLog::start(&view, Arc::clone(&fanout), Arc::clone(&metrics))
            .map_err(io("cannot start the log"))?;
        let log: Arc<dyn Log> = Arc::new(log);
        let (drain, draining) = watch::channel(false);
        let node = Arc::new(Node {
            log: Arc::clone(&log),
            view,
            fanout,
            limiter: Limiter::new(config.rates()),
            limits: RequestLimits {
                request_bytes: config.max_request,
                envelope_bytes: config.max_envelope,
                batch: config.max_batch,
                topics: config.max_topics,
            },
            uploads: Arc::new(Semaphore::new(
                UPLOAD_BYTES.max(config.max_request).div_ceil(UPLOAD_UNIT),
            )),
            session: SessionLimits {
                topics: config.max_topics,
                keepalive: config.keepalive(),
            },
            contracts: Arc::new(Chains::new(&config.eth_rpc)),
            metrics,
            drain: draining,
            inboxes: Inboxes::default(),
        });
        let web = Arc::new(Web {
            node,
            files,
            websocket: !config.no_websocket,
            proxies: TrustedProxies(config.trusted_proxy.clone()),
        });
        let (alive, connections) = mpsc::channel(1);
        let accepting = tokio::spawn(accept(listener, web, config.max_connections, alive));
        Ok(Self {
            address,
            log,
            drain,
            drain_time: Duration::from_secs(config.drain_seconds),
            accepting,
            connections,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops in order: takes no connections, ends streams, lets calls finish for a bounded time,
    /// then closes the store. Everything that was acknowledged is stored.
    pub async fn shutdown(mut self) {
        self.drain.send_replace(true);
        let _ = self.accepting.await;
        if timeout(self.drain_time, self.connections.recv())
            .await
            .is_err()
        {
            tracing::warn!("some connections did not finish in time");
        }
        self.log.close().await;
    }
}

/// The accept loop. `alive` lives as long as any connection.
async fn accept(
    listener: TcpListener,
    web: Arc<Web>,
    max_connections: usize,
    alive: mpsc::Sender<Infallible>,
) {
    let slots = Arc::new(Semaphore::new(max_connections));
    let mut drain = web.node.drain.clone();
    loop {
        let accepted = tokio::select! {
            () = draining(&mut drain) => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: trying again at once would spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let peer = peer.ip();
        let client = web.node.limiter.client(peer);
        let welcome = web.proxies.contains(peer)
            || web
                .node
                .limiter
                .charge(client, Charge::Connection, 1)
                .is_ok();
        // Dropping the stream is the answer.
        let Some(slot) = Arc::clone(&slots)
            .try_acquire_owned()
            .ok()
            .filter(|_| welcome)
        else {
            continue;
        };
        web.node.metrics.connection();
        let (web, alive) = (Arc::clone(&web), alive.clone());
        tokio::spawn(async move {
            connection(stream, peer, web, Guard::new((slot, alive))).await;
        });
    }
}

async fn connection(stream: TcpStream, peer: IpAddr, web: Arc<Web>, guard: Guard) {
    // Small frames must not wait for an acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let mut drain = web.node.drain.clone();
    let stream = Gated::new(stream);
    let gate = stream.gate();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(guard.clone());
        let (web, gate) = (Arc::clone(&web), gate.clone());
        async move {
            // HTTP/2 has frames of its own, and other streams on the same connection.
            let shares = request.version() == Version::HTTP_2;
            let response = web.serve(peer, request).await;
            Ok::<_, Infallible>(match shares {
                true => response,
                false => response.map(|body| body.with_gate(gate)),
            })
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .half_close(false)
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(H2_PING_INTERVAL)
        .keep_alive_timeout(H2_PING_TIMEOUT);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = draining(&mut drain) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
