//! `from:`: policies and roles that a manifest refers to, read as they stand

use std::path::Path;

use super::agent::{Draft, Setting};
use super::reader::Reader;
use super::yaml::Entry;
use crate::scope::{Cloud, Grants, Kind, Statement};
use policy::aws::{Effect, Policy};

/// Longest policy file that we read.
const POLICY_BYTES_MAX: u64 = 256 * 1024;

/// `from: {aws_policy: file}`: read as it stands.
pub(super) fn from(reader: &mut Reader<'_>, entry: &Entry, setting: &Setting<'_>, draft: &mut Draft) {
    let fields = reader.map(
        &entry.value,
        "from",
        &["aws_policy", "terraform", "address", "azure_role", "scope", "gcp_role"],
    );
    for field in fields {
        let Some(text) = reader.text(&field.value, &format!("from.{}", field.key)) else { continue };
        match field.key.as_str() {
            "aws_policy" => match policy(&setting.folder.join(&text), &text) {
                Ok(policy) => draft.parts.statements.extend(policy.statements.iter().map(|statement| {
                    let kind = if statement.effect == Effect::Deny { Kind::Deny } else { Kind::Allow };
                    let origin = format!("{}:{} from {text}#{}", reader.file, field.line, statement.label());
                    let grants = Grants::Named(statement.actions.clone());
                    Statement {
                        conditions: statement.conditions.clone(),
                        ..Statement::new(kind, grants, statement.resources.clone(), origin)
                    }
                })),
                Err(reason) => {
                    reader.warn(
                        field.line,
                        "from.aws_policy",
                        format!(
                            "`{text}` cannot be used, so every verdict of this agent is unknown: {reason}"
                        ),
                    );
                    draft.unparsed.push((text, format!("{}:{}: {reason}", reader.file, field.line)));
                }
            },
            "terraform" => {
                reader.warn(
                    field.line,
                    "from.terraform",
                    "is not read yet: what would be out of scope is unknown",
                );
                draft.parts.unread.push((Cloud::Aws, "from.terraform".into()));
            }
            "azure_role" | "gcp_role" => reader.warn(
                field.line,
                format!("from.{}", field.key),
                "is not read yet: it says nothing about calls in AWS",
            ),
            _ => {}
        }
    }
}

fn policy(path: &Path, name: &str) -> Result<Policy, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot read it: {error}"))?.len();
    if size > POLICY_BYTES_MAX {
        return Err(format!("longer than {POLICY_BYTES_MAX} bytes, which no policy is"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read it: {error}"))?;
    Policy::parse(name, &text).map_err(|error| format!("{}: {}", error.place, error.reason))
}
