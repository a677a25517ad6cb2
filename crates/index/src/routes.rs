//! The index's API.

use admit_http::conditional::{self, Keep};
use admit_http::headers::{public, wrong_method};
use admit_http::{Query, Reply, StrictJson};
use admit_protocol::directory::{Announce, Day, FilmsShowing, Listings, PAGE_MAX, QUERY_BYTES_MAX, ScreeningHints};
use admit_protocol::endpoint as at;
use admit_protocol::geo::Position;
use admit_protocol::manifest::MANIFEST_PATH;
use admit_protocol::problem::{Problem, ProblemCode};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::index::{Index, IndexError};
use crate::world::Wanted;

pub(crate) fn router(index: &Index) -> Router {
    let api = Router::new()
        .route(at::ANNOUNCE.path, get(why).post(announce))
        .route(at::FIND_CINEMAS.path, get(cinemas))
        .route(at::FIND_FILMS.path, get(films))
        .route(at::FIND_SCREENINGS.path, get(screenings))
        .route(at::GET_MANIFEST.path, get(passed_on))
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here);
    let router = Router::new()
        .route(MANIFEST_PATH, get(manifest))
        .method_not_allowed_fallback(wrong_method)
        .nest("/v1", api)
        .with_state(index.clone());
    public(router, Timestamp::now)
}

async fn nothing_here() -> Reply {
    Reply::not_found()
}

fn json<T: Serialize>(value: &T) -> Response {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

fn reply(error: IndexError) -> Reply {
    match error {
        IndexError::Address(why) => Problem::new(ProblemCode::Invalid, why.to_string()).at("/origin").into(),
        busy @ IndexError::Busy => Problem::new(ProblemCode::Busy, busy.to_string()).retry_after_ms(60_000).into(),
        other => Reply::internal(&other),
    }
}

async fn manifest(State(index): State<Index>, request: HeaderMap) -> Response {
    let now = Timestamp::now();
    let jws = index.manifest(now).sign(index.identity());
    let bytes = serde_json::to_vec(&jws).unwrap_or_default();
    conditional::json(&request, &now.as_millisecond().to_string(), Keep::AskAgain, bytes.into())
}

async fn announce(State(index): State<Index>, body: StrictJson<Announce>) -> Result<Response, Reply> {
    Ok(json(&index.announce(&body.value.origin).await.map_err(reply)?))
}

#[derive(Deserialize)]
struct Which {
    origin: String,
}

async fn why(State(index): State<Index>, Query(which): Query<Which>) -> Result<Response, Reply> {
    let found = index.why(&which.origin).map_err(reply)?;
    let never = || Reply::new(ProblemCode::NotFound, "nobody announced this server: post its address here");
    found.map(|found| json(&found)).ok_or_else(never)
}

async fn passed_on(State(index): State<Index>, Query(which): Query<Which>) -> Result<Response, Reply> {
    let origin = index.read_origin(&which.origin).map_err(reply)?;
    index.world().manifest(&origin).map(json).ok_or_else(Reply::not_found)
}

/// What is looked for, as it stands in an address.
#[derive(Deserialize)]
struct Asked {
    q: Option<String>,
    lat_e6: Option<i32>,
    lon_e6: Option<i32>,
    radius_m: Option<u32>,
    #[serde(rename = "box")]
    within: Option<String>,
    city: Option<String>,
    country: Option<String>,
    date: Option<String>,
    limit: Option<usize>,
}

impl Asked {
    fn read(self) -> Result<Wanted, Reply> {
        let bad = |pointer: &str, why: &str| Err(Problem::new(ProblemCode::Invalid, why).at(pointer).into());
        let texts = [&self.q, &self.city, &self.country];
        if texts.into_iter().flatten().any(|t| t.len() > QUERY_BYTES_MAX) {
            return bad("/q", "a search text has at most 200 bytes");
        }
        let near = match (self.lat_e6, self.lon_e6) {
            (None, None) => None,
            (Some(lat), Some(lon)) => match Position::new(lat, lon) {
                Ok(position) => Some((position, f64::from(self.radius_m.unwrap_or(50_000).min(20_100_000)))),
                Err(_) => return bad("/lat_e6", "there is no such place on earth"),
            },
            _ => return bad("/lat_e6", "a place needs lat_e6 and lon_e6"),
        };
        let corners = |text: &str| -> Option<[i32; 4]> {
            let numbers: Vec<i32> = text.split(',').map(|n| n.parse().ok()).collect::<Option<_>>()?;
            let corners: [i32; 4] = numbers.try_into().ok()?;
            let [south, west, north, east] = corners;
            let real = Position::new(south, west).is_ok() && Position::new(north, east).is_ok() && south <= north;
            real.then_some(corners)
        };
        let within = match self.within.as_deref().map(corners) {
            Some(None) => return bad("/box", "a box is south,west,north,east in microdegrees"),
            Some(within) => within,
            None => None,
        };
        let date = match self.date.as_deref().map(str::parse::<Day>) {
            Some(Err(error)) => return bad("/date", &error.to_string()),
            Some(Ok(day)) => Some(day),
            None => None,
        };
        Ok(Wanted {
            text: self.q.filter(|q| !q.trim().is_empty()),
            near,
            within,
            city: self.city,
            country: self.country,
            date,
            limit: self.limit.unwrap_or(20).clamp(1, PAGE_MAX),
        })
    }
}

async fn cinemas(State(index): State<Index>, Query(asked): Query<Asked>) -> Result<Response, Reply> {
    Ok(json(&Listings { listings: index.world().cinemas(&asked.read()?, Timestamp::now()) }))
}

async fn films(State(index): State<Index>, Query(asked): Query<Asked>) -> Result<Response, Reply> {
    Ok(json(&FilmsShowing { films: index.world().films(&asked.read()?, Timestamp::now()) }))
}

async fn screenings(State(index): State<Index>, Query(asked): Query<Asked>) -> Result<Response, Reply> {
    Ok(json(&ScreeningHints { screenings: index.world().screenings(&asked.read()?, Timestamp::now()) }))
}
