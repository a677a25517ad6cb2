//! Waiting for seats, by the program.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::folder::{Folder, admit, client, says};

fn run(wallet: &Path, arguments: &[&str]) -> Output {
    admit(arguments).arg("--wallet").arg(wallet).output().expect("runs")
}

fn listed(wallet: &Path) -> Vec<Value> {
    let output = run(wallet, &["--json", "waitlist", "list"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", says(&output)))
}

#[tokio::test]
async fn who_finds_no_seats_waits_is_offered_some_and_takes_them() {
    let folder = Folder::new(1, 1);
    let settings = folder.path.join("server.toml");
    let text = std::fs::read_to_string(&settings).expect("reads");
    let text = text.replace("unpaid_percent_per_network = 30", "unpaid_percent_per_network = 100");
    std::fs::write(&settings, text).expect("writes");
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    let [anna, wanda] = ["anna.json", "wanda.json"].map(|name| folder.path.join(name));
    let join = ["waitlist", "join", &folder.origin, "show-0", "best:2"];
    // The layout of this folder has no neighbours: two sit together nowhere.
    let never = run(&wanda, &join);
    assert!(!never.status.success() && says(&never).contains("also in the empty hall"), "{}", says(&never));
    let join = ["waitlist", "join", &folder.origin, "show-0", "best:1", "--email", "wanda@mail.example"];
    let free = run(&wanda, &join);
    assert!(!free.status.success() && says(&free).contains("nobody need wait: hold them"), "{}", says(&free));
    assert_eq!(listed(&wanda), Vec::<Value>::new());

    for half in [1, 11] {
        let seats: Vec<String> = (half..half + 10).map(|n| format!("1-{n}")).collect();
        let booked = run(&anna, &["book", &folder.origin, "show-0", &seats.join(","), "--at-most", "100"]);
        assert!(booked.status.success(), "{}", says(&booked));
    }
    let joined = run(&wanda, &join);
    assert!(joined.status.success() && says(&joined).contains("joined: you are the next"), "{}", says(&joined));
    let twice = run(&wanda, &join);
    assert!(
        !twice.status.success() && says(&twice).contains("you stand in this line already: number 1"),
        "{}",
        says(&twice)
    );
    let nothing = run(&wanda, &["waitlist", "take", "1", "--at-most", "20"]);
    assert!(says(&nothing).contains("nothing is offered to it now"), "{}", says(&nothing));
    assert!(run(&anna, &["cancel", "1", "1-3", "--yes"]).status.success());
    let offered = run(&wanda, &["waitlist", "list"]);
    assert!(says(&offered).contains("1-3, 10.00 EUR: SEATS ARE HELD FOR YOU until "), "{}", says(&offered));
    let dear = run(&wanda, &["waitlist", "take", "1", "--at-most", "1"]);
    assert!(says(&dear).contains("you may still `admit waitlist take 1`"), "{}", says(&dear));
    let still = says(&run(&wanda, &["waitlist", "list"]));
    assert!(still.contains("SEATS ARE HELD FOR YOU until ") && still.contains("or leave 1"), "{still}");
    let two = run(&wanda, &["waitlist", "take", "1", "--at-most", "20", "--tickets", "adult,adult"]);
    assert!(says(&two).contains("2 tickets for 1 seat: name one for each"), "{}", says(&two));
    serving.kill();
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let taken = run(&wanda, &["waitlist", "take", "1", "--at-most", "20"]);
    assert!(taken.status.success() && says(&taken).contains("booked: "), "{}", says(&taken));
    let bookings = run(&wanda, &["bookings"]);
    assert!(
        says(&bookings).contains("1-3") && says(&bookings).contains("booked, 10.00 EUR to pay"),
        "{}",
        says(&bookings)
    );
    assert_eq!(listed(&wanda), Vec::<Value>::new());

    // Who leaves or declines is out.
    let again = run(&wanda, &join);
    assert!(again.status.success(), "{}", says(&again));
    let number = listed(&wanda)[0]["number"].to_string();
    assert!(run(&anna, &["cancel", "2", "1-14", "--yes"]).status.success());
    assert_eq!(listed(&wanda)[0]["entry"]["state"], "offered");
    let asked = run(&wanda, &["waitlist", "leave", &number]);
    assert!(!asked.status.success() && says(&asked).contains("you still have it"), "{}", says(&asked));
    let left = run(&wanda, &["waitlist", "leave", &number, "--yes"]);
    assert!(left.status.success() && says(&left).contains("goes to the next"), "{}", says(&left));
    assert!(run(&anna, &["book", &folder.origin, "show-0", "1-14", "--at-most", "10"]).status.success());
    let audit = folder.audit();
    assert_eq!(audit["violations"].as_array().map(Vec::len), Some(0), "{audit}");
}
