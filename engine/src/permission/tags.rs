//! The tags in a request, whatever shape its service gives them

use std::collections::VecDeque;

use super::percent_decoded;
use crate::json::{Json, Kind};
use crate::reference::{folded, letters};

/// Tags of one request that are read; AWS takes 50 a resource.
const TAGS_MAX: usize = 500;
/// Values that are looked at.
const NODES_MAX: usize = 2_000;

/// What a request says of tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tags {
    /// Key, and value where one goes with it: taking tags away names keys alone.
    pub(super) given: Vec<(String, Option<String>)>,
    /// The log hides some.
    pub(super) hidden: bool,
}

impl Tags {
    pub(super) fn is_empty(&self) -> bool {
        self.given.is_empty() && !self.hidden
    }
}

/// Who takes the tags that are found.
trait Taker {
    fn add(&mut self, key: &str, value: Option<&str>);
    /// Takes that there are some which the log hides.
    fn hide(&mut self);
    fn is_empty(&self) -> bool;
    /// Whether more would change nothing.
    fn has_enough(&self) -> bool;
}

impl Taker for Tags {
    fn is_empty(&self) -> bool {
        Tags::is_empty(self)
    }

    fn has_enough(&self) -> bool {
        false
    }

    fn hide(&mut self) {
        self.hidden = true;
    }

    fn add(&mut self, key: &str, value: Option<&str>) {
        if self.given.len() >= TAGS_MAX {
            self.hidden = true;
        } else if !key.is_empty() && !self.given.iter().any(|(known, _)| known == key) {
            self.given.push((key.to_owned(), value.map(str::to_owned)));
        }
    }
}

/// Asks only whether there are any.
struct Any(bool);

impl Taker for Any {
    fn is_empty(&self) -> bool {
        !self.0
    }

    fn has_enough(&self) -> bool {
        self.0
    }

    fn hide(&mut self) {
        self.0 = true;
    }

    fn add(&mut self, key: &str, _value: Option<&str>) {
        self.0 |= !key.is_empty();
    }
}

fn is(key: &str, name: &str) -> bool {
    folded(key).eq(name.bytes())
}

/// `Tags`, `tagList`, `TagSpecificationSet`, `userPoolTags`: what gives tags; the keys alone where they are taken away.
fn speaks_of_tags(key: &str) -> bool {
    const STARTS: [&str; 6] = ["remove", "exclude", "filter", "propagate", "copy", "enable"];
    const ENDS: [&str; 10] = [
        "tags",
        "taglist",
        "tagslist",
        "tagset",
        "tagspecification",
        "tagspecifications",
        "tagspecificationset",
        "tagging",
        "tagkeys",
        "tagkeylist",
    ];
    let starts = |start: &&str| folded(key).take(start.len()).eq(start.bytes());
    let ends = |end: &&str| folded(key).rev().take(end.len()).eq(end.bytes().rev());
    // Asked of every key of every call that might give tags: all of these names have a G.
    key.bytes().any(|byte| matches!(byte, b'g' | b'G')) && ENDS.iter().any(ends) && !STARTS.iter().any(starts)
}

/// Reads the tags at the top of a request, or a structure or two below.
pub(super) fn read(request: Json<'_>) -> Tags {
    let mut tags = Tags::default();
    walk(&mut tags, request);
    tags
}

/// Whether [`read`] finds any.
pub(super) fn are_in(request: Json<'_>) -> bool {
    let mut any = Any(false);
    walk(&mut any, request);
    any.0
}

fn walk(tags: &mut impl Taker, request: Json<'_>) {
    let top = [request];
    let mut below;
    let mut level: &[Json<'_>] = &top;
    let mut nodes = 0;
    for _depth in 0..3 {
        for (key, value) in level.iter().copied().flat_map(Json::members) {
            nodes += 1;
            if nodes > NODES_MAX {
                return tags.hide();
            }
            if speaks_of_tags(key) {
                take(tags, value);
            }
        }
        if !tags.is_empty() {
            return;
        }
        let members = level.iter().copied().flat_map(Json::members);
        let maps = members.filter(|(key, value)| value.is_map() && !speaks_of_tags(key) && !is_free(key));
        below = maps.map(|(_, value)| value).collect::<Vec<Json<'_>>>();
        level = &below;
    }
}

/// Maps whose keys the caller chooses.
fn is_free(key: &str) -> bool {
    const WORDS: [&str; 10] = [
        "environment",
        "variables",
        "metadata",
        "parameters",
        "labels",
        "item",
        "context",
        "payload",
        "document",
        "body",
    ];
    let key = letters(key);
    WORDS.iter().any(|word| key.contains(word))
}

/// One value under a name that speaks of tags.
fn take<'v>(tags: &mut impl Taker, value: Json<'v>) {
    let mut waiting: VecDeque<Json<'v>> = VecDeque::new();
    let mut next = Some(value);
    let mut nodes = 0;
    while let Some(value) = next.take().or_else(|| waiting.pop_front()) {
        match value.kind() {
            Kind::List => {
                for one in value.items() {
                    nodes += 1;
                    if nodes > NODES_MAX {
                        return tags.hide();
                    }
                    match one.kind() {
                        Kind::Text => tags.add(one.text().unwrap_or_default(), None),
                        Kind::Map => take_map(tags, one, &mut waiting),
                        _ => waiting.push_back(one),
                    }
                    if tags.has_enough() {
                        return;
                    }
                }
            }
            Kind::Map => take_map(tags, value, &mut waiting),
            Kind::Text => {
                let text = value.text().unwrap_or_default();
                if is_hidden(text) {
                    tags.hide();
                    continue;
                }
                // `x-amz-tagging: team=red&cost=1`
                for pair in text.split('&').take(TAGS_MAX) {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    tags.add(&percent_decoded(key), Some(&percent_decoded(value)));
                }
            }
            _ => {}
        }
        nodes += 1;
        if nodes > NODES_MAX {
            return tags.hide();
        }
    }
}

fn take_map<'v>(tags: &mut impl Taker, map: Json<'v>, waiting: &mut VecDeque<Json<'v>>) {
    let text = |names: [&str; 2]| {
        let named = map.members().find(|(key, _)| names.iter().any(|name| is(key, name)));
        named.and_then(|(_, value)| value.text())
    };
    if let Some(key) = text(["key", "tagkey"]) {
        // One tag: `{key, value}`. A second field besides would be no tag map's either.
        let value = text(["value", "tagvalue"]);
        if is_hidden(key) || value.is_some_and(is_hidden) {
            tags.hide();
        } else {
            tags.add(key, value);
        }
        return;
    }
    let before = waiting.len();
    let wraps =
        |key: &str| ["items", "tags", "tag", "tagset", "member", "taglist"].iter().any(|name| is(key, name));
    let wrapped = map.members().filter(|(key, value)| wraps(key) && value.text().is_none());
    waiting.extend(wrapped.map(|(_, value)| value));
    if waiting.len() > before {
        return;
    }
    for (key, value) in map.members() {
        match value.text() {
            Some(value) if is_hidden(value) => tags.hide(),
            Some(value) => tags.add(key, Some(value)),
            None => {}
        }
    }
}

fn is_hidden(text: &str) -> bool {
    text == "HIDDEN_DUE_TO_SECURITY_REASONS" || text == "[redacted]" || text == "***"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Tape;

    fn told(request: &str) -> Vec<String> {
        let tape = Tape::read(Some(request));
        let tags = read(tape.root());
        assert_eq!(are_in(tape.root()), !tags.is_empty(), "{request}");
        let mut lines: Vec<String> = tags
            .given
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("?")))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn every_service_has_a_shape_of_its_own() {
        let expected = ["cost=1", "team=red"];
        for request in [
            r#"{"tags":{"team":"red","cost":"1"}}"#,
            r#"{"Tags":[{"Key":"team","Value":"red"},{"Key":"cost","Value":"1"}]}"#,
            r#"{"tags":[{"tagKey":"team","tagValue":"red"},{"tagKey":"cost","tagValue":"1"}]}"#,
            r#"{"tagSpecificationSet":{"items":[{"resourceType":"instance","tags":[{"key":"team","value":"red"},{"key":"cost","value":"1"}]}]}}"#,
            r#"{"tagSet":{"items":[{"key":"team","value":"red"},{"key":"cost","value":"1"}]}}"#,
            r#"{"x-amz-tagging":"team=red&cost=1"}"#,
            r#"{"distributionConfigWithTags":{"tags":{"items":[{"key":"team","value":"red"},{"key":"cost","value":"1"}]}}}"#,
            r#"{"userPoolTags":{"team":"red","cost":"1"}}"#,
        ] {
            assert_eq!(told(request), expected, "{request}");
        }
        assert_eq!(told(r#"{"tagKeys":["team"]}"#), ["team=?"]);
    }

    #[test]
    fn of_a_tag_that_is_given_twice_the_first_counts() {
        let specification =
            |team: &str| format!(r#"{{"resourceType":"x","tags":[{{"key":"team","value":"{team}"}}]}}"#);
        let (red, blue) = (specification("red"), specification("blue"));
        let request = format!(r#"{{"tagSpecificationSet":{{"items":[{red},{blue}]}}}}"#);
        assert_eq!(told(&request), ["team=red"]);
        assert_eq!(
            told(r#"{"tags":[{"key":"team","value":"red"},{"key":"team","value":"blue"}]}"#),
            ["team=red"]
        );
    }

    #[test]
    fn what_only_sounds_like_tags_gives_none() {
        for request in [
            r#"{"copyTagsToSnapshot":true,"propagateTags":"SERVICE"}"#,
            r#"{"removeTags":["a"]}"#,
            r#"{"environment":{"tags":{"a":"b"}}}"#,
            r#"{"imageTag":"latest"}"#,
            r#"{"tags":{}}"#,
        ] {
            assert!(read(Tape::read(Some(request)).root()).is_empty(), "{request}");
        }
    }

    #[test]
    fn hidden_tags_are_not_none() {
        let tape = Tape::read(Some(r#"{"tags":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#));
        let tags = read(tape.root());
        assert!(tags.hidden && !tags.is_empty());
    }
}
