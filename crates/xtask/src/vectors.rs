//! Vectors: what every implementation must read, refuse and reckon alike. What is expected is written down here by hand, or follows from
//! a published algorithm; our own code must agree, and so must the second implementation in `conformance-tests/vectors`.

mod choices;
mod feeds;
mod requests;
mod signatures;
mod tickets;

use std::fs;
use std::path::Path;

use admit_protocol::digest::ContentName;
use admit_protocol::id::{ScreeningId, SeatId, TicketTypeId, ZoneId};
use admit_protocol::json::{self, Numbers};
use admit_protocol::jws::Jws;
use admit_protocol::key::SecretKey;
use admit_protocol::manifest::{Known, Manifest};
use admit_protocol::money::Money;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::policy::CancellationPolicy;
use admit_protocol::price::PriceTable;
use admit_protocol::text::Texts;
use admit_protocol::ticket::screening_digest;
use admit_protocol::time::{Moment, ZoneName};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/v1/vectors");

/// Compares the files with what follows from here, or writes them.
pub(crate) fn run(write: bool) -> anyhow::Result<()> {
    let files = [
        ("ids", ids()?),
        ("json", documents()?),
        ("money", money()?),
        ("texts", texts()?),
        ("times", times()?),
        ("keys", keys()?),
        ("signatures", signatures::all()?),
        ("requests", requests::all()?),
        ("manifests", manifests()?),
        ("tickets", tickets::all()?),
        ("policies", policies()?),
        ("prices", prices()?),
        ("choices", choices::all()?),
        ("feeds", feeds::all()?),
    ];
    let (mut cases, mut stale) = (0, Vec::new());
    for (name, value) in files {
        cases += value
            .as_object()
            .into_iter()
            .flat_map(|o| o.values())
            .filter_map(Value::as_array)
            .map(Vec::len)
            .sum::<usize>();
        let (path, text) =
            (Path::new(FOLDER).join(format!("{name}.json")), serde_json::to_string_pretty(&value)? + "\n");
        if fs::read_to_string(&path).ok().as_ref() == Some(&text) {
            continue;
        }
        if write {
            fs::create_dir_all(FOLDER)?;
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        stale.push(name);
    }
    match (stale.is_empty(), write) {
        (true, _) => println!("{cases} vectors are as they should be"),
        (false, true) => println!("wrote {}", stale.join(", ")),
        (false, false) => bail!("vectors {} differ: run `cargo xtask vectors --write`", stale.join(", ")),
    }
    Ok(())
}

/// Inputs with what is to become of them, on which ours agrees.
fn judged<T: Clone + serde::Serialize>(
    good: &[T],
    bad: &[(T, &str)],
    accepts: impl Fn(&T) -> bool,
) -> anyhow::Result<Value> {
    let mut cases = Vec::new();
    for input in good {
        ensure!(accepts(input), "ours refuses {}", json!(input));
        cases.push(json!({"input": input, "valid": true}));
    }
    for (input, why) in bad {
        ensure!(!accepts(input), "ours accepts {} ({why})", json!(input));
        cases.push(json!({"input": input, "valid": false, "why": why}));
    }
    Ok(cases.into())
}

fn ids() -> anyhow::Result<Value> {
    let (longest, longer) = ("x".repeat(64), "x".repeat(65));
    let good = ["a", "0", "A-1_b.c", "..", "hold_01a229f3", &longest];
    let bad = [
        ("", "empty"),
        (longer.as_str(), "65 characters"),
        ("a b", "a space"),
        ("a/b", "a slash"),
        ("a:b", "a colon"),
        ("a\n", "a line feed"),
        ("\u{e9}", "not ASCII"),
        ("a%2Fb", "a percent sign"),
    ];
    let name = |text: &str| ContentName::of(text.as_bytes()).to_string();
    let of_nothing = name("");
    let short = &of_nothing[..49];
    let good_names = [of_nothing.as_str()];
    let bad_names = [
        (short, "42 characters"),
        ("sha256-47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=", "padded"),
        ("SHA256-47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", "capitals"),
        ("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", "the other base64"),
        ("sha256-47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFV", "bits beyond the last byte"),
    ];
    let digests = ["show-1", "s", "2026.11.21-20_15"].map(|id| {
        let digest = ScreeningId::parse(id).map(|id| screening_digest(&id)).unwrap_or_default();
        json!({"screening": id, "digest": hex(&digest)})
    });
    let named = ["", "{}", "{\"cinemas\":[]}", "P\u{159}\u{ed}li\u{161}"];
    Ok(json!({
        "ids": judged(&good, &bad, |id| ScreeningId::parse(id).is_ok())?,
        "content_names": judged(&good_names, &bad_names, |n| n.parse::<ContentName>().is_ok())?,
        "names_of": named.map(|text| json!({"document": text, "name": name(text)})),
        "screening_digests": digests,
    }))
}

fn documents() -> anyhow::Result<Value> {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let (deep, deeper) = (nested(32), nested(33));
    let good = [
        "{}",
        "[]",
        "{\"a\":{\"a\":1}}",
        "{\"n\":9007199254740991}",
        "{\"n\":-9007199254740991}",
        " {\"a\" : 1}\n",
        &deep,
    ];
    let bad = [
        ("", "nothing"),
        ("{\"a\":1,\"a\":1}", "a member twice"),
        ("{\"b\":[{\"a\":1,\"\\u0061\":2}]}", "a member twice, written differently"),
        (deeper.as_str(), "33 levels"),
        ("{\"n\":9007199254740992}", "an integer beyond 2^53 - 1"),
        ("{\"n\":-9007199254740992}", "an integer beyond -(2^53 - 1)"),
        ("{\"a\":1} {}", "more after its end"),
        ("{a:1}", "a name without quotes"),
        ("{\"a\":NaN}", "no number"),
        ("{\"a\":01}", "a leading zero"),
    ];
    let accepts = |numbers: Numbers| move |text: &&str| json::read::<Value>(text.as_bytes(), 1 << 20, numbers).is_ok();
    let signed = [("{\"n\":1.5}", "a fraction"), ("{\"n\":1e2}", "an exponent"), ("{\"n\":1.0}", "a point")];
    Ok(json!({
        "documents": judged(&good, &bad, accepts(Numbers::Any))?,
        "signed_documents": judged(&["{\"n\":1}"], &signed, accepts(Numbers::Integers))?,
    }))
}

fn money() -> anyhow::Result<Value> {
    let good = [
        "{\"amount\":1250,\"currency\":\"EUR\"}",
        "{\"amount\":0,\"currency\":\"JPY\"}",
        "{\"amount\":-9007199254740991,\"currency\":\"CZK\"}",
        "{\"amount\":1,\"currency\":\"EUR\",\"org.example.more\":true}",
    ];
    let bad = [
        ("{\"amount\":12.5,\"currency\":\"EUR\"}", "a fraction"),
        ("{\"amount\":\"12\",\"currency\":\"EUR\"}", "a text"),
        ("{\"amount\":9007199254740992,\"currency\":\"EUR\"}", "beyond 2^53 - 1"),
        ("{\"amount\":1,\"currency\":\"eur\"}", "small letters"),
        ("{\"amount\":1,\"currency\":\"EURO\"}", "four letters"),
        ("{\"amount\":1}", "no currency"),
    ];
    let accepts = |text: &&str| json::read::<Money>(text.as_bytes(), 1 << 20, Numbers::Any).is_ok();
    let shares = [
        (1055, 50, 528),
        (1055, 0, 0),
        (1055, 100, 1055),
        (1, 50, 1),
        (1, 49, 0),
        (-1055, 50, -528),
        (333, 33, 110),
        (9_007_199_254_740_991, 99, 8_917_127_262_193_581),
    ];
    let mut percentages = Vec::new();
    for (amount, percent, share) in shares {
        let ours = Money::new(amount, "EUR".parse()?)?.percent(percent).amount();
        ensure!(ours == share, "{percent} % of {amount}: ours is {ours}");
        percentages.push(json!({"amount": amount, "percent": percent, "share": share}));
    }
    Ok(json!({"amounts": judged(&good, &bad, accepts)?, "percentages": percentages}))
}

fn texts() -> anyhow::Result<Value> {
    let good = [
        json!({"en": "Metropolis"}),
        json!({"pt-BR": "O Garoto", "zh-Hant": "\u{5c0b}\u{5b50}\u{9047}\u{4ed9}\u{8a18}"}),
        json!({"und": "one\ntwo"}),
        json!({"en": "e".repeat(8192)}),
    ];
    let bad = [
        (json!({}), "no language"),
        (json!({"en": ""}), "empty"),
        (json!({"en": " \u{a0}"}), "blank"),
        (json!({"en_GB": "a"}), "no tag"),
        (json!({"e": "a"}), "one letter"),
        (json!({"en": "a\tb"}), "a control character"),
        (json!({"en": "Kino \u{202e}oniK"}), "turns the order round"),
        (json!({"en": "e".repeat(8193)}), "8,193 bytes"),
        (json!({"en": 7}), "a number"),
        (json!("Metropolis"), "no object"),
    ];
    Ok(json!({"texts": judged(&good, &bad, |text| serde_json::from_value::<Texts>(text.clone()).is_ok())?}))
}

fn times() -> anyhow::Result<Value> {
    let moment = |at: &str, local: &str, zone: &str| json!({"at": at, "local": local, "zone": zone});
    let good = [
        moment("2026-11-21T19:15:00Z", "2026-11-21T20:15:00+01:00", "Europe/Prague"),
        moment("2026-07-01T18:15:00Z", "2026-07-01T20:15:00+02:00", "Europe/Prague"),
        moment("2026-10-25T00:30:00Z", "2026-10-25T02:30:00+02:00", "Europe/Prague"),
        moment("2026-10-25T01:30:00Z", "2026-10-25T02:30:00+01:00", "Europe/Prague"),
        moment("2026-11-21T14:30:00Z", "2026-11-21T20:00:00+05:30", "Asia/Kolkata"),
    ];
    let bad = [
        (moment("2026-11-21T19:15:00Z", "2026-11-21T21:15:00+01:00", "Europe/Prague"), "another moment"),
        (moment("2026-11-21T19:15:00Z", "2026-11-21T20:15:00", "Europe/Prague"), "a local time without its offset"),
        (moment("2026-13-21T19:15:00Z", "2026-13-21T20:15:00+01:00", "Europe/Prague"), "a thirteenth month"),
    ];
    let mut locals = Vec::new();
    for (local, zone, outcome) in [
        ("2026-11-21T20:15", "Europe/Prague", "2026-11-21T19:15:00Z"),
        ("2026-07-01T20:15", "America/New_York", "2026-07-02T00:15:00Z"),
        ("2026-03-29T02:30", "Europe/Prague", "gap"),
        ("2026-10-25T02:30", "Europe/Prague", "fold"),
        ("2026-10-25T02:30+02:00", "Europe/Prague", "2026-10-25T00:30:00Z"),
        ("2026-10-25T02:30+01:00", "Europe/Prague", "2026-10-25T01:30:00Z"),
        ("2026-10-04T02:30", "Australia/Sydney", "gap"),
        ("2026-04-05T02:30", "Australia/Sydney", "fold"),
    ] {
        let ours = match Moment::from_local(local, &ZoneName::parse(zone)?) {
            Ok(moment) => moment.at().to_string(),
            Err(admit_protocol::time::TimeError::Gap(..)) => "gap".into(),
            Err(admit_protocol::time::TimeError::Fold(..)) => "fold".into(),
            Err(other) => bail!("{local} {zone}: {other}"),
        };
        ensure!(ours == outcome, "{local} in {zone} is {ours} to ours");
        locals.push(json!({"local": local, "zone": zone, "is": outcome}));
    }
    let mut evenings = Vec::new();
    for (at, zone, cutoff, date) in [
        ("2026-11-21T19:15:00Z", "Europe/Prague", "05:00", "2026-11-21"),
        ("2026-11-21T23:30:00Z", "Europe/Prague", "05:00", "2026-11-21"),
        ("2026-11-22T03:59:59Z", "Europe/Prague", "05:00", "2026-11-21"),
        ("2026-11-22T04:00:00Z", "Europe/Prague", "05:00", "2026-11-22"),
        ("2026-12-31T23:30:00Z", "Europe/Prague", "05:00", "2026-12-31"),
        ("2026-11-21T15:30:00Z", "Asia/Tokyo", "00:00", "2026-11-22"),
    ] {
        let ours = Moment::new(at.parse()?, &ZoneName::parse(zone)?)?.business_date(cutoff.parse()?);
        ensure!(ours.to_string() == date, "{at} in {zone} is of the evening of {ours} to ours");
        evenings.push(json!({"at": at, "zone": zone, "cutoff": cutoff, "business_date": date}));
    }
    let accepts = |m: &Value| serde_json::from_value::<Moment>(m.clone()).is_ok();
    Ok(json!({"moments": judged(&good, &bad, accepts)?, "locals": locals, "business_dates": evenings}))
}

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn keys() -> anyhow::Result<Value> {
    let mut cases = Vec::new();
    for n in [1, 2, 3] {
        let (secret, message) = (key(n), "what is signed");
        let signature = secret.sign(message.as_bytes());
        secret.public().verify(message.as_bytes(), &signature)?;
        cases.push(json!({"seed": hex(&[n; 32]), "public": secret.public().to_string(), "key_id": secret.public().id().to_string(),
            "message": message, "signature": hex(&signature)}));
    }
    // The first test of RFC 8032, section 7.1: what is right does not depend on us.
    let rfc: [u8; 32] = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")?;
    let signature = SecretKey::from_seed(&rfc).sign(b"");
    let right = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    ensure!(hex(&signature) == right, "ours does not sign as RFC 8032 does");
    Ok(json!({"keys": cases}))
}

fn manifests() -> anyhow::Result<Value> {
    let (identity, now) = (key(1), "2026-11-21T12:00:00Z");
    let base = json!({
        "origin": "https://kino.example", "role": "server", "versions": ["v1"], "api_base": "/v1", "operator": {"en": "Kino"},
        "cinema_pages": [ContentName::of(b"{}").to_string()], "capabilities": ["feed"], "auth_methods": ["secret"],
        "payment_methods": ["none", "at_cinema"], "contact": {"email": "box@kino.example"}, "serial": 7,
        "issued": "2026-11-21T11:00:00Z", "expires": "2026-11-22T11:00:00Z",
        "keys": {"identity": identity.public().to_string(), "recovery": key(2).public().to_string(), "ticket": [
            {"key": key(3).public().to_string(), "signs_from": "2026-11-01T00:00:00Z", "signs_until": "2027-02-01T00:00:00Z",
             "verify_until": "2027-06-01T00:00:00Z"}]},
    });
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut manifest = base.clone();
        change(&mut manifest);
        manifest
    };
    let signed = |manifest: &Value, key: &SecretKey| json!(Jws::sign("admit-manifest+jws", manifest, key));
    let case =
        |jws: Value, known: Value| json!({"jws": jws, "origin": "https://kino.example", "now": now, "known": known});
    let usual = || case(signed(&base, &identity), Value::Null);
    let of = |change: &dyn Fn(&mut Value)| case(signed(&changed(change), &identity), Value::Null);
    let broken = |part: &str, text: &str| {
        let mut jws = signed(&base, &identity);
        jws[part] = json!(text);
        case(jws, Value::Null)
    };
    let known = |serial: u64, key: &SecretKey| {
        json!(Known { identity: key.public(), recovery: Some(self::key(2).public()), succession: 0, serial })
    };
    // The cinema after its recovery key gave it key 4, and what it says of itself then.
    let succession = |change: &dyn Fn(&mut Value), signer: u8| {
        let mut word = json!({"origin": "https://kino.example", "identity": key(4).public().to_string(), "number": 5});
        change(&mut word);
        json!(Jws::sign("admit-succession+jws", &word, &key(signer)))
    };
    let replaced = |succession: Value, known: Value| {
        let manifest = changed(&|m| {
            (m["keys"]["identity"], m["keys"]["succession"]) = (json!(key(4).public().to_string()), succession.clone());
        });
        case(signed(&manifest, &key(4)), known)
    };
    let by_word = |known: Value| replaced(succession(&|_| {}, 2), known);
    let after = |number: u32, serial: u64| {
        json!(Known { identity: key(4).public(), recovery: Some(key(2).public()), succession: number, serial })
    };
    let payload = signed(&base, &identity)["payload"].as_str().unwrap_or_default().to_owned();
    let good = [
        usual(),
        case(signed(&base, &identity), known(7, &identity)),
        of(&|m| m["org.example.more"] = json!({"is": "ignored"})),
        of(&|m| m["capabilities"] = json!(["feed", "a_later_one"])),
        of(&|m| m["issued"] = json!("2026-11-21T12:05:00Z")),
        of(&|m| (m["issued"], m["expires"]) = (json!("2026-11-14T12:00:01Z"), json!("2026-11-21T12:00:01Z"))),
        by_word(Value::Null),
        by_word(known(7, &identity)),
        by_word(known(900, &identity)),
        by_word(after(5, 7)),
        by_word(after(4, 900)),
    ];
    let bad = [
        (of(&|m| m["origin"] = json!("https://other.example")), "another origin"),
        (of(&|m| m["expires"] = json!("2026-11-21T12:00:00Z")), "expired at this very moment"),
        (of(&|m| m["expires"] = json!("2026-11-28T11:00:01Z")), "lives longer than 7 days"),
        (of(&|m| m["issued"] = json!("2026-11-21T12:05:01Z")), "issued more than 5 minutes in the future"),
        (of(&|m| m["keys"]["recovery"] = m["keys"]["identity"].clone()), "two keys are one"),
        (of(&|m| m["keys"]["ticket"][0]["key"] = m["keys"]["identity"].clone()), "tickets under the identity key"),
        (case(signed(&base, &key(9)), Value::Null), "signed by a key that it does not list as its identity"),
        (case(signed(&base, &identity), known(8, &identity)), "an older serial than is known"),
        (case(signed(&base, &identity), known(7, &key(9))), "another identity key than is known"),
        (by_word(after(5, 8)), "an older serial of the new identity key"),
        (by_word(after(6, 1)), "an identity key that was replaced"),
        (case(signed(&base, &identity), after(5, 1)), "the first identity key, after it was replaced"),
        (replaced(succession(&|_| {}, 9), known(7, &identity)), "a succession that another key signed"),
        (replaced(succession(&|_| {}, 1), known(7, &identity)), "a succession that the old identity key signed"),
        (
            replaced(succession(&|w| w["origin"] = json!("https://other.example"), 2), Value::Null),
            "another origin's succession",
        ),
        (
            replaced(succession(&|w| w["identity"] = json!(key(5).public().to_string()), 2), Value::Null),
            "a succession to another key",
        ),
        (replaced(succession(&|w| w["number"] = json!(0), 2), Value::Null), "a succession without a number"),
        (replaced(Value::Null, known(7, &identity)), "another identity key, and no word of the recovery key"),
        (
            case(
                signed(&changed(&|m| m["keys"]["recovery"] = json!(key(9).public().to_string())), &identity),
                known(7, &identity),
            ),
            "another recovery key than is known",
        ),
        (broken("signature", &"A".repeat(86)), "a signature of nothing"),
        (broken("payload", &format!("{payload}=")), "padded"),
        (broken("protected", "eyJhbGciOiJub25lIn0"), "no algorithm"),
        (broken("protected", "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9"), "another kind of object"),
    ];
    let accepts = |case: &Value| -> bool {
        let read = || -> anyhow::Result<Manifest> {
            let jws: Jws = serde_json::from_value(case["jws"].clone())?;
            let origin = Origin::parse(case["origin"].as_str().unwrap_or_default(), OriginPolicy::Public)?;
            let known = match &case["known"] {
                Value::Null => None,
                known => Some(serde_json::from_value(known.clone())?),
            };
            Ok(Manifest::accept(&jws, &origin, known, case["now"].as_str().unwrap_or_default().parse()?)?)
        };
        read().is_ok()
    };
    Ok(json!({"manifests": judged(&good, &bad, accepts)?, "moves": moves(&base, now)?}))
}

/// A server that says that it moved, and what is said where it says it is: good manifests both, of one server or not.
fn moves(base: &Value, now: &str) -> anyhow::Result<Value> {
    let (here, there) = ("https://kino.example", "https://film.example");
    let pair = |old: &dyn Fn(&mut Value), new: &dyn Fn(&mut Value), signer: u8| {
        let (mut left, mut met) = (base.clone(), base.clone());
        left["moved_to"] = json!(there);
        (met["origin"], met["moved_from"]) = (json!(there), json!([here]));
        old(&mut left);
        new(&mut met);
        let signed = |manifest: &Value, key: &SecretKey| json!(Jws::sign("admit-manifest+jws", manifest, key));
        json!({"old": signed(&left, &key(1)), "new": signed(&met, &key(signer)), "now": now,
            "old_origin": here, "new_origin": there})
    };
    let same = |_: &mut Value| ();
    let as_is = |new: &dyn Fn(&mut Value)| pair(&same, new, 1);
    let good = [
        as_is(&same),
        as_is(&|m| m["moved_from"] = json!(["https://first.example", here])),
        as_is(&|m| m["serial"] = json!(1)),
    ];
    let bad = [
        (as_is(&|m| m["moved_from"] = json!([])), "the new one does not say where it was"),
        (as_is(&|m| m["moved_from"] = json!(["https://other.example"])), "the new one was elsewhere"),
        (pair(&|m| m["moved_to"] = json!("https://other.example"), &same, 1), "the old one went elsewhere"),
        (pair(&|m| drop(m.as_object_mut().map(|m| m.remove("moved_to"))), &same, 1), "the old one is still there"),
        (pair(&same, &|m| m["keys"]["identity"] = json!(key(4).public().to_string()), 4), "another identity key"),
        (as_is(&|m| m["keys"]["recovery"] = json!(key(9).public().to_string())), "another recovery key"),
        (as_is(&|m| m["moved_from"] = json!([here, there])), "it came from where it is"),
    ];
    let accepts = |case: &Value| -> bool {
        let read = |which: &str| -> anyhow::Result<Manifest> {
            let jws: Jws = serde_json::from_value(case[which].clone())?;
            let at = case[format!("{which}_origin")].as_str().unwrap_or_default();
            let origin = Origin::parse(at, OriginPolicy::Public)?;
            Ok(Manifest::accept(&jws, &origin, None, case["now"].as_str().unwrap_or_default().parse()?)?)
        };
        read("old").and_then(|old| Ok(read("new")?.check_moved_from(&old)?)).is_ok()
    };
    judged(&good, &bad, accepts)
}

fn policies() -> anyhow::Result<Value> {
    let eur = |amount: i64| json!({"amount": amount, "currency": "EUR"});
    let tier = |until: u32, percent: u8| json!({"until_before_start_s": until, "refund_percent": percent});
    let two = json!({"tiers": [tier(86_400, 100), tier(3600, 50)]});
    let fee = json!({"tiers": [tier(3600, 50)], "fee_per_ticket": eur(155)});
    let dear = json!({"tiers": [tier(3600, 10)], "fee_per_ticket": eur(500)});
    let start = "2026-11-21T20:00:00Z";
    let mut cases = Vec::new();
    for (policy, price, now, refund) in [
        (&two, 1055, "2026-11-20T19:59:59.999Z", Some(1055)),
        (&two, 1055, "2026-11-20T20:00:00Z", Some(528)),
        (&two, 1055, "2026-11-21T18:59:59.999Z", Some(528)),
        (&two, 1055, "2026-11-21T19:00:00Z", None),
        (&two, 1055, "2026-11-22T19:00:00Z", None),
        (&fee, 1055, "2026-11-21T10:00:00Z", Some(373)),
        (&dear, 1055, "2026-11-21T10:00:00Z", Some(0)),
        (&json!({"tiers": []}), 1055, "2026-11-01T10:00:00Z", None),
        (&two, 0, "2026-11-20T10:00:00Z", Some(0)),
    ] {
        let ours: CancellationPolicy = serde_json::from_value(policy.clone())?;
        let ours = ours.refund(Money::new(price, "EUR".parse()?)?, start.parse()?, now.parse()?)?.map(|m| m.amount());
        ensure!(ours == refund, "of {price} by {policy} at {now} ours gives back {ours:?}");
        cases.push(json!({"policy": policy, "price": eur(price), "starts_at": start, "now": now, "refund": refund}));
    }
    Ok(json!({"refunds": cases}))
}

fn prices() -> anyhow::Result<Value> {
    let eur = |amount: i64| json!({"amount": amount, "currency": "EUR"});
    let offer = |ticket_type: &str, zone: &str, base: i64, fee: i64| {
        json!({"ticket_type": ticket_type, "zone": zone, "base": eur(base), "total": eur(base + fee),
            "fees": [{"id": "vvk", "name": {"en": "Advance fee"}, "amount": eur(fee)}]})
    };
    let table = json!({
        "currency": "EUR",
        "ticket_types": [
            {"id": "adult", "name": {"en": "Adult"}, "audience": "adult"},
            {"id": "child", "name": {"en": "Child"}, "audience": "child", "needs_one_of": ["adult"], "each_goes_with": 2},
            {"id": "carer", "name": {"en": "Carer"}, "audience": "carer", "needs_one_of": ["adult", "child"]},
        ],
        "offers": [offer("adult", "front", 900, 50), offer("adult", "back", 1200, 50), offer("child", "front", 450, 50), offer("carer", "back", 0, 0)],
        "booking_fees": [{"id": "book", "name": {"en": "Booking fee"}, "amount": eur(80)}],
    });
    let read: PriceTable = serde_json::from_value(table.clone())?;
    let mut cases = Vec::new();
    for (tickets, total) in [
        (vec![("adult", "front")], Some(1030)),
        (vec![("adult", "front"), ("adult", "back")], Some(2280)),
        (vec![("adult", "front"), ("child", "front"), ("child", "front")], Some(2030)),
        (vec![("adult", "front"), ("child", "front"), ("child", "front"), ("child", "front")], None),
        (vec![("child", "front")], None),
        (vec![("adult", "back"), ("carer", "back")], Some(1330)),
        (vec![("adult", "back"), ("carer", "back"), ("carer", "back")], None),
        (vec![("child", "back"), ("adult", "back")], None),
        (vec![("astronaut", "front")], None),
    ] {
        let parsed: Vec<_> = tickets
            .iter()
            .enumerate()
            .map(|(n, (kind, zone))| {
                Ok((SeatId::parse(&format!("s{n}"))?, ZoneId::parse(zone)?, TicketTypeId::parse(kind)?))
            })
            .collect::<anyhow::Result<_>>()?;
        let ours = admit_booking::price::quote(&read, &parsed).ok().map(|quote| quote.total.amount());
        ensure!(ours == total, "{tickets:?} come to {ours:?} for ours");
        let tickets: Vec<_> = tickets.iter().map(|(kind, zone)| json!({"ticket_type": kind, "zone": zone})).collect();
        cases.push(json!({"tickets": tickets, "total": total}));
    }
    Ok(json!({"price_table": [table], "totals": cases}))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> anyhow::Result<[u8; N]> {
    let bytes: Vec<u8> =
        (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16)).collect::<Result<_, _>>()?;
    bytes.try_into().map_err(|_| anyhow::anyhow!("{text} has another length"))
}
