//! The accept loop: timers on everything, so that slow clients cost nobody else anything.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::TrustedProxies;

/// How strangers are kept within bounds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long request headers may take.
    pub header_timeout: Duration,
    /// Connections from one address; listed proxies may have any number.
    pub connections_per_address: usize,
    /// Connections in all.
    pub connections: usize,
    /// Proxies whose word about the client's address is taken.
    pub proxies: TrustedProxies,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            connections_per_address: 64,
            connections: 20_000,
            proxies: TrustedProxies::default(),
        }
    }
}

/// An address of this machine that nobody listens on, for programs that must be told theirs before they start. Its port is below those
/// that systems give to clients: none of their connections takes it meanwhile.
///
/// # Errors
/// When no such port is found.
pub fn unused_address() -> std::io::Result<SocketAddr> {
    let mut tried = Err(std::io::ErrorKind::AddrInUse.into());
    for _ in 0..64 {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes)?;
        let port = 0x4000 | u16::from_be_bytes(bytes) & 0x3fff;
        tried = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port)).and_then(|l| l.local_addr());
        if tried.is_ok() {
            break;
        }
    }
    tried
}

/// Among a request's extensions: says when the server is told to stop, so that answers without an end have one.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Waits until the server is told to stop.
    pub async fn stopped(&mut self) {
        stopped(&mut self.0).await;
    }
}

/// Serves `router` on `listener` until `stop` says so, then lets requests under way finish for ten seconds.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let limits = Arc::new(limits);
    let counter = Counter::default();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Also when the sender is gone: nobody can say stop any more, so nobody wants us to run.
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let exempt = limits.proxies.contains(peer.ip());
                let most = if exempt { usize::MAX } else { limits.connections_per_address };
                if connections.len() < limits.connections
                    && let Some(place) = counter.enter(peer.ip(), most)
                {
                    connections.spawn(connection(stream, peer, router.clone(), limits.clone(), stop.clone(), place));
                }
            }
            Err(error) => {
                // Out of descriptors, most likely: taking a breath lets some close.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(10), finished).await.is_err() {
        connections.abort_all();
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await.map(drop);
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Arc<Limits>,
    mut stop: watch::Receiver<bool>,
    _place: CounterPlace,
) {
    // Answers are small; waiting to fill a packet only makes them late.
    let _ = stream.set_nodelay(true);
    let proxies = limits.proxies.clone();
    let stopping = Stopping(stop.clone());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let address = proxies.client(peer, request.headers());
        request.extensions_mut().insert(address);
        request.extensions_mut().insert(stopping.clone());
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(64)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_header_list_size(16 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A broken connection is the client's affair.
        _ = connection.as_mut() => {}
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Counts connections by address.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Counter {
    fn enter(&self, address: IpAddr, most: usize) -> Option<CounterPlace> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        (*count < most).then(|| {
            *count += 1;
            CounterPlace { counter: self.clone(), address }
        })
    }
}

/// Gives the place back when the connection ends.
struct CounterPlace {
    counter: Counter,
    address: IpAddr,
}

impl Drop for CounterPlace {
    fn drop(&mut self) {
        let mut counts = self.counter.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}
