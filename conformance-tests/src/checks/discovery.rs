//! The manifest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Checked, must};
use crate::target::Target;

const WELL_KNOWN: &str = "/.well-known/admit";

pub(crate) async fn well_known(target: &mut Target) -> Result<(), String> {
    let answer = target.get(WELL_KNOWN).await?;
    must(answer.status == 200, || format!("status {}, not 200", answer.status))?;
    let jws = answer.json()?;
    let payload = decode(text(&jws, "payload")?)?;
    target.manifest = Some(serde_json::from_slice(&payload).map_err(|e| format!("the payload is no JSON: {e}"))?);
    Ok(())
}

pub(super) async fn header(target: &mut Target) -> Result<(), String> {
    let jws = target.get(WELL_KNOWN).await?.json()?;
    header_fits(target, &jws, "admit-manifest+jws")
}

pub(super) async fn signature(target: &mut Target) -> Result<(), String> {
    let jws = target.get(WELL_KNOWN).await?.json()?;
    signature_fits(target, &jws)
}

fn signature_fits(target: &Target, jws: &Value) -> Result<(), String> {
    let key = VerifyingKey::from_bytes(&identity(target)?).map_err(|e| format!("the identity key: {e}"))?;
    let signature = decode(text(jws, "signature")?)?;
    let signature = Signature::from_slice(&signature).map_err(|e| format!("the signature: {e}"))?;
    let signed = format!("{}.{}", text(jws, "protected")?, text(jws, "payload")?);
    key.verify_strict(signed.as_bytes(), &signature).map_err(|_| "the signature does not fit the identity key".into())
}

fn header_fits(target: &Target, jws: &Value, typ: &str) -> Result<(), String> {
    let header: Value = serde_json::from_slice(&decode(text(jws, "protected")?)?).map_err(|e| e.to_string())?;
    let kid = URL_SAFE_NO_PAD.encode(&Sha256::digest(identity(target)?)[..16]);
    let right = json!({"alg": "EdDSA", "typ": typ, "kid": kid});
    must(header == right, || format!("the protected header is {header}, not {right}"))
}

/// What the identity key has signed as this.
pub(super) fn signed_by_identity(target: &Target, jws: &Value, typ: &str) -> Result<Value, String> {
    header_fits(target, jws, typ)?;
    signature_fits(target, jws)?;
    serde_json::from_slice(&decode(text(jws, "payload")?)?).map_err(|e| format!("the payload is no JSON: {e}"))
}

pub(super) async fn origin(target: &mut Target) -> Result<(), String> {
    let claimed = target.member("origin")?;
    must(claimed == target.origin(), || format!("fetched from {}, but it speaks for {claimed}", target.origin()))
}

pub(super) async fn life(target: &mut Target) -> Result<(), String> {
    let now = match target.run {
        Some(_) => target.now().await?,
        None => Timestamp::now(),
    };
    let instant = |name: &str| {
        let text = target.member(name)?.as_str().unwrap_or_default();
        text.parse::<Timestamp>().map_err(|e| format!("`{name}`: {e}"))
    };
    let (issued, expires) = (instant("issued")?, instant("expires")?);
    must(issued <= now + SignedDuration::from_mins(5), || format!("issued in the future: {issued}"))?;
    must(expires > now, || format!("expired: {expires}"))?;
    let life = expires.duration_since(issued);
    must(life <= SignedDuration::from_hours(7 * 24), || format!("it lives for {} hours", life.as_hours()))
}

pub(super) async fn keys(target: &mut Target) -> Result<(), String> {
    let keys = target.member("keys")?;
    let mut all = vec![&keys["identity"], &keys["recovery"]];
    all.extend(keys["ticket"].as_array().into_iter().flatten().map(|k| &k["key"]));
    let different = all.iter().enumerate().all(|(n, key)| key.is_string() && !all[..n].contains(key));
    must(different, || format!("not all different: {all:?}"))
}

fn identity(target: &Target) -> Result<[u8; 32], String> {
    let key = target.member("keys")?["identity"].as_str().ok_or("`keys.identity` is no text")?;
    decode(key)?.try_into().map_err(|_| "an Ed25519 key has 32 bytes".into())
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    value[name].as_str().ok_or_else(|| format!("there is no text `{name}`"))
}

pub(super) fn decode(text: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD.decode(text).map_err(|e| format!("{text:?} is no unpadded base64url: {e}"))
}

pub(super) async fn serials(target: &mut Target) -> Checked {
    let serial = |target: &Target| target.member("serial").map(Value::as_u64);
    let mut before = serial(target)?;
    for what in ["a day later", "a screening more", "after a restart"] {
        match what {
            "a day later" => {
                target.run()?.advance_ms(93_600_000).await?;
            }
            "a screening more" => {
                target.show(json!({})).await?;
            }
            _ => target.run()?.act(&json!({"action": "restart"})).await?,
        }
        let known = target.well_known();
        target.meet_again().await?;
        let now = serial(target)?;
        // The same document may come again.
        must(now > before || target.well_known() == known, || {
            format!("{what} the serial is {now:?}, and it was {before:?}")
        })?;
        before = now;
    }
    Ok(())
}
