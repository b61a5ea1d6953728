//! What surrounds the entries of a scope: bounds, hops and expected denials

use std::collections::BTreeSet;
use std::time::Duration;

use super::agent::{Draft, Setting};
use super::entry::grant;
use super::reader::Reader;
use super::yaml::{Entry, Node, Shape};
use super::{Agent, Assume};
use crate::scope::{Bounds, HOPS, Hours, Kind, Network, Statement};
use policy::aws::{Actions, Resources};
use policy::wildcard::{ActionPattern, ArnPattern};

/// `bounds: {regions, hours, networks, session_max, rate}`
pub(super) fn bounds(reader: &mut Reader<'_>, node: &Node) -> Bounds {
    let mut bounds = Bounds::default();
    for entry in reader.map(node, "spec.bounds", &["regions", "hours", "networks", "session_max", "rate"]) {
        let place = format!("spec.bounds.{}", entry.key);
        if entry.key == "rate" {
            bounds.calls_per_minute = rate(reader, entry);
            continue;
        }
        for (line, text) in reader.texts(&entry.value, &place) {
            let fault = match entry.key.as_str() {
                "regions" => {
                    bounds.regions.push(text);
                    None
                }
                "hours" => Hours::parse(&text).map(|hours| bounds.hours.push(hours)).err(),
                "networks" => Network::parse(&text).map(|network| bounds.networks.push(network)).err(),
                _ => session_max(&text).map(|most| bounds.session_max = Some(most)).err(),
            };
            if let Some(fault) = fault {
                reader.error(line, format!("`{place}`: {fault}"));
            }
        }
    }
    bounds
}

fn session_max(text: &str) -> Result<Duration, String> {
    ingest::duration::parse(text)
        .map_err(|_| format!("`{text}` is no length of time. Write it like `1h` or `30m`"))
}

fn rate(reader: &mut Reader<'_>, entry: &Entry) -> Option<u32> {
    let mut most = None;
    for field in reader.map(&entry.value, "spec.bounds.rate", &["calls_per_minute"]) {
        let Some(text) = reader.text(&field.value, "spec.bounds.rate.calls_per_minute") else { continue };
        most = text.parse().ok();
        if most.is_none() {
            reader.error(
                field.value.line,
                format!("`{text}` in `spec.bounds.rate.calls_per_minute` is no number. Write it like 300"),
            );
        }
    }
    // Calls arrive in parts and late, so a count of one part says nothing about a minute.
    reader.warn(entry.line, "spec.bounds.rate", "is shown and not judged: no call is a finding for it");
    most
}

/// `assume: {from: [...], to: [...]}`: which agent, role or service may become this one, and which it may become.
pub(super) fn assume(
    reader: &mut Reader<'_>,
    field: &Entry,
    setting: &Setting<'_>,
    agent: &mut Agent,
    draft: &mut Draft,
) {
    let mut assume = Assume::default();
    for entry in reader.map(&field.value, "spec.assume", &["from", "to"]) {
        let place = format!("spec.assume.{}", entry.key);
        let listed = if matches!(&entry.value.shape, Shape::List(list) if list.is_empty()) {
            Vec::new()
        } else {
            reader.texts(&entry.value, &place)
        };
        let mut patterns = Vec::new();
        for (line, text) in listed {
            match who(reader, line, &text, &place, setting, &agent.name) {
                Some(found) if entry.key == "to" => {
                    let origin = format!("{}:{line} assume to: {text}", reader.file);
                    let actions = HOPS.iter().map(|hop| ActionPattern::new(hop)).collect();
                    let grants = crate::scope::Grants::Named(Actions { not: false, patterns: actions });
                    let roles = found.iter().map(|arn| ArnPattern::new(arn)).collect();
                    let resources = Resources { not: false, patterns: roles };
                    draft.parts.statements.push(Statement::new(Kind::Allow, grants, resources, origin));
                    patterns.extend(found);
                }
                Some(found) => patterns.extend(found),
                None => {}
            }
        }
        let slot = if entry.key == "to" { &mut assume.to } else { &mut assume.from };
        *slot = Some(patterns);
    }
    draft.parts.hops = assume.to.is_some();
    agent.assume = assume;
}

/// The ARN patterns behind an entry: itself, a service, the identities of an agent, or the role or user of a name.
fn who(
    reader: &mut Reader<'_>,
    line: u64,
    text: &str,
    place: &str,
    setting: &Setting<'_>,
    agent: &str,
) -> Option<Vec<String>> {
    if text == "*" || text.starts_with("arn:") || text.contains(".amazonaws.com") {
        return Some(vec![text.to_owned()]);
    }
    if let Some(identities) = setting.identities.get(text) {
        return Some(identities.clone());
    }
    let known: Vec<&str> = setting.identities.keys().map(String::as_str).collect();
    let guess = super::reader::closest(text, &known).map(|guess| format!(" Did you mean `{guess}`?"));
    let guess = guess.unwrap_or_default();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    // A name in an account of somebody else is nobody's that the manifest means.
    let accounts: BTreeSet<&str> = setting
        .identities
        .get(agent)
        .into_iter()
        .flatten()
        .filter_map(|arn| arn.split(':').nth(4))
        .filter(|account| !account.contains(['*', '?']))
        .collect();
    if !plain || accounts.is_empty() {
        let message = format!(
            "`{text}` is no agent that is declared here, no ARN and no service, so nothing matches it.{guess}"
        );
        reader.warn(line, place.to_owned(), message);
        return None;
    }
    let message = format!(
        "`{text}` is no agent that is declared here: the role or user of this name in the agent's own accounts is meant.{guess}"
    );
    reader.warn(line, place.to_owned(), message);
    let forms = ["role/", "role/*/", "user/", "user/*/"];
    let named = |account: &str| forms.map(|form| format!("arn:*:iam::{account}:{form}{text}"));
    Some(accounts.into_iter().flat_map(named).collect())
}

/// `expected_denials: [{aws: {actions: [...]}}]`: what the agent asks for and knows to be refused.
pub(super) fn expected_denials(
    reader: &mut Reader<'_>,
    node: &Node,
    setting: &Setting<'_>,
    draft: &mut Draft,
) {
    let mut expected = Draft::default();
    for item in reader.list(node, "spec.expected_denials") {
        grant(reader, item, "spec.expected_denials", Kind::ExpectedDenial, setting, &mut expected);
    }
    draft.parts.expected.extend(expected.parts.statements);
    draft.parts.elsewhere.extend(expected.parts.elsewhere);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{CATALOG, ROLE, agent, fault, load};
    use crate::manifest::Caller;
    use crate::scope::{Bound, BoundFacts, Reason, Verdict};
    use policy::context::{Context, Fact};

    fn with(rest: &str) -> String {
        agent("a", ROLE, &format!("  allow: [{{aws: {{actions: [\"s3:GetObject\"]}}}}]\n{rest}"))
    }

    #[test]
    fn bounds_are_judged_apart_from_the_scope() {
        let text = with(
            "  bounds: {regions: [eu-west-1], hours: \"06:00-22:00\", networks: [10.0.0.0/8, vpce-1], session_max: 1h}\n",
        );
        let manifests = load(&[("a.yaml", &text)]).unwrap();
        let bounded = manifests.named("a").unwrap();
        let verdict = bounded.scope.verdict("s3:GetObject", &[], true, &Context::partial());
        assert_eq!((verdict.verdict, verdict.reason), (Verdict::In, Reason::Declared));
        let facts = BoundFacts {
            time: crate::time::parse_rfc3339("2026-11-20T12:00:00Z").unwrap(),
            service: "s3.amazonaws.com",
            operation: "GetObject",
            region: Some("eu-west-1"),
            source_ip: Some("10.1.2.3"),
            session_started: crate::time::parse_rfc3339("2026-11-20T11:30:00Z"),
            ..BoundFacts::default()
        };
        assert_eq!(bounded.bounds.broken(&facts), []);
        let broken = |facts: BoundFacts<'_>| bounded.bounds.broken(&facts).first().map(|one| one.bound);
        assert_eq!(broken(BoundFacts { region: Some("us-east-1"), ..facts }), Some(Bound::Regions));
        assert_eq!(broken(BoundFacts { source_ip: Some("192.0.2.1"), ..facts }), Some(Bound::Networks));
        let through = BoundFacts { source_ip: Some("192.0.2.1"), vpc_endpoint: Some("vpce-1"), ..facts };
        assert_eq!(broken(through), None);
    }

    #[test]
    fn a_bound_that_cannot_be_read_is_told_with_its_line() {
        let cases = [
            ("  bounds: {hours: noon}\n", "a.yaml:7: `spec.bounds.hours`: `noon` is no span of hours"),
            (
                "  bounds: {networks: [10.0.0.1/8]}\n",
                "a.yaml:7: `spec.bounds.networks`: `10.0.0.1/8` has bits set",
            ),
            (
                "  bounds: {session_max: long}\n",
                "a.yaml:7: `spec.bounds.session_max`: `long` is no length of time",
            ),
            (
                "  bounds: {rate: {calls_per_minute: many}}\n",
                "a.yaml:7: `many` in `spec.bounds.rate.calls_per_minute`",
            ),
        ];
        for (rest, expected) in cases {
            let told = fault(&[("a.yaml", &with(rest))]);
            assert!(told.starts_with(expected), "{told}\n  is not\n{expected}");
        }
    }

    #[test]
    fn hops_are_to_what_is_listed_and_to_nothing_else() {
        let other = agent("other", "arn:aws:iam::111122223333:role/other", "");
        let text =
            with("  assume: {from: [ecs-tasks.amazonaws.com], to: [other, \"arn:aws:iam::2:role/x\"]}\n");
        let manifests = load(&[("a.yaml", &text), ("b.yaml", &other)]).unwrap();
        let hop = |role: &str| {
            let scope = &manifests.named("a").unwrap().scope;
            let verdict = scope.verdict("sts:AssumeRole", &[role.to_owned()], true, &Context::partial());
            (verdict.verdict, verdict.reason)
        };
        assert_eq!(hop("arn:aws:iam::111122223333:role/other"), (Verdict::In, Reason::Declared));
        assert_eq!(hop("arn:aws:iam::2:role/x"), (Verdict::In, Reason::Declared));
        assert_eq!(hop("arn:aws:iam::2:role/y"), (Verdict::Out, Reason::UndeclaredHop));
        let assume = &manifests.named("a").unwrap().assume;
        assert_eq!(assume.from.as_deref(), Some(&["ecs-tasks.amazonaws.com".to_owned()][..]));
        // near-miss: an agent that says nothing of hops
        assert_eq!(manifests.named("other").unwrap().assume.to, None);
    }

    #[test]
    fn a_name_that_is_no_agents_is_a_role_of_the_same_account() {
        let other = agent("other", "arn:aws:iam::111122223333:role/other", "");
        let text = with("  assume: {to: [othr]}\n");
        let manifests = load(&[("a.yaml", &text), ("b.yaml", &other)]).unwrap();
        let warning = manifests.warnings.iter().find(|warning| warning.key == "spec.assume.to").unwrap();
        assert!(warning.message.contains("Did you mean `other`?"), "{}", warning.message);
        let hop = |role: &str| {
            let scope = &manifests.named("a").unwrap().scope;
            scope.verdict("sts:AssumeRole", &[role.to_owned()], true, &Context::partial()).verdict
        };
        assert_eq!(hop("arn:aws:iam::111122223333:role/othr"), Verdict::In);
        assert_eq!(hop("arn:aws:iam::111122223333:role/team/othr"), Verdict::In);
        // near-misses: another account's, another name, and the agent that was perhaps meant
        assert_eq!(hop("arn:aws:iam::999999999999:role/othr"), Verdict::Out);
        assert_eq!(hop("arn:aws:iam::111122223333:role/not-othr"), Verdict::Out);
        assert_eq!(hop("arn:aws:iam::111122223333:role/other"), Verdict::Out);
    }

    #[test]
    fn an_agent_is_meant_in_its_own_accounts_only() {
        let other = "apiVersion: remit/v1\nkind: Agent\nmetadata: {name: other}\nspec:\n  identities:\n    - aws.role: \"arn:aws:iam::*:role/other\"\n      accounts: [\"444455556666\"]\n";
        let manifests = load(&[("a.yaml", &with("  assume: {from: [other]}\n")), ("b.yaml", other)]).unwrap();
        let from = manifests.named("a").unwrap().assume.from.clone();
        assert_eq!(from, Some(vec!["arn:aws:iam::444455556666:role/other".to_owned()]));
    }

    #[test]
    fn whoever_begins_a_session_under_another_name_takes_the_agents_role_all_the_same() {
        let text = format!(
            "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: a}}\nspec:\n  identities: [{{aws.role: \"{ROLE}\", session: \"run-*\"}}]\n"
        );
        let manifests = load(&[("a.yaml", &text)]).unwrap();
        let taken = |session| manifests.agent_of_role(ROLE, session).map(|agent| agent.name.as_str());
        assert_eq!([taken(Some("run-1")), taken(Some("eve")), taken(None)], [Some("a"); 3]);
        // near-misses: a call of such a session is not the agent's, and another role is nobody's
        let call = Caller { actor: ROLE, session_name: Some("eve"), ..Caller::default() };
        assert!(manifests.agent(&call).is_none());
        assert!(manifests.agent_of_role("arn:aws:iam::111122223333:role/x", None).is_none());
    }

    #[test]
    fn what_is_expected_to_be_refused_is_no_allowance() {
        let text = with("  expected_denials: [{aws: {actions: [\"iam:List*\"]}}, {read: tickets}]\n");
        let manifests = load(&[("a.yaml", &text), ("c.yaml", CATALOG)]).unwrap();
        let scope = &manifests.named("a").unwrap().scope;
        assert!(scope.expects_denial("iam:ListUsers", &[], true, &Context::partial()));
        assert!(!scope.expects_denial("iam:CreateUser", &[], true, &Context::partial()));
        assert_eq!(scope.verdict("iam:ListUsers", &[], true, &Context::partial()).verdict, Verdict::Out);
        assert!(manifests.agent(&Caller { actor: ROLE, ..Caller::default() }).is_some());
    }

    #[test]
    fn conditions_and_via_of_an_entry_are_judged() {
        let text = agent(
            "a",
            ROLE,
            "  allow:\n    - aws:\n        actions: [\"s3:GetObject\"]\n        conditions: {IpAddress: {\"aws:SourceIp\": 10.0.0.0/8}}\n    - aws: {actions: [\"kms:Decrypt\"], via: dynamodb}\n",
        );
        let manifests = load(&[("a.yaml", &text)]).unwrap();
        let scope = &manifests.named("a").unwrap().scope;
        let asked = |permission: &str, key: &str, value: &str| {
            let mut context = Context::partial();
            context.set(key, Fact::one(value));
            scope.verdict(permission, &[], true, &context).verdict
        };
        assert_eq!(asked("s3:GetObject", "aws:SourceIp", "10.9.9.9"), Verdict::In);
        assert_eq!(asked("s3:GetObject", "aws:SourceIp", "192.0.2.1"), Verdict::Out);
        assert_eq!(asked("s3:GetObject", "aws:UserAgent", "x"), Verdict::Unknown);
        assert_eq!(asked("kms:Decrypt", "aws:CalledVia", "dynamodb.amazonaws.com"), Verdict::In);
        assert_eq!(asked("kms:Decrypt", "aws:ViaAWSService", "false"), Verdict::Out);
        let bad =
            agent("a", ROLE, "  allow: [{aws: {actions: [\"s3:*\"], conditions: {StringLik: {k: v}}}}]\n");
        assert!(fault(&[("a.yaml", &bad)]).contains("`aws.conditions.StringLik"));
    }
}
