//! Tags as changes tell them

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// Tags by key, each key once, of which the last telling counts. In JSON a map.
///
/// Sessions that carry tags are kept by the hundred thousand, most with one or two short ones, which take one piece of
/// room together; a tree has room for eleven.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Tags(Box<[(CompactString, CompactString)]>);

impl Tags {
    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The same as a map.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

impl<T: Into<CompactString>> FromIterator<(T, T)> for Tags {
    fn from_iter<I: IntoIterator<Item = (T, T)>>(tags: I) -> Tags {
        let tags = tags.into_iter().map(|(key, value)| (key.into(), value.into()));
        let mut tags: Vec<(CompactString, CompactString)> = tags.collect();
        // The last telling first, so that it is the one that stays.
        tags.reverse();
        tags.sort_by(|(a, _), (b, _)| a.cmp(b));
        tags.dedup_by(|(a, _), (b, _)| a == b);
        Tags(tags.into_boxed_slice())
    }
}

impl From<BTreeMap<String, String>> for Tags {
    fn from(tags: BTreeMap<String, String>) -> Tags {
        tags.into_iter().collect()
    }
}

impl From<Tags> for BTreeMap<String, String> {
    fn from(tags: Tags) -> BTreeMap<String, String> {
        tags.to_map()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_a_map_in_which_the_last_telling_counts() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let told = [tag("b", "1"), tag("a", "2"), tag("b", "3"), tag("B", "4")];
        let tags: Tags = told.clone().into_iter().collect();
        assert_eq!(tags.to_map(), told.into_iter().collect());
        let json = serde_json::to_string(&tags).unwrap();
        assert_eq!(json, r#"{"B":"4","a":"2","b":"3"}"#);
        assert_eq!(serde_json::from_str::<Tags>(&json).unwrap(), tags);
    }
}
