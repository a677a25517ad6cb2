//! Check-in, and what offline doors bring home.

use admit_protocol::door::{AllowState, SCANS_MAX, ScanKind, Verdict};
use admit_protocol::id::DeviceId;
use admit_protocol::ticket::Ticket;
use admit_protocol::time::after;
use jiff::Timestamp;

use crate::changes::{Changes, ScanRecord, ScannedTicket};
use crate::command::DoorScan;
use crate::door::verdict;
use crate::house::House;
use crate::refusal::Refusal;

/// How long before its start and after its end a moved screening lets people in, in seconds: as long as new tickets would.
const OPEN_BEFORE_S: i64 = 25 * 3600;
const OPEN_AFTER_S: i64 = 3600;

impl House {
    /// Every scan is kept, the odd ones too. One that is known already changes nothing (T4).
    pub(super) fn scan(&self, device: DeviceId, scans: &[DoorScan], now: Timestamp) -> Result<Changes, Refusal> {
        if scans.len() > SCANS_MAX || scans.iter().any(|s| (s.kind == ScanKind::Undo) != s.undoes.is_some()) {
            return Err(Refusal::BadScan);
        }
        // Scans of one upload see those before them.
        let mut later = self.clone();
        let mut changes = Changes::default();
        for scan in scans {
            if later.scans.contains_key(&(device, scan.id)) || scan.undoes == Some(scan.id) {
                continue;
            }
            let record = later.scan_one(device, scan, now);
            let step = Changes { scans: vec![record.clone()], ..Changes::default() };
            // Adding a scan to a copy of this house cannot fail: it touches no seat.
            later.apply(step).map_err(|_| Refusal::BadScan)?;
            changes.scans.push(record);
        }
        Ok(changes)
    }

    /// A ticket that was printed before its screening was moved is for the new time (DOOR-006).
    fn as_of_now(&self, ticket: Ticket) -> Ticket {
        let (starts_at, ends_at) = (self.terms.starts_at, self.terms.ends_at);
        if ticket.not_before <= starts_at && starts_at < ticket.not_after {
            return ticket;
        }
        Ticket { not_before: after(starts_at, -OPEN_BEFORE_S), not_after: after(ends_at, OPEN_AFTER_S), ..ticket }
    }

    fn scan_one(&self, device: DeviceId, scan: &DoorScan, now: Timestamp) -> ScanRecord {
        let found = scan.ticket.as_ref().and_then(|t| self.find_ticket(t.id));
        let ticket = found.and_then(|(booking, b, line)| {
            let generation = b.lines.get(line)?.generation;
            Some(ScannedTicket { booking, line: u16::try_from(line).ok()?, generation })
        });
        // A door that decided alone decided when it scanned.
        let at = if scan.offline { scan.at } else { now };
        let state = |_| found.map_or(Some(AllowState::Revoked), |(key, b, line)| Some(self.allow_state(key, b, line)));
        let read = scan.ticket.clone().map(|ticket| self.as_of_now(ticket));
        let verdict = match scan.kind {
            ScanKind::Entry => verdict(read.as_ref(), scan.proven, self.terms.screening, at, state),
            _ => Verdict::Green,
        };
        // Somebody is in, whatever we would have said: nothing is dropped in a merge.
        let let_in = scan.offline && ticket.is_some() && !matches!(verdict, Verdict::Revoked);
        let admitted = scan.kind == ScanKind::Entry && (verdict == Verdict::Green || let_in);
        ScanRecord {
            device,
            id: scan.id,
            kind: scan.kind,
            undoes: scan.undoes,
            ticket,
            at: scan.at,
            admitted,
            offline: scan.offline,
            verdict,
        }
    }
}
