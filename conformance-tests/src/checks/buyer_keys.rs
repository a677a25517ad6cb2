//! Requests that a buyer's key signs (RFC 9421), written out by hand.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Checked, must};
use crate::stage::{good, refused, text};
use crate::target::Target;
use crate::wire::Ask;

/// Who signs, for which origin, when, and how.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) key: SigningKey,
    authority: String,
    /// Seconds since 1970.
    created: i64,
    life: i64,
    nonce: String,
    tag: &'static str,
    alg: &'static str,
    /// A part that is left out.
    without: &'static str,
}

impl Signer {
    pub(super) async fn new(target: &mut Target) -> Checked<Self> {
        let (key, nonce, now) = (target.fresh(), target.key(), target.now().await?);
        let origin = target.member("origin")?;
        let authority = origin.as_str().and_then(|o| o.split_once("://")).map(|(_, authority)| authority.to_owned());
        Ok(Self {
            key: SigningKey::from_bytes(&key),
            authority: authority.ok_or("its origin is none")?,
            created: now.as_second(),
            life: 300,
            nonce,
            tag: "admit-buyer",
            alg: "ed25519",
            without: "",
        })
    }

    /// The request with its signature.
    pub(super) fn sign(&self, ask: Ask) -> Ask {
        let (path, query) = ask.path.split_once('?').unwrap_or((&ask.path, ""));
        let mut parts = vec![
            ("@method", ask.method.to_string()),
            ("@authority", self.authority.clone()),
            ("@path", path.to_owned()),
            ("@query", format!("?{query}")),
        ];
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&ask.body)));
        if !ask.body.is_empty() {
            parts.push(("content-digest", digest.clone()));
        }
        let headers = ask.headers.iter().filter(|(name, _)| ["content-type", "idempotency-key"].contains(name));
        parts.extend(headers.map(|(name, value)| (*name, value.clone())));
        parts.retain(|(name, _)| *name != self.without);
        let names: Vec<String> = parts.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let covered = format!(
            "({});created={};expires={};nonce=\"{}\";keyid=\"{}\";alg=\"{}\";tag=\"{}\"",
            names.join(" "),
            self.created,
            self.created + self.life,
            self.nonce,
            URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes()),
            self.alg,
            self.tag
        );
        let lines: String = parts.iter().map(|(name, value)| format!("\"{name}\": {value}\n")).collect();
        let signature = self.key.sign(format!("{lines}\"@signature-params\": {covered}").as_bytes());
        let signature = format!("mine=:{}:", STANDARD.encode(signature.to_bytes()));
        let ask = if ask.body.is_empty() { ask } else { ask.with("content-digest", digest) };
        ask.with("signature-input", format!("mine={covered}")).with("signature", signature)
    }
}

pub(super) async fn a_key_buys(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (Signer::new(target).await?, Signer::new(target).await?);
    let carla = target.buyer();
    let methods = target.member("auth_methods")?;
    must(methods.as_array().is_some_and(|m| m.contains(&json!("buyer_key"))), || {
        format!("`auth_methods` does not list it: {methods}")
    })?;
    let key = target.key();
    let hold = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).key(&key);
    let held = target.wire.send(&anna.sign(hold.clone())).await?;
    let made = good(&held, 201)?;
    // Another nonce, as each try has.
    let next_try = Signer { nonce: target.key(), ..anna.clone() };
    let again = target.wire.send(&next_try.sign(hold)).await?;
    must(again.status == 201 && again.bytes == held.bytes && again.header("idempotent-replayed") == "true", || {
        format!("the same request, signed anew, is not answered as before: status {}", again.status)
    })?;
    let path = show.at(&format!("/holds/{}", text(&made, "id")?));
    good(&target.wire.send(&anna.sign(Ask::get(path.clone()))).await?, 200)?;
    refused(&target.wire.send(&ben.sign(Ask::get(path.clone()))).await?, 404, "not_found")?;
    refused(&target.read(&path, &carla).await?, 404, "not_found")?;
    if target.run().is_err() {
        // Where other people sit, nothing stays.
        let given_back = target.wire.send(&anna.sign(Ask::delete(path))).await?;
        return Ok(must(given_back.status == 204, || format!("given back: status {}", given_back.status))?);
    }
    let book = target.booking_of(&carla, &show, &made)?.without("authorization");
    let booking = good(&target.wire.send(&anna.sign(book)).await?, 201)?;
    let tickets = show.at(&format!("/bookings/{}/tickets", text(&booking, "id")?));
    let tickets = good(&target.wire.send(&anna.sign(Ask::get(tickets))).await?, 200)?;
    Ok(must(tickets["tickets"].as_array().is_some_and(|t| t.len() == 1), || format!("its tickets are {tickets}"))?)
}

pub(super) async fn nothing_less(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let signer = Signer::new(target).await?;
    let seat = show.seat(0)?;
    let (wish, other) = (show.wish(&[seat]), show.wish(&[show.seat(1)?]));
    let hold = Ask::post(show.at("/holds"), &wish).key(&target.key());
    let usual = || signer.sign(hold.clone());
    let by = |change: fn(&mut Signer)| {
        let mut signer = signer.clone();
        change(&mut signer);
        signer.sign(hold.clone())
    };
    let digest_of = |body: &Value| format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body.to_string())));
    let wrong = [
        ("another body", usual().body(other.to_string())),
        ("another body with its digest", usual().body(other.to_string()).with("content-digest", digest_of(&other))),
        ("no digest of its body", usual().without("content-digest")),
        ("another Idempotency-Key", usual().key("another-key")),
        ("another path", usual().to(&format!("{}?x=1", show.at("/holds")))),
        ("a signature for another origin", by(|s| s.authority = "other.example".into())),
        (
            "a signature for another origin, which Host names",
            by(|s| s.authority = "other.example".into()).with("host", "other.example"),
        ),
        ("a signature that is over", by(|s| s.created -= 300)),
        ("a signature of the time to come", by(|s| s.created += 120)),
        ("a signature that is good for an hour", by(|s| s.life = 3600)),
        ("a signature of another kind", by(|s| s.tag = "admit-webhook")),
        ("a signature without an algorithm of this page", by(|s| s.alg = "none")),
        ("a signature without a long nonce", by(|s| s.nonce = "short".into())),
        ("a method that is not covered", by(|s| s.without = "@method")),
        ("a path that is not covered", by(|s| s.without = "@path")),
        ("a body that is not covered", by(|s| s.without = "content-digest")),
        ("an Idempotency-Key that is not covered", by(|s| s.without = "idempotency-key")),
        ("no signature", usual().with("signature", "mine=:AAAA:")),
    ];
    for (what, ask) in wrong {
        let answer = target.wire.send(&ask).await?;
        refused(&answer, 401, "unauthenticated").map_err(|why| format!("{what}: {why}"))?;
    }
    Ok(target.must_be(&show, seat, None).await?)
}
