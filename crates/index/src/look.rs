//! Looking at a server that somebody announced: step by step, so that "why am I not listed?" has an answer.

use std::collections::BTreeSet;

use admit_client::{Client, ClientError, Server};
use admit_protocol::capability::{Capability, Role};
use admit_protocol::cinema::Cinema;
use admit_protocol::directory::{Announcement, Listing, ListingKind, Step, StepName};
use admit_protocol::jws::Jws;
use admit_protocol::manifest::{Keys, Known, Manifest, ManifestError};
use admit_protocol::origin::Origin;
use admit_protocol::screening::Screening;
use admit_protocol::time::after;
use jiff::Timestamp;

use crate::store::{Quarantine, SeenProgramme, SeenServer, StoredListing, listing_id};

/// What was found, and, if all went well, what to list.
pub(crate) struct Found {
    pub(crate) announcement: Announcement,
    pub(crate) server: Option<(SeenServer, Vec<Cinema>)>,
    /// Keys that it should not have, from now on or still.
    pub(crate) quarantine: Option<Quarantine>,
    /// Where it is now, if it moved and says so there, too.
    pub(crate) moved_to: Option<Moved>,
    /// From where it says that it came.
    pub(crate) moved_from: BTreeSet<Origin>,
}

/// How long a server with other keys is not believed, in seconds: 14 days (F2).
const QUARANTINE_S: i64 = 14 * 24 * 3600;

/// What is known of a server from earlier looks.
pub(crate) struct Before {
    pub(crate) known: Option<Known>,
    pub(crate) quarantine: Option<Quarantine>,
}

/// Where a server is now.
pub(crate) struct Moved {
    pub(crate) to: Origin,
    /// Whether it was asked there: then a look at it is to follow.
    pub(crate) asked: bool,
}

/// What may be known of the server at an origin.
pub(crate) enum There {
    /// What it said lately.
    Said(Box<Manifest>),
    /// It may be asked now.
    MayAsk,
    /// Nothing is known of it, and it was asked lately.
    NotNow,
}

/// Fetches and checks everything of a server. `there` says what may be known of the place to which it moved (F6).
pub(crate) async fn look(client: &Client, origin: &Origin, before: Before, there: impl Fn(&Origin) -> There) -> Found {
    let mut steps =
        Steps { noted: Vec::new(), quarantine: before.quarantine, moved_to: None, moved_from: BTreeSet::new() };
    let server = steps.run(client, origin, before.known, there).await;
    let listed = server.is_some();
    let Steps { noted, quarantine, moved_to, moved_from } = steps;
    let moved = moved_to.as_ref().map(|moved| moved.to.clone());
    let announcement = Announcement { moved_to: moved, ..announcement(origin, listed, noted) };
    Found { announcement, server, quarantine, moved_to, moved_from }
}

/// A look that took too long: nothing of it counts.
pub(crate) fn gave_up(origin: &Origin, quarantine: Option<Quarantine>) -> Found {
    let mut steps = Steps { noted: Vec::new(), quarantine, moved_to: None, moved_from: BTreeSet::new() };
    steps.note::<()>(StepName::Fetch, Err("its documents could not be read within two minutes".into()));
    let announcement = announcement(origin, false, steps.noted);
    Found { announcement, server: None, quarantine, moved_to: None, moved_from: BTreeSet::new() }
}

/// What a look says by itself: the rest is as the index is when it is asked.
fn announcement(origin: &Origin, listed: bool, steps: Vec<Step>) -> Announcement {
    Announcement { origin: origin.clone(), listed, cinemas: Vec::new(), moved_to: None, still_at: Vec::new(), steps }
}

struct Steps {
    noted: Vec<Step>,
    quarantine: Option<Quarantine>,
    moved_to: Option<Moved>,
    moved_from: BTreeSet<Origin>,
}

impl Steps {
    /// Notes how a step went, in words of ours: nothing that the server sent is repeated.
    fn note<T>(&mut self, step: StepName, result: Result<T, String>) -> Option<T> {
        let (ok, detail, value) = match result {
            Ok(value) => (true, String::new(), Some(value)),
            Err(detail) => (false, detail, None),
        };
        self.noted.push(Step { step, ok, detail, at: Timestamp::now() });
        value
    }

    /// F2: other keys than the known ones are believed by the recovery key's word, or after 14 days in which everybody could see them.
    fn same_keys(&mut self, stranger: Server, met: Result<Server, ClientError>) -> Result<Server, String> {
        let before = self.quarantine.take();
        let changed = match met {
            Ok(server) => return Ok(server),
            Err(ClientError::Manifest { source, .. }) => source,
            Err(other) => {
                self.quarantine = before;
                return Err(fetch_failure(&other));
            }
        };
        // A key that the recovery key replaced is believed by nobody again, however long it waits.
        if !matches!(changed, ManifestError::KeyChanged { .. } | ManifestError::RecoveryChanged { .. }) {
            self.quarantine = before;
            return Err(changed.to_string());
        }
        let now = Timestamp::now();
        let Keys { identity, recovery, .. } = stranger.manifest().keys;
        let same = before.filter(|before| (before.identity, before.recovery) == (identity, recovery));
        let quarantine = same.unwrap_or(Quarantine { identity, recovery, since: now });
        let over = after(quarantine.since, QUARANTINE_S);
        // It is over when everything was taken over, and not before.
        self.quarantine = Some(quarantine);
        if over <= now {
            return Ok(stranger);
        }
        let over = over.strftime("%Y-%m-%d");
        Err(format!(
            "{changed}. Let the recovery key say so (`admit keys replace-identity`), or go back to the known key; else these keys are \
             believed from {over} on, or when the index's operator has asked you"
        ))
    }

    /// Looks where a server says that it moved (MAN-015), and says why it is not listed here.
    async fn follow(
        &mut self,
        client: &Client,
        (old, to): (&Manifest, &Origin),
        there: impl Fn(&Origin) -> There,
    ) -> String {
        let (new, asked) = match there(to) {
            There::Said(manifest) => (Ok(*manifest), false),
            There::MayAsk => {
                let server = client.server_at(to.as_str(), None).await;
                (server.map(|server| server.manifest().clone()).map_err(|error| manifest_failure(&error)), true)
            }
            There::NotNow => {
                return format!("it says that it moved to {to}; the index looks there again in five minutes");
            }
        };
        match new.and_then(|new| new.check_moved_from(old).map_err(|why| why.to_string())) {
            Ok(()) => {
                self.moved_to = Some(Moved { to: to.clone(), asked });
                format!("it moved to {to}: ask about that address")
            }
            Err(why) => format!("it says that it moved, and is not believed: {why}"),
        }
    }

    async fn run(
        &mut self,
        client: &Client,
        origin: &Origin,
        known: Option<Known>,
        there: impl Fn(&Origin) -> There,
    ) -> Option<(SeenServer, Vec<Cinema>)> {
        self.note(StepName::Address, Ok(()));
        let jws = client.manifest(origin).await.map_err(|e| fetch_failure(&e));
        let jws: Jws = self.note(StepName::Fetch, jws)?;
        // Whether it is a good manifest, and whether it has the keys that are known, are two questions.
        let met = client.server_from(origin, &jws, None).map_err(|e| manifest_failure(&e));
        let met = met.and_then(|server| is_a_cinemas(&server).map(|()| server));
        let stranger: Server = self.note(StepName::Manifest, met)?;
        let met = client.server_from(origin, &jws, known);
        let who = self.same_keys(stranger, met);
        let server: Server = self.note(StepName::Identity, who)?;
        if let Some(to) = &server.manifest().moved_to {
            let moved = self.follow(client, (server.manifest(), to), there).await;
            return self.note(StepName::Moved, Err(moved));
        }
        self.moved_from = server.manifest().moved_from.clone();
        let cinemas = server.cinemas().await.map_err(|e| fetch_failure(&e));
        let cinemas: Vec<Cinema> = self.note(StepName::Cinemas, cinemas.and_then(check_cinemas))?;
        let mut programme = SeenProgramme::default();
        for cinema in &cinemas {
            let read = server.programme(cinema.id).await.map_err(|e| fetch_failure(&e));
            let (films, screenings) = match read {
                Ok(read) => read,
                Err(why) => {
                    self.note::<()>(StepName::Programme, Err(format!("cinema {}: {why}", cinema.id)));
                    return None;
                }
            };
            // F5: a bad record is dropped alone. F4: only of this very cinema.
            let good = |s: &Screening| s.cinema == cinema.id && s.check().is_ok();
            programme.screenings.extend(screenings.into_iter().filter(good));
            let new = films.into_iter().filter(|f| f.check().is_ok());
            for film in new {
                if !programme.films.iter().any(|known| known.id == film.id) {
                    programme.films.push(film);
                }
            }
        }
        self.note(StepName::Programme, Ok(()));
        let known = server.known();
        let seen =
            SeenServer { origin: origin.clone(), manifest: jws, known, verified_at: Timestamp::now(), programme };
        self.quarantine = None;
        Some((seen, cinemas))
    }
}

/// Why a manifest is not believed: numbers and times of ours, and names that were checked, nothing of the server's own words.
fn manifest_failure(error: &ClientError) -> String {
    match error {
        ClientError::Manifest { source, .. } => source.to_string(),
        other => fetch_failure(other),
    }
}

fn is_a_cinemas(server: &Server) -> Result<(), String> {
    match server.manifest().role {
        Role::Server if server.manifest().offers(Capability::TestControl) && !server.origin().is_loopback() => {
            Err("it is a server for tests (`test_control`): nobody is to buy there".into())
        }
        Role::Server => Ok(()),
        _ => Err("this is not a cinema's server: an index lists cinemas".into()),
    }
}

fn check_cinemas(cinemas: Vec<Cinema>) -> Result<Vec<Cinema>, String> {
    if cinemas.is_empty() {
        return Err("it has no cinema: import a programme first".into());
    }
    // F5: a bad record is dropped alone.
    let (good, bad): (Vec<Cinema>, Vec<Cinema>) = cinemas.into_iter().partition(|cinema| cinema.check().is_ok());
    match bad.first().and_then(|cinema| Some((cinema, cinema.check().err()?))) {
        Some((cinema, why)) if good.is_empty() => Err(format!("cinema {}: {why}", cinema.id)),
        _ => Ok(good),
    }
}

/// Six things that can be wrong, in words of ours.
fn fetch_failure(error: &ClientError) -> String {
    match error {
        ClientError::Unreachable { source, .. } if source.is_timeout() => "it did not answer within 10 seconds",
        ClientError::Unreachable { .. } => {
            "no connection: there is no such name, or nothing answers there; a server must be reached from the public network, with a good certificate"
        }
        ClientError::Refused(_) => "it answered with a refusal where a document was expected",
        ClientError::WrongDocument { .. } => "a document does not have the hash that it is named by",
        ClientError::BadAnswer { .. } => "an answer is too large, redirects, or is not the JSON that the protocol says",
        _ => "it could not be read",
    }
    .to_owned()
}

/// A cinema of a verified server as a listing.
pub(crate) fn listing(origin: &Origin, cinema: &Cinema, verified_at: Timestamp) -> StoredListing {
    let listing = Listing {
        id: listing_id(origin, cinema.id),
        kind: ListingKind::Server,
        origin: Some(origin.clone()),
        cinema: Some(cinema.id),
        name: cinema.name.clone(),
        address: cinema.address.clone(),
        position: cinema.position,
        website: cinema.website.clone(),
        halls: u32::try_from(cinema.halls.len()).ok(),
        source: None,
        distance_m: None,
        last_verified_at: Some(verified_at),
    };
    StoredListing { listing, merged_into: None }
}
