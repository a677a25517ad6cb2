//! What was done in a house, read from PostgreSQL.

use admit_protocol::id::ScreeningId;

use super::PostgresStore;
use super::session::{Params, at, get};
use crate::store::rows::logged;
use crate::store::{Logged, StoreError, TrailStore};

impl TrailStore for PostgresStore {
    fn order_trail(&self, _: bool) -> Result<(), StoreError> {
        // Its key is the house's: other processes follow by it.
        Ok(())
    }

    fn read_trail(
        &self,
        screening: ScreeningId,
        after: u64,
        until: u64,
        most: usize,
    ) -> Result<Vec<Logged>, StoreError> {
        const READ: &str = "SELECT version, at, entries FROM log \
                            WHERE screening = $1 AND version > $2 AND version <= $3 ORDER BY version LIMIT $4";
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let (after, until, most) = (number(after), number(until), i64::try_from(most).unwrap_or(i64::MAX));
        self.reading(|session| {
            let Some(house) = self.number_of(session, screening)? else { return Ok(Vec::new()) };
            let of: Params<'_> = &[&house, &after, &until, &most];
            let rows = session.query(READ, of).map_err(at("reading a house's trail"))?;
            rows.iter().map(|row| logged(get(row, 0)?, get(row, 1)?, get(row, 2)?)).collect()
        })
    }
}
