//! Staff, their sessions, and what they did.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::SqliteStore;
use crate::store::StoreError;

/// What somebody may do: see [`Role::may`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Lets visitors in.
    Door,
    /// Sells, settles, helps.
    BoxOffice,
    /// Makes the programme.
    Programme,
    /// Runs the house.
    Manager,
    /// Decides who works here.
    Admin,
}

/// Something that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Look at bookings.
    Look,
    /// Take money at the counter, give holds back, block seats.
    Sell,
    /// Change cinemas, films, screenings and prices.
    Edit,
    /// Cancel bookings and give money back.
    Refund,
    /// Register scanners, read the audit log.
    Supervise,
    /// Decide who works here.
    Staff,
}

impl Role {
    /// Whether this role has this permission.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        use Permission::{Edit, Look, Refund, Sell, Staff, Supervise};
        match self {
            Self::Door => matches!(permission, Look),
            Self::BoxOffice => matches!(permission, Look | Sell),
            Self::Programme => matches!(permission, Look | Edit),
            Self::Manager => matches!(permission, Look | Sell | Edit | Refund | Supervise),
            Self::Admin => matches!(permission, Look | Sell | Edit | Refund | Supervise | Staff),
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Door => "door",
            Self::BoxOffice => "box_office",
            Self::Programme => "programme",
            Self::Manager => "manager",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = StoreError;
    fn from_str(word: &str) -> Result<Self, StoreError> {
        let roles = [Self::Door, Self::BoxOffice, Self::Programme, Self::Manager, Self::Admin];
        let all = roles.map(Self::as_str).join(", ");
        let unknown = || StoreError::Refused(format!("there is no role {word:?}: it is one of {all}"));
        roles.into_iter().find(|r| r.as_str() == word).ok_or_else(unknown)
    }
}

/// Somebody who works here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StaffMember {
    /// What they sign in with.
    pub login: String,
    /// What they are called.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may not sign in any more.
    pub disabled: bool,
}

/// One thing that staff did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What.
    pub did: String,
    /// To what.
    pub subject: String,
}

/// A session as it is kept: of the token, only its hash.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) token_hash: [u8; 32],
    pub(crate) login: String,
    pub(crate) csrf: String,
    pub(crate) expires_at: Timestamp,
}

const STEP: &str = "working with staff";

impl SqliteStore {
    /// Adds a staff member or changes one; their sessions end. A password is kept as it was where none is given.
    ///
    /// # Errors
    /// When a new member has no password, or the last admin would be gone.
    pub fn put_staff(&self, member: &StaffMember, password: Option<&str>) -> Result<(), StoreError> {
        let mut db = self.writer();
        let transaction = db.transaction().map_err(StoreError::at(STEP))?;
        let known: Option<String> = transaction
            .query_row("SELECT password FROM staff WHERE login = ?1", [&member.login], |row| row.get(0))
            .optional()
            .map_err(StoreError::at(STEP))?;
        let password = password.map(str::to_owned).or(known);
        let password = password.ok_or_else(|| StoreError::Refused("a new member needs a password".into()))?;
        let row = params![member.login, member.name, member.role.as_str(), password, member.disabled];
        let sql = "INSERT INTO staff (login, name, role, password, disabled) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT (login) DO UPDATE SET name = ?2, role = ?3, password = ?4, disabled = ?5";
        transaction.execute(sql, row).map_err(StoreError::at(STEP))?;
        transaction.execute("DELETE FROM session WHERE login = ?1", [&member.login]).map_err(StoreError::at(STEP))?;
        let sql = "SELECT EXISTS (SELECT 1 FROM staff WHERE role = 'admin' AND disabled = 0)";
        if !transaction.query_row(sql, [], |row| row.get::<_, bool>(0)).map_err(StoreError::at(STEP))? {
            return Err(StoreError::Refused(
                "somebody must be admin: the first login is one (--role admin), and the last one stays".into(),
            ));
        }
        transaction.commit().map_err(StoreError::at(STEP))
    }

    /// Everybody who works or worked here.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn staff(&self) -> Result<Vec<StaffMember>, StoreError> {
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

    /// A member who may sign in, and their password's hash.
    pub(crate) fn staff_to_sign_in(&self, login: &str) -> Result<Option<(StaffMember, String)>, StoreError> {
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

    pub(crate) fn put_session(&self, session: &Session) -> Result<(), StoreError> {
        let db = self.writer();
        let expired = [Timestamp::now().as_millisecond()];
        db.execute("DELETE FROM session WHERE expires_at <= ?1", expired).map_err(StoreError::at(STEP))?;
        let row = params![session.token_hash, session.login, session.csrf, session.expires_at.as_millisecond()];
        db.execute("INSERT INTO session (token_hash, login, csrf, expires_at) VALUES (?1, ?2, ?3, ?4)", row)
            .map(drop)
            .map_err(StoreError::at(STEP))
    }

    pub(crate) fn end_session(&self, token_hash: &[u8; 32]) -> Result<(), StoreError> {
        let sql = "DELETE FROM session WHERE token_hash = ?1";
        self.writer().execute(sql, [token_hash]).map(drop).map_err(StoreError::at(STEP))
    }

    /// Whose session this is at `now`, and its CSRF token.
    pub(crate) fn session(
        &self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(StaffMember, String)>, StoreError> {
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

    /// Notes what staff did.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let row = params![entry.at.as_millisecond(), entry.by, entry.did, entry.subject];
        let sql = "INSERT INTO audit (at, by, did, subject) VALUES (?1, ?2, ?3, ?4)";
        self.writer().execute(sql, row).map(drop).map_err(StoreError::at(STEP))
    }

    /// What staff did, latest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
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
}
