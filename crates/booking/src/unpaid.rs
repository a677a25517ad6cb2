//! What nobody has paid for yet, by buyer and by network: counted as it changes, so that a limit costs the same in a full house as
//! in an empty one.

use std::collections::HashMap;
use std::hash::Hash;

use crate::hold::{Hold, Network, Owner};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unpaid {
    /// Holds of a buyer that are not bookings yet.
    holds: HashMap<Owner, usize>,
    /// Places that a network's holds and bookings claim and have not paid for.
    places: HashMap<Network, usize>,
}

impl Unpaid {
    pub(crate) fn holds_of(&self, owner: Owner) -> usize {
        self.holds.get(&owner).copied().unwrap_or(0)
    }

    pub(crate) fn places_of(&self, network: Network) -> usize {
        self.places.get(&network).copied().unwrap_or(0)
    }

    /// Counts a hold as it is now.
    pub(crate) fn add(&mut self, hold: &Hold) {
        if is_being_chosen(hold) {
            *self.holds.entry(hold.owner).or_default() += 1;
        }
        if let (Some(network), places @ 1..) = (hold.network, hold.unpaid_places()) {
            *self.places.entry(network).or_default() += places;
        }
    }

    /// Counts a hold no more that was counted as it is now.
    pub(crate) fn remove(&mut self, hold: &Hold) {
        if is_being_chosen(hold) {
            take(&mut self.holds, hold.owner, 1);
        }
        if let (Some(network), places @ 1..) = (hold.network, hold.unpaid_places()) {
            take(&mut self.places, network, places);
        }
    }
}

fn is_being_chosen(hold: &Hold) -> bool {
    hold.state.claims_seats() && hold.booking().is_none()
}

fn take<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K, count: usize) {
    if let Some(left) = counts.get_mut(&key) {
        *left = left.saturating_sub(count);
        if *left == 0 {
            counts.remove(&key);
        }
    }
}
