//! Roles: lists of permissions, without wildcards

use std::collections::BTreeSet;

use serde_json::Value;

use crate::judgement::Malformed;

/// `roles/owner` has some ten thousand.
const PERMISSIONS_MAX: usize = 50_000;

/// A predefined or custom role.
#[derive(Debug, Clone)]
pub(super) struct Role {
    /// `roles/storage.objectViewer`, `projects/p/roles/r`
    pub(super) name: String,
    /// None: it was listed without them, which `gcloud iam roles list` does
    permissions: Option<BTreeSet<Box<str>>>,
    /// Disabled or deleted: bindings stay, and grant nothing
    off: bool,
}

impl Role {
    pub(super) fn read(document: &Value) -> Result<Role, Malformed> {
        let Some(name) = document.get("name").and_then(Value::as_str) else {
            return Err(Malformed::new(
                "name",
                "missing: a role is called `roles/...` or `projects/.../roles/...`",
            ));
        };
        let permissions = match document.get("includedPermissions") {
            None | Some(Value::Null) => None,
            Some(Value::Array(list)) if list.len() <= PERMISSIONS_MAX => {
                let mut permissions = BTreeSet::new();
                for (index, permission) in list.iter().enumerate() {
                    let Some(permission) = permission.as_str() else {
                        return Err(Malformed::new(
                            format!("includedPermissions[{index}]"),
                            "must be a text",
                        ));
                    };
                    permissions.insert(permission.into());
                }
                Some(permissions)
            }
            Some(_) => {
                let reason = format!("must be a list of at most {PERMISSIONS_MAX} texts");
                return Err(Malformed::new("includedPermissions", reason));
            }
        };
        let off = document.get("stage").and_then(Value::as_str) == Some("DISABLED")
            || document.get("deleted").and_then(Value::as_bool) == Some(true);
        Ok(Role { name: name.to_owned(), permissions, off })
    }

    pub(super) fn is_told(&self) -> bool {
        self.off || self.permissions.is_some()
    }

    /// `None` where the role's permissions are not known.
    pub(super) fn holds(&self, permission: &str) -> Option<bool> {
        if self.off {
            return Some(false);
        }
        self.permissions.as_ref().map(|permissions| permissions.contains(permission))
    }
}
