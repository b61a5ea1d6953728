//! What somebody may do to a bucket, each told apart from the others, with what is nearly the same and harmless beside it.

mod digests;
mod large;
mod logs;
mod places;

use serde_json::Value;

use super::signer::{Bucket, Sealed, Trail, gzip};
use super::*;

type At = (String, String);

/// Five hours with two log files each.
struct Scene {
    bucket: Bucket,
    digests: Vec<At>,
    logs: Vec<At>,
    /// Goes on after the fifth hour
    trail: Trail,
}

fn at(sealed: Sealed) -> At {
    (sealed.bucket, sealed.key)
}

fn scene() -> Scene {
    scene_but(|_| {})
}

/// The same, with the third digest changed before it is signed.
fn scene_but(change: impl Fn(&mut Value)) -> Scene {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    let mut digests = Vec::new();
    for hour in 0..5 {
        let sealed = trail.hour_but(&mut bucket, 2, |document| {
            if hour == 2 {
                change(document);
            }
        });
        digests.push(at(sealed));
    }
    let logs = bucket.objects.keys().filter(|(_, key)| !is_digest(key)).cloned().collect();
    Scene { bucket, digests, logs, trail }
}

impl Scene {
    fn bytes(&mut self, at: &At) -> &mut Vec<u8> {
        self.bucket.objects.get_mut(at).unwrap()
    }

    fn plain(&self, at: &At) -> Vec<u8> {
        inflate(&self.bucket.objects[at], &Limits::default()).unwrap().into_owned()
    }

    fn document(&self, at: &At) -> Value {
        serde_json::from_slice(&self.plain(at)).unwrap()
    }

    /// The third digest, changed by somebody who has no key.
    fn rewrite(&mut self, change: impl FnOnce(&mut Value)) {
        let at = self.digests[2].clone();
        let mut document = self.document(&at);
        change(&mut document);
        *self.bytes(&at) = gzip(document.to_string().as_bytes());
    }

    fn remove(&mut self, at: &At) -> (Vec<u8>, Option<Value>) {
        (self.bucket.objects.remove(at).unwrap(), self.bucket.metadata.remove(at))
    }

    fn put(&mut self, at: At, (bytes, metadata): (Vec<u8>, Option<Value>)) {
        self.bucket.metadata.extend(metadata.map(|metadata| (at.clone(), metadata)));
        self.bucket.objects.insert(at, bytes);
    }

    fn copy(&mut self, from: &At, to: At) {
        let copied = (self.bucket.objects[from].clone(), self.bucket.metadata.get(from).cloned());
        self.put(to, copied);
    }

    #[track_caller]
    fn tells(&self, expected: Told) {
        assert_eq!(told(&self.bucket), expected);
    }
}

/// One of the five digests is wrong, so its two log files are judged by nobody.
fn one_digest(code: &'static str) -> Told {
    Told { digests: (4, 1), codes: vec![code], notes: vec!["log_in_gap"; 2], ..Told::clean(0, 8) }
}

fn one_log(code: &'static str) -> Told {
    Told { logs: (9, 1), codes: vec![code], ..Told::clean(5, 9) }
}

#[test]
fn nothing_done_tells_nothing() {
    scene().tells(Told::clean(5, 10));
}
