//! Vectors: what every implementation must read, refuse and reckon alike, asked of one through its adapter, without a network.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::checks::Stop;
use crate::client::{Adapter, Did};

macro_rules! files {
    ($($name:literal)*) => {
        /// The files, by name.
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../spec/v1/vectors/", $name, ".json")))),*];
    };
}
files! { "ids" "json" "money" "texts" "times" "keys" "signatures" "requests" "manifests" "tickets" "policies" "prices" "choices" "feeds" }

/// The lists in them, and which members of a case are what is to be reckoned; where there are none, a case is to be accepted or refused.
const LISTS: &[(&str, &str, &[&str])] = &[
    ("ids", "ids", &[]),
    ("ids", "content_names", &[]),
    ("ids", "names_of", &["name"]),
    ("ids", "screening_digests", &["digest"]),
    ("json", "documents", &[]),
    ("json", "signed_documents", &[]),
    ("money", "amounts", &[]),
    ("money", "percentages", &["share"]),
    ("texts", "texts", &[]),
    ("times", "moments", &[]),
    ("times", "locals", &["is"]),
    ("times", "business_dates", &["business_date"]),
    ("keys", "keys", &["public", "key_id", "signature"]),
    ("signatures", "signatures", &[]),
    ("requests", "requests", &[]),
    ("manifests", "manifests", &[]),
    ("manifests", "moves", &[]),
    ("tickets", "tickets", &["says"]),
    ("tickets", "proofs", &[]),
    ("policies", "refunds", &["refund"]),
    ("prices", "totals", &["total"]),
    ("choices", "chosen", &["conflicts"]),
    ("choices", "best", &["seats", "most_together"]),
    ("feeds", "pages", &[]),
    ("feeds", "histories", &["screenings", "read_on"]),
];

/// One vector, as it is asked, and what is to come of it.
struct Vector {
    list: String,
    asked: Value,
    /// Nothing, where it is to be refused.
    comes_to: Option<Value>,
}

fn all() -> anyhow::Result<Vec<Vector>> {
    let mut all = Vec::new();
    for (file, list, reckoned) in LISTS {
        let text = FILES.iter().find(|(name, _)| name == file).map(|(_, text)| *text).context("a file of vectors")?;
        let file_of: Map<String, Value> = serde_json::from_str(text)?;
        let is_list = |name: &str| LISTS.iter().any(|(of, list, _)| of == file && *list == name);
        // What all cases of a file share: a key, a layout, a price table.
        let shared: Map<String, Value> = file_of.clone().into_iter().filter(|(name, _)| !is_list(name)).collect();
        for case in file_of[*list].as_array().context("a list")? {
            let list = format!("{file}/{list}");
            let good = case["valid"] != false;
            let vector = if reckoned.is_empty() {
                let asked = json!({"do": "judge", "vectors": list, "input": case["input"], "with": shared});
                Vector { list, asked, comes_to: good.then_some(Value::Null) }
            } else {
                let (mut of, mut comes_to) = (case.as_object().cloned().context("a case")?, Map::new());
                for name in ["valid", "why", "what"] {
                    of.remove(name);
                }
                for name in *reckoned {
                    comes_to.insert((*name).to_owned(), of.remove(*name).unwrap_or_default());
                }
                let asked = json!({"do": "reckon", "vectors": list, "of": of, "with": shared});
                Vector { list, asked, comes_to: good.then_some(Value::Object(comes_to)) }
            };
            all.push(vector);
        }
    }
    Ok(all)
}

/// Why what an implementation did is not what is to come of it.
fn wrong(vector: &Vector, did: &Did) -> Option<String> {
    match (did, &vector.comes_to) {
        (Did::Done(_), None) => Some("accepted, and to be refused".into()),
        (Did::Refused(why), Some(_)) => Some(format!("refused ({why}), and to be accepted")),
        (Did::Done(said), Some(Value::Object(wanted))) => {
            let other = |(name, value): &(&String, &Value)| said.get(name.as_str()).unwrap_or(&Value::Null) != *value;
            let (name, value) = wanted.iter().find(other)?;
            Some(format!("`{name}` is {}, and to be {value}", said[name]))
        }
        _ => None,
    }
}

/// Writes the files into a folder, for who has this program alone.
pub(crate) fn write(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, text) in FILES {
        let path = folder.join(format!("{name}.json"));
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    println!("{} files are in {}; `--command` asks an implementation for each of them", FILES.len(), folder.display());
    Ok(())
}

/// Asks an implementation for all of them. Whether it is right about each that it knows.
pub(crate) async fn ask(command: &str, as_json: bool) -> anyhow::Result<bool> {
    let mut adapter = Adapter::start(command)?;
    let (mut passed, mut failed, mut not_run) = (0_u32, Vec::new(), 0_u32);
    for vector in all()? {
        let did = match adapter.ask(&vector.asked).await {
            Ok(did) => did,
            Err(Stop::Fails(why) | Stop::NotRun(why)) => anyhow::bail!("{}: {why}", vector.list),
        };
        match wrong(&vector, &did) {
            _ if matches!(did, Did::Unknown(_)) => not_run += 1,
            None => passed += 1,
            Some(why) => failed.push((vector, why)),
        }
    }
    adapter.end().await;
    if as_json {
        let cases: Vec<Value> =
            failed.iter().map(|(v, why)| json!({"vectors": v.list, "asked": v.asked, "why": why})).collect();
        println!("{}", json!({"passed": passed, "failed": failed.len(), "not_run": not_run, "failures": cases}));
    } else {
        for (vector, why) in &failed {
            println!("FAILED   {}: {why}\n         asked: {}", vector.list, vector.asked);
        }
        println!("vectors: {passed} passed, {} failed, {not_run} not run", failed.len());
    }
    Ok(failed.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_of_cases_is_asked() {
        for (file, text) in FILES {
            let lists: Map<String, Value> = serde_json::from_str(text).expect("json");
            for (name, cases) in &lists {
                let cases = cases.as_array().is_some_and(|all| all.iter().all(Value::is_object) && all.len() > 1);
                let known = LISTS.iter().any(|(of, list, _)| of == file && list == name);
                assert!(known || !cases, "{file}/{name} is in no table here");
            }
        }
        assert!(all().expect("reads").len() > 250);
    }

    #[test]
    fn what_is_wrong_is_seen() {
        let all = all().expect("reads");
        let one = |list: &str, good: bool| {
            all.iter().find(|v| v.list == list && v.comes_to.is_some() == good).unwrap_or_else(|| panic!("{list}"))
        };
        assert!(wrong(one("ids/ids", false), &Did::Done(json!({}))).is_some());
        assert!(wrong(one("ids/ids", true), &Did::Refused("why".into())).is_some());
        assert!(wrong(one("ids/ids", true), &Did::Done(json!({}))).is_none());
        let share = one("money/percentages", true);
        assert!(wrong(share, &Did::Done(json!({"share": -1}))).is_some());
        assert!(wrong(share, &Did::Done(share.comes_to.clone().expect("a share"))).is_none());
    }
}
