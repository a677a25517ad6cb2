//! Parts of an address, as types. What cannot be an id names nothing; what cannot be read is said to be so.

use admit_protocol::problem::ProblemCode;
use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::Reply;

/// Parameters of the path. One that is not an id is the name of nothing: 404.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Reply> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|_| Reply::not_found())
    }
}

/// Parameters after the question mark. Those that are not known are ignored.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Reply> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        let unreadable = |e: axum::extract::rejection::QueryRejection| {
            // Below it is which parameter, and what is wrong with it; above it, what this server is made of.
            let why = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
            Reply::new(ProblemCode::Unreadable, format!("the address's parameters: {why}"))
        };
        query.map(|axum::extract::Query(value)| Self(value)).map_err(unreadable)
    }
}
