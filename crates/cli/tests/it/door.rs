//! The door, by the program.

use std::io::{BufRead as _, Write as _};
use std::process::Stdio;

use serde_json::Value;

use crate::folder::{Folder, admit, client, run, says};

#[tokio::test]
async fn who_stands_at_the_wrong_door_is_told_where_to_go() {
    let folder = Folder::new(2, 2);
    let device = run(&["--json", "cinema", "device", folder.text(), "door-1"]);
    let device: Value = serde_json::from_slice(&device.stdout).unwrap_or_else(|_| panic!("{}", says(&device)));
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let wallet = ["--wallet", wallet.to_str().expect("a path"), "--json"];
    let booked = run(&[&wallet[..], &["book", &folder.origin, "show-0", "1-1", "--at-most", "20"]].concat());
    assert!(booked.status.success(), "{}", says(&booked));
    let shown = run(&[&wallet[..], &["ticket", "show", "1"]].concat());
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_else(|_| panic!("{}", says(&shown)));
    let code = shown["tickets"][0]["code"].as_str().expect("a code");
    let scan = |screening: &str| {
        let token = device["token"].as_str().expect("a token");
        let mut door = admit(&["door", "scan", &folder.origin, screening, "--token", token]);
        let door = door.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut door = door.expect("starts");
        writeln!(door.stdin.take().expect("piped"), "{code}\nsomething else").expect("written");
        says(&door.wait_with_output().expect("ends"))
    };
    let there = scan("show-1");
    assert!(
        there.contains("ANOTHER SCREENING   row 1, seat 1: Film, Kino, One, ") && there.contains("NO TICKET OF OURS"),
        "{there}"
    );
    assert!(there.contains("and nobody is let in yet"), "the doors open in days: {there}");
    let early = scan("show-0");
    assert!(early.contains("TOO EARLY   seat 1-1  Adult"), "{early}");
    let cancelled = run(&[&wallet[..], &["cancel", "1", "--yes"]].concat());
    assert!(cancelled.status.success(), "{}", says(&cancelled));
    let worthless = scan("show-0");
    assert!(
        worthless.contains("CANCELLED, REPLACED, OR NOT IN THE BOOKS   row 1, seat 1: genuine"),
        "nobody is told to come back with it: {worthless}"
    );
}

#[test]
fn a_token_that_begins_with_a_hyphen_is_a_token() {
    let token = format!("-Y{}", "A".repeat(41));
    let nowhere = run(&["door", "scan", "http://127.0.0.1:1", "show-0", "--token", &token]);
    assert!(says(&nowhere).contains("cannot be reached") && !nowhere.status.success(), "{}", says(&nowhere));
}

/// A cinema whose tickets cost nothing, two hours before the start: its doors are open.
fn tonight() -> Folder {
    tonight_with(|_| ())
}

/// As [`tonight`], with something else in its programme.
fn tonight_with(also: impl Fn(&mut Value)) -> Folder {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let soon = soon.in_tz("Europe/Prague").expect("a zone").strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    Folder::of(|programme| {
        programme["screenings"][0]["starts"] = soon.clone().into();
        let free = serde_json::json!({"amount": 0, "currency": "EUR"});
        programme["price_tables"]["all"]["offers"][0]["base"] = free.clone();
        programme["price_tables"]["all"]["offers"][0]["total"] = free;
        also(programme);
    })
}

#[tokio::test]
async fn who_let_somebody_in_by_mistake_takes_it_back() {
    let folder = tonight();
    let device = run(&["--json", "cinema", "device", folder.text(), "door-1"]);
    let device: Value = serde_json::from_slice(&device.stdout).unwrap_or_else(|_| panic!("{}", says(&device)));
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let wallet = ["--wallet", wallet.to_str().expect("a path"), "--json"];
    let booked = run(&[&wallet[..], &["book", &folder.origin, "show-0", "1-1", "--at-most", "0"]].concat());
    assert!(booked.status.success(), "{}", says(&booked));
    let shown = run(&[&wallet[..], &["ticket", "show", "1"]].concat());
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_else(|_| panic!("{}", says(&shown)));
    let code = shown["tickets"][0]["code"].as_str().expect("a code");
    let token = device["token"].as_str().expect("a token");
    let mut door = admit(&["door", "scan", &folder.origin, "show-0", "--token", token]);
    let door = door.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut door = door.expect("starts");
    let typed = format!("undo\n{code}\n{code}\nundo\nundo\n{code}\n");
    write!(door.stdin.take().expect("piped"), "{typed}").expect("written");
    let output = door.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> =
        said.lines().skip(1).map(|line| line.trim().split("  ").next().unwrap_or_default()).collect();
    let taken_back = "taken back: seat 1-1, the ticket lets in again";
    assert_eq!(words, ["COME IN", "USED BEFORE", taken_back, "COME IN"], "{}", says(&output));
    assert_eq!(says(&output).matches("nobody is left whom this machine let in").count(), 2);

    // Another evening: the program was started again, and the server is away for a moment.
    let mut door = admit(&["door", "scan", &folder.origin, "show-0", "--token", token]);
    let door = door.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut door = door.expect("starts");
    let mut types = door.stdin.take().expect("piped");
    let mut hears = std::io::BufReader::new(door.stdout.take().expect("piped")).lines().map(|line| line.expect("text"));
    let title = hears.next().expect("what it is");
    assert!(title.contains("Film, Kino"), "{title}");
    writeln!(types, "something else").expect("written");
    assert!(hears.next().expect("an answer").contains("NO TICKET OF OURS"));
    serving.kill();
    writeln!(types, "{code}").expect("written");
    let away = hears.next().expect("an answer");
    assert!(away.contains("USED BEFORE") && away.contains("no network"), "{away}");
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    writeln!(types, "{code}\nundo\n{code}").expect("written");
    drop(types);
    let words: Vec<String> = hears.map(|line| line.trim().split("  ").next().unwrap_or_default().to_owned()).collect();
    // It does not look for the server at every code.
    assert_eq!(words, ["USED BEFORE", "taken back: the ticket lets in again", "COME IN"]);
    door.wait().expect("ends");
}

/// A machine at a door: its files are its own.
struct Machine<'a> {
    folder: &'a Folder,
    data: tempfile::TempDir,
    token: String,
}

impl<'a> Machine<'a> {
    fn new(folder: &'a Folder, name: &str) -> Self {
        let device = run(&["--json", "cinema", "device", folder.text(), name]);
        let device: Value = serde_json::from_slice(&device.stdout).unwrap_or_else(|_| panic!("{}", says(&device)));
        let token = format!("--token={}", device["token"].as_str().expect("a token"));
        Self { folder, data: tempfile::tempdir().expect("a folder"), token }
    }

    fn door(&self, what: &str, typed: &str) -> String {
        let mut door = admit(&["door", what, &self.folder.origin, "show-0", &self.token]);
        door.env("XDG_DATA_HOME", self.data.path());
        let door = door.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut door = door.expect("starts");
        // Who refuses to begin is gone before it is asked.
        let _ = door.stdin.take().expect("piped").write_all(typed.as_bytes());
        says(&door.wait_with_output().expect("ends"))
    }

    fn file(&self) -> std::path::PathBuf {
        let files = std::fs::read_dir(self.data.path().join("admit/door")).expect("a folder");
        let mut files = files.map(|file| file.expect("a file").path());
        files.find(|path| path.extension().is_some_and(|end| end == "door")).expect("the door's file")
    }
}

#[tokio::test]
async fn a_door_goes_on_without_a_network_and_tells_the_server_afterwards() {
    let folder = tonight();
    let (one, other) = (Machine::new(&folder, "door-1"), Machine::new(&folder, "door-2"));
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let wallet = ["--wallet", wallet.to_str().expect("a path"), "--json"];
    let book = ["book", &folder.origin, "show-0", "1-1", "1-2", "1-3", "1-4", "--at-most", "0"];
    let booked = run(&[&wallet[..], &book].concat());
    assert!(booked.status.success(), "{}", says(&booked));
    let shown = run(&[&wallet[..], &["ticket", "show", "1"]].concat());
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_else(|_| panic!("{}", says(&shown)));
    let code = |n: usize| shown["tickets"][n]["code"].as_str().expect("a code").to_owned();
    let (a, b, c, d) = (code(0), code(1), code(2), code(3));

    let online = one.door("scan", &format!("{a}\n"));
    assert!(online.contains("COME IN") && !online.contains("no network"), "{online}");
    // The list of the second one is older: it does not know of the first scan.
    let fetched = other.door("fetch", "");
    assert!(fetched.contains("without a network"), "{fetched}");
    drop(serving);
    let never = Machine { data: tempfile::tempdir().expect("a folder"), token: one.token.clone(), folder: &folder };
    assert!(never.door("scan", "X\n").contains("admit door fetch"), "{}", never.door("scan", "X\n"));

    let forged = format!("{}A", &b[..b.len() - 1]);
    let alone = one.door("scan", &format!("{a}\n{b}\n{b}\n{forged}\n{c}\nundo\n{c}\n"));
    let words: Vec<&str> = alone
        .lines()
        .filter(|line| line.contains("by the list of") && line.contains("(no network") || line.contains("taken back"))
        .map(|line| line.trim().split("  ").next().unwrap_or_default())
        .collect();
    let back = "taken back: the ticket lets in again";
    let wanted = ["USED BEFORE", "COME IN", "USED BEFORE", "NO TICKET OF OURS", "COME IN", back, "COME IN"];
    assert_eq!(words, wanted, "{alone}");
    assert!(alone.contains("4 scans to be told"), "two who came in, one of them twice: {alone}");
    // A copy of one ticket at another door: nobody can know.
    let copied = other.door("scan", &format!("{b}\n{d}\n"));
    assert_eq!(copied.matches("COME IN").count(), 2, "{copied}");
    // Switched off and on again, it knows whom it let in.
    assert!(other.door("scan", &format!("{d}\n")).contains("USED BEFORE"), "{copied}");

    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let sent = one.door("send", "");
    assert!(sent.contains("4 scans sent") && !sent.contains("came in twice"), "{sent}");
    assert!(one.door("send", "").contains("0 scans sent"), "once");
    let merged = other.door("scan", &format!("{c}\n{d}\n"));
    assert!(
        merged.contains("let in without a network: seat 1-2 came in twice") && merged.contains("door-1"),
        "{merged}"
    );
    assert_eq!(merged.matches("USED BEFORE").count(), 2, "{merged}");
    // What is in the file is believed by its signature.
    let file = other.file();
    let text = std::fs::read_to_string(&file).expect("reads");
    let mut kept: Value = serde_json::from_str(&text).expect("json");
    let list = kept["list"].as_str().expect("a list").to_owned();
    let other_letter = if list.ends_with('A') { "B" } else { "A" };
    kept["list"] = format!("{}{other_letter}{}", &list[..60], &list[61..]).into();
    std::fs::write(&file, kept.to_string()).expect("writes");
    let damaged = other.door("scan", &format!("{a}\n"));
    assert!(damaged.contains("is damaged") && damaged.contains("USED BEFORE"), "with a network it goes on: {damaged}");
    // Two programs at one door would not know whom the other let in.
    let mut first = admit(&["door", "scan", &folder.origin, "show-0", &other.token]);
    first.env("XDG_DATA_HOME", other.data.path());
    let mut first = first.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let mut hears = std::io::BufReader::new(first.stdout.take().expect("piped")).lines();
    assert!(hears.next().expect("what it is").expect("text").contains("Film"));
    writeln!(first.stdin.as_ref().expect("piped"), "{a}").expect("written");
    assert!(hears.next().expect("an answer").expect("text").contains("USED BEFORE"));
    let second = other.door("scan", &format!("{a}\n"));
    assert!(second.contains("another program on this machine"), "{second}");
    drop(first.stdin.take());
    first.wait().expect("ends");
}

#[tokio::test]
async fn a_ticket_that_names_its_holder_opens_the_door_beside_a_proof_tick_010() {
    let folder =
        tonight_with(|programme| programme["screenings"][0]["attributes"] = serde_json::json!(["holder_proof"]));
    let (one, other) = (Machine::new(&folder, "door-1"), Machine::new(&folder, "door-2"));
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let wallet = ["--wallet", wallet.to_str().expect("a path"), "--json"];
    // Bought before there was a key: with a secret, and without a proof.
    let booked = run(&[&wallet[..], &["book", &folder.origin, "show-0", "1-1", "--at-most", "0"]].concat());
    assert!(booked.status.success(), "{}", says(&booked));
    assert!(run(&[&wallet[..], &["wallet", "key", "--new"]].concat()).status.success());
    let booked = run(&[&wallet[..], &["book", &folder.origin, "show-0", "1-3", "1-4", "--at-most", "0"]].concat());
    assert!(booked.status.success(), "{}", says(&booked));
    let shown = |number: &str| -> Value {
        let shown = run(&[&wallet[..], &["ticket", "show", number]].concat());
        serde_json::from_slice(&shown.stdout).unwrap_or_else(|_| panic!("{}", says(&shown)))
    };
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (plain, bound) = (shown("1"), shown("2"));
    assert!(plain["proofs"].is_null() && plain["tickets"][0]["wants_proof"].is_null(), "{plain}");
    let [a, b] = [0, 1].map(|n| (text(&bound["tickets"][n]["code"]), text(&bound["proofs"][n])));
    let plain = text(&plain["tickets"][0]["code"]);

    let first = "SCAN THE PROOF BESIDE IT, TOO";
    let online = one.door("scan", &format!("{plain}\n{}\n{}\n{}\n", b.1, a.0, a.1));
    assert!(online.contains("scan first the ticket that wants it"), "a proof of nothing: {online}");
    assert_eq!((online.matches(first).count(), online.matches("COME IN").count()), (1, 2), "{online}");
    let with_anothers = one.door("scan", &format!("{}\n{}\n", b.0, a.1));
    assert_eq!(with_anothers.matches(first).count(), 2, "{with_anothers}");

    assert!(other.door("fetch", "").contains("without a network"));
    drop(serving);
    // Neither the cinema nor the buyer has a network.
    let again = shown("2");
    let (code, proof) = (text(&again["tickets"][1]["code"]), text(&again["proofs"][1]));
    let alone = other.door("scan", &format!("{code}\n{proof}\n{code}\n{proof}\n"));
    assert_eq!((alone.matches(first).count(), alone.matches("COME IN").count()), (2, 1), "{alone}");
    assert!(alone.contains("USED BEFORE"), "{alone}");
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let merged = other.door("send", "");
    assert!(merged.contains("1 scan sent") && !merged.contains("let in without a network"), "{merged}");
}
