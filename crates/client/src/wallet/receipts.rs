//! Receipts: kept with the purchase, and held against the cinema's log.

use admit_protocol::id::SeatId;
use admit_protocol::jws::Jws;
use admit_protocol::key::PublicKey;
use admit_protocol::problem::ProblemCode;
use admit_protocol::receipt::{RECEIPT_BYTES_MAX, RECEIPT_TYP, Receipt, SeatLog};
use serde::{Deserialize, Serialize};

use super::{PurchaseNumber, Wallet, WalletError};
use crate::error::ClientError;
use crate::server::Server;
use crate::transport::bad_answer;

/// So many receipts are kept of a purchase: the last ones, and the first.
const KEPT: usize = 16;

/// A receipt as it was signed, and the identity key that it was found to fit when it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReceipt {
    /// The receipt.
    pub jws: Jws,
    /// The cinema's identity key then.
    pub key: PublicKey,
}

impl KeptReceipt {
    /// What it says, if its signature fits.
    #[must_use]
    pub fn read(&self) -> Option<Receipt> {
        self.jws.open(RECEIPT_TYP, RECEIPT_BYTES_MAX, |id| (*id == self.key.id()).then_some(self.key)).ok()
    }
}

/// What became of checking the receipts of a purchase.
#[derive(Debug)]
pub struct CheckedReceipts {
    /// The receipt of now; none, if nothing is held or booked by it any more.
    pub now: Option<Receipt>,
    /// How many receipts of it the log bears out.
    pub receipts: usize,
    /// How many entries the log has.
    pub entries: usize,
    /// Seats that are somebody else's or free again by the log, though a receipt had them.
    pub gone: Vec<SeatId>,
}

impl Wallet {
    /// Gets the cinema's signed word for a purchase as it is now, keeps it, and checks every receipt that it has of it against the log
    /// of seats.
    ///
    /// # Errors
    /// When the cinema refuses, or cannot be asked: with [`WalletError::Withheld`] where it has signed something before, and now refuses, or
    /// shows no log. [`ClientError::Broken`] when the log is not what an honest cinema shows, or does not bear a receipt out:
    /// the receipts stay in the wallet, and can be shown to others.
    pub async fn check_receipts(
        &self,
        server: &Server,
        number: PurchaseNumber,
    ) -> Result<CheckedReceipts, WalletError> {
        let purchase = self.purchase(number)?;
        let hold = purchase.hold.as_ref().ok_or(WalletError::NoSuchPurchase("it is not known what is held"))?;
        let now = match server.receipt(purchase.screening, &purchase.secret, hold.id).await {
            Ok((jws, receipt)) => {
                let kept = KeptReceipt { jws, key: server.manifest().keys.identity };
                self.edit(number, |p| keep(&mut p.receipts, kept, &receipt))?;
                Some(receipt)
            }
            Err(error) if error.code() == Some(ProblemCode::HoldExpired) => None,
            Err(error) => return Err(withheld(&purchase.receipts, error)),
        };
        let log = match server.seat_log(purchase.screening).await {
            Ok(log) => log,
            Err(error) => return Err(withheld(&self.purchase(number)?.receipts, error)),
        };
        let receipts = self.purchase(number)?.receipts;
        let mut gone = Vec::new();
        for kept in &receipts {
            let unreadable = || bad_answer(server.origin(), "a receipt in this wallet cannot be read".into());
            let receipt = kept.read().ok_or_else(unreadable)?;
            let broken = |source| ClientError::Broken { origin: server.origin().to_string(), source };
            log.bears_out(&receipt).map_err(broken)?;
            gone.extend(left(&log, &receipt));
        }
        gone.sort_unstable();
        gone.dedup();
        Ok(CheckedReceipts { now, receipts: receipts.len(), entries: log.entries(), gone })
    }
}

/// Who has signed something, and shows nothing that it could be held against, is told of.
fn withheld(kept: &[KeptReceipt], error: ClientError) -> WalletError {
    match error.problem() {
        Some(problem) if !kept.is_empty() => {
            WalletError::Withheld { receipts: kept.len(), problem: Box::new(problem.clone()) }
        }
        _ => error.into(),
    }
}

/// Keeps a receipt, unless it says what the last one said: it would push out others that say more.
fn keep(receipts: &mut Vec<KeptReceipt>, new: KeptReceipt, says: &Receipt) {
    let same = |last: &Receipt| (last.state, &last.seats, last.head) == (says.state, &says.seats, says.head);
    if receipts.last().and_then(KeptReceipt::read).is_some_and(|last| same(&last)) {
        return;
    }
    if receipts.len() >= KEPT {
        receipts.remove(1);
    }
    receipts.push(new);
}

/// Seats of a receipt that are not its owner's any more.
fn left(log: &SeatLog, receipt: &Receipt) -> Vec<SeatId> {
    let has = log.seats_of(receipt.of, log.seq());
    receipt.seats.iter().filter(|seat| !has.contains(seat)).copied().collect()
}
