//! A cinema that moves to another address: who knows it goes with it, and nobody is led to somebody else. What docs/moving.md says, done.

use std::process::Stdio;

use admit_client::Wallet;
use admit_protocol::id::ScreeningId;
use admit_protocol::problem::ProblemCode;
use serde_json::Value;

use crate::federation::index;
use crate::folder::{Folder, Serving, admit, client, on_postgres, run, says};

/// What is said at an address that a cinema left, once it answers.
async fn farewell(folder: &Folder, from: &str) -> Serving {
    let listen = from.trim_start_matches("http://");
    let mut command = admit(&["serve", "farewell", folder.text(), from, "--listen", listen]);
    let serving = Serving(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts"));
    for _ in 0..1000 {
        if std::net::TcpStream::connect(listen).is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    serving
}

fn unused() -> String {
    admit_http::listen::unused_address().expect("a port").to_string()
}

#[tokio::test]
async fn who_knew_a_cinema_goes_with_it_man_014_man_015() {
    let mut cinema = Folder::new(2, 1);
    let index = index();
    let path = cinema.path.join("wallet.json").to_str().expect("a path").to_owned();
    let wallet = |what: &[&str]| run(&[&["--wallet", &path], what].concat());
    let before = {
        let (_cinema, _index) = (cinema.serve(), index.serve().await);
        let before = cinema.meet(&client(1)).await;
        let booked = wallet(&["book", &cinema.origin, "show-0", "1-1", "--at-most", "10"]);
        assert!(booked.status.success(), "{}", says(&booked));
        assert!(run(&["index", "announce", &index.origin, &cinema.origin]).status.success());
        before
    };
    // What must not be served any more.
    let stale = cinema.path.join("stale");
    let stale = stale.to_str().expect("a path");
    let has_copy = !on_postgres();
    if has_copy {
        let copied = run(&["cinema", "backup", cinema.text(), stale]);
        assert!(copied.status.success(), "{}", says(&copied));
    }
    let old = cinema.move_to(&unused());
    let _cinema = cinema.serve();
    cinema.meet(&client(1)).await;
    let farewell_there = farewell(&cinema, &old).await;

    let screening = ScreeningId::parse("show-0").expect("an id");
    let sold_there = before.seats(screening).await.expect_err("nothing is at the old address");
    assert_eq!(sold_there.problem().map(|p| p.code), Some(ProblemCode::Moved), "{sold_there}");
    assert_eq!(before.again().await.expect("met again").origin().as_str(), cinema.origin);

    let shown = wallet(&["bookings"]);
    assert!(says(&shown).contains("to pay at the cinema") && !says(&shown).contains("last asked"), "{}", says(&shown));
    let kept = Wallet::open(path.as_ref()).expect("a wallet").purchases().expect("reads");
    assert_eq!(kept.iter().map(|p| p.origin.as_str()).collect::<Vec<_>>(), [&cinema.origin], "{old}");
    let more = wallet(&["book", &old, "show-0", "1-2", "--at-most", "10"]);
    assert!(more.status.success(), "{}", says(&more));
    let screening = cinema.meet(&client(1)).await.seats(screening).await.expect("answers");
    assert_eq!(screening.not_free.values().map(Vec::len).sum::<usize>(), 2, "{screening:?}");

    // The index has looked at the old address just now, and does not do so again: it says what that comes to.
    {
        let _index = index.serve().await;
        let announced = says(&run(&["index", "announce", &index.origin, &cinema.origin]));
        assert!(announced.contains(&format!("{old}, where it was, is listed, too")), "{announced}");
    }
    let db = rusqlite::Connection::open(index.path.join("index.sqlite")).expect("opens");
    db.execute_batch("UPDATE look SET at = 0").expect("as if the last look were long ago");
    drop(db);
    let _index = index.serve().await;
    let announced = run(&["index", "announce", &index.origin, &cinema.origin]);
    assert!(announced.status.success() && !says(&announced).contains("where it was"), "{}", says(&announced));
    let why = run(&["index", "why", &index.origin, &old]);
    assert!(why.status.success() && !says(&why).contains("FAIL"), "{}", says(&why));
    assert!(says(&why).contains(&format!("it moved to {}", cinema.origin)), "{}", says(&why));
    let found = run(&["--json", "find", "--index", &index.origin, "kino"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap_or_else(|_| panic!("{}", says(&found)));
    let origins: Vec<&str> = found.as_array().into_iter().flatten().filter_map(|l| l["origin"].as_str()).collect();
    assert_eq!(origins, [&cinema.origin], "{found}");

    let shown = run(&["programme", &old]);
    assert!(says(&shown).contains(&format!("{old} has moved: it is at {} now", cinema.origin)), "{}", says(&shown));
    if !has_copy {
        return;
    }
    // A copy of before sells nothing to a wallet that knows better.
    drop(farewell_there);
    let copy = admit(&["serve", "cinema", stale]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _copy = Serving(copy.expect("starts"));
    for _ in 0..1000 {
        if client(1).server(&old, None).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let refused = wallet(&["book", &old, "show-1", "1-1", "--at-most", "10"]);
    let there = format!("{old} has moved to {}", cinema.origin);
    assert!(!refused.status.success() && says(&refused).contains(&there), "{}", says(&refused));
}

#[tokio::test]
async fn an_index_does_not_repeat_that_somebody_was_where_another_is() {
    let (cinema, thief) = (Folder::new(1, 1), Folder::new(1, 1));
    let settings = thief.path.join("server.toml");
    let said = std::fs::read_to_string(&settings).expect("reads");
    let said = format!("moved_from = [\"{}\"]\n{said}", cinema.origin);
    std::fs::write(&settings, said).expect("writes");
    let (_cinema, _thief) = (cinema.serve(), thief.serve());
    cinema.meet(&client(1)).await;
    thief.meet(&client(1)).await;
    let index = index();
    let _index = index.serve().await;
    for of in [&cinema, &thief] {
        let announced = run(&["index", "announce", &index.origin, &of.origin]);
        assert!(announced.status.success() && !says(&announced).contains("where it was"), "{}", says(&announced));
    }
}

#[tokio::test]
async fn nobody_is_led_to_a_cinema_that_was_never_there() {
    let (cinema, mut other) = (Folder::new(1, 1), Folder::new(1, 1));
    let _cinema = cinema.serve();
    cinema.meet(&client(1)).await;
    let left = other.move_to(cinema.listen());
    let _farewell = farewell(&other, &left).await;
    let refused = client(1).server(&left, None).await.expect_err("it was never there").to_string();
    assert!(refused.contains("does not say that it came from there"), "{refused}");
    let unsaid = run(&["serve", "farewell", cinema.text(), &left]);
    assert!(!unsaid.status.success() && says(&unsaid).contains("moved_from"), "{}", says(&unsaid));
}
