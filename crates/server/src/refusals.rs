//! Refusals and failures as problems: the one table of them.

use std::collections::BTreeMap;

use admit_booking::Refusal;
use admit_http::Reply;
use admit_protocol::capability::PaymentMethod;
use admit_protocol::id::{SeatId, ZoneId};
use admit_protocol::price::TicketRule;
use admit_protocol::problem::{ConflictReason, Problem, ProblemCode as Code, SeatConflict};
use admit_protocol::seats::SalesState;

use crate::engine::Failed;

/// What the asker hears.
pub(crate) fn reply(failed: Failed) -> Reply {
    match failed {
        Failed::Refused(refusal, seq) => {
            let mut problem = refused(refusal);
            problem.seq = Some(seq);
            problem.into()
        }
        // It rests on no house.
        Failed::Ruled(refusal) => refused(refusal).into(),
        Failed::NoScreening => {
            Reply::new(Code::NotFound, "there is no such screening here, or not any more: the programme lists them")
        }
        Failed::OneHouseAtATime => Reply::new(
            Code::CapabilityNotOffered,
            "this cinema exchanges tickets within a screening only: cancel, and book the other one",
        ),
        Failed::KeyReused => Reply::new(
            Code::IdempotencyKeyReused,
            "this key came with another body before: a new request needs a new key",
        ),
        Failed::Busy | Failed::Again => {
            Problem::new(Code::Busy, "too many are asking at once: try again with the same key")
                .retry_after_ms(200)
                .into()
        }
        Failed::NoStore => {
            let why = "the cinema's data cannot be reached just now: try again with the same key";
            Problem::new(Code::Busy, why).retry_after_ms(1000).into()
        }
        Failed::ClockIsWrong => {
            let why = "this machine's clock is wrong, and it sells nothing until it is right: try again later";
            Problem::new(Code::Busy, why).retry_after_ms(5000).into()
        }
        Failed::OutcomeUnknown => {
            let why = "this may have been done or not: ask again with the same key and you will know";
            Problem::new(Code::OutcomeUnknown, why).retry_after_ms(1000).into()
        }
        Failed::Store(error) => Reply::internal(&error),
    }
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NotFound => Problem::new(Code::NotFound, "there is no such hold or booking, or it is not yours"),
        Refusal::NotOnSale(state) => not_on_sale(state),
        Refusal::SalesNotOpen { opens_at, wait_ms } => {
            Problem::new(Code::SalesNotOpen, format!("it is sold from {opens_at} on")).retry_after_ms(wait_ms)
        }
        Refusal::NoSeats => Problem::new(Code::Invalid, "name at least one seat, or an area and how many places"),
        Refusal::TooManySeats { max } => {
            Problem::new(Code::Invalid, format!("one hold has at most {max} seats and places"))
        }
        Refusal::UnknownSeats(seats) => {
            let mut problem = Problem::new(
                Code::UnknownSeat,
                format!("this hall has no seat {}: its layout names them all", list(&seats)),
            );
            problem.conflicts = conflicts(&seats, ConflictReason::NoSuchSeat);
            problem
        }
        Refusal::NamedTwice(seats) => {
            let mut problem = Problem::new(Code::SeatNamedTwice, format!("name {} once", list(&seats))).at("/seats");
            problem.conflicts = conflicts(&seats, ConflictReason::NamedTwice);
            problem
        }
        Refusal::UnknownZones(zones) => {
            let zones: Vec<&str> = zones.iter().map(ZoneId::as_str).collect();
            let why = format!("this hall has no zone {}: its layout names them", zones.join(", "));
            Problem::new(Code::UnknownZone, why).at("/best/zones")
        }
        Refusal::UnknownArea(area) => {
            Problem::new(Code::UnknownSeat, format!("this hall has no area {area}")).at("/areas")
        }
        Refusal::SeatsTaken(taken) => {
            use ConflictReason::{Blocked, CompanionOnly};
            // Somebody may let go of a seat; nothing else comes right by itself.
            let may_come_free = taken.iter().all(|c| !matches!(c.reason, CompanionOnly | Blocked));
            let problem = Problem::new(Code::SeatsTaken, in_the_way(&taken));
            Problem { conflicts: taken, retryable: may_come_free, ..problem }
        }
        Refusal::LeftOver(left) => {
            let said = |reason: ConflictReason, why: &str| {
                let seats: Vec<SeatId> = left.iter().filter(|c| c.reason == reason).map(|c| c.seat).collect();
                (!seats.is_empty()).then(|| format!("{} {why}", list(&seats)))
            };
            let alone = said(ConflictReason::LeftAlone, "would be left alone: take what is left, too, or move by one");
            let part =
                said(ConflictReason::PartOfGroup, "belong to the same sofa, which is sold whole: take them, too");
            let why = [alone, part].into_iter().flatten().collect::<Vec<_>>().join("; ");
            Problem { conflicts: left, ..Problem::new(Code::RuleBroken, why) }
        }
        Refusal::NotTogether { most } => {
            let why = match most {
                0 => "nothing is left that would do: wait for what comes free, or name other zones or another price, where there are some"
                    .to_owned(),
                1 => "single seats are left, or fewer than asked for: ask for fewer, or for other zones".to_owned(),
                most => format!("at most {most} can sit together: ask for fewer, for other zones, or to sit apart"),
            };
            Problem::new(Code::NotTogether, why).at("/best")
        }
        Refusal::NoWaitlist => Problem::new(
            Code::CapabilityNotOffered,
            "this cinema has no waitlist: look at the seats again from time to time",
        ),
        Refusal::NeverFits => {
            let why = "also in the empty hall there are no such seats, in these zones and at that price, together and with as many spaces \
                       for wheelchairs as are asked for: ask for fewer, or to sit apart";
            Problem::new(Code::NeverFits, why).at("/best")
        }
        Refusal::SeatsAvailable => Problem::new(Code::SeatsAvailable, "hold them, with the same `best`").at("/best"),
        Refusal::AlreadyWaiting => {
            Problem::new(Code::AlreadyWaiting, "one secret waits once for a screening: a new purchase has a new secret")
        }
        Refusal::WaitlistFull { max } => {
            Problem::new(Code::WaitlistFull, format!("{max} parties wait: try again later")).retry_after_ms(60_000)
        }
        Refusal::NetworkWaitsTooMuch { max } => {
            let why = format!("{max} parties from your network wait already: try again later");
            Problem::new(Code::WaitlistFull, why).retry_after_ms(60_000)
        }
        Refusal::QueueNotOpen { opens_at, wait_ms } => {
            let why = format!("come again at {opens_at}: who comes before sales begin is drawn by lot, early or late");
            Problem::new(Code::QueueNotOpen, why).retry_after_ms(wait_ms)
        }
        Refusal::QueueFull { max } => {
            Problem::new(Code::QueueFull, format!("{max} have a place already: come again later"))
                .retry_after_ms(60_000)
        }
        Refusal::NetworkQueuesTooMuch { max } => {
            let why = format!("{max} from your network have a place already: come again later, or from elsewhere");
            Problem::new(Code::QueueFull, why).retry_after_ms(60_000)
        }
        Refusal::QueuePassNeeded => {
            let why =
                "this screening is sold in turns: take a place in its queue, and send its pass with the same secret";
            Problem::new(Code::QueuePassNeeded, why).at("/queue_pass")
        }
        Refusal::NotYourTurn { turn_at, wait_ms } => {
            let why = format!("it is your turn at {turn_at}: nothing is lost if you wait elsewhere");
            Problem::new(Code::NotYourTurn, why).at("/queue_pass").retry_after_ms(wait_ms)
        }
        Refusal::QueuePassExpired => {
            Problem::new(Code::QueuePassExpired, "take a place in the queue once more").at("/queue_pass")
        }
        Refusal::TooManyHolds { max } => {
            let why = format!("{max} holds at a time: book one of yours, or give it back");
            Problem::new(Code::TooManyHolds, why)
        }
        Refusal::NetworkHoldsTooMuch { max } => {
            let why = format!(
                "buyers from one network may have at most {max} places of this screening unpaid at a time, and would have more: pay for some, or try again later"
            );
            Problem::new(Code::TooManyHolds, why).retry_after_ms(60_000)
        }
        Refusal::TicketRule { seat, rule } => ticket_rule(seat, &rule),
        Refusal::TicketsDoNotMatch { missing, extra } => {
            let why = match (missing.is_empty(), extra.is_empty()) {
                (false, _) => format!("every held seat needs a ticket: {}", list(&missing)),
                (true, _) => format!("not in this hold, or named twice: {}", list(&extra)),
            };
            Problem::new(Code::Invalid, why).at("/tickets")
        }
        Refusal::PriceChanged(quote) => {
            let why = format!("these tickets cost {}: show that to the buyer and send it as total", quote.total);
            Problem { quote: Some(quote), ..Problem::new(Code::PriceChanged, why) }.at("/total")
        }
        Refusal::PaymentMethod(method) => {
            let why = match method {
                PaymentMethod::None => "`none` is for a total of nothing: choose another of the manifest's methods",
                PaymentMethod::AtCinema => {
                    "it is too late to pay at the cinema, or there is nothing to pay: then it is `none`"
                }
                _ => "this server does not take that: choose one of the manifest's methods",
            };
            Problem::new(Code::PaymentMethodNotOffered, why).at("/payment_method")
        }
        Refusal::HoldEnded => {
            Problem::new(Code::HoldExpired, "its time is over, or it was given back: hold the seats again")
        }
        Refusal::HoldConverted => {
            Problem::new(Code::HoldConverted, "it names its booking: read the hold, then the booking")
        }
        Refusal::HoldPaying => {
            Problem::new(Code::HoldPaying, "a payment is under way: wait until it is over").retry_after_ms(5000)
        }
        Refusal::WrongBalance { due } => {
            Problem::new(Code::BookingState, format!("the balance is {due}")).at("/amount")
        }
        Refusal::RefundOwed => Problem::new(
            Code::RuleBroken,
            "this screening does not take place: what was paid for it comes back, so say `refund`: true",
        )
        .at("/refund"),
        Refusal::WrongRefund { due } if due.is_zero() => {
            Problem::new(Code::BookingState, "nothing is left to give back for this booking").at("/amount")
        }
        Refusal::WrongRefund { due } => {
            Problem::new(Code::BookingState, format!("what is left to give back is {due}")).at("/amount")
        }
        Refusal::TicketUsed(seat) => {
            Problem::new(Code::TicketUsed, format!("ask at the box office about the one for {seat}"))
        }
        Refusal::TicketCancelled(seat) => {
            Problem::new(Code::BookingState, format!("the ticket for {seat} is cancelled already")).at("/seats")
        }
        Refusal::NotInBooking(seats) => {
            Problem::new(Code::UnknownSeat, format!("this booking has no ticket for {}", list(&seats))).at("/seats")
        }
        Refusal::LeftAlone(seats) => {
            let why = format!(
                "{} is only sold to who has a ticket that you would give up: give up both together, or, where they are in two \
                 bookings, cancel this one first and book it again with the other",
                list(&seats)
            );
            Problem::new(Code::RuleBroken, why).at("/seats")
        }
        Refusal::NotCancellable => Problem::new(
            Code::NotCancellable,
            "the cancellation policy that it was sold with does not allow it, or not so late",
        ),
        Refusal::OtherCurrency => Problem::new(
            Code::RuleBroken,
            "what was paid is in another currency: cancel the tickets, and book the others",
        ),
        Refusal::AllCancelled => Problem::new(Code::BookingState, "all of its tickets are cancelled already"),
        Refusal::QuoteChanged => {
            let why = "this quote is none of this booking, is over, or was used: ask for a new one";
            Problem::new(Code::QuoteChanged, why).at("/quote")
        }
        Refusal::BadScan => {
            Problem::new(Code::Invalid, "an upload has 1 to 1,000 scans, and an undo names the scan it takes back")
                .at("/scans")
        }
        _ => Problem::new(Code::RuleBroken, "a rule of the house forbids this"),
    }
}

/// Each reason once, with its seats, and what to do.
fn in_the_way(taken: &[SeatConflict]) -> String {
    let mut by_reason: BTreeMap<ConflictReason, Vec<SeatId>> = BTreeMap::new();
    for conflict in taken {
        by_reason.entry(conflict.reason).or_default().push(conflict.seat);
    }
    let elsewhere = taken.iter().any(|c| c.reason != ConflictReason::CompanionOnly);
    let said = by_reason.iter().map(|(reason, seats)| {
        let why = match reason {
            ConflictReason::Sold => "sold",
            ConflictReason::Held => "held by somebody who is choosing",
            ConflictReason::Blocked => "not for sale",
            ConflictReason::CompanionOnly => {
                "for the companion of who has the wheelchair space beside it: take both, or neither"
            }
            ConflictReason::AreaFull => "has not so many places left",
            _ => "not to be had",
        };
        format!("{} {why}", list(seats))
    });
    format!("{}{}", said.collect::<Vec<_>>().join("; "), if elsewhere { ". Choose others" } else { "" })
}

fn not_on_sale(state: SalesState) -> Problem {
    let (code, why) = match state {
        SalesState::NotYetOpen => (Code::SalesNotOpen, "it is not sold yet"),
        SalesState::UnderWay => (Code::ScreeningUnderWay, "it is not sold any more"),
        SalesState::Cancelled => {
            (Code::ScreeningCancelled, "nobody can buy or pay for it; who has a ticket gets everything back")
        }
        SalesState::Paused => (Code::SalesClosed, "sales are paused: try again later"),
        _ => (Code::SalesClosed, "it is not sold any more"),
    };
    Problem::new(code, why)
}

fn ticket_rule(seat: Option<SeatId>, rule: &TicketRule) -> Problem {
    let place = seat.map(|s| format!(" for {s}")).unwrap_or_default();
    let why = match rule {
        TicketRule::NeedsCompany { ticket_type, needs_one_of, each_goes_with } => {
            TicketRule::company(*ticket_type, needs_one_of, *each_goes_with, |id| id.to_string())
        }
        TicketRule::NotSold(ticket_type) => format!("{ticket_type} is not sold{place}: the price table says what is"),
        other => other.to_string(),
    };
    Problem::new(Code::RuleBroken, why)
}

fn conflicts(seats: &[SeatId], reason: ConflictReason) -> Vec<SeatConflict> {
    seats.iter().map(|seat| SeatConflict { seat: *seat, reason }).collect()
}

fn list(seats: &[SeatId]) -> String {
    let mut list = String::with_capacity(seats.len() * 8);
    for seat in seats {
        if !list.is_empty() {
            list += ", ";
        }
        list += seat.as_str();
    }
    list
}
