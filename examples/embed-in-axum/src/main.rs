//! A cinema's website with the Admit server nested in it.
//!
//! `cargo run -p embed-in-axum -- --once` serves one request of each kind and ends; without it, the site stays up.
#![allow(clippy::print_stdout, reason = "an example that shows what happens")]

use admit_protocol::manifest::Contact;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::Texts;
use admit_server::Cinema;
use admit_server::bundle::Bundle;
use admit_server::keys::KeyRing;
use admit_server::store::sqlite::SqliteStore;
use admit_server::store::{Layouts, StaffStore as _};
use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::json;

/// A hall of four seats and one film: what `admit cinema import` would read from a file.
fn programme() -> anyhow::Result<Bundle> {
    let seat = |n: i32| {
        let mut seat =
            json!({"id": format!("A{n}"), "row": "A", "number": n.to_string(), "x": n * 60, "y": 100, "zone": "all"});
        // Who sits beside whom is said, not guessed: without it nobody finds two seats together.
        if n > 1 {
            seat["left"] = json!(format!("A{}", n - 1));
        }
        if n < 4 {
            seat["right"] = json!(format!("A{}", n + 1));
        }
        seat
    };
    let price = json!({"amount": 900, "currency": "EUR"});
    Ok(serde_json::from_value(json!({
        "layouts": {"one": {
            "screen": {"from": {"x": 0, "y": 0}, "to": {"x": 300, "y": 0}}, "focal_point": {"x": 150, "y": 150},
            "zones": [{"id": "all", "name": {"en": "All seats"}}], "seats": (1..=4).map(seat).collect::<Vec<_>>(),
        }},
        "price_tables": {"all": {
            "currency": "EUR",
            "ticket_types": [{"id": "adult", "name": {"en": "Adult"}, "audience": "adult"}],
            "offers": [{"ticket_type": "adult", "zone": "all", "base": price, "total": price}],
        }},
        "cinemas": [{
            "id": "lux", "name": {"en": "Lux"}, "zone": "Europe/Brussels", "currency": "EUR",
            "address": {"street": "Main Street 1", "city": {"en": "Brussels"}, "country": "BE"},
            "position": {"lat_e6": 50_846_700, "lon_e6": 4_352_500},
            "halls": [{"id": "one", "name": {"en": "One"}, "layout": "one"}],
        }],
        "films": [{"id": "general", "title": {"en": "The General"}, "runtime_min": 78, "versions": [{"id": "silent", "kind": "silent"}]}],
        "screenings": [{"id": "tomorrow", "cinema": "lux", "hall": "one", "starts": "today+1 20:00",
            "items": [{"film": "general"}], "price_table": "all"}],
    }))?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let origin = Origin::parse(&format!("http://{address}"), OriginPolicy::Loopback)?;

    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path())?;
    let now = jiff::Timestamp::now();
    let checked = programme()?.check(now);
    anyhow::ensure!(checked.refused.is_empty(), "rows that cannot be used: {:?}", checked.refused);
    store.edit(&checked.edits, now, Layouts::Stay)?;
    // A server that stays does not import `today+1` at each start: that would move what was sold. It names dates, once.
    // It keeps its folder, and with it its keys: with new ones at each start nobody would believe it.
    let keys = KeyRing::open_or_create(&folder.path().join("keys"), now)?;
    let cinema = Cinema::builder(origin)
        .development()
        .api_base("/tickets/v1")
        .operator(Texts::one("en", "Lux")?, Contact { email: "box@lux.example".into(), website: None })
        .keys(keys)
        .store(store)
        // Behind this loop nobody knows the clients' addresses; `admit_http::listen::serve` passes them on.
        .without_network_limits()
        .build()?;

    // The site's own pages, and everything that Admit needs beside them.
    let site = Router::new().route("/", get(|| async { Html("<h1>Lux</h1>") })).merge(cinema.router());
    println!("the site is at http://{address}/, its seats at http://{address}/tickets/v1/screenings/tomorrow/seats");
    if std::env::args().any(|a| a == "--once") {
        let serving = tokio::spawn(async move { axum::serve(listener, site).await });
        for path in ["/", "/.well-known/admit", "/tickets/v1/screenings/tomorrow/seats"] {
            println!("{path}: {}", status(address, path).await?);
        }
        serving.abort();
        return Ok(());
    }
    // On the open net, use an accept loop with timers: `admit_http::listen::serve`.
    Ok(axum::serve(listener, site).await?)
}

/// Asks for a page, and gives the status line.
async fn status(address: std::net::SocketAddr, path: &str) -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let line = answer.lines().next().unwrap_or_default().to_owned();
    anyhow::ensure!(line.contains("200"), "{path}: {line}");
    Ok(line)
}
