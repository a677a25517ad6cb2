//! The books of a cinema, checked with SQL of its own: nothing here knows the server's code.

use std::path::Path;

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use crate::show;

/// What the audit found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) holds: i64,
    pub(crate) bookings: i64,
    pub(crate) tickets: i64,
    pub(crate) violations: Vec<Violation>,
}

/// A broken invariant, by its name.
#[derive(Debug, Serialize)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) found: i64,
    pub(crate) what: &'static str,
}

/// Each invariant as a query that counts what breaks it.
const CHECKS: &[(&str, &str, &str)] = &[
    (
        "S1",
        "places sold twice",
        "
        WITH line AS (
            SELECT h.screening, h.hold, l.value ->> 0 AS place
            FROM hold h, json_each(h.details, '$.lines') l
            WHERE h.state = 'converted' AND l.value ->> 4 = 0)
        SELECT count(*) FROM (SELECT 1 FROM line GROUP BY screening, place HAVING count(*) > 1)",
    ),
    (
        "S1",
        "standing tickets whose place is not theirs",
        "
        WITH line AS (
            SELECT h.screening, h.hold, l.value ->> 0 AS place
            FROM hold h, json_each(h.details, '$.lines') l
            WHERE h.state = 'converted' AND l.value ->> 4 = 0)
        SELECT count(*) FROM line LEFT JOIN claim c ON c.screening = line.screening AND c.place = line.place
        WHERE c.hold IS NOT line.hold",
    ),
    (
        "S4",
        "held places that are not claimed by their hold",
        "
        SELECT count(*) FROM hold h, json_each(h.places) p
        LEFT JOIN claim c ON c.screening = h.screening AND c.place = p.value ->> 0
        WHERE h.state IN ('active', 'paying', 'closing') AND c.hold IS NOT h.hold",
    ),
    (
        "S1",
        "claims whose hold is over or unknown",
        "
        SELECT count(*) FROM claim c LEFT JOIN hold h ON h.hold = c.hold AND h.screening = c.screening
        WHERE c.hold IS NOT NULL AND (h.state IS NULL OR h.state NOT IN ('active', 'paying', 'closing', 'converted'))",
    ),
    (
        "S5",
        "claims of bookings for tickets that are cancelled",
        "
        SELECT count(*) FROM claim c JOIN hold h ON h.hold = c.hold AND h.screening = c.screening
        WHERE h.state = 'converted' AND NOT EXISTS (
            SELECT 1 FROM json_each(h.details, '$.lines') l WHERE l.value ->> 0 = c.place AND l.value ->> 4 = 0)",
    ),
    (
        "S4",
        "holds and bookings that stand and have no place",
        "
        SELECT count(*) FROM hold h WHERE state IN ('active', 'paying', 'closing', 'converted')
        AND NOT EXISTS (SELECT 1 FROM claim c WHERE c.screening = h.screening AND c.hold = h.hold)",
    ),
    (
        "H1",
        "holds that outlive their bound of 50 minutes",
        "
        SELECT count(*) FROM hold WHERE state IN ('active', 'paying', 'closing') AND at > created_at + 3000000",
    ),
    (
        "P8",
        "bookings that gave back more than was paid",
        "
        SELECT count(*) FROM hold
        WHERE state IN ('converted', 'cancelled') AND (details ->> '$.booked.refunded') + coalesce(details ->> '$.booked.moved_out', 0) > details ->> '$.booked.paid'",
    ),
    (
        "P8",
        "bookings of which the counter handed over more than came back",
        "
        SELECT count(*) FROM hold
        WHERE state IN ('converted', 'cancelled') AND details ->> '$.booked.paid_out' > details ->> '$.booked.refunded'",
    ),
    (
        "P5",
        "bookings whose total is not the sum of its parts",
        "
        SELECT count(*) FROM hold h WHERE state IN ('converted', 'cancelled') AND details ->> '$.booked.paid' > 0
        AND (SELECT sum(l.value ->> 2) FROM json_each(h.details, '$.lines') l)
            + (details ->> '$.booking_fees') <> details ->> '$.total'",
    ),
    (
        "P8",
        "bookings paid at the counter whose money is not what went through a till",
        "
        SELECT count(*) FROM hold h WHERE state IN ('converted', 'cancelled') AND details ->> '$.method' = 'at_cinema'
        AND (details ->> '$.booked.paid') - coalesce(details ->> '$.booked.moved_in', 0) - (details ->> '$.booked.paid_out')
            <> coalesce((SELECT sum(t.amount) FROM till t WHERE t.hold = h.hold), 0)",
    ),
    (
        "M1",
        "bookings of which more or less moved out than moved into those that replace them",
        "
        WITH moved AS (SELECT details ->> '$.booked.replaces[1]' AS booking, sum(details ->> '$.booked.moved_in') AS amount
            FROM hold WHERE details ->> '$.booked.replaces' IS NOT NULL GROUP BY 1)
        SELECT count(*) FROM hold h FULL JOIN moved m ON m.booking = lower(hex(h.hold))
        WHERE coalesce(h.details ->> '$.booked.moved_out', 0) <> coalesce(m.amount, 0)",
    ),
    (
        "I1",
        "requests with two effects, and records whose answer is missing or another's",
        "
        WITH RECURSIVE about AS (SELECT answers FROM hold UNION ALL SELECT answers FROM waitlist_entry),
            record (answers, at) AS (
            SELECT answers, 33 FROM about WHERE length(answers) > 0
            UNION ALL SELECT answers, at + 40 FROM record WHERE at + 40 < length(answers)),
            named AS (SELECT hex(substr(answers, at, 8)) AS id, substr(answers, at - 32, 16) AS key FROM record)
        SELECT (SELECT count(*) FROM about WHERE length(answers) % 40 <> 0)
            + (SELECT count(*) - count(DISTINCT id) FROM named)
            + (SELECT count(*) - count(DISTINCT key) FROM named)
            + (SELECT count(*) FROM answer WHERE printf('%016X', id) NOT IN (SELECT id FROM named))
            + (SELECT count(*) FROM named WHERE id NOT IN (SELECT printf('%016X', id) FROM answer)
                AND id >= (SELECT printf('%016X', coalesce(min(id), 0)) FROM answer))",
    ),
    (
        "W2",
        "parties that wait at the same place in line",
        "
        SELECT count(*) - count(DISTINCT screening || ' ' || turn) FROM waitlist_entry WHERE state = 'waiting'",
    ),
    (
        "W4",
        "parties whose offer is no hold of theirs, or over",
        "
        SELECT count(*) FROM waitlist_entry e
        LEFT JOIN hold h ON h.hold = e.hold AND h.screening = e.screening AND h.owner = e.owner
        WHERE e.state = 'offered' AND (h.state IS NULL OR h.state NOT IN ('active', 'paying', 'closing'))",
    ),
    (
        "W6",
        "places kept for somebody in line where nobody waits",
        "
        SELECT count(*) FROM claim c WHERE c.block = 'waitlist'
        AND NOT EXISTS (SELECT 1 FROM waitlist_entry e WHERE e.screening = c.screening AND e.state = 'waiting')",
    ),
    (
        "T3",
        "tickets that were let in twice without being offline or undone",
        "
        SELECT count(*) FROM (
            SELECT 1 FROM scan s WHERE s.kind = 'entry' AND s.admitted = 1 AND s.offline = 0 AND NOT EXISTS (
                SELECT 1 FROM scan u WHERE u.screening = s.screening AND u.device = s.device AND u.undoes = s.id)
            GROUP BY s.screening, s.hold, s.line HAVING count(*) > 1)",
    ),
    (
        "D1",
        "houses whose trail does not lead to their version",
        "
        WITH trail AS (SELECT screening, max(version) AS last, count(*) AS entries FROM log GROUP BY screening),
            newest AS (
                SELECT screening, max(version) AS version
                FROM (SELECT screening, version FROM hold UNION ALL SELECT screening, version FROM house) GROUP BY screening)
        SELECT count(*) FROM trail FULL JOIN newest USING (screening) WHERE last <> entries OR last IS NOT version",
    ),
];

/// Reads the books without changing them.
pub(crate) fn audit(database: &Path) -> anyhow::Result<Report> {
    ensure!(database.exists(), "there are no books at {}: is this the folder of a cinema?", database.display());
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("opening {}", database.display()))?;
    let one = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let mut violations = Vec::new();
    let integrity: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if integrity != "ok" {
        violations.push(Violation { invariant: "D3", found: 1, what: "the file is damaged" });
    }
    for (invariant, what, sql) in CHECKS {
        let found = one(sql).with_context(|| format!("checking {invariant}: {what}"))?;
        if found > 0 {
            violations.push(Violation { invariant, found, what });
        }
    }
    Ok(Report {
        holds: one("SELECT count(*) FROM hold")?,
        bookings: one("SELECT count(*) FROM hold WHERE state IN ('converted', 'cancelled')")?,
        tickets: one("SELECT count(*) FROM hold h, json_each(h.details, '$.lines') l
                      WHERE h.state = 'converted' AND l.value ->> 4 = 0")?,
        violations,
    })
}

impl Report {
    pub(crate) fn print(&self) {
        show::line(&format!(
            "{} holds ever, {} became bookings, {} tickets stand",
            self.holds, self.bookings, self.tickets
        ));
        for v in &self.violations {
            show::line(&format!("{} {}: {}", show::colour("1;31", v.invariant), v.what, v.found));
        }
        if self.violations.is_empty() {
            show::line(&format!("{} checks, all in order", CHECKS.len() + 1));
        }
    }
}
