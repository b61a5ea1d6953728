//! Looking names up in a request whose shape each service chooses, and whose words the caller does

use serde_json::Value;

/// Values of a request that we look at.
const NODES_MAX: usize = 2_000;
/// Values of one name that we take.
const VALUES_MAX: usize = 100;

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
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
                    Value::String(text) if same(key, name) => found.push(text.as_str()),
                    Value::Array(list) if same(key, name) => {
                        found.extend(list.iter().filter_map(Value::as_str))
                    }
                    Value::Object(inner) if same(key, name) => {
                        found.extend(inner.get("content").and_then(Value::as_str))
                    }
                    Value::Object(_) if is_wrapper(key) => below.push(value),
                    Value::Array(list) if is_wrapper(key) => below.extend(list),
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
