//! What staff keep and change, in SQLite.

use admit_protocol::id::ScreeningId;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, TransactionBehavior, params};

use super::SqliteStore;
use super::tables::Within;
use crate::store::editing::{edit_all, kept_layouts};
use crate::store::staff::{TillRow, no_admin, no_password};
use crate::store::{AuditEntry, Disturbed, Edit, Layouts, Session, StaffMember, StaffStore, StoreError, Till};

const STEP: &str = "working with staff";

impl StaffStore for SqliteStore {
    fn put_staff(&self, member: &StaffMember, password: Option<&str>) -> Result<(), StoreError> {
        let mut db = self.writer();
        let transaction = db.transaction().map_err(StoreError::at(STEP))?;
        let known: Option<String> = transaction
            .query_row("SELECT password FROM staff WHERE login = ?1", [&member.login], |row| row.get(0))
            .optional()
            .map_err(StoreError::at(STEP))?;
        let password = password.map(str::to_owned).or(known);
        let password = password.ok_or_else(no_password)?;
        let row = params![member.login, member.name, member.role.as_str(), password, member.disabled];
        let sql = "INSERT INTO staff (login, name, role, password, disabled) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT (login) DO UPDATE SET name = ?2, role = ?3, password = ?4, disabled = ?5";
        transaction.execute(sql, row).map_err(StoreError::at(STEP))?;
        transaction.execute("DELETE FROM session WHERE login = ?1", [&member.login]).map_err(StoreError::at(STEP))?;
        let sql = "SELECT EXISTS (SELECT 1 FROM staff WHERE role = 'admin' AND disabled = 0)";
        if !transaction.query_row(sql, [], |row| row.get::<_, bool>(0)).map_err(StoreError::at(STEP))? {
            return Err(no_admin());
        }
        transaction.commit().map_err(StoreError::at(STEP))
    }

    fn staff(&self) -> Result<Vec<StaffMember>, StoreError> {
        self.reading(STEP, |db| {
            let sql = "SELECT login, name, role, disabled FROM staff ORDER BY login";
            let mut statement = db.prepare(sql).map_err(StoreError::at(STEP))?;
            let mut rows = statement.query([]).map_err(StoreError::at(STEP))?;
            let mut staff = Vec::new();
            while let Some(row) = rows.next().map_err(StoreError::at(STEP))? {
                let get = |column| row.get::<_, String>(column).map_err(StoreError::at(STEP));
                staff.push(StaffMember {
                    login: get(0)?,
                    name: get(1)?,
                    role: get(2)?.parse()?,
                    disabled: row.get(3).map_err(StoreError::at(STEP))?,
                });
            }
            Ok(staff)
        })
    }

    fn staff_to_sign_in(&self, login: &str) -> Result<Option<(StaffMember, String)>, StoreError> {
        self.reading(STEP, |db| {
            let sql = "SELECT name, role, password FROM staff WHERE login = ?1 AND disabled = 0";
            let row = db
                .query_row(sql, [login], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
                })
                .optional()
                .map_err(StoreError::at(STEP))?;
            row.map(|(name, role, password)| {
                let login = login.to_owned();
                Ok((StaffMember { login, name, role: role.parse()?, disabled: false }, password))
            })
            .transpose()
        })
    }

    fn put_session(&self, session: &Session, now: Timestamp) -> Result<(), StoreError> {
        let db = self.writer();
        let expired = [now.as_millisecond()];
        db.execute("DELETE FROM session WHERE expires_at <= ?1", expired).map_err(StoreError::at(STEP))?;
        let row = params![session.token_hash, session.login, session.csrf, session.expires_at.as_millisecond()];
        db.execute("INSERT INTO session (token_hash, login, csrf, expires_at) VALUES (?1, ?2, ?3, ?4)", row)
            .map(drop)
            .map_err(StoreError::at(STEP))
    }

    fn end_session(&self, token_hash: &[u8; 32]) -> Result<(), StoreError> {
        let sql = "DELETE FROM session WHERE token_hash = ?1";
        self.writer().execute(sql, [token_hash]).map(drop).map_err(StoreError::at(STEP))
    }

    fn session(&self, token_hash: &[u8; 32], now: Timestamp) -> Result<Option<(StaffMember, String)>, StoreError> {
        self.reading(STEP, |db| {
            let sql = "SELECT login, name, role, csrf FROM session JOIN staff USING (login) \
                       WHERE token_hash = ?1 AND expires_at > ?2 AND disabled = 0";
            let row = db
                .query_row(sql, params![token_hash, now.as_millisecond()], |row| {
                    let text = |column| row.get::<_, String>(column);
                    Ok((text(0)?, text(1)?, text(2)?, text(3)?))
                })
                .optional()
                .map_err(StoreError::at(STEP))?;
            row.map(|(login, name, role, csrf)| {
                Ok((StaffMember { login, name, role: role.parse()?, disabled: false }, csrf))
            })
            .transpose()
        })
    }

    fn note(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let row = params![entry.at.as_millisecond(), entry.by, entry.did, entry.subject];
        let sql = "INSERT INTO audit (at, by, did, subject) VALUES (?1, ?2, ?3, ?4)";
        self.writer().execute(sql, row).map(drop).map_err(StoreError::at(STEP))
    }

    fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.reading(STEP, |db| {
            let mut statement = db
                .prepare("SELECT at, by, did, subject FROM audit ORDER BY id DESC LIMIT ?1")
                .map_err(StoreError::at(STEP))?;
            let read =
                statement.query_map([limit], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
            let mut entries = Vec::new();
            for row in read.map_err(StoreError::at(STEP))? {
                let (at, by, did, subject) = row.map_err(StoreError::at(STEP))?;
                let at = Timestamp::from_millisecond(at).map_err(StoreError::at(STEP))?;
                entries.push(AuditEntry { at, by, did, subject });
            }
            Ok(entries)
        })
    }

    fn till(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Till>, StoreError> {
        self.reading(STEP, |db| {
            let sql = "SELECT by, currency, count(*) FILTER (WHERE amount > 0), sum(amount) FILTER (WHERE amount > 0),
                              count(*) FILTER (WHERE amount < 0), sum(-amount) FILTER (WHERE amount < 0)
                       FROM till WHERE at >= ?1 AND at < ?2 GROUP BY by, currency ORDER BY by, currency";
            let mut statement = db.prepare(sql).map_err(StoreError::at(STEP))?;
            let read = statement.query_map([from.as_millisecond(), until.as_millisecond()], |row| {
                let sum = |column| row.get::<_, Option<i64>>(column).map(Option::unwrap_or_default);
                Ok(TillRow {
                    by: row.get(0)?,
                    currency: row.get(1)?,
                    payments: row.get(2)?,
                    taken: sum(3)?,
                    refunds: row.get(4)?,
                    given_back: sum(5)?,
                })
            });
            read.map_err(StoreError::at(STEP))?.map(|row| row.map_err(StoreError::at(STEP))?.read()).collect()
        })
    }

    fn edit(&self, edits: &[Edit], now: Timestamp, layouts: Layouts) -> Result<Vec<Disturbed>, StoreError> {
        let mut db = self.writer();
        let transaction = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::at("beginning an edit"))?;
        let disturbed = edit_all(&mut Within(&transaction), edits, now, layouts)?;
        transaction.commit().map_err(StoreError::at("committing an edit"))?;
        self.numbers.forget_versions();
        self.committed(&db);
        Ok(disturbed)
    }

    fn rehearse(&self, edits: &[Edit], now: Timestamp, layouts: Layouts) -> Result<Vec<Disturbed>, StoreError> {
        let mut db = self.writer();
        let transaction = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::at("beginning a rehearsal"))?;
        // Dropped, a transaction is rolled back.
        edit_all(&mut Within(&transaction), edits, now, layouts)
    }

    fn kept_layouts(&self, edits: &[Edit], layouts: Layouts) -> Result<Vec<(ScreeningId, String)>, StoreError> {
        self.reading("looking for layouts that stay", |db| kept_layouts(&mut Within(db), edits, layouts))
    }
}
