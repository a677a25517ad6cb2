//! The counter, by the program.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::folder::{Folder, admit, client, run, says};

fn with_password(arguments: &[&str], password: &str) -> Output {
    let mut command = admit(arguments);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("starts");
    writeln!(child.stdin.take().expect("piped"), "{password}").expect("written");
    child.wait_with_output().expect("ends")
}

#[tokio::test]
async fn what_is_due_is_paid_at_the_counter_once() {
    let folder = Folder::of(|programme| programme["screenings"][0]["starts"] = "today+1 06:00".into());
    let staff = |login: &str, role: &str| {
        let added = with_password(&["cinema", "staff", folder.text(), login, "--role", role], "correct horse");
        assert!(added.status.success(), "{}", says(&added));
    };
    staff("root", "admin");
    staff("anna", "box_office");
    staff("doro", "door");
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let wallet = wallet.to_str().expect("a path");
    let booked =
        run(&["--wallet", wallet, "--json", "book", &folder.origin, "show-0", "1-1", "1-2", "--at-most", "20"]);
    let booked: Value = serde_json::from_slice(&booked.stdout).unwrap_or_else(|_| panic!("{}", says(&booked)));
    let reference = booked["booking"]["ref"].as_str().expect("a reference");
    let office = |login: &str, what: &[&str]| {
        let all = [&["box-office"], what, &["--login", login]].concat();
        with_password(&all, "correct horse")
    };
    let list = office("anna", &["list", &folder.origin, "show-0"]);
    assert!(says(&list).contains("EUR 20.00 due by") || says(&list).contains("20.00 EUR due by"), "{}", says(&list));
    let door = office("doro", &["paid", &folder.origin, "show-0", reference, "--yes"]);
    assert!(!door.status.success() && says(&door).contains("not allowed"), "{}", says(&door));
    let paid = office("anna", &["paid", &folder.origin, "show-0", &reference.to_lowercase(), "--yes"]);
    assert!(says(&paid).contains("paid:"), "{}", says(&paid));
    let mine = says(&run(&["--wallet", wallet, "bookings"]));
    assert!(mine.contains("booked") && !mine.contains("to pay"), "the buyer hears of it: {mine}");
    let again = office("anna", &["paid", &folder.origin, "show-0", reference, "--yes"]);
    assert!(!again.status.success() && says(&again).contains("is paid"), "{}", says(&again));
    let nobody = office("anna", &["paid", &folder.origin, "show-0", "NOBODY", "--yes"]);
    assert!(!nobody.status.success() && says(&nobody).contains("no booking NOBODY"), "{}", says(&nobody));
    let wrong = with_password(&["box-office", "list", &folder.origin, "show-0", "--login", "anna"], "wrong horse");
    assert!(!wrong.status.success() && says(&wrong).contains("could not sign in"), "{}", says(&wrong));
}
