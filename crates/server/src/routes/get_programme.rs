use admit_http::conditional::{self, Keep};
use admit_http::{Path, Query, Reply};
use admit_protocol::digest::ContentName;
use admit_protocol::id::{CinemaId, ScreeningId};
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;

use crate::cinema::Cinema;

#[derive(Deserialize)]
pub(super) struct PageOf {
    cursor: Option<usize>,
}

/// A page of a cinema's programme.
pub(super) async fn get_programme(
    State(cinema): State<Cinema>,
    Path(id): Path<CinemaId>,
    Query(page): Query<PageOf>,
    request: HeaderMap,
) -> Result<Response, Reply> {
    let catalogue = cinema.catalogue();
    let page = catalogue.programme(id, page.cursor.unwrap_or(0)).ok_or_else(Reply::not_found)?;
    Ok(conditional::json(&request, &page.etag.to_string(), Keep::AskAgain, page.bytes.clone()))
}

/// One screening.
pub(super) async fn get_screening(
    State(cinema): State<Cinema>,
    Path(id): Path<ScreeningId>,
    request: HeaderMap,
) -> Result<Response, Reply> {
    let catalogue = cinema.catalogue();
    let bytes = catalogue.screening(id).map(crate::answers::json);
    let gone = || crate::refusals::reply(crate::engine::Failed::NoScreening);
    let bytes = bytes.ok_or_else(gone)?;
    Ok(conditional::json(&request, &ContentName::of(&bytes).to_string(), Keep::AskAgain, bytes))
}
