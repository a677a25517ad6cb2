//! What is answered at an origin that a server left: where it is now, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use admit_http::{Reply, headers};
use admit_protocol::capability::Role;
use admit_protocol::manifest::{Contact, Keys, MANIFEST_PATH, Manifest};
use admit_protocol::origin::Origin;
use admit_protocol::problem::ProblemCode;
use admit_protocol::text::Texts;
use admit_protocol::time::after;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header;
use jiff::Timestamp;

use crate::keys::KeyRing;

/// How long a word of farewell is good, in seconds: a day. It is signed anew for everybody who asks.
const LIFE_S: i64 = 24 * 3600;

/// A server that moved, as it is heard of at its old origin (MAN-014). It needs the keys and no store, so it can stay where the old
/// origin is served when everything else has gone.
#[derive(Debug)]
pub struct Farewell {
    /// Where it was.
    pub from: Origin,
    /// Where it was before that: as the manifest at the new origin says it, without `from`.
    pub before: BTreeSet<Origin>,
    /// Where it is now: there, [`Builder::moved_from`](crate::Builder::moved_from) names the old origin.
    pub to: Origin,
    /// Who runs it.
    pub operator: Texts,
    /// How to reach them.
    pub contact: Contact,
    /// The same keys as at the new origin.
    pub keys: KeyRing,
}

impl Farewell {
    /// The manifest that says where it is, and 410 `moved` for everything else.
    pub fn router(self) -> Router {
        let router = Router::new()
            .route(MANIFEST_PATH, get(manifest).fallback(elsewhere))
            .fallback(elsewhere)
            .with_state(Arc::new(self));
        headers::public(router, Timestamp::now)
    }

    fn manifest(&self, now: Timestamp) -> Manifest {
        Manifest {
            origin: self.from.clone(),
            role: Role::Server,
            versions: BTreeSet::from(["v1".to_owned()]),
            api_base: "/v1".into(),
            operator: self.operator.clone(),
            cinema_pages: Vec::new(),
            keys: Keys { ticket: self.keys.listed(now), ..self.keys.public() },
            capabilities: BTreeSet::new(),
            auth_methods: Vec::new(),
            payment_methods: Vec::new(),
            hold_policy: None,
            waitlist_policy: None,
            queue_policy: None,
            contact: self.contact.clone(),
            moved_to: Some(self.to.clone()),
            moved_from: self.before.clone(),
            serial: now.as_millisecond().unsigned_abs(),
            issued: now,
            expires: after(now, LIFE_S),
        }
    }
}

async fn manifest(State(server): State<Arc<Farewell>>) -> Response {
    let jws = server.manifest(Timestamp::now()).sign(&server.keys.identity);
    ([(header::CONTENT_TYPE, "application/json")], crate::answers::json(&jws)).into_response()
}

async fn elsewhere(State(server): State<Arc<Farewell>>) -> Reply {
    Reply::new(ProblemCode::Moved, format!("it is at {} now: meet it there", server.to))
}
