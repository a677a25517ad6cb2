//! Watching seats over real connections, through the client library and the program.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use admit_client::protocol::hold::{PlaceHold, SeatWish};
use admit_client::{RequestKey, Secret, Server};

use crate::folder::{Folder, admit, client};

async fn hold(server: &Server, seat: &str) {
    let seats = vec![SeatWish { seat: seat.parse().expect("an id"), ticket_type: None }];
    let wish = PlaceHold { seats, ..PlaceHold::default() };
    let (secret, key) = (Secret::new().expect("randomness"), RequestKey::new().expect("randomness"));
    server.place_hold("show-0".parse().expect("an id"), &secret, &key, &wish).await.expect("held");
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("soon")
}

#[tokio::test]
async fn a_watcher_sees_every_change_also_over_a_restart_of_the_server() {
    let folder = Folder::new(2, 1);
    let serving = folder.serve();
    let server = folder.meet(&client(1)).await;
    let mut live = server.live("show-0".parse().expect("an id"));
    let is_free =
        |seats: &admit_client::protocol::seats::Seats, seat: &str| seats.is_free(seat.parse().expect("an id"));
    assert!(is_free(soon(live.next()).await.expect("seats"), "1-1"));
    hold(&server, "1-1").await;
    assert!(!is_free(soon(live.next()).await.expect("a change"), "1-1"));
    serving.kill();
    let _serving = folder.serve();
    let server = folder.meet(&client(1)).await;
    hold(&server, "1-2").await;
    soon(async { while is_free(live.next().await.expect("it comes back"), "1-2") {} }).await;
    assert!(!is_free(soon(server.seats("show-0".parse().expect("an id"))).await.as_ref().expect("seats"), "1-1"));
}

#[tokio::test]
async fn a_server_that_is_stopped_does_not_wait_for_watchers() {
    let folder = Folder::new(2, 1);
    let mut serving = folder.serve();
    let server = folder.meet(&client(1)).await;
    let mut live = server.live("show-0".parse().expect("an id"));
    soon(live.next()).await.expect("seats");
    let began = Instant::now();
    let stopped = Command::new("kill").arg(serving.0.id().to_string()).status().expect("kill runs");
    assert!(stopped.success());
    let ended = serving.0.wait().expect("ends");
    assert!(ended.success() && began.elapsed() < Duration::from_secs(5), "{ended} after {:?}", began.elapsed());
}

#[tokio::test]
async fn the_program_says_what_changes() {
    let folder = Folder::new(2, 1);
    let _serving = folder.serve();
    let server = folder.meet(&client(1)).await;
    let mut watching =
        admit(&["seats", &folder.origin, "show-0", "--watch"]).stdout(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(watching.stdout.take().expect("piped")).lines().map_while(Result::ok);
    // The map comes first, and an empty line before what changes.
    assert!(lines.any(|line| line.contains("not for sale")));
    let said = std::thread::spawn(move || lines.find(|line| line.contains("held")));
    for seat in ["1-1", "1-2"] {
        tokio::time::sleep(Duration::from_millis(200)).await;
        hold(&server, seat).await;
    }
    let said = soon(tokio::task::spawn_blocking(|| said.join().expect("no panic"))).await.expect("no panic");
    watching.kill().expect("was running");
    watching.wait().expect("ends");
    assert!(said.as_ref().is_some_and(|line| line.contains("held") && line.contains("1-")), "{said:?}");
}
