//! Words for people: texts by language.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest text in one language, in bytes (a synopsis, in any script).
pub const TEXT_BYTES_MAX: usize = 8 * 1024;
/// In how many languages a text may come.
pub const TEXT_LANGUAGES_MAX: usize = 64;

/// Why something is not a text by language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Not a BCP 47 tag.
    #[error("{0:?} is not a BCP 47 language tag")]
    BadTag(String),
    /// A text has at least one language, and says something in each.
    #[error("a text needs at least one language, and must say something in each")]
    Empty,
    /// More than [`TEXT_LANGUAGES_MAX`] languages, or a text of more than [`TEXT_BYTES_MAX`] bytes.
    #[error("a text has at most {TEXT_BYTES_MAX} bytes in each of at most {TEXT_LANGUAGES_MAX} languages")]
    TooLong,
    /// Control characters have no place in a text that people read, nor do those that turn the order of what follows.
    #[error("a text must not contain control characters, nor any that overrides the direction of writing")]
    ControlCharacter,
}

/// Whether a character would do something to the words around it instead of being one: control characters, and the
/// embeddings and overrides of Unicode's bidirectional algorithm, by which `gpj.exe` is shown as `exe.jpg` (TEXT-002).
/// Isolates and marks stay: right-to-left names need them.
#[must_use]
pub fn is_disruptive(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202A}'..='\u{202E}')
}

/// Whether a line for people or programs is at most `max` bytes of words and nothing else. It may be empty.
#[must_use]
pub fn is_plain(text: &str, max: usize) -> bool {
    text.len() <= max && !text.chars().any(is_disruptive)
}

/// A BCP 47 language tag (RFC 5646), such as `fr`, `pt-BR` or `zh-Hant`. Compared without regard to case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LanguageTag(Box<str>);

impl LanguageTag {
    /// Reads a tag: subtags of 1 to 8 letters or digits, the first of 2 to 8 letters (or `x`), 35 characters at most.
    /// It is kept in the case that RFC 5646 section 2.1.1 recommends.
    ///
    /// # Errors
    /// When `tag` does not have that form.
    pub fn parse(tag: &str) -> Result<Self, TextError> {
        let bad = || TextError::BadTag(tag.chars().take(40).collect());
        let mut subtags = tag.split('-');
        let first = subtags.next().unwrap_or_default();
        let language = first.bytes().all(|b| b.is_ascii_alphabetic()) && (2..=8).contains(&first.len());
        let rest = |s: &str| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric());
        if tag.len() > 35
            || !language
            || !subtags.clone().all(rest)
            || subtags.next_back().is_some_and(|s| s.len() == 1)
        {
            return Err(bad());
        }
        let mut shown = String::with_capacity(tag.len());
        let mut after_singleton = false;
        for (n, subtag) in tag.split('-').enumerate() {
            let lower = subtag.to_ascii_lowercase();
            match subtag.len() {
                _ if n == 0 => shown.push_str(&lower),
                2 if !after_singleton => shown.extend(["-", &subtag.to_ascii_uppercase()]),
                4 if !after_singleton && subtag.bytes().all(|b| b.is_ascii_alphabetic()) => {
                    shown.extend(["-", &lower[..1].to_ascii_uppercase(), &lower[1..]]);
                }
                _ => shown.extend(["-", &lower]),
            }
            after_singleton |= subtag.len() == 1;
        }
        Ok(Self(shown.into()))
    }

    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language without region or script: `pt` of `pt-BR`.
    #[must_use]
    pub fn language(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }
}

impl FromStr for LanguageTag {
    type Err = TextError;
    fn from_str(tag: &str) -> Result<Self, TextError> {
        Self::parse(tag)
    }
}
impl fmt::Display for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl fmt::Debug for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Serialize for LanguageTag {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for LanguageTag {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let tag = Cow::<'de, str>::deserialize(d)?;
        Self::parse(&tag).map_err(de::Error::custom)
    }
}
impl JsonSchema for LanguageTag {
    fn schema_name() -> Cow<'static, str> {
        "LanguageTag".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
            "maxLength": 35,
            "description": "A BCP 47 language tag.",
        })
    }
}

/// One text in one or more languages: `{"en": "The Passion of Joan of Arc", "fr": "La Passion de Jeanne d'Arc"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Texts(BTreeMap<LanguageTag, String>);

impl Texts {
    /// A text in several languages.
    ///
    /// # Errors
    /// When there is none, there are too many, or one is blank, too long or has control characters.
    pub fn new(texts: BTreeMap<LanguageTag, String>) -> Result<Self, TextError> {
        if texts.is_empty() || texts.values().any(|t| t.trim().is_empty()) {
            return Err(TextError::Empty);
        }
        if texts.len() > TEXT_LANGUAGES_MAX || texts.values().any(|t| t.len() > TEXT_BYTES_MAX) {
            return Err(TextError::TooLong);
        }
        if texts.values().any(|t| t.chars().any(|c| is_disruptive(c) && c != '\n')) {
            return Err(TextError::ControlCharacter);
        }
        Ok(Self(texts))
    }

    /// A text in one language.
    ///
    /// # Errors
    /// As for [`Texts::new`], and when `tag` is not a BCP 47 tag.
    pub fn one(tag: &str, text: &str) -> Result<Self, TextError> {
        Self::new(BTreeMap::from([(LanguageTag::parse(tag)?, text.to_owned())]))
    }

    /// The text for a reader of `wanted`: in that very tag, else in the same language, else the one whose language nobody said, as
    /// people write it there, else in English, else in any.
    #[must_use]
    pub fn best(&self, wanted: &LanguageTag) -> &str {
        let same = || self.0.iter().find(|(tag, _)| tag.language() == wanted.language()).map(|(_, t)| t);
        let plain = || self.0.iter().find(|(tag, _)| tag.language() == "und").map(|(_, t)| t);
        let english = || self.0.iter().find(|(tag, _)| tag.language() == "en").map(|(_, t)| t);
        let any = || self.0.values().next();
        self.0.get(wanted).or_else(same).or_else(plain).or_else(english).or_else(any).map_or("", String::as_str)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&LanguageTag, &str)> {
        self.0.iter().map(|(tag, text)| (tag, text.as_str()))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct ByLanguage;
        impl<'de> de::Visitor<'de> for ByLanguage {
            type Value = BTreeMap<LanguageTag, String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a text by language, such as {"en": "Metropolis"}"#)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                BTreeMap::deserialize(de::value::MapAccessDeserializer::new(map))
            }
        }
        Self::new(d.deserialize_map(ByLanguage)?).map_err(de::Error::custom)
    }
}
impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "minProperties": 1,
            "maxProperties": TEXT_LANGUAGES_MAX,
            "propertyNames": { "pattern": "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$" },
            "additionalProperties": { "type": "string" },
            "description": "One text by BCP 47 language tag.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_are_kept_in_the_recommended_case() {
        for (given, kept) in [("EN", "en"), ("pt-br", "pt-BR"), ("zh-hANT-tw", "zh-Hant-TW"), ("de-x-aB", "de-x-ab")] {
            assert_eq!(LanguageTag::parse(given).expect(given).as_str(), kept);
        }
        for bad in ["", "e", "en-", "-en", "en_GB", "english-language-tag-of-no-end-at-all", "en-toolongsub", "fr-x"] {
            assert!(LanguageTag::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_reader_gets_the_nearest_language() {
        let tag = |t| LanguageTag::parse(t).expect("tag");
        let texts: Texts = serde_json::from_str(r#"{"en":"Hall","pt-PT":"Sala","ja":"スクリーン"}"#).expect("texts");
        assert_eq!(texts.best(&tag("ja")), "スクリーン");
        assert_eq!(texts.best(&tag("pt-BR")), "Sala");
        assert_eq!(texts.best(&tag("cs")), "Hall");
    }

    #[test]
    fn a_text_is_never_empty_endless_or_full_of_controls() {
        assert!(serde_json::from_str::<Texts>("{}").is_err());
        assert_eq!(Texts::one("en", " \n"), Err(TextError::Empty));
        assert_eq!(Texts::one("en", "a\u{0007}b"), Err(TextError::ControlCharacter));
        assert_eq!(Texts::one("en", &"x".repeat(TEXT_BYTES_MAX + 1)), Err(TextError::TooLong));
    }

    #[test]
    fn a_text_does_not_turn_what_follows_text_002() {
        for turning in '\u{202A}'..='\u{202E}' {
            assert_eq!(Texts::one("en", &format!("Kino {turning}orea")), Err(TextError::ControlCharacter));
            assert!(!is_plain(&turning.to_string(), 100));
        }
        let name = "קולנוע \u{2066}Lev 3\u{2069}\u{200F}!";
        assert!(Texts::one("he", name).is_ok(), "isolates and marks are what such names need");
    }

    proptest! {
        #[test]
        fn any_text_is_a_tag_or_not(text in ".{0,40}") {
            if let Ok(tag) = LanguageTag::parse(&text) {
                prop_assert_eq!(&LanguageTag::parse(tag.as_str()).expect("kept form"), &tag);
            }
        }
    }
}
