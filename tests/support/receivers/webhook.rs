//! What the Standard Webhooks specification asks of a sender:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;

/// What a careful receiver would refuse.
pub fn violations(headers: &BTreeMap<String, String>, bytes: &[u8], secret: &str) -> Vec<String> {
    let header = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let mut found = Vec::new();
    if id.is_empty() {
        found.push("no webhook-id".to_owned());
    }
    let age = timestamp.parse::<i64>().map(|sent| chrono::Utc::now().timestamp() - sent);
    if !age.is_ok_and(|seconds| seconds.abs() < 300) {
        found.push(format!("webhook-timestamp `{timestamp}` isn't within five minutes of now, in seconds"));
    }
    // A secret that says so is base64; any other is its own bytes.
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).unwrap(),
        None => secret.as_bytes().to_vec(),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(bytes);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    if !header("webhook-signature").split(' ').any(|signature| signature == expected) {
        found.push(format!("webhook-signature `{}` doesn't fit", header("webhook-signature")));
    }
    found
}
