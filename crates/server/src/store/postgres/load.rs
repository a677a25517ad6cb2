//! Houses, read from PostgreSQL: whole, or what changed since.

use std::collections::HashMap;
use std::sync::Arc;

use admit_booking::{Hold, Prices};
use admit_protocol::digest::ContentName;
use jiff::Timestamp;
use tokio_postgres::{Error, Row};

use super::session::{Params, Session, at, get, wait};
use crate::store::rows::{ClaimRow, HoldRow, ScanRow, bad, hold_key, read_known};
use crate::store::{Loaded, News, NewsOf, StoreError};

const LOADING: &str = "loading a house";

/// A price table that some hold is pinned to.
pub(super) type PriceTables<'a> = &'a dyn Fn(ContentName) -> Option<Arc<Prices>>;

/// Reads a house whose screening has this number. All of it is of one version: one snapshot.
pub(super) fn house(session: &mut Session, number: i64, prices: PriceTables<'_>) -> Result<Loaded, StoreError> {
    const HOUSE: &str = "SELECT version, now FROM house WHERE screening = $1";
    const CLAIMS: &str = "SELECT place, hold, block, until FROM claim WHERE screening = $1";
    const HOLDS: &str = "SELECT hold, owner, network, places, price_table, created_at, seq, state, at, details, answers \
                         FROM hold WHERE screening = $1";
    const SCANS: &str = "SELECT device, id, kind, undoes, hold, line, generation, at, admitted, offline, verdict \
                         FROM scan WHERE screening = $1";
    let [house, claims, holds, scans, programme] =
        session.prepare([HOUSE, CLAIMS, HOLDS, SCANS, super::PROGRAMME]).map_err(at(LOADING))?;
    let client = session.client();
    let of: Params<'_> = &[&number];
    let read = wait(async {
        tokio::join!(
            client.batch_execute(SNAPSHOT),
            client.query_opt(&house, of),
            client.query(&claims, of),
            client.query(&holds, of),
            client.query(&scans, of),
            client.query_one(&programme, &[]),
            client.batch_execute("COMMIT"),
        )
    });
    let (began, house, claims, holds, scans, programme, ended) = read;
    let (house, claims, holds, scans, programme) = (|| {
        began?;
        let read = (house?, claims?, holds?, scans?, programme?);
        ended.map(|()| read)
    })()
    .map_err(at(LOADING))?;
    let mut loaded = Loaded { programme: super::programme(&programme)?, ..Loaded::default() };
    let Some(house) = house else { return Ok(loaded) };
    loaded.house.version = get::<i64>(&house, 0)?.unsigned_abs();
    loaded.house.now = instant(get(&house, 1)?)?;
    for row in &claims {
        let claim = ClaimRow {
            place: get::<i32>(row, 0)?.into(),
            hold: get(row, 1)?,
            block: get(row, 2)?,
            until: get(row, 3)?,
        };
        loaded.house.claims.push(claim.read(number)?);
    }
    for row in &holds {
        let hold = read_hold(row, number, prices)?;
        loaded.keys.extend(read_known(hold.key, get(row, 10)?).map(|(known, _)| known));
        loaded.house.holds.push(hold);
    }
    for row in &scans {
        let scan = ScanRow {
            device: get(row, 0)?,
            id: get(row, 1)?,
            kind: get(row, 2)?,
            undoes: get(row, 3)?,
            hold: get(row, 4)?,
            line: get(row, 5)?,
            generation: get(row, 6)?,
            at: get(row, 7)?,
            admitted: get(row, 8)?,
            offline: get(row, 9)?,
            verdict: get(row, 10)?,
        };
        loaded.house.scans.push(scan.read(number)?);
    }
    Ok(loaded)
}

/// One snapshot for everything that is read next.
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// How often a house was saved after a version, and whether more than holds changed.
pub(super) const SAVES_SINCE: &str = "SELECT l.screening, count(*), bool_or(l.whole) \
     FROM log l JOIN unnest($1::bigint[], $2::bigint[]) AS s(screening, seen) \
     ON l.screening = s.screening AND l.version > s.seen GROUP BY l.screening";

/// The holds that were changed after a version.
pub(super) const HOLDS_SINCE: &str = "SELECT DISTINCT ON (h.screening, h.hold) h.hold, owner, network, places, price_table, \
     created_at, seq, state, h.at, details, answers, h.screening \
     FROM log l JOIN unnest($1::bigint[], $2::bigint[]) AS s(screening, seen) \
     ON l.screening = s.screening AND l.version > s.seen \
     CROSS JOIN LATERAL unnest(l.holds) AS changed(hold) \
     JOIN hold h ON h.screening = l.screening AND h.hold = changed.hold";

/// What is known of a house: its number, and the version that somebody saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) number: i64,
    pub(super) version: i64,
}

/// Puts together what is new. `houses` has number, version and logical time of each house.
pub(super) fn news(
    seen: &[Option<Seen>],
    houses: &HashMap<i64, (i64, i64)>,
    saves: &[Row],
    holds: &[Row],
    prices: PriceTables<'_>,
) -> Result<Vec<Option<News>>, StoreError> {
    let mut since: HashMap<i64, (i64, bool)> = HashMap::with_capacity(saves.len());
    for row in saves {
        since.insert(get(row, 0)?, (get(row, 1)?, get(row, 2)?));
    }
    let mut changed: HashMap<i64, Vec<&Row>> = HashMap::new();
    for row in holds {
        changed.entry(get(row, 11)?).or_default().push(row);
    }
    let one = |seen: &Option<Seen>| {
        let Some(Seen { number, version: known }) = *seen else { return Ok(None) };
        let Some(&(version, now)) = houses.get(&number).filter(|(version, _)| *version != known) else {
            return Ok(None);
        };
        let what = match since.get(&number) {
            // Every save since is on record, and changed only holds.
            Some(&(saves, false)) if known + saves == version => {
                let rows = changed.remove(&number).unwrap_or_default();
                let mut found = Vec::with_capacity(rows.len());
                for row in rows {
                    let hold = read_hold(row, number, prices)?;
                    let keys = read_known(hold.key, get(row, 10)?).map(|(known, _)| known).collect();
                    found.push((hold, keys));
                }
                NewsOf::Holds(found)
            }
            _ => NewsOf::Everything,
        };
        Ok(Some(News { version: version.unsigned_abs(), now: instant(now)?, what }))
    };
    let mut one = one;
    seen.iter().map(&mut one).collect()
}

fn read_hold(row: &Row, number: i64, prices: PriceTables<'_>) -> Result<Hold, StoreError> {
    let row = HoldRow {
        hold: get(row, 0)?,
        owner: get(row, 1)?,
        network: get(row, 2)?,
        places: get(row, 3)?,
        price_table: get(row, 4)?,
        created_at: get(row, 5)?,
        seq: get(row, 6)?,
        state: get(row, 7)?,
        at: get(row, 8)?,
        details: get(row, 9)?,
    };
    row.read(number, prices)
}

pub(super) fn instant(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(StoreError::at("reading a time"))
}

/// Bookings of a screening that have a ticket left, and their `details`.
pub(super) fn standing_bookings(
    rows: &[Row],
    number: i64,
) -> Result<Vec<(admit_booking::HoldKey, String)>, StoreError> {
    let read = |row: &Row| {
        let key = hold_key(get(row, 0)?).ok_or_else(|| bad("hold", number, "key is not 16 bytes"))?;
        Ok((key, get(row, 1)?))
    };
    rows.iter().map(read).collect()
}

/// Number, version and logical time of houses.
pub(super) fn houses(rows: &[Row]) -> Result<HashMap<i64, (i64, i64)>, StoreError> {
    rows.iter().map(|row| Ok((get(row, 0)?, (get(row, 1)?, get(row, 2)?)))).collect()
}

/// One after another: what went wrong first is what went wrong.
pub(super) fn both<A, B>(first: Result<A, Error>, second: Result<B, Error>) -> Result<(A, B), Error> {
    Ok((first?, second?))
}
