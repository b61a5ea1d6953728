//! Entries about Azure and GCP: operations and permissions by pattern, on kinds of things or on places

use std::fmt;
use std::sync::Arc;

use super::approval::Approval;
use super::verdict::{Doubt, Reason, Said};
use super::{Kind, Scope, ScopeVerdict, Verdict};
use policy::context::Context;
use policy::truth::Truth;
use policy::wildcard::{ActionPattern, Match};

/// A cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// Amazon's
    Aws,
    /// Microsoft's
    Azure,
    /// Google's
    Gcp,
}

impl Cloud {
    /// `aws`, `azure`, `gcp`: as events name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Cloud::Aws => "aws",
            Cloud::Azure => "azure",
            Cloud::Gcp => "gcp",
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Azure tells managing a thing from using what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plane {
    /// `actions`
    Control,
    /// `dataActions`
    Data,
}

/// One entry about a cloud other than AWS.
#[derive(Debug, Clone)]
pub(crate) struct Elsewhere {
    pub(crate) kind: Kind,
    pub(crate) cloud: Cloud,
    /// Any of them
    pub(crate) operations: Vec<Operations>,
    /// Any of them; none: on anything
    pub(crate) things: Vec<Thing>,
    pub(crate) approval: Option<Arc<Approval>>,
    pub(crate) unjudged: Vec<String>,
    pub(crate) origin: String,
}

/// Operations less some others, as a role has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Operations {
    /// `None`: on both planes
    pub(crate) plane: Option<Plane>,
    pub(crate) any: Vec<ActionPattern>,
    pub(crate) except: Vec<ActionPattern>,
}

impl Operations {
    pub(crate) fn new(plane: Option<Plane>, any: &[String], except: &[String]) -> Operations {
        let patterns = |texts: &[String]| texts.iter().map(|text| ActionPattern::new(text)).collect();
        Operations { plane, any: patterns(any), except: patterns(except) }
    }

    fn matches(&self, operation: &str, plane: Option<Plane>) -> Match {
        if self.plane.zip(plane).is_some_and(|(ours, theirs)| ours != theirs) {
            return Match::No;
        }
        let of = |patterns: &[ActionPattern]| {
            patterns.iter().fold(Match::No, |found, pattern| found.or(pattern.matches(operation)))
        };
        match (of(&self.any), of(&self.except)) {
            (Match::No, _) | (_, Match::Yes) => Match::No,
            (found, Match::No) => found,
            (_, doubt) => doubt,
        }
    }
}

/// What an entry is about.
#[derive(Debug, Clone)]
pub(crate) enum Thing {
    /// A resource type, as an operation begins with it: `Microsoft.Compute/virtualMachines`, `compute.instances`
    Type {
        pattern: ActionPattern,
        /// Types below it are meant as well
        below: bool,
    },
    /// A scope or resource name and all below it: `/subscriptions/8d0f...`, `projects/acme-ops`
    Place(String),
}

impl Thing {
    fn matches(&self, cloud: Cloud, operation: &str, place: Option<&str>) -> Match {
        match (self, cloud) {
            (Thing::Type { pattern, below }, _) => {
                let kind = type_of(cloud, operation);
                let mut found = pattern.matches(kind);
                if *below && cloud == Cloud::Azure {
                    let inner = ActionPattern::new(&format!("{}/*", pattern.as_str()));
                    found = found.or(inner.matches(kind));
                }
                found
            }
            (Thing::Place(known), _) => match place {
                None => Match::Partly,
                Some(place) => within(cloud, known, place),
            },
        }
    }
}

/// The type of what an operation is done to: `Microsoft.Compute/virtualMachines` of
/// `Microsoft.Compute/virtualMachines/start/action`, `compute.instances` of `compute.instances.delete`.
fn type_of(cloud: Cloud, operation: &str) -> &str {
    let parent = |text: &'_ str, by: char| text.rfind(by);
    if cloud == Cloud::Gcp {
        return parent(operation, '.').and_then(|at| operation.get(..at)).unwrap_or(operation);
    }
    let Some((head, last)) = operation.rsplit_once('/') else { return operation };
    if last.eq_ignore_ascii_case("action") {
        head.rsplit_once('/').map_or(head, |(kind, _)| kind)
    } else {
        head
    }
}

/// Whether a place lies in another. Where a project's name and number, or a bucket without its project, meet, it cannot
/// be told.
fn within(cloud: Cloud, outer: &str, inner: &str) -> Match {
    let tidy = |text: &'_ str| -> String {
        let text = text.trim_end_matches('/');
        match (cloud, text.strip_prefix("//").and_then(|text| text.split_once('/'))) {
            (Cloud::Gcp, Some((_, name))) => name.to_owned(),
            _ => text.to_owned(),
        }
    };
    let (outer, inner) = (tidy(outer), tidy(inner));
    if outer.is_empty() || outer == "*" {
        return Match::Yes;
    }
    let found = ActionPattern::new(&outer)
        .matches(&inner)
        .or(ActionPattern::new(&format!("{outer}/*")).matches(&inner));
    if found != Match::No || cloud == Cloud::Azure {
        return found;
    }
    let project = |text: &'_ str| {
        text.strip_prefix("projects/").and_then(|rest| rest.split('/').next()).map(str::to_owned)
    };
    let numeric = |text: &str| text == "_" || text.bytes().all(|b| b.is_ascii_digit());
    match (project(&outer), project(&inner)) {
        (Some(ours), Some(theirs)) if ours != theirs && (numeric(&ours) != numeric(&theirs)) => Match::Partly,
        (None, Some(_)) if outer.starts_with("folders/") || outer.starts_with("organizations/") => {
            Match::Partly
        }
        _ => Match::No,
    }
}

/// What was asked of a cloud other than AWS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) cloud: Cloud,
    pub(super) operation: &'a str,
    pub(super) plane: Option<Plane>,
    pub(super) place: Option<&'a str>,
    pub(super) context: &'a Context,
}

impl Elsewhere {
    pub(super) fn covers(&self, asked: &Asked<'_>) -> Match {
        let about = |found: Match, one: &Operations| found.or(one.matches(asked.operation, asked.plane));
        self.operations.iter().fold(Match::No, about)
    }

    /// Whether it means the thing, whatever the time.
    fn means(&self, asked: &Asked<'_>) -> Said {
        let about = self.covers(asked);
        let on = match &self.things[..] {
            [] => Match::Yes,
            things => things.iter().fold(Match::No, |found, thing| {
                found.or(thing.matches(asked.cloud, asked.operation, asked.place))
            }),
        };
        match (about, on) {
            (Match::No, _) | (_, Match::No) => Said::No,
            _ if !self.unjudged.is_empty() => {
                Said::Doubt(Doubt { reason: Reason::ConditionNotJudged, keys: self.unjudged.clone() })
            }
            (Match::Yes, Match::Yes) => Said::Yes,
            (Match::Yes, Match::Partly) => {
                Said::Doubt(Doubt { reason: Reason::ResourceNotLogged, keys: vec!["resource".to_owned()] })
            }
            _ => Said::Doubt(Doubt { reason: Reason::TooComplex, keys: Vec::new() }),
        }
    }

    pub(super) fn says(&self, asked: &Asked<'_>) -> Said {
        let said = self.means(asked);
        let Some(approval) = self.approval.as_ref().filter(|_| !matches!(said, Said::No)) else {
            return said;
        };
        match approval.open(asked.context) {
            (Truth::False, _) => Said::No,
            (Truth::True, _) => said,
            (Truth::Unknown, keys) => Said::Doubt(Doubt { reason: Reason::ConditionNotJudged, keys }),
        }
    }

    /// Whether every operation that it grants only reads, by its last word.
    pub(super) fn grants_only_reading(&self) -> bool {
        let reads = |pattern: &ActionPattern| {
            let last = pattern.as_str().rsplit(['/', '.']).next().unwrap_or_default().to_ascii_lowercase();
            last == "read" || last.starts_with("get") || last.starts_with("list")
        };
        self.operations.iter().all(|one| one.any.iter().all(reads))
    }
}

impl Scope {
    /// The verdict on one operation in Azure. `scope`: the resource's id, where the log names it. `context`: the keys
    /// that approvals ask for, by AWS's names (`aws:CurrentTime`).
    #[must_use]
    pub fn verdict_azure(
        &self,
        operation: &str,
        plane: Plane,
        scope: Option<&str>,
        context: &Context,
    ) -> ScopeVerdict {
        let cloud = Cloud::Azure;
        self.elsewhere(&Asked { cloud, operation, plane: Some(plane), place: scope, context })
    }

    /// The verdict on one permission in GCP, on a resource as `authorizationInfo` names it.
    #[must_use]
    pub fn verdict_gcp(&self, permission: &str, resource: Option<&str>, context: &Context) -> ScopeVerdict {
        self.elsewhere(&Asked {
            cloud: Cloud::Gcp,
            operation: permission,
            plane: None,
            place: resource,
            context,
        })
    }

    fn elsewhere(&self, asked: &Asked<'_>) -> ScopeVerdict {
        let verdict = self.undated_elsewhere(asked);
        self.unless_expired(verdict, asked.context)
    }

    /// `deny`, then what is allowed, in the order of AWS's.
    fn undated_elsewhere(&self, asked: &Asked<'_>) -> ScopeVerdict {
        let unparsed = self.named(&self.parts.unparsed, asked.cloud);
        if !unparsed.is_empty() {
            return ScopeVerdict::new(Verdict::Unknown, Reason::PolicyUnparsed).hanging_on(unparsed);
        }
        let ours = || self.parts.elsewhere.iter().filter(|entry| entry.cloud == asked.cloud);
        let mut forbidden: Option<(&Elsewhere, Doubt)> = None;
        for entry in ours().filter(|entry| entry.kind == Kind::Deny) {
            match entry.says(asked) {
                Said::Yes => {
                    return ScopeVerdict::new(Verdict::Out, Reason::DeniedByManifest).by(&entry.origin);
                }
                Said::No => {}
                Said::Doubt(doubt) => forbidden = forbidden.or(Some((entry, doubt))),
            }
        }
        let mut allowed: Option<&Elsewhere> = None;
        let mut doubtful: Option<(&Elsewhere, Doubt)> = None;
        for kind in [Kind::Approval, Kind::Allow] {
            for entry in ours().filter(|entry| entry.kind == kind) {
                match entry.says(asked) {
                    Said::Yes => allowed = allowed.or(Some(entry)),
                    Said::No => {}
                    Said::Doubt(doubt) => doubtful = doubtful.or(Some((entry, doubt))),
                }
            }
        }
        // A doubtful allow is no matter where another allows; a doubtful deny is.
        let doubt = match allowed {
            Some(_) => forbidden,
            None => doubtful,
        };
        match (allowed, doubt) {
            (_, Some((entry, doubt))) => {
                ScopeVerdict::new(Verdict::Unknown, doubt.reason).by(&entry.origin).hanging_on(doubt.keys)
            }
            (Some(entry), None) => {
                let reason = if entry.kind == Kind::Approval { Reason::Approved } else { Reason::Declared };
                ScopeVerdict::new(Verdict::In, reason).by(&entry.origin)
            }
            (None, None) => self.outside_elsewhere(asked),
        }
    }

    fn outside_elsewhere(&self, asked: &Asked<'_>) -> ScopeVerdict {
        let unread = self.named(&self.parts.unread, asked.cloud);
        if !unread.is_empty() {
            return ScopeVerdict::new(Verdict::Unknown, Reason::PolicyUnparsed).hanging_on(unread);
        }
        let mut granting =
            self.parts.elsewhere.iter().filter(|entry| {
                entry.cloud == asked.cloud && matches!(entry.kind, Kind::Allow | Kind::Approval)
            });
        let closed = granting
            .clone()
            .find(|entry| entry.kind == Kind::Approval && !matches!(entry.means(asked), Said::No));
        if let Some(entry) = closed {
            return ScopeVerdict::new(Verdict::Out, Reason::OutsideApproval).by(&entry.origin);
        }
        match granting.find(|entry| entry.covers(asked) != Match::No) {
            Some(entry) => ScopeVerdict::new(Verdict::Out, Reason::OtherResource).by(&entry.origin),
            None => ScopeVerdict::new(Verdict::Out, Reason::NotDeclared),
        }
    }
}
