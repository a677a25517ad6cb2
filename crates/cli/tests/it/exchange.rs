//! Other seats, and another screening, by the program.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::folder::{Folder, admit, client, run, says};

/// Two screenings; tickets are worth their price in an exchange until an hour before the start.
fn folder() -> Folder {
    Folder::of(|programme| {
        let types = programme["price_tables"].as_object_mut().expect("tables");
        let table = types.values_mut().next().expect("one");
        let mut child = table["ticket_types"][0].clone();
        (child["id"], child["name"]) = ("child".into(), json!({"en": "Child"}));
        table["ticket_types"].as_array_mut().expect("a list").push(child);
        let mut offer = table["offers"][0].clone();
        offer["ticket_type"] = "child".into();
        (offer["base"]["amount"], offer["total"]["amount"]) = (700.into(), 700.into());
        table["offers"].as_array_mut().expect("a list").push(offer);
        programme["cancellation"] = json!({"exchange": {"until_before_start_s": 3600}});
        let mut second = programme["screenings"][0].clone();
        second["id"] = "show-1".into();
        second["starts"] = "today+3 20:00".into();
        programme["screenings"].as_array_mut().expect("a list").push(second);
    })
}

fn counter(folder: &Folder, what: &[&str]) -> String {
    let mut command = admit(what);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    writeln!(child.stdin.take().expect("piped"), "correct horse").expect("written");
    let said = child.wait_with_output().expect("ends");
    assert!(said.status.success(), "{} at {}", says(&said), folder.origin);
    says(&said)
}

#[tokio::test]
async fn tickets_go_to_another_screening_with_what_was_paid_and_come_to_other_seats() {
    let folder = folder();
    counter(&folder, &["cinema", "staff", folder.text(), "anna", "--role", "admin"]);
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let wallet = ["--wallet", wallet.to_str().expect("a path")];
    let mine = |what: &[&str]| run(&[&wallet[..], what].concat());
    let booked = mine(&["--json", "book", &folder.origin, "show-0", "1-1", "1-2", "--at-most", "20"]);
    let booked: Value = serde_json::from_slice(&booked.stdout).unwrap_or_else(|_| panic!("{}", says(&booked)));
    let reference = booked["booking"]["ref"].as_str().expect("a reference");
    let paid = ["box-office", "paid", &folder.origin, "show-0", reference, "--yes", "--login", "anna"];
    counter(&folder, &paid);

    let asked = mine(&["exchange", "1", "show-1", "1-5", "--give", "1-2"]);
    assert!(!asked.status.success() && says(&asked).contains("you have what you had"), "{}", says(&asked));
    assert!(says(&asked).contains("10.00 EUR of what you have paid moves; nothing is left to pay"), "{}", says(&asked));
    let cheaper = says(&mine(&["exchange", "1", "show-1", "1-5=child", "--give", "1-2"]));
    assert!(cheaper.contains("3.00 EUR of it is more than they cost and does NOT come back"), "{cheaper}");
    let unsaid = says(&mine(&["exchange", "1", "show-1", "1-5=child", "--give", "1-2", "--at-most", "0"]));
    assert!(unsaid.contains("3.00 EUR of what was paid would be lost") && unsaid.contains("what you had"), "{unsaid}");
    let nobody = mine(&["exchange", "1", "show-1", "1-5", "--give", "1-9", "--yes"]);
    assert!(says(&nobody).contains("1-9 is not in this booking, which has 1-1, 1-2"), "{}", says(&nobody));
    let moved = mine(&["exchange", "1", "show-1", "1-5", "--give", "1-2", "--yes"]);
    assert!(moved.status.success() && says(&moved).contains("exchanged: "), "{}", says(&moved));
    // A swap within the screening, by reference.
    let swapped = mine(&["exchange", reference, "show-0", "1-8", "--yes"]);
    assert!(swapped.status.success(), "{}", says(&swapped));
    let bookings = says(&mine(&["bookings"]));
    let states: Vec<&str> =
        bookings.lines().skip(1).map(|line| line.trim().rsplit("  ").next().unwrap_or("")).collect();
    assert_eq!(states, ["exchanged for numbers 2 and 3", "booked, paid", "booked, paid"], "{bookings}");
    let tickets = says(&mine(&["ticket", "show", "3", "--no-qr"]));
    assert!(tickets.contains("1-8, Adult"), "{tickets}");
    let old = says(&mine(&["ticket", "show", "1", "--no-qr"]));
    assert!(old.contains("all of its tickets were exchanged for numbers 2 and 3"), "{old}");
    let kept = mine(&["--json", "bookings", "--offline"]);
    let kept: Value = serde_json::from_slice(&kept.stdout).expect("JSON");
    let reference_of = |number: u64| {
        let of = |row: &&Value| row["number"].as_u64() == Some(number);
        let row = kept.as_array().and_then(|rows| rows.iter().find(of)).expect("a row");
        row["booking"]["ref"].as_str().expect("a reference").to_owned()
    };
    let list = ["box-office", "list", &folder.origin, "show-0", "--login", "anna"];
    let listed = counter(&folder, &list);
    let (now_2, now_3) = (reference_of(2), reference_of(3));
    let became = [format!("{now_3} and {now_2} (show-1)"), format!("{now_2} (show-1) and {now_3}")];
    let said = |became: &String| listed.contains(&format!("exchanged for {became}, 20.00 EUR moved there"));
    assert!(became.iter().any(said), "{listed}");
    let found = counter(&folder, &["box-office", "find", &folder.origin, reference, "--login", "anna"]);
    assert!(became.iter().any(|became| found.contains(&format!("exchanged for {became}"))), "{found}");
    let refund = ["box-office", "refund", &folder.origin, "show-0", reference, "--yes", "--login", "anna"];
    let refund = says(&run(&refund));
    assert!(refund.contains("nothing comes back for"), "nothing of it was kept: {refund}");
    for nothing_left in [&["cancel", "1", "--yes"][..], &["exchange", "1", "show-0", "1-8", "--yes"]] {
        let said = says(&mine(nothing_left));
        assert!(said.contains("it was exchanged for numbers 2 and 3"), "{said}");
    }
    let audit = folder.audit();
    assert_eq!(audit["violations"].as_array().map(Vec::len), Some(0), "{audit}");
    if crate::folder::on_postgres() {
        return;
    }
    // Money that is at both.
    let books = rusqlite::Connection::open(folder.path.join("cinema.sqlite")).expect("opens");
    let forged = "UPDATE hold SET details = json_set(details, '$.booked.moved_out', 0) WHERE details ->> '$.booked.moved_out' > 0";
    assert_eq!(books.execute(forged, []).expect("writes"), 1);
    let audit = says(&run(&["cinema", "audit", folder.text()]));
    assert!(audit.contains("M1 bookings of which more or less moved out than moved into"), "{audit}");
}

#[tokio::test]
async fn a_child_stays_a_child_and_who_exchanges_hears_what_it_costs_altogether() {
    let folder = folder();
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let mine = |what: &[&str]| run(&[&["--wallet", wallet.to_str().expect("a path")], what].concat());
    let booked = mine(&["book", &folder.origin, "show-0", "1-1", "1-2=child", "--at-most", "20"]);
    assert!(booked.status.success(), "{}", says(&booked));
    let dearer = says(&mine(&["exchange", "1", "show-1", "1-5=adult", "1-6=adult"]));
    assert!(dearer.contains("altogether you pay 3.00 EUR more than before"), "{dearer}");
    let same = says(&mine(&["exchange", "1", "show-1", "1-5", "1-6", "--yes"]));
    assert!(same.contains("Child      7.00 EUR") && same.contains("altogether you pay as much as before"), "{same}");
    let tickets = says(&mine(&["ticket", "show", "2", "--no-qr"]));
    assert!(tickets.contains("1-5, Adult") && tickets.contains("1-6, Child"), "{tickets}");
    let more = says(&mine(&["exchange", "2", "show-0", "1-1=adult", "1-2=adult", "--at-most", "19.99"]));
    assert!(
        more.contains("20.00 EUR is left to pay, more than 19.99 EUR") && more.contains("you have what you had"),
        "{more}"
    );
    let just = says(&mine(&["exchange", "2", "show-0", "1-1=adult", "1-2=adult", "--at-most", "20"]));
    assert!(just.contains("exchanged: "), "{just}");
    let back = says(&mine(&["exchange", "3", "show-1", "1-5", "1-6=child", "--at-most", "17"]));
    assert!(back.contains("exchanged: "), "{back}");
    let bookings = says(&mine(&["bookings"]));
    assert!(bookings.contains("Adult, Child"), "{bookings}");
    let fewer = says(&mine(&["exchange", "4", "show-1", "1-8", "--at-most", "99"]));
    assert!(fewer.contains("you give Adult, Child, for 1 seat: say whose ticket each is"), "{fewer}");
    assert!(fewer.contains("you have what you had"), "{fewer}");
    let more = says(&mine(&["exchange", "4", "show-1", "1-8", "1-9", "--give", "1-6", "--yes"]));
    assert!(more.contains("you give Child, for 2 seats"), "{more}");
    let mixed = says(&mine(&["exchange", "4", "show-1", "1-8=child", "1-9"]));
    assert!(mixed.contains("1-8        Child") && mixed.contains("1-9        Adult"), "one child stays one: {mixed}");
    let kept = says(&mine(&["exchange", "4", "show-1", "1-5", "1-7", "--yes"]));
    assert!(kept.contains("1-5 is yours already: leave out what you keep"), "{kept}");
    let chosen = says(&mine(&["exchange", "4", "show-0", "best:1", "--give", "1-6", "--yes"]));
    assert!(chosen.matches("Child      7.00 EUR").count() == 2, "given and taken: {chosen}");
}
