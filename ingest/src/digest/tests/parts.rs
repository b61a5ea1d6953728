//! What is read from files of keys, and what no bytes may do.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::json;

use super::signer::{Trail, gzip, signer};
use super::*;

const WHOLE: (&str, &str) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");

#[test]
fn keys_are_read_as_every_tool_prints_them() {
    let key = signer(0).listed(WHOLE.0, WHOLE.1);
    let mut epoch = key.clone();
    epoch["ValidityStartTime"] = json!(1_767_225_600);
    epoch["ValidityEndTime"] = json!(1_769_904_000.0);
    let mut zoned = key.clone();
    zoned["ValidityStartTime"] = json!("2026-01-01T01:00:00+01:00");
    let mut bucket = Bucket::default();
    Trail::new().hour(&mut bucket, 1);
    for keys in [
        json!([key]),
        json!({ "PublicKeyList": [epoch] }),
        json!([zoned]),
        json!([signer(2).listed(WHOLE.0, WHOLE.1), key]),
    ] {
        let ring = KeyRing::parse(keys.to_string().as_bytes()).unwrap();
        assert_eq!(told_with(&bucket, &ring, None), Told::clean(1, 1), "{keys}");
    }
}

#[test]
fn what_is_no_list_of_keys_is_refused() {
    let mut timeless = signer(0).listed(WHOLE.0, "soon");
    assert!(KeyRing::parse(json!([timeless]).to_string().as_bytes()).is_err());
    timeless["ValidityEndTime"] = json!(1e300);
    assert!(KeyRing::parse(json!([timeless]).to_string().as_bytes()).is_err());
    for text in ["", "{}", "[1]", "null", &"[".repeat(100_000)] {
        assert!(KeyRing::parse(text.as_bytes()).is_err());
    }
    assert!(KeyRing::parse(b"[]").unwrap().is_empty());
}

#[test]
fn a_digest_has_bounds() {
    let keys = keys();
    let place = Place::new("logs", Trail::new().digest_key(Trail::new().now));
    let verify =
        |plain: &[u8]| Digest::verify(&place, &gzip(plain), &Metadata::default(), &keys).unwrap_err().code();
    assert_eq!(verify("[".repeat(1 << 20).as_bytes()), "digest_malformed");
    // The first MiB is free of the ratio.
    assert_eq!(verify(&vec![b' '; 1 << 20]), "digest_malformed");
    let bomb = verify(&vec![b' '; 64 << 20]);
    assert!(["gzip_ratio", "digest_malformed"].contains(&bomb), "{bomb}");
}

fn signed() -> (Place, Vec<u8>, Metadata, String) {
    static SIGNED: OnceLock<(Place, Vec<u8>, Metadata, String)> = OnceLock::new();
    SIGNED.get_or_init(sign_one).clone()
}

fn sign_one() -> (Place, Vec<u8>, Metadata, String) {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    trail.hour(&mut bucket, 1);
    let second = trail.hour(&mut bucket, 2);
    let at = (second.bucket, second.key);
    let bytes = bucket.objects.remove(&at).unwrap();
    let metadata = Metadata::parse(bucket.metadata[&at].to_string().as_bytes()).unwrap();
    let plain = String::from_utf8(inflate(&bytes, &Limits::default()).unwrap().into_owned()).unwrap();
    (Place::new(at.0, at.1), bytes, metadata, plain)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any one byte of the content, whatever it becomes.
    #[test]
    fn no_change_of_a_digest_stays_valid(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (place, _, metadata, plain) = signed();
        let mut changed = plain.clone().into_bytes();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        prop_assert!(Digest::verify(&place, &gzip(&changed), &metadata, &keys()).is_err());
        prop_assert!(Digest::verify(&place, &gzip(plain.as_bytes()), &metadata, &keys()).is_ok());
    }

    #[test]
    fn no_change_of_a_signature_stays_valid(at in 0usize..512, digit in "[0-9a-f]") {
        let (place, bytes, mut metadata, _) = signed();
        let text = metadata.signature.unwrap();
        prop_assume!(text[at..=at] != digit);
        metadata.signature = Some(format!("{}{digit}{}", &text[..at], &text[at + 1..]));
        prop_assert_eq!(Digest::verify(&place, &bytes, &metadata, &keys()), Err(DigestProblem::Signature));
    }

    /// Neither bytes as they are nor bytes in gzip make anything but an error.
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), key in "\\PC{0,80}") {
        let place = Place::new("b", key);
        let keys = KeyRing::default();
        let metadata = Metadata::parse(&bytes).unwrap_or_default();
        prop_assert!(Digest::verify(&place, &bytes, &metadata, &keys).is_err());
        prop_assert!(Digest::verify(&place, &gzip(&bytes), &metadata, &keys).is_err());
        prop_assert!(KeyRing::parse(&bytes).is_err());
        let _ = (place.digest_name(), place.log_name());
        prop_assert!(logs::content_sha256(gzip(&bytes).as_slice(), &Limits::default()).is_ok());
        let _ = logs::content_sha256(bytes.as_slice(), &Limits::default());
    }

    /// Any signed documents in any order and places: no panic, and each is either an hour or a problem.
    #[test]
    fn every_digest_is_an_hour_or_a_problem(
        hours in prop::collection::vec((0i64..12, 1i64..4, any::<bool>(), any::<bool>(), any::<bool>()), 1..12),
    ) {
        let mut bucket = Bucket::default();
        let mut trail = Trail::new();
        let start = trail.now;
        for (from, length, restart, backfill, remove) in hours {
            if restart {
                trail.restart();
            }
            trail.backfill = backfill;
            let from = start + TimeDelta::hours(from);
            let sealed = trail.digest(&mut bucket, from, from + TimeDelta::hours(length), vec![], |_| {});
            if remove {
                bucket.objects.remove(&(sealed.bucket, sealed.key));
            }
        }
        let found = verified(&bucket, &keys());
        let there: Vec<_> = found.iter().map(|(place, _)| place.clone()).collect();
        let linked = link(found, None);
        for place in there {
            let is_hour = linked.hours.iter().any(|(_, hour)| hour.digest == place);
            let is_problem = linked.problems.iter().any(|(other, _)| *other == place);
            prop_assert!(is_hour != is_problem, "{}", place);
        }
        for pair in linked.hours.windows(2) {
            let [(_, a), (_, b)] = pair else { continue };
            prop_assert!(a.chain != b.chain || a.chain.backfill || a.end <= b.start);
        }
    }
}
