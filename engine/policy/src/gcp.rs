//! Google Cloud IAM: deny policies first, then the union of allow policies from the organization down
//!
//! Three-valued: an unknown group, role, place in the hierarchy or condition makes an answer unknown where it could turn
//! it. Principal access boundaries and VPC service perimeters are outside of this.
//! <https://cloud.google.com/iam/docs/policy-types#evaluation>

mod condition;
mod member;
mod node;
mod permission;
mod role;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::belief::Belief;
use crate::context::Context;
use crate::judgement::{Decisive, Judgement, Malformed, Voice, judge};
use crate::truth::Truth;
use condition::{Condition, Facts};
use member::{Groups, Principal};
use node::{Lineage, Node};
use role::Role;

/// An allow policy holds at most 1,500 principals; a wrapper of several may hold more.
const BINDINGS_MAX: usize = 100_000;

/// Folders nest ten deep; a project has two names.
const ANCESTORS_MAX: usize = 64;

/// What Google Cloud's exports say of roles and to whom they are given.
#[derive(Debug, Default)]
pub struct Policies {
    roles: BTreeMap<String, Role>,
    /// By the node that the policy is attached to
    allows: BTreeMap<Node, Vec<Binding>>,
    denies: Vec<Deny>,
    groups: Groups,
    /// The parent of each project and folder
    parents: BTreeMap<Node, Vec<Node>>,
}

#[derive(Debug)]
struct Binding {
    role: String,
    members: Vec<String>,
    condition: Option<Condition>,
}

/// One rule of a deny policy.
#[derive(Debug)]
struct Deny {
    policy: String,
    place: usize,
    /// None: attached to the very resource that is asked for
    node: Option<Node>,
    principals: Vec<String>,
    excepted_principals: Vec<String>,
    permissions: Vec<String>,
    excepted_permissions: Vec<String>,
    condition: Option<Condition>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `user:ann@example.com`, `serviceAccount:...`, `principal://...`, or a bare address
    pub principal: &'a str,
    /// `storage.objects.get`
    pub permission: &'a str,
    /// `//storage.googleapis.com/projects/_/buckets/b`, with or without the host
    pub resource: &'a str,
    /// What it lies in, from itself up to the organization; empty where only its name tells
    pub hierarchy: &'a [String],
    /// `request.time`, `resource.type` and other attributes that conditions ask for
    pub context: &'a Context,
}

impl Policies {
    /// Adds a role: one item of `gcloud iam roles describe` or `list`. One without `includedPermissions` is known by
    /// name only.
    ///
    /// # Errors
    /// The place of what cannot be read.
    pub fn add_role(&mut self, document: &Value) -> Result<(), Malformed> {
        let role = Role::read(document)?;
        // `list` prints the names alone: they take nothing from what `describe` said.
        if document.get("includedPermissions").is_none() && self.roles.contains_key(&role.name) {
            return Ok(());
        }
        self.roles.insert(role.name.clone(), role);
        Ok(())
    }

    /// Adds the allow policy of a node: `{bindings: [{role, members, condition}]}` as `get-iam-policy` prints it.
    ///
    /// # Errors
    /// The place of what cannot be read.
    pub fn add_allow_policy(&mut self, node: &str, policy: &Value) -> Result<(), Malformed> {
        let bindings = match policy.get("bindings") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Array(bindings)) if bindings.len() <= BINDINGS_MAX => bindings,
            Some(_) => {
                return Err(Malformed::new("bindings", format!("must be a list of at most {BINDINGS_MAX}")));
            }
        };
        for (index, binding) in bindings.iter().enumerate() {
            let place = format!("bindings[{index}]");
            self.add_binding(node, binding).map_err(|error| error.within(&place))?;
        }
        Ok(())
    }

    /// Adds one binding of a node's allow policy: `{role, members, condition}`.
    ///
    /// # Errors
    /// The place of what cannot be read.
    pub fn add_binding(&mut self, node: &str, binding: &Value) -> Result<(), Malformed> {
        let Some(role) = binding.get("role").and_then(Value::as_str) else {
            return Err(Malformed::new("role", "missing"));
        };
        let members = match binding.get("member") {
            Some(Value::String(member)) => vec![member.clone()],
            _ => texts(binding, "members")?,
        };
        let condition = condition(binding, "condition")?;
        let binding = Binding { role: role.to_owned(), members, condition };
        self.allows.entry(Node::new(node)).or_default().push(binding);
        Ok(())
    }

    /// Adds a deny policy, as `gcloud iam policies get --kind=denypolicies` prints it. Without `attached` its own name
    /// tells where it is attached; `None` where neither does: then it is about the resource that is asked for.
    ///
    /// # Errors
    /// The place of what cannot be read.
    pub fn add_deny_policy(&mut self, attached: Option<&str>, policy: &Value) -> Result<(), Malformed> {
        let name = policy.get("name").and_then(Value::as_str).unwrap_or("deny policy");
        let node = attached.map(Node::new).or_else(|| attachment(name));
        let rules = match policy.get("rules") {
            Some(Value::Array(rules)) => rules,
            _ => {
                return Err(Malformed::new(
                    "rules",
                    "missing: print the policy with `gcloud iam policies get`",
                ));
            }
        };
        for (place, rule) in rules.iter().enumerate() {
            let within = |error: Malformed| error.within(&format!("rules[{place}].denyRule"));
            let Some(rule) = rule.get("denyRule").or_else(|| rule.get("deny_rule")) else {
                return Err(Malformed::new(format!("rules[{place}]"), "has no `denyRule`"));
            };
            self.denies.push(Deny {
                policy: name.to_owned(),
                place,
                node: node.clone(),
                principals: texts(rule, "deniedPrincipals").map_err(within)?,
                excepted_principals: texts(rule, "exceptionPrincipals").map_err(within)?,
                permissions: texts(rule, "deniedPermissions").map_err(within)?,
                excepted_permissions: texts(rule, "exceptionPermissions").map_err(within)?,
                condition: condition(rule, "denialCondition").map_err(within)?,
            });
        }
        Ok(())
    }

    /// Says who is in a group: `user:`, `serviceAccount:`, `group:` or bare addresses, all of them.
    pub fn set_members<'a>(&mut self, group: &str, members: impl IntoIterator<Item = &'a str>) {
        self.groups.set(group, members);
    }

    /// Says what lies above a project or folder, its other name included (`projects/4711` of `projects/p`).
    pub fn set_ancestors<'a>(&mut self, node: &str, above: impl IntoIterator<Item = &'a str>) {
        let node = Node::new(node);
        let above = above.into_iter().map(Node::new).filter(|one| *one != node).collect::<Vec<_>>();
        self.parents.entry(node).or_default().extend(above);
    }

    /// Whether the policies of what a resource lies in were given: its project's, folder's or organization's own.
    #[must_use]
    pub fn covers(&self, resource: &str) -> bool {
        let resource = Node::new(resource);
        let told = self.with_parents(&resource, Vec::new());
        let of = |node: &Node| node.container().is_some_and(|node| self.allows.contains_key(&node));
        of(&resource) || told.iter().filter(|node| node.as_str().starts_with("projects/")).any(of)
    }

    /// The roles that are named in bindings and whose permissions are not known, sorted.
    #[must_use]
    pub fn untold_roles(&self) -> Vec<&str> {
        let bindings = self.allows.values().flatten();
        let mut untold: Vec<&str> = bindings
            .map(|binding| binding.role.as_str())
            .filter(|role| self.roles.get(*role).is_none_or(|role| !role.is_told()))
            .collect();
        untold.sort_unstable();
        untold.dedup();
        untold
    }

    /// Who is named in allow policies, sorted: `user:`, `serviceAccount:`, `group:` and other members.
    #[must_use]
    pub fn members(&self) -> Vec<&str> {
        let bindings = self.allows.values().flatten();
        let mut members: Vec<&str> =
            bindings.flat_map(|binding| binding.members.iter().map(String::as_str)).collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.allows.is_empty() && self.denies.is_empty()
    }

    /// What the policies say to a request.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Judgement {
        let resource = Node::new(request.resource);
        let told: Vec<Node> = request.hierarchy.iter().map(|name| Node::new(name)).collect();
        let told = self.with_parents(&resource, told);
        let asked = Asked {
            who: Principal::new(request.principal),
            permission: permission::plain(request.permission),
            lineage: Lineage::new(resource, told),
            full_name: request.resource,
            context: request.context,
        };
        judge(self.denies.iter().map(|deny| self.denied(deny, &asked)), || self.allowed(&asked))
    }

    /// What is known of the place of a project or folder adds to what the request tells.
    fn with_parents(&self, resource: &Node, mut told: Vec<Node>) -> Vec<Node> {
        let mut open: Vec<Node> = std::iter::once(resource.clone()).chain(told.iter().cloned()).collect();
        while let Some(node) = open.pop() {
            let Some(above) = node.container().and_then(|node| self.parents.get(&node)) else { continue };
            for one in above {
                if told.len() < ANCESTORS_MAX && !told.contains(one) {
                    told.push(one.clone());
                    open.push(one.clone());
                }
            }
        }
        told
    }

    fn denied(&self, deny: &Deny, asked: &Asked<'_>) -> Voice {
        let about = |entries: &[String]| {
            Belief::from(entries.iter().any(|entry| permission::denies(entry, &asked.permission)))
        };
        let belief = about(&deny.permissions)
            .and_then(|| about(&deny.excepted_permissions).negate())
            .and_then(|| deny.node.as_ref().map_or(Belief::TRUE, |node| asked.lineage.is_below(node)))
            .and_then(|| self.any_of(&deny.principals, asked))
            .and_then(|| self.any_of(&deny.excepted_principals, asked).negate())
            .and_then(|| deny.condition.as_ref().map_or(Belief::TRUE, |one| one.holds(&asked.facts())));
        let by = Decisive { layer: "deny", policy: deny.policy.clone(), statement: deny.place.to_string() };
        Voice { belief, by }
    }

    fn any_of(&self, members: &[String], asked: &Asked<'_>) -> Belief {
        let role_in = |project: &str, role: &str| self.has_role(project, role, asked);
        members.iter().fold(Belief::FALSE, |any, member| {
            any.or(member::names(member, &asked.who, &self.groups, &role_in))
        })
    }

    /// Whether the principal has a basic role in a project: `projectOwner:p`.
    fn has_role(&self, project: &str, role: &str, asked: &Asked<'_>) -> Belief {
        let node = Node::new(&format!("projects/{project}"));
        let Some(bindings) = self.allows.get(&node) else {
            return Belief::unknown(format!("{role} in projects/{project}"));
        };
        // Such members stand in policies of buckets and datasets; one within a project's own is asked no further.
        let none = |_: &str, _: &str| Belief::unknown(format!("{role} in projects/{project}"));
        bindings
            .iter()
            .filter(|binding| binding.role == role)
            .flat_map(|binding| &binding.members)
            .fold(Belief::FALSE, |any, member| any.or(member::names(member, &asked.who, &self.groups, &none)))
    }

    fn allowed(&self, asked: &Asked<'_>) -> Vec<Voice> {
        let mut voices = Vec::new();
        for node in asked.lineage.sure() {
            if let Some(bindings) = self.allows.get(&node)
                && self.bound(&node, bindings, &Belief::TRUE, asked, &mut voices)
            {
                return voices;
            }
        }
        for (from, to) in asked.lineage.unsure() {
            for (node, bindings) in self.allows.range(from..to) {
                let reaches = asked.lineage.is_below(node);
                if reaches.truth == Truth::Unknown {
                    self.bound(node, bindings, &reaches, asked, &mut voices);
                }
            }
        }
        voices
    }

    /// What one node's bindings say; whether one of them settles it.
    fn bound(
        &self,
        node: &Node,
        bindings: &[Binding],
        reaches: &Belief,
        asked: &Asked<'_>,
        voices: &mut Vec<Voice>,
    ) -> bool {
        for binding in bindings {
            let belief = reaches
                .clone()
                .and_then(|| self.role_holds(&binding.role, &asked.permission))
                .and_then(|| self.any_of(&binding.members, asked))
                .and_then(|| {
                    binding.condition.as_ref().map_or(Belief::TRUE, |one| one.holds(&asked.facts()))
                });
            let settled = belief.truth == Truth::True;
            if belief.truth != Truth::False {
                let (policy, statement) = (node.as_str().to_owned(), binding.role.clone());
                voices.push(Voice { belief, by: Decisive { layer: "allow", policy, statement } });
            }
            if settled {
                return true;
            }
        }
        false
    }

    fn role_holds(&self, role: &str, permission: &str) -> Belief {
        match self.roles.get(role).and_then(|role| role.holds(permission)) {
            Some(holds) => holds.into(),
            None => Belief::unknown(role),
        }
    }
}

/// A request, read once.
struct Asked<'a> {
    who: Principal,
    permission: String,
    lineage: Lineage,
    full_name: &'a str,
    context: &'a Context,
}

impl Asked<'_> {
    fn facts(&self) -> Facts<'_> {
        Facts { name: self.lineage.resource().as_str(), full_name: self.full_name, context: self.context }
    }
}

fn texts(value: &Value, name: &str) -> Result<Vec<String>, Malformed> {
    let list = match value.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Malformed::new(name, "must be a list of texts")),
    };
    let mut texts = Vec::with_capacity(list.len());
    for (index, text) in list.iter().enumerate() {
        let Some(text) = text.as_str() else {
            return Err(Malformed::new(format!("{name}[{index}]"), "must be a text"));
        };
        texts.push(text.to_owned());
    }
    Ok(texts)
}

fn condition(value: &Value, name: &str) -> Result<Option<Condition>, Malformed> {
    let expression = match value.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(expression)) => expression,
        Some(condition) => match condition.get("expression") {
            Some(Value::String(expression)) => expression,
            _ => return Err(Malformed::new(format!("{name}.expression"), "missing or no text")),
        },
    };
    Ok(Some(Condition::parse(expression)))
}

/// `policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fp/denypolicies/x` is attached to `projects/p`.
fn attachment(name: &str) -> Option<Node> {
    let point = name.strip_prefix("policies/")?.split("/denypolicies").next()?;
    let decoded = point.replace("%2F", "/").replace("%2f", "/");
    let (_, node) = decoded.split_once('/')?;
    Some(Node::new(node))
}

/// What an item of a Google Cloud export is, by its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A role
    Role,
    /// An allow policy, whose node something else must tell
    AllowPolicy,
    /// `{resource, policy}`, as Cloud Asset Inventory prints it
    AttachedPolicy,
    /// A deny policy
    DenyPolicy,
}

/// Tells what an item of an export is; `None` for anything else, an AWS document included.
#[must_use]
pub fn item(document: &Value) -> Option<Item> {
    let object = document.as_object()?;
    let has = |name: &str| object.contains_key(name);
    let name = object.get("name").and_then(Value::as_str).unwrap_or_default();
    if has("policy") && has("resource") {
        return Some(Item::AttachedPolicy);
    }
    if name.contains("/denypolicies/") || object.get("kind").and_then(Value::as_str) == Some("DenyPolicy") {
        return Some(Item::DenyPolicy);
    }
    if has("includedPermissions") || name.starts_with("roles/") || name.contains("/roles/") {
        return Some(Item::Role);
    }
    let bound = object.get("bindings").is_some_and(Value::is_array);
    // A node without any binding is printed as its `etag` alone.
    (bound || (has("etag") && object.len() <= 2 && !has("Statement"))).then_some(Item::AllowPolicy)
}
