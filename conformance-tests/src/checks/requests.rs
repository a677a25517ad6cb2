//! Requests that are not as they should be.

use reqwest::Method;
use serde_json::json;

use super::repeats::{says, with_unknown};
use super::{Checked, must};
use crate::stage::{good, refused, text};
use crate::target::Target;
use crate::wire::Ask;

pub(super) async fn nobody(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let ask = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).key(&target.key());
    refused(&target.wire.send(&ask).await?, 401, "unauthenticated")?;
    // 24 bytes, no base64url, too long, and another way to say who one is.
    let half = "A".repeat(32);
    let long = "A".repeat(64);
    for bad in [
        format!("Bearer {half}"),
        format!("Bearer {long}"),
        format!("Bearer {}", "!".repeat(43)),
        "Bearer ".into(),
        "Basic YTpi".into(),
    ] {
        let answer = target.wire.send(&ask.clone().with("authorization", &bad)).await?;
        refused(&answer, 401, "unauthenticated").map_err(|why| format!("{bad:?}: {why}"))?;
    }
    let padded = format!("Bearer {}=", target.buyer().0);
    let answer = target.wire.send(&ask.clone().with("authorization", padded)).await?;
    refused(&answer, 401, "unauthenticated").map_err(|why| format!("a padded secret: {why}"))?;
    let cookies = format!("secret={0}; token={0}; session={0}; authorization=Bearer {0}", target.buyer().0);
    refused(&target.wire.send(&ask.with("cookie", cookies)).await?, 401, "unauthenticated")
        .map_err(|why| format!("a cookie: {why}"))?;
    Ok(target.must_be(&show, show.seat(0)?, None).await?)
}

pub(super) async fn not_for_others(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let answer = target.hold(&buyer, &show, &[show.seat(0)?]).await?;
    let hold = good(&answer, 201)?;
    let path = show.at(&format!("/holds/{}", text(&hold, "id")?));
    let booked = target.book(&buyer, &show, &hold).await?;
    let booking = good(&booked, 201)?;
    let of_booking = target.of_booking(&booking, "")?;
    for answer in [answer, target.read(&path, &buyer).await?, booked, target.read(&of_booking, &buyer).await?] {
        let kept = answer.header("cache-control").to_owned();
        must(kept.contains("no-store"), || format!("what belongs to one buyer has Cache-Control {kept:?}"))?;
    }
    target.cancelled(&buyer, &booking, &[]).await?;
    Ok(())
}

pub(super) async fn members_of_capabilities(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    for (capability, wish) in [
        ("best_available", json!({"best": {"count": 1}})),
        ("general_admission", json!({"areas": [{"area": "floor", "count": 1}]})),
    ] {
        if !target.has(capability) {
            let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
            let answer = target.wire.send(&ask).await?;
            refused(&answer, 404, "capability_not_offered").map_err(|why| format!("{capability}: {why}"))?;
        }
    }
    Ok(())
}

pub(super) async fn secret_stays(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let answer = target.hold(&buyer, &show, &[show.seat(0)?]).await?;
    let hold = good(&answer, 201)?;
    let booked = target.book(&buyer, &show, &hold).await?;
    let booking = good(&booked, 201)?;
    let hold_path = show.at(&format!("/holds/{}", text(&hold, "id")?));
    let mut answers = vec![answer, booked, target.read(&hold_path, &buyer).await?];
    for rest in ["", "/tickets"] {
        let path = target.of_booking(&booking, rest)?;
        answers.push(target.read(&path, &buyer).await?);
    }
    answers.push(target.quote(&buyer, &booking, &[]).await?);
    answers.push(target.hold(&buyer, &show, &["no-such-seat"]).await?);
    let told = answers.iter().position(|answer| says(answer, &buyer.0));
    must(told.is_none(), || format!("answer {} has the secret in it", told.unwrap_or_default() + 1))?;
    target.cancelled(&buyer, &booking, &[]).await?;
    Ok(())
}

pub(super) async fn media_types(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let ask = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).by(&buyer.0).key(&target.key());
    for media in
        ["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/json; charset=iso-8859-1"]
    {
        let answer = target.wire.send(&ask.clone().with("content-type", media)).await?;
        refused(&answer, 415, "unsupported_media_type").map_err(|why| format!("{media}: {why}"))?;
    }
    let compressed = ask.clone().with("content-encoding", "gzip");
    refused(&target.wire.send(&compressed).await?, 415, "unsupported_media_type")?;
    let named = ask.with("content-type", "application/json; charset=utf-8");
    let hold = good(&target.wire.send(&named).await?, 201)?;
    target.release(&buyer, &show, &hold).await?;
    Ok(())
}

pub(super) async fn too_large(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let mut wish = show.wish(&[show.seat(0)?]);
    wish["org.example.padding"] = json!("p".repeat(64 * 1024));
    let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
    refused(&target.wire.send(&ask).await?, 413, "too_large")?;
    wish["org.example.padding"] = json!("p".repeat(60 * 1024));
    let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
    let hold = good(&target.wire.send(&ask).await?, 201).map_err(|why| format!("61 KiB: {why}"))?;
    target.release(&buyer, &show, &hold).await?;
    Ok(())
}

pub(super) async fn ambiguous(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let (one, two) = (show.seat(0)?, show.seat(1)?);
    let deep = format!(r#"{{"seats":[{{"seat":"{one}"}}],"org.example.deep":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    let bodies = [
        ("a member twice", format!(r#"{{"seats":[{{"seat":"{one}"}}],"seats":[{{"seat":"{two}"}}]}}"#)),
        ("a member twice, deep inside", format!(r#"{{"seats":[{{"seat":"{one}","seat":"{two}"}}]}}"#)),
        ("nested too deep", deep),
        ("an integer too large", format!(r#"{{"seats":[{{"seat":"{one}"}}],"ttl_s":9007199254740993}}"#)),
        (
            "an integer too large, nobody knows where",
            format!(r#"{{"seats":[{{"seat":"{one}"}}],"org.example.n":9007199254740993}}"#),
        ),
        ("the whole in an array", format!(r#"[{{"seats":[{{"seat":"{one}"}}]}}]"#)),
        ("an array for an object inside", format!(r#"{{"seats":[["{one}"]]}}"#)),
        ("an object for a list", format!(r#"{{"seats":{{"seat":"{one}"}}}}"#)),
        ("an array for an object", format!(r#"[[{{"seat":"{one}"}}]]"#)),
        ("no JSON", "{seats: []}".to_owned()),
        ("half a document", r#"{"seats":"#.to_owned()),
        ("more after its end", format!(r#"{{"seats":[{{"seat":"{one}"}}]}} {{}}"#)),
        ("a number for a text", r#"{"seats":[{"seat":7}]}"#.to_owned()),
    ];
    for (what, body) in bodies {
        let ask = Ask::new(Method::POST, show.at("/holds")).with("content-type", "application/json");
        let ask = ask.by(&buyer.0).key(&target.key()).body(body);
        let answer = target.wire.send(&ask).await?;
        refused(&answer, 400, "unreadable").map_err(|why| format!("{what}: {why}"))?;
        target.must_be(&show, one, None).await?;
    }
    let latin = [br#"{"seats":[],"org.example.name":""#.as_slice(), &[0xe9], br#""}"#].concat();
    let ask = Ask::new(Method::POST, show.at("/holds")).with("content-type", "application/json");
    let ask = ask.by(&buyer.0).key(&target.key()).body(latin);
    let answer = target.wire.send(&ask).await?;
    refused(&answer, 400, "unreadable").map_err(|why| format!("bytes that are no UTF-8: {why}"))?;
    Ok(())
}

pub(super) async fn unknown_members(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let mut wish = with_unknown(show.wish(&[show.seat(0)?]));
    wish["seats"][0] = with_unknown(wish["seats"][0].clone());
    let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
    let hold = good(&target.wire.send(&ask).await?, 201)?;
    target.release(&buyer, &show, &hold).await?;
    Ok(())
}

pub(super) async fn impossible_seats(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let seat = show.seat(0)?;
    refused(&target.hold(&buyer, &show, &[seat, "no-such-seat"]).await?, 422, "unknown_seat")?;
    refused(&target.hold(&buyer, &show, &[seat, seat]).await?, 422, "seat_named_twice")?;
    refused(&target.hold(&buyer, &show, &["no seat"]).await?, 400, "unreadable")?;
    target.must_be(&show, seat, None).await?;
    let nowhere = target.api("/screenings/nobody-shows-this/holds")?;
    let ask = Ask::post(nowhere, &show.wish(&[seat])).by(&buyer.0).key(&target.key());
    refused(&target.wire.send(&ask).await?, 404, "not_found")?;
    let path = show.at("/holds");
    let answer = target.wire.send(&Ask::new(Method::PUT, path)).await?;
    Ok(must(answer.status == 405, || format!("PUT of holds: status {}, not 405", answer.status))?)
}
