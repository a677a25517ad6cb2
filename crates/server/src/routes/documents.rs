//! Documents that are named by their hash and cached for ever.

use admit_http::conditional::{self, Keep};
use admit_http::{Path, Reply};
use admit_protocol::digest::ContentName;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use crate::cinema::Cinema;

/// A layout or a price table.
pub(super) async fn document(
    State(cinema): State<Cinema>,
    Path(name): Path<String>,
    request: HeaderMap,
) -> Result<Response, Reply> {
    let name: ContentName = name.parse().map_err(|_| Reply::not_found())?;
    let bytes = cinema.catalogue().document(name).cloned().ok_or_else(Reply::not_found)?;
    Ok(conditional::json(&request, &name.to_string(), Keep::Forever, bytes))
}

/// A page of cinemas.
pub(super) async fn cinema_page(
    State(cinema): State<Cinema>,
    Path(name): Path<String>,
    request: HeaderMap,
) -> Result<Response, Reply> {
    let name: ContentName = name.parse().map_err(|_| Reply::not_found())?;
    let bytes = cinema.catalogue().page(name).cloned().ok_or_else(Reply::not_found)?;
    Ok(conditional::json(&request, &name.to_string(), Keep::Forever, bytes))
}
