//! Finding by name: typos, prefixes, word order, any script.

use std::collections::{BTreeSet, HashMap};

use crate::fold::words;

/// Names that can be searched. Each is known by a number of the caller's.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Words of each name, once for each text it has.
    texts: Vec<(u32, Vec<String>)>,
    /// Which texts have a word with this gram in it.
    grams: HashMap<[char; 2], Vec<u32>>,
    /// How many texts have this word: "cinema" says little, "champollion" much.
    counts: HashMap<String, u32>,
}

impl Names {
    /// Adds one text of a name. A name may have several: languages, city, chain.
    pub(crate) fn add(&mut self, number: u32, text: &str) {
        let words = words(text);
        let at = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let grams: BTreeSet<[char; 2]> = words.iter().flat_map(|w| grams(w)).collect();
        for gram in grams {
            self.grams.entry(gram).or_default().push(at);
        }
        for word in words.iter().collect::<BTreeSet<_>>() {
            *self.counts.entry(word.clone()).or_default() += 1;
        }
        self.texts.push((number, words));
    }

    /// How much a typed word says: the longer and the rarer, the more.
    fn weight(&self, typed: &str) -> f32 {
        // What every cinema is called says least of all.
        if GENERIC.contains(&typed) {
            return 0.1;
        }
        #[expect(clippy::cast_precision_loss, reason = "a weight is no count")]
        let [all, known, length] =
            [self.texts.len(), self.counts.get(typed).map_or(0, |n| *n as usize), typed.chars().count()]
                .map(|n| n as f32);
        length * (1.0 + all / (1.0 + known)).ln()
    }

    /// Names that fit what was typed, best first, with how well they fit (1 is exactly). A word is met by one of the name's:
    /// exactly, as its beginning, or with a typo or two. Names that meet every word come first; then those that miss words that
    /// say little, such as "cinema".
    pub(crate) fn find(&self, typed: &str, limit: usize) -> Vec<(u32, f32)> {
        let typed = words(typed);
        if typed.is_empty() {
            return Vec::new();
        }
        let mut shared: HashMap<u32, u32> = HashMap::new();
        let wanted: BTreeSet<[char; 2]> = typed.iter().flat_map(|w| grams(w)).collect();
        for gram in &wanted {
            for text in self.grams.get(gram).into_iter().flatten() {
                *shared.entry(*text).or_default() += 1;
            }
        }
        // A typo spoils two grams of a word, and a word may be missing. Less than a fifth in common is another name.
        let least = u32::try_from(wanted.len() / 5).unwrap_or(u32::MAX).max(1);
        let typed: Vec<(String, f32)> =
            typed.into_iter().map(|word| (self.weight(&word), word)).map(|(w, word)| (word, w)).collect();
        let mut best: HashMap<u32, f32> = HashMap::new();
        for (text, _) in shared.into_iter().filter(|(_, count)| *count >= least) {
            let (number, words) = &self.texts[text as usize];
            if let Some(score) = score(&typed, words) {
                let known = best.entry(*number).or_insert(0.0);
                *known = known.max(score);
            }
        }
        let mut found: Vec<(u32, f32)> = best.into_iter().collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(limit);
        found
    }
}

/// Pairs of neighbouring characters, the word's beginning among them; of one character, that one.
fn grams(word: &str) -> Vec<[char; 2]> {
    let chars: Vec<char> = std::iter::once('^').chain(word.chars()).collect();
    chars.windows(2).map(|pair| [pair[0], pair[1]]).collect()
}

/// Words that people add, or that stand on the door, and that tell no cinema from another: in Latin script without marks, as
/// names are folded.
const GENERIC: [&str; 30] = [
    "cinema",
    "cinemas",
    "cine",
    "cines",
    "kino",
    "kinos",
    "kina",
    "theatre",
    "theater",
    "theatres",
    "theaters",
    "movie",
    "movies",
    "film",
    "films",
    "filmtheater",
    "lichtspiele",
    "bio",
    "biograf",
    "kinoteatr",
    "the",
    "le",
    "la",
    "les",
    "el",
    "il",
    "das",
    "der",
    "die",
    "de",
];

/// Of what was typed, so much must be met, by weight.
const MET_LEAST: f32 = 0.5;

/// How well a name fits the words typed, each with what it says.
fn score(typed: &[(String, f32)], words: &[String]) -> Option<f32> {
    let (mut sum, mut length, mut met_weight, mut all_weight) = (0.0, 0.0, 0.0, 0.0);
    let mut met = BTreeSet::new();
    for (n, (word, weight)) in typed.iter().enumerate() {
        // Only the word that is being typed last counts as finished by its beginning without a loss.
        let last = n + 1 == typed.len();
        let fits = words.iter().enumerate().filter_map(|(at, w)| Some((at, closeness(word, w, last)?)));
        let best = fits.max_by(|a, b| a.1.total_cmp(&b.1)).or_else(|| joined(word, words));
        all_weight += weight;
        let Some((at, closeness)) = best else { continue };
        met.insert(at);
        met_weight += weight;
        #[expect(clippy::cast_precision_loss, reason = "a word has few characters")]
        let characters = word.chars().count() as f32;
        (sum, length) = (sum + closeness * characters, length + characters);
    }
    let share = if all_weight > 0.0 { met_weight / all_weight } else { 1.0 };
    if length == 0.0 || share < MET_LEAST {
        return None;
    }
    // Words of the name that nobody typed cost a little, so that "Lux" comes before "Lux Palace".
    #[expect(clippy::cast_precision_loss, reason = "a name has few words")]
    let left = words.len().saturating_sub(met.len()) as f32;
    let whole = sum / length / (1.0 + 0.05 * left);
    // Whoever misses a word comes after all who miss none.
    Some(if share < 1.0 { whole * share * 0.5 } else { whole })
}

/// "svetozor" typed as "sveto zor", or two words typed as one: the beginning of the name without its gaps.
fn joined(typed: &str, words: &[String]) -> Option<(usize, f32)> {
    let all = words.concat();
    (typed.chars().count() >= 4 && all.contains(typed)).then_some((0, 0.8))
}

/// How well a typed word fits one of the name.
fn closeness(typed: &str, word: &str, unfinished: bool) -> Option<f32> {
    if typed == word {
        return Some(1.0);
    }
    if word.starts_with(typed) {
        return Some(if unfinished { 0.95 } else { 0.85 });
    }
    let (a, b): (Vec<char>, Vec<char>) = (typed.chars().collect(), word.chars().collect());
    let allowed = match a.len() {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    };
    // The beginning of a longer word, with a typo in it; of a short one too much would begin like that.
    let begins = unfinished && a.len() >= 6 && b.len() > a.len() + allowed;
    let compared = if begins { &b[..a.len()] } else { &b[..] };
    let typos = distance(&a, compared, allowed)?;
    #[expect(clippy::cast_precision_loss, reason = "two at most")]
    let loss = 0.15 * typos as f32;
    Some(0.9 - loss)
}

/// Insertions, deletions, changes and swaps of neighbours (optimal string alignment); `None` above `most`.
fn distance(a: &[char], b: &[char], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1; b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            let change = row[j] + usize::from(x != y);
            next[j + 1] = change.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                next[j + 1] = next[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    Some(row[b.len()]).filter(|typos| *typos <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Names {
        let mut names = Names::default();
        for (n, text) in texts.iter().enumerate() {
            names.add(u32::try_from(n).expect("few"), text);
        }
        names
    }
    fn first(names: &Names, typed: &str) -> Option<u32> {
        names.find(typed, 5).first().map(|(n, _)| *n)
    }

    #[test]
    fn people_find_what_they_mean() {
        let names = names(&[
            "Kino Světozor",
            "Kino Aero",
            "Odeon Luxe Leicester Square",
            "Odeon Leeds",
            "東京シネマ",
            "Кинотеатр Октябрь",
            "Lux",
            "Lux Palace",
            "Le Brady",
            "Cinéma Ariel",
            "Le Cinéma",
            "Cinéma Rex",
            "Le Grand Rex",
            "Le Louxor",
        ]);
        for (typed, wanted) in [
            ("svetozor", 0),
            ("svetozr", 0),
            ("sevtozor kino", 0),
            ("kino aer", 1),
            ("odeon leic sq", 2),
            ("odeon lecester", 2),
            ("東京", 4),
            ("октябр", 5),
            ("lux", 6),
            ("lux pal", 7),
            ("LEBRADY", 8),
            ("bardy", 8),
        ] {
            assert_eq!(first(&names, typed), Some(wanted), "{typed}: {:?}", names.find(typed, 5));
        }
        let extra = [
            ("le kino aero", 1),
            ("cinema le brady", 8),
            ("le brady cinema", 8),
            ("the lux theatre", 6),
            ("kino brady", 8),
        ];
        for (typed, wanted) in extra {
            assert_eq!(first(&names, typed), Some(wanted), "{typed}: {:?}", names.find(typed, 5));
        }
        // Whoever meets every word comes first.
        let lux: Vec<u32> = names.find("lux palace", 5).into_iter().map(|(n, _)| n).collect();
        assert_eq!(lux, [7]);
        for nothing in ["", "  ", "?!", "zzzz", "odeon tokyo"] {
            assert_eq!(first(&names, nothing), None, "{nothing}");
        }
    }
}
