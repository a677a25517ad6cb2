//! What somebody can do who cannot have what they asked for.

use admit_client::{Choosing, Server};
use admit_protocol::capability::Capability;
use admit_protocol::hold::Best;
use admit_protocol::layout::Layout;
use admit_protocol::price::PriceTable;
use admit_protocol::screening::Screening;
use admit_protocol::seats::AreaSeats;

use super::Wanted;
use crate::show;

impl Wanted {
    /// What a party can do for which nothing is left side by side, or nothing at all.
    pub(super) async fn say_what_else(
        &self,
        best: Option<&Best>,
        asked: usize,
        server: &Server,
        screening: &Screening,
        (layout, table): (&Layout, &PriceTable),
    ) -> anyhow::Result<()> {
        let seats = server.seats(screening.id).await?;
        let any = |split| Best { count: 1, split, ..Best::default() };
        let wish = best.cloned().unwrap_or_else(|| any(false));
        let now = Choosing::new(screening, layout.clone(), &seats, server.now())?;
        let empty = Choosing::in_empty_hall(screening, layout.clone(), server.now())?;
        let fits = |hall: &Choosing, wish: Best| !hall.best(&wish, table, 1).is_empty();
        let full = !fits(&now, any(true)) && seats.areas.iter().all(|area| area.free == 0);
        if self.wheelchairs > 0 && !fits(&now, Best { wheelchairs: 1, ..any(true) }) {
            show::warn("no wheelchair space is left");
        }
        // Who asked for seats by name has others to choose from.
        if best.is_none() && !full {
            let asked_for = |area: &&AreaSeats| {
                let names = self.seats.iter().filter_map(|text| text.split_once(':'));
                names.into_iter().any(|(name, _)| name.eq_ignore_ascii_case(area.area.as_str()))
            };
            for area in seats.areas.iter().filter(asked_for) {
                show::warn(&format!("{}: {} left", area.area, show::count(area.free as usize, "place")));
            }
            return Ok(());
        }
        // Who stands somewhere without a number stands together wherever that is.
        if layout.areas.is_empty() && !fits(&empty, wish.clone()) {
            if !wish.split && fits(&empty, Best { split: true, ..wish }) {
                show::warn("so many sit together nowhere in this hall: --split seats you apart");
            }
            return Ok(());
        }
        if server.manifest().offers(Capability::Waitlist) {
            let mut party = if best.is_some() { self.seats.join(" ") } else { format!("best:{asked}") };
            party.push_str(if self.split { " --split" } else { "" });
            if self.wheelchairs > 0 {
                party = format!("{party} --wheelchairs {}", self.wheelchairs);
            }
            if !self.tickets.is_empty() {
                party = format!("{party} --tickets {}", self.tickets.join(","));
            }
            let join = format!("admit waitlist join {} {} {party}", server.origin(), screening.id);
            let apart = !wish.split && fits(&now, Best { split: true, ..wish });
            let or_apart = if apart { ", or sit apart: --split" } else { "" };
            let full = if full { "all seats are taken: " } else { "" };
            show::warn(&format!("{full}you can wait for what comes free: `{join}`{or_apart}"));
        }
        Ok(())
    }
}
