//! What was begun before, or bought: nobody buys twice because they did not see the end of it.

use admit_client::{ClientError, Purchase, PurchaseNumber, Server, Wallet, WalletError};
use admit_protocol::booking::{BookingLine, TicketState};
use admit_protocol::hold::PlaceHold;
use admit_protocol::id::ScreeningId;
use admit_protocol::problem::ProblemCode;
use anyhow::bail;

/// Whether something is held there, or may be, that is not booked yet.
pub(super) fn is_begun(
    wallet: &Wallet,
    server: &Server,
    screening: ScreeningId,
    for_exchange: Option<PurchaseNumber>,
) -> anyhow::Result<bool> {
    let begun = |p: &Purchase| {
        let there = p.origin == *server.origin() && p.screening == screening;
        there && p.booking.is_none() && p.for_exchange == for_exchange
    };
    Ok(wallet.purchases()?.iter().any(begun))
}

/// Refuses what is bought already: who did not see the end of it must not take it for somebody else's, and buy twice.
pub(super) async fn not_yours_already(
    wallet: &Wallet,
    server: &Server,
    screening: ScreeningId,
    wish: &PlaceHold,
) -> anyhow::Result<()> {
    let yours = |purchase: &Purchase| -> Vec<String> {
        let lines = purchase.booking.iter().flat_map(|b| &b.lines);
        let wanted = |l: &&BookingLine| l.state != TicketState::Revoked && wish.seats.iter().any(|s| s.seat == l.seat);
        lines.filter(wanted).map(|l| purchase.printed(&l.seat)).collect()
    };
    for purchase in wallet.purchases()? {
        let there = purchase.origin == *server.origin() && purchase.screening == screening;
        if !there || yours(&purchase).is_empty() {
            continue;
        }
        // It may have lapsed or been cancelled since it was last looked at.
        let purchase = wallet.refresh(server, purchase.number).await?;
        let yours = yours(&purchase);
        if !yours.is_empty() {
            let (are, number) = (if yours.len() == 1 { "is" } else { "are" }, purchase.number);
            bail!(
                "{} {are} yours already: number {number} in `admit bookings`. Nothing was booked now",
                yours.join(", ")
            );
        }
    }
    Ok(())
}

/// The same wish at the same screening, begun before and not finished: found out what became of it, or still held.
pub(super) async fn unfinished(
    wallet: &Wallet,
    server: &Server,
    screening: ScreeningId,
    wish: &PlaceHold,
    for_exchange: Option<PurchaseNumber>,
) -> anyhow::Result<Option<Purchase>> {
    wallet.forget_lapsed(server)?;
    // With whichever pass it was held.
    let wished = |p: &Purchase| PlaceHold { queue_pass: None, ..p.hold_request.1.clone() } == *wish;
    let there = |p: &Purchase| p.origin == *server.origin() && p.screening == screening && p.booking.is_none();
    let same = |p: &Purchase| there(p) && p.for_exchange == for_exchange && wished(p);
    let Some(purchase) = wallet.purchases()?.into_iter().find(same) else { return Ok(None) };
    if !purchase.is_open() {
        return Ok(Some(purchase));
    }
    match wallet.resume(server, purchase.number).await {
        Ok(purchase) => Ok(Some(purchase)),
        // It never was, or is over by now: a new one begins.
        Err(WalletError::TooOld) => Ok(None),
        Err(WalletError::Client(ClientError::Refused(_))) if wallet.purchase(purchase.number).is_err() => Ok(None),
        Err(WalletError::Client(ClientError::Refused(refused))) if refused.code == ProblemCode::HoldExpired => {
            wallet.release(server, purchase.number).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
