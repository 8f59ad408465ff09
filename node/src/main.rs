//! The `sotto-node` command.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use sotto_node::{Config, Server};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    start_logging(config.log_level, config.log_json);
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sotto-node: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    // Before anything is announced, so that a signal right after is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::bind(config).await?;
    // Standard output is for programs that start the node; it may be closed.
    let _ = writeln!(
        std::io::stdout(),
        "listening on http://{}",
        server.local_addr()
    );
    let _ = std::io::stdout().flush();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("shutting down");
    server.shutdown().await;
    Ok(())
}

/// Logs go to standard error. Libraries are heard from `warn` up whatever the level: what they
/// say about a connection may name its peer or what it carries.
fn start_logging(level: LevelFilter, json: bool) {
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("sotto_node", level);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if json {
        registry.with(layer.json()).init();
    } else {
        registry.with(layer).init();
    }
}
