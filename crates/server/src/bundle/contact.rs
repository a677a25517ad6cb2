//! Telephone numbers and language tags that are well-formed, and probably not what was meant.

use admit_protocol::film::Film;
use admit_protocol::text::LanguageTag;

/// Codes of countries, or of three letters, written where a language is meant, and the language (BCP 47 takes the shortest code).
const MEANT: [(&str, &str); 24] = [
    ("chi", "zh"),
    ("cn", "zh"),
    ("cz", "cs"),
    ("cze", "cs"),
    ("deu", "de"),
    ("dk", "da"),
    ("eng", "en"),
    ("fra", "fr"),
    ("fre", "fr"),
    ("ger", "de"),
    ("gr", "el"),
    ("hin", "hi"),
    ("ita", "it"),
    ("jp", "ja"),
    ("jpn", "ja"),
    ("kor", "ko"),
    ("nld", "nl"),
    ("pol", "pl"),
    ("por", "pt"),
    ("rus", "ru"),
    ("spa", "es"),
    ("swe", "sv"),
    ("ua", "uk"),
    ("zho", "zh"),
];

/// The language that somebody probably meant by this tag.
fn meant(tag: &LanguageTag) -> Option<&'static str> {
    MEANT.iter().find(|(written, _)| tag.language().eq_ignore_ascii_case(written)).map(|(_, meant)| *meant)
}

/// What of a film's languages is probably a slip.
pub(super) fn strange_languages(film: &Film) -> Option<String> {
    let versions = film.versions.iter().flat_map(|version| {
        let spoken = version.audio_language.iter().chain(&version.audio_description);
        spoken.chain(&version.subtitle_languages)
    });
    let mut tags = film.original_language.iter().chain(versions).chain(film.title.iter().map(|(tag, _)| tag));
    tags.find_map(|tag| meant(tag).map(|meant| format!("`{tag}` is no language: is `{meant}` meant?")))
}

/// What is no telephone number as one dials it from abroad: `+`, and 7 to 15 digits (ITU-T E.164).
pub(super) fn strange_telephone(telephone: &str) -> Option<String> {
    let digits = telephone.bytes().filter(u8::is_ascii_digit).count();
    let other = telephone.strip_prefix('+').is_none_or(|rest| rest.contains(|c: char| !" -().0123456789".contains(c)));
    let slip = other || !(7..=15).contains(&digits);
    slip.then(|| format!("its telephone {telephone:?} cannot be dialled from abroad: `+`, the country, the number"))
}
