//! What is checked, in order: later checks use what earlier ones read.

mod catalogue;
mod discovery;
mod http;

use std::pin::Pin;

use crate::target::Target;

/// One thing that is looked at.
pub(crate) struct Check {
    /// The sentences that it is about.
    pub(crate) musts: &'static [&'static str],
    pub(crate) what: &'static str,
    /// Without this capability there is nothing to look at.
    pub(crate) needs: Option<&'static str>,
    pub(crate) run: Run,
}

/// Looks, and says what is wrong.
pub(crate) type Run = for<'a> fn(&'a mut Target) -> Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;

/// What came of a check.
pub(crate) enum Outcome {
    Passed,
    /// What is wrong, and how to ask the same again.
    Failed {
        why: String,
        exchange: String,
    },
    /// Not looked at, and why. This is no pass.
    NotRun(String),
}

impl Outcome {
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// A check, and what came of it.
pub(crate) struct Checked {
    pub(crate) check: &'static Check,
    pub(crate) outcome: Outcome,
}

macro_rules! checks {
    ($($musts:expr, $what:literal, $needs:expr, $run:path;)*) => {
        /// All of them.
        pub(crate) const ALL: &[Check] = &[$(Check {
            musts: &$musts,
            what: $what,
            needs: $needs,
            run: |target| Box::pin($run(target)),
        }),*];
    };
}

checks! {
    ["MAN-009"], "the well-known document is answered without a redirect", None, discovery::well_known;
    ["MAN-001"], "its protected header is as it must be", None, discovery::header;
    ["MAN-002"], "its signature fits the identity key it names", None, discovery::signature;
    ["MAN-003", "MAN-007"], "it speaks for the origin it was fetched from", None, discovery::origin;
    ["MAN-004"], "it was issued in the past and expires within 7 days", None, discovery::life;
    ["MAN-006"], "its keys are different keys", None, discovery::keys;
    ["PROG-001"], "every page of cinemas is what its name says", None, catalogue::pages;
    ["PROG-002"], "programmes are in order and describe every film they show", None, catalogue::programmes;
    ["PROG-003"], "a screening asked for alone is the one of the programme", None, catalogue::screening;
    ["TIME-002"], "local times and offsets agree with their instants", None, catalogue::times;
    ["LAY-001", "LAY-002", "LAY-003", "LAY-004"], "layouts are what their names say, and sound", None, catalogue::layouts;
    ["PRICE-001"], "totals of offers are their sums", None, catalogue::prices;
    ["SEAT-001"], "seats that are not free are seats of the layout, the same for everybody", None, catalogue::seats;
    ["FEED-001"], "the feed tells every screening of the programme, once", Some("feed"), catalogue::feed;
    ["HTTP-001"], "answers are JSON and say so", None, http::media_type;
    ["HTTP-010", "HTTP-011"], "a refusal is a problem document", None, http::problem;
    ["HTTP-012"], "a hold that does not exist is not found, whoever asks", None, http::nobodys_hold;
    ["HTTP-013"], "what is not offered says so", None, http::not_offered;
    ["HTTP-020"], "every answer has the server's time", None, http::server_time;
    ["HTTP-021"], "pages of any origin may ask", None, http::any_origin;
    ["HTTP-022"], "what did not change is not sent again", None, http::not_modified;
    ["AUTH-001"], "a short secret is refused", None, http::short_secret;
}

/// Runs all of them.
pub(crate) async fn run(target: &mut Target) -> Vec<Checked> {
    let mut results = Vec::with_capacity(ALL.len());
    for check in ALL {
        let missing = check.needs.filter(|capability| !target.has(capability));
        let outcome = match missing {
            Some(capability) => Outcome::NotRun(format!("the server does not offer {capability}")),
            None => match (check.run)(target).await {
                Ok(()) => Outcome::Passed,
                Err(why) => Outcome::Failed { why, exchange: target.last.clone() },
            },
        };
        results.push(Checked { check, outcome });
    }
    results
}

/// Says what is wrong, unless it is right.
pub(crate) fn must(right: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(why()) }
}
