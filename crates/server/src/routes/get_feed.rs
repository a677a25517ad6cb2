use std::time::Duration;

use admit_http::{Query, Reply};
use admit_protocol::feed::{FEED_PAGE_MAX, FEED_WAIT_MAX_S, Feed, FeedItem, TOMBSTONE_S};
use admit_protocol::problem::ProblemCode;
use admit_protocol::time::after;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;

use super::private;
use crate::catalogue::{Catalogue, Change};
use crate::cinema::Cinema;

#[derive(Deserialize)]
pub(super) struct ReadOn {
    cursor: Option<String>,
    /// How long to wait for news, in seconds.
    #[serde(default)]
    wait: u32,
}

/// What changed since the cursor; everything, if there is none.
pub(super) async fn get_feed(State(cinema): State<Cinema>, Query(read): Query<ReadOn>) -> Result<Response, Reply> {
    let since = read.cursor.as_deref().map(read_cursor).transpose()?;
    if let Some((_, at)) = since
        && at < after(cinema.now(), -TOMBSTONE_S)
    {
        let why = "removals of that time are forgotten: read the programme documents, then the feed from its beginning";
        return Err(Reply::new(ProblemCode::CursorExpired, why));
    }
    let since = since.map_or(0, |(number, _)| number);
    let wait = read.wait.min(FEED_WAIT_MAX_S);
    for _ in 0..wait {
        if cinema.catalogue().changes.range(since + 1..).next().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(private(&page(&cinema.catalogue(), since, cinema.now())))
}

fn page(catalogue: &Catalogue, since: u64, now: Timestamp) -> Feed {
    let mut items = Vec::new();
    let mut last = since;
    for (number, change) in catalogue.changes.range(since + 1..).take(FEED_PAGE_MAX) {
        last = *number;
        items.extend(match change {
            Change::Listed(id) => catalogue.screenings.get(id).map(|listed| FeedItem {
                screening: *id,
                cinema: listed.screening.cinema,
                changed_at: listed.changed_at,
                data: Some(Box::new(listed.screening.clone())),
            }),
            Change::Removed(gone) => Some(FeedItem {
                screening: gone.screening,
                cinema: gone.cinema,
                changed_at: gone.changed_at,
                data: None,
            }),
        });
    }
    Feed { items, next: format!("{last}.{}", now.as_second()) }
}

/// `{number of the last change read}.{when, in seconds}`
fn read_cursor(text: &str) -> Result<(u64, Timestamp), Reply> {
    let read = || {
        let (number, at) = text.split_once('.')?;
        Some((number.parse().ok()?, Timestamp::from_second(at.parse().ok()?).ok()?))
    };
    read().ok_or_else(|| Reply::new(ProblemCode::Unreadable, "this is no cursor of this feed: begin without one"))
}
