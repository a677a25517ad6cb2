//! A server to be measured: on disk, with its limits on, behind a listed proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use admit_http::listen::{Limits, serve};
use admit_http::{StrictJson, TrustedProxies};
use admit_protocol::manifest::Contact;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::Texts;
use admit_server::Cinema;
use admit_server::bundle::Bundle;
use admit_server::keys::KeyRing;
use admit_server::store::{Layouts, StaffStore};
use axum::Router;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// A hall of the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hall {
    /// 300 seats.
    Ordinary,
    /// As many as a layout may have: one screening takes a load for a while.
    Largest,
}

impl Hall {
    pub(crate) fn rows(self) -> usize {
        match self {
            Self::Ordinary => 15,
            Self::Largest => 100,
        }
    }

    pub(crate) fn seats_per_row(self) -> usize {
        match self {
            Self::Ordinary => 20,
            Self::Largest => 200,
        }
    }

    pub(crate) fn seats(self) -> usize {
        self.rows() * self.seats_per_row()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "show",
            Self::Largest => "arena",
        }
    }

    /// The id of a screening in it.
    pub(crate) fn screening(self, n: usize) -> String {
        format!("{}-{n}", self.name())
    }

    fn layout(self) -> Value {
        let id = |r: usize, n: usize| format!("{r}-{n}");
        let seat = |r: usize, n: usize| {
            let mut seat = json!({"id": id(r, n), "row": r.to_string(), "number": n.to_string(), "x": n * 60, "y": r * 110, "zone": "all"});
            if n > 1 {
                seat["left"] = json!(id(r, n - 1));
            }
            if n < self.seats_per_row() {
                seat["right"] = json!(id(r, n + 1));
            }
            seat
        };
        let seats: Vec<Value> =
            (1..=self.rows()).flat_map(|r| (1..=self.seats_per_row()).map(move |n| seat(r, n))).collect();
        json!({"screen": {"from": {"x": 0, "y": 0}, "to": {"x": 1200, "y": 0}}, "focal_point": {"x": 600, "y": 1000},
            "zones": [{"id": "all", "name": {"en": "All"}}], "seats": seats})
    }
}

/// Memory for houses that a server has if nothing is said, in MiB.
pub(crate) const USUAL_MB: usize = 192;
/// And so much that everything has room which a bench sells.
pub(crate) const AMPLE_MB: usize = 1024;

/// What a ticket costs.
pub(crate) const PRICE: i64 = 1000;

/// A screening in the largest hall that is sold in turns.
pub(crate) const QUEUED: &str = "queued";

/// Screenings in the largest hall: sold out one after another.
const ARENAS: usize = 60;

/// A server that runs on threads of its own.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    _stop: watch::Sender<bool>,
    runtime: Option<Runtime>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the trivial route reads: about 300 bytes.
#[derive(Deserialize)]
struct Trivial {
    items: Vec<String>,
}

/// What it answers: about 500 bytes.
#[derive(Serialize)]
struct Echo {
    items: Vec<String>,
    note: &'static str,
}

async fn trivial(body: StrictJson<Trivial>) -> axum::Json<Echo> {
    axum::Json(Echo { items: body.value.items, note: NOTE })
}

const NOTE: &str = "an answer of about five hundred bytes, as long as a hold of four seats with its prices, so that both \
    routes move the same amount of data through the same sockets and differ only in what they do in between, and more words";

impl Stage {
    /// A cinema with so many screenings of 300 seats, and some of many more, in a store; they may be there already. One is sold in turns, if it is
    /// said from when.
    pub(crate) fn open(
        store: Arc<dyn StaffStore>,
        screenings: usize,
        sale_opens_at: Option<jiff::Timestamp>,
        houses_mb: usize,
    ) -> anyhow::Result<Self> {
        let now = jiff::Timestamp::now();
        if store.catalogue()?.screenings.is_empty() {
            let checked = programme(screenings, sale_opens_at)?.check(now);
            anyhow::ensure!(checked.refused.is_empty(), "{:?}", checked.refused.first());
            store.edit(&checked.edits, now, Layouts::Stay)?;
        }
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let (keys, _) = KeyRing::generate(now)?;
        let cinema = Cinema::builder(Origin::parse(&format!("http://{address}"), OriginPolicy::Loopback)?)
            .development()
            .operator(Texts::one("en", "Bench")?, Contact { email: "bench@kino.example".into(), website: None })
            .keys(keys)
            .memory_for_houses(houses_mb)
            .shared_store(store)
            .build()?;
        let router = cinema.router().merge(Router::new().route("/trivial", post(trivial)));
        let limits = Limits { proxies: TrustedProxies::new([IpAddr::V4(Ipv4Addr::LOCALHOST)]), ..Limits::default() };
        let (stop, stopped) = watch::channel(false);
        runtime.spawn(serve(listener, router, limits, stopped));
        Ok(Self { address, _stop: stop, runtime: Some(runtime) })
    }
}

fn programme(screenings: usize, sale_opens_at: Option<jiff::Timestamp>) -> anyhow::Result<Bundle> {
    let price = json!({"amount": PRICE, "currency": "EUR"});
    let hall = |hall: Hall| json!({"id": hall.name(), "name": {"en": "Hall"}, "layout": hall.name()});
    let show = |hall: Hall, n: usize| {
        json!({"id": hall.screening(n), "cinema": "kino", "hall": hall.name(), "starts": "today+9 20:00",
        "items": [{"film": "film"}], "price_table": "all"})
    };
    let ordinary = (0..screenings).map(|n| show(Hall::Ordinary, n));
    let queued = sale_opens_at.map(|opens_at| {
        let mut show = show(Hall::Largest, 0);
        show["id"] = json!(QUEUED);
        show["sales_open"] = json!(opens_at);
        let opens_at = admit_protocol::time::after(opens_at, -60);
        show["queue"] = json!({"opens_at": opens_at, "admits_per_min": crate::queue::ADMITS_PER_MIN});
        show
    });
    let arenas = (0..ARENAS).map(|n| show(Hall::Largest, n));
    let shows: Vec<Value> = ordinary.chain(arenas).chain(queued).collect();
    Ok(serde_json::from_value(json!({
        "layouts": {"show": Hall::Ordinary.layout(), "arena": Hall::Largest.layout()},
        "price_tables": {"all": {"currency": "EUR",
            "ticket_types": [{"id": "adult", "name": {"en": "Adult"}, "audience": "adult"}],
            "offers": [{"ticket_type": "adult", "zone": "all", "base": price, "total": price}]}},
        "cinemas": [{"id": "kino", "name": {"en": "Kino"}, "zone": "Europe/Prague", "currency": "EUR",
            "address": {"street": "1", "city": {"en": "Prague"}, "country": "CZ"}, "position": {"lat_e6": 0, "lon_e6": 0},
            "halls": [hall(Hall::Ordinary), hall(Hall::Largest)]}],
        "films": [{"id": "film", "title": {"en": "Film"}, "runtime_min": 90, "versions": [{"id": "v", "kind": "silent"}]}],
        "screenings": shows,
    }))?)
}
