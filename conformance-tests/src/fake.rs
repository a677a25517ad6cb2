//! A cinema's server that says what it is told to, for indexes to look at: documents alone, nothing is sold.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What a lie is told with: everything that is said, before it is signed and named.
pub(crate) struct Said {
    pub(crate) manifest: Value,
    pub(crate) cinemas: Value,
    pub(crate) programme: Value,
    /// The protected header.
    pub(crate) header: Value,
    /// What the well-known document is after it was signed.
    pub(crate) jws: Value,
    /// What the well-known document is from the second look on, if not the same.
    pub(crate) then: Option<Value>,
    /// Something else than the documents, for paths that end so.
    pub(crate) instead: Vec<Instead>,
    seed: [u8; 32],
}

impl Said {
    /// Its key of this number: 1 is the identity, 2 the recovery, 3 the ticket key; the others are nobody's yet.
    pub(crate) fn key(&self, n: u8) -> String {
        public(&key(&self.seed, n))
    }

    /// A document that one of its keys signs as this kind.
    pub(crate) fn signed_by(&self, n: u8, typ: &str, document: &Value) -> Value {
        let key = key(&self.seed, n);
        let header = json!({"alg": "EdDSA", "typ": typ, "kid": key_id(&key)});
        signed(&key, &header, document)
    }
}

fn key(seed: &[u8; 32], n: u8) -> SigningKey {
    SigningKey::from_bytes(&Sha256::digest([&seed[..], &[n]].concat()).into())
}

fn public(key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes())
}

fn key_id(key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(key.verifying_key().as_bytes())[..16])
}

fn signed(key: &SigningKey, header: &Value, document: &Value) -> Value {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (protected, payload) = (encode(header), encode(document));
    let signature = key.sign(format!("{protected}.{payload}").as_bytes());
    json!({"protected": protected, "payload": payload, "signature": URL_SAFE_NO_PAD.encode(signature.to_bytes())})
}

/// What is answered at paths that end so, instead of a document: status, body, headers.
pub(crate) type Instead = (&'static str, StatusCode, String, Vec<(&'static str, String)>);

/// A server of one cinema, until it is dropped.
pub(crate) struct Fake {
    pub(crate) origin: String,
    /// The well-known document, as it is sent.
    pub(crate) jws: Value,
    /// Paths that were asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What it is and where.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) city: &'static str,
    pub(crate) country: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) lat_e6: i64,
    pub(crate) lon_e6: i64,
    pub(crate) film: String,
}

struct Documents {
    jws: Value,
    then: Option<Value>,
    page: (String, String),
    programme: String,
    instead: Vec<Instead>,
    asked: Arc<Mutex<Vec<String>>>,
}

fn named(bytes: &str) -> String {
    format!("sha256-{}", URL_SAFE_NO_PAD.encode(Sha256::digest(bytes)))
}

impl Fake {
    /// Starts one that says all of this, changed by `lie`. Before signing it is told to change the documents, after it the JWS.
    pub(crate) async fn start(place: &Place, seed: [u8; 32], lie: impl Fn(&mut Said, bool)) -> Result<Self, String> {
        Self::start_on(listen().await?, place, seed, lie)
    }

    /// One that moved, and where it says that it is now. That one says where it was before, changed by `lie`.
    pub(crate) async fn start_moved(
        place: &Place,
        seed: [u8; 32],
        lie: impl Fn(&mut Said, bool),
    ) -> Result<(Self, Self), String> {
        let listener = listen().await?;
        let there = origin_of(&listener)?;
        let old = Self::start(place, seed, |said, _| said.manifest["moved_to"] = json!(there)).await?;
        let new = Self::start_on(listener, place, seed, |said, signed| {
            if !signed {
                said.manifest["moved_from"] = json!([old.origin]);
            }
            lie(said, signed);
        })?;
        Ok((old, new))
    }

    fn start_on(
        listener: tokio::net::TcpListener,
        place: &Place,
        seed: [u8; 32],
        lie: impl Fn(&mut Said, bool),
    ) -> Result<Self, String> {
        let origin = origin_of(&listener)?;
        let key = |n: u8| key(&seed, n);
        let (identity, now) = (key(1), Timestamp::now());
        let now = Timestamp::from_second(now.as_second()).map_err(|e| e.to_string())?;
        let later = |hours: i64| now + SignedDuration::from_hours(hours);
        let mut said = Said {
            manifest: json!({
                "origin": origin, "role": "server", "versions": ["v1"], "api_base": "/v1",
                "operator": {"en": "Suite"}, "contact": {"email": "suite@test.example"}, "capabilities": [],
                "auth_methods": ["secret"], "payment_methods": ["none"],
                "keys": {"identity": public(&identity), "recovery": public(&key(2)), "ticket": [{"key": public(&key(3)),
                    "signs_from": now, "signs_until": later(24 * 90), "verify_until": later(24 * 120)}]},
                "serial": now.as_millisecond(), "issued": now, "expires": later(24),
            }),
            cinemas: json!({"cinemas": [place.cinema()]}),
            programme: place.programme(now)?,
            header: json!({"alg": "EdDSA", "typ": "admit-manifest+jws", "kid": key_id(&identity)}),
            jws: Value::Null,
            then: None,
            instead: Vec::new(),
            seed,
        };
        lie(&mut said, false);
        let page = said.cinemas.to_string();
        if said.manifest["cinema_pages"].is_null() {
            said.manifest["cinema_pages"] = json!([named(&page)]);
        }
        let name = said.manifest["cinema_pages"][0].as_str().unwrap_or_default().to_owned();
        said.jws = signed(&identity, &said.header, &said.manifest);
        lie(&mut said, true);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let documents = Documents {
            jws: said.jws.clone(),
            then: said.then,
            page: (name, page),
            programme: said.programme.to_string(),
            instead: said.instead,
            asked: asked.clone(),
        };
        let router = Router::new().fallback(answer).with_state(Arc::new(documents));
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { origin, jws: said.jws, asked, serving })
    }

    /// How often it was asked for its manifest.
    pub(crate) fn looks(&self) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|path| path.ends_with("/.well-known/admit")).count()
    }
}

async fn listen() -> Result<tokio::net::TcpListener, String> {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(|e| e.to_string())
}

fn origin_of(listener: &tokio::net::TcpListener) -> Result<String, String> {
    Ok(format!("http://{}", listener.local_addr().map_err(|e| e.to_string())?))
}

async fn answer(State(said): State<Arc<Documents>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let again = {
        let mut asked = said.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(path.clone());
        asked.iter().filter(|before| **before == path).count() > 1
    };
    if let Some((_, status, body, headers)) = said.instead.iter().find(|(end, ..)| path.ends_with(end)) {
        let mut response = (*status, body.clone()).into_response();
        for (name, value) in headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(*name, value);
            }
        }
        return response;
    }
    let json = |body: String| ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    match path.as_str() {
        "/.well-known/admit" => json(said.then.as_ref().filter(|_| again).unwrap_or(&said.jws).to_string()),
        page if page == format!("/v1/cinema_pages/{}", said.page.0) => json(said.page.1.clone()),
        programme if programme.ends_with("/programme") => json(said.programme.clone()),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Place {
    fn cinema(&self) -> Value {
        json!({"id": "kino", "name": {"en": self.name}, "zone": self.zone, "currency": "EUR",
            "address": {"street": "1", "city": {"en": self.city}, "country": self.country},
            "position": {"lat_e6": self.lat_e6, "lon_e6": self.lon_e6},
            "halls": [{"id": "one", "name": {"en": "One"}, "capacity": 50, "layout": named("layout")}]})
    }

    /// Two screenings: in three hours, and in two days.
    fn programme(&self, now: Timestamp) -> Result<Value, String> {
        let zone = jiff::tz::TimeZone::get(self.zone).map_err(|e| e.to_string())?;
        let screening = |id: &str, hours: i64| {
            let moment = |at: Timestamp| {
                let local = at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
                json!({"at": at, "local": local, "zone": self.zone})
            };
            let (start, end) = (now + SignedDuration::from_hours(hours), now + SignedDuration::from_hours(hours + 2));
            let local = start.to_zoned(zone.clone());
            // An evening lasts until five.
            let date = if local.hour() < 5 { local.date().yesterday().unwrap_or(local.date()) } else { local.date() };
            json!({"id": id, "cinema": "kino", "hall": "one", "layout": named("layout"), "price_table": named("prices"),
                "items": [{"film": "film", "version": "v", "starts_at": moment(start)}],
                "starts_at": moment(start), "ends_at": moment(end), "business_date": date.to_string(),
                "sales": {"opens_at": now, "closes_at": start}, "cancellation": {"tiers": []}})
        };
        Ok(json!({"cinema": "kino",
            "films": [{"id": "film", "title": {"en": self.film}, "runtime_min": 120, "versions": [{"id": "v", "kind": "silent"}]}],
            "screenings": [screening("soon", 3), screening("later", 48)]}))
    }
}
