//! What staff keep and change, in PostgreSQL.

use admit_protocol::id::ScreeningId;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::load::instant;
use super::session::{Params, at, get};
use super::tables::Within;
use crate::store::editing::{edit_all, kept_layouts};
use crate::store::staff::{TillRow, no_admin, no_password};
use crate::store::{AuditEntry, Disturbed, Edit, Layouts, Session, StaffMember, StaffStore, StoreError, Till};

const STEP: &str = "working with staff";

impl PostgresStore {
    fn ask<T>(
        &self,
        sql: &'static str,
        row: Params<'_>,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.reading(|session| session.query(sql, row).map_err(at(STEP))?.iter().map(&read).collect())
    }

    fn put(&self, sql: &'static str, row: Params<'_>) -> Result<(), StoreError> {
        self.writing(STEP, |session| session.execute(sql, row).map(drop).map_err(at(STEP)))
    }
}

fn edit_all_of(
    session: &mut super::session::Session,
    edits: &[Edit],
    now: Timestamp,
    layouts: Layouts,
) -> Result<Vec<Disturbed>, StoreError> {
    // One edit at a time: whoever edits has this row.
    let sql = "UPDATE setting SET value = (value::bigint + 1)::text WHERE name = 'programme'";
    session.execute(sql, &[]).map_err(at("beginning an edit"))?;
    let edited = edits.iter().filter_map(|edit| match edit {
        Edit::Screening(screening) => Some(screening.id.as_str()),
        Edit::RemoveScreening(id) => Some(id.as_str()),
        _ => None,
    });
    let edited: Vec<&str> = edited.collect();
    let mut within = Within(session);
    within.lock(&edited)?;
    edit_all(&mut within, edits, now, layouts)
}

impl StaffStore for PostgresStore {
    fn edit(&self, edits: &[Edit], now: Timestamp, layouts: Layouts) -> Result<Vec<Disturbed>, StoreError> {
        self.writing("committing an edit", |session| edit_all_of(session, edits, now, layouts))
    }

    fn rehearse(&self, edits: &[Edit], now: Timestamp, layouts: Layouts) -> Result<Vec<Disturbed>, StoreError> {
        let mut session = self.connect()?;
        session.batch("BEGIN").map_err(at("beginning a rehearsal"))?;
        // Its connection is closed when this is over: nothing of it stays.
        edit_all_of(&mut session, edits, now, layouts)
    }

    fn kept_layouts(&self, edits: &[Edit], layouts: Layouts) -> Result<Vec<(ScreeningId, String)>, StoreError> {
        self.writing("looking for layouts that stay", |session| kept_layouts(&mut Within(session), edits, layouts))
    }

    fn put_staff(&self, member: &StaffMember, password: Option<&str>) -> Result<(), StoreError> {
        self.writing(STEP, |session| {
            let known =
                session.query("SELECT password FROM staff WHERE login = $1", &[&member.login]).map_err(at(STEP))?;
            let known: Option<String> = known.first().map(|row| get(row, 0)).transpose()?;
            let password = password.map(str::to_owned).or(known).ok_or_else(no_password)?;
            let sql = "INSERT INTO staff (login, name, role, password, disabled) VALUES ($1, $2, $3, $4, $5) \
                       ON CONFLICT (login) DO UPDATE SET name = $2, role = $3, password = $4, disabled = $5";
            let row: Params<'_> = &[&member.login, &member.name, &member.role.as_str(), &password, &member.disabled];
            session.execute(sql, row).map_err(at(STEP))?;
            session.execute("DELETE FROM session WHERE login = $1", &[&member.login]).map_err(at(STEP))?;
            // The admins are locked: two processes do not each take another one's last.
            let sql = "SELECT 1 FROM staff WHERE role = 'admin' AND NOT disabled FOR UPDATE";
            if session.query(sql, &[]).map_err(at(STEP))?.is_empty() { Err(no_admin()) } else { Ok(()) }
        })
    }

    fn staff(&self) -> Result<Vec<StaffMember>, StoreError> {
        let sql = "SELECT login, name, role, disabled FROM staff ORDER BY login COLLATE \"C\"";
        self.ask(sql, &[], |row| {
            let role = get::<&str>(row, 2)?.parse()?;
            Ok(StaffMember { login: get(row, 0)?, name: get(row, 1)?, role, disabled: get(row, 3)? })
        })
    }

    fn staff_to_sign_in(&self, login: &str) -> Result<Option<(StaffMember, String)>, StoreError> {
        let sql = "SELECT login, name, role, password FROM staff WHERE login = $1 AND NOT disabled";
        Ok(self.ask(sql, &[&login], member)?.pop())
    }

    fn put_session(&self, session: &Session, now: Timestamp) -> Result<(), StoreError> {
        let sql = "WITH over AS (DELETE FROM session WHERE expires_at <= $5) \
                   INSERT INTO session (token_hash, login, csrf, expires_at) VALUES ($1, $2, $3, $4)";
        let expires_at = session.expires_at.as_millisecond();
        let over = now.as_millisecond();
        self.put(sql, &[&&session.token_hash[..], &session.login, &session.csrf, &expires_at, &over])
    }

    fn end_session(&self, token_hash: &[u8; 32]) -> Result<(), StoreError> {
        self.put("DELETE FROM session WHERE token_hash = $1", &[&&token_hash[..]])
    }

    fn session(&self, token_hash: &[u8; 32], now: Timestamp) -> Result<Option<(StaffMember, String)>, StoreError> {
        let sql = "SELECT login, name, role, csrf FROM session JOIN staff USING (login) \
                   WHERE token_hash = $1 AND expires_at > $2 AND NOT disabled";
        Ok(self.ask(sql, &[&&token_hash[..], &now.as_millisecond()], member)?.pop())
    }

    fn note(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let sql = "INSERT INTO audit (at, by, did, subject) VALUES ($1, $2, $3, $4)";
        self.put(sql, &[&entry.at.as_millisecond(), &entry.by, &entry.did, &entry.subject])
    }

    fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let sql = "SELECT at, by, did, subject FROM audit ORDER BY id DESC LIMIT $1";
        self.ask(sql, &[&i64::from(limit)], |row| {
            Ok(AuditEntry { at: instant(get(row, 0)?)?, by: get(row, 1)?, did: get(row, 2)?, subject: get(row, 3)? })
        })
    }

    fn till(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Till>, StoreError> {
        let sql = "SELECT by, currency, \
                   count(*) FILTER (WHERE amount > 0), coalesce(sum(amount) FILTER (WHERE amount > 0), 0)::bigint, \
                   count(*) FILTER (WHERE amount < 0), coalesce(sum(-amount) FILTER (WHERE amount < 0), 0)::bigint \
                   FROM till WHERE at >= $1 AND at < $2 \
                   GROUP BY by, currency ORDER BY by COLLATE \"C\", currency COLLATE \"C\"";
        self.ask(sql, &[&from.as_millisecond(), &until.as_millisecond()], |row| {
            let row = TillRow {
                by: get(row, 0)?,
                currency: get(row, 1)?,
                payments: get(row, 2)?,
                taken: get(row, 3)?,
                refunds: get(row, 4)?,
                given_back: get(row, 5)?,
            };
            row.read()
        })
    }
}

/// Somebody who may do something, and a word that is kept with them.
fn member(row: &Row) -> Result<(StaffMember, String), StoreError> {
    let role = get::<&str>(row, 2)?.parse()?;
    let member = StaffMember { login: get(row, 0)?, name: get(row, 1)?, role, disabled: false };
    Ok((member, get(row, 3)?))
}
