//! Being let in one after another, by the program.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::folder::{Folder, admit, client, says};

fn run(wallet: &Path, arguments: &[&str]) -> Output {
    admit(arguments).arg("--wallet").arg(wallet).output().expect("runs")
}

fn listed(wallet: &Path) -> Vec<Value> {
    let output = run(wallet, &["--json", "queue", "list"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", says(&output)))
}

#[tokio::test]
async fn who_stands_in_a_queue_is_let_in_in_turn_and_books() {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(15);
    let folder = Folder::of(|programme| {
        let screening = &mut programme["screenings"][0];
        screening["sales_open"] = soon.to_string().into();
        let opens_at = (soon - jiff::SignedDuration::from_mins(1)).to_string();
        screening["queue"] = serde_json::json!({"opens_at": opens_at, "admits_per_min": 60});
    });
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let [anna, ben, wanda] = ["anna.json", "ben.json", "wanda.json"].map(|name| folder.path.join(name));
    let join = ["queue", "join", &folder.origin, "show-0"];
    let none = run(&anna, &["queue", "join", &folder.origin, "show-1"]);
    assert!(!none.status.success(), "{}", says(&none));
    for wallet in [&anna, &ben, &wanda] {
        let joined = run(wallet, &join);
        assert!(joined.status.success() && says(&joined).contains("drawn by lot among "), "{}", says(&joined));
    }
    let again = run(&anna, &join);
    assert!(says(&again).contains("among 3 places"), "it is the same place: {}", says(&again));
    let left = run(&wanda, &["queue", "leave", "1"]);
    assert!(left.status.success() && says(&left).contains("no place there any more"), "{}", says(&left));
    assert_eq!(listed(&wanda), Vec::<Value>::new());
    let program = run(&anna, &["--json", "book", &folder.origin, "show-0", "1-1", "--at-most", "20"]);
    assert!(!program.status.success() && says(&program).contains("sold in turns"), "{}", says(&program));

    // Both wait for their turn, and each gets what they wanted.
    let book = |wallet: &Path, seat: &str| {
        let mut booking = admit(&["book", &folder.origin, "show-0", seat, "--at-most", "20"]);
        booking.arg("--wallet").arg(wallet).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    };
    let both = [book(&anna, "1-1"), book(&ben, "1-3")];
    let said = both.map(|booking| says(&booking.wait_with_output().expect("ends")));
    for said in &said {
        assert!(said.contains("this is sold in turns: drawn by lot among 2 places"), "{said}");
        assert!(said.contains("booked: "), "{said}");
    }
    assert!(said.iter().any(|said| said.contains("your turn is ")), "one of them is the second: {said:?}");
    let place = &listed(&anna)[0]["place"];
    assert_eq!(place["state"], "admitted", "{place}");
    let more = run(&anna, &["book", &folder.origin, "show-0", "1-5", "--at-most", "20"]);
    assert!(says(&more).contains("booked: "), "a pass is good until it ends: {}", says(&more));
    let audit = folder.audit();
    assert_eq!(audit["violations"].as_array().map(Vec::len), Some(0), "{audit}");
}
