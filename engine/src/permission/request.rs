//! Looking names up in a request whose shape each service chooses, and whose words the caller does

use serde_json::Value;

/// Values of a request that we look at.
const NODES_MAX: usize = 2_000;
/// Values of one name that we take.
const VALUES_MAX: usize = 100;

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// `DBInstanceIdentifier`, `dBInstanceIdentifier` and `db-instance-identifier` are one name.
pub(super) fn same(left: &str, right: &str) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = u8> + '_ {
        text.bytes().filter(|b| *b != b'-' && *b != b'_').map(|b| b.to_ascii_lowercase())
    }
    letters(left).eq(letters(right))
}

/// The texts under a field: at the top, else below the lists and wrappers that EC2 makes (`instancesSet.items[]`).
/// The top comes first, so that nothing a caller nests in his parameters can stand for the parameter itself.
pub(super) fn find<'v>(request: &'v Value, name: &str) -> Vec<&'v str> {
    search(request, &|key| same(key, name), &is_wrapper)
}

/// The same for a name that is folded already (`clustername`), or its plural.
pub(super) fn find_folded<'v>(request: &'v Value, name: &str) -> Vec<&'v str> {
    search(request, &|key| is_folded(key, name), &is_wrapper)
}

/// The same in a response, whose structures AWS names: only maps with keys of the caller's own are left out.
pub(super) fn find_told<'v>(response: &'v Value, name: &str) -> Vec<&'v str> {
    let is_callers = |key: &str| {
        let key = key.to_ascii_lowercase();
        ["tag", "param", "variable", "metadata", "label", "environment", "context"]
            .iter()
            .any(|word| key.contains(word))
    };
    search(response, &|key| is_folded(key, name), &|key| !is_callers(key))
}

/// Whether a key is a folded name or a list of them: `tableNames`, `connectionNameList`.
fn is_folded(key: &str, name: &str) -> bool {
    let mut letters = key.bytes().filter(|b| *b != b'-' && *b != b'_').map(|b| b.to_ascii_lowercase());
    if !name.bytes().all(|b| letters.next() == Some(b)) {
        return false;
    }
    matches!(letters.take(5).collect::<Vec<u8>>().as_slice(), b"" | b"s" | b"list")
}

/// The keys of a map under a folded name: DynamoDB's `requestItems`.
pub(super) fn keys_of<'v>(request: &'v Value, name: &str) -> Vec<&'v str> {
    let Some(request) = request.as_object() else { return Vec::new() };
    let found = request.iter().find(|(key, _)| is_folded(key, name)).and_then(|(_, value)| value.as_object());
    found.into_iter().flat_map(|map| map.keys().map(String::as_str)).take(VALUES_MAX + 1).collect()
}

fn search<'v>(
    request: &'v Value,
    is_name: &dyn Fn(&str) -> bool,
    is_way: &dyn Fn(&str) -> bool,
) -> Vec<&'v str> {
    let mut level = vec![request];
    let mut nodes = 0;
    for _depth in 0..4 {
        let mut found = Vec::new();
        let mut below = Vec::new();
        for value in level {
            let Value::Object(map) = value else { continue };
            for (key, value) in map {
                nodes += 1;
                if nodes > NODES_MAX {
                    return found;
                }
                match value {
                    Value::String(text) if is_name(key) => found.push(text.as_str()),
                    Value::Array(list) if is_name(key) && list.first().is_none_or(Value::is_string) => {
                        found.extend(list.iter().filter_map(Value::as_str))
                    }
                    Value::Object(inner) if is_name(key) && inner.contains_key("content") => {
                        found.extend(inner.get("content").and_then(Value::as_str))
                    }
                    Value::Object(_) if is_way(key) => below.push(value),
                    Value::Array(list) if is_way(key) => below.extend(list),
                    _ => {}
                }
            }
        }
        if !found.is_empty() {
            found.truncate(VALUES_MAX + 1);
            return found;
        }
        level = below;
    }
    Vec::new()
}

fn is_wrapper(key: &str) -> bool {
    key.ends_with("Set")
        || key == "items"
        || key.ends_with("Request")
        || key.ends_with("Items")
        || key == "parameters"
}

/// Every text under a key that `wanted` accepts, at any depth, with that key.
pub(super) fn strings_below<'v>(value: &'v Value, wanted: &dyn Fn(&str) -> bool) -> Vec<(&'v str, &'v str)> {
    let mut found = Vec::new();
    let mut waiting: Vec<(&str, &Value)> = vec![("", value)];
    let mut nodes = 0;
    while let Some((key, value)) = waiting.pop() {
        nodes += 1;
        if nodes > NODES_MAX || found.len() >= VALUES_MAX {
            break;
        }
        match value {
            Value::String(text) if !key.is_empty() => found.push((key, text.as_str())),
            Value::Array(list) => waiting.extend(list.iter().rev().map(|one| (key, one))),
            Value::Object(map) => {
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
                waiting.extend(map.iter().map(|(name, value)| (inner(name), value)));
            }
            _ => {}
        }
    }
    found
}

/// Every text in a value, without recursion.
pub(super) fn strings(value: &Value) -> impl Iterator<Item = &str> {
    let mut waiting = vec![value];
    let mut nodes = 0;
    std::iter::from_fn(move || {
        loop {
            let value = waiting.pop()?;
            nodes += 1;
            if nodes > NODES_MAX {
                return None;
            }
            match value {
                Value::String(text) => return Some(text.as_str()),
                Value::Array(list) => waiting.extend(list),
                Value::Object(map) => waiting.extend(map.values()),
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
