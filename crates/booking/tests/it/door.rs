use admit_booking::{Cancellation, Command, DoorScan, HoldKey, Refusal};
use admit_protocol::booking::TicketState;
use admit_protocol::door::{AllowState, ScanKind, Verdict};
use admit_protocol::id::{DeviceId, ScanId, ScreeningId};
use admit_protocol::screening::ScreeningStatus;
use admit_protocol::ticket::{Ticket, TicketId, screening_digest};
use admit_protocol::time::after;

use crate::stage::{Stage, eur, owner};

pub(crate) fn ticket(s: &Stage, booking: HoldKey, line: usize) -> Ticket {
    let b = s.get(booking).booking().expect("booked");
    let terms = s.house.terms();
    Ticket {
        id: b.ticket_id(line).expect("a line"),
        not_before: after(terms.starts_at, -24 * 3600),
        not_after: after(terms.ends_at, 3600),
        holder: None,
        screening: screening_digest(&terms.screening),
        hall: "1".into(),
        row: "A".into(),
        seat: "1".into(),
        ticket_type: "adult".into(),
        admits: 1,
        generation: 1,
    }
}

pub(crate) fn entry(id: &str, ticket: Option<Ticket>, s: &Stage) -> DoorScan {
    let id = ScanId::parse(id).expect(id);
    DoorScan { id, kind: ScanKind::Entry, ticket, proven: false, undoes: None, at: s.now, offline: false }
}

fn undo(id: &str, of: &str, s: &Stage) -> DoorScan {
    let undoes = Some(ScanId::parse(of).expect(of));
    DoorScan { kind: ScanKind::Undo, undoes, ..entry(id, None, s) }
}

pub(crate) fn scan(s: &mut Stage, device: &str, scans: Vec<DoorScan>) -> Vec<Verdict> {
    let device = DeviceId::parse(device).expect(device);
    let changes = s.run(&Command::Scan { device, scans }).expect("scans are kept");
    changes.scans.iter().map(|r| r.verdict).collect()
}

/// A paid booking of A1 and A2, on the evening.
fn evening() -> (Stage, HoldKey) {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1", "A2"]);
    s.run(&Command::Settle { booking, amount: eur(2050) }).expect("paid");
    s.wait(7 * 3600 + 1800);
    (s, booking)
}

#[test]
fn a_ticket_lets_in_once() {
    let (mut s, booking) = evening();
    let t = ticket(&s, booking, 0);
    let scans = vec![entry("s1", Some(t.clone()), &s), entry("s2", Some(t.clone()), &s)];
    assert_eq!(scan(&mut s, "door-1", scans), [Verdict::Green, Verdict::Duplicate]);
    let other = entry("s1", Some(t), &s);
    assert_eq!(scan(&mut s, "door-2", vec![other]), [Verdict::Duplicate]);
    let second = entry("s3", Some(ticket(&s, booking, 1)), &s);
    assert_eq!(scan(&mut s, "door-1", vec![second]), [Verdict::Green]);
}

#[test]
fn a_repeated_upload_changes_nothing() {
    let (mut s, booking) = evening();
    let one = entry("s1", Some(ticket(&s, booking, 0)), &s);
    assert_eq!(scan(&mut s, "door-1", vec![one.clone()]), [Verdict::Green]);
    assert_eq!(scan(&mut s, "door-1", vec![one]), []);
}

#[test]
fn a_mistake_can_be_undone_and_the_ticket_lets_in_again() {
    let (mut s, booking) = evening();
    let t = ticket(&s, booking, 0);
    let scans = vec![entry("s1", Some(t.clone()), &s), undo("s2", "s1", &s), entry("s3", Some(t), &s)];
    assert_eq!(scan(&mut s, "door-1", scans), [Verdict::Green, Verdict::Green, Verdict::Green]);
    let device = DeviceId::parse("door-1").expect("id");
    let itself = Command::Scan { device, scans: vec![DoorScan { undoes: None, ..undo("s4", "s3", &s) }] };
    assert_eq!(s.run(&itself).err(), Some(Refusal::BadScan));
}

#[test]
fn a_ticket_that_names_its_holder_wants_a_proof_before_it_says_whether_it_was_used() {
    let (mut s, booking) = evening();
    let held = Ticket { holder: Some([7; 16]), ..ticket(&s, booking, 0) };
    let late = Ticket { not_after: after(s.now, -400), ..held.clone() };
    let with =
        |id: &str, ticket: &Ticket, proven: bool, s: &Stage| DoorScan { proven, ..entry(id, Some(ticket.clone()), s) };
    let scans = vec![
        with("s1", &held, false, &s),
        with("s2", &held, true, &s),
        with("s3", &held, false, &s),
        with("s4", &held, true, &s),
        with("s5", &Ticket { id: TicketId([0; 16]), ..late }, false, &s),
    ];
    let expected = [Verdict::Unproven, Verdict::Green, Verdict::Unproven, Verdict::Duplicate, Verdict::Revoked];
    assert_eq!(scan(&mut s, "door-1", scans), expected);
}

#[test]
fn the_first_reason_in_the_order_of_the_spec_is_shown() {
    let (mut s, booking) = evening();
    let good = ticket(&s, booking, 0);
    let elsewhere = Ticket { screening: screening_digest(&ScreeningId::parse("other").expect("id")), ..good.clone() };
    let start = s.house.terms().starts_at;
    let early = Ticket { not_before: after(s.now, 301), not_after: after(start, 400), ..good.clone() };
    let unknown = Ticket { id: TicketId([0; 16]), ..good.clone() };
    let early_unknown = Ticket { id: TicketId([0; 16]), ..early.clone() };
    let late_elsewhere = Ticket { not_after: after(s.now, -400), ..elsewhere.clone() };
    let scans = vec![
        entry("s1", None, &s),
        entry("s2", Some(elsewhere), &s),
        entry("s3", Some(late_elsewhere), &s),
        entry("s4", Some(early), &s),
        entry("s5", Some(unknown), &s),
        entry("s6", Some(early_unknown), &s),
    ];
    let expected = [
        Verdict::Invalid,
        Verdict::WrongShow,
        Verdict::WrongShow,
        Verdict::Expired,
        Verdict::Revoked,
        Verdict::Revoked,
    ];
    assert_eq!(scan(&mut s, "door-1", scans), expected);
    assert_eq!(s.house.scans().count(), 6, "the odd ones are kept, too");
}

#[test]
fn a_ticket_from_before_a_move_is_for_the_new_time_door_006() {
    let (mut s, booking) = evening();
    let week = 7 * 24 * 3600;
    let good = ticket(&s, booking, 0);
    // Signed for next week; the screening was moved to today.
    let old =
        Ticket { not_before: after(good.not_before, week), not_after: after(good.not_after, week), ..good.clone() };
    let scans = vec![entry("s1", Some(old), &s)];
    assert_eq!(scan(&mut s, "door-1", scans), [Verdict::Green]);
    // Signed for today; the screening was moved to next week.
    let terms = s.house.terms();
    let terms = admit_booking::Terms {
        starts_at: after(terms.starts_at, week),
        ends_at: after(terms.ends_at, week),
        ..(**terms).clone()
    };
    s.run(&Command::Amend(std::sync::Arc::new(terms))).expect("moved");
    let scans = vec![entry("s2", Some(good), &s)];
    assert_eq!(scan(&mut s, "door-1", scans), [Verdict::Expired]);
}

#[test]
fn nobody_is_let_into_what_does_not_take_place_canc_007() {
    let (mut s, booking) = evening();
    let good = ticket(&s, booking, 0);
    let terms = admit_booking::Terms { status: ScreeningStatus::Cancelled, ..(**s.house.terms()).clone() };
    s.run(&Command::Amend(terms.into())).expect("cancelled");
    let scans = vec![entry("s1", Some(good), &s)];
    assert_eq!(scan(&mut s, "door-1", scans), [Verdict::Revoked]);
    assert!(s.house.allow_entries().iter().all(|e| e.state == AllowState::Revoked));
}

#[test]
fn who_has_not_paid_is_sent_to_the_box_office() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1"]);
    s.wait(7 * 3600);
    let t = ticket(&s, booking, 0);
    let first = entry("s1", Some(t.clone()), &s);
    assert_eq!(scan(&mut s, "door-1", vec![first]), [Verdict::Unpaid]);
    s.run(&Command::Settle { booking, amount: eur(1050) }).expect("paid");
    let again = entry("s2", Some(t), &s);
    assert_eq!(scan(&mut s, "door-1", vec![again]), [Verdict::Green]);
}

#[test]
fn a_cancelled_ticket_does_not_open_the_door_and_a_used_one_is_not_cancelled() {
    let (mut s, booking) = evening();
    let (first, second) = (ticket(&s, booking, 0), ticket(&s, booking, 1));
    let seats = vec![crate::stage::seat("A1")];
    let cancellation = Cancellation::Staff { seats, refund: false };
    s.run(&Command::Cancel { booking, cancellation }).expect("staff");
    let scans = vec![entry("s1", Some(first), &s), entry("s2", Some(second), &s)];
    assert_eq!(scan(&mut s, "door-1", scans), [Verdict::Revoked, Verdict::Green]);
    let refused = s.house.quote_cancellation(booking, owner("anna"), &[], s.now);
    assert!(matches!(refused, Err(Refusal::TicketUsed(_))));
}

#[test]
fn two_offline_doors_merge_to_the_same_end_in_any_order() {
    let (s, booking) = evening();
    let t = ticket(&s, booking, 0);
    let offline = |id: &str, after_s: i64| DoorScan {
        offline: true,
        at: after(s.now, after_s),
        ..entry(id, Some(t.clone()), &s)
    };
    let uploads = [
        ("door-1", offline("s1", 20)),
        ("door-2", offline("s1", 10)),
        ("door-2", undo("s2", "s1", &s)),
        ("door-1", offline("s3", 30)),
    ];
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]];
    let ends = orders.map(|order| {
        let (mut s, booking) = evening();
        for n in order {
            let (device, upload) = uploads[n].clone();
            scan(&mut s, device, vec![upload]);
        }
        let state = s.house.ticket_state(booking, s.get(booking).booking().expect("booked"), 0);
        assert_eq!(s.house.scans().count(), 4, "nothing is dropped");
        (state, s.house.first_scan(booking, 0).cloned())
    });
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_eq!(ends[0].0, TicketState::Used);
    assert_eq!(ends[0].1.as_ref().map(|f| f.device.as_str()), Some("door-1"));
}

#[test]
fn the_allow_list_names_every_ticket_also_unread_ones() {
    let (s, booking) = evening();
    let entries = s.house.allow_entries();
    let ids: Vec<TicketId> = (0..2).map(|n| ticket(&s, booking, n).id).collect();
    assert_eq!(entries.len(), 2);
    assert!(ids.iter().all(|id| entries.iter().any(|e| e.id == *id)));
}
