//! Signatures, and what only looks like one.

use admit_protocol::key::PublicKey;
use curve25519_dalek::Scalar;
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::{hex, judged, unhex};

/// What fits an equation is not yet a signature: every way that verifiers differ in, made from our own keys.
pub(super) fn all() -> anyhow::Result<Value> {
    let (ours, message) = (SigningKey::from_bytes(&[1; 32]), "what is signed");
    let public = ours.verifying_key().to_bytes();
    let signature = ours.sign(message.as_bytes()).to_bytes();
    let case = |public: &[u8], message: &str, signature: &[u8]| json!({"public": hex(public), "message": message, "signature": hex(signature)});
    let with = |change: &dyn Fn(&mut [u8; 64])| {
        let mut changed = signature;
        change(&mut changed);
        case(&public, message, &changed)
    };
    // s = H(R, A, M) a for an R of small order: the equation holds, with a point that belongs to nobody.
    let of_small_order = |r: [u8; 32]| {
        let hash = Sha512::new().chain_update(r).chain_update(public).chain_update(message).finalize();
        let s = Scalar::from_bytes_mod_order_wide(&hash.into()) * ours.to_scalar();
        case(&public, message, &[r, s.to_bytes()].concat())
    };
    let mut neutral = [0; 32];
    neutral[0] = 1;
    // The same point, written as p + 1.
    let mut not_canonical = [0xff; 32];
    (not_canonical[0], not_canonical[31]) = (0xee, 0x7f);
    // The order of the base point: s and s + L are the same number.
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10_u8,
    ];
    let plus_order = |signature: &mut [u8; 64]| {
        let mut carry = 0;
        for (byte, more) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(more) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
    };
    // Under a key of small order nearly everything fits: R = s B, whatever was said.
    let anybodys = ED25519_BASEPOINT_POINT.compress().to_bytes();
    let mut one = [0; 32];
    one[0] = 1;
    let good = [case(&public, message, &signature), case(&public, "", &ours.sign(b"").to_bytes())];
    let bad = [
        (case(&public, "what was not signed", &signature), "another message"),
        (case(&SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes(), message, &signature), "another key"),
        (with(&|s| s[0] ^= 1), "another R"),
        (with(&|s| s[32] ^= 1), "another s"),
        (with(&plus_order), "s is not below the order of the group"),
        (of_small_order(neutral), "R is of small order"),
        (of_small_order(not_canonical), "R is of small order, and not written as it must be"),
        (case(&neutral, message, &[anybodys, one].concat()), "the key is of small order"),
        (case(&not_canonical, message, &[anybodys, one].concat()), "the key is not written as it must be"),
        (case(&public, message, &signature[..63]), "too short"),
    ];
    let accepts = |case: &Value| {
        let read = || -> anyhow::Result<()> {
            let part = |name: &str| case[name].as_str().unwrap_or_default();
            let key = PublicKey::from_bytes(&unhex(part("public"))?)?;
            Ok(key.verify(part("message").as_bytes(), &unhex(part("signature"))?)?)
        };
        read().is_ok()
    };
    Ok(json!({"signatures": judged(&good, &bad, accepts)?}))
}
