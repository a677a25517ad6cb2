//! Rows that were not taken over.

use serde::{Deserialize, Serialize};

/// A row, and why it was not taken over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) kind: String,
    pub(crate) row: String,
    pub(crate) why: String,
}

impl Refused {
    pub(crate) fn new(kind: &str, row: impl Into<String>, why: impl ToString) -> Self {
        Self { kind: kind.to_owned(), row: row.into(), why: why.to_string() }
    }
}
