//! A client that is tested: its adapter on one side, a server in order behind a proxy that makes trouble on the other.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::checks::{Checked, Stop};

/// Longer than any purchase takes, with everything that can be lost on the way.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client, as its adapter speaks for it: a line of JSON asks, a line answers.
pub(crate) struct Adapter {
    child: Child,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// What a client says that it did.
#[derive(Debug)]
pub(crate) enum Did {
    Done(Value),
    Refused(String),
    /// It does not know.
    Unknown(String),
}

impl Adapter {
    pub(crate) fn start(command: &str) -> anyhow::Result<Self> {
        let mut words = command.split_whitespace();
        let mut program = Command::new(words.next().context("name the adapter's program")?);
        program.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = program.spawn().with_context(|| format!("starting {command}"))?;
        let asks = child.stdin.take().context("no standard input")?;
        let answers = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Self { child, asks, answers })
    }

    pub(crate) async fn ask(&mut self, what: &Value) -> Checked<Did> {
        let asked = async {
            self.asks.write_all(format!("{what}\n").as_bytes()).await?;
            self.asks.flush().await?;
            self.answers.next_line().await
        };
        let line = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => return Err(format!("the adapter ended at {what}").into()),
            Ok(Err(error)) => return Err(format!("the adapter: {error}").into()),
            Err(_) => return Err(format!("no answer to {what} within {} s", PATIENCE.as_secs()).into()),
        };
        let said: Value = serde_json::from_str(&line).map_err(|e| format!("the adapter said {line:?}: {e}"))?;
        let why = |name: &str| said[name].as_str().map(str::to_owned);
        match (said.get("ok"), why("refused"), why("unknown")) {
            (Some(done), ..) => Ok(Did::Done(done.clone())),
            (_, Some(why), _) => Ok(Did::Refused(why)),
            (.., Some(why)) => Ok(Did::Unknown(why)),
            _ => Err(format!("the adapter said {line}").into()),
        }
    }

    pub(crate) async fn end(mut self) {
        drop(self.asks);
        if tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// A request that went through.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The path with what comes after the question mark.
    pub(crate) whole: String,
    /// As what this proxy was asked.
    pub(crate) host: String,
    pub(crate) secret: String,
    pub(crate) key: String,
    pub(crate) body: Bytes,
}

/// What becomes of an answer.
pub(crate) enum Way {
    /// It arrives, as it was or changed.
    Arrives,
    /// The request is done, and nobody hears.
    Lost,
    /// This instead of what the server said; and whether the server was asked at all.
    Instead { asked: bool, status: StatusCode, body: Value, headers: Vec<(&'static str, String)> },
}

/// What becomes of a request, of which so many came before.
type WayOf = dyn Fn(&Passed, usize) -> Way + Send + Sync;
/// What becomes of the document at a path.
type Change = dyn Fn(&str, &mut Value) + Send + Sync;

/// Trouble: what becomes of each request, by how many of its kind came before; and answers that are changed.
pub(crate) struct Trouble {
    way: Box<WayOf>,
    change: Box<Change>,
}

impl Trouble {
    pub(crate) fn none() -> Self {
        Self { way: Box::new(|_, _| Way::Arrives), change: Box::new(|_, _| ()) }
    }

    pub(crate) fn way(way: impl Fn(&Passed, usize) -> Way + Send + Sync + 'static) -> Self {
        Self { way: Box::new(way), ..Self::none() }
    }

    pub(crate) fn change(change: impl Fn(&str, &mut Value) + Send + Sync + 'static) -> Self {
        Self { change: Box::new(change), ..Self::none() }
    }
}

/// A proxy in front of a server in order.
pub(crate) struct Between {
    pub(crate) origin: String,
    pub(crate) passed: Arc<Mutex<Vec<Passed>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Between {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Middle {
    address: String,
    http: reqwest::Client,
    trouble: Trouble,
    passed: Arc<Mutex<Vec<Passed>>>,
}

impl Between {
    /// A place for one, whose address is known before there is anything behind it.
    pub(crate) async fn listen() -> anyhow::Result<(tokio::net::TcpListener, String)> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        Ok((listener, origin))
    }

    pub(crate) fn start(
        listener: tokio::net::TcpListener,
        origin: String,
        address: String,
        trouble: Trouble,
    ) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let passed = Arc::new(Mutex::new(Vec::new()));
        let middle = Arc::new(Middle { address, http, trouble, passed: passed.clone() });
        let router = Router::new().fallback(pass).with_state(middle);
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { origin, passed, serving })
    }

    /// Requests of this kind that went through.
    pub(crate) fn seen(&self, method: &Method, ends: &str) -> Vec<Passed> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.iter().filter(|p| p.method == *method && p.path.ends_with(ends)).cloned().collect()
    }
}

async fn pass(State(middle): State<Arc<Middle>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let text = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let passed = Passed {
        method: head.method.clone(),
        path: path.clone(),
        whole: head.uri.path_and_query().map_or(path.as_str(), |p| p.as_str()).to_owned(),
        host: text("host"),
        secret: text("authorization"),
        key: text("idempotency-key"),
        body: body.clone(),
    };
    let before = {
        let mut all = middle.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.iter().filter(|p| p.method == passed.method && p.path == path).count();
        all.push(passed.clone());
        before
    };
    let way = (middle.trouble.way)(&passed, before);
    let instead = |status: StatusCode, body: Value, headers: Vec<(&'static str, String)>| {
        let mut response = (status, body.to_string()).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        for (name, value) in headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    };
    if let Way::Instead { asked: false, status, body, headers } = way {
        return instead(status, body, headers);
    }
    let mut asked = middle.http.request(head.method, format!("{}{}", middle.address, passed.whole));
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != "host") {
        asked = asked.header(name, value);
    }
    let Ok(answer) = asked.body(body).send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut bytes = answer.bytes().await.unwrap_or_default();
    match way {
        Way::Instead { status, body, headers, .. } => return instead(status, body, headers),
        Way::Lost => {
            // The connection breaks in the middle of the answer.
            let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("lost"))]);
            return Body::from_stream(broken).into_response();
        }
        Way::Arrives => {}
    }
    if let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) {
        let was = value.clone();
        (middle.trouble.change)(&path, &mut value);
        if value != was {
            bytes = value.to_string().into();
        }
    }
    let mut response = (status, bytes).into_response();
    for (name, value) in &headers {
        if !["content-length", "transfer-encoding", "etag"].contains(&name.as_str()) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// A problem, as a server would say it.
pub(crate) fn problem(status: u16, code: &str) -> Value {
    json!({"type": format!("urn:admit:problem:{code}"), "code": code, "status": status, "title": "Not now", "detail": "try again",
        "retryable": true, "retry_after_ms": 50})
}

impl Did {
    pub(crate) fn done(self) -> Result<Value, Stop> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(why) => Err(format!("it was refused: {why}").into()),
            Self::Unknown(why) => Err(format!("it says that it does not know what was done: {why}").into()),
        }
    }

    pub(crate) fn must_not_be_done(self, what: &str) -> Result<(), Stop> {
        match self {
            Self::Done(done) => Err(format!("{what}, and it says that it is done: {done}").into()),
            _ => Ok(()),
        }
    }
}
