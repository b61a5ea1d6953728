//! Reading one file with care: unknown keys, wrong shapes and warnings, each with its line

use super::yaml::{Entry, Node, Shape};
use super::{ManifestError, Warning};

/// Gathers what is wrong with a file, so that all of it is told at once.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) errors: Vec<ManifestError>,
    pub(super) warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str) -> Reader<'a> {
        Reader { file, errors: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn error(&mut self, line: u64, message: impl Into<String>) {
        self.errors.push(ManifestError { file: self.file.to_owned(), line, message: message.into() });
    }

    pub(super) fn warn(&mut self, line: u64, key: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(Warning {
            file: self.file.to_owned(),
            line,
            key: key.into(),
            message: message.into(),
        });
    }

    /// A map's entries, all of whose keys are allowed. Nothing counts as an empty map.
    pub(super) fn map<'n>(&mut self, node: &'n Node, place: &str, allowed: &[&str]) -> Vec<&'n Entry> {
        let mut known = Vec::new();
        for entry in self.entries(node, place) {
            if allowed.contains(&entry.key.as_str()) {
                known.push(entry);
            } else {
                self.unknown_key(entry, place, allowed);
            }
        }
        known
    }

    pub(super) fn unknown_key(&mut self, entry: &Entry, place: &str, allowed: &[&str]) {
        let guess =
            closest(&entry.key, allowed).map(|guess| format!(" Did you mean `{guess}`?")).unwrap_or_default();
        self.error(
            entry.line,
            format!("unknown key `{}` in `{place}`.{guess} Known keys: {}", entry.key, allowed.join(", ")),
        );
    }

    /// A map's entries, whatever their keys.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, place: &str) -> &'n [Entry] {
        match &node.shape {
            Shape::Map(entries) => entries,
            Shape::Null => &[],
            other => {
                self.error(node.line, format!("`{place}` must be a map, not {}", other.name()));
                &[]
            }
        }
    }

    pub(super) fn text(&mut self, node: &Node, place: &str) -> Option<String> {
        match &node.shape {
            Shape::Text(text) if !text.is_empty() => Some(text.clone()),
            other => {
                self.error(node.line, format!("`{place}` must be a text, not {}", other.name()));
                None
            }
        }
    }

    /// A list's items. Nothing counts as an empty list.
    pub(super) fn list<'n>(&mut self, node: &'n Node, place: &str) -> &'n [Node] {
        match &node.shape {
            Shape::List(items) => items,
            Shape::Null => &[],
            other => {
                self.error(node.line, format!("`{place}` must be a list, not {}", other.name()));
                &[]
            }
        }
    }

    /// A text, or a list of texts.
    pub(super) fn texts(&mut self, node: &Node, place: &str) -> Vec<(u64, String)> {
        match &node.shape {
            Shape::List(items) => {
                items.iter().filter_map(|item| Some((item.line, self.text(item, place)?))).collect()
            }
            _ => self.text(node, place).map(|text| (node.line, text)).into_iter().collect(),
        }
    }
}

/// The allowed name that somebody most likely meant.
pub(super) fn closest<'n>(name: &str, allowed: &[&'n str]) -> Option<&'n str> {
    let scored = allowed.iter().map(|other| (distance(&name.to_lowercase(), &other.to_lowercase()), *other));
    scored
        .filter(|(steps, other)| *steps <= other.len().div_ceil(3))
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, other)| other)
}

/// Letters to insert, delete or change. Long names are not compared: nobody mistypes those by a letter or two.
fn distance(left: &str, right: &str) -> usize {
    if left.len() > 64 || right.len() > 64 {
        return usize::MAX;
    }
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut last = i + 1;
        let mut next = vec![last];
        for (b, above) in right.iter().zip(row.iter().skip(1)) {
            last = (diagonal + usize::from(a != *b)).min(above + 1).min(last + 1);
            diagonal = *above;
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_guessed_and_another_word_is_not() {
        let allowed = ["identities", "allow", "deny", "bounds"];
        assert_eq!(closest("identites", &allowed), Some("identities"));
        assert_eq!(closest("alow", &allowed), Some("allow"));
        assert_eq!(closest("permissions", &allowed), None);
    }
}
