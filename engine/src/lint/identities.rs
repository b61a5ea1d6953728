//! Whose call is whose: identities that two agents claim, and those that no policy knows

use std::collections::BTreeSet;

use super::{Level, Lint, OVERLAPPING_IDENTITY, UNKNOWN_ROLE};
use crate::grant::Grants;
use crate::manifest::{Agent, Identity, Manifests};
use policy::arn::Arn;
use policy::wildcard::{ArnPattern, Match, Target};

/// Pairs of identities that are compared; thousands of agents with patterns each would take minutes.
const PAIRS_MAX: usize = 2_000_000;

pub(super) fn lints(manifests: &Manifests, grants: Option<&Grants>) -> Vec<Lint> {
    let mut found = overlaps(manifests);
    if let Some(grants) = grants.filter(|grants| !grants.identities().is_empty()) {
        let known = Known::new(grants);
        for agent in &manifests.agents {
            let by_arn = agent.identities.iter().filter(|identity| identity.tag.is_none());
            let mut doubts = by_arn.filter_map(|identity| known.doubt(agent, identity));
            // Forms of one name, of which a role has one: that some of them match nobody is no news.
            if is_one_name(agent) {
                let all = agent.identities.iter().all(|identity| known.doubt(agent, identity).is_some());
                found.extend(doubts.next().filter(|_| all));
            } else {
                found.extend(doubts);
            }
        }
    }
    found
}

/// Whether its identities are forms of one name, in any account.
fn is_one_name(agent: &Agent) -> bool {
    let name = |identity: &Identity| {
        let parts = Arn::parse(&identity.arn).filter(|arn| arn.account == "*");
        parts.map(|arn| arn.name().to_owned())
    };
    let first = agent.identities.first().and_then(name);
    first.is_some() && agent.identities.iter().all(|identity| name(identity) == first)
}

/// Equal claims are errors already; here are those that only share some callers.
fn overlaps(manifests: &Manifests) -> Vec<Lint> {
    // A tag says nothing of the ARN, and any other identity goes before it.
    let all: Vec<(&Agent, &Identity)> = manifests
        .agents
        .iter()
        .flat_map(|agent| agent.identities.iter().map(move |identity| (&**agent, identity)))
        .filter(|(_, identity)| identity.tag.is_none())
        .collect();
    let (patterns, exact): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(_, identity)| identity.arn.contains(['*', '?']));
    let mut pairs = Vec::new();
    // Exact ones only meet their like.
    let mut by_arn: Vec<&(&Agent, &Identity)> = exact.iter().collect();
    by_arn.sort_by_key(|(_, identity)| &identity.arn);
    for group in by_arn.chunk_by(|(_, one), (_, other)| one.arn == other.arn) {
        for (at, one) in group.iter().enumerate() {
            pairs.extend(group.iter().skip(at + 1).take(100).map(|other| (**one, **other)));
        }
    }
    for (at, one) in patterns.iter().enumerate() {
        pairs.extend(patterns.iter().skip(at + 1).chain(&exact).map(|other| (*one, *other)));
        if pairs.len() > PAIRS_MAX {
            break;
        }
    }
    pairs.into_iter().filter_map(|(one, other)| overlap(one, other)).collect()
}

fn overlap((agent, one): (&Agent, &Identity), (rival, other): (&Agent, &Identity)) -> Option<Lint> {
    let is_told = one.arn == other.arn && one.session == other.session && one.signs == other.signs;
    if agent.name == rival.name
        || is_told
        || !one.shares_account(other)
        || !ArnPattern::new(&one.arn).may_share(&other.arn)
    {
        return None;
    }
    let (mine, theirs) = (&one.signs, &other.signs);
    for (mine, theirs) in [
        (&one.session, &other.session),
        (&mine.workload, &theirs.workload),
        (&mine.source_identity, &theirs.source_identity),
        (&mine.client, &theirs.client),
    ] {
        let (Some(mine), Some(theirs)) = (mine, theirs) else { continue };
        // The last part of an ARN is compared as any text would be.
        let as_part = |text: &str| format!("arn:::::{text}");
        if !ArnPattern::new(&as_part(mine)).may_share(&as_part(theirs)) {
            return None;
        }
    }
    let shown = |identity: &Identity| {
        let signs = &identity.signs;
        let asked = [
            ("session", identity.session.as_deref()),
            ("workload", signs.workload.as_deref()),
            ("source identity", signs.source_identity.as_deref()),
            ("client", signs.client.as_deref()),
            ("via", signs.via_mcp.then_some("mcp")),
        ];
        let asked = asked.iter().filter_map(|(word, text)| Some(format!("{word} `{}`", (*text)?)));
        let asked: Vec<String> = asked.collect();
        match asked.as_slice() {
            [] => format!("`{}`", identity.arn),
            some => format!("`{}` with {}", identity.arn, some.join(", ")),
        }
    };
    let (mine, theirs) = (one.rank(), other.rank());
    let winner = match mine.cmp(&theirs) {
        std::cmp::Ordering::Less => &rival.name,
        std::cmp::Ordering::Greater => &agent.name,
        std::cmp::Ordering::Equal => (&agent.name).min(&rival.name),
    };
    let message = format!(
        "{} of `{}` and {} of `{}` ({}:{}) can match one caller; such a call is taken for `{winner}`'s",
        shown(one),
        agent.name,
        shown(other),
        rival.name,
        rival.file,
        rival.line,
    );
    let fix = "tell them apart by `workload`, `source_identity`, `session` or `accounts`, or write one of them in full";
    // A general identity and an exception to it are a known way to write; a draw is not.
    let level = if mine == theirs { Level::Warning } else { Level::Note };
    Some(Lint::of(OVERLAPPING_IDENTITY, agent, 0, message, fix).level(level))
}

/// Whom the policies tell of.
struct Known {
    identities: Vec<String>,
    accounts: BTreeSet<String>,
}

impl Known {
    fn new(grants: &Grants) -> Known {
        let identities = grants.identities();
        let account = |arn: &String| Arn::parse(arn).map(|arn| arn.account.to_owned());
        Known { accounts: identities.iter().filter_map(account).collect(), identities }
    }

    fn doubt(&self, agent: &Agent, identity: &Identity) -> Option<Lint> {
        let pattern = ArnPattern::new(&identity.arn);
        let is_pattern = identity.arn.contains(['*', '?']);
        if self.identities.iter().any(|arn| pattern.matches(Target::Exact(arn)) == Match::Yes) {
            return None;
        }
        // A plain document is granted to a name, whatever the path. An export's ARN has the path, and a call is told by it.
        let name = Arn::parse(&identity.arn).map(|arn| arn.name().to_owned()).unwrap_or_default();
        if self.identities.contains(&name) {
            return None;
        }
        let account = Arn::parse(&identity.arn).map(|arn| arn.account.to_owned()).unwrap_or_default();
        let is_exported = self.accounts.contains(&account)
            || (is_pattern && identity.accounts.iter().any(|one| self.accounts.contains(one)));
        let (message, fix, level) = if is_exported {
            let message =
                format!("the policies of account {account} hold nothing that is `{}`", identity.arn);
            (message, "correct the ARN (its path counts), or take the identity out", Level::Warning)
        } else {
            let message = format!("no policy that we know is of `{}`'s account", identity.arn);
            let fix = "add that account's `aws iam get-account-authorization-details` to the policies folder";
            (message, fix, Level::Note)
        };
        Some(Lint::of(UNKNOWN_ROLE, agent, 0, message, fix).level(level))
    }
}
