//! Requests that are signed by a buyer's key, or for a webhook (RFC 9421): good ones, and what must not be taken for one.

use admit_protocol::key::SecretKey;
use admit_protocol::notification::{Delivery, Notification, Webhook};
use admit_protocol::origin::OriginPolicy;
use admit_protocol::signature::{BUYER_TAG, Content, SignatureFields, Signing, WEBHOOK_TAG};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{judged, key};

const NOW: &str = "2026-11-21T12:00:00Z";
const NONCE: &str = "6vWEuyCzgQN3kyGH";
const BODY: &str = r#"{"seats":[{"seat":"A1","ticket_type":"adult"}]}"#;

/// A request as it arrives.
fn sent(asked: &Signing<'_>, body: Option<&str>, fields: &SignatureFields) -> Value {
    json!({"now": NOW, "tag": BUYER_TAG, "method": asked.method, "authority": asked.authority, "path": asked.path, "query": asked.query,
        "content_digest": asked.content.map(|c| &c.digest), "content_type": asked.content.map(|c| &c.media_type),
        "idempotency_key": asked.idempotency_key, "body": body, "signature_input": fields.input, "signature": fields.signature})
}

/// Its fields as somebody signs them who writes the base by hand.
fn by_hand(asked: &Signing<'_>, signer: &SecretKey, change: impl Fn(String) -> String) -> SignatureFields {
    use base64::Engine as _;
    let now = NOW.parse::<Timestamp>().unwrap_or(Timestamp::UNIX_EPOCH);
    let usual = asked.sign(signer, BUYER_TAG, now, NONCE).input;
    let input = change(usual.split_once('=').map_or_else(String::new, |(_, covered)| covered.to_owned()));
    let (query, empty) = (format!("?{}", asked.query.unwrap_or_default()), String::new());
    let named = input.split(')').next().unwrap_or_default().trim_start_matches('(').split(' ');
    let value = |part: &str| match part {
        "@method" => asked.method,
        "@authority" => asked.authority,
        "@path" => asked.path,
        "@query" => &query,
        "content-digest" => asked.content.map_or(&empty, |c| &c.digest),
        "content-type" => asked.content.map_or(&empty, |c| &c.media_type),
        "idempotency-key" => asked.idempotency_key.unwrap_or_default(),
        _ => "",
    };
    let lines: String = named.map(|part| format!("{part}: {}\n", value(part.trim_matches('"')))).collect();
    let base = format!("{lines}\"@signature-params\": {input}");
    let signature = base64::engine::general_purpose::STANDARD.encode(signer.sign(base.as_bytes()));
    SignatureFields { input: format!("admit={input}"), signature: format!("admit=:{signature}:") }
}

/// A notification as it comes to an app's server.
fn told(now: Timestamp) -> anyhow::Result<Value> {
    let webhook = Webhook::parse("https://app.example/admit?user=7", OriginPolicy::Public)?;
    let notification: Notification = serde_json::from_value(json!({"id": "note_1", "kind": "booking_confirmed",
        "origin": "https://kino.example", "at": NOW, "screening": "show-1", "booking": "booking_1"}))?;
    let Delivery { idempotency_key, content, fields, body } =
        Delivery::new(&webhook, &notification, &key(1), now, NONCE);
    let asked = Signing {
        method: "POST",
        authority: "app.example",
        path: "/admit",
        query: Some("user=7"),
        content: Some(&content),
        idempotency_key: Some(&idempotency_key),
    };
    let mut told = sent(&asked, Some(std::str::from_utf8(&body)?), &fields);
    told["tag"] = json!(WEBHOOK_TAG);
    Ok(told)
}

pub(super) fn all() -> anyhow::Result<Value> {
    let content = Content::of("application/json", BODY.as_bytes());
    let holds = "/v1/screenings/show-1/holds";
    let hold = Signing {
        method: "POST",
        authority: "kino.example",
        path: holds,
        query: None,
        content: Some(&content),
        idempotency_key: Some("h-1"),
    };
    let read = Signing {
        method: "GET",
        path: "/v1/screenings/show-1/bookings/b",
        content: None,
        idempotency_key: None,
        ..hold
    };
    let asked = Signing { query: Some("after=7&all"), ..read };
    let now: Timestamp = NOW.parse()?;
    let at = |seconds: i64| now + jiff::SignedDuration::from_secs(seconds);
    let signed = |asked: &Signing<'_>, made: Timestamp, tag: &str| asked.sign(&key(1), tag, made, NONCE);
    let usual = signed(&hold, now, BUYER_TAG);
    let holding = |fields: &SignatureFields| sent(&hold, Some(BODY), fields);
    let changed = |change: &dyn Fn(String) -> String| holding(&by_hand(&hold, &key(1), change));
    let replaced = |from: &'static str, to: &'static str| changed(&|input| input.replace(from, to));
    let beside = SignatureFields {
        input: format!("proxy=(\"@path\");tag=\"another\", {}", usual.input),
        signature: format!("proxy=:AAAA:, {}", usual.signature),
    };
    let twice = SignatureFields {
        input: format!("{}, again{}", usual.input, usual.input.trim_start_matches("admit")),
        signature: format!("{}, again{}", usual.signature, usual.signature.trim_start_matches("admit")),
    };
    let good = [
        holding(&usual),
        sent(&read, None, &signed(&read, now, BUYER_TAG)),
        sent(&asked, None, &signed(&asked, now, BUYER_TAG)),
        holding(&signed(&hold, at(-299), BUYER_TAG)),
        holding(&signed(&hold, at(60), BUYER_TAG)),
        holding(&beside),
        changed(&|input| input.replace("\"@method\" \"@authority\"", "\"@authority\" \"@method\"")),
        told(now)?,
    ];
    let other = |member: &str, value: Value| {
        let mut sent = holding(&usual);
        sent[member] = value;
        sent
    };
    let told_as_buyer = |tag: &str| {
        let mut told = told(now)?;
        told["tag"] = json!(tag);
        Ok::<_, anyhow::Error>(told)
    };
    let of_another = Content::of("application/json", b"{}");
    let bad = [
        (other("method", json!("PUT")), "another method"),
        (other("authority", json!("other.example")), "signed for another origin"),
        (other("path", json!("/v1/screenings/show-2/holds")), "another path"),
        (other("query", json!("x=1")), "a query that was not signed"),
        (other("body", json!("{}")), "another body than its digest is of"),
        (other("content_digest", json!(of_another.digest)), "another digest than was signed"),
        (other("content_type", json!("text/plain")), "another type than was signed"),
        (other("idempotency_key", json!("h-2")), "another Idempotency-Key"),
        (other("idempotency_key", Value::Null), "an Idempotency-Key that was signed and not sent"),
        (holding(&signed(&hold, at(-300), BUYER_TAG)), "over at this very moment"),
        (holding(&signed(&hold, at(61), BUYER_TAG)), "made more than 60 seconds ahead"),
        (holding(&signed(&hold, now, "admit-webhook")), "another tag"),
        (told_as_buyer(BUYER_TAG)?, "a notification where a buyer's request is wanted"),
        (other("tag", json!(WEBHOOK_TAG)), "a buyer's request where a notification is wanted"),
        (holding(&twice), "two signatures with the tag"),
        (replaced("expires=1795262700", "expires=1795262701"), "good for more than 300 seconds"),
        (replaced(";alg=\"ed25519\"", ""), "without `alg`"),
        (replaced(NONCE, "short"), "a nonce of five characters"),
        (replaced(" \"content-digest\"", ""), "the digest is not covered"),
        (replaced(" \"idempotency-key\"", ""), "the Idempotency-Key is not covered"),
        (replaced("(\"@method\"", "(\"@method\" \"@method\""), "a part is covered twice"),
        (
            holding(&by_hand(&hold, &key(2), |input| {
                input.replace(&key(2).public().to_string(), &key(1).public().to_string())
            })),
            "signed by another key than it names",
        ),
        (
            holding(&SignatureFields { signature: usual.signature.replace("admit=", "other="), ..usual.clone() }),
            "a signature under another name",
        ),
    ];
    let accepts = |sent: &Value| {
        let text = |member: &str| sent[member].as_str();
        let content = text("content_digest").zip(text("content_type"));
        let content = content.map(|(digest, kind)| Content { media_type: kind.into(), digest: digest.into() });
        let fields = SignatureFields {
            input: text("signature_input").unwrap_or_default().into(),
            signature: text("signature").unwrap_or_default().into(),
        };
        let asked = Signing {
            method: text("method").unwrap_or_default(),
            authority: text("authority").unwrap_or_default(),
            path: text("path").unwrap_or_default(),
            query: text("query"),
            content: content.as_ref(),
            idempotency_key: text("idempotency_key"),
        };
        let body = text("body").map(str::as_bytes);
        let fits = body.is_none_or(|body| content.as_ref().is_some_and(|content| content.fits(body)));
        fits && asked.verify(&fields, text("tag").unwrap_or_default(), now).is_ok()
    };
    Ok(json!({"requests": judged(&good, &bad, accepts)?}))
}
