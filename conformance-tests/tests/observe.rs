//! Our own server keeps every sentence that is looked at, and servers that lie about one thing each are caught.
//!
//! The server is the program `admit`, as anybody would run it; liars are proxies in front of it that change its answers.

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
use serde_json::{Value, json};

fn beside(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_admit-conformance")).with_file_name(name);
    assert!(program.is_file(), "{} is not there: cargo build --workspace", program.display());
    program
}

/// A server of ours with a small programme, until it is dropped.
struct Serving {
    origin: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn programme() -> Value {
    let money = |amount: i64| json!({"amount": amount, "currency": "EUR"});
    let offer = |zone: &str, amount: i64| {
        json!({"ticket_type": "adult", "zone": zone, "base": money(amount), "total": money(amount + 150),
            "fees": [{"id": "booking", "name": {"en": "Fee"}, "amount": money(150)}]})
    };
    json!({
        "layouts": {"one": {
            "screen": {"from": {"x": 0, "y": 0}, "to": {"x": 300, "y": 0}}, "focal_point": {"x": 90, "y": 300},
            "zones": [{"id": "all", "name": {"en": "All"}}],
            "seats": [
                {"id": "A1", "row": "A", "number": "1", "x": 30, "y": 300, "zone": "all", "right": "A2", "kind": "wheelchair_space"},
                {"id": "A2", "row": "A", "number": "2", "x": 90, "y": 300, "zone": "all", "left": "A1", "right": "A3",
                    "kind": "companion", "companion_of": ["A1"]},
                {"id": "A3", "row": "A", "number": "3", "x": 150, "y": 300, "zone": "all", "left": "A2"},
            ]}},
        "price_tables": {"all": {"currency": "EUR",
            "ticket_types": [{"id": "adult", "name": {"en": "Adult"}, "audience": "adult"}], "offers": [offer("all", 1000)]}},
        "cinemas": [{"id": "kino", "name": {"en": "Kino"}, "zone": "Europe/Prague", "currency": "EUR",
            "address": {"street": "1", "city": {"en": "Prague"}, "country": "CZ"}, "position": {"lat_e6": 0, "lon_e6": 0},
            "halls": [{"id": "one", "name": {"en": "One"}, "layout": "one"}]}],
        "films": [{"id": "film", "title": {"en": "Film"}, "runtime_min": 90, "versions": [{"id": "v", "kind": "silent"}]}],
        "screenings": (1..=3).map(|n| json!({"id": format!("show-{n}"), "cinema": "kino", "hall": "one",
            "starts": format!("today+{n} 20:00"), "items": [{"film": "film"}], "price_table": "all"})).collect::<Vec<_>>(),
    })
}

/// `origin` is what it calls itself: its own address, or that of a proxy in front of it.
fn serve(origin: Option<&str>) -> Serving {
    serving(origin, &programme())
}

/// A larger hall, whose first screening is for tests.
fn for_tests() -> Value {
    let mut programme = programme();
    let seat = |n: usize| {
        let mut seat =
            json!({"id": format!("B{n}"), "row": "B", "number": n.to_string(), "x": n * 60, "y": 400, "zone": "all"});
        (n > 1).then(|| seat["left"] = json!(format!("B{}", n - 1)));
        (n < 30).then(|| seat["right"] = json!(format!("B{}", n + 1)));
        seat
    };
    let seats = programme["layouts"]["one"]["seats"].as_array_mut().expect("seats");
    seats.extend((1..=30).map(seat));
    programme["screenings"][0]["attributes"] = json!(["test"]);
    programme["screenings"][0]["cancellation"] =
        json!({"tiers": [{"until_before_start_s": 3600, "refund_percent": 100}]});
    programme
}

fn serving(origin: Option<&str>, programme: &Value) -> Serving {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").to_string();
    let address = format!("http://{listen}");
    let origin = origin.unwrap_or(&address);
    let kino = folder.path().join("kino");
    let run = |arguments: &[&str]| {
        let output = Command::new(beside("admit")).arg("--development").args(arguments).output().expect("runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let text = kino.to_str().expect("a path");
    run(&["cinema", "init", text, "--origin", origin, "--listen", &listen, "--name", "K", "--email", "a@b.example"]);
    // What is not offered is looked at, too.
    let settings = kino.join("server.toml");
    let text_of = fs::read_to_string(&settings).expect("reads");
    assert!(text_of.contains("waitlist = true"), "{text_of}");
    fs::write(&settings, text_of.replace("waitlist = true", "waitlist = false")).expect("writes");
    let file = folder.path().join("programme.json");
    fs::write(&file, programme.to_string()).expect("writes");
    run(&["cinema", "import", "--yes", text, file.to_str().expect("a path")]);
    let mut command = Command::new(beside("admit"));
    command.args(["--development", "serve", "cinema", text]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut serving = Serving { origin: address, child: command.spawn().expect("starts"), _folder: folder };
    let began = Instant::now();
    while std::net::TcpStream::connect(&listen).is_err() {
        let ended = serving.child.try_wait().expect("asks").is_some();
        assert!(!ended && began.elapsed() < Duration::from_secs(10), "it did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    serving
}

/// What the program says of a server.
fn look(origin: &str) -> Value {
    suite(&["--url", origin])
}

fn suite(arguments: &[&str]) -> Value {
    let output =
        Command::new(beside("admit-conformance")).args(["--json", "server"]).args(arguments).output().expect("runs");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(output.status.success(), report["failed"] == 0, "the exit code says the same");
    report
}

fn failed(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().expect("checks").iter().filter(|c| c["outcome"] == "failed");
    checks.map(|c| c["musts"][0].as_str().expect("a number").to_owned()).collect()
}

#[test]
fn our_own_server_keeps_every_sentence_and_is_left_as_it_was() {
    let serving = serve(None);
    let report = look(&serving.origin);
    assert_eq!(failed(&report), [""; 0], "{report}");
    assert!(report["passed"].as_u64() > Some(25), "{report}");
    let again = look(&serving.origin);
    assert_eq!(report, again, "looking changes nothing");
}

#[test]
fn at_a_screening_for_tests_it_acts_and_gives_everything_back() {
    let serving = serving(None, &for_tests());
    let report = suite(&["--url", &serving.origin, "--sandbox"]);
    assert_eq!(failed(&report), [""; 0], "{report}");
    assert!(report["passed"].as_u64() > Some(50), "{report}");
    let seats = |screening: &str| {
        let url = format!("{}/v1/screenings/{screening}/seats", serving.origin);
        let asked = Command::new("curl").args(["-s", &url]).output().expect("curl");
        serde_json::from_slice::<Value>(&asked.stdout).expect("json")
    };
    assert_eq!(seats("show-1")["not_free"], json!({}), "all is given back");
    assert_eq!(seats("show-2")["seq"], 0, "nothing was done where people sit");
}

/// An answer on its way: what it was asked, its status, headers and body.
struct Passing<'a> {
    path: &'a str,
    response: &'a mut http::Response<Vec<u8>>,
}

impl Passing<'_> {
    fn is(&self, part: &str) -> bool {
        self.path.contains(part)
    }

    fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        if let Ok(mut value) = serde_json::from_slice(self.response.body()) {
            change(&mut value);
            *self.response.body_mut() = value.to_string().into_bytes();
        }
    }

    fn header(&mut self, name: &'static str, value: &'static str) {
        self.response.headers_mut().insert(name, value.parse().expect("a header"));
    }
}

/// A lie, and the first of the sentences that it breaks.
type Liar = (&'static str, &'static str, fn(&mut Passing<'_>));

const LIARS: &[Liar] = &[
    ("MAN-009", "the well-known document is elsewhere", |p| {
        if p.is("well-known") {
            *p.response.status_mut() = http::StatusCode::FOUND;
        }
    }),
    ("MAN-002", "the signature is of something else", |p| {
        if p.is("well-known") {
            p.edit(|jws| {
                let signature = jws["signature"].as_str().unwrap_or_default();
                let other = if signature.starts_with('A') { "B" } else { "A" };
                jws["signature"] = json!(format!("{other}{}", &signature[1..]));
            });
        }
    }),
    ("MAN-001", "the protected header says more than it may", |p| {
        if p.is("well-known") {
            p.edit(|jws| jws["protected"] = json!("eyJhbGciOiJFZERTQSIsInR5cCI6ImFkbWl0LW1hbmlmZXN0K2p3cyJ9"));
        }
    }),
    ("PROG-001", "a page of cinemas is another one", |p| {
        if p.is("cinema_pages") {
            p.edit(|page| page["cinemas"][0]["name"]["en"] = json!("Kinо"));
        }
    }),
    ("PROG-002", "screenings are out of order", |p| {
        if p.is("/programme") {
            p.edit(|page| page["screenings"].as_array_mut().map_or((), |rows| rows.reverse()));
        }
    }),
    ("PROG-002", "a film is not described", |p| {
        if p.is("/programme") {
            p.edit(|page| page["films"] = json!([]));
        }
    }),
    ("PROG-003", "a screening alone is another than in the programme", |p| {
        if p.path.ends_with("/screenings/show-1") {
            p.edit(|screening| screening["hall"] = json!("two"));
        }
    }),
    ("TIME-002", "the poster's time is an hour off", |p| {
        if p.is("/programme") || p.path.ends_with("/screenings/show-1") || p.is("/feed") {
            let text = String::from_utf8_lossy(p.response.body()).replace("T20:00", "T21:00");
            *p.response.body_mut() = text.into_bytes();
        }
    }),
    ("LAY-001", "a layout is another than its name says", |p| {
        if p.is("/layouts/") {
            p.edit(|layout| layout["seats"][0]["number"] = json!("9"));
        }
    }),
    ("PRICE-001", "a price table is another than its name says", |p| {
        if p.is("/price_tables/") {
            p.edit(|table| table["offers"][0]["total"]["amount"] = json!(1));
        }
    }),
    ("SEAT-001", "a seat is sold that the hall has not", |p| {
        if p.path.ends_with("/seats") {
            p.edit(|seats| seats["not_free"] = json!({"sold": ["Z9"]}));
        }
    }),
    ("SEAT-001", "seats are under another layout", |p| {
        if p.path.ends_with("/seats") {
            p.edit(|seats| seats["layout"] = json!("sha256-RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o"));
        }
    }),
    ("FEED-001", "the feed leaves a screening out", |p| {
        if p.is("/feed") {
            p.edit(|feed| drop(feed["items"].as_array_mut().and_then(Vec::pop)));
        }
    }),
    ("HTTP-001", "JSON is called text", |p| {
        if p.is("cinema_pages") {
            p.header("content-type", "text/plain");
        }
    }),
    ("HTTP-010", "a refusal says not what to do", |p| {
        if p.is("nobody-shows-this") {
            p.edit(|problem| problem["detail"] = json!(""));
        }
    }),
    ("HTTP-012", "a hold that is nobody's is forbidden", |p| {
        if p.is("/holds/") {
            p.edit(|problem| problem["code"] = json!("forbidden"));
        }
    }),
    ("HTTP-013", "what is not offered is not found", |p| {
        if p.is("/waitlist") {
            p.edit(|problem| problem["code"] = json!("not_found"));
        }
    }),
    ("HTTP-020", "the server's time is missing", |p| drop(p.response.headers_mut().remove("admit-now"))),
    ("HTTP-021", "only one page may ask", |p| p.header("access-control-allow-origin", "https://one.example")),
    ("HTTP-021", "pages may ask with cookies", |p| p.header("access-control-allow-credentials", "true")),
    ("HTTP-022", "what did not change is sent again", |p| {
        if *p.response.status_mut() == http::StatusCode::NOT_MODIFIED {
            *p.response.status_mut() = http::StatusCode::OK;
        }
    }),
    ("AUTH-001", "a short secret is as good as any", |p| {
        if p.response.status() == http::StatusCode::UNAUTHORIZED {
            *p.response.status_mut() = http::StatusCode::NOT_FOUND;
        }
    }),
];

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
    (proxy.lie)(&mut Passing { path: path.split('?').next().unwrap_or(&path), response: &mut response });
    response.headers_mut().remove("content-length");
    response.headers_mut().remove("transfer-encoding");
    response.map(Into::into)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lies_about_one_thing_is_caught_at_it() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("its address"));
    // Behind a proxy that passes everything on, it calls itself what the proxy is called.
    let server = serve(Some(&origin));
    let mut listener = Some(listener);
    let honest: Liar = ("", "everything is passed on", |_| ());
    for (must, what, lie) in [honest].iter().chain(LIARS) {
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
        let report = tokio::task::spawn_blocking(move || look(&asked)).await.expect("looks");
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
