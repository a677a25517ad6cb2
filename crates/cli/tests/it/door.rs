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
    assert!(there.contains("who is let in now has used the ticket"), "the doors open tomorrow: {there}");
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

#[tokio::test]
async fn who_let_somebody_in_by_mistake_takes_it_back() {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let soon = soon.in_tz("Europe/Prague").expect("a zone").strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let folder = Folder::of(|programme| {
        programme["screenings"][0]["starts"] = soon.clone().into();
        let free = serde_json::json!({"amount": 0, "currency": "EUR"});
        programme["price_tables"]["all"]["offers"][0]["base"] = free.clone();
        programme["price_tables"]["all"]["offers"][0]["total"] = free;
    });
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
    assert!(away.contains("NOT CHECKED") && away.contains("try it again"), "{away}");
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    writeln!(types, "{code}\nundo\n{code}").expect("written");
    drop(types);
    let words: Vec<String> = hears.map(|line| line.trim().split("  ").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(words, ["USED BEFORE", taken_back, "COME IN"]);
    door.wait().expect("ends");
}
