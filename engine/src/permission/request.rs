//! Looking names up in a request whose shape each service chooses, and whose words the caller does

use memchr::{memchr_iter, memchr2_iter, memmem};

use super::json::{Json, Kind};

/// Values of a request that we look at.
const NODES_MAX: usize = 2_000;
/// Values of one name that we take.
const VALUES_MAX: usize = 100;

/// `DBInstanceIdentifier`, `dBInstanceIdentifier` and `db-instance-identifier` are one name.
pub(super) fn same(left: &str, right: &str) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = u8> + '_ {
        text.bytes().filter(|b| *b != b'-' && *b != b'_').map(|b| b.to_ascii_lowercase())
    }
    letters(left).eq(letters(right))
}

/// Whether a text has a word in it, in any case. Its first letter is looked for, so it should be a rare one.
pub(super) fn has_word(text: &str, word: &[u8]) -> bool {
    let text = text.as_bytes();
    let Some(first) = word.first() else { return true };
    memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text)
        .any(|at| text.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word)))
}

/// The letters that the quoted words of a JSON text begin with, whatever their case: enough to say that a name is none
/// of them, at a tenth of what it costs to read the JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Initials(u32);

impl Initials {
    const ANY: u32 = u32::MAX;

    pub(super) fn of(text: &str) -> Initials {
        let text = text.as_bytes();
        let mut letters = 0;
        for at in memchr_iter(b'"', text) {
            letters |= match text.get(at + 1) {
                Some(letter) if letter.is_ascii_alphabetic() => 1 << (letter & 31),
                // `same` passes hyphens over, and an escape may stand for any letter.
                Some(b'-' | b'_' | b'\\') => Initials::ANY,
                _ => 0,
            };
        }
        Initials(letters)
    }

    /// Whether a word may be the [`same`] as a name that begins with a letter.
    pub(super) fn may_name(self, name: &str) -> bool {
        let first = name.as_bytes().first().filter(|first| first.is_ascii_alphabetic());
        first.is_none_or(|first| self.0 & 1 << (first & 31) != 0)
    }
}

/// Whether JSON spells ASCII as escapes (`\\u0074ag`): then its words cannot be looked for in the text.
pub(super) fn hides_letters(text: &str) -> bool {
    memmem::find(text.as_bytes(), b"\\u00").is_some()
}

/// The texts under a field: at the top, else below the lists and wrappers that EC2 makes (`instancesSet.items[]`).
/// The top comes first, so that nothing a caller nests in his parameters can stand for the parameter itself.
pub(super) fn find<'v>(request: Json<'v>, name: &str) -> Vec<&'v str> {
    if !request.may_name(name) {
        return Vec::new();
    }
    search(request, &|key| same(key, name), &is_wrapper)
}

/// The same for a name that is folded already (`clustername`), or its plural.
pub(super) fn find_folded<'v>(request: Json<'v>, name: &str) -> Vec<&'v str> {
    if !request.may_name(name) {
        return Vec::new();
    }
    search(request, &|key| is_folded(key, name), &is_wrapper)
}

/// The same in a response, whose structures AWS names: only maps with keys of the caller's own are left out.
pub(super) fn find_told<'v>(response: Json<'v>, name: &str) -> Vec<&'v str> {
    let is_callers = |key: &str| {
        let key = key.to_ascii_lowercase();
        ["tag", "param", "variable", "metadata", "label", "environment", "context"]
            .iter()
            .any(|word| key.contains(word))
    };
    if !response.may_name(name) {
        return Vec::new();
    }
    search(response, &|key| is_folded(key, name), &|key| !is_callers(key))
}

/// Whether a key is a folded name or a list of them: `tableNames`, `connectionNameList`.
fn is_folded(key: &str, name: &str) -> bool {
    let mut letters = key.bytes().filter(|b| *b != b'-' && *b != b'_').map(|b| b.to_ascii_lowercase());
    if !name.bytes().all(|b| letters.next() == Some(b)) {
        return false;
    }
    let end = [(); 5].map(|()| letters.next());
    let is = |word: &[u8]| {
        end.iter().copied().eq(word
            .iter()
            .copied()
            .map(Some)
            .chain(std::iter::repeat_n(None, 5 - word.len())))
    };
    is(b"") || is(b"s") || is(b"list")
}

/// The keys of a map under a folded name: DynamoDB's `requestItems`.
pub(super) fn keys_of<'v>(request: Json<'v>, name: &str) -> Vec<&'v str> {
    let found = request.members().find(|(key, _)| is_folded(key, name)).map(|(_, value)| value);
    found.into_iter().flat_map(Json::members).map(|(key, _)| key).take(VALUES_MAX + 1).collect()
}

fn search<'v>(
    request: Json<'v>,
    is_name: &dyn Fn(&str) -> bool,
    is_way: &dyn Fn(&str) -> bool,
) -> Vec<&'v str> {
    let (mut found, mut below) = (Vec::new(), Vec::new());
    let mut nodes = 0;
    let mut look = |value: Json<'v>, found: &mut Vec<&'v str>, below: &mut Vec<Json<'v>>| -> bool {
        for (key, value) in value.members() {
            nodes += 1;
            if nodes > NODES_MAX {
                return false;
            }
            match value.kind() {
                Kind::Text if is_name(key) => found.extend(value.text()),
                Kind::List if is_name(key) && value.items().next().is_none_or(|one| one.text().is_some()) => {
                    found.extend(value.items().filter_map(Json::text));
                }
                Kind::Map if is_name(key) && value.get("content").is_some() => {
                    found.extend(value.get("content").and_then(Json::text));
                }
                Kind::Map if is_way(key) => below.push(value),
                Kind::List if is_way(key) => below.extend(value.items()),
                _ => {}
            }
        }
        true
    };
    // Most that is looked for stands at the top.
    if !look(request, &mut found, &mut below) {
        return found;
    }
    for _depth in 1..4 {
        if !found.is_empty() {
            break;
        }
        for value in std::mem::take(&mut below) {
            if !look(value, &mut found, &mut below) {
                return found;
            }
        }
    }
    found.truncate(VALUES_MAX + 1);
    found
}

fn is_wrapper(key: &str) -> bool {
    key.ends_with("Set")
        || key == "items"
        || key.ends_with("Request")
        || key.ends_with("Items")
        || key == "parameters"
}

/// Every text under a key that `wanted` accepts, at any depth, with that key.
pub(super) fn strings_below<'v>(value: Json<'v>, wanted: &dyn Fn(&str) -> bool) -> Vec<(&'v str, &'v str)> {
    let mut found = Vec::new();
    let mut waiting: Vec<(&str, Json<'v>)> = vec![("", value)];
    let mut nodes = 0;
    while let Some((key, value)) = waiting.pop() {
        nodes += 1;
        if nodes > NODES_MAX || found.len() >= VALUES_MAX {
            break;
        }
        match value.kind() {
            Kind::Text if !key.is_empty() => found.extend(value.text().map(|text| (key, text))),
            Kind::List => {
                let start = waiting.len();
                waiting.extend(value.items().map(|one| (key, one)));
                if let Some(added) = waiting.get_mut(start..) {
                    added.reverse();
                }
            }
            Kind::Map => {
                // What stands inside a structure that is called so is called by its own name, or by that one.
                let inner = |name: &'v str| {
                    if wanted(name) {
                        name
                    } else if matches!(name, "arn" | "name") {
                        key
                    } else {
                        ""
                    }
                };
                waiting.extend(value.members().map(|(name, value)| (inner(name), value)));
            }
            _ => {}
        }
    }
    found
}

/// Every text in a value, without recursion.
pub(super) fn strings(value: Json<'_>) -> impl Iterator<Item = &str> {
    let mut waiting = vec![value];
    let mut nodes = 0;
    std::iter::from_fn(move || {
        loop {
            let value = waiting.pop()?;
            nodes += 1;
            if nodes > NODES_MAX {
                return None;
            }
            match value.kind() {
                Kind::Text => return value.text(),
                Kind::List => waiting.extend(value.items()),
                Kind::Map => waiting.extend(value.members().map(|(_, value)| value)),
                _ => {}
            }
        }
    })
}

/// `%2F` and the like; what is no such thing stays as it is.
pub(crate) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) if *byte == b'%' => {
                out.push(decoded);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_no_word_begins_like_is_not_there() {
        let text = Initials::of(r#"{"bucketName":"acme","Host":"s3","list":[]}"#);
        assert!(text.may_name("BucketName") && text.may_name("host") && text.may_name("limit"));
        // `acme` and `s3` are values, which may be keys for all that a quick look knows.
        assert!(text.may_name("acl") && text.may_name("size"));
        assert!(!text.may_name("versionId") && !text.may_name("omitted"));
    }

    #[test]
    fn what_hides_its_first_letter_may_be_anything() {
        for text in [r#"{"\u0076ersionId":1}"#, r#"{"-versionId":1}"#, r#"{"_version_id":1}"#] {
            assert!(Initials::of(text).may_name("versionId"), "{text}");
        }
        assert!(Initials::of("{}").may_name("-"), "only letters are known of");
    }

    proptest! {
        #[test]
        fn a_key_that_is_there_may_be_there(key in "[-_]{0,2}[vV][-_]?[eE][xX]{0,2}", other in "[\\\\\"a-z,:]{0,4}") {
            let text = serde_json::json!({"a": [other.clone()], key.clone(): other}).to_string();
            let name = key.replace(['-', '_'], "");
            prop_assert!(same(&key, &name) && Initials::of(&text).may_name(&name), "{text}");
        }
    }
}
