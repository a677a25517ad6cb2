//! Webhooks: who is asked, what is told, and how often.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Checked, Stop, must};
use crate::hook::{Came, Hook};
use crate::stage::{Buyer, Show, good, refused, text};
use crate::target::Target;
use crate::wire::Ask;

/// An app's server, which a server in a world of its own can reach.
async fn app(target: &mut Target) -> Checked<Hook> {
    target.run()?;
    Ok(Hook::start().await?)
}

/// What a request says, if the server signed it for this app.
async fn heard(target: &mut Target, hook: &Hook, came: &Came) -> Result<Value, String> {
    let now = target.now().await?;
    let identity = target.member("keys")?["identity"].as_str().unwrap_or_default().to_owned();
    let authority = hook.origin.trim_start_matches("http://");
    came.check(authority, &identity, now)?;
    let said = came.said()?;
    let origin = target.member("origin")?;
    must(said["origin"] == *origin, || format!("it speaks for {}, and comes from {origin}", said["origin"]))?;
    let known = ["id", "kind", "origin", "at", "screening", "booking", "waitlist_entry", "hold", "expires_at", "nonce"];
    let more = said.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).find(|name| !known.contains(name));
    must(more.is_none(), || format!("it says more than it may: {}", more.unwrap_or_default()))?;
    Ok(said)
}

/// Books a seat for somebody who leaves this webhook.
async fn booked(target: &mut Target, show: &Show, seat: &str, webhook: &str) -> Checked<(Buyer, Value)> {
    let buyer = target.buyer();
    let hold = target.held(&buyer, show, &[seat]).await?;
    let ask = target.booking_of(&buyer, show, &hold)?;
    let mut book: Value = serde_json::from_slice(&ask.body).map_err(|e| e.to_string())?;
    book["buyer"] = json!({"name": "Nora", "email": "nora@test.example", "webhook": webhook});
    let booking = good(&target.wire.send(&ask.body(book.to_string())).await?, 201)?;
    Ok((buyer, booking))
}

fn is_of(said: &Value, kind: &str, booking: &Value) -> Result<(), String> {
    let right = said["kind"] == kind && said["booking"] == booking["id"] && said["screening"] == booking["screening"];
    must(right, || format!("not {kind} of {}: {said}", booking["id"]))
}

pub(super) async fn told(target: &mut Target) -> Checked {
    let (hook, show) = (app(target).await?, target.show(json!({"rows": 1, "seats": 4})).await?);
    let (buyer, booking) = booked(target, &show, show.seat(0)?, &hook.url("nora?of=suite")).await?;
    let came = hook.wait_for(2, "a challenge and booking_confirmed").await?;
    let challenge = heard(target, &hook, &came[0]).await?;
    must(challenge["kind"] == "challenge", || format!("before anything else comes a challenge, not {challenge}"))?;
    is_of(&heard(target, &hook, &came[1]).await?, "booking_confirmed", &booking)?;
    let mut many = 2;
    if booking["balance_due"]["amount"].as_i64().is_some_and(|due| due > 0) {
        let paid = json!({"action": "paid", "screening": show.id, "booking": booking["id"]});
        target.run()?.act(&paid).await?;
        many += 1;
        let came = hook.wait_for(many, "booking_paid").await?;
        is_of(&heard(target, &hook, &came[many - 1]).await?, "booking_paid", &booking)?;
    }
    target.cancelled(&buyer, &booking, &[]).await?;
    let came = hook.wait_for(many + 1, "booking_cancelled").await?;
    is_of(&heard(target, &hook, &came[many]).await?, "booking_cancelled", &booking)?;
    let bodies: Vec<String> = came.iter().filter_map(|came| came.said().ok()).map(|said| said.to_string()).collect();
    let tells = |secret: &str| bodies.iter().any(|body| body.contains(secret));
    must(!["Nora", "nora@test.example", &buyer.0].into_iter().any(tells), || {
        "a notification has in it who buys, or their secret".into()
    })?;
    Ok(hook.quiet_at(many + 1, "everything was taken").await?)
}

/// What becomes of the screening, and of who does not pay in time.
pub(super) async fn changes(target: &mut Target) -> Checked {
    let (hook, show) = (app(target).await?, target.show(json!({"rows": 1, "seats": 4})).await?);
    let (_, off) = booked(target, &show, show.seat(0)?, &hook.url("nora")).await?;
    hook.wait_for(2, "a challenge and booking_confirmed").await?;
    for action in ["pause", "resume"] {
        target.run()?.act(&json!({"action": action, "screening": show.id})).await?;
    }
    hook.quiet_at(2, "whether it is sold is not what somebody has booked").await?;
    target.run()?.act(&json!({"action": "cancel_screening", "screening": show.id})).await?;
    let came = hook.wait_for(3, "screening_changed").await?;
    is_of(&heard(target, &hook, &came[2]).await?, "screening_changed", &off)?;
    let soon = target.show(json!({"rows": 1, "seats": 4, "starts_in_s": 7200})).await?;
    let (_, unpaid) = booked(target, &soon, soon.seat(0)?, &hook.url("nora")).await?;
    let came = hook.wait_for(4, "booking_confirmed").await?;
    is_of(&heard(target, &hook, &came[3]).await?, "booking_confirmed", &unpaid)?;
    target.run()?.advance_ms(7_200_000).await?;
    let came = hook.wait_for(5, "booking_lapsed").await?;
    Ok(is_of(&heard(target, &hook, &came[4]).await?, "booking_lapsed", &unpaid)?)
}

/// Somebody waits, and is offered what comes free.
pub(super) async fn offered(target: &mut Target) -> Checked {
    if !target.has("waitlist") {
        return Err(Stop::NotRun("the manifest does not list waitlist".into()));
    }
    let (hook, show) = (app(target).await?, target.show(json!({"rows": 1, "seats": 1})).await?);
    let first = target.buyer();
    let booking = target.booked(&first, &show, &[show.seat(0)?]).await?;
    let (wanda, wish) = (target.buyer(), json!({"best": {"count": 1}, "buyer": {"webhook": hook.url("wanda")}}));
    let join = Ask::post(show.at("/waitlist"), &wish).by(&wanda.0).key(&target.key());
    let entry = good(&target.wire.send(&join).await?, 201)?;
    target.cancelled(&first, &booking, &[]).await?;
    let came = hook.wait_for(2, "a challenge and waitlist_offer").await?;
    let said = heard(target, &hook, &came[1]).await?;
    let entry = good(&target.read(&show.at(&format!("/waitlist/{}", text(&entry, "id")?)), &wanda).await?, 200)?;
    let right = said["kind"] == "waitlist_offer"
        && said["waitlist_entry"] == entry["id"]
        && said["hold"] == entry["offer"]["hold"]
        && said["expires_at"] == entry["offer"]["expires_at"];
    Ok(must(right, || format!("not what is offered, {}: {said}", entry["offer"]))?)
}

pub(super) async fn asked_first(target: &mut Target) -> Checked {
    let (hook, show) = (app(target).await?, target.show(json!({"rows": 1, "seats": 4})).await?);
    hook.lies(true);
    booked(target, &show, show.seat(0)?, &hook.url("nora")).await?;
    let first = hook.wait_for(1, "a challenge").await?;
    let asked = heard(target, &hook, &first[0]).await?;
    must(asked["kind"] == "challenge", || format!("before anything else comes a challenge, not {asked}"))?;
    booked(target, &show, show.seat(1)?, &hook.url("another")).await?;
    target.run()?.advance_ms(280_000).await?;
    hook.quiet_at(1, "a host that answered nothing is asked once in five minutes").await?;
    hook.lies(false);
    target.run()?.advance_ms(3_600_000).await?;
    // Which of the two is asked first, and whether the other is asked before this one is told, is the server's to say.
    let came = hook.wait_for(3, "another challenge, and what it is asked for").await?;
    let again = heard(target, &hook, &came[1]).await?;
    must(again["kind"] == "challenge" && again["nonce"] != asked["nonce"], || {
        format!("after a challenge that was not answered comes another one, not {again}")
    })?;
    for came in &came[2..] {
        let said = heard(target, &hook, came).await?;
        must(["challenge", "booking_confirmed"].iter().any(|kind| said["kind"] == *kind), || format!("not {said}"))?;
    }
    Ok(())
}

pub(super) async fn again(target: &mut Target) -> Checked {
    let (hook, show) = (app(target).await?, target.show(json!({"rows": 1, "seats": 4})).await?);
    booked(target, &show, show.seat(0)?, &hook.url("nora")).await?;
    hook.wait_for(2, "a challenge and booking_confirmed").await?;
    hook.says(StatusCode::INTERNAL_SERVER_ERROR);
    let (_, booking) = booked(target, &show, show.seat(1)?, &hook.url("nora")).await?;
    let first = hook.wait_for(3, "booking_confirmed").await?[2].said()?;
    target.run()?.advance_ms(50_000).await?;
    hook.quiet_at(3, "it is tried again after a minute").await?;
    target.run()?.advance_ms(11_000).await?;
    let came = hook.wait_for(4, "what was not taken, a minute later").await?;
    let second = heard(target, &hook, &came[3]).await?;
    must(first["id"] == second["id"], || format!("what came again has another name: {first}, {second}"))?;
    is_of(&second, "booking_confirmed", &booking)?;
    // Who is gone is left alone.
    hook.says(StatusCode::GONE);
    booked(target, &show, show.seat(2)?, &hook.url("nora")).await?;
    hook.wait_for(5, "booking_confirmed").await?;
    target.run()?.advance_ms(3_600_000).await?;
    hook.quiet_at(5, "410 is the end of it").await?;
    booked(target, &show, show.seat(3)?, &hook.url("nora")).await?;
    let came = hook.wait_for(6, "a challenge").await?;
    let anew = heard(target, &hook, &came[5]).await?;
    Ok(must(anew["kind"] == "challenge", || format!("after 410 it begins with a challenge, not {anew}"))?)
}

pub(super) async fn no_redirect(target: &mut Target) -> Checked {
    let (hook, show) = (app(target).await?, target.show(json!({})).await?);
    booked(target, &show, show.seat(0)?, &format!("{}/elsewhere", hook.origin)).await?;
    let came = hook.wait_for(1, "a challenge").await?;
    must(came[0].path() == "/elsewhere", || format!("it came to {}", came[0].path()))?;
    Ok(hook.quiet_at(1, "a redirect is not followed").await?)
}

pub(super) async fn addresses(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (buyer, seat) = (target.buyer(), show.seat(0)?);
    let hold = target.held(&buyer, &show, &[seat]).await?;
    let long = format!("https://app.test.example/{}", "a".repeat(500));
    let wrong = [
        "app.test.example",
        "http://app.test.example/hook",
        "https://app.test.example:8443/hook",
        "https://user@app.test.example/hook",
        "https://192.0.2.7/hook",
        "https://[2001:db8::1]/hook",
        "https://localhost/hook",
        "https://app.test.example/#here",
        "https://app.test.example/a b",
        "https://App.test.example/hook",
        "https://app.test.example:443/hook",
        "https://app.test.example/a/../hook",
        &long,
    ];
    for webhook in wrong {
        let ask = target.booking_of(&buyer, &show, &hold)?;
        let mut book: Value = serde_json::from_slice(&ask.body).map_err(|e| e.to_string())?;
        book["buyer"] = json!({"webhook": webhook});
        let problem = refused(&target.wire.send(&ask.body(book.to_string())).await?, 422, "invalid")
            .map_err(|why| format!("{webhook}: {why}"))?;
        must(problem["pointers"] == json!(["/buyer/webhook"]), || format!("{webhook}: it points to {problem}"))?;
    }
    target.must_be(&show, seat, Some("held")).await?;
    let given_back = target.release(&buyer, &show, &hold).await?;
    Ok(must(given_back.status == 204, || format!("given back: status {}", given_back.status))?)
}

/// Who asks for it is forgotten, and told nothing more.
pub(super) async fn forgotten(target: &mut Target) -> Checked {
    let show = target.show(json!({"rows": 1, "seats": 4})).await?;
    let hook = Hook::start().await?;
    let (buyer, booking) = booked(target, &show, show.seat(0)?, &hook.url("nora")).await?;
    let tells = target.has("notifications") && target.run().is_ok();
    if tells {
        hook.wait_for(2, "a challenge and booking_confirmed").await?;
    }
    let (path, stranger) = (target.of_booking(&booking, "/buyer")?, target.buyer());
    refused(&target.wire.send(&Ask::delete(path.clone()).by(&stranger.0)).await?, 404, "not_found")?;
    for time in 1..=2 {
        let answer = target.wire.send(&Ask::delete(path.clone()).by(&buyer.0)).await?;
        must(answer.status == 204, || format!("asked {time} times: status {}, not 204", answer.status))?;
    }
    let still = good(&target.read(&target.of_booking(&booking, "")?, &buyer).await?, 200)?;
    must(still["state"] == booking["state"] && still["total"] == booking["total"], || {
        format!("the booking is another one afterwards: {still}")
    })?;
    target.cancelled(&buyer, &booking, &[]).await?;
    if tells {
        hook.quiet_at(2, "who is forgotten is told nothing").await?;
    }
    Ok(())
}
