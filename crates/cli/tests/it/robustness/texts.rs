//! Every parser of text.

use admit_protocol::cinema::Country;
use admit_protocol::digest::ContentName;
use admit_protocol::id::SeatId;
use admit_protocol::json::{self, Numbers};
use admit_protocol::key::PublicKey;
use admit_protocol::money::Currency;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::{LanguageTag, Texts};
use admit_protocol::ticket::Ticket;
use admit_protocol::time::{Moment, ZoneName};
use serde_json::json;

use super::hostile;

/// What is read is written as something that is read again as the same.
fn comes_back<T>(text: &str, read: impl Fn(&str) -> Option<T>, write: impl Fn(&T) -> String)
where
    T: PartialEq + std::fmt::Debug,
{
    if let Some(value) = read(text) {
        let written = write(&value);
        assert_eq!(read(&written).as_ref(), Some(&value), "{text:?} was written as {written:?}");
    }
}

fn every_parser(text: &str) {
    let as_displayed = |text: &str| text.parse::<SeatId>().ok();
    comes_back(text, as_displayed, ToString::to_string);
    comes_back(text, |t| t.parse::<ContentName>().ok(), ToString::to_string);
    comes_back(text, |t| t.parse::<PublicKey>().ok(), ToString::to_string);
    comes_back(text, |t| LanguageTag::parse(t).ok(), ToString::to_string);
    comes_back(text, |t| Origin::parse(t, OriginPolicy::Public).ok(), ToString::to_string);
    comes_back(text, |t| Origin::parse(t, OriginPolicy::Loopback).ok(), ToString::to_string);
    comes_back(text, |t| Currency::parse(t).ok(), |c| c.code().to_owned());
    comes_back(text, |t| Country::parse(t).ok(), ToString::to_string);
    comes_back(text, |t| ZoneName::parse(t).ok(), ToString::to_string);
    comes_back(text, |t| t.parse::<admit_client::Secret>().ok().map(String::from), Clone::clone);
    if let Ok(texts) = Texts::one("en", text) {
        assert_eq!(texts.iter().next().map(|(_, t)| t), Some(text));
        let wire = serde_json::to_string(&texts).expect("writes");
        assert_eq!(json::read::<Texts>(wire.as_bytes(), 1 << 16, Numbers::Integers).expect("reads"), texts);
    }
    let prague = ZoneName::parse("Europe/Prague").expect("a zone");
    if let Ok(moment) = Moment::from_local(text, &prague) {
        let wire = serde_json::to_string(&moment).expect("writes");
        assert_eq!(serde_json::from_str::<Moment>(&wire).expect(&wire), moment, "{text}");
    }
    for code in [text.to_owned(), format!("ADMIT1:{text}")] {
        assert!(Ticket::verify(&code, |_| None).is_err(), "no key signed {code:?}");
    }
    let _ = admit_index::import::read_cnc(text.as_bytes());
    let _ = admit_index::import::read_geojson(text.as_bytes(), Country::parse("FR").expect("FR"));
    let _ = admit_server::plans::read(text.as_bytes());
}

#[test]
fn every_text_is_read_back_unchanged_or_refused() {
    let Some(hostile) = hostile("robustness: texts") else { return };
    hostile.texts.iter().for_each(|text| every_parser(text));
    for (character, like) in &hostile.look_alikes {
        every_parser(character);
        every_parser(like);
    }
}

#[test]
fn instants_are_read_as_rfc_3339_says() {
    let Some(hostile) = hostile("robustness: instants") else { return };
    let files = hostile.lines.iter().filter(|(file, _)| file.starts_with("atproto-datetime"));
    for line in files.flat_map(|(_, lines)| lines) {
        let wire = json!({"at": line, "local": line, "zone": "Europe/Prague"}).to_string();
        // Never a panic, and what is read is written as an instant that is read again.
        if let Ok(moment) = json::read::<Moment>(wire.as_bytes(), 1 << 16, Numbers::Integers) {
            let again = serde_json::to_string(&moment).expect("writes");
            assert_eq!(serde_json::from_str::<Moment>(&again).expect(&again), moment, "{line}");
        }
    }
    let _ = &hostile.lines["atproto-datetime_syntax_valid.txt"];
}

#[test]
fn hosts_that_are_none_are_no_origins() {
    let Some(hostile) = hostile("robustness: hosts") else { return };
    for host in &hostile.lines["atproto-handle_syntax_valid.txt"] {
        if let Ok(origin) = Origin::parse(&format!("https://{host}"), OriginPolicy::Public) {
            assert_eq!(origin.as_str(), format!("https://{}", host.to_ascii_lowercase()));
        }
    }
    for host in &hostile.lines["atproto-handle_syntax_invalid.txt"] {
        let wire = serde_json::to_string(&format!("https://{host}")).expect("writes");
        // On the wire nothing is tidied up: what is accepted is exactly what was sent.
        if let Ok(origin) = serde_json::from_str::<Origin>(&wire) {
            assert_eq!(origin.as_str(), format!("https://{host}"));
        }
    }
}

#[test]
fn a_server_that_looks_like_another_is_another() {
    let Some(hostile) = hostile("robustness: look-alikes") else { return };
    let mut others = 0;
    for (character, like) in hostile.look_alikes.iter().flat_map(|(a, b)| [(a, b), (b, a)]) {
        let name = |part: &str| format!("https://kin{part}.example");
        // Both ends of the pair that a person would take for each other.
        if !like.chars().all(|c| c.is_ascii_lowercase()) || character.is_ascii() {
            continue;
        }
        let wire = serde_json::to_string(&name(character)).expect("writes");
        assert!(serde_json::from_str::<Origin>(&wire).is_err(), "{character:?} on the wire");
        let Ok(shown) = Origin::parse(&name(character), OriginPolicy::Public) else { continue };
        let meant = Origin::parse(&name(like), OriginPolicy::Public).expect("letters");
        assert!(shown.as_str().is_ascii(), "{shown}");
        if shown == meant {
            // A letter of another width or style of the same alphabet: to the name system it is that letter.
            let folded = unicode_normalization::UnicodeNormalization::nfkc(character.as_str());
            let folded: String = folded.collect::<String>().to_lowercase();
            assert_eq!(folded, *like, "{character:?} is taken for {like:?}");
        } else {
            others += 1;
        }
    }
    assert!(others > 300, "only {others} pairs were of different letters");
}
