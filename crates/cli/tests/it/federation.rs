//! Index and cinema as processes: announced, found, distrusted, asked why.

use std::process::Stdio;

use admit_client::Search;
use serde_json::Value;

use crate::folder::{Folder, Serving, admit, client, run, says};

pub(crate) struct IndexFolder(Folder);

impl std::ops::Deref for IndexFolder {
    type Target = Folder;
    fn deref(&self) -> &Folder {
        &self.0
    }
}

pub(crate) fn index() -> IndexFolder {
    IndexFolder(Folder::init("index"))
}

impl IndexFolder {
    pub(crate) async fn serve(&self) -> Serving {
        let child = admit(&["serve", "index", self.text()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let serving = Serving(child.expect("starts"));
        for _ in 0..500 {
            if client(1).index(&self.origin).await.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        serving
    }
}

#[tokio::test]
async fn two_indexes_that_know_one_cinema_list_it_once_and_one_may_be_down() {
    let cinema = Folder::new(2, 1);
    let _cinema = cinema.serve();
    cinema.meet(&client(1)).await;
    let (first, second) = (index(), index());
    let (one, _two) = (first.serve().await, second.serve().await);
    for index in [&first, &second] {
        let listed = run(&["index", "announce", &index.origin, &cinema.origin]);
        assert!(listed.status.success(), "{}", says(&listed));
    }
    let both = format!("{},{}", first.origin, second.origin);
    let find = || {
        let output = run(&["--json", "find", "--index", &both, "kino"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", says(&output)));
        found.as_array().map(Vec::len)
    };
    assert_eq!(find(), Some(1));
    drop(one);
    assert_eq!(find(), Some(1), "the other one still answers");
}

#[tokio::test]
async fn an_index_says_why_a_server_is_not_listed_and_remembers_over_a_restart() {
    let index = index();
    let serving = index.serve().await;
    let nobody = "http://127.0.0.1:9";
    let refused = run(&["index", "announce", &index.origin, nobody]);
    assert!(!refused.status.success() && says(&refused).contains("no connection"), "{}", says(&refused));
    // F6: asked again, the index does not look again, and says the same.
    let again = run(&["--json", "index", "announce", &index.origin, nobody]);
    let why = run(&["--json", "index", "why", &index.origin, nobody]);
    assert_eq!(again.stdout, why.stdout);
    drop(serving);
    let _serving = index.serve().await;
    let after = run(&["--json", "index", "why", &index.origin, nobody]);
    assert_eq!(after.stdout, why.stdout);
    let another = client(1).index(&index.origin).await.expect("an index");
    assert!(another.announce("http://127.0.0.1:9/path").await.is_err(), "an address is an origin");
    assert!(another.cinemas(&Search::default()).await.expect("answers").listings.is_empty());
}

/// An index that runs, and a cinema that it lists and that is down again.
async fn listed() -> (Folder, IndexFolder, Serving) {
    let cinema = Folder::new(2, 1);
    let index = index();
    let serving = index.serve().await;
    {
        let _cinema = cinema.serve();
        cinema.meet(&client(1)).await;
        assert!(run(&["index", "announce", &index.origin, &cinema.origin]).status.success());
    }
    (cinema, index, serving)
}

/// Announces a server once more, as if the last look were long ago; `meanwhile` is done to what the index has on disk.
async fn looked_at_again(index: &IndexFolder, cinema: &Folder, meanwhile: &str) -> (bool, String) {
    let db = rusqlite::Connection::open(index.path.join("index.sqlite")).expect("opens");
    db.execute_batch(&format!("UPDATE look SET at = 0; {meanwhile}")).expect("changes");
    drop(db);
    let _serving = index.serve().await;
    let found = run(&["index", "announce", &index.origin, &cinema.origin]);
    (found.status.success(), says(&found))
}

/// A server comes up with another identity key: somebody may be taking its place.
async fn with_key(cinema: &Folder, n: u8) -> Serving {
    let key = serde_json::json!({"seed": vec![n; 32]}).to_string();
    std::fs::write(cinema.path.join("keys/identity.json"), key).expect("writes");
    let serving = cinema.serve();
    cinema.meet(&client(1)).await;
    serving
}

#[tokio::test]
async fn a_server_with_other_keys_is_in_quarantine_for_14_days_or_until_the_operator_has_asked() {
    let (cinema, index, serving) = listed().await;
    let other = with_key(&cinema, 9).await;
    // Within five minutes it does not look again, also after a restart: it says what it found last.
    drop(serving);
    let serving = index.serve().await;
    assert!(run(&["index", "announce", &index.origin, &cinema.origin]).status.success());
    drop(serving);
    let (listed, why) = looked_at_again(&index, &cinema, "").await;
    assert!(!listed && why.contains("is known for this origin") && why.contains("are believed from"), "{why}");
    assert!(why.contains("still listed as it was"), "{why}");
    {
        let _serving = index.serve().await;
        let found =
            run(&["find", "--index", &index.origin, "--index", "http://127.0.0.1:9", "kino", "--date", "2001-01-01"]);
        let found = says(&found);
        assert!(found.contains("no cinema fits") && found.contains("127.0.0.1:9 is left out"), "{found}");
    }
    const A_MINUTE_SHORT: &str = "UPDATE quarantine SET since = since - 14 * 86400000 + 60000";
    const A_MINUTE: &str = "UPDATE quarantine SET since = since - 60000";
    assert!(!looked_at_again(&index, &cinema, A_MINUTE_SHORT).await.0);
    drop(other);
    let other = with_key(&cinema, 10).await;
    assert!(!looked_at_again(&index, &cinema, A_MINUTE).await.0, "another key, another quarantine");
    assert!(!looked_at_again(&index, &cinema, A_MINUTE_SHORT).await.0);
    assert!(looked_at_again(&index, &cinema, A_MINUTE).await.0, "14 days of the same");
    drop(other);
    let trust = |key: &str| run(&["index", "trust", index.text(), &cinema.origin, key]);
    let own = || {
        let keys = run(&["--json", "keys", "list", cinema.text()]);
        let keys: Value = serde_json::from_slice(&keys.stdout).unwrap_or_else(|_| panic!("{}", says(&keys)));
        keys["identity"].as_str().expect("a key").to_owned()
    };
    let before = own();
    assert!(says(&trust(&before)).contains("there is nothing to trust"));
    let _other = with_key(&cinema, 11).await;
    assert!(!looked_at_again(&index, &cinema, "").await.0);
    assert!(says(&trust(&before)).contains("ask again which is its own"), "whoever is there now is not meant");
    assert!(trust(&own()).status.success());
    let (listed, why) = looked_at_again(&index, &cinema, "").await;
    assert!(listed, "the operator has asked: {why}");
}

#[tokio::test]
async fn a_server_whose_recovery_key_has_spoken_stays_listed() {
    let (cinema, index, serving) = listed().await;
    drop(serving);
    let stolen = std::fs::read(cinema.path.join("keys/identity.json")).expect("reads");
    let recovery = cinema.path.join("keys/recovery.json");
    let replaced = run(&["keys", "replace-identity", cinema.text(), "--recovery", recovery.to_str().expect("a path")]);
    assert!(replaced.status.success(), "{}", says(&replaced));
    {
        let _cinema = cinema.serve();
        cinema.meet(&client(1)).await;
        let (listed, why) = looked_at_again(&index, &cinema, "").await;
        assert!(listed, "{why}");
    }
    std::fs::write(cinema.path.join("keys/identity.json"), stolen).expect("writes");
    let _thief = cinema.serve();
    cinema.meet(&client(1)).await;
    let (listed, why) = looked_at_again(&index, &cinema, "").await;
    assert!(!listed && why.contains("was replaced by its recovery key"), "{why}");
}

#[test]
fn the_french_list_is_imported_in_seconds() {
    let Some(data) = crate::data::folder("the French national list") else { return };
    let index = index();
    let file = data.join("cinemas/fr-cnc-2022.csv");
    let began = std::time::Instant::now();
    let imported = run(&["--json", "index", "import", index.text(), file.to_str().expect("a path")]);
    let report: Value = serde_json::from_slice(&imported.stdout).unwrap_or_else(|_| panic!("{}", says(&imported)));
    println!("{} imported in {:?}, refused: {}", report["imported"], began.elapsed(), report["refused"]);
    assert!(report["imported"].as_u64() >= Some(2050), "{report}");
    let again = run(&["--json", "index", "import", index.text(), file.to_str().expect("a path")]);
    assert_eq!(again.stdout, imported.stdout, "the same list again is the same listings");
}

#[tokio::test]
async fn a_list_that_does_not_say_the_country_makes_nobody_forget_it() {
    let index = index();
    let list = index.path.join("list.geojson");
    let point = serde_json::json!({"id": "a", "properties": {"name": "Kino"}, "geometry": {"type": "Point", "coordinates": [14, 50]}});
    let file = serde_json::json!({"type": "FeatureCollection", "features": [point]});
    std::fs::write(&list, file.to_string()).expect("writes");
    let list = list.to_str().expect("a path");
    assert!(run(&["index", "import", index.text(), list, "--country", "CZ"]).status.success());
    assert!(run(&["index", "import", index.text(), list]).status.success());
    let _serving = index.serve().await;
    let output = run(&["--json", "find", "--index", &index.origin, "--country", "cz"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", says(&output)));
    assert_eq!(found[0]["address"]["country"], "CZ");
}

#[tokio::test]
async fn a_merge_hides_one_of_two_and_never_both() {
    let index = index();
    let list = index.path.join("list.geojson");
    let point = |id: &str, lon: f64| {
        serde_json::json!({"id": id, "properties": {"name": format!("Kino {id}")},
            "geometry": {"type": "Point", "coordinates": [lon, 50.0]}})
    };
    let restaurant = serde_json::json!({"properties": {"name": "Kino Grill", "amenity": "restaurant"},
        "geometry": {"type": "Point", "coordinates": [3.0, 50.0]}});
    let features = [point("a", 1.0), point("b", 2.0), point("a", 1.5), restaurant];
    let file = serde_json::json!({"type": "FeatureCollection", "features": features});
    std::fs::write(&list, file.to_string()).expect("writes");
    let imported = run(&["--json", "index", "import", index.text(), list.to_str().expect("a path")]);
    let report: Value = serde_json::from_slice(&imported.stdout).unwrap_or_else(|_| panic!("{}", says(&imported)));
    assert_eq!(report["imported"], 2);
    let why: Vec<&str> = report["refused"].as_array().expect("rows").iter().filter_map(|r| r["why"].as_str()).collect();
    assert_eq!(why, ["osm:a is listed twice", "it is a restaurant, not a cinema"]);
    let found = async || {
        let _serving = index.serve().await;
        let output = run(&["--json", "find", "--index", &index.origin, "kino"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", says(&output)));
        let ids = found.as_array().expect("a list").iter().filter_map(|l| l["id"].as_str().map(str::to_owned));
        // While it is served, nobody else changes its folder.
        let busy = run(&["index", "merge", index.text(), "a", "b"]);
        assert!(!busy.status.success() && says(&busy).contains("another process"), "{}", says(&busy));
        ids.collect::<Vec<String>>()
    };
    let ids = found().await;
    let [a, b] = ids.as_slice() else { panic!("{ids:?}") };
    let merge = |listing: &str, into: &str| run(&["index", "merge", index.text(), listing, into]);
    assert!(merge(a, b).status.success());
    for (listing, into) in [(b, a), (a, a), (b, b)] {
        let refused = merge(listing, into);
        assert!(
            !refused.status.success() && says(&refused).contains("is hidden behind it already"),
            "{}",
            says(&refused)
        );
    }
    assert!(!merge(a, "lst_nobody").status.success());
    assert_eq!(found().await, std::slice::from_ref(b));
    assert!(run(&["index", "unmerge", index.text(), a]).status.success());
    assert_eq!(found().await.len(), 2);
}

/// IDX-006: a list says where a cinema's website is; who announces from that very host is that cinema, and nobody else is.
#[tokio::test]
async fn an_entry_is_claimed_from_the_host_of_its_website_and_by_nobody_else() {
    let cinema = Folder::new(1, 1);
    let _cinema = cinema.serve();
    cinema.meet(&client(1)).await;
    let other_port = cinema.origin.rsplit_once(':').map(|(host, _)| format!("{host}:9")).expect("a port");
    let subdomain = cinema.origin.replace("127.0.0.1", "www.127.0.0.1");
    let path = format!("{}/about-us", cinema.origin);
    for (website, claimed) in
        [(&cinema.origin, true), (&path, true), (&other_port, false), (&subdomain, false), (&String::new(), false)]
    {
        let index = index();
        let list = index.path.join("list.geojson");
        // Where the cinema says that it is.
        let entry = serde_json::json!({"id": "a", "properties": {"name": "Kino", "website": website},
            "geometry": {"type": "Point", "coordinates": [14.0, 50.0]}});
        let file = serde_json::json!({"type": "FeatureCollection", "features": [entry]});
        std::fs::write(&list, file.to_string()).expect("writes");
        let imported = run(&["index", "import", index.text(), list.to_str().expect("a path"), "--country", "CZ"]);
        assert!(imported.status.success(), "{}", says(&imported));
        let serving = index.serve().await;
        let listed = run(&["index", "announce", &index.origin, &cinema.origin]);
        assert!(listed.status.success(), "{}", says(&listed));
        let output = run(&["--json", "find", "--index", &index.origin, "kino"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", says(&output)));
        let mut kinds: Vec<&str> =
            found.as_array().expect("a list").iter().filter_map(|listing| listing["kind"].as_str()).collect();
        kinds.sort_unstable();
        let wanted: &[&str] = if claimed { &["server"] } else { &["unclaimed", "unconfirmed"] };
        assert_eq!(kinds, wanted, "{website:?}");
        let asked = |arguments: &[&str]| {
            let output = run(arguments);
            assert!(output.status.success(), "{}", says(&output));
            serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{}", says(&output)))
        };
        let id_of = |kind: &str| {
            let of_kind = found.as_array()?.iter().find(|listing| listing["kind"] == kind)?;
            Some(of_kind["id"].as_str()?.to_owned())
        };
        let why = asked(&["--json", "index", "why", &index.origin, &cinema.origin]);
        assert_eq!(why["cinemas"].as_array().map(Vec::len), Some(1), "{why}");
        assert_eq!(why["cinemas"][0]["beside"][0]["id"].as_str(), id_of("unclaimed").as_deref(), "{why}");
        let words = says(&run(&["index", "why", &index.origin, &cinema.origin]));
        assert_eq!(words.contains("Kino (osm:a), 0 m away"), !claimed, "{words}");
        drop(serving);
        // Where the operator decides: what is open, and what was merged.
        let places = asked(&["--json", "index", "merges", index.text()]);
        let Some((entry, newcomer)) = id_of("unclaimed").zip(id_of("unconfirmed")) else {
            assert_eq!(places[0]["speaks_for"][0]["source"], "osm:a", "{places}");
            continue;
        };
        assert_eq!(places[0]["listing"]["id"], *newcomer, "{places}");
        assert_eq!(places[0]["beside"][0]["id"], *entry, "{places}");
        let words = says(&run(&["index", "merges", index.text()]));
        assert!(words.contains(&format!("admit index merge {} {entry} {newcomer}", index.text())), "{words}");
        assert!(run(&["index", "merge", index.text(), &entry, &newcomer]).status.success());
        let places = asked(&["--json", "index", "merges", index.text()]);
        assert_eq!(places[0]["speaks_for"][0]["id"], *entry, "{places}");
        assert_eq!(places[0]["beside"], serde_json::json!([]), "{places}");
    }
}

/// IDX-006: it makes no difference which of the two the index knew first.
#[tokio::test]
async fn an_entry_that_comes_after_its_cinema_is_claimed_or_stands_beside_it() {
    let cinema = Folder::new(1, 1);
    let _cinema = cinema.serve();
    cinema.meet(&client(1)).await;
    let index = index();
    let kinds = async || {
        let _serving = index.serve().await;
        let output = run(&["--json", "find", "--index", &index.origin, "kino"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", says(&output)));
        let mut kinds: Vec<String> =
            found.as_array().into_iter().flatten().filter_map(|l| Some(l["kind"].as_str()?.to_owned())).collect();
        kinds.sort_unstable();
        kinds
    };
    {
        let _serving = index.serve().await;
        assert!(run(&["index", "announce", &index.origin, &cinema.origin]).status.success());
    }
    for (id, website, wanted) in [
        ("a", "http://127.0.0.1:9", &["unclaimed", "unconfirmed"][..]),
        ("b", &cinema.origin, &["server", "unclaimed"]),
    ] {
        let list = index.path.join("list.geojson");
        let entry = serde_json::json!({"id": id, "properties": {"name": "Kino", "website": website},
            "geometry": {"type": "Point", "coordinates": [14.0, 50.0]}});
        let file = serde_json::json!({"type": "FeatureCollection", "features": [entry]});
        std::fs::write(&list, file.to_string()).expect("writes");
        let imported = run(&["index", "import", index.text(), list.to_str().expect("a path"), "--country", "CZ"]);
        assert!(imported.status.success(), "{}", says(&imported));
        assert_eq!(kinds().await, wanted, "{id}");
    }
}

#[tokio::test]
async fn a_double_bill_is_found_by_either_film() {
    let cinema = Folder::of(|programme| {
        let mut second = programme["films"][0].clone();
        second["id"] = "second".into();
        second["title"] = serde_json::json!({"en": "Sherlock Jr."});
        programme["films"].as_array_mut().expect("films").push(second);
        let items = programme["screenings"][0]["items"].as_array_mut().expect("items");
        items.push(serde_json::json!({"film": "second"}));
    });
    let _cinema = cinema.serve();
    cinema.meet(&client(1)).await;
    let index = index();
    let _serving = index.serve().await;
    assert!(run(&["index", "announce", &index.origin, &cinema.origin]).status.success());
    for title in ["film", "sherlok"] {
        for (command, count) in [("screenings", 1), ("films", 1)] {
            let output = run(&["--json", command, "--index", &index.origin, title]);
            let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", says(&output)));
            assert_eq!(found.as_array().map(Vec::len), Some(count), "{command} {title}: {found}");
        }
    }
}
