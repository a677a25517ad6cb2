//! A cinema's data in another database: moved there, sold from there by two processes, audited, and moved back.

use std::process::Stdio;

use admit_protocol::origin::Origin;
use serde_json::Value;

use crate::folder::{Folder, Serving, admit, client, on_postgres, run, says};

#[tokio::test]
async fn a_copy_made_while_it_sells_is_served_when_the_first_one_is_lost() {
    if on_postgres() {
        return eprintln!("SKIPPED stores::a_copy_made_while_it_sells_is_served: PostgreSQL has backups of its own");
    }
    let folder = Folder::new(2, 1);
    let wallet = folder.path.join("wallet.json");
    let buy = |seat: &str| {
        let wallet = ["--wallet", wallet.to_str().expect("a path")];
        run(&[&wallet[..], &["book", &folder.origin, "show-0", seat, "--at-most", "10"]].concat())
    };
    let serving = folder.serve();
    let server = folder.meet(&client(1)).await;
    assert!(buy("1-1").status.success());
    let before = server.seats("show-0".parse().expect("an id")).await.expect("seats");
    let to = folder.path.with_file_name("copy");
    let copied = run(&["cinema", "backup", folder.text(), to.to_str().expect("a path")]);
    assert!(copied.status.success(), "{}", says(&copied));
    let again = run(&["cinema", "backup", folder.text(), to.to_str().expect("a path")]);
    assert!(says(&again).contains("is there already"), "{}", says(&again));
    assert!(buy("1-2").status.success(), "it goes on selling");
    drop(serving);
    let _serving = Serving(
        admit(&["serve", "cinema", to.to_str().expect("a path")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts"),
    );
    let server = folder.meet(&client(1)).await;
    let after = server.seats("show-0".parse().expect("an id")).await.expect("seats");
    assert_eq!(after.not_free, before.not_free, "of what came after it, the copy knows nothing");
    assert_ne!(after.epoch, before.epoch, "and it says so (SEAT-003)");
    let ticket = run(&["--wallet", wallet.to_str().expect("a path"), "ticket", "show", "1", "--no-qr"]);
    assert!(ticket.status.success() && says(&ticket).contains("1-1, Adult"), "{}", says(&ticket));
    let mine = |what: &[&str]| says(&run(&[&["--wallet", wallet.to_str().expect("a path")], what].concat()));
    let bookings = mine(&["bookings"]);
    assert!(
        bookings.contains("1-1    Adult    booked, 10.00 EUR") && bookings.contains("THE CINEMA DOES NOT KNOW"),
        "{bookings}"
    );
    let lost = mine(&["ticket", "show", "2", "--no-qr"]);
    assert!(lost.contains("the cinema does not know this booking any more: show it at its counter"), "{lost}");
    let audit = run(&["--json", "cinema", "audit", to.to_str().expect("a path")]);
    let audit: Value = serde_json::from_slice(&audit.stdout).unwrap_or_else(|_| panic!("{}", says(&audit)));
    assert_eq!(audit["violations"].as_array().map(Vec::len), Some(0), "{audit}");
}

#[tokio::test]
async fn a_cinema_moves_to_postgres_is_sold_by_two_processes_and_moves_back() {
    let name = "stores::a_cinema_moves_to_postgres_is_sold_by_two_processes_and_moves_back";
    let Some(given) = admit_private_postgres::given() else {
        return eprintln!("SKIPPED {name}: no PostgreSQL (ADMIT_POSTGRES; `cargo xtask test` starts one)");
    };
    if on_postgres() {
        return eprintln!("SKIPPED {name}: it begins in a folder");
    }
    let folder = Folder::new(4, 2);
    let wallet = folder.path.join("wallet.json");
    let wallet = ["--wallet", wallet.to_str().expect("a path")];
    let buy = |seat: &str| {
        let output = run(&[&wallet[..], &["book", &folder.origin, "show-0", seat, "--at-most", "10"]].concat());
        assert!(output.status.success(), "{}", says(&output));
    };
    let serving = folder.serve();
    folder.meet(&client(1)).await;
    buy("1-1");
    let address = admit_private_postgres::new_schema(&given).expect("a schema");
    let busy = run(&["cinema", "move-store", folder.text(), "--to", &address]);
    assert!(!busy.status.success() && says(&busy).contains("another process is using it"), "{}", says(&busy));
    drop(serving);

    let settings = std::fs::read_to_string(folder.path.join("server.toml")).expect("reads");
    let moved = run(&["cinema", "move-store", folder.text(), "--to", &address]);
    assert!(moved.status.success() && says(&moved).contains("each compared: "), "{}", says(&moved));
    assert!(folder.path.join("cinema.sqlite.moved").exists() && !folder.path.join("cinema.sqlite").exists());
    let again = run(&["cinema", "move-store", folder.text(), "--to", &address]);
    assert!(!again.status.success() && says(&again).contains("it is in a database already"), "{}", says(&again));

    // Two processes, one database: what one sells the other does not.
    let one = folder.serve();
    let listen = admit_http::listen::unused_address().expect("a port").to_string();
    let other = admit(&["serve", "cinema", folder.text(), "--listen", &listen]);
    let other = Serving({ other }.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts"));
    let server = folder.meet(&client(1)).await;
    buy("1-2");
    let seats = |listen: String| async move {
        let seats = format!("http://{listen}/v1/screenings/show-0/seats");
        for _ in 0..400 {
            if let Ok(answer) = reqwest::get(&seats).await {
                let seats: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("json");
                return seats["not_free"]["sold"].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{seats} does not answer");
    };
    assert_eq!(seats(listen).await, serde_json::json!(["1-1", "1-2"]));
    let _: &Origin = server.origin();
    let audit = folder.audit();
    assert_eq!((&audit["bookings"], audit["violations"].as_array().map(Vec::len)), (&2.into(), Some(0)), "{audit}");
    let from_under = run(&["cinema", "move-store", folder.text(), "--to", "folder"]);
    assert!(
        !from_under.status.success() && says(&from_under).contains("another process is using it"),
        "{}",
        says(&from_under)
    );
    assert!(!folder.path.join("cinema.sqlite").exists(), "nothing was begun");
    buy("1-4");
    drop((one, other));

    let back = run(&["cinema", "move-store", folder.text(), "--to", "folder"]);
    assert!(back.status.success() && says(&back).contains("nobody sells any more"), "{}", says(&back));
    assert_eq!(std::fs::read_to_string(folder.path.join("server.toml")).expect("reads"), settings);
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    buy("1-3");
    assert_eq!(folder.audit()["bookings"], 4);
}
