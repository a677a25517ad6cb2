//! The door (capability `door`): the signed list of tickets, and scans.

use admit_booking::{Command, DoorScan, House};
use admit_http::{Path, Reply, StrictJson};
use admit_protocol::door::{ALLOW_LIST_MEDIA_TYPE, AllowList, Scan, ScanResult, ScanResults, UploadScans};
use admit_protocol::holder::HolderProof;
use admit_protocol::id::{DeviceId, ScanId, ScreeningId};
use admit_protocol::json::DOCUMENT_BYTES_MAX;
use admit_protocol::price::Proof;
use admit_protocol::problem::ProblemCode;
use admit_protocol::ticket::Ticket;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use super::private;
use crate::answers::Subject;
use crate::asker::Scanner;
use crate::cinema::Cinema;
use crate::engine::Request;
use crate::refusals::reply;

/// All tickets of a screening, signed by the ticket key.
pub(super) async fn get_allow_list(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    _: Scanner,
) -> Result<Response, Reply> {
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let now = cinema.now();
    let list = resident.read(|house| AllowList {
        screening,
        version: house.version(),
        issued: now,
        entries: house.allow_entries(),
    });
    let keys = cinema.keys();
    let signer = keys.signing(now).ok_or_else(|| Reply::new(ProblemCode::Internal, "no ticket key is in its time"))?;
    let bytes = list.sign(signer).map_err(|e| Reply::internal(&e))?;
    Ok(([(header::CONTENT_TYPE, ALLOW_LIST_MEDIA_TYPE)], bytes).into_response())
}

/// Checks tickets in. Sent again, it changes nothing: scans have names of their own.
pub(super) async fn upload_scans(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    Scanner(device): Scanner,
    body: StrictJson<UploadScans, DOCUMENT_BYTES_MAX>,
) -> Result<Response, Reply> {
    let uploaded = body.value.scans;
    let ids: Vec<ScanId> = uploaded.iter().map(|s| s.id).collect();
    let now = cinema.now();
    let keys = cinema.keys();
    // A thousand signatures take 50 ms: not on a thread that answers others.
    let check = move || {
        let scan = |s: Scan| {
            let ticket = Ticket::verify(&s.code, |short| keys.verifying(short, now)).ok();
            // A door that decided alone decided when it scanned.
            let at = if s.offline { s.at } else { now };
            let proven = ticket.as_ref().is_some_and(|ticket| HolderProof::is_given(ticket, s.proof.as_deref(), at));
            DoorScan { id: s.id, kind: s.kind, ticket, proven, undoes: s.undoes, at: s.at, offline: s.offline }
        };
        uploaded.into_iter().map(scan).collect::<Vec<_>>()
    };
    let scans = tokio::task::spawn_blocking(check).await.map_err(|e| Reply::internal(&e))?;
    let command = Command::Scan { device, scans };
    let request = Request { command, by: device.to_string(), key: None, subject: Subject::Nothing };
    cinema.engine().execute(screening, request).await.map_err(reply)?;
    let resident = cinema.engine().resident(screening).await.map_err(reply)?;
    let results = resident.read(|house| ids.iter().filter_map(|id| result(house, device, *id)).collect());
    Ok(private(&ScanResults { results }))
}

fn result(house: &House, device: DeviceId, id: ScanId) -> Option<ScanResult> {
    let scan = house.scan_of(device, id)?;
    let line = scan.ticket.and_then(|t| {
        let hold = house.hold(t.booking)?;
        let booking = hold.booking()?;
        let line = booking.lines.get(usize::from(t.line))?;
        Some((t, booking.ticket_id(t.line.into())?, line.place, hold.ticket_type(line.ticket_type)))
    });
    Some(ScanResult {
        id,
        verdict: scan.verdict,
        ticket: line.map(|(_, ticket, ..)| ticket),
        seat: line.map(|(_, _, place, _)| house.terms().plan.seat_id(place)),
        ticket_type: line.map(|(.., kind)| kind.id),
        proof_at_door: line.is_some_and(|(.., kind)| kind.proof == Proof::AtDoor),
        first: line.and_then(|(t, ..)| house.first_scan(t.booking, t.line).cloned()),
    })
}
