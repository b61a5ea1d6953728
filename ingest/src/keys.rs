//! What a JSON text's keys begin and end with: enough to say that it has no key of some name, without reading it.

use memchr::memchr;

/// The keys of a JSON text, at any depth, as far as is needed to rule names out.
///
/// Names are compared as if in one case and without hyphens and underscores: `DBInstanceId` is `db-instance-id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keys {
    /// A bit for each first letter.
    firsts: u32,
    /// A bit for each pair of a first and a last letter; some share one.
    ends: u64,
    /// The text is an object.
    is_object: bool,
    /// Some string of it has escapes, be it a key or a value.
    has_escapes: bool,
}

impl Keys {
    /// Nothing can be ruled out.
    const ANY: Keys = Keys { firsts: u32::MAX, ends: u64::MAX, is_object: false, has_escapes: true };

    /// The keys of a text, which need not be JSON: what looks like a key is one.
    #[must_use]
    pub fn of(json: &str) -> Keys {
        let json = json.as_bytes();
        let mut keys = Keys::default();
        keys.tell_object(json.trim_ascii_start().first() == Some(&b'{'));
        keys.tell_escapes(memchr(b'\\', json).is_some());
        let mut at = 0;
        while let Some(open) = memchr(b'"', json.get(at..).unwrap_or_default()).map(|open| at + open + 1) {
            let Some(end) = crate::token::string_end(json, open - 1) else { break };
            let colon = crate::token::skip_space(json, end);
            if json.get(colon) == Some(&b':') {
                let key = json.get(open..end - 1).unwrap_or_default();
                keys.add(key, memchr(b'\\', key).is_some());
            }
            at = end;
        }
        keys
    }

    /// Adds a key as it stands between its quotes. `escaped`: it has escapes, which may stand for any letter.
    #[inline(always)]
    pub fn add(&mut self, key: &[u8], escaped: bool) {
        match (key.first(), key.last()) {
            (Some(first), Some(last)) if !escaped && is_plain(*first) && is_plain(*last) => {
                self.firsts |= first_bit(*first);
                self.ends |= ends_bit(*first, *last);
            }
            (None, _) => {}
            _ => *self = Keys { is_object: self.is_object, ..Keys::ANY },
        }
    }

    /// Says whether the text is an object.
    pub(crate) fn tell_object(&mut self, is_object: bool) {
        self.is_object = is_object;
    }

    /// Says whether one more string has escapes.
    #[inline(always)]
    pub(crate) fn tell_escapes(&mut self, has_escapes: bool) {
        self.has_escapes |= has_escapes;
    }

    /// Whether some string may have escapes: if not, all of them stand as they read.
    #[must_use]
    pub fn has_escapes(self) -> bool {
        self.has_escapes
    }

    /// Whether the text is an object with something in it; if not it still may be one.
    #[must_use]
    pub fn has_members(self) -> bool {
        self.is_object && self.ends != 0
    }

    /// Whether a key may be the same as a name, itself written in letters and digits alone.
    #[must_use]
    pub fn may_be(self, name: &str) -> bool {
        match (name.as_bytes().first(), name.as_bytes().last()) {
            (Some(first), Some(last)) => self.ends & ends_bit(*first, *last) != 0,
            _ => true,
        }
    }

    /// Whether a key may begin with the first letter of a name.
    #[must_use]
    pub fn may_begin(self, name: &str) -> bool {
        name.as_bytes().first().is_none_or(|first| self.firsts & first_bit(*first) != 0)
    }
}

/// Whether a byte is not passed over when names are compared.
#[inline(always)]
fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'-' | b'_')
}

#[inline(always)]
fn first_bit(first: u8) -> u32 {
    1 << (first & 31)
}

/// Letters in one case: what is no letter only shares a bit with something else.
#[inline(always)]
fn ends_bit(first: u8, last: u8) -> u64 {
    1 << ((u32::from(first & 31) * 11 + u32::from(last & 31)) & 63)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_no_key_is_like_is_ruled_out() {
        let keys = Keys::of(r#"{"bucketName":"omitted","Host" : {"x-id":["versionId","a:b"]},"list":[]}"#);
        assert!(keys.may_be("BucketName") && keys.may_be("host") && keys.may_be("xid"));
        assert!(!keys.may_be("omitted") && !keys.may_be("versionId"), "values are no keys");
        assert!(keys.may_begin("limit") && !keys.may_begin("versionId"));
        assert!(keys.has_members() && Keys::of(r#" {"-":1}"#).has_members());
        for text in ["{}", "", r#"[{"a":1}]"#, r#""a":1"#] {
            assert!(!Keys::of(text).has_members(), "{text}");
        }
    }

    #[test]
    fn what_hides_a_letter_may_be_anything() {
        for text in [r#"{"\u0076ersionId":1}"#, r#"{"-versionId":1}"#, r#"{"version_id_":1}"#] {
            let keys = Keys::of(text);
            assert!(keys.may_be("versionId") && keys.may_begin("versionId"), "{text}");
        }
        assert!(!Keys::of(r#"{"":1}"#).may_be("versionId"));
    }

    #[test]
    fn escapes_are_told_wherever_they_stand() {
        for text in [r#"{"\u0076":1}"#, r#"{"a":["b",{"c":"\u0074ag"}]}"#, r#"["\n"]"#] {
            assert!(Keys::of(text).has_escapes(), "{text}");
        }
        assert!(!Keys::of(r#"{"a":["b",{"c":"/u0074ag"}]}"#).has_escapes());
    }

    proptest! {
        #[test]
        fn a_key_that_is_there_may_be_there(
            key in "[-_]{0,2}[vV9][-_]?[eE][xX0]{0,2}[-_]?",
            other in "[\\\\\"a-z,:]{0,4}"
        ) {
            let text = serde_json::json!({"a": [other.clone(), {key.clone(): other}]}).to_string();
            let name = key.replace(['-', '_'], "");
            let keys = Keys::of(&text);
            prop_assert!(keys.may_be(&name) && keys.may_begin(&name), "{text}");
        }
    }
}
