//! What the world came to.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::audit::Books;
use crate::refused::Refused;
use crate::tally::Tally;

/// A row of a list that an index did not take over.
#[derive(Deserialize)]
pub(crate) struct ListRow {
    pub(crate) row: String,
    pub(crate) why: String,
}

/// A search, at the client, while nobody buys.
const SEARCH_P99_MS: f64 = 10.0;

/// Everything that is reported.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) servers: usize,
    pub(crate) cinemas_imported: u64,
    pub(crate) cinemas_import_ms: u64,
    /// Halls that the chains' maps have, and those that were taken over.
    pub(crate) auditoriums: usize,
    pub(crate) halls_imported: u64,
    pub(crate) chain_cinemas: u64,
    pub(crate) prague_cinemas: usize,
    pub(crate) prague_imported: u64,
    pub(crate) prague_halls: u64,
    pub(crate) prague_screenings: usize,
    pub(crate) films_imported: u64,
    pub(crate) screenings_imported: u64,
    pub(crate) refused: Vec<Refused>,
    pub(crate) books: Books,
    pub(crate) violations: Vec<String>,
    pub(crate) stuck_at_servers: usize,
    pub(crate) selling_s: f64,
    pub(crate) took_s: f64,
    surprises: Vec<String>,
    searches: usize,
    search_p50_ms: f64,
    search_p99_ms: f64,
    counts: Value,
    refusals: Value,
    latencies: Value,
    told: u64,
}

impl Report {
    pub(crate) fn take(&mut self, tally: &Tally) {
        self.surprises = tally.surprises();
        self.searches = tally.asked("search") + tally.asked("find films") + tally.asked("find screenings");
        self.search_p50_ms = tally.percentile_ms("search", 50);
        self.search_p99_ms = tally.percentile_ms("search", 99);
        self.counts = tally.counts();
        self.refusals = tally.refusals();
        self.latencies = tally.latencies();
        self.told = tally.counted("bookings");
    }

    /// What must be and is not, for so many buyers.
    pub(crate) fn short(&self, buyers: u64) -> Vec<String> {
        let least = [
            // 5,000 of the 9,000 who come if nothing else is said.
            ("bookings", self.told, buyers * 5 / 9),
            ("cinemas_imported", self.cinemas_imported, 2_050),
            ("halls_imported", self.halls_imported, 1_800),
            ("screenings_imported", self.screenings_imported, 3_100),
        ];
        let mut short: Vec<String> = least
            .iter()
            .filter(|(_, is, must)| is < must)
            .map(|(name, is, must)| format!("{name} {is} < {must}"))
            .collect();
        let nothing = [
            ("double_sales", self.books.double_sales),
            ("stuck_holds", self.books.stuck_holds + self.stuck_at_servers),
            ("lost bookings", self.books.lost.len()),
            ("bookings that nobody was told of", self.books.unknown),
            ("violations", self.violations.len()),
            ("surprises", self.surprises.len()),
        ];
        short.extend(nothing.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}")));
        // Slow for a build that is made for finding faults.
        if self.search_p99_ms >= SEARCH_P99_MS && !cfg!(debug_assertions) {
            short.push(format!("search p99 {} ms, not below {SEARCH_P99_MS}", self.search_p99_ms));
        }
        if u64::try_from(self.books.bookings) != Ok(self.told) {
            short.push(format!("{} bookings in the books, {} were answered", self.books.bookings, self.told));
        }
        short
    }

    fn value(&self) -> Value {
        json!({
            "servers": self.servers,
            "cinemas_imported": self.cinemas_imported, "cinemas_import_ms": self.cinemas_import_ms,
            "auditoriums": self.auditoriums, "halls_imported": self.halls_imported,
            "chain_cinemas_imported": self.chain_cinemas,
            "prague_cinemas": self.prague_cinemas, "prague_cinemas_imported": self.prague_imported,
            "prague_halls": self.prague_halls, "films_imported": self.films_imported,
            "screenings": self.prague_screenings, "screenings_imported": self.screenings_imported,
            "refused_rows": self.refused,
            "searches": self.searches, "search_p50_ms": self.search_p50_ms, "search_p99_ms": self.search_p99_ms,
            "buyers": self.counts, "refusals": self.refusals, "latencies": self.latencies,
            "bookings": self.books.bookings, "tickets": self.books.tickets,
            "bookings_per_s": (self.told as f64 / self.selling_s).round(),
            "double_sales": self.books.double_sales,
            "stuck_holds": self.books.stuck_holds + self.stuck_at_servers,
            "lost_bookings": self.books.lost.len(), "lost": self.books.lost, "unknown_bookings": self.books.unknown,
            "violations": self.violations, "surprises": self.surprises,
            "took_s": self.took_s.round(),
        })
    }

    pub(crate) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            println!("{}", serde_json::to_string(&self.value())?);
            return Ok(());
        }
        println!("Imported");
        println!(
            "  {:>6} cinemas of the French list into the index, in {} ms",
            self.cinemas_imported, self.cinemas_import_ms
        );
        println!(
            "  {:>6} of {} Korean halls, in {} cinemas",
            self.halls_imported, self.auditoriums, self.chain_cinemas
        );
        println!(
            "  {:>6} of {} screenings in {} of {} Prague cinemas with {} halls, of {} films",
            self.screenings_imported,
            self.prague_screenings,
            self.prague_imported,
            self.prague_cinemas,
            self.prague_halls,
            self.films_imported
        );
        println!("  {:>6} rows refused:", self.refused.len());
        for row in &self.refused {
            println!("         {} {}: {}", row.kind, row.row, row.why);
        }
        println!("Searched and sold, on {} servers", self.servers);
        println!(
            "  {:>6} searches; alone: p50 {} ms, p99 {} ms",
            self.searches, self.search_p50_ms, self.search_p99_ms
        );
        for (what, n) in self.counts.as_object().into_iter().flatten() {
            println!("  {n:>6} {}", what.replace('_', " "));
        }
        println!("Refused");
        for (code, n) in self.refusals.as_object().into_iter().flatten() {
            println!("  {n:>6} {code}");
        }
        println!("Answers, at the client");
        println!("  {:24} {:>7} {:>9} {:>9}", "", "n", "p50 ms", "p99 ms");
        for (what, line) in self.latencies.as_object().into_iter().flatten() {
            let ms = |name: &str| line[name].as_f64().unwrap_or_default();
            println!("  {what:24} {:>7} {:>9.1} {:>9.1}", line["n"], ms("p50_ms"), ms("p99_ms"));
        }
        println!("The books");
        println!("  {:>6} bookings, {} tickets", self.books.bookings, self.books.tickets);
        println!("  {:>6} seats sold twice", self.books.double_sales);
        println!("  {:>6} holds that did not end", self.books.stuck_holds + self.stuck_at_servers);
        println!(
            "  {:>6} answered bookings lost, {} that nobody was told of",
            self.books.lost.len(),
            self.books.unknown
        );
        for violation in self.violations.iter().chain(&self.surprises).chain(&self.books.lost) {
            println!("  !! {violation}");
        }
        println!("All in {:.0} s", self.took_s);
        Ok(())
    }
}
