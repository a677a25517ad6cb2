//! Who works here, what they may do, what they did, and what went through their hands.

use admit_protocol::money::{Currency, Money, MoneyError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct Session {
    /// SHA-256 of its token.
    pub token_hash: [u8; 32],
    /// Whose it is.
    pub login: String,
    /// What every change must be sent with.
    pub csrf: String,
    /// When it is over.
    pub expires_at: Timestamp,
}

/// What went through somebody's hands at the counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Till {
    /// Whose.
    pub login: String,
    /// How often somebody paid.
    pub payments: u32,
    /// What they paid.
    pub taken: Money,
    /// How often somebody got money back.
    pub refunds: u32,
    /// What they got.
    pub given_back: Money,
    /// What must be in the till: taken, less given back. Below zero where more was given back.
    pub balance: Money,
}

/// A line of the till, as a database adds it up: of one member, in one currency.
pub(super) struct TillRow {
    pub(super) by: String,
    pub(super) currency: String,
    pub(super) payments: i64,
    pub(super) taken: i64,
    pub(super) refunds: i64,
    pub(super) given_back: i64,
}

impl TillRow {
    pub(super) fn read(self) -> Result<Till, StoreError> {
        let bad = |e: MoneyError| StoreError::BadRow { table: "till", row: self.currency.clone(), why: e.to_string() };
        let unit = Currency::parse(&self.currency).map_err(bad)?;
        let money = |amount| Money::new(amount, unit).map_err(bad);
        let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Till {
            payments: count(self.payments),
            taken: money(self.taken)?,
            refunds: count(self.refunds),
            given_back: money(self.given_back)?,
            balance: money(self.taken - self.given_back)?,
            login: self.by,
        })
    }
}

/// Somebody must be left who decides who works here.
pub(super) fn no_admin() -> StoreError {
    StoreError::Refused("somebody must be admin: the first login is one (--role admin), and the last one stays".into())
}

/// Without a password nobody signs in.
pub(super) fn no_password() -> StoreError {
    StoreError::Refused("a new member needs a password".into())
}
