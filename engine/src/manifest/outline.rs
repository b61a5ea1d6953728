//! What a manifest's document says beside its entries, as plain paths and values: to tell what changed

use std::collections::BTreeMap;
use std::path::Path;

use super::yaml::{self, Node, Shape};
use super::{ManifestError, files, short};

/// Values by path: `bounds.regions` holds `eu-west-1` and `eu-west-2`. What the entries of the scope say is not here.
pub type Outline = BTreeMap<String, Vec<String>>;

/// Depth of a document that is followed.
const DEEP_MAX: usize = 8;

/// The outlines of every agent of a folder, by name.
///
/// # Errors
/// A file that cannot be read.
pub fn outlines(dir: &Path) -> Result<BTreeMap<String, Outline>, ManifestError> {
    let mut found = BTreeMap::new();
    for path in files(dir, &["yaml", "yml"])? {
        let text = std::fs::read_to_string(&path).map_err(|error| ManifestError {
            file: short(dir, &path),
            line: 0,
            message: format!("cannot read the file: {error}"),
        })?;
        for document in yaml::documents(&text).unwrap_or_default() {
            let name = at(&document, "metadata").and_then(|metadata| at(metadata, "name"));
            let (Some(Shape::Text(name)), Some(spec)) = (name.map(|name| &name.shape), at(&document, "spec"))
            else {
                continue;
            };
            let mut outline = Outline::new();
            if let Shape::Map(entries) = &spec.shape {
                for entry in entries.iter().filter(|entry| !matches!(entry.key.as_str(), "allow" | "deny")) {
                    flatten(&entry.key, &entry.value, 0, &mut outline);
                }
            }
            found.insert(name.clone(), outline);
        }
    }
    Ok(found)
}

/// Where the catalogs of a folder give each name and each verb (`verb read`): `agents/resources.yaml:5`.
#[must_use]
pub fn catalog_places(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for path in files(dir, &["yaml", "yml"]).unwrap_or_default() {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for document in yaml::documents(&text).unwrap_or_default() {
            let kind = at(&document, "kind").map(|node| &node.shape);
            if !matches!(kind, Some(Shape::Text(kind)) if kind == "ResourceCatalog") {
                continue;
            }
            for (section, prefix) in [("resources", ""), ("verbs", "verb ")] {
                let Some(Shape::Map(entries)) = at(&document, section).map(|node| &node.shape) else {
                    continue;
                };
                for entry in entries {
                    let place = format!("{}:{}", short(dir, &path), entry.line);
                    found.insert(format!("{prefix}{}", entry.key), place);
                }
            }
        }
    }
    found
}

/// Files that documents name below `from`, as they write them.
pub(super) fn referred(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let documents = yaml::documents(text).unwrap_or_default();
    let mut waiting: Vec<(&Node, bool)> = documents.iter().map(|document| (document, false)).collect();
    while let Some((node, from)) = waiting.pop() {
        match &node.shape {
            Shape::Map(entries) => {
                waiting.extend(entries.iter().map(|entry| (&entry.value, from || entry.key == "from")));
            }
            Shape::List(items) => waiting.extend(items.iter().map(|item| (item, from))),
            Shape::Text(text) if from => found.push(text.clone()),
            Shape::Text(_) | Shape::Null => {}
        }
    }
    found
}

fn at<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Shape::Map(entries) = &node.shape else { return None };
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

/// A list of plain values stays together; of a list of maps each item is one value, its keys in order.
fn flatten(path: &str, node: &Node, depth: usize, outline: &mut Outline) {
    match &node.shape {
        Shape::Null => {}
        Shape::Text(text) => outline.entry(path.to_owned()).or_default().push(text.clone()),
        Shape::List(items) => {
            let values = outline.entry(path.to_owned()).or_default();
            values.extend(items.iter().map(|item| written(item, depth)));
        }
        Shape::Map(entries) if depth < DEEP_MAX => {
            for entry in entries {
                flatten(&format!("{path}.{}", entry.key), &entry.value, depth + 1, outline);
            }
        }
        Shape::Map(_) => {}
    }
}

fn written(node: &Node, depth: usize) -> String {
    match &node.shape {
        Shape::Null => "nothing".to_owned(),
        Shape::Text(text) => text.clone(),
        _ if depth >= DEEP_MAX => "...".to_owned(),
        Shape::List(items) => {
            let items: Vec<String> = items.iter().map(|item| written(item, depth + 1)).collect();
            format!("[{}]", items.join(", "))
        }
        Shape::Map(entries) => {
            let mut entries: Vec<String> = entries
                .iter()
                .map(|entry| format!("{}: {}", entry.key, written(&entry.value, depth + 1)))
                .collect();
            entries.sort_unstable();
            entries.join(", ")
        }
    }
}
