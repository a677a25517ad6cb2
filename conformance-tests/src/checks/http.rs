//! How it answers, whatever is asked.

use jiff::Timestamp;
use reqwest::Method;

use super::must;
use crate::target::Target;
use crate::wire::Answer;

/// A path that leads nowhere, and that a server must still answer well.
const NOBODY: &str = "/screenings/nobody-shows-this";
const NOBODYS_HOLD: &str = "/screenings/nobody-shows-this/holds/hold_00000000000000000000000000000000";
/// 256 bits, as two buyers would send them.
const SECRETS: [&str; 2] =
    ["Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "Bearer AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"];

async fn page(target: &mut Target) -> Result<Answer, String> {
    let pages = target.member("cinema_pages")?.as_array().cloned().unwrap_or_default();
    let name = pages.first().and_then(|p| p.as_str()).ok_or("the manifest names no page of cinemas")?;
    let path = target.api(&format!("/cinema_pages/{name}"))?;
    target.get(&path).await
}

fn is_problem(answer: &Answer, status: u16, code: &str) -> Result<(), String> {
    must(answer.status == status, || format!("status {}, not {status}", answer.status))?;
    let media = answer.header("content-type");
    must(media.starts_with("application/problem+json"), || format!("its media type is {media:?}"))?;
    let problem = answer.json()?;
    must(problem["code"] == code, || format!("its code is {}, not {code}", problem["code"]))?;
    must(problem["status"] == status, || format!("it says status {}, and has {status}", problem["status"]))?;
    let words = ["type", "title", "detail"].iter().all(|name| problem[name].as_str().is_some_and(|t| !t.is_empty()));
    must(words && problem["retryable"].is_boolean(), || format!("something is missing in {problem}"))
}

pub(super) async fn media_type(target: &mut Target) -> Result<(), String> {
    let answer = page(target).await?;
    let media = answer.header("content-type");
    must(media.starts_with("application/json"), || format!("a page of cinemas is {media:?}"))?;
    answer.json().map(drop)
}

pub(super) async fn problem(target: &mut Target) -> Result<(), String> {
    let path = target.api(NOBODY)?;
    is_problem(&target.ask(Method::GET, &path, &[]).await?, 404, "not_found")
}

pub(super) async fn nobodys_hold(target: &mut Target) -> Result<(), String> {
    let path = target.api(NOBODYS_HOLD)?;
    for secret in SECRETS {
        is_problem(&target.ask(Method::GET, &path, &[("authorization", secret)]).await?, 404, "not_found")?;
    }
    Ok(())
}

pub(super) async fn not_offered(target: &mut Target) -> Result<(), String> {
    // Each with a route of its own that is read; what is declared is looked at elsewhere.
    let at = |what: &str| format!("{NOBODY}/{what}");
    let routes = [
        ("live", at("live")),
        ("waitlist", at("waitlist")),
        ("queue", at("queue")),
        ("receipts", at("seat_log")),
        ("feed", "/feed".to_owned()),
    ];
    for (capability, route) in &routes {
        if target.has(capability) {
            continue;
        }
        let path = target.api(route)?;
        let answer = target.ask(Method::GET, &path, &[]).await?;
        is_problem(&answer, 404, "capability_not_offered").map_err(|why| format!("{capability}: {why}"))?;
    }
    Ok(())
}

pub(super) async fn server_time(target: &mut Target) -> Result<(), String> {
    let nobody = target.api(NOBODY)?;
    for path in ["/.well-known/admit".to_owned(), nobody] {
        let answer = target.ask(Method::GET, &path, &[]).await?;
        let now = answer.header("admit-now");
        let milliseconds = now.split_once('.').is_some_and(|(_, rest)| rest.len() == 4 && rest.ends_with('Z'));
        must(now.parse::<Timestamp>().is_ok() && milliseconds, || format!("{path}: Admit-Now is {now:?}"))?;
    }
    Ok(())
}

pub(super) async fn any_origin(target: &mut Target) -> Result<(), String> {
    let hold = target.api("/screenings/any/holds")?;
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,idempotency-key"),
    ];
    let answer = target.ask(Method::OPTIONS, &hold, &preflight).await?;
    let allowed = answer.header("access-control-allow-headers").to_ascii_lowercase();
    for header in ["authorization", "content-type", "idempotency-key"] {
        must(allowed == "*" || allowed.contains(header), || format!("a page may not send {header}: {allowed:?}"))?;
    }
    let answer = target.ask(Method::GET, "/.well-known/admit", &preflight[..1]).await?;
    let origin = answer.header("access-control-allow-origin");
    must(origin == "*", || format!("Access-Control-Allow-Origin is {origin:?}"))?;
    let credentials = answer.header("access-control-allow-credentials");
    must(credentials.is_empty(), || "it allows credentials".into())
}

pub(super) async fn not_modified(target: &mut Target) -> Result<(), String> {
    let pages = target.member("cinema_pages")?.as_array().cloned().unwrap_or_default();
    let name = pages.first().and_then(|p| p.as_str()).ok_or("the manifest names no page of cinemas")?;
    let path = target.api(&format!("/cinema_pages/{name}"))?;
    let first = target.get(&path).await?;
    let etag = first.header("etag").to_owned();
    must(!etag.is_empty(), || format!("{path} has no ETag"))?;
    let again = target.ask(Method::GET, &path, &[("if-none-match", &etag)]).await?;
    must(again.status == 304 && again.bytes.is_empty(), || format!("{path}: status {} the second time", again.status))
}

pub(super) async fn short_secret(target: &mut Target) -> Result<(), String> {
    let path = target.api(NOBODYS_HOLD)?;
    let answer = target.ask(Method::GET, &path, &[("authorization", "Bearer c2hvcnQ")]).await?;
    is_problem(&answer, 401, "unauthenticated")
}
