//! A cinema in a folder, served by the program.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use admit_client::{Client, Options, Server};
use admit_protocol::origin::OriginPolicy;
use serde_json::{Value, json};

pub(crate) fn admit(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_admit"));
    command.arg("--development").args(arguments).stdin(Stdio::null());
    // What is kept beside wallets is the tests' own.
    command.env("XDG_DATA_HOME", std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("data"));
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    admit(arguments).output().expect("runs")
}

pub(crate) fn says(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether cinemas have their data in PostgreSQL.
pub(crate) fn on_postgres() -> bool {
    std::env::var("ADMIT_TEST_STORE").as_deref() == Ok("postgres")
}

/// A cinema's folder, ready to be served.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) origin: String,
    _temporary: tempfile::TempDir,
}

impl Folder {
    /// A hall of `rows` rows of 20 seats, and `screenings` screenings that are on sale.
    pub(crate) fn new(rows: usize, screenings: usize) -> Self {
        Self::with(&programme(rows, screenings))
    }

    /// A hall of two rows and one screening, changed.
    pub(crate) fn of(change: impl FnOnce(&mut Value)) -> Self {
        let mut programme = programme(2, 1);
        change(&mut programme);
        Self::with(&programme)
    }

    fn with(programme: &Value) -> Self {
        let folder = Self::init("cinema");
        let file = folder.path.join("programme.json");
        std::fs::write(&file, programme.to_string()).expect("writes");
        let imported = run(&["cinema", "import", "--yes", folder.text(), file.to_str().expect("a path")]);
        assert!(imported.status.success(), "{}", says(&imported));
        folder
    }

    /// A new folder of a cinema or an index.
    pub(crate) fn init(of: &str) -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        let path = temporary.path().join(of);
        let listen = admit_http::listen::unused_address().expect("a port");
        let origin = format!("http://{listen}");
        let text = path.to_str().expect("a path");
        let made = run(&[of, "init", text, "--origin", &origin, "--name", "Kino", "--email", "a@b.example"]);
        assert!(made.status.success(), "{}", says(&made));
        let folder = Self { path, origin, _temporary: temporary };
        // The whole suite runs once more on PostgreSQL.
        if of == "cinema" && on_postgres() {
            folder.use_postgres();
        }
        folder
    }

    /// Puts its data, of which there is none yet, into a database.
    fn use_postgres(&self) {
        let given = admit_private_postgres::given().expect("ADMIT_POSTGRES names a database");
        let address = admit_private_postgres::new_schema(&given).expect("a schema");
        let path = self.path.join("server.toml");
        let settings = std::fs::read_to_string(&path).expect("reads");
        std::fs::write(&path, format!("database = {address:?}\n{settings}")).expect("writes");
    }

    /// Goes to another address, where it says where it was; gives the old one.
    pub(crate) fn move_to(&mut self, listen: &str) -> String {
        let (path, before) = (self.path.join("server.toml"), self.listen().to_owned());
        let settings = std::fs::read_to_string(&path).expect("reads").replace(&before, listen);
        std::fs::write(&path, format!("moved_from = [{:?}]\n{settings}", self.origin)).expect("writes");
        std::mem::replace(&mut self.origin, format!("http://{listen}"))
    }

    pub(crate) fn listen(&self) -> &str {
        self.origin.trim_start_matches("http://")
    }

    pub(crate) fn text(&self) -> &str {
        self.path.to_str().expect("a path")
    }

    pub(crate) fn serve(&self) -> Serving {
        let child = admit(&["serve", "cinema", self.text()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Serving(child.expect("starts"))
    }

    /// Waits until the server answers.
    pub(crate) async fn meet(&self, client: &Client) -> Server {
        let began = Instant::now();
        loop {
            match client.server(&self.origin, None).await {
                Ok(server) => return server,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(10), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn audit(&self) -> Value {
        let output = run(&["--json", "cinema", "audit", self.text()]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", says(&output)))
    }
}

pub(crate) fn client(tries: u32) -> Client {
    Client::new(Options { origins: OriginPolicy::Loopback, tries, ..Options::default() }).expect("a client")
}

/// A server that runs until it is dropped.
pub(crate) struct Serving(pub(crate) Child);

impl Serving {
    /// SIGKILL: nothing is finished, nothing is tidied up.
    pub(crate) fn kill(mut self) {
        self.0.kill().expect("was running");
        self.0.wait().expect("ends");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn programme(rows: usize, screenings: usize) -> Value {
    let seat = |r: usize, n: usize| {
        json!({"id": format!("{r}-{n}"), "row": r.to_string(), "number": n.to_string(),
        "x": n * 60, "y": r * 100, "zone": "all"})
    };
    let seats: Vec<Value> = (1..=rows).flat_map(|r| (1..=20).map(move |n| seat(r, n))).collect();
    let money = json!({"amount": 1000, "currency": "EUR"});
    let show = |n: usize| {
        json!({"id": format!("show-{n}"), "cinema": "kino", "hall": "one", "starts": "today+2 20:00",
        "items": [{"film": "film"}], "price_table": "all"})
    };
    json!({
        "layouts": {"one": {"screen": {"from": {"x": 0, "y": 0}, "to": {"x": 600, "y": 0}}, "focal_point": {"x": 600, "y": 600},
            "zones": [{"id": "all", "name": {"en": "All"}}], "seats": seats}},
        "price_tables": {"all": {"currency": "EUR",
            "ticket_types": [{"id": "adult", "name": {"en": "Adult"}, "audience": "adult"}],
            "offers": [{"ticket_type": "adult", "zone": "all", "base": money, "total": money}]}},
        "cinemas": [{"id": "kino", "name": {"en": "Kino"}, "zone": "Europe/Prague", "currency": "EUR",
            "address": {"street": "1", "city": {"en": "Prague"}, "country": "CZ"}, "position": {"lat_e6": 50_000_000, "lon_e6": 14_000_000},
            "halls": [{"id": "one", "name": {"en": "One"}, "layout": "one"}]}],
        "films": [{"id": "film", "title": {"en": "Film"}, "runtime_min": 90, "versions": [{"id": "v", "kind": "silent"}]}],
        "screenings": (0..screenings).map(show).collect::<Vec<_>>(),
    })
}
