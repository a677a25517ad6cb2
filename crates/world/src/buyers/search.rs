//! Looking for a cinema or a film.

use admit_client::{Near, Search};
use admit_protocol::geo::Position;
use anyhow::Context as _;

use super::{Town, prague};
use crate::dice::Dice;

impl Town {
    /// Searches one after another, while nobody buys: by a name with a typo, near a place, by title.
    pub(crate) async fn search(&self, seed: u64, n: u64, names: &[String]) -> anyhow::Result<()> {
        let mut dice = Dice::new(seed, n);
        let name = dice.one(names).context("there are names")?.clone();
        // Degrees of metropolitan France, and some of the sea.
        let position = Position::new(
            42_000_000 + i32::try_from(dice.below(9_000_000))?,
            -4_000_000 + i32::try_from(dice.below(12_000_000))?,
        );
        let near = position.ok().map(|position| Near { position, radius_m: 30_000 });
        match dice.below(4) {
            0 => {
                let search = Search { text: Some(typo(&name, &mut dice)), ..Search::default() };
                self.tally.time("search", self.index.cinemas(&search)).await?;
            }
            1 => {
                let search = Search { near, ..Search::default() };
                self.tally.time("search", self.index.cinemas(&search)).await?;
            }
            2 => {
                let near = prague().map(|position| Near { position, radius_m: 10_000 });
                let search = Search { near, limit: Some(20), ..Search::default() };
                self.tally.time("search", self.index.films(&search)).await?;
            }
            _ => {
                let near = prague().map(|position| Near { position, radius_m: 10_000 });
                let search = Search { text: Some("odyssea".into()), near, limit: Some(20), ..Search::default() };
                self.tally.time("search", self.index.screenings(&search)).await?;
            }
        }
        Ok(())
    }
}

/// The name with two letters swapped, or one left out.
fn typo(name: &str, dice: &mut Dice) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    if letters.len() > 4 {
        let at = 1 + dice.below(letters.len() - 3);
        if dice.below(2) == 0 {
            letters.swap(at, at + 1);
        } else {
            letters.remove(at);
        }
    }
    letters.into_iter().collect()
}
