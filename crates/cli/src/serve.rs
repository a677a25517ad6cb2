//! Running servers.

use std::net::SocketAddr;
use std::path::PathBuf;

use admit_control::{Control, Stores};
use admit_http::listen::{Limits, serve};
use admit_http::{TrustedProxies, headers};
use admit_index::{Index, SqliteStore as IndexStore};
use admit_outbound::Courier;
use admit_protocol::origin::OriginPolicy;
use admit_server::management::Management;
use admit_server::{Cinema, Farewell};
use anyhow::{Context as _, anyhow, ensure};
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::folder::{Folder, ServerFile, read_origin};
use crate::{Context, show};

#[derive(Subcommand)]
pub(crate) enum Serve {
    /// A cinema's server: buyers, scanners, and staff under /manage/v1.
    Cinema {
        /// The folder, from `admit cinema init`.
        folder: PathBuf,
        /// Another address to listen on than the one in server.toml: for a second process that sells from the same PostgreSQL.
        #[arg(long)]
        listen: Option<String>,
    },
    /// What is said at an address that a cinema left: where it is now. It needs the keys and settings of the folder, and no database.
    Farewell {
        /// The cinema's folder: its server.toml has the new origin, and this one under `moved_from`.
        folder: PathBuf,
        /// The origin that it left, such as `https://old.example`.
        from: String,
        /// Where to listen: behind the proxy that serves the old origin.
        #[arg(long, default_value = "127.0.0.1:8081")]
        listen: SocketAddr,
    },
    /// An index.
    Index {
        /// The folder, from `admit index init`.
        folder: PathBuf,
    },
    /// Test control, for a conformance suite: cinemas whose clock it moves, on this machine. Says where it is, and its secret.
    Control {
        /// Where to listen: an address of this machine.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// A PostgreSQL in which each run makes a schema of its own, instead of files.
        #[arg(long)]
        postgres: Option<String>,
    },
}

impl Serve {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Cinema { folder, listen } => cinema(Folder(folder), listen, context).await,
            Self::Farewell { folder, from, listen } => farewell(&Folder(folder), &from, listen, context).await,
            Self::Index { folder } => index(Folder(folder), context).await,
            Self::Control { listen, postgres } => control(listen, postgres, context).await,
        }
    }
}

async fn cinema(folder: Folder, listen: Option<String>, context: &Context) -> anyhow::Result<()> {
    let mut server = folder.server()?;
    if let Some(listen) = listen {
        ensure!(
            server.database.is_some(),
            "one process sells from a folder: a second one needs `database` in server.toml"
        );
        server.listen = listen;
    }
    let address = server.check_listen()?;
    let store = folder.cinema_store()?;
    let rules = server.rules.clone().unwrap_or_default();
    rules.check().map_err(|e| anyhow!("{}: {e}", folder.file("server.toml").display()))?;
    let mut builder = Cinema::builder(server.origin.clone())
        .rules(rules)
        .operator(server.operator()?, server.contact())
        .moved_from(server.moved_from.clone())
        .keys(folder.keys()?)
        .shared_store(store.clone())
        // The outcome of a commit is unknown: only a restart finds out, so do not go on for a moment (D2).
        .on_poisoned(|| std::process::exit(3));
    if server.origin.is_loopback() {
        builder = builder.development();
    }
    if let Some(mib) = server.houses_mb {
        builder = builder.memory_for_houses(mib);
    }
    if server.notifications {
        let origins = if server.origin.is_loopback() { OriginPolicy::Loopback } else { OriginPolicy::Public };
        builder = builder.notifications(Courier::new(origins, None)?);
    }
    if server.receipts {
        builder = builder.receipts();
    }
    let cinema = builder.build()?;
    tokio::spawn({
        let cinema = cinema.clone();
        async move { cinema.keep_house().await }
    });
    let management = Management::new(cinema.clone(), store);
    let router = management.with_counter().merge(management.router());
    let router = headers::everywhere(router, move || cinema.now());
    run(router, address, &server, context).await
}

async fn farewell(folder: &Folder, from: &str, listen: SocketAddr, context: &Context) -> anyhow::Result<()> {
    let server = folder.server()?;
    let left = read_origin(from, context.development || server.origin.is_loopback())?;
    let file = folder.file("server.toml");
    ensure!(
        server.moved_from.contains(&left),
        "{left} is not under `moved_from` of {}, whose origin is {}: write it there, and the new origin as `origin`, first",
        file.display(),
        server.origin
    );
    ensure!(left != server.origin, "{left} is where it is now: write the new origin into {}", file.display());
    let farewell = Farewell {
        before: server.moved_from.iter().filter(|origin| **origin != left).cloned().collect(),
        from: left.clone(),
        to: server.origin.clone(),
        operator: server.operator()?,
        contact: server.contact(),
        keys: folder.keys()?,
    };
    let server = ServerFile { origin: left, ..server };
    run(farewell.router(), listen, &server, context).await
}

async fn index(folder: Folder, context: &Context) -> anyhow::Result<()> {
    let server = folder.server()?;
    ensure!(server.moved_from.is_empty(), "server.toml has `moved_from`: an index does not move");
    let address = server.check_listen()?;
    let index = Index::open(folder.index_settings()?, IndexStore::open(&folder.0)?)?;
    run(headers::everywhere(index.router(), Timestamp::now), address, &server, context).await
}

async fn control(listen: SocketAddr, postgres: Option<String>, context: &Context) -> anyhow::Result<()> {
    ensure!(listen.ip().is_loopback(), "test control is for this machine alone, and {listen} is not on it");
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listening on {listen}"))?;
    let (address, secret) = (listener.local_addr()?, admit_control::new_secret()?);
    let control = Control::new(secret.clone(), postgres.map_or(Stores::Sqlite, Stores::Postgres));
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(listener, control.router(), Limits::default(), stopped));
    let url = format!("http://{address}");
    if context.json {
        show::json_line(&json!({"control": url, "secret": secret}))?;
    } else {
        show::line(&format!("test control is at {url}, secret {secret}; stop it with Ctrl-C"));
        show::line(&format!("admit-conformance server --control {url} --secret {secret}"));
    }
    asked_to_stop().await?;
    stop.send(true)?;
    Ok(serving.await?)
}

/// Serves until Ctrl-C or SIGTERM, then finishes what is under way.
async fn run(router: axum::Router, address: SocketAddr, server: &ServerFile, context: &Context) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let (stop, stopped) = watch::channel(false);
    let limits = Limits {
        proxies: TrustedProxies::new(server.trusted_proxies.iter().copied()),
        connections_per_address: server.connections_per_address,
        ..Limits::default()
    };
    let serving = tokio::spawn(serve(listener, router, limits, stopped));
    if context.json {
        show::json(&json!({"origin": server.origin, "listen": address}))?;
    } else {
        show::line(&format!("{} serves on {address}; stop it with Ctrl-C", server.origin));
    }
    asked_to_stop().await?;
    stop.send(true)?;
    Ok(serving.await?)
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn asked_to_stop() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}
