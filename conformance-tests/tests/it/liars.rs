//! Servers of ours as anybody would run them, the suite as anybody would call it, and proxies that lie.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;

fn beside(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_admit-conformance")).with_file_name(name);
    assert!(program.is_file(), "{} is not there: cargo build --workspace", program.display());
    program
}

/// A server of ours with a small programme, until it is dropped.
pub(crate) struct Serving {
    pub(crate) origin: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A cinema with this programme, or an index, served by the program. `origin` is what it calls itself: its own address, or that of a
/// proxy in front of it.
pub(crate) fn serve_at(origin: Option<&str>, programme: Option<&Value>) -> Serving {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").to_string();
    let address = format!("http://{listen}");
    let origin = origin.unwrap_or(&address);
    let of = if programme.is_some() { "cinema" } else { "index" };
    let run = |arguments: &[&str]| {
        let output = Command::new(beside("admit")).arg("--development").args(arguments).output().expect("runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let data = folder.path().join(of);
    let text = data.to_str().expect("a path");
    run(&[of, "init", text, "--origin", origin, "--listen", &listen, "--name", "K", "--email", "a@b.example"]);
    if let Some(programme) = programme {
        // What is not offered is looked at, too.
        let settings = data.join("server.toml");
        let text_of = fs::read_to_string(&settings).expect("reads");
        assert!(text_of.contains("waitlist = true"), "{text_of}");
        fs::write(&settings, text_of.replace("waitlist = true", "waitlist = false")).expect("writes");
        let file = folder.path().join("programme.json");
        fs::write(&file, programme.to_string()).expect("writes");
        run(&["cinema", "import", "--yes", text, file.to_str().expect("a path")]);
    }
    let mut command = Command::new(beside("admit"));
    command.args(["--development", "serve", of, text]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut serving = Serving { origin: address, child: command.spawn().expect("starts"), _folder: folder };
    let began = Instant::now();
    while std::net::TcpStream::connect(&listen).is_err() {
        let ended = serving.child.try_wait().expect("asks").is_some();
        assert!(!ended && began.elapsed() < Duration::from_secs(10), "it did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    serving
}

/// What the suite says.
pub(crate) fn suite(arguments: &[&str]) -> Value {
    let output = Command::new(beside("admit-conformance")).arg("--json").args(arguments).output().expect("runs");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(output.status.success(), report["failed"] == 0, "the exit code says the same");
    report
}

pub(crate) fn failed(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().expect("checks").iter().filter(|c| c["outcome"] == "failed");
    checks.map(|c| c["musts"][0].as_str().expect("a number").to_owned()).collect()
}

/// An answer on its way: what it was asked, its status, headers and body.
pub(crate) struct Passing<'a> {
    pub(crate) path: &'a str,
    query: &'a str,
    pub(crate) response: &'a mut http::Response<Vec<u8>>,
}

impl Passing<'_> {
    /// Whether this is among what was asked.
    pub(crate) fn asked(&self, part: &str) -> bool {
        self.query.contains(part)
    }

    pub(crate) fn is(&self, part: &str) -> bool {
        self.path.contains(part)
    }

    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        if let Ok(mut value) = serde_json::from_slice(self.response.body()) {
            change(&mut value);
            *self.response.body_mut() = value.to_string().into_bytes();
        }
    }

    pub(crate) fn header(&mut self, name: &'static str, value: &'static str) {
        self.response.headers_mut().insert(name, value.parse().expect("a header"));
    }
}

/// A lie, and the first of the sentences that it breaks.
pub(crate) type Liar = (&'static str, &'static str, fn(&mut Passing<'_>));

struct Proxy {
    server: String,
    http: reqwest::Client,
    lie: fn(&mut Passing<'_>),
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_else(|_| Bytes::new());
    let mut asked = proxy.http.request(head.method, format!("{}{path}", proxy.server));
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != "host") {
        asked = asked.header(name, value);
    }
    let answer = asked.body(body).send().await.expect("the server answers");
    let mut response = http::Response::new(vec![]);
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = answer.bytes().await.expect("a body").to_vec();
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    (proxy.lie)(&mut Passing { path, query, response: &mut response });
    response.headers_mut().remove("content-length");
    response.headers_mut().remove("transfer-encoding");
    response.map(Into::into)
}

/// Each lies about one thing, through a proxy in front of a server that does not, and is caught at it; who passes everything on is not.
pub(crate) async fn who_lies_is_caught(
    programme: Option<Value>,
    liars: &'static [Liar],
    ask: fn(&str, usize) -> Value,
) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("its address"));
    // Behind a proxy that passes everything on, it calls itself what the proxy is called.
    let server = serve_at(Some(&origin), programme.as_ref());
    let mut listener = Some(listener);
    let honest: Liar = ("", "everything is passed on", |_| ());
    for (n, (must, what, lie)) in [honest].iter().chain(liars).enumerate() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let proxy = Arc::new(Proxy { server: server.origin.clone(), http, lie: *lie });
        let listening = match listener.take() {
            Some(listener) => listener,
            None => tokio::net::TcpListener::bind(origin.strip_prefix("http://").expect("http")).await.expect("again"),
        };
        let router = Router::new().fallback(pass).with_state(proxy);
        let serving = tokio::spawn(async move { axum::serve(listening, router).await });
        let asked = origin.clone();
        let report = tokio::task::spawn_blocking(move || ask(&asked, n)).await.expect("looks");
        let failed = failed(&report);
        if must.is_empty() {
            assert_eq!(failed, [""; 0], "{what}");
        } else {
            assert!(failed.iter().any(|f| f == must), "{what}: {must} is not among {failed:?}");
        }
        serving.abort();
        let _ = serving.await;
    }
}
