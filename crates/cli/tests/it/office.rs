//! The counter, by the program.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::folder::{Folder, admit, client, run, says};

fn with_password(arguments: &[&str], password: &str) -> Output {
    let mut command = admit(arguments);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("starts");
    // Who refuses the arguments is gone before it is asked.
    let _ = writeln!(child.stdin.take().expect("piped"), "{password}");
    child.wait_with_output().expect("ends")
}

/// A cinema with somebody at the counter, somebody at the door, and somebody who may do everything.
fn staffed() -> Folder {
    let folder = Folder::of(|programme| programme["screenings"][0]["starts"] = "today+1 06:00".into());
    for (login, role) in [("root", "admin"), ("anna", "box_office"), ("doro", "door")] {
        let added = with_password(&["cinema", "staff", folder.text(), login, "--role", role], "correct horse");
        assert!(added.status.success(), "{}", says(&added));
    }
    folder
}

fn office(login: &str, what: &[&str]) -> Output {
    let all = [&["box-office"], what, &["--login", login]].concat();
    with_password(&all, "correct horse")
}

#[tokio::test]
async fn what_is_due_is_paid_at_the_counter_once() {
    let folder = staffed();
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let wallet = wallet.to_str().expect("a path");
    let booked =
        run(&["--wallet", wallet, "--json", "book", &folder.origin, "show-0", "1-1", "1-2", "--at-most", "20"]);
    let booked: Value = serde_json::from_slice(&booked.stdout).unwrap_or_else(|_| panic!("{}", says(&booked)));
    let reference = booked["booking"]["ref"].as_str().expect("a reference");
    let list = office("anna", &["list", &folder.origin, "show-0"]);
    assert!(says(&list).contains("20.00 EUR due by"), "{}", says(&list));
    let door = office("doro", &["paid", &folder.origin, "show-0", reference, "--yes"]);
    assert!(!door.status.success() && says(&door).contains("may not take money"), "{}", says(&door));
    let piped = with_password(&["box-office", "paid", &folder.origin, "show-0", reference, "--login", "anna"], "y");
    assert!(!piped.status.success() && says(&piped).contains("nobody could be asked"), "{}", says(&piped));
    let paid = office("anna", &["paid", &folder.origin, "show-0", &reference.to_lowercase(), "--yes"]);
    assert!(
        says(&paid).contains("paid:") && says(&paid).contains("1-2        Adult      10.00 EUR"),
        "{}",
        says(&paid)
    );
    let mine = says(&run(&["--wallet", wallet, "bookings"]));
    assert!(mine.contains("booked") && !mine.contains("to pay"), "the buyer hears of it: {mine}");
    let again = office("anna", &["paid", &folder.origin, "show-0", reference, "--yes"]);
    assert!(!again.status.success() && says(&again).contains("is paid"), "{}", says(&again));
    // Who has lost the wallet comes to the counter, with the reference.
    let tickets = says(&office("anna", &["tickets", &folder.origin, "show-0", reference]));
    assert!(tickets.contains("1-1, Adult\nADMIT1:") && tickets.contains("1-2, Adult\nADMIT1:"), "{tickets}");
    let door = says(&office("doro", &["tickets", &folder.origin, "show-0", reference]));
    assert!(door.contains("may not print tickets"), "{door}");
    let nobody = office("anna", &["paid", &folder.origin, "show-0", "NOBODY", "--yes"]);
    assert!(!nobody.status.success() && says(&nobody).contains("no booking NOBODY"), "{}", says(&nobody));
    let list = ["box-office", "list", &folder.origin, "show-0", "--login", "anna"];
    let asked_once = with_password(&list, "wrong horse");
    assert!(asked_once.status.success(), "the session goes on: {}", says(&asked_once));
    assert!(says(&office("anna", &["leave", &folder.origin])).contains("anna has left"));
    let wrong = with_password(&list, "wrong horse");
    assert!(!wrong.status.success() && says(&wrong).contains("could not sign in"), "{}", says(&wrong));
}

#[tokio::test]
async fn seats_are_sold_cancelled_and_given_back_at_the_counter() {
    let folder = staffed();
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let wallet = ["--wallet", wallet.to_str().expect("a path")];
    let sell = |login: &str, json: &[&str]| {
        let sell = ["box-office", "sell", &folder.origin, "show-0", "1-1", "1-2", "--at-most", "20", "--login", login];
        with_password(&[json, &wallet, &sell, &["--no-qr"]].concat(), "correct horse")
    };
    let door = sell("doro", &[]);
    assert!(!door.status.success() && says(&door).contains("door may not take money"), "{}", says(&door));
    let sold = sell("anna", &[]);
    assert!(sold.status.success() && says(&sold).contains("20.00 EUR paid"), "{}", says(&sold));
    assert!(says(&sold).contains("1-2, Adult"), "{}", says(&sold));
    let list = office("anna", &["--json", "list", &folder.origin, "show-0"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap_or_else(|_| panic!("{}", says(&list)));
    let booking = &list[0]["booking"];
    let reference = booking["ref"].as_str().expect("one booking");
    assert_eq!(booking["balance_due"]["amount"], 0);

    let origin = folder.origin.as_str();
    let cancel = |login: &str, more: &[&str]| {
        office(login, &[&["cancel", origin, "show-0", reference, "--reason", "ill", "--yes"], more].concat())
    };
    let refund = || says(&office("anna", &["refund", origin, "show-0", reference, "--yes"]));
    assert!(says(&cancel("root", &[])).contains("--refund"), "what becomes of the money is said, not guessed");
    assert!(says(&cancel("anna", &["--refund"])).contains("may not cancel: ask a manager"));
    assert!(says(&cancel("root", &["9-9", "--refund"])).contains("9-9 is not in this booking, which has 1-1, 1-2"));
    assert!(refund().contains("nothing comes back"), "{}", refund());
    assert!(!cancel("root", &["--refund", "--reason", ""]).status.success(), "why is on record");
    let found = office("anna", &["find", origin, &reference.to_lowercase()]);
    assert!(says(&found).contains("show-0  Film, Kino") && says(&found).contains(reference), "{}", says(&found));
    let nobody = office("anna", &["find", origin, "nobody"]);
    assert!(says(&nobody).contains("nobody of that name or reference"), "{}", says(&nobody));
    let cancelled = cancel("root", &["1-1", "--refund"]);
    assert!(says(&cancelled).contains("10.00 EUR to give back"), "{}", says(&cancelled));
    let bookings = || says(&run(&[&wallet[..], &["bookings"]].concat()));
    assert!(bookings().contains("10.00 EUR comes back, at the cinema's counter"), "{}", bookings());
    let listed = || says(&office("anna", &["list", origin, "show-0"]));
    assert!(listed().contains("10.00 EUR still to give back"), "{}", listed());
    assert!(refund().contains("given back:"));
    // The next shift, at a server that was started again.
    drop(serving);
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    assert!(listed().contains("10.00 EUR given back already"), "{}", listed());
    assert!(refund().contains("were given back"), "{}", refund());
    assert!(bookings().contains("you got 10.00 EUR back"), "{}", bookings());
    let rest = says(&cancel("root", &["--no-refund"]));
    assert!(rest.contains("cancelled:") && !rest.contains("to give back"), "{rest}");
    // Kept by mistake.
    assert!(listed().contains("cancelled, 10.00 EUR kept"), "{}", listed());
    let kept = says(&cancel("root", &["--no-refund"]));
    assert!(kept.contains("10.00 EUR was kept, and --refund gives it back"), "{kept}");
    assert!(says(&cancel("root", &["--refund"])).contains("10.00 EUR to give back"));
    assert!(listed().contains("10.00 EUR still to give back, 10.00 EUR given back already"), "{}", listed());
    assert!(says(&cancel("root", &["--refund"])).contains("is cancelled already"));
    // What must be in the till, also of the shift before.
    let till = says(&office("root", &["till", origin]));
    assert!(till.contains("20.00 EUR (1)  10.00 EUR (1)  10.00 EUR") && till.contains(" 05:00 until now"), "{till}");
    assert!(says(&office("doro", &["till", origin])).contains("may not count the till"));
    let later = says(&office("anna", &["till", origin, "--from", "2030-01-01T00:00"]));
    assert!(later.contains("Tue 1 Jan 00:00 is still to come"), "{later}");
    let audit = says(&run(&["cinema", "audit", folder.text()]));
    assert!(audit.contains("all in order"), "{audit}");
    if crate::folder::on_postgres() {
        return;
    }
    // Money that was taken and is in nobody's till.
    let books = rusqlite::Connection::open(folder.path.join("cinema.sqlite")).expect("opens");
    books.execute("DELETE FROM till WHERE amount < 0", []).expect("deletes");
    let audit = says(&run(&["cinema", "audit", folder.text()]));
    assert!(
        audit.contains("P8 bookings paid at the counter whose money is not what went through a till: 1"),
        "{audit}"
    );
}

#[tokio::test]
async fn a_programme_is_changed_while_the_server_runs() {
    let folder = staffed();
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let mut programme: Value =
        serde_json::from_slice(&std::fs::read(folder.path.join("programme.json")).expect("reads")).expect("json");
    programme["screenings"][0]["status"] = "cancelled".into();
    let file = folder.path.join("off.json");
    let import = |programme: &Value, login: &[&str]| {
        std::fs::write(&file, programme.to_string()).expect("writes");
        let import = ["cinema", "import", &folder.origin, file.to_str().expect("a path")];
        says(&with_password(&[&import[..], login].concat(), "correct horse"))
    };
    assert!(import(&programme, &[]).contains("say --login"));
    assert!(import(&programme, &["--login", "anna"]).contains("the role box_office may not do this"));
    let asked = import(&programme, &["--login", "root"]);
    assert!(asked.contains("nobody could be asked: say --yes beforehand"), "{asked}");
    assert!(
        asked.contains("changes screening show-0: cancelled (was on_sale)")
            && asked.contains("0 new, 1 changed, 0 as they were"),
        "{asked}"
    );
    let list = says(&office("anna", &["list", &folder.origin, "show-0"]));
    assert!(!list.contains(": cancelled"), "{list}");
    let exported = with_password(&["cinema", "export", &folder.origin, "--login", "anna"], "correct horse");
    let exported: Value = serde_json::from_slice(&exported.stdout).unwrap_or_else(|_| panic!("{}", says(&exported)));
    assert_eq!(exported["screenings"][0]["id"], "show-0", "who sells may keep a copy, too");
    let imported = import(&programme, &["--login", "root", "--yes"]);
    assert!(imported.contains("imported 1 cinema, "), "{imported}");
    let again = import(&programme, &["--login", "root", "--yes"]);
    assert!(again.contains("0 new, 0 changed, 1 as they were"), "{again}");
    let list = says(&office("anna", &["list", &folder.origin, "show-0"]));
    assert!(list.contains(": cancelled"), "{list}");
    programme["screenings"][0]["status"] = "canceled".into();
    let refused = import(&programme, &["--login", "root"]);
    assert!(
        refused.contains("nothing was imported: screening show-0: \"canceled\" in `status` is none of"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_does_not_take_place_is_given_back_at_the_counter_canc_007() {
    let folder = staffed();
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let wallet = ["--wallet", wallet.to_str().expect("a path")];
    let origin = folder.origin.as_str();
    let sell = ["box-office", "sell", origin, "show-0", "1-1", "1-2", "--at-most", "20", "--login", "anna", "--no-qr"];
    let sold = with_password(&[&wallet[..], &sell[..]].concat(), "correct horse");
    assert!(sold.status.success(), "{}", says(&sold));
    drop(serving);
    let mut programme: Value =
        serde_json::from_slice(&std::fs::read(folder.path.join("programme.json")).expect("reads")).expect("json");
    programme["screenings"][0]["status"] = "cancelled".into();
    let file = folder.path.join("off.json");
    std::fs::write(&file, programme.to_string()).expect("writes");
    let told = run(&["cinema", "import", folder.text(), file.to_str().expect("a path"), "--yes"]);
    assert!(
        told.status.success()
            && says(&told).contains("look at screening show-0: cancelled (was on_sale); what was paid for it comes back; 1 booking to be told: ")
            && says(&told).contains("; these left no address: "),
        "{}",
        says(&told)
    );
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let list = says(&office("anna", &["list", origin, "show-0"]));
    assert!(list.contains("paid, 20.00 EUR owed"), "{list}");
    let seats = says(&run(&["seats", origin, "show-0"]));
    assert!(seats.lines().take(6).any(|line| line == "IT IS CANCELLED"), "{seats}");
    let listed = office("anna", &["--json", "list", origin, "show-0"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_else(|_| panic!("{}", says(&listed)));
    let reference = listed[0]["ref"].as_str().expect("a reference");
    let cancel = |money: &str| {
        let cancel = ["cancel", origin, "show-0", reference, "--reason", "off", "--yes", money];
        says(&office("anna", &cancel))
    };
    assert!(cancel("--no-refund").contains("what was paid for it comes back"), "{}", cancel("--no-refund"));
    let cancelled = cancel("--refund");
    assert!(cancelled.contains("1-1 1-2; 20.00 EUR comes back"), "{cancelled}");
    let refund = says(&office("anna", &["refund", origin, "show-0", reference, "--yes"]));
    assert!(refund.contains("given back: 20.00 EUR"), "{refund}");
}

#[test]
fn who_is_gone_comes_back_with_a_new_password_only() {
    let folder = Folder::new(1, 1);
    let sign_up = |login: &str, what: &[&str]| {
        let mut child = admit(&[&["cinema", "staff", folder.text(), login], what].concat());
        let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("starts");
        // Whoever is asked for no password reads none.
        let _ = writeln!(child.stdin.take().expect("piped"), "correct horse");
        says(&child.wait_with_output().expect("ends"))
    };
    let staff = |what: &[&str]| sign_up("anna", what);
    assert!(sign_up("root", &["--role", "admin"]).contains("may sign in as admin"));
    assert!(staff(&["--name", "Anna"]).contains("say --role"), "somebody new");
    assert!(staff(&["--role", "box_office", "--name", "Anna"]).contains("may sign in as box_office"));
    assert!(staff(&["--role", "manager"]).contains("may sign in as manager"), "the password stays");
    assert!(staff(&["--gone"]).contains("signs in no more"));
    assert!(staff(&["--name", "Anna A"]).contains("signs in no more"), "a new name lets nobody in");
    assert!(staff(&["--new-password"]).contains("may sign in as manager"));
    let list = says(&run(&["cinema", "staff", folder.text()]));
    assert!(list.contains("anna") && list.contains("Anna A") && list.contains("manager"), "{list}");
}

#[tokio::test]
async fn what_came_back_is_sold_again_over_the_counter_and_to_who_had_it() {
    let folder = staffed();
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let origin = folder.origin.as_str();
    let file = |name: &str| folder.path.join(name).to_str().expect("a path").to_owned();
    let (counter, home) = (file("counter.json"), file("home.json"));
    let sell = || {
        let sell = ["box-office", "sell", origin, "show-0", "1-1", "--at-most", "10", "--login", "anna", "--no-qr"];
        with_password(&[&["--wallet", &counter][..], &sell].concat(), "correct horse")
    };
    let book = || says(&run(&["--wallet", &home, "book", origin, "show-0", "1-3", "--at-most", "10"]));
    // All that is sold now comes back, and nobody's wallet hears of it.
    let all_comes_back = || {
        let listed = office("anna", &["--json", "list", origin, "show-0"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_else(|_| panic!("{}", says(&listed)));
        for row in listed.as_array().expect("rows") {
            let reference = row["ref"].as_str().expect("a reference");
            office("root", &["cancel", origin, "show-0", reference, "--reason", "ill", "--yes", "--no-refund"]);
        }
    };
    for _ in 0..2 {
        let sold = sell();
        assert!(sold.status.success(), "{}", says(&sold));
        let booked = book();
        assert!(booked.contains("booked: "), "{booked}");
        all_comes_back();
    }
}

#[tokio::test]
async fn staff_and_scanners_are_added_while_the_server_runs() {
    let folder = staffed();
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let origin = folder.origin.as_str();
    // Who signs in says their password first, then that of who is new.
    let at_server = |what: &[&str], login: &str| {
        let all = [&["--json", "cinema"], what, &["--login", login]].concat();
        with_password(&all, "correct horse\nbattery staple")
    };
    let nobody = says(&run(&["cinema", "staff", origin, "emil", "--role", "door"]));
    assert!(nobody.contains("say --login"), "{nobody}");
    let not_hers = says(&at_server(&["staff", origin, "emil", "--role", "door"], "anna"));
    assert!(not_hers.contains("the role box_office may not"), "{not_hers}");
    let added = at_server(&["staff", origin, "emil", "--role", "box_office"], "root");
    assert!(added.status.success(), "{}", says(&added));
    let emils = with_password(&["box-office", "list", origin, "--login", "emil"], "battery staple");
    assert!(emils.status.success(), "{}", says(&emils));
    // Root is signed in by now: the same two lines mean the same.
    let added = at_server(&["staff", origin, "fred", "--role", "door"], "root");
    assert!(added.status.success(), "{}", says(&added));
    let freds = with_password(&["box-office", "list", origin, "--login", "fred"], "battery staple");
    assert!(freds.status.success(), "{}", says(&freds));
    let one = ["cinema", "staff", origin, "gina", "--role", "door", "--login", "root"];
    let one = says(&with_password(&one, "correct horse"));
    assert!(one.contains("your own password, then the new one"), "{one}");
    let listed = says(&at_server(&["staff", origin], "root"));
    assert!(!listed.contains("gina"), "{listed}");
    assert!(listed.contains("emil") && listed.contains("doro"), "{listed}");
    let gone = at_server(&["staff", origin, "emil", "--gone"], "root");
    assert!(gone.status.success(), "{}", says(&gone));
    let shut = says(&with_password(&["box-office", "list", origin, "--login", "emil"], "battery staple"));
    assert!(shut.contains("could not sign in"), "{shut}");

    let token = |replaced: bool| {
        let said = at_server(&["device", origin, "door-7"], "root");
        let said: Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{}", says(&said)));
        assert_eq!(said["replaced"], replaced, "{said}");
        said["token"].as_str().expect("a token").to_owned()
    };
    let (old, new) = (token(false), token(true));
    let scan = |token: &str| {
        let token = format!("--token={token}");
        says(&with_password(&["door", "scan", origin, "show-0", &token], "HC1:NOTHING"))
    };
    assert!(scan(&old).contains("token"), "{}", scan(&old));
    assert_ne!(scan(&old), scan(&new), "the older one opens nothing any more");
}
