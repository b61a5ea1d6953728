//! One object of a record, a level at a time: its keys and their raw values.
//!
//! The logs of Azure and Google Cloud come in many spellings (`callerIpAddress`, `CallerIpAddress`, `calleripaddress`,
//! `caller_ip_address`), so a name is looked for as it is written, then without regard to case and underscores.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::object::Unread;
use crate::quarantine::reason;
use crate::time::micros;

/// Elements of one list that are looked at.
const ELEMENTS_MAX: usize = 1_000;

/// Keys and raw values of one object, in their order; nulls are left out.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    entries: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Fields<'a> {
    /// The fields of `text`, which is one JSON object.
    ///
    /// # Errors
    /// `bad_json`, `wrong_type` for what is no object, `duplicate_key` for a key that stands in it twice: readers may
    /// disagree about which of them counts.
    pub(crate) fn of(text: &'a str) -> Result<Fields<'a>, Unread> {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = (&mut json).deserialize_map(Level).and_then(|entries| json.end().map(|()| entries));
        let entries = read.map_err(|error| {
            let reason = if error.is_data() { reason::WRONG_TYPE } else { reason::BAD_JSON };
            Unread::new(reason, error.to_string())
        })?;
        if let Some(twice) = twice(&entries) {
            return Err(Unread::new(reason::DUPLICATE_KEY, format!("`{twice}` stands there twice")));
        }
        let entries = entries.into_iter().filter(|(_, value)| *value != "null");
        Ok(Fields { entries: entries.map(|(key, value)| (key, Cow::Borrowed(value))).collect() })
    }

    /// As [`Fields::of`], of a text that does not live as long.
    fn owned(text: &str) -> Result<Fields<'a>, Unread> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let entries = Fields::of(text)?.entries;
        Ok(Fields { entries: entries.into_iter().map(|(key, value)| (own(key), own(value))).collect() })
    }

    /// The raw value of the first of `names` that is there.
    pub(crate) fn raw(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.value(name)).map(|value| &**value)
    }

    /// The raw value under exactly this name.
    pub(crate) fn exact(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn has(&self, names: &[&str]) -> bool {
        self.raw(names).is_some()
    }

    /// The first of `names` that holds a text: a string, or the `value` of `{value, localizedValue}`. Empty ones say as
    /// little as missing ones.
    pub(crate) fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.value(name).and_then(|value| text_of(value)))
    }

    /// As [`Fields::text`], and of numbers and flags as they are written.
    pub(crate) fn word(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| {
            let value = self.value(name)?;
            text_of(value).or_else(|| (!value.starts_with(['{', '[', '"'])).then(|| value.to_string()))
        })
    }

    /// A text without which the record cannot be judged.
    ///
    /// # Errors
    /// `wrong_type` for something else than a text.
    pub(crate) fn strict(&self, names: &[&str]) -> Result<Option<String>, Unread> {
        let Some(value) = self.raw(names) else { return Ok(None) };
        if value.starts_with('"') || value.starts_with('{') && text_of(value).is_some() {
            return Ok(self.text(names));
        }
        Err(Unread::new(reason::WRONG_TYPE, format!("`{}` is no text", names.first().unwrap_or(&""))))
    }

    /// When something happened, µs since 1970, UTC. Copies that log tools made may keep the time in their own
    /// `p_event_time` alone.
    ///
    /// # Errors
    /// `missing_field`, `wrong_type` or `bad_time`, with the first of `names`.
    pub(crate) fn time(&self, names: &[&str]) -> Result<i64, Unread> {
        let name = names.first().copied().unwrap_or_default();
        let told = match self.strict(names)? {
            Some(told) => told,
            None => self
                .text(&["p_event_time"])
                .ok_or_else(|| Unread::new(reason::MISSING_FIELD, name.to_owned()))?,
        };
        micros(&told).ok_or_else(|| Unread::new(reason::BAD_TIME, format!("`{name}` is no time")))
    }

    pub(crate) fn number(&self, names: &[&str]) -> Option<i64> {
        self.word(names)?.trim().parse().ok()
    }

    pub(crate) fn flag(&self, names: &[&str]) -> Option<bool> {
        match &*self.word(names)?.to_ascii_lowercase() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The object under the first of `names` that is there; one written into a string counts as well. Empty where there
    /// is none.
    ///
    /// # Errors
    /// As [`Fields::of`]; a string that holds no object is `wrong_type`.
    pub(crate) fn object(&self, names: &[&str]) -> Result<Fields<'_>, Unread> {
        let Some(value) = self.raw(names) else { return Ok(Fields::default()) };
        let wrong =
            || Unread::new(reason::WRONG_TYPE, format!("`{}` is no object", names.first().unwrap_or(&"")));
        if value.starts_with('{') {
            return Fields::of(value);
        }
        match decoded(value) {
            Some(inner) if inner.trim_start().starts_with('{') => Fields::owned(inner.trim()),
            Some(inner) if inner.trim().is_empty() => Ok(Fields::default()),
            _ => Err(wrong()),
        }
    }

    /// As [`Fields::object`], where something else may stand there instead; who acted and what came of it hang on it.
    ///
    /// # Errors
    /// As [`Fields::of`]: of an object that tells a key twice one reader believes the first, another the last.
    pub(crate) fn object_if_one(&self, names: &[&str]) -> Result<Fields<'_>, Unread> {
        match self.object(names) {
            Err(unread) if unread.reason == reason::WRONG_TYPE => Ok(Fields::default()),
            told => told,
        }
    }

    /// As [`Fields::object`], where it does not matter what stands there instead.
    pub(crate) fn object_or_empty(&self, names: &[&str]) -> Fields<'_> {
        self.object(names).unwrap_or_default()
    }

    /// The raw elements of the list under the first of `names` that is there; one that is no list stands for a list of
    /// one. At most a thousand.
    pub(crate) fn list(&self, names: &[&str]) -> Vec<&str> {
        match self.raw(names) {
            Some(value) if value.starts_with('[') => elements(value, ELEMENTS_MAX),
            Some(value) => vec![value],
            None => Vec::new(),
        }
    }

    /// The text at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<String> {
        let (last, path) = path.split_last()?;
        let Some((first, rest)) = path.split_first() else { return self.text(&[last]) };
        let inner = self.object(&[first]).ok()?;
        match rest {
            [] => inner.text(&[last]),
            rest => inner.at(&[rest, &[*last]].concat()),
        }
    }

    fn value(&self, name: &str) -> Option<&Cow<'a, str>> {
        let exact = self.entries.iter().find(|(key, _)| key == name);
        let found = exact.or_else(|| self.entries.iter().find(|(key, _)| is_same(key, name)));
        found.map(|(_, value)| value)
    }
}

/// One JSON object of raw values; none where all are missing.
pub(crate) fn joined(parts: &[(&str, Option<&str>)]) -> Option<String> {
    let mut out = String::new();
    for (name, value) in parts {
        let Some(value) = value else { continue };
        out.push_str(if out.is_empty() { "{\"" } else { ",\"" });
        out.push_str(name);
        out.push_str("\":");
        out.push_str(value);
    }
    (!out.is_empty()).then(|| out + "}")
}

/// The raw elements of a list, at most `elements_max`; none where it is no list.
pub(crate) fn elements(text: &str, elements_max: usize) -> Vec<&str> {
    let mut json = serde_json::Deserializer::from_str(text);
    (&mut json).deserialize_seq(List(elements_max)).unwrap_or_default()
}

/// The content of a JSON string. A lone surrogate becomes U+FFFD.
pub(crate) fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.starts_with('"') {
        return None;
    }
    let mut json = serde_json::Deserializer::from_str(raw);
    json.deserialize_bytes(Content).ok()
}

fn text_of(raw: &str) -> Option<String> {
    let text = if raw.starts_with('{') {
        let inner = Fields::of(raw).ok()?;
        decoded(inner.raw(&["value"])?)?.into_owned()
    } else {
        decoded(raw)?.into_owned()
    };
    (!text.is_empty()).then_some(text)
}

/// Whether two names are one but for case and underscores.
fn is_same(key: &str, name: &str) -> bool {
    let letters = |text: &'_ str| -> Vec<u8> {
        text.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase()).collect()
    };
    // Keys of Azure's claims are long and never look like a name.
    key.len() < 64 && letters(key) == letters(name)
}

fn twice<'e>(entries: &'e [(Cow<'_, str>, &str)]) -> Option<&'e str> {
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    keys.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(*one),
        _ => None,
    })
}

struct Level;

impl<'de> Visitor<'de> for Level {
    type Value = Vec<(Cow<'de, str>, &'de str)>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(Content)? {
            entries.push((key, map.next_value::<&RawValue>()?.get()));
        }
        Ok(entries)
    }
}

struct List(usize);

impl<'de> Visitor<'de> for List {
    type Value = Vec<&'de str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(value) = list.next_element::<&RawValue>()? {
            if elements.len() < self.0 {
                elements.push(value.get());
            }
        }
        Ok(elements)
    }
}

#[derive(Clone, Copy)]
struct Content;

impl<'de> DeserializeSeed<'de> for Content {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        // As bytes: serde_json refuses a lone surrogate in a string, not in bytes.
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for Content {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(bytes))
    }
    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    }
    // Keys come as strings whatever is asked for.
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_every_spelling_its_own_first() {
        let fields = Fields::of(r#"{"calleripaddress":"a","CallerIpAddress":"b","caller":null}"#);
        let fields = fields.unwrap_or_default();
        assert_eq!(fields.text(&["callerIpAddress"]).as_deref(), Some("a"));
        assert_eq!(fields.text(&["CallerIpAddress"]).as_deref(), Some("b"));
        assert_eq!(fields.text(&["caller_ip_address"]).as_deref(), Some("a"));
        assert_eq!(fields.raw(&["caller"]), None, "null is nothing");
    }

    #[test]
    fn texts_come_plain_or_with_their_translation() {
        let fields = Fields::of(r#"{"a":{"value":"x","localizedValue":"y"},"b":"\ud800z","c":7,"d":""}"#);
        let fields = fields.unwrap_or_default();
        assert_eq!(fields.text(&["a"]).as_deref(), Some("x"));
        assert_eq!(fields.text(&["b"]).as_deref().map(|text| text.ends_with('z')), Some(true));
        assert_eq!((fields.text(&["c"]), fields.word(&["c"]).as_deref()), (None, Some("7")));
        assert_eq!(fields.text(&["d", "a"]).as_deref(), Some("x"), "an empty text says nothing");
        assert_eq!(fields.strict(&["c"]).err().map(|unread| unread.reason), Some(reason::WRONG_TYPE));
    }

    #[test]
    fn an_object_may_be_written_into_a_string() {
        let fields =
            Fields::of(r#"{"p":"{\"a\":{\"b\":\"c\"}}","q":"no","r":{"a":1,"a":2}}"#).unwrap_or_default();
        assert_eq!(fields.at(&["p", "a", "b"]).as_deref(), Some("c"));
        let reason = |name: &str| fields.object(&[name]).err().map(|unread| unread.reason);
        assert_eq!(reason("q"), Some(reason::WRONG_TYPE));
        assert_eq!(reason("r"), Some(reason::DUPLICATE_KEY));
        assert_eq!(reason("s"), None);
    }

    #[test]
    fn what_is_no_object_is_told() {
        let reason = |text: &str| Fields::of(text).err().map(|unread| unread.reason);
        assert_eq!(reason("[]"), Some(reason::WRONG_TYPE));
        assert_eq!(reason(r#"{"a":}"#), Some(reason::BAD_JSON));
        assert_eq!(reason(r#"{"a":1} x"#), Some(reason::BAD_JSON));
        assert_eq!(reason(r#"{"a":1,"b":2,"a":3}"#), Some(reason::DUPLICATE_KEY));
        assert_eq!(reason(r#"{"a":1e999}"#), None, "numbers stay text");
    }
}
