//! Fields of Azure's exports: `az` prints them flat, the REST interface under `properties`, PowerShell capitalised

use serde_json::Value;

use crate::judgement::Malformed;

/// One item of an export.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Value);

impl<'a> Fields<'a> {
    /// A field by its camelCase name; null counts as not there.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        let own = lookup(self.0, name);
        let found = match own {
            None => lookup(self.0, "properties").and_then(|properties| lookup(properties, name)),
            own => own,
        };
        found.filter(|value| !value.is_null())
    }

    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn flag(self, name: &str) -> bool {
        match self.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    /// A list; one thing alone counts as a list of one, none as an empty list.
    pub(super) fn list(self, name: &str) -> &'a [Value] {
        match self.get(name) {
            None => &[],
            Some(Value::Array(list)) => list,
            Some(one) => std::slice::from_ref(one),
        }
    }

    pub(super) fn texts(self, name: &str) -> Result<Vec<&'a str>, Malformed> {
        let mut texts = Vec::new();
        for (index, value) in self.list(name).iter().enumerate() {
            let Some(text) = value.as_str() else {
                return Err(Malformed::new(format!("{name}[{index}]"), "must be a text"));
            };
            texts.push(text);
        }
        Ok(texts)
    }
}

fn lookup<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// What the last part of an id says: the GUID of a role definition.
pub(super) fn last_part(id: &str) -> &str {
    id.trim_end_matches('/').rsplit('/').next().unwrap_or(id)
}
