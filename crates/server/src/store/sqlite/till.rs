//! Money at the counter, added up.

use admit_protocol::money::{Currency, Money, MoneyError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SqliteStore;
use crate::store::StoreError;

const STEP: &str = "adding up the till";

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

impl SqliteStore {
    /// What each member took and gave back over the counter, from an instant until before another one; a line for each currency.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn till(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Till>, StoreError> {
        self.reading(STEP, |db| {
            let sql = "SELECT by, currency, count(*) FILTER (WHERE amount > 0), sum(amount) FILTER (WHERE amount > 0),
                              count(*) FILTER (WHERE amount < 0), sum(-amount) FILTER (WHERE amount < 0)
                       FROM till WHERE at >= ?1 AND at < ?2 GROUP BY by, currency ORDER BY by, currency";
            let mut statement = db.prepare(sql).map_err(StoreError::at(STEP))?;
            let read = statement.query_map([from.as_millisecond(), until.as_millisecond()], |row| {
                let sum = |column| row.get::<_, Option<i64>>(column).map(Option::unwrap_or_default);
                Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, sum(3)?, row.get(4)?, sum(5)?))
            });
            let mut tills = Vec::new();
            for row in read.map_err(StoreError::at(STEP))? {
                let (login, currency, payments, taken, refunds, given_back) = row.map_err(StoreError::at(STEP))?;
                let bad =
                    |e: MoneyError| StoreError::BadRow { table: "till", row: currency.clone(), why: e.to_string() };
                let unit = Currency::parse(&currency).map_err(bad)?;
                let money = |amount| Money::new(amount, unit).map_err(bad);
                let (taken, given_back, balance) = (money(taken)?, money(given_back)?, money(taken - given_back)?);
                tills.push(Till { login, payments, taken, refunds, given_back, balance });
            }
            Ok(tills)
        })
    }
}
