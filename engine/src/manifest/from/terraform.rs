//! `from: {terraform: PATH, address: ADDRESS}`: a resource of a plan or a state, both as JSON
//!
//! What is written in HCL is not read: what it means only Terraform itself can tell.

mod address;
mod document;

use std::path::Path;

use serde_json::Value;

use super::source::{Source, texts};
use super::{Problem, Reference, azure, gcp, policy};
use crate::cloud::Cloud;
use crate::manifest::REFERENCE_BYTES_MAX;
use crate::manifest::agent::Draft;
use crate::manifest::reader::{Reader, closest};
use address::Address;
use document::{Document, Resource};

/// Plans and states in one folder.
const FILES_MAX: usize = 50;
/// Entries of a folder that are looked at.
const ENTRIES_MAX: usize = 10_000;
/// Instances of one resource.
const INSTANCES_MAX: usize = 1_000;

const HINT: &str = "Write the plan as JSON, `terraform show -json PLANFILE > plan.json`, or the state, `terraform show -json > terraform.tfstate.json`";

/// What holds permissions, and where.
/// <https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/iam_role_policy>
const TYPES: [(&str, Holds); 9] = [
    ("aws_iam_policy", Holds::Policy("policy")),
    ("aws_iam_role_policy", Holds::Policy("policy")),
    ("aws_iam_user_policy", Holds::Policy("policy")),
    ("aws_iam_group_policy", Holds::Policy("policy")),
    ("aws_iam_policy_document", Holds::Policy("json")),
    ("aws_iam_role", Holds::InlinePolicies),
    ("google_project_iam_custom_role", Holds::GcpRole),
    ("google_organization_iam_custom_role", Holds::GcpRole),
    ("azurerm_role_definition", Holds::AzureRole),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// A policy's text in this attribute
    Policy(&'static str),
    InlinePolicies,
    GcpRole,
    AzureRole,
}

/// The resource that a manifest asks for.
pub(super) struct Wanted {
    address: Address,
    holds: Holds,
}

impl Wanted {
    /// Errors say what is wrong with the address.
    pub(super) fn of(text: &str) -> Result<Wanted, String> {
        let Some(address) = Address::parse(text) else {
            return Err(format!(
                "`{text}` in `from.address` is no address of a resource. Write it like `aws_iam_role_policy.janitor` or `module.agents.aws_iam_role_policy.janitor[\"weekly\"]`"
            ));
        };
        let kind = address.kind();
        let known = TYPES.map(|(name, _)| name);
        let Some((_, holds)) = TYPES.into_iter().find(|(name, _)| *name == kind) else {
            let guess =
                closest(kind, &known).map(|guess| format!(" Did you mean `{guess}`?")).unwrap_or_default();
            return Err(format!(
                "`{kind}` in `from.address` is no type whose permissions are read.{guess} Known types: {}",
                known.join(", ")
            ));
        };
        if address.is_data() != (kind == "aws_iam_policy_document") {
            let data = "data.aws_iam_policy_document.NAME";
            return Err(format!(
                "`{text}` in `from.address`: of data, `{data}` alone is read, and it begins with `data.`"
            ));
        }
        Ok(Wanted { address, holds })
    }

    pub(super) fn cloud(&self) -> Cloud {
        match self.holds {
            Holds::Policy(_) | Holds::InlinePolicies => Cloud::Aws,
            Holds::GcpRole => Cloud::Gcp,
            Holds::AzureRole => Cloud::Azure,
        }
    }

    /// The attributes that say what is granted; without the first nothing is known.
    fn attributes(&self) -> &'static [&'static str] {
        match self.holds {
            Holds::Policy("json") => &["json"],
            Holds::Policy(_) => &["policy"],
            Holds::InlinePolicies => &["inline_policy", "managed_policy_arns"],
            Holds::GcpRole => &["permissions", "stage", "deleted"],
            Holds::AzureRole => &["permissions", "scope", "assignable_scopes"],
        }
    }
}

/// Takes every instance of the resource in.
pub(super) fn read(
    reader: &mut Reader<'_>,
    source: &mut Source<'_>,
    reference: &Reference<'_>,
    wanted: &Wanted,
    draft: &mut Draft,
) -> Result<(), Problem> {
    let found = find(reader, source, reference, wanted)?;
    if found.len() > 1 {
        let message = format!(
            "`{}` means {} instances, and all of them are taken: name one by its index",
            reference.shown(),
            found.len()
        );
        reader.warn(reference.line, reference.key(), message);
    }
    // All or nothing: half of what is declared would make the rest look like a trespass.
    let mut whole = Draft::default();
    for resource in &found {
        take(reader, reference, wanted, resource, &mut whole)?;
    }
    draft.parts.statements.append(&mut whole.parts.statements);
    draft.parts.elsewhere.append(&mut whole.parts.elsewhere);
    draft.parts.unread.append(&mut whole.parts.unread);
    Ok(())
}

fn take(
    reader: &mut Reader<'_>,
    reference: &Reference<'_>,
    wanted: &Wanted,
    resource: &Resource,
    draft: &mut Draft,
) -> Result<(), Problem> {
    let later = |attribute: &str| {
        Problem::Unread(format!(
            "`{attribute}` of `{}` is known only after apply. Apply it and write the state: `terraform show -json > terraform.tfstate.json`",
            resource.address
        ))
    };
    let missing = |attribute: &str| {
        if resource.planned {
            later(attribute)
        } else {
            Problem::Unparsed(format!("`{}` has no `{attribute}`", resource.address))
        }
    };
    let is_limited = reference.place.is_some();
    // What else is listed may be unknown and not matter: which policies a new role will have attached, say.
    if let Some(attribute) = wanted.attributes().first().filter(|one| resource.is_unknown(one)) {
        return Err(later(attribute));
    }
    let get = |attribute: &str| resource.values.get(attribute).filter(|value| !value.is_null());
    match wanted.holds {
        Holds::Policy(attribute) => {
            let text = get(attribute).and_then(Value::as_str).ok_or_else(|| missing(attribute))?;
            policy(reader, reference, "", text, draft)
        }
        Holds::InlinePolicies => {
            let inline = match get("inline_policy") {
                Some(Value::Array(policies)) => &policies[..],
                _ if resource.planned => return Err(later("inline_policy")),
                _ => &[],
            };
            for one in inline {
                let part = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default();
                // `inline_policy {}` says that there shall be none.
                if !part("policy").is_empty() {
                    policy(reader, reference, &format!("{}/", part("name")), part("policy"), draft)?;
                }
            }
            for arn in texts(&resource.values, "managed_policy_arns")? {
                let message = format!(
                    "`{arn}` is attached to `{}` and is not read: refer to the policy itself",
                    resource.address
                );
                reader.warn(reference.line, reference.key(), message);
                draft.parts.unread.push((Cloud::Aws, arn));
            }
            Ok(())
        }
        Holds::GcpRole => {
            get("permissions").ok_or_else(|| missing("permissions"))?;
            draft.parts.elsewhere.extend(gcp::entry(reader, reference, &resource.values)?);
            Ok(())
        }
        Holds::AzureRole => {
            get("permissions").ok_or_else(|| missing("permissions"))?;
            if !is_limited && get("assignable_scopes").or(get("scope")).is_none() {
                return Err(missing("scope"));
            }
            draft.parts.elsewhere.extend(azure::entries(reader, reference, &resource.values)?);
            Ok(())
        }
    }
}

/// The instances, from a file or from the one of a folder that has them.
fn find(
    reader: &mut Reader<'_>,
    source: &mut Source<'_>,
    reference: &Reference<'_>,
    wanted: &Wanted,
) -> Result<Vec<Resource>, Problem> {
    let path = source.path(&reference.named);
    if !path.is_dir() {
        if is_hcl(&path) && path.is_file() {
            return Err(Problem::Unread(format!("HCL is not read. {HINT}")));
        }
        return in_file(source, &reference.named, wanted);
    }
    let mut found: Option<(String, Vec<Resource>)> = None;
    let mut problems = Vec::new();
    for file in candidates(&path)? {
        let named = format!("{}/{file}", reference.named.trim_end_matches('/'));
        match (in_file(source, &named, wanted), &found) {
            (Ok(here), Some((other, there))) if !alike(&here, there, wanted) => {
                return Err(Problem::Unread(format!(
                    "`{file}` and `{other}` say different things of it. Name one of the two instead of the folder"
                )));
            }
            (Ok(_), Some(_)) => {}
            (Ok(here), None) => found = Some((file, here)),
            (Err(problem), _) => problems.push((file, problem)),
        }
    }
    match found {
        Some((_, found)) => {
            for (file, problem) in problems {
                // That one of the files does not have it is no news.
                if let Problem::Unparsed(reason) = problem {
                    reader.warn(reference.line, reference.key(), format!("`{file}` is left out: {reason}"));
                }
            }
            Ok(found)
        }
        None if problems.iter().all(|(_, problem)| matches!(problem, Problem::Unread(_))) => {
            Err(problems.pop().map_or_else(|| Problem::Unread(HINT.to_owned()), |(_, problem)| problem))
        }
        None => {
            let first = problems.into_iter().find_map(|(file, problem)| match problem {
                Problem::Unparsed(reason) => Some(Problem::Unparsed(format!("`{file}`: {reason}"))),
                Problem::Unread(_) => None,
            });
            Err(first.unwrap_or_else(|| Problem::Unread(HINT.to_owned())))
        }
    }
}

fn is_hcl(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".tf") || name.ends_with(".tf.json") || name.ends_with(".tofu")
}

/// Whether a file's name is one that plans and states have.
pub(in crate::manifest) fn is_candidate(name: &str) -> bool {
    let is_plan = name == "plan.json" || name.ends_with(".tfplan.json");
    is_plan || name == "terraform.tfstate.json" || name.ends_with(".tfstate")
}

/// The plans and states of a folder, by name.
fn candidates(folder: &Path) -> Result<Vec<String>, Problem> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Problem::Unparsed(format!("cannot read the folder: {error}")))?;
    let (mut names, mut has_hcl) = (Vec::new(), false);
    for entry in entries.take(ENTRIES_MAX).flatten() {
        has_hcl |= is_hcl(&entry.path());
        let Ok(name) = entry.file_name().into_string() else { continue };
        if is_candidate(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        let holds = if has_hcl { "it holds HCL, which is not read" } else { "it holds no plan and no state" };
        return Err(Problem::Unread(format!("{holds}. {HINT}")));
    }
    if names.len() > FILES_MAX {
        return Err(Problem::Unread(format!(
            "it holds {} plans and states. Name the file instead of the folder",
            names.len()
        )));
    }
    names.sort_unstable();
    Ok(names)
}

fn in_file(source: &mut Source<'_>, named: &str, wanted: &Wanted) -> Result<Vec<Resource>, Problem> {
    let value = source.json(named, REFERENCE_BYTES_MAX, HINT)?;
    let document = Document::of(&value).map_err(|reason| Problem::Unparsed(format!("{reason}. {HINT}")))?;
    let (found, others) = document.find(&wanted.address);
    if found.len() > INSTANCES_MAX {
        return Err(Problem::Unread(format!("more than {INSTANCES_MAX} instances: name one by its index")));
    }
    if found.is_empty() {
        let known: Vec<&str> = others.iter().map(String::as_str).collect();
        let guess = closest(&wanted.address.to_string(), &known)
            .map(|guess| format!(" Did you mean `{guess}`?"))
            .unwrap_or_default();
        let shown: Vec<&str> = known.iter().copied().take(10).collect();
        let known = match &shown[..] {
            [] => format!("It has no `{}` at all", wanted.address.kind()),
            shown => format!("It has {}", shown.join(", ")),
        };
        return Err(Problem::Unread(format!("no resource has that address.{guess} {known}")));
    }
    Ok(found)
}

/// Whether two files say the same of what is granted.
fn alike(here: &[Resource], there: &[Resource], wanted: &Wanted) -> bool {
    let said = |resource: &Resource| -> Vec<Option<Value>> {
        let known = |one: &&str| resource.values.get(*one).cloned().filter(|value| !value.is_null());
        wanted.attributes().iter().map(known).collect()
    };
    here.len() == there.len()
        && here
            .iter()
            .all(|one| there.iter().any(|other| one.address == other.address && said(one) == said(other)))
}
