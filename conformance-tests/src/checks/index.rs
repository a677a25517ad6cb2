//! Indexes: what they list, and what they must not be talked into.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Checked, Stop, must};
use crate::fake::{Fake, Place, Said};
use crate::stage::{good, refused};
use crate::target::{Mode, Target};
use crate::wire::Ask;

/// Syllables of names that nobody has.
const SYLLABLES: [&str; 16] =
    ["bo", "da", "fe", "gu", "ha", "jo", "ka", "lu", "me", "no", "pa", "ri", "so", "tu", "ve", "zo"];

fn acts(target: &Target) -> Checked {
    match target.mode {
        Mode::Observe => Err(Stop::NotRun("it announces servers of the suite's own: --sandbox".into())),
        _ => Ok(()),
    }
}

/// A place with a name of its own.
fn place(target: &mut Target) -> Place {
    let bytes = target.fresh();
    let word = |from: usize| {
        let word: String = bytes[from..from + 4].iter().map(|b| SYLLABLES[usize::from(b % 16)]).collect();
        word[..1].to_uppercase() + &word[1..]
    };
    Place {
        name: format!("Kino {}", word(0)),
        city: "Zagreb",
        country: "HR",
        zone: "Europe/Zagreb",
        lat_e6: 45_800_000 + i64::from(bytes[9]) * 100,
        lon_e6: 15_970_000 + i64::from(bytes[10]) * 100,
        film: format!("The {} of {}", word(12), word(16)),
    }
}

async fn start(target: &mut Target, place: &Place, lie: impl Fn(&mut Said, bool)) -> Checked<Fake> {
    Ok(Fake::start(place, target.fresh(), lie).await?)
}

async fn announce(target: &mut Target, origin: &str) -> Result<Value, String> {
    let path = target.api("/announcements")?;
    good(&target.wire.send(&Ask::post(path, &json!({"origin": origin}))).await?, 200)
}

async fn listed(target: &mut Target, place: &Place) -> Checked<Fake> {
    acts(target)?;
    let fake = start(target, place, |_, _| ()).await?;
    let said = announce(target, &fake.origin).await?;
    must(said["listed"] == true, || format!("a server in order is not listed: {said}"))?;
    Ok(fake)
}

async fn find(target: &mut Target, what: &str, query: &str) -> Result<Vec<Value>, String> {
    let (list, path) = match what {
        "cinemas" => ("listings", "/cinemas"),
        "films" => ("films", "/films"),
        _ => ("screenings", "/screenings"),
    };
    let path = target.api(&format!("{path}?{query}"))?;
    let found = good(&target.wire.send(&Ask::get(path)).await?, 200)?;
    found[list].as_array().cloned().ok_or_else(|| format!("there is no list `{list}`"))
}

/// Whether a server's cinema is among what is found.
async fn has(target: &mut Target, fake: &Fake, query: &str) -> Result<bool, String> {
    let found = find(target, "cinemas", query).await?;
    Ok(found.iter().any(|l| l["origin"] == fake.origin.as_str()))
}

async fn must_find(target: &mut Target, fake: &Fake, query: &str, finds: bool) -> Result<(), String> {
    let found = has(target, fake, query).await?;
    must(found == finds, || format!("{query}: the cinema is {}found", if found { "" } else { "not " }))
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}

pub(super) async fn role(target: &mut Target) -> Checked {
    let role = target.member("role")?;
    Ok(must(role == "index", || format!("its role is {role}"))?)
}

pub(super) async fn lists(target: &mut Target) -> Checked {
    let place = place(target);
    let fake = listed(target, &place).await?;
    let path = target.api(&format!("/announcements?origin={}", encoded(&fake.origin)))?;
    let why = good(&target.wire.send(&Ask::get(path)).await?, 200)?;
    let steps = why["steps"].as_array().ok_or("there are no steps")?;
    let all = steps.iter().all(|s| s["ok"] == true && s["at"].is_string());
    must(why["listed"] == true && !steps.is_empty() && all, || format!("it says {why}"))?;
    must_find(target, &fake, &format!("q={}", encoded(&place.name)), true).await?;
    // Two letters are the other way round.
    let mut typo: Vec<char> = place.name.chars().collect();
    typo.swap(7, 8);
    let typo: String = typo.into_iter().collect();
    must_find(target, &fake, &format!("q={}", encoded(&typo)), true).await?;
    must_find(target, &fake, &format!("q={}", encoded(&place.name.to_uppercase())), true).await?;
    must_find(target, &fake, "q=Xyzzyq%20Plughwort", false).await?;
    Ok(())
}

pub(super) async fn places(target: &mut Target) -> Checked {
    let place = place(target);
    let fake = listed(target, &place).await?;
    let (lat, lon) = (place.lat_e6, place.lon_e6);
    let near = |lat: i64, lon: i64, radius: u32| format!("lat_e6={lat}&lon_e6={lon}&radius_m={radius}&limit=100");
    must_find(target, &fake, &near(lat, lon, 100), true).await?;
    // A hundredth of a degree of latitude is 1,112 m.
    must_find(target, &fake, &near(lat + 10_000, lon, 1_200), true).await?;
    must_find(target, &fake, &near(lat + 10_000, lon, 1_000), false).await?;
    let around = |south: i64, west: i64, north: i64, east: i64| format!("box={south},{west},{north},{east}&limit=100");
    must_find(target, &fake, &around(lat - 10, lon - 10, lat + 10, lon + 10), true).await?;
    must_find(target, &fake, &around(lat + 10, lon - 10, lat + 20, lon + 10), false).await?;
    // West of it begins east of it: the box goes round the world.
    must_find(target, &fake, &around(lat - 10, lon + 10, lat + 10, lon - 10), false).await?;
    must_find(target, &fake, &around(lat - 10, lon - 10, lat + 10, lon - 20), true).await?;
    let name = encoded(&place.name);
    must_find(target, &fake, &format!("q={name}&country=HR"), true).await?;
    must_find(target, &fake, &format!("q={name}&country=CZ"), false).await?;
    must_find(target, &fake, &format!("q={name}&city=Zagreb"), true).await?;
    must_find(target, &fake, &format!("q={name}&city=Split"), false).await?;
    let found = find(target, "cinemas", &near(lat + 10_000, lon, 1_200)).await?;
    let mine = found.iter().find(|l| l["origin"] == fake.origin.as_str()).ok_or("it was there a moment ago")?;
    let far = mine["distance_m"].as_f64().unwrap_or_default();
    must((1_105.0..1_120.0).contains(&far), || format!("1,112 m away, it says {far}"))?;
    let distances: Vec<f64> = found.iter().filter_map(|l| l["distance_m"].as_f64()).collect();
    Ok(must(distances.is_sorted(), || format!("not the nearest first: {distances:?}"))?)
}

pub(super) async fn shown(target: &mut Target) -> Checked {
    if !target.has("screenings") {
        return Err(Stop::NotRun("the index does not offer screenings".into()));
    }
    let place = place(target);
    let fake = listed(target, &place).await?;
    let title = encoded(&place.film);
    let films = find(target, "films", &format!("q={title}")).await?;
    let film = films.iter().find(|f| f["film"]["title"]["en"] == place.film.as_str());
    film.ok_or_else(|| format!("{} is shown, and not found", place.film))?;
    let hints = find(target, "screenings", &format!("q={title}&limit=100")).await?;
    let mine: Vec<&Value> = hints.iter().filter(|h| h["origin"] == fake.origin.as_str()).collect();
    must(mine.len() == 2, || format!("two screenings are to come, and {} are found", mine.len()))?;
    let marked = mine.iter().all(|h| h["seen_at"].is_string() && h["listing"].is_string());
    must(marked, || "a hint does not say when it was seen, or of which listing it is".into())?;
    let starts: Vec<&str> = mine.iter().filter_map(|h| h["screening"]["starts_at"]["at"].as_str()).collect();
    Ok(must(starts.is_sorted(), || format!("not the first first: {starts:?}"))?)
}

pub(super) async fn unchanged(target: &mut Target) -> Checked {
    let place = place(target);
    let fake = listed(target, &place).await?;
    let path = target.api(&format!("/manifests?origin={}", encoded(&fake.origin)))?;
    let passed_on = good(&target.wire.send(&Ask::get(path)).await?, 200)?;
    let same = ["protected", "payload", "signature"].iter().all(|part| passed_on[part] == fake.jws[part]);
    must(same, || "the manifest that it passes on is not the one that it was given".into())?;
    let nobody = target.api(&format!("/manifests?origin={}", encoded("http://127.0.0.1:9")))?;
    refused(&target.wire.send(&Ask::get(nobody)).await?, 404, "not_found")?;
    Ok(())
}

pub(super) async fn looks_once(target: &mut Target) -> Checked {
    let place = place(target);
    let fake = listed(target, &place).await?;
    let looks = fake.looks();
    for _ in 0..5 {
        announce(target, &fake.origin).await?;
    }
    Ok(must(fake.looks() == looks, || {
        format!("announced five times more, it looked {} times more", fake.looks() - looks)
    })?)
}

/// A server that lies, and what must not come of it.
pub(super) type Liar = (&'static str, fn(&mut Said, bool));

pub(super) const LIARS: &[Liar] = &[
    ("it speaks for another origin", |s, _| s.manifest["origin"] = json!("https://other.example")),
    ("its manifest is expired", |s, _| {
        (s.manifest["issued"], s.manifest["expires"]) = (json!("2020-01-01T00:00:00Z"), json!("2020-01-02T00:00:00Z"));
    }),
    ("its manifest lives for a year", |s, _| s.manifest["expires"] = json!("2099-01-01T00:00:00Z")),
    ("its manifest is of tomorrow", |s, _| {
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(20);
        (s.manifest["issued"], s.manifest["expires"]) =
            (json!(later), json!(later + jiff::SignedDuration::from_hours(20)));
    }),
    ("its signature is of something else", |s, signed| {
        if signed {
            let signature = s.jws["signature"].as_str().unwrap_or_default().to_owned();
            let other = if signature.starts_with('A') { "B" } else { "A" };
            s.jws["signature"] = json!(format!("{other}{}", &signature[1..]));
        }
    }),
    ("its header is of another kind of object", |s, _| s.header["typ"] = json!("JWT")),
    ("its header names no algorithm", |s, _| s.header["alg"] = json!("none")),
    ("its header brings a key of its own", |s, _| s.header["jwk"] = json!({"kty": "OKP"})),
    ("its keys are one key", |s, _| s.manifest["keys"]["recovery"] = s.manifest["keys"]["identity"].clone()),
    ("the recovery key's word for its identity key is of another key", |s, _| {
        let word = json!({"origin": s.manifest["origin"], "identity": s.key(1), "number": 1});
        s.manifest["keys"]["succession"] = s.signed_by(5, "admit-succession+jws", &word);
    }),
    ("the recovery key's word is for another identity key", |s, _| {
        let word = json!({"origin": s.manifest["origin"], "identity": s.key(4), "number": 1});
        s.manifest["keys"]["succession"] = s.signed_by(2, "admit-succession+jws", &word);
    }),
    ("it is an index", |s, _| s.manifest["role"] = json!("index")),
    ("its API is elsewhere", |s, _| s.manifest["api_base"] = json!("//other.example/v1")),
    ("its page of cinemas is another one", |s, _| {
        s.manifest["cinema_pages"] = json!(["sha256-RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o"]);
    }),
    ("it sends the fetcher elsewhere", |s, signed| {
        if signed {
            let jws = s.jws.to_string();
            let to = ("location", "/elsewhere".to_owned());
            s.instead.push(("/.well-known/admit", StatusCode::FOUND, String::new(), vec![to]));
            s.instead.push(("/elsewhere", StatusCode::OK, jws, vec![("content-type", "application/json".to_owned())]));
        }
    }),
    ("its manifest is larger than any", |s, _| s.manifest["org.example.padding"] = json!("p".repeat(400_000))),
    ("it says a member twice", |s, signed| {
        if signed {
            let twice = s.jws.to_string().replacen('{', "{\"payload\":\"e30\",", 1);
            s.instead.push((
                "/.well-known/admit",
                StatusCode::OK,
                twice,
                vec![("content-type", "application/json".to_owned())],
            ));
        }
    }),
    ("it has no cinema", |s, _| s.cinemas = json!({"cinemas": []})),
    ("its cinema is nowhere on earth", |s, _| s.cinemas["cinemas"][0]["position"]["lat_e6"] = json!(95_000_000)),
    ("its name turns letters round", |s, _| s.cinemas["cinemas"][0]["name"] = json!({"en": "Kino \u{202e}oniK"})),
];

pub(super) async fn liars(target: &mut Target) -> Checked {
    acts(target)?;
    for (what, lie) in LIARS {
        let place = place(target);
        let fake = start(target, &place, lie).await?;
        let said = announce(target, &fake.origin).await.map_err(|why| format!("{what}: {why}"))?;
        let steps = said["steps"].as_array().cloned().unwrap_or_default();
        let failed: Vec<&Value> = steps.iter().filter(|s| s["ok"] == false).collect();
        must(said["listed"] == false && !failed.is_empty(), || format!("{what}, and it is listed: {said}"))?;
        must(failed.len() == 1 && steps.last() == Some(failed[0]), || {
            format!("{what}: the first failure ends a look, {said}")
        })?;
        let tells = failed[0]["detail"].as_str().is_some_and(|detail| !detail.is_empty());
        must(tells, || format!("{what}: it does not say why, {said}"))?;
        let step = STEP_OF.iter().find(|(lie, _)| lie == what).map_or("manifest", |(_, step)| step);
        must(failed[0]["step"] == step, || {
            format!("{what}: that is found in the step {step}, not in {}", failed[0]["step"])
        })?;
        let path = target.api(&format!("/manifests?origin={}", encoded(&fake.origin)))?;
        refused(&target.wire.send(&Ask::get(path)).await?, 404, "not_found")
            .map_err(|why| format!("{what}, and its manifest is passed on: {why}"))?;
        must_find(target, &fake, &format!("q={}", encoded(&place.name)), false)
            .await
            .map_err(|why| format!("{what}: {why}"))?;
    }
    Ok(())
}

/// In which step these are found; the others in `manifest`.
const STEP_OF: [(&str, &str); 7] = [
    ("its page of cinemas is another one", "cinemas"),
    ("it sends the fetcher elsewhere", "fetch"),
    ("its manifest is larger than any", "fetch"),
    ("it says a member twice", "fetch"),
    ("it has no cinema", "cinemas"),
    ("its cinema is nowhere on earth", "cinemas"),
    ("its name turns letters round", "cinemas"),
];

pub(super) async fn moved(target: &mut Target) -> Checked {
    acts(target)?;
    let place = place(target);
    let (old, new) = Fake::start_moved(&place, target.fresh(), |_, _| ()).await?;
    let said = announce(target, &old.origin).await?;
    must(said["listed"] == false, || format!("it moved, and is listed where it was: {said}"))?;
    must(said["moved_to"] == new.origin.as_str(), || format!("it does not say where it is now: {said}"))?;
    let query = format!("q={}", encoded(&place.name));
    must_find(target, &new, &query, true).await?;
    must_find(target, &old, &query, false).await?;
    for (what, lie) in super::client::NOT_MOVED {
        let (old, _new) = Fake::start_moved(&place, target.fresh(), lie).await?;
        let said = announce(target, &old.origin).await.map_err(|why| format!("{what}: {why}"))?;
        must(said["listed"] == false, || format!("{what}, and it is listed where it was: {said}"))?;
        must(said["moved_to"].is_null(), || format!("{what}, and the move is believed: {said}"))?;
    }
    Ok(())
}

pub(super) async fn own_words(target: &mut Target) -> Checked {
    acts(target)?;
    let place = place(target);
    let words = "Visit-my-shop-at-spam.example";
    let fake = start(target, &place, |s, signed| {
        if signed {
            let body = format!("{{\"detail\": \"{words}\"}}");
            s.instead.push((
                "/.well-known/admit",
                StatusCode::INTERNAL_SERVER_ERROR,
                body,
                vec![("server", words.to_owned())],
            ));
        }
    })
    .await?;
    let said = announce(target, &fake.origin).await?;
    Ok(must(said["listed"] == false && !said.to_string().contains(words), || {
        format!("it repeats what the server said: {said}")
    })?)
}

pub(super) async fn bad_record(target: &mut Target) -> Checked {
    acts(target)?;
    let place = place(target);
    let fake = start(target, &place, |s, _| {
        // One screening that ends before it begins; the other is good.
        let starts = s.programme["screenings"][0]["starts_at"].clone();
        let mut ends = starts.clone();
        ends["at"] = json!("2001-01-01T00:00:00Z");
        ends["local"] = json!("2001-01-01T01:00:00+01:00");
        s.programme["screenings"][0]["ends_at"] = ends;
        // One cinema that is nowhere on earth, beside a good one.
        let mut nowhere = s.cinemas["cinemas"][0].clone();
        nowhere["id"] = json!("nowhere");
        nowhere["position"]["lat_e6"] = json!(95_000_000);
        if let Some(all) = s.cinemas["cinemas"].as_array_mut() {
            all.push(nowhere);
        }
    })
    .await?;
    let said = announce(target, &fake.origin).await?;
    must(said["listed"] == true, || format!("one bad screening and one bad cinema, and nothing is listed: {said}"))?;
    if !target.has("screenings") {
        return Ok(());
    }
    let hints = find(target, "screenings", &format!("q={}&limit=100", encoded(&place.film))).await?;
    let mine = hints.iter().filter(|h| h["origin"] == fake.origin.as_str()).count();
    Ok(must(mine == 1, || {
        format!("of two screenings one ends before it starts (PROG-008) and is dropped alone: {mine} are found, not 1")
    })?)
}

/// What nobody knows yet is passed over, in documents as in parameters.
pub(super) async fn unknown(target: &mut Target) -> Checked {
    acts(target)?;
    let place = place(target);
    let fake = start(target, &place, |s, _| {
        for document in [&mut s.manifest, &mut s.cinemas["cinemas"][0], &mut s.programme["screenings"][0]] {
            document["org.example.later"] = json!({"anything": [1, null]});
        }
        s.manifest["capabilities"] = json!(["of_the_future"]);
        s.programme["screenings"][0]["attributes"] = json!(["of_the_future"]);
        s.programme["screenings"][1]["note"] = Value::Null;
    })
    .await?;
    let path = target.api("/announcements")?;
    let ask = Ask::post(path, &json!({"origin": fake.origin, "org.example.later": true}));
    let said = good(&target.wire.send(&ask).await?, 200)?;
    must(said["listed"] == true, || format!("members and words that nobody knows, and it is not listed: {said}"))?;
    Ok(must_find(target, &fake, &format!("q={}&of_the_future=1", encoded(&place.name)), true).await?)
}

/// No more than asked for, whatever is asked for.
pub(super) async fn limits(target: &mut Target) -> Checked {
    let (one, other) = (place(target), place(target));
    let _fakes = (listed(target, &one).await?, listed(target, &other).await?);
    for (limit, most) in [("1", 1), ("0", 1), ("1000000", 100)] {
        let found = find(target, "cinemas", &format!("country=HR&limit={limit}")).await?;
        must(!found.is_empty() && found.len() <= most, || format!("limit={limit}: {} are found", found.len()))?;
    }
    if target.has("screenings") {
        for (date, some) in [("2001-02-03", false), ("tomorrow", true)] {
            let all = find(target, "screenings", &format!("q={}&date={date}&limit=100", encoded(&one.film))).await?;
            let said = all.iter().filter_map(|hint| hint["screening"]["business_date"].as_str()).collect::<Vec<_>>();
            must(some || said.is_empty(), || format!("nothing is shown on {date}, and there is {said:?}"))?;
            must(said.windows(2).all(|pair| pair[0] == pair[1]), || format!("on {date}, it finds {said:?}"))?;
        }
    }
    Ok(())
}

pub(super) async fn media_type(target: &mut Target) -> Checked {
    let found = target.api("/cinemas?country=HR")?;
    for path in ["/.well-known/admit".to_owned(), found] {
        let answer = target.wire.send(&Ask::get(&path)).await?;
        let media = answer.header("content-type");
        must(media.starts_with("application/json"), || format!("{path} is {media:?}"))?;
        let origin = answer.header("access-control-allow-origin");
        must(origin == "*", || format!("{path}: Access-Control-Allow-Origin is {origin:?}"))?;
    }
    let manifest = target.wire.send(&Ask::get("/.well-known/admit")).await?;
    let etag = manifest.header("etag").to_owned();
    must(!etag.is_empty(), || "the manifest has no ETag".into())?;
    Ok(())
}

pub(super) async fn addresses(target: &mut Target) -> Checked {
    acts(target)?;
    for bad in [
        "https://127.0.0.1",
        "https://10.0.0.1",
        "https://[::1]",
        "https://169.254.169.254",
        "https://kino.example/path",
        "https://kino.example:8443",
        "https://user@kino.example",
        "https://kino.example.",
        "https://localhost",
        "http://kino.example",
        "ftp://kino.example",
        "kino",
        "",
    ] {
        let path = target.api("/announcements")?;
        let answer = target.wire.send(&Ask::post(path, &json!({"origin": bad}))).await?;
        let problem = refused(&answer, 422, "invalid").map_err(|why| format!("{bad:?} is announced: {why}"))?;
        must(problem["pointers"] == json!(["/origin"]), || format!("{bad:?}: it points to {problem}"))?;
    }
    Ok(())
}

pub(super) async fn bad_questions(target: &mut Target) -> Checked {
    for bad in [
        "lat_e6=95000000&lon_e6=0",
        "lat_e6=0",
        "lat_e6=x&lon_e6=0",
        "box=1,2,3",
        "box=10,0,-10,0",
        "date=yesterdayish",
        "limit=-1",
    ] {
        let path = target.api(&format!("/cinemas?{bad}"))?;
        let answer = target.wire.send(&Ask::get(path)).await?;
        let problem = answer.header("content-type").starts_with("application/problem+json");
        must((400..500).contains(&answer.status) && problem, || format!("{bad}: status {}", answer.status))?;
    }
    // One that nobody can answer is answered with nothing.
    for odd in ["q=%F0%9F%8E%AC", "q=%27%22%3B--", "q=%25%25%5F", "city=%00"] {
        let path = target.api(&format!("/cinemas?{odd}"))?;
        let answer = target.wire.send(&Ask::get(path)).await?;
        must(answer.status < 500, || format!("{odd}: status {}", answer.status))?;
    }
    Ok(())
}
