//! Seats as they change, pushed.

use std::time::Duration;

use admit_protocol::seats::{Seats, SeatsChange};
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::stage::{ANNA, BEN, Stage};

/// Somebody who watches the screening.
pub(crate) struct Watcher {
    stream: BodyDataStream,
    /// What has come and was not read.
    text: String,
}

/// An event: its id, its name, and what it says.
pub(crate) type Event = (String, String, Value);

impl Watcher {
    pub(crate) async fn begin(stage: &Stage, last: Option<&str>) -> Self {
        let mut request = Request::get("/v1/screenings/eight/live");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = stage.router.clone().oneshot(request).await.expect("infallible");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { stream: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event; nothing, if none comes for a second or the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let lines = event.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    lines.collect::<Vec<_>>().join("\n")
                };
                let (id, name, data) = (field("id"), field("event"), field("data"));
                self.text = rest.to_owned();
                if !data.is_empty() {
                    return Some((id, name, serde_json::from_str(&data).expect("json")));
                }
                continue;
            }
            let more = tokio::time::timeout(Duration::from_secs(1), self.stream.next()).await.ok()??;
            self.text.push_str(std::str::from_utf8(&more.expect("no error")).expect("text"));
        }
    }
}

impl Watcher {
    /// Makes true what comes, until it is what polling gave.
    async fn catch_up(&mut self, known: &mut Seats, polled: &Seats) {
        while known.seq < polled.seq {
            let (id, name, data) = self.next().await.expect("a change");
            let change: SeatsChange = serde_json::from_value(data).expect("a change");
            assert_eq!((name.as_str(), id), ("change", format!("{}:{}", known.epoch, change.seq)));
            known.apply(&change).expect("nothing is missing");
        }
        assert_eq!(&sorted(known.clone()), polled);
    }
}

fn sorted(mut seats: Seats) -> Seats {
    seats.not_free.values_mut().for_each(|seats| seats.sort_unstable());
    seats
}

async fn polled(stage: &Stage) -> Seats {
    sorted(serde_json::from_value(stage.seats().await).expect("seats"))
}

#[tokio::test]
async fn what_is_pushed_gives_what_polling_gives_live_002() {
    let s = Stage::new();
    let mut watcher = Watcher::begin(&s, None).await;
    let (id, name, data) = watcher.next().await.expect("all of it");
    assert_eq!((name.as_str(), &data), ("seats", &s.seats().await));
    let mut known: Seats = serde_json::from_value(data).expect("seats");
    assert_eq!(id, format!("{}:0", known.epoch));

    let hold = s.hold(ANNA, &["A1", "A2"]).await;
    s.hold(BEN, &["B3"]).await;
    s.post(BEN, "/v1/screenings/eight/holds", &json!({"areas": [{"area": "floor", "count": 3}]})).await;
    s.book(ANNA, &hold, 2050).await;
    watcher.catch_up(&mut known, &polled(&s).await).await;
    assert_eq!(known.not_free.len(), 2, "sold and held: {known:?}");
    s.clock.advance(301);
    // Reading makes true what is due: Ben's holds have lapsed.
    let now = polled(&s).await;
    watcher.catch_up(&mut known, &now).await;
    assert_eq!(known.not_free.len(), 1, "{known:?}");
}

#[tokio::test]
async fn sales_that_end_by_themselves_are_told() {
    let s = Stage::new();
    let mut watcher = Watcher::begin(&s, None).await;
    watcher.next().await.expect("all of it");
    // Sales close at the start, at eight.
    s.clock.advance(9 * 3600);
    // Nothing happens in the house. Whoever comes in makes it look.
    Watcher::begin(&s, None).await;
    let (_, _, data) = watcher.next().await.expect("told");
    assert_ne!(data["sales"], "open", "{data}");
}

#[tokio::test]
async fn who_comes_back_gets_what_they_missed_live_003() {
    let s = Stage::new();
    let mut watcher = Watcher::begin(&s, None).await;
    let (first, ..) = watcher.next().await.expect("all of it");
    s.hold(ANNA, &["A1"]).await;
    let (second, _, told) = watcher.next().await.expect("a change");
    drop(watcher);
    s.hold(BEN, &["A2"]).await;
    // With the first in hand, two are missing; with the second, one.
    let mut back = Watcher::begin(&s, Some(&first)).await;
    assert_eq!(back.next().await, Some((second.clone(), "change".into(), told)));
    let (_, _, data) = back.next().await.expect("the other one");
    assert_eq!((&data["not_free"], &data["from"], &data["seq"]), (&json!({"held": ["A2"]}), &json!(1), &json!(2)));
    let (third, _, data) = Watcher::begin(&s, Some(&second)).await.next().await.expect("the last one");
    assert_eq!(data["not_free"], json!({"held": ["A2"]}));
    // Who has everything hears that at once.
    let (_, name, data) = Watcher::begin(&s, Some(&third)).await.next().await.expect("a word");
    assert_eq!((name.as_str(), &data), ("change", &json!({"from": 2, "seq": 2, "sales": "open"})));
    // What nobody knows any more, or of another epoch, is told anew.
    for unknown in ["e0:1", "rubbish", &format!("{}:77", first.split(':').next().expect("an epoch"))] {
        let (_, name, data) = Watcher::begin(&s, Some(unknown)).await.next().await.expect("all of it");
        assert_eq!((name.as_str(), &data["seq"]), ("seats", &json!(2)), "{unknown}");
    }
}

#[tokio::test]
async fn who_comes_back_after_sales_ended_hears_that_they_did_live_003() {
    let s = Stage::new();
    let (id, _, data) = Watcher::begin(&s, None).await.next().await.expect("all of it");
    assert_eq!(data["sales"], "open");
    // No seat changes hands, so the version is what it was.
    s.clock.advance(9 * 3600);
    let (again, _, data) = Watcher::begin(&s, Some(&id)).await.next().await.expect("a word");
    assert_eq!((again, &data["seq"]), (id, &json!(0)));
    assert!(data["sales"].is_string() && data["sales"] != "open", "{data}");
}

#[tokio::test]
async fn a_slow_listener_is_let_go_and_not_waited_for_live_004() {
    let s = Stage::new();
    let mut slow = Watcher::begin(&s, None).await;
    slow.next().await.expect("all of it");
    let mut quick = Watcher::begin(&s, None).await;
    let (first, ..) = quick.next().await.expect("all of it");
    for _ in 0..70 {
        let hold = s.hold(ANNA, &["A1"]).await;
        s.delete(ANNA, &crate::stage::path(&hold)).await;
        let hold = s.hold(ANNA, &["A3"]).await;
        quick.next().await.expect("a change");
        s.delete(ANNA, &crate::stage::path(&hold)).await;
        quick.next().await.expect("a change");
    }
    // It may have read what was on its way to it before.
    let mut read = 0;
    while slow.next().await.is_some() {
        read += 1;
    }
    assert!(read < 140, "more events than are kept for one: {read}");
    let (_, name, _) = Watcher::begin(&s, Some(&first)).await.next().await.expect("all of it");
    assert_eq!(name, "seats", "what is not kept any more is told anew");
}
