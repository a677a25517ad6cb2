//! What a person has bought is not lost: not by two terminals, not by a program that dies, not without a network.

use std::path::Path;
use std::process::{Output, Stdio};

use admit_client::Wallet;
use serde_json::Value;

use crate::folder::{self, Folder, admit, client, says};

fn with(wallet: &Path, arguments: &[&str]) -> std::process::Command {
    let mut command = admit(arguments);
    command.arg("--wallet").arg(wallet);
    command
}

fn run(wallet: &Path, arguments: &[&str]) -> Output {
    with(wallet, arguments).output().expect("runs")
}

fn listed(wallet: &Path) -> Vec<Value> {
    let output = run(wallet, &["--json", "bookings"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", says(&output)))
}

#[tokio::test]
async fn two_terminals_and_one_wallet_lose_nothing() {
    let folder = Folder::new(4, 2);
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    // Eight programs at the same time, each with seats of its own.
    let buying: Vec<_> = (1..=8)
        .map(|n| {
            let (screening, seat) = (format!("show-{}", n % 2), format!("2-{}", n * 2));
            let mut book = with(&wallet, &["book", &folder.origin, &screening, &seat, "--at-most", "10.00"]);
            book.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
        })
        .collect();
    for one in buying {
        let output = one.wait_with_output().expect("ends");
        assert!(output.status.success(), "{}", says(&output));
    }
    let rows = listed(&wallet);
    let mut numbers: Vec<u64> = rows.iter().filter_map(|r| r["number"].as_u64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row["booking"]["state"] == "confirmed"), "{rows:?}");
}

#[tokio::test]
async fn what_a_program_did_not_live_to_hear_is_found_out_by_the_next() {
    let folder = Folder::new(4, 1);
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    let path = folder.path.join("wallet.json");
    assert!(run(&path, &["book", &folder.origin, "show-0", "1-1", "1-2", "--at-most", "20"]).status.success());
    // As if it had died with the request on its way: the wallet knows what was asked, and no answer.
    let mut pages: Value = serde_json::from_slice(&std::fs::read(&path).expect("reads")).expect("json");
    let booked = pages["purchases"][0]["booking"].take();
    std::fs::write(&path, pages.to_string()).expect("writes");
    serving.kill();
    let unreachable = &listed(&path)[0]["state"];
    assert!(unreachable.as_str().is_some_and(|s| s.contains("not known yet")), "{unreachable}");
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    assert_eq!(listed(&path)[0]["booking"], booked, "asked again with the same key, it is the same booking");
    // The same command again also finds out, and books nothing twice; also when nothing is sold any more.
    serving.kill();
    let mut paused = folder::programme(4, 1);
    paused["screenings"][0]["status"] = "paused".into();
    let file = folder.path.join("programme.json");
    std::fs::write(&file, paused.to_string()).expect("writes");
    let imported = folder::run(&["cinema", "import", "--yes", folder.text(), file.to_str().expect("a path")]);
    assert!(imported.status.success(), "{}", says(&imported));
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let other = run(&path, &["book", &folder.origin, "show-0", "1-1", "1-2", "--at-most", "20"]);
    assert!(!other.status.success() && says(&other).contains("sales are paused"), "{}", says(&other));
    pages["purchases"][0]["booking"] = Value::Null;
    std::fs::write(&path, pages.to_string()).expect("writes");
    let again = run(&path, &["--json", "book", &folder.origin, "show-0", "1-1", "1-2", "--at-most", "20"]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap_or_else(|_| panic!("{}", says(&again)));
    assert_eq!((&again["booking"], &again["number"]), (&booked, &Value::from(1)));
    assert_eq!(listed(&path).len(), 1);
}

#[tokio::test]
async fn nobody_takes_the_place_of_a_cinema_that_was_bought_from_man_005() {
    let folder = Folder::new(4, 1);
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    assert!(run(&wallet, &["book", &folder.origin, "show-0", "1-1", "--at-most", "10"]).status.success());
    serving.kill();
    let other = serde_json::json!({"seed": vec![9; 32]}).to_string();
    std::fs::write(folder.path.join("keys/identity.json"), other).expect("writes");
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let refused = run(&wallet, &["book", &folder.origin, "show-0", "1-2", "--at-most", "10"]);
    assert!(!refused.status.success() && says(&refused).contains("identity key"), "{}", says(&refused));
    // What was bought is still shown, with what is wrong.
    let row = &listed(&wallet)[0];
    assert!(row["state"].to_string().contains("when it was last asked"), "{row}");
    assert!(row["not_asked"].to_string().contains("identity key"), "{row}");
}

#[tokio::test]
async fn seats_are_named_as_they_are_printed_and_in_a_row() {
    let folder = Folder::of(|programme| {
        for (n, seat) in programme["layouts"]["one"]["seats"].as_array_mut().expect("seats").iter_mut().enumerate() {
            seat["row"] = if n < 20 { "Ř" } else { "Q" }.into();
            if n % 20 != 0 && n != 10 {
                seat["left"] = format!("{}-{}", n / 20 + 1, n % 20).into();
            }
            if n % 20 != 19 && n != 9 {
                seat["right"] = format!("{}-{}", n / 20 + 1, n % 20 + 2).into();
            }
        }
    });
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let book = |seats: &str| run(&wallet, &["book", &folder.origin, "show-0", seats, "--at-most", "100"]);
    for (seats, why) in
        [("Ř9-12", "a gap after Ř10"), ("Ř2-Q4", "in two rows"), ("Ř2-99", "no seat"), ("X1-3", "no seat")]
    {
        let refused = book(seats);
        assert!(!refused.status.success() && says(&refused).contains(why), "{seats}: {}", says(&refused));
    }
    assert!(book("Ř2-Ř4").status.success());
    assert!(book("q7-5").status.success());
    let shown = says(&run(&wallet, &["bookings"]));
    assert!(shown.contains("Ř2 Ř3 Ř4") && shown.contains("Q5 Q6 Q7"), "{shown}");
    assert!(says(&run(&wallet, &["ticket", "show", "1", "--no-qr"])).contains("Ř3, Adult"));
    let cancelled = run(&wallet, &["cancel", "1", "ř3", "--yes"]);
    assert!(cancelled.status.success(), "{}", says(&cancelled));
    let again = says(&run(&wallet, &["book", &folder.origin, "show-0", "Ř2", "Ř8", "--at-most", "100"]));
    assert!(again.contains("Ř2 is yours already: number 1 in `admit bookings`. Nothing was booked now"), "{again}");
    let other = folder.path.join("other.json");
    let error = run(&other, &["--json", "book", &folder.origin, "show-0", "Ř2", "--at-most", "100"]);
    let error: Value = serde_json::from_slice(&error.stderr).unwrap_or_else(|_| panic!("{}", says(&error)));
    assert_eq!(error["problem"]["code"], "seats_taken");
}

#[tokio::test]
async fn who_does_not_book_has_nothing_held() {
    let folder = Folder::new(4, 1);
    let _serving = folder.serve();
    let server = folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let refused = |arguments: &[&str], why: &str| {
        let output = run(&wallet, &[&["book", &folder.origin, "show-0"], arguments].concat());
        assert!(!output.status.success() && says(&output).contains(why), "{arguments:?}: {}", says(&output));
    };
    // Nobody says yes: standard input is empty.
    refused(&["1-1"], "nobody could be asked: say --at-most");
    refused(&["1-1", "--at-most", "5.00"], "more than 5.00 EUR");
    refused(&["1-1", "1-1"], "named twice");
    refused(&["1-1=kid"], "no ticket \"kid\", but adult");
    refused(&["nowhere"], "no seat \"nowhere\"");
    refused(&["1-1", "--json"], "--at-most");
    refused(&["1-1", "--at-most", "lots"], "is not an amount");
    let seats = server.seats("show-0".parse().expect("an id")).await.expect("seats");
    assert!(seats.not_free.values().all(Vec::is_empty), "{seats:?}");
    assert!(listed(&wallet).is_empty());
}

#[tokio::test]
async fn tickets_are_shown_without_the_cinema_and_a_cancelled_one_is_not() {
    let folder = Folder::new(4, 1);
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    assert!(run(&wallet, &["book", &folder.origin, "show-0", "1-1,1-2", "--at-most", "20"]).status.success());
    serving.kill();
    let shown = run(&wallet, &["ticket", "show", "1", "--no-qr"]);
    assert!(shown.status.success(), "{}", says(&shown));
    assert_eq!(says(&shown).matches("ADMIT1:").count(), 2, "{}", says(&shown));
    assert!(says(&shown).contains("cannot be reached") && says(&shown).contains("20.00 EUR to be paid"));
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let codes = folder.path.join("codes");
    let saved = run(&wallet, &["ticket", "show", "1", "--save", codes.to_str().expect("a path")]);
    assert!(saved.status.success() && std::fs::read_dir(&codes).expect("a folder").count() == 2, "{}", says(&saved));
    let cancelled = run(&wallet, &["cancel", "1", "1-1", "--yes"]);
    assert!(says(&cancelled).contains("nothing was paid for it: 10.00 EUR less to pay"), "{}", says(&cancelled));
    let shown = says(&run(&wallet, &["ticket", "show", "1", "--no-qr"]));
    assert!(shown.matches("ADMIT1:").count() == 1 && shown.contains("1-2, Adult"), "{shown}");
    let again = run(&wallet, &["cancel", "1", "1-1", "--yes"]);
    assert!(!again.status.success() && says(&again).contains("cancelled already"), "{}", says(&again));
    assert!(!Wallet::open(&wallet).expect("opens").purchases().expect("reads")[0].is_open());
}

#[test]
fn the_usage_after_an_error_is_that_of_the_help() {
    let wallet = std::env::temp_dir().join("not-needed.json");
    for arguments in [&["book"][..], &["book", "https://kino.example", "show-1", "F9", "--nonsense"]] {
        let refused = run(&wallet, arguments);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("Usage: admit book [OPTIONS] <SERVER> <SCREENING> <SEATS>..."), "{said}");
    }
    let no_index = run(&wallet, &["find", "lumiere"]);
    let said = String::from_utf8_lossy(&no_index.stderr);
    assert!(said.contains("or set ADMIT_INDEX to its address"), "{said}");
}

#[tokio::test]
async fn a_family_lets_the_server_choose_and_says_whose_tickets_they_are() {
    let folder = Folder::of(|programme| {
        let layout = &mut programme["layouts"]["one"]["seats"];
        for (n, seat) in layout.as_array_mut().expect("a list").iter_mut().take(20).enumerate() {
            let beside = |n: usize| serde_json::json!(format!("1-{n}"));
            if n > 0 {
                seat["left"] = beside(n);
            }
            if n < 19 {
                seat["right"] = beside(n + 2);
            }
        }
        let table = &mut programme["price_tables"]["all"];
        let child = serde_json::json!({"id": "child", "name": {"en": "Child"}, "audience": "child",
            "needs_one_of": ["adult"], "each_goes_with": 3});
        table["ticket_types"].as_array_mut().expect("a list").push(child);
        let five = serde_json::json!({"amount": 500, "currency": "EUR"});
        let offer = serde_json::json!({"ticket_type": "child", "zone": "all", "base": five, "total": five});
        table["offers"].as_array_mut().expect("a list").push(offer);
    });
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let book = |arguments: &[&str]| {
        run(&wallet, &[&["book", &folder.origin, "show-0", "--at-most", "40"], arguments].concat())
    };
    for (arguments, why) in [
        (&["best:3=child"][..], "Child only goes with Adult in the same booking, at most 3 for each"),
        (
            &["best:5", "--tickets", "adult,child,child,child,child"],
            "Child only goes with Adult in the same booking, at most 3 for each",
        ),
        (&["best:2", "--tickets", "adult"], "1 ticket for 2 seats: name one for each"),
        (&["best:2=child", "--tickets", "adult,child"], "say the tickets once"),
        (&["1-1", "--tickets", "adult"], "--tickets is for best:4"),
    ] {
        let refused = book(arguments);
        assert!(!refused.status.success() && says(&refused).contains(why), "{arguments:?}: {}", says(&refused));
    }
    let booked = book(&["best:4", "--tickets", "adult,child,child,child"]);
    assert!(booked.status.success() && says(&booked).contains("25.00 EUR"), "{}", says(&booked));
}

#[tokio::test]
async fn who_has_a_key_of_their_own_buys_with_it_everywhere_key_007() {
    let (one, other) = (Folder::new(1, 1), Folder::new(1, 1));
    let _serving = (one.serve(), other.serve());
    let path = one.path.join("wallet.json");
    let none = run(&path, &["wallet", "key"]);
    assert!(says(&none).contains("has no key"), "{}", says(&none));
    let made = run(&path, &["wallet", "key", "--new"]);
    assert_eq!((made.stdout, true), (run(&path, &["wallet", "key"]).stdout, made.status.success()), "made once");
    for folder in [&one, &other] {
        folder.meet(&client(1)).await;
        let booked = run(&path, &["book", &folder.origin, "show-0", "1-1", "1-2", "--at-most", "20"]);
        assert!(booked.status.success(), "{}", says(&booked));
    }
    let rows = listed(&path);
    assert!(rows.iter().all(|row| row["booking"]["state"] == "confirmed"), "{rows:?}");
    let wallet = Wallet::open(&path).expect("a wallet");
    let key = wallet.key().expect("reads");
    assert!(key.is_some() && wallet.purchases().expect("reads").iter().all(|p| p.secret.public() == key));
    for shown in [&["ticket", "show", "1", "--no-qr"][..], &["cancel", "1", "--yes"], &["cancel", "2", "--yes"]] {
        let output = run(&path, shown);
        assert!(output.status.success(), "{}", says(&output));
    }
}
