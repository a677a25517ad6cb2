//! Whether a screening is sold, in words.

use admit_protocol::screening::Screening;
use admit_protocol::seats::SalesState;
use admit_protocol::time::Moment;
use anyhow::bail;
use jiff::Timestamp;

use crate::show;

/// Why nobody can buy, and since or until when; nothing, if one can.
pub(crate) fn not_sold(screening: &Screening, state: SalesState) -> Option<String> {
    match state {
        state if state.is_open() => None,
        SalesState::NotYetOpen => {
            let mut begins = format!("sales begin on {}", there(screening, screening.sales.opens_at));
            if let Some(queue) = &screening.queue {
                begins = format!("{begins}; its queue opens on {}", there(screening, queue.opens_at));
            }
            Some(begins)
        }
        SalesState::UnderWay => Some("the film has begun, and it is not sold any more".into()),
        SalesState::Paused => Some("sales are paused: try again later".into()),
        SalesState::Cancelled => Some(format!("IT IS {}", screening.status.as_str().to_uppercase())),
        _ => Some("sales are over".into()),
    }
}

/// Refuses what nobody can buy, before anything else is looked at.
pub(crate) fn check(screening: &Screening, now: Timestamp) -> anyhow::Result<()> {
    match not_sold(screening, screening.sales_state(now)) {
        // Who comes early may have a place in its queue.
        Some(why) if screening.queue.is_none() || now >= screening.sales.opens_at => bail!(why),
        _ => Ok(()),
    }
}

fn there(screening: &Screening, at: Timestamp) -> String {
    Moment::new(at, screening.starts_at.zone()).map(|at| show::moment(&at)).unwrap_or_default()
}
