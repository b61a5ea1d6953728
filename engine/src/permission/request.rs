//! Looking names up in a request whose shape each service chooses, and whose words the caller does

use std::sync::LazyLock;

use ingest::token::{skip_space, string_end};
use memchr::memchr2_iter;
use memchr::memmem::Finder;

use crate::json::{Json, Kind};

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

/// Whether a JSON text has a key with a word in it, of letters and hyphens, in any case. Values may have it.
pub(super) fn has_key_with(json: &str, word: &[u8]) -> bool {
    let json = json.as_bytes();
    if !may_have_word(json, word) {
        return false;
    }
    let (Some(first), mut at) = (word.first(), 0) else { return true };
    let stands =
        |at: usize| json.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word));
    loop {
        let rest = json.get(at..).unwrap_or_default();
        let starts = memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), rest);
        let mut starts = starts.map(|start| at + start);
        let Some(found) = starts.find(|start| stands(*start)) else { return false };
        // Such a word stands in strings alone, so it ends with its string.
        let Some(end) = string_end(json, found) else { return true };
        if json.get(skip_space(json, end)) == Some(&b':') {
            return true;
        }
        at = end;
    }
}

/// Whether the first three letters of a word are there in a row: no branches, so that the compiler takes many bytes at a
/// time.
fn may_have_word(text: &[u8], word: &[u8]) -> bool {
    let [first, second, third, ..] = word else { return true };
    let (next, last) = (text.get(1..).unwrap_or_default(), text.get(2..).unwrap_or_default());
    let is = |byte: &u8, letter: &u8| u8::from(byte | 0x20 == letter | 0x20);
    let begins = text.iter().zip(next).zip(last);
    begins.fold(0, |found, ((a, b), c)| found | is(a, first) & is(b, second) & is(c, third)) != 0
}

/// Whether JSON spells ASCII as escapes (`\\u0074ag`): then its words cannot be looked for in the text.
pub(super) fn hides_letters(text: &str) -> bool {
    static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\\u00"));
    ESCAPE.find(text.as_bytes()).is_some()
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
    use super::*;

    #[test]
    fn a_word_counts_in_keys_alone() {
        assert!(has_key_with(r#"{"name":"x","resourceTags" : []}"#, b"tag"));
        assert!(has_key_with(r#"{"a":{"x-amz-TAGging":1}}"#, b"tag"));
        assert!(has_key_with(r#"{"a":"tag","b":"\"tag","tag":1}"#, b"tag"));
        for text in [
            r#"{"name":"vintage","list":["tag"]}"#,
            r#"{"policyDocument":"{\"aws:PrincipalTag/team\":\"tag\"}","b":1}"#,
            r#"{"t":"a","g":1}"#,
            "",
        ] {
            assert!(!has_key_with(text, b"tag"), "{text}");
        }
        assert!(
            has_key_with(r#"{"a":"a tag that breaks off"#, b"tag"),
            "what is no JSON is looked at closely"
        );
    }
}
