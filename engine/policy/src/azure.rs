//! Azure role-based access control: deny assignments first, then the union of role assignments
//!
//! `NotActions` is subtracted inside its own role and denies nothing to another role. Three-valued: an unknown
//! group membership, management group, condition or role definition makes an answer unknown where it could turn it.
//! Locks, Azure Policy and classic administrators are outside of this.
//! <https://learn.microsoft.com/azure/role-based-access-control/overview#how-azure-rbac-determines-if-a-user-has-access-to-a-resource>

mod assignment;
mod condition;
mod definition;
mod document;
mod operation;
mod scope;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use definition::{Permissions, Plane};

use crate::belief::Belief;
use crate::context::{Context, Fact};
use crate::judgement::{Decisive, Judgement, Malformed, Voice, judge};
use crate::truth::Truth;
use assignment::{Assignment, DenyAssignment, Principal};
use condition::Facts;
use definition::RoleDefinition;
use document::Fields;
use operation::Operation;
use scope::{Hierarchy, Scope};

/// Groups that one principal is followed through.
const GROUPS_MAX: usize = 10_000;

/// What Azure's exports say of roles and to whom they are given.
#[derive(Debug, Default)]
pub struct Policies {
    /// By GUID, and by the role's name
    definitions: BTreeMap<String, RoleDefinition>,
    assignments: Vec<Assignment>,
    /// Places in `assignments` by principal; groups are few and asked each time
    direct: BTreeMap<String, Vec<usize>>,
    to_groups: Vec<usize>,
    denies: Vec<DenyAssignment>,
    /// Members by group; a group that is not here has unknown members
    groups: BTreeMap<String, BTreeSet<String>>,
    hierarchy: Hierarchy,
    /// The subscriptions and management groups that assignments are about
    covered: BTreeSet<Scope>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The object id of the user or service principal, or its sign-in name
    pub principal: &'a str,
    /// The groups it is a member of, where all are known
    pub groups: Option<&'a [String]>,
    /// `Microsoft.Compute/virtualMachines/start/action`
    pub operation: &'a str,
    /// Control or data
    pub plane: Plane,
    /// The resource's id, or the subscription's or group's
    pub scope: &'a str,
    /// What conditions ask for, by attribute: `@Environment[UtcNow]`
    pub context: &'a Context,
}

impl Policies {
    /// Adds a role definition: one item of `az role definition list`, of the REST interface, or a role file.
    ///
    /// # Errors
    /// The place of what cannot be read.
    pub fn add_definition(&mut self, document: &Value) -> Result<(), Malformed> {
        let definition = RoleDefinition::read(document)?;
        if let Some(role) = &definition.role {
            self.definitions.insert(role.to_ascii_lowercase(), definition.clone());
        }
        if let Some(guid) = definition.guid.clone() {
            self.definitions.insert(guid, definition);
        }
        Ok(())
    }

    /// Adds a role assignment: one item of `az role assignment list` or of the REST interface. One that is only
    /// eligible is taken and grants nothing.
    ///
    /// # Errors
    /// The place of what cannot be read.
    pub fn add_assignment(&mut self, document: &Value) -> Result<(), Malformed> {
        let Some(assignment) = Assignment::read(document)? else { return Ok(()) };
        let place = self.assignments.len();
        let principal = &assignment.principal;
        if principal.group {
            self.to_groups.push(place);
        } else {
            let mut names = vec![principal.id.clone()];
            names.extend(principal.name.clone().filter(|name| *name != principal.id));
            for name in names {
                self.direct.entry(name).or_default().push(place);
            }
        }
        self.covered.insert(assignment.scope.container().unwrap_or_else(|| assignment.scope.clone()));
        self.assignments.push(assignment);
        Ok(())
    }

    /// Adds a deny assignment, as the REST interface lists it.
    ///
    /// # Errors
    /// The place of what cannot be read.
    pub fn add_deny_assignment(&mut self, document: &Value) -> Result<(), Malformed> {
        let deny = DenyAssignment::read(document)?;
        self.covered.insert(deny.scope.container().unwrap_or_else(|| deny.scope.clone()));
        self.denies.push(deny);
        Ok(())
    }

    /// Says who is in a group: all of its members, groups included, by object id.
    pub fn set_members<'a>(&mut self, group: &str, members: impl IntoIterator<Item = &'a str>) {
        let folded = members.into_iter().map(str::to_ascii_lowercase);
        self.groups.entry(group.to_ascii_lowercase()).or_default().extend(folded);
    }

    /// Says in which management group a subscription or group lies; the uppermost group lies in `/`.
    pub fn set_parent(&mut self, child: &str, parent: &str) {
        self.hierarchy.put(Scope::new(child), Scope::new(parent));
    }

    /// The principals that roles are assigned to, groups included, by object id.
    pub fn principals(&self) -> impl Iterator<Item = &str> {
        let mut ids: Vec<&str> = self.assignments.iter().map(|one| one.principal.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
    }

    /// Whether an assignment was given in the scope's own subscription or management group.
    #[must_use]
    pub fn covers(&self, scope: &str) -> bool {
        let scope = Scope::new(scope);
        self.covered.contains(&scope.container().unwrap_or(scope))
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty() && self.assignments.is_empty() && self.denies.is_empty()
    }

    /// What the policies say to a request.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Judgement {
        let asked = Asked {
            who: request.principal.trim().to_ascii_lowercase(),
            groups: request.groups,
            operation: Operation::new(request.operation),
            plane: request.plane,
            scope: Scope::new(request.scope),
            context: request.context,
        };
        judge(self.denies.iter().map(|deny| self.denied(deny, &asked)), || self.allowed(&asked))
    }

    fn denied(&self, deny: &DenyAssignment, asked: &Asked<'_>) -> Voice {
        let reaches = match deny.only_here {
            true => (deny.scope == asked.scope).into(),
            false => self.hierarchy.covers(&deny.scope, &asked.scope),
        };
        let belief = reaches
            .and_then(|| deny.permissions.hold(&asked.operation, asked.plane, &asked.facts()))
            .and_then(|| self.any_of(&deny.principals, asked))
            .and_then(|| self.any_of(&deny.excluded, asked).negate())
            .and_then(|| deny.condition.as_ref().map_or(Belief::TRUE, |one| one.holds(&asked.facts())));
        let statement = deny.scope.as_str().to_owned();
        Voice { belief, by: Decisive { layer: "deny_assignment", policy: deny.name.clone(), statement } }
    }

    fn any_of(&self, principals: &[Principal], asked: &Asked<'_>) -> Belief {
        principals.iter().fold(Belief::FALSE, |any, one| any.or(self.is(one, asked)))
    }

    fn is(&self, principal: &Principal, asked: &Asked<'_>) -> Belief {
        if principal.is_everybody() || principal.id == asked.who {
            return Belief::TRUE;
        }
        if principal.group { self.is_member(&principal.id, asked) } else { Belief::FALSE }
    }

    fn is_member(&self, group: &str, asked: &Asked<'_>) -> Belief {
        if let Some(groups) = asked.groups {
            return groups.iter().any(|known| known.eq_ignore_ascii_case(group)).into();
        }
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![group];
        let mut unknown = Vec::new();
        while let Some(group) = open.pop() {
            if !seen.insert(group) {
                continue;
            }
            if seen.len() > GROUPS_MAX {
                unknown.push(format!("group {group}"));
                break;
            }
            match self.groups.get(group) {
                Some(members) if members.contains(&asked.who) => return Belief::TRUE,
                // A member that is itself a group is followed; one that is a person is no group and ends there.
                Some(members) => {
                    open.extend(
                        members.iter().map(String::as_str).filter(|id| self.groups.contains_key(*id)),
                    );
                }
                None => unknown.push(format!("group {group}")),
            }
        }
        if unknown.is_empty() { Belief::FALSE } else { Belief::unknown_of(unknown) }
    }

    fn allowed(&self, asked: &Asked<'_>) -> Vec<Voice> {
        let direct = self.direct.get(&asked.who).map_or(&[][..], Vec::as_slice);
        let mut voices = Vec::new();
        for place in direct.iter().chain(&self.to_groups) {
            let Some(assignment) = self.assignments.get(*place) else { continue };
            let belief = self.grants(assignment, asked);
            if belief.truth == Truth::False {
                continue;
            }
            let by = Decisive {
                layer: "assignment",
                policy: assignment.name.clone(),
                statement: self
                    .role_of(assignment)
                    .and_then(|role| role.role.clone())
                    .unwrap_or_else(|| assignment.label()),
            };
            let settled = belief.truth == Truth::True;
            voices.push(Voice { belief, by });
            if settled {
                break;
            }
        }
        voices
    }

    fn grants(&self, assignment: &Assignment, asked: &Asked<'_>) -> Belief {
        let whom = match assignment.principal.group {
            true => self.is(&assignment.principal, asked),
            false => Belief::TRUE,
        };
        whom.and_then(|| self.hierarchy.covers(&assignment.scope, &asked.scope))
            .and_then(|| match self.role_of(assignment) {
                Some(role) => role.permissions.hold(&asked.operation, asked.plane, &asked.facts()),
                None => Belief::unknown(format!("roleDefinition {}", assignment.label())),
            })
            .and_then(|| assignment.condition.as_ref().map_or(Belief::TRUE, |one| one.holds(&asked.facts())))
            .and_then(|| asked.is_before(assignment.expires.as_deref()))
    }

    fn role_of(&self, assignment: &Assignment) -> Option<&RoleDefinition> {
        let by_id = assignment.definition.as_ref().and_then(|guid| self.definitions.get(guid));
        by_id.or_else(|| {
            let role = assignment.role.as_ref().filter(|_| assignment.definition.is_none())?;
            self.definitions.get(&role.to_ascii_lowercase())
        })
    }
}

/// A request, folded once.
struct Asked<'a> {
    who: String,
    groups: Option<&'a [String]>,
    operation: Operation,
    plane: Plane,
    scope: Scope,
    context: &'a Context,
}

impl Asked<'_> {
    fn facts(&self) -> Facts<'_> {
        Facts { operation: &self.operation, scope: &self.scope, context: self.context }
    }

    fn is_before(&self, end: Option<&str>) -> Belief {
        let Some(end) = end else { return Belief::TRUE };
        let now = match self.context.fact("@Environment[UtcNow]") {
            Fact::Values(values) => values.first().and_then(|text| condition::time(text)),
            _ => None,
        };
        match (now, condition::time(end)) {
            (Some(now), Some(end)) => (now < end).into(),
            _ => Belief::unknown("@Environment[UtcNow]"),
        }
    }
}

/// What an item of an Azure export is, by its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A role definition
    Definition,
    /// A role assignment, eligible ones included
    Assignment,
    /// A deny assignment
    DenyAssignment,
}

/// Tells what an item of an export is; `None` for anything else, an AWS document included.
#[must_use]
pub fn item(document: &Value) -> Option<Item> {
    let fields = Fields(document);
    if !document.is_object() {
        return None;
    }
    let kind = fields.text("type").unwrap_or_default().to_ascii_lowercase();
    if kind.ends_with("/denyassignments") || fields.get("denyAssignmentName").is_some() {
        return Some(Item::DenyAssignment);
    }
    let assigned = fields.get("roleDefinitionId").is_some() && fields.get("principalId").is_some();
    if kind.contains("/roleassignment") || kind.contains("/roleeligib") || assigned {
        return Some(Item::Assignment);
    }
    let listed = ["permissions", "actions", "dataActions"].iter().any(|name| fields.get(name).is_some());
    if kind.ends_with("/roledefinitions") || (fields.get("assignableScopes").is_some() && listed) {
        return Some(Item::Definition);
    }
    if fields.get("principals").is_some() && fields.get("permissions").is_some() {
        return Some(Item::DenyAssignment);
    }
    None
}
