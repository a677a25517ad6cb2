//! Forgetting who bought: what they gave to be reached by goes, and nothing else.

use crate::changes::Changes;
use crate::command::Forget;
use crate::hold::HoldState;
use crate::house::House;
use crate::refusal::Refusal;

impl House {
    /// Done again, it is done.
    pub(super) fn forget(&self, whom: Forget) -> Result<Changes, Refusal> {
        let mut changes = Changes::default();
        match whom {
            Forget::Booking { booking, by } => {
                let hold = self.hold_by(booking, by)?;
                hold.booking().ok_or(Refusal::NotFound)?;
                changes.moved.extend(hold.state.without_buyer().map(|state| (hold.key, state)));
            }
            Forget::Entry { entry, by } => {
                let entry = self.entry_by(entry, by)?;
                changes.entries.extend(entry.without_buyer());
            }
            Forget::Everybody => {
                let holds = self.holds.values();
                changes.moved.extend(holds.filter_map(|hold| Some((hold.key, hold.state.without_buyer()?))));
                changes.entries.extend(self.waitlist.entries().filter_map(crate::Entry::without_buyer));
            }
        }
        Ok(changes)
    }
}

impl HoldState {
    /// The same, of nobody known; nothing, if nobody is.
    fn without_buyer(&self) -> Option<Self> {
        let mut state = self.clone();
        let buyer = match &mut state {
            Self::Converted(booking) => &mut booking.buyer,
            Self::Paying { order, .. }
            | Self::Closing { order, .. }
            | Self::Expired { order: Some(order), .. }
            | Self::RefundDue { order, .. } => &mut order.buyer,
            Self::Active { .. } | Self::Released { .. } | Self::Expired { order: None, .. } => return None,
        };
        buyer.take().map(|_| state)
    }
}

impl crate::Entry {
    /// The same, of nobody known; nothing, if nobody is.
    fn without_buyer(&self) -> Option<Self> {
        self.buyer.is_some().then(|| Self { buyer: None, ..self.clone() })
    }
}
