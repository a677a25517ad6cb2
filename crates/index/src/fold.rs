//! What is compared when people type: without case, accents, width and punctuation.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The words of a text, folded: NFKD without marks, lower case. Letters and digits make words; everything else parts them.
/// Kana keep their voicing marks: ガ is not カ.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.nfkd() {
        let voicing = matches!(c, '\u{3099}' | '\u{309A}');
        if is_combining_mark(c) && !voicing {
            continue;
        }
        if c.is_alphanumeric() || voicing {
            word.extend(c.to_lowercase());
        } else if matches!(c, '\'' | '’') {
            // Joan d'Arc: one may type it with or without.
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    for word in &mut words {
        // Letters that do not decompose, as people without them write them.
        if word.contains(['ß', 'ø', 'ł', 'đ', 'æ', 'œ', 'ı']) {
            *word = word.replace('ß', "ss").replace('ø', "o").replace('ł', "l").replace('đ', "d");
            *word = word.replace('æ', "ae").replace('œ', "oe").replace('ı', "i");
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_meets_what_is_written() {
        for (a, b) in [
            ("Kino Světozor", "kino svetozor"),
            ("LE BRADY", "le brady"),
            ("ＴＯＨＯシネマズ", "tohoシネマズ"),
            ("ﾕﾅｲﾃｯﾄﾞ", "ユナイテッド"),
            ("Straße", "strasse"),
            ("L'Épée-de-Bois", "lepee de bois"),
        ] {
            assert_eq!(words(a), words(b));
        }
        assert_ne!(words("カ"), words("ガ"));
    }
}
