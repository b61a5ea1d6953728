//! Role assignments and deny assignments

use serde_json::Value;

use super::condition::Condition;
use super::definition::Permissions;
use super::document::{Fields, last_part};
use super::scope::Scope;
use crate::judgement::Malformed;

/// Everybody, in deny assignments. <https://learn.microsoft.com/azure/role-based-access-control/deny-assignments>
const EVERYBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Whom an assignment names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principal {
    /// The object id, folded
    pub(super) id: String,
    /// The sign-in name or application, where the export has it
    pub(super) name: Option<String>,
    pub(super) group: bool,
}

impl Principal {
    pub(super) fn is_everybody(&self) -> bool {
        self.id == EVERYBODY
    }
}

/// A role given to somebody somewhere.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    /// What answers call it
    pub(super) name: String,
    pub(super) principal: Principal,
    /// The definition's GUID, folded
    pub(super) definition: Option<String>,
    /// `Reader`
    pub(super) role: Option<String>,
    pub(super) scope: Scope,
    pub(super) condition: Option<Condition>,
    /// Ends, where it is given for a time
    pub(super) expires: Option<String>,
}

impl Assignment {
    /// `None` for one that is only eligible: it grants nothing before it is activated, and then a second one is listed.
    /// <https://learn.microsoft.com/azure/role-based-access-control/pim-integration>
    pub(super) fn read(document: &Value) -> Result<Option<Assignment>, Malformed> {
        let fields = Fields(document);
        let eligible = ["id", "type", "assignmentType"]
            .iter()
            .filter_map(|name| fields.text(name))
            .any(|text| text.to_ascii_lowercase().contains("eligib"));
        if eligible {
            return Ok(None);
        }
        let definition = fields.text("roleDefinitionId").map(|id| last_part(id).to_ascii_lowercase());
        let role = fields.text("roleDefinitionName").map(str::to_owned);
        if definition.is_none() && role.is_none() {
            return Err(Malformed::new("roleDefinitionId", "missing"));
        }
        let (id, name) = (fields.text("principalId"), fields.text("principalName"));
        let Some(principal) = id.or(name) else {
            return Err(Malformed::new("principalId", "missing"));
        };
        let Some(scope) = fields.text("scope").or_else(|| scope_of(fields.text("id")?)) else {
            return Err(Malformed::new("scope", "missing"));
        };
        let shown = fields.text("name").or_else(|| fields.text("id")).unwrap_or(principal);
        Ok(Some(Assignment {
            name: shown.to_owned(),
            principal: Principal {
                id: principal.to_ascii_lowercase(),
                name: name.map(str::to_ascii_lowercase),
                group: fields.text("principalType").is_some_and(is_group),
            },
            definition,
            role,
            scope: Scope::new(scope),
            condition: fields.text("condition").map(Condition::parse),
            expires: fields.text("endDateTime").map(str::to_owned),
        }))
    }

    /// `Reader`, else the definition's GUID.
    pub(super) fn label(&self) -> String {
        self.role.clone().or_else(|| self.definition.clone()).unwrap_or_default()
    }
}

/// What somebody may not do somewhere, whatever roles they have.
#[derive(Debug, Clone)]
pub(super) struct DenyAssignment {
    pub(super) name: String,
    pub(super) principals: Vec<Principal>,
    pub(super) excluded: Vec<Principal>,
    pub(super) scope: Scope,
    /// It stops at its scope
    pub(super) only_here: bool,
    pub(super) permissions: Permissions,
    pub(super) condition: Option<Condition>,
}

impl DenyAssignment {
    pub(super) fn read(document: &Value) -> Result<DenyAssignment, Malformed> {
        let fields = Fields(document);
        let Some(scope) = fields.text("scope").or_else(|| scope_of(fields.text("id")?)) else {
            return Err(Malformed::new("scope", "missing"));
        };
        let shown = fields.text("denyAssignmentName").or_else(|| fields.text("name"));
        Ok(DenyAssignment {
            name: shown.or_else(|| fields.text("id")).unwrap_or("deny assignment").to_owned(),
            principals: principals(fields, "principals")?,
            excluded: principals(fields, "excludePrincipals")?,
            scope: Scope::new(scope),
            only_here: fields.flag("doNotApplyToChildScopes"),
            permissions: Permissions::from_json(document)?,
            condition: fields.text("condition").map(Condition::parse),
        })
    }
}

fn principals(fields: Fields<'_>, name: &str) -> Result<Vec<Principal>, Malformed> {
    let mut principals = Vec::new();
    for (index, entry) in fields.list(name).iter().enumerate() {
        let one = Fields(entry);
        let id = entry.as_str().or_else(|| one.text("id")).or_else(|| one.text("objectId"));
        let Some(id) = id else {
            return Err(Malformed::new(format!("{name}[{index}].id"), "missing"));
        };
        let kind = one.text("type").or_else(|| one.text("objectType")).unwrap_or_default();
        // Newer exports say `Everyone` where the documentation says `SystemDefined`.
        let everybody = kind.eq_ignore_ascii_case("everyone") || kind.eq_ignore_ascii_case("systemdefined");
        principals.push(Principal {
            id: if everybody { EVERYBODY.to_owned() } else { id.to_ascii_lowercase() },
            name: one.text("displayName").map(str::to_ascii_lowercase),
            group: is_group(kind),
        });
    }
    Ok(principals)
}

fn is_group(kind: &str) -> bool {
    // `ForeignGroup` is a group of another tenant.
    kind.to_ascii_lowercase().contains("group")
}

/// An assignment's id starts with its scope.
fn scope_of(id: &str) -> Option<&str> {
    let at = id.to_ascii_lowercase().rfind("/providers/microsoft.authorization/")?;
    let scope = id.get(..at)?;
    Some(if scope.is_empty() { "/" } else { scope })
}
