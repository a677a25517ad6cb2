//! How staff run their own server: not part of the protocol, but by the same HTTP rules.
//!
//! Staff sign in with a password (Argon2id) and get a session cookie and a CSRF token; every change needs both. What a role
//! may do is in [`Role::may`]; what was done is in the houses' log and in the audit table. There is no CORS here.

mod houses;
mod programme;
mod session;
mod staff;

use std::sync::Arc;

use admit_http::{Reply, headers};
use admit_protocol::problem::{Problem, ProblemCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Router, middleware};
use http::header;
use serde::Serialize;
use tokio::sync::Semaphore;

pub use self::programme::{Exported, Imported};
pub use self::session::{BadPassword, hash_password};
pub use self::staff::{NewToken, PutStaff};
use crate::cinema::Cinema;
use crate::store::StaffStore;
use crate::store::StoreError;
pub use crate::store::{AuditEntry, Permission, Role, StaffMember};

/// The staff's side of a server.
#[derive(Clone)]
pub struct Management(Arc<Inner>);

struct Inner {
    cinema: Cinema,
    store: Arc<dyn StaffStore>,
    /// Argon2id takes 19 MiB and 20 ms each: two at a time.
    hashing: Semaphore,
    failures: session::Failures,
    /// Held from the look at a version until the edit that was made on it is in force.
    editing: tokio::sync::Mutex<()>,
}

impl Management {
    /// The staff's side of `cinema`, whose data is in `store`.
    #[must_use]
    pub fn new(cinema: Cinema, store: Arc<dyn StaffStore>) -> Self {
        Self(Arc::new(Inner {
            cinema,
            store,
            hashing: Semaphore::new(2),
            failures: session::Failures::default(),
            editing: tokio::sync::Mutex::default(),
        }))
    }

    /// The buyers' routes of its cinema, for the counter, too: whoever sends a session of staff who may sell is not limited as
    /// strangers are.
    pub fn with_counter(&self) -> Router {
        let management = self.clone();
        let counter = middleware::from_fn(move |request, next| session::at_counter(management.clone(), request, next));
        self.0.cinema.router().layer(counter)
    }

    /// Its routes, under `/manage/v1`.
    pub fn router(&self) -> Router {
        let screening = "/screenings/{screening}";
        let booking = format!("{screening}/bookings/{{booking}}");
        let api = Router::new()
            .route("/sessions", post(session::sign_in))
            .route("/sessions/current", get(session::who_am_i).delete(session::sign_out))
            .route("/cinemas/{cinema}", get(programme::get_cinema).put(programme::put_cinema))
            .route("/films/{film}", get(programme::get_film).put(programme::put_film))
            .route(
                screening,
                get(programme::get_screening).put(programme::put_screening).delete(programme::remove_screening),
            )
            .route("/layouts", post(programme::add_layout))
            .route("/price_tables", post(programme::add_price_table))
            .route("/imports", post(programme::import))
            .route("/export", get(programme::export))
            .route(&format!("{screening}/holds"), get(houses::list))
            .route(&format!("{screening}/holds/{{hold}}"), delete(houses::release))
            .route(&format!("{screening}/blocks"), post(houses::block))
            .route(&format!("{screening}/unblocks"), post(houses::unblock))
            .route(&format!("{booking}/tickets"), get(houses::tickets))
            .route(&format!("{booking}/settlements"), post(houses::settle))
            .route(&format!("{booking}/refunds"), post(houses::refund))
            .route(&format!("{booking}/cancellations"), post(houses::cancel))
            .route("/staff", get(staff::list))
            .route("/staff/{login}", put(staff::put))
            .route("/devices/{device}", put(staff::put_device))
            .route("/audit", get(staff::audit))
            .route("/till", get(staff::till))
            .method_not_allowed_fallback(headers::wrong_method)
            .fallback(nothing_here)
            .with_state(self.clone());
        let clock = self.0.cinema.clone();
        headers::layer(Router::new().nest("/manage/v1", api), move || clock.now())
    }

    /// Runs something that blocks.
    async fn store<T: Send + 'static>(
        &self,
        run: impl FnOnce(&dyn StaffStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Reply> {
        let store = self.0.store.clone();
        let ran = tokio::task::spawn_blocking(move || run(&*store)).await.map_err(|e| Reply::internal(&e))?;
        ran.map_err(|error| match error {
            StoreError::Refused(why) => Problem::new(ProblemCode::Invalid, why).into(),
            other => Reply::internal(&other),
        })
    }

    /// Notes what somebody did.
    async fn note(&self, by: &StaffMember, did: &str, subject: impl Into<String>) -> Result<(), Reply> {
        let at = self.0.cinema.now();
        let entry = AuditEntry { at, by: by.login.clone(), did: did.to_owned(), subject: subject.into() };
        self.store(move |store| store.note(&entry)).await
    }
}

fn json<T: Serialize>(value: &T) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::answers::json(value)).into_response()
}

async fn nothing_here() -> Reply {
    Reply::not_found()
}
