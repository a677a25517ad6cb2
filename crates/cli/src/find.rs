//! Finding cinemas, films and screenings through an index.

use std::time::Duration;

use admit_client::{Client, Index, Indexes, Near, Options, Search, Server};
use admit_protocol::capability::Role;
use admit_protocol::cinema::Country;
use admit_protocol::directory::{Day, Listing, ListingKind, NotADay};
use admit_protocol::geo::Position;
use admit_protocol::id::ScreeningId;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::problem::ProblemCode;
use admit_protocol::screening::Screening;
use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::programme::price;
use crate::{Context, show};

/// What to look for.
#[derive(Args)]
pub(crate) struct Find {
    /// A name or title, as you would say it; typos are forgiven.
    text: Vec<String>,
    /// The index to ask; several can be named, with commas or again.
    #[arg(long, env = "ADMIT_INDEX", value_delimiter = ',')]
    index: Vec<String>,
    /// Around this place: a city that the index knows, or LATITUDE,LONGITUDE in degrees.
    #[arg(long, allow_hyphen_values = true)]
    near: Option<String>,
    /// How far around it, in kilometres.
    #[arg(long, alias = "km", default_value_t = 50, requires = "near")]
    radius_km: u32,
    /// In this city.
    #[arg(long)]
    city: Option<String>,
    /// In this country: two letters, such as FR.
    #[arg(long, value_parser = read_country)]
    country: Option<Country>,
    /// On this evening, by the cinemas' clocks: today (or tonight), tomorrow, or 2026-11-21. A show after midnight belongs to
    /// the evening before; what has begun is left out.
    #[arg(long, value_parser = day)]
    date: Option<Day>,
    /// How many at most, up to 100.
    #[arg(long, default_value_t = 20, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100))]
    limit: usize,
}

/// A client for this command line.
pub(crate) fn client(context: &Context) -> anyhow::Result<Client> {
    Ok(Client::new(options(context))?)
}

/// Meets a server, and says so if it is at another address by now.
pub(crate) async fn server(origin: &str, context: &Context) -> anyhow::Result<Server> {
    let server = client(context)?.server(origin, None).await?;
    note_move(origin, &server, context);
    Ok(server)
}

/// That a server is at another address than the one that was typed.
pub(crate) fn note_move(typed: &str, server: &Server, context: &Context) {
    let at = server.origin();
    if Origin::parse(typed, options(context).origins).is_ok_and(|typed| typed != *at) {
        show::warn(&format!("{typed} has moved: it is at {at} now"));
    }
}

/// A client of one server that sends this session with every request.
pub(crate) fn client_with_session(context: &Context, cookie: &str) -> anyhow::Result<Client> {
    let headers = [(reqwest::header::COOKIE, cookie.parse()?)].into_iter().collect();
    Ok(Client::new(Options { headers, ..options(context) })?)
}

/// A client for asking many, of whom some may be silent.
pub(crate) fn hurried_client(context: &Context) -> anyhow::Result<Client> {
    let options = Options { tries: 2, deadline: Duration::from_secs(6), ..options(context) };
    Ok(Client::new(options)?)
}

pub(crate) fn options(context: &Context) -> Options {
    let origins = if context.development { OriginPolicy::Loopback } else { OriginPolicy::Public };
    Options { origins, ..Options::default() }
}

/// A screening of a cinema, by its id.
pub(crate) async fn screening(server: &Server, id: ScreeningId) -> anyhow::Result<Screening> {
    server.screening(id).await.map_err(|error| match error.code() {
        Some(ProblemCode::NotFound) if server.manifest().role != Role::Server => no_cinema(server),
        Some(ProblemCode::NotFound) => {
            let origin = server.origin();
            anyhow::Error::from(error)
                .context(format!("{origin} has no screening {id}: see `admit programme {origin}`"))
        }
        _ => error.into(),
    })
}

/// What somebody hears who takes an index for a cinema.
pub(crate) fn no_cinema(server: &Server) -> anyhow::Error {
    anyhow!("{} is an index, not a cinema: look for one with `admit find --index`", server.origin())
}

/// Meets an index.
pub(crate) async fn meet(index: &str, context: &Context) -> anyhow::Result<Index> {
    Ok(client(context)?.index(index).await?)
}

/// `today`, `tonight`, `tomorrow`, `2026-11-21`.
pub(crate) fn day(text: &str) -> Result<Day, String> {
    let text = text.to_lowercase();
    let text = if text == "tonight" { "today" } else { &text };
    text.parse().map_err(|e: NotADay| e.to_string())
}

fn read_country(text: &str) -> Result<Country, String> {
    Country::parse(&text.to_uppercase()).map_err(|_| "a country is two letters, such as FR or JP".to_owned())
}

/// `48.86,2.34`; nothing, if that is no pair of numbers.
fn read_degrees(text: &str) -> anyhow::Result<Option<Position>> {
    let Some((lat, lon)) = text.split_once(',').filter(|_| !text.contains(char::is_alphabetic)) else {
        return Ok(None);
    };
    let degrees = |text: &str| {
        text.trim()
            .parse::<f64>()
            .map_err(|_| anyhow!("{text:?} is not a number: a place is LATITUDE,LONGITUDE, such as 48.86,2.34"))
    };
    let (lat, lon) = (degrees(lat)?, degrees(lon)?);
    let position = Position::from_degrees(lat, lon);
    position.map(Some).map_err(|_| anyhow!("{lat},{lon} is no place on earth: LATITUDE,LONGITUDE in degrees"))
}

/// The middle of a city's cinemas: where people go to the cinema there.
async fn city(name: &str, indexes: &Indexes) -> anyhow::Result<Position> {
    let search = Search { city: Some(name.to_owned()), limit: Some(100), ..Search::default() };
    let found = indexes.cinemas(&search).await?;
    let middle = |of: fn(&Position) -> i32| {
        let mut degrees: Vec<i32> = found.iter().map(|l| of(&l.position)).collect();
        degrees.sort_unstable();
        degrees.get(degrees.len() / 2).copied()
    };
    let unknown =
        || format!("the index knows no city {name:?} with a cinema: say LATITUDE,LONGITUDE, such as 48.8566,2.3522");
    let (lat, lon) = middle(Position::lat_e6).zip(middle(Position::lon_e6)).with_context(unknown)?;
    Ok(Position::new(lat, lon)?)
}

impl Find {
    /// The indexes to ask, and what.
    async fn search(&self, context: &Context) -> anyhow::Result<(Indexes, Search)> {
        ensure!(!self.index.is_empty(), "which index? say --index https://..., or set ADMIT_INDEX to its address");
        let degrees = self.near.as_deref().map(read_degrees).transpose()?.flatten();
        ensure!(self.radius_km <= 20_100, "nothing on earth is further away than 20,038 km");
        let indexes = client(context)?.indexes(&self.index).await?;
        for (origin, why) in indexes.silent() {
            show::warn(&format!("{origin} is left out: {why}"));
        }
        let near = match (&self.near, degrees) {
            (Some(name), None) => Some(city(name, &indexes).await?),
            (_, degrees) => degrees,
        };
        let search = Search {
            text: (!self.text.is_empty()).then(|| self.text.join(" ")),
            near: near.map(|position| Near { position, radius_m: self.radius_km * 1000 }),
            within: None,
            city: self.city.clone(),
            country: self.country.map(|c| c.to_string()),
            date: self.date,
            limit: Some(self.limit),
        };
        Ok((indexes, search))
    }

    fn print(&self, head: &[&str], rows: &[Vec<String>], nothing: &str) {
        if rows.is_empty() {
            return show::line(nothing);
        }
        show::table(head, rows);
        if rows.len() >= self.limit {
            show::line(&format!(
                "the first {}; there may be more: --limit, up to 100, or a narrower search",
                self.limit
            ));
        }
    }

    /// What to try when nothing was found.
    fn wider(&self) -> String {
        let mut ways = Vec::new();
        ways.extend((!self.text.is_empty()).then_some("fewer words"));
        ways.extend(
            self.date
                .is_some()
                .then_some("another --date (the night belongs to the evening before, and what has begun is left out)"),
        );
        ways.extend(self.near.is_some().then_some("a larger --radius-km"));
        ways.extend(self.city.is_some().then_some("another spelling of the city"));
        ways.extend(self.country.is_some().then_some("no --country"));
        if ways.is_empty() { "this index has none yet".into() } else { format!("try {}", ways.join(", or ")) }
    }

    pub(crate) async fn cinemas(self, context: &Context) -> anyhow::Result<()> {
        let (indexes, search) = self.search(context).await?;
        let found = indexes.cinemas(&search).await?;
        if context.json {
            return show::json(&found);
        }
        let rows: Vec<Vec<String>> = found
            .iter()
            .map(|l| {
                let server = match (&l.origin, l.kind) {
                    (None, kind) => format!("({kind})"),
                    (Some(origin), ListingKind::Unconfirmed) => {
                        format!("{origin} (unconfirmed: a list has another there)")
                    }
                    (Some(origin), _) => format!("{origin}{}", last_seen(l)),
                };
                let far = l.distance_m.map_or_else(String::new, kilometres);
                vec![show::text(&l.name).into(), show::text(&l.address.city).into(), far, server]
            })
            .collect();
        let nothing = format!("no cinema fits: {} (what they show: `admit films`)", self.wider());
        self.print(&["cinema", "city", "away", "buy from"], &rows, &nothing);
        Ok(())
    }

    pub(crate) async fn films(self, context: &Context) -> anyhow::Result<()> {
        let (indexes, search) = self.search(context).await?;
        let found = indexes.films(&search).await?;
        if context.json {
            return show::json(&found);
        }
        let rows: Vec<Vec<String>> = found
            .iter()
            .map(|f| {
                let year = f.film.release_year.map(|y| y.to_string()).unwrap_or_default();
                let length = f.film.runtime_min.map(|minutes| format!("{minutes} min")).unwrap_or_default();
                vec![show::text(&f.film.title).into(), year, length, f.cinemas.to_string(), f.screenings.to_string()]
            })
            .collect();
        self.print(
            &["film", "year", "length", "cinemas", "screenings"],
            &rows,
            &format!("no film fits: {}", self.wider()),
        );
        Ok(())
    }

    pub(crate) async fn screenings(self, context: &Context) -> anyhow::Result<()> {
        let (indexes, search) = self.search(context).await?;
        let found = indexes.screenings(&search).await?;
        if context.json {
            return show::json(&found);
        }
        let rows: Vec<Vec<String>> = found
            .iter()
            .map(|s| {
                let price = price(&s.screening, Timestamp::now());
                vec![
                    show::start(&s.screening),
                    s.titles.iter().map(show::text).collect::<Vec<_>>().join(" + "),
                    show::text(&s.cinema_name).into(),
                    price,
                    format!("admit seats {} {}", s.origin, s.screening.id),
                ]
            })
            .collect();
        self.print(
            &["when", "film", "cinema", "adults", "seats"],
            &rows,
            &format!("no screening fits: {}", self.wider()),
        );
        Ok(())
    }
}

/// That nobody has seen its server in order for a while.
fn last_seen(listing: &Listing) -> String {
    let silent = |at: &Timestamp| Timestamp::now().duration_since(*at) > SignedDuration::from_hours(1);
    let at = listing.last_verified_at.filter(silent);
    at.map(|at| format!(" (last seen {})", show::here(at))).unwrap_or_default()
}

fn kilometres(metres: u32) -> String {
    if metres < 1000 { format!("{metres} m") } else { format!("{}.{} km", metres / 1000, metres % 1000 / 100) }
}
