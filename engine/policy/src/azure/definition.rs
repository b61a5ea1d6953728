//! Role definitions: what a role lists, and what it leaves out again

use serde_json::Value;

use super::condition::{Condition, Facts};
use super::document::Fields;
use super::operation::{Operation, OperationPattern};
use crate::belief::Belief;
use crate::judgement::Malformed;

/// Azure allows 2,048 actions in a custom role; built-in roles have some hundreds.
const PATTERNS_MAX: usize = 10_000;
const PERMISSIONS_MAX: usize = 200;

/// Which of a service's two doors an operation goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Azure Resource Manager: `actions`, `notActions`
    Control,
    /// The service itself: `dataActions`, `notDataActions`
    Data,
}

impl Plane {
    /// `control`, `data`; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Plane> {
        match word {
            "control" => Some(Plane::Control),
            "data" => Some(Plane::Data),
            _ => None,
        }
    }
}

/// The `permissions` of a role definition or deny assignment.
#[derive(Debug, Clone, Default)]
pub struct Permissions(Vec<Permission>);

#[derive(Debug, Clone)]
struct Permission {
    actions: Patterns,
    data_actions: Patterns,
    condition: Option<Condition>,
}

/// What is listed, and what is subtracted from it. Subtraction ends with the entry: it denies nothing to others.
#[derive(Debug, Clone)]
struct Patterns {
    listed: Vec<OperationPattern>,
    subtracted: Vec<OperationPattern>,
}

impl Patterns {
    fn hold(&self, operation: &Operation) -> bool {
        self.listed.iter().any(|pattern| pattern.matches(operation))
            && !self.subtracted.iter().any(|pattern| pattern.matches(operation))
    }
}

impl Permission {
    fn read(fields: Fields<'_>) -> Result<Permission, Malformed> {
        let patterns = |name: &str| {
            let texts = fields.texts(name)?;
            if texts.len() > PATTERNS_MAX {
                return Err(Malformed::new(name, format!("more than {PATTERNS_MAX} entries")));
            }
            let mut patterns = Vec::with_capacity(texts.len());
            for (index, text) in texts.into_iter().enumerate() {
                let place = format!("{name}[{index}]");
                let pattern = OperationPattern::parse(text);
                patterns.push(pattern.map_err(|error| Malformed::new(place, error.reason))?);
            }
            Ok(patterns)
        };
        Ok(Permission {
            actions: Patterns { listed: patterns("actions")?, subtracted: patterns("notActions")? },
            data_actions: Patterns {
                listed: patterns("dataActions")?,
                subtracted: patterns("notDataActions")?,
            },
            condition: fields.text("condition").map(Condition::parse),
        })
    }

    fn hold(&self, operation: &Operation, plane: Plane) -> bool {
        match plane {
            Plane::Control => self.actions.hold(operation),
            Plane::Data => self.data_actions.hold(operation),
        }
    }
}

impl Permissions {
    /// Reads the list `permissions[]`, or one object that has the four lists itself, as role files and PowerShell do.
    ///
    /// # Errors
    /// The place of what is no list of operations.
    pub fn from_json(document: &Value) -> Result<Permissions, Malformed> {
        let fields = Fields(document);
        let entries = match document {
            Value::Array(entries) => entries.as_slice(),
            _ if fields.get("permissions").is_some() => fields.list("permissions"),
            _ if ["actions", "notActions", "dataActions", "notDataActions"]
                .iter()
                .any(|name| fields.get(name).is_some()) =>
            {
                std::slice::from_ref(document)
            }
            _ => return Err(Malformed::new("permissions", "missing: export the role with its permissions")),
        };
        if entries.len() > PERMISSIONS_MAX {
            return Err(Malformed::new("permissions", format!("more than {PERMISSIONS_MAX} entries")));
        }
        let mut permissions = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let place = format!("permissions[{index}]");
            if !entry.is_object() {
                return Err(Malformed::new(place, "must be an object with `actions` or `dataActions`"));
            }
            permissions.push(Permission::read(Fields(entry)).map_err(|error| error.within(&place))?);
        }
        Ok(Permissions(permissions))
    }

    /// Whether the lists hold an operation, whatever their conditions say.
    #[must_use]
    pub fn list(&self, operation: &str, plane: Plane) -> bool {
        let operation = Operation::new(operation);
        self.0.iter().any(|permission| permission.hold(&operation, plane))
    }

    /// The conditions on entries that hold an operation, as written; empty where an entry without one holds it.
    #[must_use]
    pub fn conditions(&self, operation: &str, plane: Plane) -> Vec<&str> {
        let operation = Operation::new(operation);
        let mut written = Vec::new();
        for permission in self.0.iter().filter(|permission| permission.hold(&operation, plane)) {
            match &permission.condition {
                None => return Vec::new(),
                Some(condition) => written.push(condition.as_str()),
            }
        }
        written
    }

    /// Whether the lists hold it and their conditions let them.
    pub(super) fn hold(&self, operation: &Operation, plane: Plane, facts: &Facts<'_>) -> Belief {
        let mut all = Belief::FALSE;
        for permission in self.0.iter().filter(|permission| permission.hold(operation, plane)) {
            match &permission.condition {
                None => return Belief::TRUE,
                Some(condition) => all = all.or(condition.holds(facts)),
            }
        }
        all
    }
}

/// A built-in or custom role.
#[derive(Debug, Clone)]
pub(super) struct RoleDefinition {
    /// The GUID, folded
    pub(super) guid: Option<String>,
    /// `Reader`
    pub(super) role: Option<String>,
    pub(super) permissions: Permissions,
}

impl RoleDefinition {
    pub(super) fn read(document: &Value) -> Result<RoleDefinition, Malformed> {
        let fields = Fields(document);
        let role = fields.text("roleName").map(str::to_owned);
        // `name` is the GUID in exports and the role's name in role files.
        let guid = match (fields.text("id"), fields.text("name")) {
            (Some(id), _) => Some(super::document::last_part(id)),
            (None, Some(name)) if role.is_some() => Some(name),
            (None, _) => None,
        };
        let named = role.or_else(|| fields.text("name").map(str::to_owned));
        if guid.is_none() && named.is_none() {
            return Err(Malformed::new("id", "a role definition has an `id` or a `roleName`"));
        }
        Ok(RoleDefinition {
            guid: guid.map(str::to_ascii_lowercase),
            role: named,
            permissions: Permissions::from_json(document)?,
        })
    }
}
