//! What came of the checks, for people and for programs.

use serde_json::{Value, json};

use crate::checks::{Checked, Outcome};
use crate::spec;

pub(crate) fn print(url: &str, results: &[Checked], as_json: bool) -> anyhow::Result<()> {
    let count = |wanted: fn(&Outcome) -> bool| results.iter().filter(|r| wanted(&r.outcome)).count();
    let passed = count(|o| matches!(o, Outcome::Passed));
    let failed = count(Outcome::is_failure);
    let not_run = count(|o| matches!(o, Outcome::NotRun(_)));
    if as_json {
        let checks: Vec<Value> = results.iter().map(value).collect();
        let report = json!({"server": url, "mode": "observe", "passed": passed, "failed": failed, "not_run": not_run,
            "checks": checks});
        println!("{report}");
        return Ok(());
    }
    for Checked { check, outcome } in results {
        let musts = check.musts.join(" ");
        match outcome {
            Outcome::Passed => println!("passed   {} ({musts})", check.what),
            Outcome::NotRun(why) => println!("not run  {} ({musts}): {why}", check.what),
            Outcome::Failed { why, exchange } => {
                println!("FAILED   {} ({musts})\n         {why}\n         ask again: {exchange}", check.what);
                for must in check.musts {
                    println!("         {must}: {}", spec::sentence(must).unwrap_or_default());
                }
            }
        }
    }
    println!("{url}: {passed} passed, {failed} failed, {not_run} not run; looked at only, nothing was changed there");
    Ok(())
}

fn value(result: &Checked) -> Value {
    let mut value = json!({"what": result.check.what, "musts": result.check.musts});
    match &result.outcome {
        Outcome::Passed => value["outcome"] = json!("passed"),
        Outcome::NotRun(why) => {
            value["outcome"] = json!("not_run");
            value["why"] = json!(why);
        }
        Outcome::Failed { why, exchange } => {
            value["outcome"] = json!("failed");
            value["why"] = json!(why);
            value["exchange"] = json!(exchange);
        }
    }
    value
}
