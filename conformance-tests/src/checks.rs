//! What is checked, in order: later checks use what earlier ones read.

mod bookings;
mod buyer_keys;
mod cancelling;
mod catalogue;
mod choosing;
pub(crate) mod client;
mod control;
mod discovery;
mod doors;
mod exchange;
mod forms;
mod holds;
mod http;
mod index;
mod notifications;
mod queue;
mod races;
mod receipts;
mod repeats;
mod requests;
mod sales;
mod seats;
mod tickets;
mod waitlist;

use std::pin::Pin;

pub(crate) use self::catalogue::screenings;
pub(crate) use self::discovery::well_known as read_manifest;
use crate::How;
use crate::control::Control;
use crate::target::{Mode, Target};

/// One thing that is looked at.
pub(crate) struct Check {
    /// The sentences that it is about.
    pub(crate) musts: &'static [&'static str],
    pub(crate) what: &'static str,
    /// Without this capability there is nothing to look at.
    pub(crate) needs: Option<&'static str>,
    /// Whether it only reads.
    pub(crate) looks: bool,
    pub(crate) run: Run,
}

/// Looks or acts, and says what is wrong.
pub(crate) type Run = for<'a> fn(&'a mut Target) -> Pin<Box<dyn Future<Output = Checked> + 'a>>;

/// What a check comes to.
pub(crate) type Checked<T = ()> = Result<T, Stop>;

/// Why a check did not come to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The server breaks a sentence.
    Fails(String),
    /// It could not be looked at.
    NotRun(String),
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Fails(why)
    }
}

impl From<&str> for Stop {
    fn from(why: &str) -> Self {
        Self::Fails(why.to_owned())
    }
}

/// What came of a check.
pub(crate) enum Outcome {
    Passed,
    /// What is wrong, and how to ask the same again.
    Failed {
        why: String,
        exchanges: Vec<String>,
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
pub(crate) struct Seen {
    /// The sentences that it is about.
    pub(crate) musts: &'static [&'static str],
    pub(crate) what: &'static str,
    pub(crate) outcome: Outcome,
}

macro_rules! checks {
    ($(#[$doc:meta])* $list:ident; $($kind:ident $musts:expr, $what:literal, $needs:expr, $run:path;)*) => {
        $(#[$doc])*
        pub(crate) const $list: &[Check] = &[$(Check {
            musts: &$musts,
            what: $what,
            needs: $needs,
            looks: checks!(@ $kind),
            run: |target| Box::pin(async move { $run(target).await.map_err(Stop::from) }),
        }),*];
    };
    (@ look) => { true };
    (@ act) => { false };
}

checks! {
    /// What is checked of an index.
    INDEX;
    look ["MAN-009"], "the well-known document is answered without a redirect", None, discovery::well_known;
    look ["MAN-001"], "its protected header is as it must be", None, discovery::header;
    look ["MAN-002"], "its signature fits the identity key it names", None, discovery::signature;
    look ["MAN-003", "MAN-007"], "it speaks for the origin it was fetched from", None, discovery::origin;
    look ["MAN-004"], "it was issued in the past and expires within 7 days", None, discovery::life;
    look ["MAN-006"], "its keys are different keys", None, discovery::keys;
    look ["MAN-008", "VER-001"], "the API begins where this version does", None, forms::base;
    look ["IDX-002"], "it says that it is an index", None, index::role;
    look ["HTTP-010", "HTTP-011"], "a refusal is a problem document", None, http::problem;
    look ["HTTP-020"], "every answer has the server's time", None, http::server_time;
    look ["HTTP-010", "IDX-016"], "what cannot be read is refused, and what is odd is not found", None, index::bad_questions;
    act ["IDX-004", "IDX-011", "MAN-007"], "addresses that no cinema has are not looked at", None, index::addresses;
    act ["IDX-001", "IDX-003", "IDX-013"], "who announces a server in order is listed, and found by its name", None, index::lists;
    look ["HTTP-001", "HTTP-021", "HTTP-022"], "answers are JSON, say so, and are for pages of any origin", None, index::media_type;
    act ["EXT-001", "EXT-002"], "what nobody knows yet is passed over", None, index::unknown;
    act ["IDX-013", "IDX-014"], "no more is found than is asked for", None, index::limits;
    act ["IDX-013", "IDX-014"], "a cinema is found where it is, and nowhere else", None, index::places;
    act ["IDX-013", "IDX-014", "IDX-015"], "films and screenings are found, as hints", Some("screenings"), index::shown;
    act ["IDX-005"], "manifests are passed on unchanged", None, index::unchanged;
    act ["IDX-001"], "one address is not looked at again at once", None, index::looks_once;
    act ["IDX-002", "IDX-003", "IDX-005"], "who lies about what they are is not listed, and told at which step", None, index::liars;
    act ["IDX-003"], "it says nothing in the words of a server", None, index::own_words;
    act ["IDX-010"], "a server that moved is listed where it is, if it says so there, too", None, index::moved;
    act ["IDX-007"], "a record that cannot be used is dropped alone", None, index::bad_record;
}

checks! {
    /// What is checked of a server.
    SERVER;
    look ["MAN-009"], "the well-known document is answered without a redirect", None, discovery::well_known;
    look ["MAN-001"], "its protected header is as it must be", None, discovery::header;
    look ["MAN-002"], "its signature fits the identity key it names", None, discovery::signature;
    look ["MAN-003", "MAN-007"], "it speaks for the origin it was fetched from", None, discovery::origin;
    look ["MAN-004"], "it was issued in the past and expires within 7 days", None, discovery::life;
    look ["MAN-006"], "its keys are different keys", None, discovery::keys;
    look ["PROG-001", "PROG-006"], "every page of cinemas is what its name says, and no larger than it may be", None, catalogue::pages;
    look ["PROG-002"], "programmes are in order and describe every film they show", None, catalogue::programmes;
    look ["PROG-003"], "a screening asked for alone is the one of the programme", None, catalogue::screening;
    look ["TIME-002", "TIME-003"], "local times and offsets agree with their instants", None, catalogue::times;
    look ["LAY-001", "LAY-002", "LAY-003", "LAY-004", "ID-002"], "layouts are what their names say, and sound", None, catalogue::layouts;
    look ["PRICE-001"], "totals of offers are their sums", None, catalogue::prices;
    look ["SEAT-001"], "seats that are not free are seats of the layout, the same for everybody", None, catalogue::seats;
    look ["FEED-001"], "the feed tells every screening of the programme, once", Some("feed"), catalogue::feed;
    look ["ID-001", "ID-002"], "ids are ids", None, forms::ids;
    look ["MONEY-001"], "amounts are whole numbers with a currency", None, forms::amounts;
    look ["TIME-001"], "instants are in UTC", None, forms::instants;
    look ["TEXT-001", "TEXT-002"], "texts say something, in languages, and turn no letters round", None, forms::texts;
    look ["MAN-008", "VER-001"], "the API begins where this version does", None, forms::base;
    look ["PROG-008", "TIME-006"], "a screening is in a hall of its cinema, by its clock, at prices for all of its zones", None, forms::fits;
    look ["HTTP-001"], "answers are JSON and say so", None, http::media_type;
    look ["HTTP-010", "HTTP-011"], "a refusal is a problem document", None, http::problem;
    look ["HTTP-012"], "a hold that does not exist is not found, whoever asks", None, http::nobodys_hold;
    look ["HTTP-013", "VER-004"], "what is not offered says so", None, http::not_offered;
    look ["HTTP-020"], "every answer has the server's time", None, http::server_time;
    look ["HTTP-021"], "pages of any origin may ask", None, http::any_origin;
    look ["HTTP-022"], "what did not change is not sent again", None, http::not_modified;
    look ["AUTH-001"], "a short secret is refused", None, http::short_secret;

    act ["CTRL-001"], "test control is named where it is, and only there", None, control::named;
    act ["CTRL-002"], "test control is for who knows its secret", None, control::secret;
    act ["CTRL-003"], "worlds have nothing in common, and end", None, control::worlds_apart;
    act ["CTRL-003", "CTRL-004", "HTTP-020"], "a clock stands still until it is moved", None, control::clock;

    act ["HOLD-001", "HOLD-014"], "a hold is of all seats or of none", None, holds::all_or_none;
    act ["HOLD-002", "ERR-002"], "a refused hold names every seat that is in the way, and why", None, holds::every_conflict;
    act ["HOLD-003", "PRICE-001", "BOOK-002", "CTRL-005"], "a hold keeps its prices when they change", None, holds::keeps_prices;
    act ["HOLD-004", "SEAT-004"], "a hold is good until its instant, and its seats are free at it", None, holds::ends_at_its_instant;
    act ["HOLD-004"], "what ended by itself cannot be booked", None, holds::ended_is_not_booked;
    act ["HOLD-005"], "a hold is no longer than announced", None, holds::clamped;
    act ["HOLD-005", "HOLD-014"], "more seats than announced are refused", None, holds::too_many_seats;
    act ["HOLD-014"], "ticket types may be left out, and are priced where all are known", None, holds::types;
    act ["HOLD-015"], "what is held is booked, also when sales have ended", None, holds::kept_when_sales_end;
    act ["HOLD-006"], "a companion's seat goes with its wheelchair space", None, holds::companion;
    act ["HOLD-007"], "extending makes longer, and never shorter", Some("extend"), holds::extended;
    act ["HOLD-009"], "no hold outlives 50 minutes", Some("extend"), holds::fifty_minutes;
    act ["HOLD-008"], "a released hold is free at once, and releasing again is no harm", None, holds::released;
    act ["HOLD-008", "HTTP-012", "ID-003"], "nobody releases or reads somebody else's hold", None, holds::of_somebody_else;
    act ["HOLD-008", "HOLD-010"], "a booked hold names its booking and is not released", None, holds::converted;
    act ["HOLD-011", "HOLD-014"], "seats of another layout are refused", None, holds::other_layout;
    act ["SEAT-001"], "seats are held, sold, blocked and free as they are", None, seats::as_they_are;
    act ["SEAT-002"], "each change moves the version by one", None, seats::version;
    act ["SEAT-002", "SEAT-004"], "an end by time moves the version, too", None, seats::version_of_expiry;
    act ["SEAT-002", "SEAT-005"], "what staff change moves the version, and looking does not", None, seats::version_of_staff;
    act ["LAY-005", "SEAT-001"], "areas are held by count, and never beyond it", Some("general_admission"), seats::areas;
    act ["LIVE-001", "LIVE-002", "LIVE-003"], "live seats begin with all, and tell what changes", Some("live"), seats::live;

    act ["IDEM-001"], "what has an effect needs a good Idempotency-Key", None, repeats::needs_key;
    act ["IDEM-002", "IDEM-003"], "a repeated request has one effect and the same answer", None, repeats::same_answer;
    act ["IDEM-004"], "a repeated hold does not hear that its own seats are taken", None, repeats::before_refusals;
    act ["IDEM-005"], "a key that was used for something else is refused", None, repeats::other_body;
    act ["IDEM-006"], "a refusal is decided again", None, repeats::refusals_again;
    act ["IDEM-002"], "keys of other buyers and other addresses are other keys", None, repeats::scope;
    act ["IDEM-003"], "every one of many answers is kept", None, repeats::many;
    act ["IDEM-002"], "the same request many times at once has one effect", None, repeats::at_once;
    act ["IDEM-003", "BOOK-004"], "answers and bookings outlive a restart", None, repeats::restart;
    act ["IDEM-003"], "after a day the key still blocks a second effect", None, repeats::after_a_day;
    act ["AUTH-001", "HTTP-021"], "who does not say who they are is refused", None, requests::nobody;
    act ["AUTH-001"], "no answer has the secret in it", None, requests::secret_stays;
    act ["HTTP-022"], "what belongs to one buyer is kept by nobody else", None, requests::not_for_others;
    act ["HTTP-013"], "members of what is not offered say so", None, requests::members_of_capabilities;
    act ["HTTP-002"], "other media types and compressed bodies are refused", None, requests::media_types;
    act ["HTTP-003"], "what is too large is refused", None, requests::too_large;
    act ["HTTP-004", "HTTP-001", "ERR-004"], "JSON that two readers could read differently is refused", None, requests::ambiguous;
    act ["EXT-001"], "members that nobody knows are ignored", None, requests::unknown_members;
    act ["ERR-003", "ERR-004", "HTTP-011"], "seats that cannot be are refused, each by its code", None, requests::impossible_seats;

    act ["PRICE-001", "BOOK-002", "MONEY-002"], "a booking costs what its offers say, to the cent", None, bookings::sums;
    act ["BOOK-002"], "another total is refused with the right one, and the hold stays", None, bookings::other_total;
    act ["BOOK-001"], "a booking has a ticket for each held seat, and no other", None, bookings::one_ticket_a_seat;
    act ["BOOK-003"], "only announced payment methods are taken, and each where it fits", None, bookings::methods;
    act ["BOOK-005"], "what is to be paid is said, with until when", None, bookings::balance;
    act ["BOOK-005"], "what is not paid in time is cancelled, and its seats are free", None, bookings::unpaid;
    act ["BOOK-005"], "who books late has until the start, and afterwards until sales close", None, bookings::late;
    act ["BOOK-005", "CTRL-005"], "what was paid stays", None, bookings::paid_stays;
    act ["HTTP-012"], "nobody sees or changes somebody else's booking", None, bookings::of_somebody_else;
    act ["PRICE-002", "HTTP-010"], "a ticket without an offer is not sold", None, bookings::no_offer;

    act ["CANC-003", "CANC-004", "CANC-005"], "who has not paid cancels without cost, and the seats are free", None, cancelling::unpaid;
    act ["CANC-003"], "who has not paid cancels whatever the policy says", None, cancelling::unpaid_whatever_the_policy;
    act ["CANC-011"], "what costs nothing is cancelled by the tiers, too", None, cancelling::what_costs_nothing;
    act ["CANC-002", "CANC-004"], "a tier holds until its instant and not at it", None, cancelling::tiers;
    act ["CANC-002", "CANC-009", "CANC-011", "MONEY-002"], "a refund is the tier's share less the fee, and never below nothing", None, cancelling::shares;
    act ["CANC-001"], "the policy at the time of booking stays", None, cancelling::policy_stays;
    act ["CANC-004"], "a quote brings what it says, and not after its time", None, cancelling::quote_ends;
    act ["CANC-005", "TICK-006", "TICK-008"], "a cancelled ticket is gone, and its seat can be had", None, cancelling::seat_again;
    act ["CANC-005", "CANC-009"], "cancelling twice brings back once", None, cancelling::once;
    act ["CANC-006"], "a used ticket is not cancelled by its buyer", Some("door"), cancelling::used;
    act ["CANC-008"], "a companion is not left without the space", None, cancelling::left_behind;
    act ["CANC-007", "HOLD-015", "SEAT-005"], "of what does not take place everything comes back", None, cancelling::does_not_take_place;

    act ["TICK-001", "TICK-002", "TICK-003", "TICK-005", "TICK-006", "TICK-007"], "tickets are signed by a ticket key and say what they are for", None, tickets::signed;
    act ["TICK-006", "TICK-008"], "a ticket's name is the same however often it is read", None, tickets::same_name;
    act ["TICK-006", "HTTP-012"], "tickets are for who has the booking, and only as long as they stand", None, tickets::only_confirmed;
    act ["TICK-004", "PRIV-001"], "a ticket has nobody's name in it", None, tickets::nobodys_name;

    act ["DOOR-001"], "the allow list is signed and has every ticket", Some("door"), doors::allow_list;
    act ["DOOR-004", "DOOR-005"], "a ticket opens the door once", Some("door"), doors::once;
    act ["DOOR-002", "DOOR-003"], "scans that are sent again change nothing", Some("door"), doors::sent_again;
    act ["DOOR-004"], "a cancelled ticket does not open it, nor another screening's, nor an unpaid one", Some("door"), doors::refused_tickets;

    act ["MAN-010"], "each manifest has a higher serial, also after a restart", None, discovery::serials;
    act ["MAN-011", "TICK-006"], "a ticket key is listed until its last ticket has expired", None, tickets::keys_stay;
    act ["PROG-007", "TICK-007"], "what nobody says the end of is over after six hours", None, tickets::open_end;
    act ["TICK-009", "TICK-010", "DOOR-004"], "a ticket that names a holder opens the door beside a proof of now", Some("door"), doors::proofs;
    act ["DOOR-006"], "a ticket opens the door of a screening that was moved", Some("door"), doors::moved;
    act ["FEED-001", "FEED-002", "FEED-003"], "what is taken out is told for a week, and then older cursors are over", Some("feed"), sales::taken_out;
    act ["SEC-003"], "who has as many holds as one may have gets no more, whatever they say of themselves", None, holds::too_many;
    act ["PRICE-003"], "a carer comes with somebody who pays", None, bookings::carers;
    act ["LIVE-004"], "where nothing happens, that is said", Some("live"), seats::heartbeat;

    act ["PROG-003", "HTTP-022", "SEAT-005"], "a change is told by the screening, its programme and its seats alike", None, sales::told_everywhere;
    act ["PROG-005", "SEAT-005"], "a film that has begun is not sold, unless it is said to be", None, sales::under_way;
    act ["SEAT-005", "HOLD-015", "ERR-001"], "sales that have not begun, stand still or are off refuse, each by its code", None, sales::closed;

    act ["CHOOSE-001", "CHOOSE-007"], "the best that is left is together, and from what is free", Some("best_available"), choosing::together;
    act ["CHOOSE-001"], "a space for a wheelchair is chosen for who asks for one", Some("best_available"), choosing::no_wheelchair_space;
    act ["CHOOSE-002", "CHOOSE-003", "CHOOSE-004", "CHOOSE-006"], "no seat is left alone where the house says so", None, choosing::orphans;

    act ["CHOOSE-005"], "a sofa is held whole where the house says so", None, choosing::sofa;
    act ["WAIT-001", "WAIT-002"], "who could have seats, or never could, does not wait", Some("waitlist"), waitlist::who_may_wait;
    act ["WAIT-003", "WAIT-004", "WAIT-007", "WAIT-009", "HOLD-012"], "what comes free is offered in the order of the line, and to nobody else meanwhile", Some("waitlist"), waitlist::in_order;
    act ["WAIT-005"], "an offer that lapses goes on to the next in the same change", Some("waitlist"), waitlist::lapse;
    act ["WAIT-006"], "who leaves or declines is out of the line, and the next comes", Some("waitlist"), waitlist::leaving;
    act ["WAIT-008"], "who was passed over five times is not passed over again", Some("waitlist"), waitlist::passed_over;
    act ["WAIT-010"], "nobody waits for what is not sold any more", Some("waitlist"), waitlist::over;
    act ["WAIT-011"], "nobody sees somebody else's place in line", Some("waitlist"), waitlist::of_somebody_else;
    act ["NOTE-002", "NOTE-003", "NOTE-004"], "a webhook is asked first, and then told in signed requests", Some("notifications"), notifications::told;
    act ["NOTE-002"], "what becomes of a screening, or is not paid in time, is told", Some("notifications"), notifications::changes;
    act ["NOTE-002"], "who waits is told of an offer", Some("notifications"), notifications::offered;
    act ["NOTE-004"], "who does not answer a challenge hears nothing else", Some("notifications"), notifications::asked_first;
    act ["NOTE-006"], "what is not taken comes again, and to who is gone nothing", Some("notifications"), notifications::again;
    act ["NOTE-005"], "a redirect of a webhook is not followed", Some("notifications"), notifications::no_redirect;
    act ["PRIV-004"], "who wants to be forgotten is, and the booking stays", None, notifications::forgotten;
    act ["NOTE-001"], "an address that is no webhook is refused", Some("notifications"), notifications::addresses;
    act ["KEY-001", "KEY-006"], "a buyer's key buys, and nobody else has what it bought", Some("buyer_keys"), buyer_keys::a_key_buys;
    act ["KEY-001", "KEY-002", "KEY-003", "KEY-004", "KEY-005"], "what a buyer's key did not sign so is refused, and changes nothing", Some("buyer_keys"), buyer_keys::nothing_less;
    act ["RCPT-001", "RCPT-003", "RCPT-004", "RCPT-005"], "a receipt is signed, and says what the log says, of a hold and its booking", Some("receipts"), receipts::of_a_hold_and_its_booking;
    act ["RCPT-001"], "a receipt is for its owner, while there is something to sign", Some("receipts"), receipts::for_its_owner_while_it_works;
    act ["RCPT-002", "RCPT-003", "RCPT-004", "RCPT-005"], "the log has every change of who has a seat, and stays as it was", Some("receipts"), receipts::every_change;
    act ["RCPT-001", "RCPT-002"], "what lapsed is free in the log, and has no receipt", Some("receipts"), receipts::what_lapsed;
    act ["QUEUE-001", "QUEUE-002", "QUEUE-003", "QUEUE-005", "QUEUE-007"], "turns are drawn as was committed to, and no closer than announced", Some("queue"), queue::drawn;
    act ["QUEUE-009", "QUEUE-010"], "who leaves and comes again has the turn that they had", Some("queue"), queue::leaving;
    act ["QUEUE-004", "QUEUE-006", "QUEUE-008", "HOLD-013"], "a pass is good for who has it, from its turn until its end", Some("queue"), queue::passes;
    act ["EXCH-001", "EXCH-003", "EXCH-004", "EXCH-005"], "what was paid moves with what is exchanged", Some("exchange"), exchange::moves;
    act ["EXCH-006"], "what moved brings back no more than it would have when it moved", Some("exchange"), exchange::no_way_to_cash;
    act ["EXCH-003", "EXCH-007"], "tickets are given once", Some("exchange"), exchange::once;
    act ["EXCH-001", "EXCH-002"], "nobody exchanges what is not theirs, or was not quoted", Some("exchange"), exchange::of_somebody_else;

    act ["HOLD-001", "HOLD-002"], "of many who want a seat at once, one gets it", None, races::one_seat;
    act ["HOLD-001"], "overlapping wishes at once leave nobody with a part", None, races::overlapping;
    act ["BOOK-001", "HOLD-008"], "a hold that is booked and released at once is one of the two", None, races::book_or_release;
    act ["IDEM-002", "BOOK-001"], "a hold that is booked by many requests at once is booked once", None, races::booked_once;
    act ["CANC-005", "CANC-009"], "a booking that is cancelled many times at once is cancelled once", None, races::cancelled_once;
    act ["HOLD-001", "HOLD-008"], "who holds and releases in turns is never in a seat with somebody else", None, races::history;
    act ["DOOR-005"], "of scans at two doors at once one is green", Some("door"), races::two_doors;
}

/// The sentences and the words of all checks, of whatever.
pub(crate) fn all() -> impl Iterator<Item = (&'static [&'static str], &'static str)> {
    let clients = client::ALL.iter().map(|c| (c.musts, c.what));
    SERVER.iter().chain(INDEX).map(|c| (c.musts, c.what)).chain(clients)
}

/// Checks a server or an index as far as its mode allows; each that acts in a world of its own, where worlds can be made.
pub(crate) async fn run(
    checks: &'static [Check],
    target: &mut Target,
    control: Option<&Control>,
    how: &How,
) -> anyhow::Result<Vec<Seen>> {
    let mut results = Vec::with_capacity(checks.len());
    // What reads the manifest comes first, whatever else is wanted.
    let wanted = |check: &&Check| how.wants(check.musts) || check.musts == ["MAN-009"];
    for check in checks.iter().filter(wanted) {
        let outcome = one(check, target, control, how.seed).await?;
        let enough = how.until_failure && outcome.is_failure();
        results.push(Seen { musts: check.musts, what: check.what, outcome });
        if enough {
            break;
        }
    }
    Ok(results)
}

async fn one(
    check: &'static Check,
    target: &mut Target,
    control: Option<&Control>,
    seed: u64,
) -> anyhow::Result<Outcome> {
    if let Some(capability) = check.needs.filter(|capability| !target.has(capability)) {
        return Ok(Outcome::NotRun(format!("the server does not offer {capability}")));
    }
    if check.looks {
        return Ok(outcome(check, target).await);
    }
    match (target.mode, control) {
        (Mode::Observe, _) => Ok(Outcome::NotRun("it changes something, and this server is only looked at".into())),
        (Mode::Controlled, Some(control)) => {
            let mut world = Target::in_a_world(control, seed).await?;
            let outcome = outcome(check, &mut world).await;
            if let Some(run) = &world.run {
                run.end().await;
            }
            Ok(outcome)
        }
        (Mode::Sandbox | Mode::Controlled, _) => {
            let outcome = outcome(check, target).await;
            target.give_back().await;
            Ok(outcome)
        }
    }
}

async fn outcome(check: &'static Check, target: &mut Target) -> Outcome {
    drop(target.take_said());
    match (check.run)(target).await {
        Ok(()) => Outcome::Passed,
        Err(Stop::Fails(why)) => Outcome::Failed { why, exchanges: target.take_said() },
        Err(Stop::NotRun(why)) => Outcome::NotRun(why),
    }
}

/// Says what is wrong, unless it is right.
pub(crate) fn must(right: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(why()) }
}
