//! Houses, read from PostgreSQL: whole, or what changed since.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use admit_booking::{Hold, Prices};
use admit_protocol::digest::ContentName;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::session::{Params, Session, at, get, wait};
use crate::store::rows::{ClaimRow, EntryRow, HoldRow, ScanRow, bad, hold_key, read_known};
use crate::store::{About, KnownKey, Loaded, News, NewsOf, StoreError};

const LOADING: &str = "loading a house";

/// A price table that some hold is pinned to.
pub(super) type PriceTables<'a> = &'a dyn Fn(ContentName) -> Option<Arc<Prices>>;

/// Reads a house whose screening has this number. All of it is of one version: one snapshot.
pub(super) fn house(session: &mut Session, number: i64, prices: PriceTables<'_>) -> Result<Loaded, StoreError> {
    const HOUSE: &str = "SELECT version, now FROM house WHERE screening = $1";
    const CLAIMS: &str = "SELECT place, hold, block, until FROM claim WHERE screening = $1";
    const HOLDS: &str = "SELECT hold, owner, network, places, price_table, created_at, seq, state, at, details, answers \
                         FROM hold WHERE screening = $1";
    const ENTRIES: &str = "SELECT entry, owner, network, best, buyer, created_at, turn, lapses, passed_over, passed_at, state, hold, \
                           answers FROM waitlist_entry WHERE screening = $1";
    const SCANS: &str = "SELECT device, id, kind, undoes, hold, line, generation, at, admitted, offline, verdict \
                         FROM scan WHERE screening = $1";
    // Most houses that are loaded were never sold from: for them this is all.
    const YOUNG: &str = "SELECT (SELECT value FROM setting WHERE name = 'programme') \
                         WHERE NOT EXISTS (SELECT 1 FROM house WHERE screening = $1 AND version > 0)";
    if let Some(row) = session.query(YOUNG, &[&number]).map_err(at(LOADING))?.first() {
        return Ok(Loaded { programme: super::programme(get(row, 0)?)?, ..Loaded::default() });
    }
    let [house, claims, holds, scans, entries, programme] =
        session.prepare([HOUSE, CLAIMS, HOLDS, SCANS, ENTRIES, super::PROGRAMME]).map_err(at(LOADING))?;
    let client = session.client();
    let of: Params<'_> = &[&number];
    let read = wait(async {
        tokio::join!(
            client.batch_execute(SNAPSHOT),
            client.query_opt(&house, of),
            client.query(&claims, of),
            client.query(&holds, of),
            client.query(&scans, of),
            client.query(&entries, of),
            client.query_one(&programme, &[]),
            client.batch_execute("COMMIT"),
        )
    });
    let (began, house, claims, holds, scans, entries, programme, ended) = read;
    let (house, claims, holds, scans, entries, programme) = (|| {
        began?;
        let read = (house?, claims?, holds?, scans?, entries?, programme?);
        ended.map(|()| read)
    })()
    .map_err(at(LOADING))?;
    let mut loaded = Loaded { programme: super::programme(get(&programme, 0)?)?, ..Loaded::default() };
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
        loaded.keys.extend(read_known(About::Hold(hold.key), get(row, 10)?).map(|(known, _)| known));
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
    for row in &entries {
        let entry = EntryRow {
            entry: get(row, 0)?,
            owner: get(row, 1)?,
            network: get(row, 2)?,
            best: get(row, 3)?,
            buyer: get(row, 4)?,
            created_at: get(row, 5)?,
            turn: get(row, 6)?,
            lapses: get(row, 7)?,
            passed_over: get(row, 8)?,
            passed_at: get(row, 9)?,
            state: get(row, 10)?,
            hold: get(row, 11)?,
        };
        let entry = entry.read(number)?;
        loaded.keys.extend(read_known(About::Entry(entry.key), get(row, 12)?).map(|(known, _)| known));
        loaded.house.entries.push(entry);
    }
    Ok(loaded)
}

/// One snapshot for everything that is read next.
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// What is known of a house: its number, and the version that somebody saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) number: i64,
    pub(super) version: i64,
}

/// What others saved of a house.
#[derive(Default)]
struct Since {
    /// How often.
    saves: i64,
    /// Whether more than holds changed.
    whole: bool,
    /// The holds that changed.
    holds: BTreeSet<[u8; 16]>,
}

/// Reads what others saved of those houses that are not as they were seen. `houses` has version and logical time of each, by number;
/// the transaction sees no other versions than these.
pub(super) fn news(
    session: &mut Session,
    seen: &[Option<Seen>],
    houses: &HashMap<i64, (i64, i64)>,
    prices: PriceTables<'_>,
) -> Result<Vec<Option<News>>, StoreError> {
    const STEP: &str = "reading what others saved";
    // House by house, in the order of the key: joined as a whole, all that was ever done in a house is read where that is much. Of who
    // is so far behind that the limit cuts something off, the house is read anew.
    const SAVES: &str = "SELECT l.screening, l.whole, l.holds FROM unnest($1::bigint[], $2::bigint[]) AS s(screening, seen) \
                         CROSS JOIN LATERAL (SELECT screening, whole, holds FROM log \
                         WHERE screening = s.screening AND version > s.seen ORDER BY version LIMIT 1000) AS l";
    const HOLDS: &str = "SELECT h.hold, owner, network, places, price_table, created_at, seq, state, at, details, answers, \
                         h.screening FROM unnest($1::bigint[], $2::bytea[]) AS u(screening, hold) \
                         JOIN hold h ON h.screening = u.screening AND h.hold = u.hold";
    let is_old = |seen: &&Seen| houses.get(&seen.number).is_some_and(|(version, _)| *version != seen.version);
    let (old, versions): (Vec<i64>, Vec<i64>) =
        seen.iter().flatten().filter(is_old).map(|seen| (seen.number, seen.version)).unzip();
    if old.is_empty() {
        return Ok(seen.iter().map(|_| None).collect());
    }
    let mut since: HashMap<i64, Since> = HashMap::with_capacity(old.len());
    for row in session.query(SAVES, &[&old, &versions]).map_err(at(STEP))? {
        let house = since.entry(get(&row, 0)?).or_default();
        house.saves += 1;
        house.whole |= get::<bool>(&row, 1)?;
        let (keys, _) = get::<&[u8]>(&row, 2)?.as_chunks::<16>();
        house.holds.extend(keys);
    }
    let mut touched: (Vec<i64>, Vec<Vec<u8>>) = Default::default();
    for (number, house) in since.iter().filter(|(_, house)| !house.whole) {
        touched.extend(house.holds.iter().map(|key| (*number, key.to_vec())));
    }
    let mut changed: HashMap<i64, Vec<(Hold, Vec<KnownKey>)>> = HashMap::new();
    for row in session.query(HOLDS, &[&touched.0, &touched.1]).map_err(at(STEP))? {
        let number = get(&row, 11)?;
        let hold = read_hold(&row, number, prices)?;
        let keys = read_known(About::Hold(hold.key), get(&row, 10)?).map(|(known, _)| known).collect();
        changed.entry(number).or_default().push((hold, keys));
    }
    let mut one = |seen: &Option<Seen>| {
        let Some(Seen { number, version: known }) = *seen else { return Ok(None) };
        let Some(&(version, now)) = houses.get(&number).filter(|(version, _)| *version != known) else {
            return Ok(None);
        };
        let what = match since.get(&number) {
            // Every save since is on record, and changed only holds.
            Some(Since { saves, whole: false, .. }) if known + saves == version => {
                NewsOf::Holds(changed.remove(&number).unwrap_or_default())
            }
            _ => NewsOf::Everything,
        };
        Ok(Some(News { version: version.unsigned_abs(), now: instant(now)?, what }))
    };
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
