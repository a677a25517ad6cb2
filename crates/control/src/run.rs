//! One run: a whole server, its clock, and staff who do as they are told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use admit_http::listen::{self, Limits};
use admit_http::{Reply, headers};
use admit_outbound::Courier;
use admit_protocol::id::{BookingId, ScreeningId, SeatId};
use admit_protocol::manifest::Contact;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::policy::CancellationPolicy;
use admit_protocol::problem::{Problem, ProblemCode};
use admit_protocol::text::Texts;
use admit_server::clock::{Clock as _, ManualClock};
use admit_server::keys::KeyRing;
use admit_server::management::{Management, hash_password};
use admit_server::store::postgres::PostgresStore;
use admit_server::store::sqlite::SqliteStore;
use admit_server::store::{Role, StaffMember, StaffStore, StoreError};
use admit_server::{Cinema, HouseRules};
use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, header};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::wanted::{self, Wanted, prices, programme};

/// Where runs keep their data.
#[derive(Clone)]
pub enum Stores {
    /// Each in a folder of its own.
    Sqlite,
    /// Each in a schema of its own of this database.
    Postgres(String),
}

impl Stores {
    fn open(&self, folder: &std::path::Path) -> anyhow::Result<(Option<String>, Arc<dyn StaffStore>)> {
        Ok(match self {
            Self::Sqlite => (None, Arc::new(SqliteStore::open(folder)?)),
            Self::Postgres(address) => {
                let schema = admit_private_postgres::new_schema(address)?;
                let store = PostgresStore::open(&schema)?;
                (Some(schema), Arc::new(store))
            }
        })
    }
}

/// What is done at a run: the table in `spec/v1/control.md`.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Action {
    Block { screening: ScreeningId, seats: Vec<SeatId> },
    Unblock { screening: ScreeningId, seats: Vec<SeatId> },
    Pause { screening: ScreeningId },
    Resume { screening: ScreeningId },
    CancelScreening { screening: ScreeningId },
    RemoveScreening { screening: ScreeningId },
    MoveScreening { screening: ScreeningId, by_s: i64 },
    ChangePrice { screening: ScreeningId, price: i64 },
    ChangeCancellation { screening: ScreeningId, cancellation: CancellationPolicy },
    Paid { screening: ScreeningId, booking: BookingId },
    Restart,
}

pub(crate) struct Run {
    origin: Origin,
    /// Where it listens.
    address: Origin,
    scanner: String,
    clock: Arc<ManualClock>,
    keys: KeyRing,
    folder: tempfile::TempDir,
    schema: Option<String>,
    /// What buyers reach; none, while it starts again.
    serving: Arc<RwLock<Option<Router>>>,
    staff: Mutex<Staff>,
    next: AtomicU64,
    stop: watch::Sender<bool>,
    listening: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// What staff work with.
struct Staff {
    /// None, while it starts again.
    cinema: Option<Cinema>,
    /// Does what it does beside answering, until it is dropped.
    beside: JoinSet<()>,
    management: Router,
    cookie: String,
    csrf: String,
    programme: Value,
}

const LOGIN: &str = "suite";
const PASSWORD: &str = "as it is told, it does";
/// Longer than any answer that staff get here.
const ANSWER_BYTES_MAX: usize = 16 << 20;

impl Run {
    pub(crate) async fn begin(stores: &Stores, called: Option<Origin>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = tokio::net::TcpListener::bind(listen::unused_address()?).await?;
        let address = Origin::parse(&format!("http://{}", listener.local_addr()?), OriginPolicy::Loopback)?;
        let origin = called.unwrap_or_else(|| address.clone());
        // A whole second, as screenings begin.
        let now = Timestamp::from_second(Timestamp::now().as_second())?;
        let clock = Arc::new(ManualClock::new(now));
        let (keys, _recovery) = KeyRing::generate(clock.now())?;
        let (stores, path) = (stores.clone(), folder.path().to_owned());
        let opened = tokio::task::spawn_blocking(move || {
            let (schema, store) = stores.open(&path)?;
            let suite = StaffMember { login: LOGIN.into(), name: LOGIN.into(), role: Role::Admin, disabled: false };
            store.put_staff(&suite, Some(&hash_password(PASSWORD)?))?;
            anyhow::Ok((schema, store))
        });
        let (schema, store) = opened.await??;
        let (cinema, router, management) = server(&origin, &keys, &clock, store)?;
        let serving = Arc::new(RwLock::new(Some(router)));
        let (stop, stopped) = watch::channel(false);
        let current = serving.clone();
        let front = Router::new().fallback(move |request| answer(current.clone(), request));
        let limits = Limits { connections_per_address: 4_096, ..Limits::default() };
        let front = headers::layer(front, {
            let clock = clock.clone();
            move || clock.now()
        });
        let listening = tokio::spawn(listen::serve(listener, front, limits, stopped));
        let mut staff = Staff {
            beside: beside(&cinema),
            cinema: Some(cinema),
            management,
            cookie: String::new(),
            csrf: String::new(),
            programme: programme(),
        };
        let device = staff.ask(Method::PUT, "/devices/door-1", &json!({"name": "Door"}), None).await;
        let scanner = device.map_err(|p| anyhow::anyhow!("{}", p.detail))?["token"].as_str().map(str::to_owned);
        let this = Self {
            origin,
            address,
            scanner: scanner.context("no token")?,
            clock,
            keys,
            folder,
            schema,
            serving,
            staff: Mutex::new(staff),
            next: AtomicU64::new(1),
            stop,
            listening: Mutex::new(Some(listening)),
        };
        // Its programme is never empty.
        this.make(&Wanted::default()).await.map_err(|_| anyhow::anyhow!("the first screening could not be made"))?;
        Ok(this)
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn address(&self) -> &Origin {
        &self.address
    }

    pub(crate) fn scanner(&self) -> &str {
        &self.scanner
    }

    /// Its origin answers no more.
    pub(crate) async fn end(&self) {
        // Nobody starts it again meanwhile.
        let mut staff = self.staff.lock().await;
        self.stop.send_replace(true);
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = None;
        (staff.cinema, staff.management) = (None, Router::new());
        staff.beside.shutdown().await;
        let listening = self.listening.lock().await.take();
        if let Some(listening) = listening {
            listening.abort();
            let _ = listening.await;
        }
    }

    /// Makes a screening.
    pub(crate) async fn make(&self, wanted: &Wanted) -> Result<ScreeningId, Reply> {
        let name = format!("show-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut staff = self.staff.lock().await;
        let mut changed = staff.programme.clone();
        wanted.add_to(&mut changed, &name, self.clock.now());
        staff.import(changed).await?;
        name.parse().map_err(|e| Reply::internal(&e))
    }

    /// Moves the clock, and lets everything happen that is due by then (CTRL-004).
    pub(crate) async fn advance(&self, ms: i64) -> Timestamp {
        self.clock.advance_ms(ms);
        if let Some(cinema) = &self.staff.lock().await.cinema {
            cinema.let_time_pass().await;
        }
        self.clock.now()
    }

    pub(crate) async fn act(&self, action: Action) -> Result<(), Reply> {
        let mut staff = self.staff.lock().await;
        match action {
            Action::Block { screening, seats } => {
                let blocks = format!("/screenings/{screening}/blocks");
                staff.ask(Method::POST, &blocks, &json!({"seats": seats, "reason": "house"}), None).await?;
            }
            Action::Unblock { screening, seats } => {
                let unblocks = format!("/screenings/{screening}/unblocks");
                staff.ask(Method::POST, &unblocks, &json!({"seats": seats}), None).await?;
            }
            Action::Pause { screening } => staff.change(screening, |row| row["status"] = json!("paused")).await?,
            Action::Resume { screening } => staff.change(screening, |row| row["status"] = json!("on_sale")).await?,
            Action::CancelScreening { screening } => {
                staff.change(screening, |row| row["status"] = json!("cancelled")).await?;
            }
            Action::RemoveScreening { screening } => {
                staff.ask(Method::DELETE, &format!("/screenings/{screening}"), &Value::Null, None).await?;
                if let Some(rows) = staff.programme["screenings"].as_array_mut() {
                    rows.retain(|row| row["id"] != json!(screening));
                }
            }
            Action::MoveScreening { screening, by_s } => {
                staff.change(screening, |row| row["starts"] = json!(wanted::moved(&row["starts"], by_s))).await?;
            }
            Action::ChangePrice { screening, price } => {
                let name = format!("{screening}-{}", self.next.fetch_add(1, Ordering::Relaxed));
                staff
                    .change_with(screening, Some((&name, prices(price))), |row| row["price_table"] = json!(name))
                    .await?;
            }
            Action::ChangeCancellation { screening, cancellation } => {
                staff.change(screening, |row| row["cancellation"] = json!(cancellation)).await?;
            }
            Action::Paid { screening, booking } => {
                let rows =
                    staff.ask(Method::GET, &format!("/screenings/{screening}/holds"), &Value::Null, None).await?;
                let of = |row: &&Value| row["booking"]["id"] == json!(booking);
                let rows = rows.as_array().cloned().unwrap_or_default();
                let due = rows.iter().find(of).ok_or_else(Reply::not_found)?["booking"]["balance_due"].clone();
                let path = format!("/screenings/{screening}/bookings/{booking}/settlements");
                let key = format!("paid-{}", self.next.fetch_add(1, Ordering::Relaxed));
                staff.ask(Method::POST, &path, &json!({"amount": due}), Some(&key)).await?;
            }
            Action::Restart => self.restart(&mut staff).await.map_err(crate::failed)?,
        }
        Ok(())
    }

    /// What was in memory is gone; what is stored comes back.
    async fn restart(&self, staff: &mut Staff) -> anyhow::Result<()> {
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = None;
        (staff.cinema, staff.management) = (None, Router::new());
        staff.beside.shutdown().await;
        let (schema, path) = (self.schema.clone(), self.folder.path().to_owned());
        let open = tokio::task::spawn_blocking(move || -> anyhow::Result<Arc<dyn StaffStore>> {
            let Some(address) = schema else {
                // Whoever was asked last still has it for a moment.
                for _ in 0..100 {
                    match SqliteStore::open(&path) {
                        Err(StoreError::InUse(_)) => std::thread::sleep(Duration::from_millis(20)),
                        opened => return Ok(Arc::new(opened?)),
                    }
                }
                bail!("what ran before does not let go of its store");
            };
            Ok(Arc::new(PostgresStore::open(&address)?))
        });
        let (cinema, router, management) = server(&self.origin, &self.keys, &self.clock, open.await??)?;
        staff.beside = beside(&cinema);
        (staff.cinema, staff.management) = (Some(cinema), management);
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = Some(router);
        Ok(())
    }
}

/// A server with these keys over this store: itself, what buyers reach of it, and what staff reach.
fn server(
    origin: &Origin,
    keys: &KeyRing,
    clock: &Arc<ManualClock>,
    store: Arc<dyn StaffStore>,
) -> anyhow::Result<(Cinema, Router, Router)> {
    let cinema = Cinema::builder(origin.clone())
        .development()
        .test_control()
        .operator(Texts::one("en", "Test cinema")?, Contact { email: "suite@test.example".into(), website: None })
        .keys(keys.clone())
        .rules(HouseRules::default())
        .clock(clock.clone())
        .without_network_limits()
        .notifications(Courier::new(OriginPolicy::Loopback, None)?)
        .receipts()
        .shared_store(store.clone())
        .build()?;
    let now = cinema.clone();
    let router = headers::everywhere(cinema.router(), move || now.now());
    let management = Management::new(cinema.clone(), store).router();
    Ok((cinema, router, management))
}

fn beside(cinema: &Cinema) -> JoinSet<()> {
    let (cinema, mut beside) = (cinema.clone(), JoinSet::new());
    beside.spawn(async move { cinema.keep_house().await });
    beside
}

async fn answer(serving: Arc<RwLock<Option<Router>>>, request: Request) -> axum::response::Response {
    let router = serving.read().unwrap_or_else(PoisonError::into_inner).clone();
    match router {
        Some(router) => router.oneshot(request).await.unwrap_or_else(|never| match never {}),
        None => {
            let problem = Problem::new(ProblemCode::Busy, "the server is starting").retry_after_ms(100);
            axum::response::IntoResponse::into_response(Reply::from(problem))
        }
    }
}

impl Staff {
    /// Changes a row of the programme.
    async fn change(&mut self, screening: ScreeningId, change: impl FnOnce(&mut Value)) -> Result<(), Reply> {
        self.change_with(screening, None, change).await
    }

    /// Changes a row, and adds the prices that it is under from then on.
    async fn change_with(
        &mut self,
        screening: ScreeningId,
        prices: Option<(&str, Value)>,
        change: impl FnOnce(&mut Value),
    ) -> Result<(), Reply> {
        let mut changed = self.programme.clone();
        if let Some((name, table)) = prices {
            changed["price_tables"][name] = table;
        }
        let rows = changed["screenings"].as_array_mut();
        let row = rows.and_then(|rows| rows.iter_mut().find(|row| row["id"] == json!(screening)));
        change(row.ok_or_else(Reply::not_found)?);
        self.import(changed).await
    }

    async fn import(&mut self, programme: Value) -> Result<(), Reply> {
        self.ask(Method::POST, "/imports?rehearsal=false", &programme, None).await?;
        self.programme = programme;
        Ok(())
    }

    /// What staff do over HTTP, as one who is signed in.
    async fn ask(&mut self, method: Method, path: &str, body: &Value, key: Option<&str>) -> Result<Value, Problem> {
        match self.ask_once(method.clone(), path, body, key).await {
            // Nobody was signed in, or the clock has moved past the session's end.
            Err(problem) if problem.code == ProblemCode::Unauthenticated => {
                self.sign_in().await?;
                self.ask_once(method, path, body, key).await
            }
            answered => answered,
        }
    }

    async fn sign_in(&mut self) -> Result<(), Problem> {
        let asked = request(Method::POST, "/sessions", &json!({"login": LOGIN, "password": PASSWORD}));
        let response = self.management.clone().oneshot(asked).await.unwrap_or_else(|never| match never {});
        let cookie = response.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok());
        self.cookie = cookie.and_then(|cookie| cookie.split(';').next()).unwrap_or_default().to_owned();
        self.csrf = read(response).await?["csrf"].as_str().unwrap_or_default().to_owned();
        Ok(())
    }

    async fn ask_once(&self, method: Method, path: &str, body: &Value, key: Option<&str>) -> Result<Value, Problem> {
        let mut asked = request(method, path, body);
        let mut with = |name: &'static str, value: &str| {
            let value = value.parse().map_err(|e: http::header::InvalidHeaderValue| broken(&e))?;
            asked.headers_mut().insert(name, value);
            Ok::<_, Problem>(())
        };
        with("cookie", &self.cookie)?;
        with("csrf-token", &self.csrf)?;
        key.map(|key| with("idempotency-key", key)).transpose()?;
        let response = self.management.clone().oneshot(asked).await.unwrap_or_else(|never| match never {});
        read(response).await
    }
}

fn request(method: Method, path: &str, body: &Value) -> Request {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = format!("/manage/v1{path}").parse().unwrap_or_default();
    request.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    request
}

async fn read(response: axum::response::Response) -> Result<Value, Problem> {
    let good = response.status().is_success();
    let bytes = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.map_err(|e| broken(&e))?;
    if !good {
        return Err(serde_json::from_slice(&bytes).unwrap_or_else(|e| broken(&e)));
    }
    if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&bytes).map_err(|e| broken(&e)) }
}

fn broken(error: &dyn std::error::Error) -> Problem {
    Problem::new(ProblemCode::Internal, error.to_string())
}

/// 256 random bits as text: what test control is asked with.
///
/// # Errors
/// When the system has no randomness.
pub fn new_secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
