//! Changing what is shown and sold. An edit names the version it was made on (`If-Match`), a new thing that there is none
//! (`If-None-Match: *`), so nobody overwrites what somebody else just changed.

use admit_http::{Path, Query, Reply, StrictJson};
use admit_protocol::cinema::Cinema;
use admit_protocol::digest::ContentName;
use admit_protocol::film::Film;
use admit_protocol::id::{CinemaId, FilmId, ScreeningId};
use admit_protocol::json::{self as reader, DOCUMENT_BYTES_MAX, Numbers};
use admit_protocol::layout::Layout;
use admit_protocol::price::PriceTable;
use admit_protocol::problem::{Problem, ProblemCode};
use admit_protocol::screening::Screening;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::session::SignedInAs;
use super::{Management, json};
use crate::bundle::{Bundle, Checked, RowReport, ScreeningChanges};
use crate::catalogue::Catalogue;
use crate::exact;
use crate::store::{Disturbed, Document, DocumentKind, Edit, Layouts, Permission, StaffStore};

type LargeJson<T> = StrictJson<T, DOCUMENT_BYTES_MAX>;

/// What staff write is read to the letter.
fn exactly<T: DeserializeOwned + Serialize + JsonSchema>(body: &Value) -> Result<T, Reply> {
    exact::read(body).map_err(invalid)
}

fn etag<T: Serialize>(thing: &T) -> String {
    format!("\"{}\"", ContentName::of(&crate::answers::json(thing)))
}

/// A thing with its version.
fn versioned<T: Serialize>(thing: Option<&T>) -> Result<Response, Reply> {
    let thing = thing.ok_or_else(Reply::not_found)?;
    let mut response = json(thing);
    response.headers_mut().extend(etag(thing).parse().ok().map(|tag| (header::ETAG, tag)));
    Ok(response)
}

/// Whether an edit was made on what is there now.
fn check_version<T: Serialize>(request: &HeaderMap, now: Option<&T>) -> Result<(), Reply> {
    let tag = |name| request.get(name).and_then(|v: &http::HeaderValue| v.to_str().ok());
    let matches = match (now, tag(header::IF_MATCH), tag(header::IF_NONE_MATCH)) {
        (Some(now), Some(seen), _) => seen == etag(now),
        (None, _, Some("*")) => true,
        (_, None, None) => {
            let why = "send If-Match with the ETag that you read, or If-None-Match: * for something new";
            return Err(Reply::new(ProblemCode::PreconditionFailed, why));
        }
        _ => false,
    };
    let changed =
        || Reply::new(ProblemCode::PreconditionFailed, "somebody changed this since you read it: read it again");
    matches.then_some(()).ok_or_else(changed)
}

fn invalid(why: impl Into<String>) -> Reply {
    Problem::new(ProblemCode::Invalid, why).into()
}

impl Management {
    /// Begins an edit: whoever edits next sees what this one left, at every process that has begun to look.
    async fn editing(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Reply> {
        let editing = self.0.editing.lock().await;
        if self.0.store.shared().is_some() {
            self.0.cinema.reload().await.map_err(|e| Reply::internal(&e))?;
        }
        Ok(editing)
    }

    async fn edit(
        &self,
        somebody: &SignedInAs,
        did: &str,
        subject: String,
        edits: Vec<Edit>,
    ) -> Result<Vec<Disturbed>, Reply> {
        let now = self.0.cinema.now();
        let disturbed = self.store(move |store| store.edit(&edits, now, Layouts::Stay)).await?;
        self.note(&somebody.staff, did, subject).await?;
        for Disturbed { after, bookings, .. } in &disturbed {
            let subject = format!("{} bookings of {}", bookings.len(), after.id);
            self.note(&somebody.staff, "disturbed", subject).await?;
        }
        self.0.cinema.reload().await.map_err(|e| Reply::internal(&e))?;
        Ok(disturbed)
    }
}

pub(super) async fn get_cinema(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(id): Path<CinemaId>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Look)?;
    versioned(management.0.cinema.catalogue().cinemas.get(&id))
}

pub(super) async fn put_cinema(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(id): Path<CinemaId>,
    request: HeaderMap,
    body: LargeJson<Value>,
) -> Result<StatusCode, Reply> {
    somebody.may(Permission::Edit)?;
    let cinema: Cinema = exactly(&body.value)?;
    let _editing = management.editing().await?;
    check_version(&request, management.0.cinema.catalogue().cinemas.get(&id))?;
    if cinema.id != id {
        return Err(invalid("the id in the address and in the body differ"));
    }
    cinema.check().map_err(invalid)?;
    management.edit(&somebody, "put_cinema", id.to_string(), vec![Edit::Cinema(Box::new(cinema))]).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn get_film(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(id): Path<FilmId>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Look)?;
    versioned(management.0.cinema.catalogue().films.get(&id))
}

pub(super) async fn put_film(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(id): Path<FilmId>,
    request: HeaderMap,
    body: LargeJson<Value>,
) -> Result<StatusCode, Reply> {
    somebody.may(Permission::Edit)?;
    let film: Film = exactly(&body.value)?;
    let _editing = management.editing().await?;
    check_version(&request, management.0.cinema.catalogue().films.get(&id))?;
    if film.id != id {
        return Err(invalid("the id in the address and in the body differ"));
    }
    film.check().map_err(invalid)?;
    management.edit(&somebody, "put_film", id.to_string(), vec![Edit::Film(Box::new(film))]).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn get_screening(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(id): Path<ScreeningId>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Look)?;
    versioned(management.0.cinema.catalogue().screening(id))
}

pub(super) async fn put_screening(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(id): Path<ScreeningId>,
    request: HeaderMap,
    body: LargeJson<Value>,
) -> Result<StatusCode, Reply> {
    somebody.may(Permission::Edit)?;
    let screening: Screening = exactly(&body.value)?;
    let _editing = management.editing().await?;
    let catalogue = management.0.cinema.catalogue();
    check_version(&request, catalogue.screening(id))?;
    if screening.id != id {
        return Err(invalid("the id in the address and in the body differ"));
    }
    screening.check().map_err(invalid)?;
    let cinema = catalogue.cinemas.get(&screening.cinema).ok_or_else(|| invalid("there is no such cinema"))?;
    for item in &screening.items {
        let film = catalogue.films.get(&item.film).ok_or_else(|| invalid(format!("there is no film {}", item.film)))?;
        film.version(item.version).ok_or_else(|| invalid(format!("{} has no version {}", item.film, item.version)))?;
    }
    let layout: Layout = document(&catalogue, "layout", screening.layout)?;
    let table: PriceTable = document(&catalogue, "price table", screening.price_table)?;
    screening.fits(cinema, &layout, &table).map_err(invalid)?;
    let edits = vec![Edit::Screening(Box::new(screening))];
    management.edit(&somebody, "put_screening", id.to_string(), edits).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A document that was added before, as what a screening takes it for.
fn document<T: DeserializeOwned>(catalogue: &Catalogue, what: &str, name: ContentName) -> Result<T, Reply> {
    let bytes = catalogue.document(name).ok_or_else(|| invalid(format!("there is no {what} {name}: add it first")))?;
    reader::read(bytes, DOCUMENT_BYTES_MAX, Numbers::Integers).map_err(|_| invalid(format!("{name} is no {what}")))
}

pub(super) async fn remove_screening(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(id): Path<ScreeningId>,
) -> Result<StatusCode, Reply> {
    somebody.may(Permission::Edit)?;
    management.edit(&somebody, "remove_screening", id.to_string(), vec![Edit::RemoveScreening(id)]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The name of a document that was added.
#[derive(Serialize)]
struct Added {
    name: ContentName,
}

pub(super) async fn add_layout(
    State(management): State<Management>,
    somebody: SignedInAs,
    body: LargeJson<Value>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Edit)?;
    exactly::<Layout>(&body.value)?.check().map_err(|e| invalid(e.to_string()))?;
    let document = Document::of(DocumentKind::Layout, body.bytes, None);
    let name = document.name;
    management.edit(&somebody, "add_layout", name.to_string(), vec![Edit::Document(document)]).await?;
    Ok((StatusCode::CREATED, json(&Added { name })).into_response())
}

pub(super) async fn add_price_table(
    State(management): State<Management>,
    somebody: SignedInAs,
    body: LargeJson<Value>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Edit)?;
    exactly::<PriceTable>(&body.value)?.check().map_err(|e| invalid(e.to_string()))?;
    let document = Document::of(DocumentKind::PriceTable, body.bytes, None);
    let name = document.name;
    management.edit(&somebody, "add_price_table", name.to_string(), vec![Edit::Document(document)]).await?;
    Ok((StatusCode::CREATED, json(&Added { name })).into_response())
}

/// What an import came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Imported {
    /// Cinemas that are new or as the file has them.
    pub cinemas: usize,
    /// Their halls.
    pub halls: usize,
    /// Films.
    pub films: usize,
    /// Screenings.
    pub screenings: usize,
    /// What is probably not what was meant.
    pub strange: Vec<RowReport>,
    /// Whose bookings are not what they were.
    pub disturbed: Vec<Disturbed>,
    /// What becomes of the screenings that were there.
    pub changes: ScreeningChanges,
    /// What tickets cost now, by the file's name of the price table: to be looked at.
    pub prices: Vec<(String, Vec<String>)>,
}

/// Why rows cannot be used: each cause once, as many as a problem has room for.
fn in_words(refused: &[RowReport]) -> String {
    let (causes, follow): (Vec<_>, Vec<_>) = refused.iter().partition(|r| r.because_of.is_none());
    let mut said = String::new();
    for (n, row) in causes.iter().enumerate() {
        let line = format!("{}: {}; ", format!("{} {}", row.kind, row.row).trim_end(), row.why);
        if said.len() + line.len() > 3500 {
            said += &format!("and {} more; ", causes.len() - n);
            break;
        }
        said += &line;
    }
    if !follow.is_empty() {
        said += &format!("and so {} more rows that need one of these", follow.len());
    }
    said.trim_end_matches("; ").to_owned()
}

/// How an import is meant.
#[derive(Debug, Default, Deserialize)]
pub(super) struct HowToImport {
    /// Only say what would come of it.
    #[serde(default)]
    rehearsal: bool,
}

/// The programme as a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Exported {
    /// What `admit cinema import` reads.
    pub programme: Bundle,
    /// What such a file cannot say.
    pub not_exported: Vec<RowReport>,
}

/// The programme as it is now, as a file: to be kept, or changed and imported.
pub(super) async fn export(State(management): State<Management>, _: SignedInAs) -> Result<Response, Reply> {
    let now = management.0.cinema.now();
    let exported = management.store(move |store| Bundle::export(&store.catalogue()?, now)).await?;
    let (programme, not_exported) = exported;
    Ok(json(&Exported { programme, not_exported }))
}

/// A whole programme at once: all rows, or none and why.
pub(super) async fn import(
    State(management): State<Management>,
    somebody: SignedInAs,
    Query(HowToImport { rehearsal }): Query<HowToImport>,
    body: LargeJson<Bundle>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Edit)?;
    let now = management.0.cinema.now();
    let bundle = body.value;
    let prices = bundle.prices();
    let check = move |store: &dyn StaffStore| {
        let mut checked = bundle.check_with(&store.catalogue()?, now);
        checked.keep_layouts(store, Layouts::Stay)?;
        Ok(checked)
    };
    let _editing = management.editing().await?;
    let Checked { edits, refused, strange, cinemas, halls, films, screenings, changes } =
        management.store(check).await?;
    if !refused.is_empty() {
        let why = format!("nothing was imported: {}", in_words(&refused));
        let rows = refused.iter().filter(|r| !r.row.is_empty()).take(100);
        let pointers = rows.map(|r| format!("/{}s/{}", r.kind, r.row));
        let problem = Problem { pointers: pointers.collect(), ..Problem::new(ProblemCode::Invalid, why) };
        return Err(problem.into());
    }
    let subject = format!("{cinemas} cinemas, {films} films, {screenings} screenings");
    let disturbed = if rehearsal {
        management.store(move |store| store.rehearse(&edits, now, Layouts::Stay)).await?
    } else {
        management.edit(&somebody, "import", subject, edits).await?
    };
    Ok(json(&Imported { cinemas, halls, films, screenings, strange, disturbed, changes, prices }))
}
