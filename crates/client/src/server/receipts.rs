//! The cinema's signed word for a hold, and the log that bears it out (capability `receipts`).

use admit_protocol::endpoint as at;
use admit_protocol::id::{HoldId, ScreeningId};
use admit_protocol::json::DOCUMENT_BYTES_MAX;
use admit_protocol::jws::Jws;
use admit_protocol::receipt::{RECEIPT_BYTES_MAX, RECEIPT_TYP, Receipt, ReceiptError, SeatLog, SeatLogPage, hold_name};

use crate::error::ClientError;
use crate::secret::Secret;
use crate::server::Server;
use crate::transport::{ANSWER_BYTES_MAX, Ask, bad_answer};

/// No house has so many changes of seats.
const ENTRIES_MAX: usize = 2_000_000;

impl Server {
    /// The cinema's word for a hold of one's own, or the booking that it became: as it was signed, and what it says.
    ///
    /// # Errors
    /// `hold_expired` when nothing is held by it any more; `capability_not_offered`. A receipt that this server's identity key did not
    /// sign, or that is of something else, is a bad answer.
    pub async fn receipt(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        hold: HoldId,
    ) -> Result<(Jws, Receipt), ClientError> {
        let url = self.url(at::GET_RECEIPT, &[screening.as_str(), hold.as_str()]);
        let jws: Jws = self.json(Ask::get(url, ANSWER_BYTES_MAX).by(secret)).await?;
        let identity = self.manifest().keys.identity;
        let receipt: Receipt = jws
            .open(RECEIPT_TYP, RECEIPT_BYTES_MAX, |id| (*id == identity.id()).then_some(identity))
            .map_err(|e| bad_answer(self.origin(), format!("a receipt: {e}")))?;
        if receipt.screening != screening || receipt.origin != *self.origin() || receipt.of != hold_name(&hold) {
            return Err(bad_answer(self.origin(), "the receipt is of something else than was asked for".into()));
        }
        Ok((jws, receipt))
    }

    /// Who had which seat of a screening when, from the first entry to the last: read, and found to be a chain in which no seat was ever
    /// two people's.
    ///
    /// # Errors
    /// When it cannot be read. [`ClientError::Broken`] when it is not what an honest server says.
    pub async fn seat_log(&self, screening: ScreeningId) -> Result<SeatLog, ClientError> {
        let url = self.url(at::GET_SEAT_LOG, &[screening.as_str()]);
        let broken = |source: ReceiptError| ClientError::Broken { origin: self.origin().to_string(), source };
        let mut log = SeatLog::new(screening);
        loop {
            let before = log.entries();
            let page: SeatLogPage =
                self.json(Ask::get(format!("{url}?after={}", log.seq()), DOCUMENT_BYTES_MAX)).await?;
            page.entries.iter().try_for_each(|entry| log.read(entry)).map_err(broken)?;
            if log.entries() > ENTRIES_MAX {
                return Err(bad_answer(self.origin(), format!("the seat log has more than {ENTRIES_MAX} entries")));
            }
            if !page.more {
                return Ok(log);
            }
            if log.entries() == before {
                return Err(bad_answer(self.origin(), "the seat log has more, and does not go on".into()));
            }
        }
    }
}
