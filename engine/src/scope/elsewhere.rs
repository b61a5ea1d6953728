//! Entries about Azure and GCP: operations and permissions by pattern, on kinds of things or on places

mod thing;

use std::borrow::Cow;
use std::sync::Arc;

use super::approval::Approval;
use super::verdict::{Doubt, Reason, Said};
use super::{Entry, Kind, Says, Scope, ScopeVerdict, Verdict};
use crate::cloud::Cloud;
use policy::context::Context;
use policy::truth::Truth;
use policy::wildcard::{ActionPattern, Match};

pub use policy::azure::Plane;
pub(crate) use thing::Thing;

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
            patterns.iter().fold(Match::No, |found, pattern| found.or(matches(pattern, operation)))
        };
        match (of(&self.any), of(&self.except)) {
            (Match::No, _) | (_, Match::Yes) => Match::No,
            (found, Match::No) => found,
            (_, doubt) => doubt,
        }
    }
}

/// Whether a pattern means an operation. `*.set*` is about the last word of a permission in GCP: a `*` would take the
/// dots of `monitoring.settings.get` as well.
fn matches(pattern: &ActionPattern, operation: &str) -> Match {
    let found = pattern.matches(operation);
    let word = pattern.as_str().strip_prefix("*.").filter(|word| !word.contains('.'));
    let Some(start) = word.and_then(|word| word.strip_suffix('*')).filter(|_| found == Match::Yes) else {
        return found;
    };
    let last = operation.rsplit('.').next().unwrap_or_default();
    let head = last.get(..start.len());
    // Another wildcard inside the word is left to the pattern.
    if start.contains(['*', '?']) || head.is_some_and(|head| head.eq_ignore_ascii_case(start)) {
        return Match::Yes;
    }
    Match::No
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

impl<'a> Asked<'a> {
    fn new(
        cloud: Cloud,
        operation: &'a str,
        plane: Option<Plane>,
        place: Option<&'a str>,
        context: &'a Context,
    ) -> Asked<'a> {
        Asked { cloud, operation, plane, place: place.filter(|place| !place.is_empty()), context }
    }
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
        match (approval.open(asked.context), said) {
            ((Truth::False, _), _) => Said::No,
            ((Truth::True, _), said) => said,
            ((Truth::Unknown, keys), Said::Doubt(mut doubt)) => {
                doubt.keys.extend(keys);
                Said::Doubt(doubt)
            }
            ((Truth::Unknown, keys), _) => Said::Doubt(Doubt { reason: Reason::ConditionNotJudged, keys }),
        }
    }

    /// What it says by itself, for one who wants to know why.
    fn told(&self, asked: &Asked<'_>) -> Says {
        if self.cloud != asked.cloud || self.covers(asked) == Match::No {
            return Says::OtherPermission;
        }
        match self.says(asked) {
            Said::Yes => Says::Meant,
            Said::Doubt(doubt) => Says::Depends(doubt.keys),
            Said::No if matches!(self.means(asked), Said::No) => Says::OtherResource,
            Said::No => Says::ConditionFails,
        }
    }

    /// What decided: the entry, and the approval that opened it.
    fn decided(&self, context: &Context) -> Cow<'_, str> {
        match self.approval.as_ref().and_then(|approval| approval.opened(context)) {
            Some(window) => Cow::Owned(format!("{}, approved by {}", self.origin, window.origin)),
            None => Cow::Borrowed(&self.origin),
        }
    }

    /// Whether every operation that it grants only reads, by its last word.
    pub(super) fn grants_only_reading(&self) -> bool {
        self.operations.iter().all(|one| one.any.iter().all(|pattern| is_reading(pattern.as_str())))
    }
}

/// Words that only read begin like this, in Azure and in GCP.
const READING: &[&str] = &["read", "get", "list", "search", "aggregatedlist"];
/// Whoever gets one of these may do what it opens.
const HANDS_OUT: &[&str] = &["getaccesstoken", "getopenidtoken", "getcredentials", "getsecret"];

fn is_reading(pattern: &str) -> bool {
    let last = pattern.rsplit(['/', '.']).next().unwrap_or_default().to_ascii_lowercase();
    READING.iter().any(|word| last.starts_with(word)) && !HANDS_OUT.contains(&last.as_str())
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
        self.verdict_elsewhere(Cloud::Azure, operation, Some(plane), scope, context)
    }

    /// The verdict on one permission in GCP, on a resource as `authorizationInfo` names it.
    #[must_use]
    pub fn verdict_gcp(&self, permission: &str, resource: Option<&str>, context: &Context) -> ScopeVerdict {
        self.verdict_elsewhere(Cloud::Gcp, permission, None, resource, context)
    }

    /// The verdict on one operation in any cloud. `plane`: Azure's, where it is known which; `place`: the scope or the
    /// resource's name, where the log names it.
    #[must_use]
    pub fn verdict_elsewhere(
        &self,
        cloud: Cloud,
        operation: &str,
        plane: Option<Plane>,
        place: Option<&str>,
        context: &Context,
    ) -> ScopeVerdict {
        if cloud == Cloud::Aws {
            let resources: Vec<String> = place.into_iter().map(str::to_owned).collect();
            return self.verdict(operation, &resources, !resources.is_empty(), context);
        }
        self.elsewhere(&Asked::new(cloud, operation, plane, place, context))
    }

    /// Whether a call in Azure or GCP that was denied is one that the manifest expects to be.
    #[must_use]
    pub fn expects_denial_elsewhere(
        &self,
        cloud: Cloud,
        operation: &str,
        plane: Option<Plane>,
        place: Option<&str>,
        context: &Context,
    ) -> bool {
        let asked = Asked::new(cloud, operation, plane, place, context);
        let mut expected = self.parts.elsewhere.iter().filter(|entry| entry.kind == Kind::ExpectedDenial);
        expected.any(|entry| entry.cloud == cloud && matches!(entry.says(&asked), Said::Yes))
    }

    /// What each entry about a cloud other than AWS by itself says to an operation.
    #[must_use]
    pub fn considered_elsewhere(
        &self,
        cloud: Cloud,
        operation: &str,
        plane: Option<Plane>,
        place: Option<&str>,
        context: &Context,
    ) -> Vec<(Entry, Says)> {
        let asked = Asked::new(cloud, operation, plane, place, context);
        let ours = self.parts.elsewhere.iter().filter(|entry| entry.cloud == cloud);
        ours.map(|entry| (Entry::elsewhere(entry), entry.told(&asked))).collect()
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
                ScopeVerdict::new(Verdict::In, reason).by(entry.decided(asked.context))
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

#[cfg(test)]
mod tests;
