//! The minute an on-sale opens.

use std::collections::BTreeSet;
use std::sync::Arc;

use admit_client::{RequestKey, Secret};
use admit_protocol::hold::{PlaceHold, SeatWish};
use admit_protocol::id::{SeatId, TicketTypeId};
use admit_protocol::problem::ProblemCode;
use jiff::{SignedDuration, Timestamp};

use super::{Choice, Manner, Town, together};
use crate::dice::Dice;

impl Town {
    /// Groups of `rivals` who all want the same seats at the same time. One of each group gets them.
    pub(crate) async fn rush(self: &Arc<Self>, seed: u64, groups: u64, rivals: usize) -> anyhow::Result<()> {
        for group in 0..groups {
            let mut dice = Dice::new(!seed, group);
            let Some(choice) = self.find(&mut dice).await? else { continue };
            let party = 1 + dice.below(4);
            let seats = self.tally.time("seats", choice.server.seats(choice.screening)).await?;
            let taken: BTreeSet<SeatId> = seats.not_free.into_values().flatten().collect();
            let Some(chosen) = together(&choice.layout, &taken, party, &mut dice) else { continue };
            // Shortly before the start nobody can promise to pay at the cinema, and who wins gives the seats back.
            let in_an_hour = Timestamp::now() + SignedDuration::from_hours(1);
            if !seats.sales.is_open() || choice.starts_at < in_an_hour {
                continue;
            }
            let choice = Arc::new(choice);
            let all = (0..rivals).map(|_| {
                let (town, choice, chosen) = (self.clone(), choice.clone(), chosen.clone());
                tokio::spawn(async move { town.rival(&choice, &chosen).await })
            });
            let mut winners = 0;
            for rival in all.collect::<Vec<_>>() {
                winners += usize::from(rival.await??);
            }
            self.tally.count("rushes");
            if winners != 1 {
                self.tally.surprise(format!("{winners} of {rivals} got seats {chosen:?} of {}", choice.screening));
            }
        }
        Ok(())
    }

    async fn rival(&self, choice: &Choice, chosen: &[SeatId]) -> anyhow::Result<bool> {
        let (secret, key) = (Secret::new()?, RequestKey::new()?);
        let adult: TicketTypeId = "adult".parse()?;
        let wish = PlaceHold {
            seats: chosen.iter().map(|seat| SeatWish { seat: *seat, ticket_type: Some(adult) }).collect(),
            ..PlaceHold::default()
        };
        let placed = choice.server.place_hold(choice.screening, &secret, &key, &wish);
        match self.tally.time("hold", placed).await {
            Ok(hold) => {
                self.tally.count("holds");
                self.book(choice, &secret, &hold, Manner::Honest, &mut Dice::new(0, 0)).await?;
                Ok(true)
            }
            Err(error) if error.code() == Some(ProblemCode::SeatsTaken) => {
                self.names_what_is_taken(&error, chosen);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
