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
        self.texts.push((number, words));
    }

    /// Names that fit what was typed, best first, with how well they fit (1 is exactly). Every word typed must be met
    /// by one of the name's: exactly, as its beginning, or with a typo or two.
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
        // A typo spoils two grams of a word. Less than a third in common is another name.
        let least = u32::try_from(wanted.len() / 3).unwrap_or(u32::MAX).max(1);
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

fn score(typed: &[String], words: &[String]) -> Option<f32> {
    let mut sum = 0.0;
    let mut met = BTreeSet::new();
    for (n, word) in typed.iter().enumerate() {
        // Only the word that is being typed last counts as finished by its beginning without a loss.
        let last = n + 1 == typed.len();
        let fits = words.iter().enumerate().filter_map(|(at, w)| Some((at, closeness(word, w, last)?)));
        let (at, closeness) = fits.max_by(|a, b| a.1.total_cmp(&b.1)).or_else(|| joined(word, words))?;
        met.insert(at);
        #[expect(clippy::cast_precision_loss, reason = "a word has few characters")]
        let weight = word.chars().count() as f32;
        sum += closeness * weight;
    }
    let length: usize = typed.iter().map(|w| w.chars().count()).sum();
    // Words of the name that nobody typed cost a little, so that "Lux" comes before "Lux Palace".
    let left = words.len().saturating_sub(met.len());
    #[expect(clippy::cast_precision_loss, reason = "a name has few words")]
    let (length, left) = (length as f32, left as f32);
    Some(sum / length / (1.0 + 0.05 * left))
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
    // The beginning of a longer word, with a typo in it.
    let compared = if unfinished && b.len() > a.len() + allowed { &b[..a.len()] } else { &b[..] };
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
        for nothing in ["", "  ", "?!", "zzzz", "odeon tokyo"] {
            assert_eq!(first(&names, nothing), None, "{nothing}");
        }
    }
}
