//! YAML as a tree that knows its lines

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and the line that it stands on, from 1.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) shape: Shape,
}

/// What a value is. Numbers and dates keep being texts: an account id is no quantity.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: u64,
    pub(super) value: Node,
}

impl Shape {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Shape::Null => "nothing",
            Shape::Text(_) => "a text",
            Shape::List(_) => "a list",
            Shape::Map(_) => "a map",
        }
    }
}

/// Deepest nesting of a manifest: the parser goes down one call a level, and a thread's stack may be small.
const DEPTH_MAX: usize = 24;

/// Reads every document of a file. Errors come with their line, 0 where there is none.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, (u64, String)> {
    let options = serde_saphyr::options! { budget: serde_saphyr::budget! { max_depth: DEPTH_MAX } };
    serde_saphyr::from_multiple_with_options::<Node>(text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let message = error.without_snippet().to_string();
        let message = message.lines().next().unwrap_or_default().to_owned();
        // A bare star opens an alias in YAML, and the parser's words about it help nobody.
        let starred = usize::try_from(line).ok().and_then(|line| text.lines().nth(line.saturating_sub(1)));
        if starred.is_some_and(|line| line.contains(" *") && !line.contains("\"*") && !line.contains("'*")) {
            return (line, format!("{message}. A `*` must stand in quotes: write \"*\""));
        }
        (line, message)
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let spanned = Spanned::<Shape>::deserialize(deserializer)?;
        Ok(Node { line: spanned.referenced.line(), shape: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
        Ok(Shape::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
        Ok(Shape::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
        Ok(Shape::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Shape, E> {
        Ok(Shape::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element::<Node>()? {
            nodes.push(node);
        }
        Ok(Shape::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let value = map.next_value::<Node>()?;
            entries.push(Entry { key: key.value, line: key.referenced.line(), value });
        }
        Ok(Shape::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_key_and_value_knows_its_line() {
        let documents = documents("a: 1\nb:\n  - x\n---\nc: 2026-12-31\n").unwrap();
        let Shape::Map(first) = &documents[0].shape else { panic!() };
        assert_eq!((first[1].line, first[1].key.as_str()), (2, "b"));
        let Shape::List(list) = &first[1].value.shape else { panic!() };
        assert_eq!(list[0].line, 3);
        let Shape::Map(second) = &documents[1].shape else { panic!() };
        assert_eq!(second[0].line, 5);
        assert!(matches!(&second[0].value.shape, Shape::Text(date) if date == "2026-12-31"));
    }

    #[test]
    fn a_bare_star_is_explained() {
        let (line, message) = documents("deny:\n  - admin: *\n").unwrap_err();
        assert_eq!(line, 2);
        assert!(message.contains("write \"*\""), "{message}");
    }

    #[test]
    fn a_key_given_twice_is_an_error() {
        assert!(documents("a: 1\na: 2\n").is_err());
    }
}
