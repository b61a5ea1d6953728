//! A second evaluator: slow, and written from AWS's documentation alone
//!
//! It takes the question of `remit tool decide` as JSON and knows nothing of the crate beside it. What is not known is
//! `None` in an `Option<bool>`.

use serde_json::{Map, Value};

type Known = Option<bool>;

const NO: Known = Some(false);
const YES: Known = Some(true);

fn and(one: Known, other: Known) -> Known {
    if one == NO || other == NO {
        NO
    } else if one == YES && other == YES {
        YES
    } else {
        None
    }
}

fn or(one: Known, other: Known) -> Known {
    if one == YES || other == YES {
        YES
    } else if one == NO && other == NO {
        NO
    } else {
        None
    }
}

fn not(one: Known) -> Known {
    one.map(|one| !one)
}

fn any(all: impl IntoIterator<Item = Known>) -> Known {
    all.into_iter().fold(NO, or)
}

fn every(all: impl IntoIterator<Item = Known>) -> Known {
    all.into_iter().fold(YES, and)
}

/// One value or a list of them.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    }
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).into_iter().filter_map(Value::as_str).collect()
}

// ---------------------------------------------------------------------------------------------------------------------
// Who asks

struct Who<'a> {
    /// The ARN, or the service's name
    name: &'a str,
    kind: &'a str,
    account: Option<&'a str>,
}

fn who(request: &Value) -> Option<Who<'_>> {
    let principal = &request["principal"];
    if let Some(service) = principal["service"].as_str() {
        return Some(Who { name: service, kind: "service", account: None });
    }
    if principal["anonymous"] == true {
        return Some(Who { name: "", kind: "anonymous", account: None });
    }
    let arn = principal.as_str()?;
    let parts: Vec<&str> = arn.split(':').collect();
    let kind = parts[5].split('/').next().unwrap();
    Some(Who { name: arn, kind, account: Some(parts[4]) })
}

impl Who<'_> {
    fn last(&self) -> &str {
        self.name.rsplit('/').next().unwrap()
    }

    /// Name of the role that it is a session of.
    fn role(&self) -> Option<&str> {
        (self.kind == "assumed-role").then(|| self.name.split('/').nth(1).unwrap())
    }

    fn is_service_linked(&self) -> bool {
        self.name.contains("/aws-service-role/")
            || self.role().is_some_and(|role| role.starts_with("AWSServiceRoleFor"))
    }
}

/// How an entry of `Principal` names who asks: directly, as the role of a session, as the account.
#[derive(PartialEq)]
enum How {
    Not,
    Directly,
    Role,
    Account,
}

fn how(kind: &str, entry: &str, who: &Option<Who<'_>>) -> How {
    if kind == "AWS" && entry == "*" {
        return How::Directly;
    }
    let Some(who) = who else { return How::Not };
    if kind == "Service" {
        return if who.kind == "service" && who.name == entry { How::Directly } else { How::Not };
    }
    let Some(account) = who.account else { return How::Not };
    if entry == account || entry == format!("arn:aws:iam::{account}:root") {
        return if who.kind == "root" { How::Directly } else { How::Account };
    }
    if entry == who.name {
        return if who.kind == "role" { How::Role } else { How::Directly };
    }
    // A session belongs to the role of its name in its account, whatever path the role has.
    if let Some(role) = who.role()
        && entry.starts_with(&format!("arn:aws:iam::{account}:role/"))
        && entry.ends_with(&format!("/{role}"))
    {
        return How::Role;
    }
    How::Not
}

/// All that an element of principals names, as (kind, entry).
fn entries(element: &Value) -> Vec<(&str, &str)> {
    match element {
        Value::Object(kinds) => kinds
            .iter()
            .flat_map(|(kind, named)| texts(named).into_iter().map(move |one| (kind.as_str(), one)))
            .collect(),
        everyone => vec![("AWS", everyone.as_str().unwrap())],
    }
}

/// Whether a statement names who asks, in one of three ways.
fn named(statement: &Value, who: &Option<Who<'_>>, bounded: bool) -> (bool, bool, bool) {
    if let Some(excepted) = statement.get("NotPrincipal") {
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html: with a Deny, it hits every
        // principal that has a boundary.
        if statement["Effect"] == "Deny" && bounded {
            return (true, false, false);
        }
        return (!is_excepted(&entries(excepted), who), false, false);
    }
    let Some(element) = statement.get("Principal") else { return (true, false, false) };
    let ways: Vec<How> = entries(element).into_iter().map(|(kind, entry)| how(kind, entry, who)).collect();
    (ways.contains(&How::Directly), ways.contains(&How::Role), ways.contains(&How::Account))
}

/// An account or role in `NotPrincipal` stands for all of its users or sessions only where none of those is listed.
fn is_excepted(list: &[(&str, &str)], who: &Option<Who<'_>>) -> bool {
    let ways: Vec<How> = list.iter().map(|(kind, entry)| how(kind, entry, who)).collect();
    if ways.contains(&How::Directly) {
        return true;
    }
    let Some(who) = who else { return false };
    let account = who.account.unwrap_or_default();
    let session_of = |role: &str| format!("arn:aws:sts::{account}:assumed-role/{role}/");
    if ways.contains(&How::Role) {
        let siblings =
            who.role().is_some_and(|role| list.iter().any(|(_, entry)| entry.starts_with(&session_of(role))));
        if !siblings {
            return true;
        }
    }
    let of_account = |entry: &str| entry.split(':').nth(4) == Some(account) && !entry.ends_with(":root");
    ways.contains(&How::Account) && !list.iter().any(|(_, entry)| of_account(entry))
}

// ---------------------------------------------------------------------------------------------------------------------
// What is known of the request

enum Fact {
    Absent,
    Unknown,
    Values(Vec<String>),
}

fn fact(key: &str, request: &Value, who: &Option<Who<'_>>) -> Fact {
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    for unknown in texts(&request["unknown_keys"]) {
        let family = unknown
            .strip_suffix('*')
            .is_some_and(|family| key.len() > family.len() && same(&key[..family.len()], family));
        let given = request["context"].as_object().into_iter().flatten().any(|(given, _)| same(given, key));
        if same(unknown, key) || family && !given {
            return Fact::Unknown;
        }
    }
    for (given, value) in request["context"].as_object().into_iter().flatten() {
        if same(given, key) {
            return Fact::Values(texts(value).into_iter().map(str::to_owned).collect());
        }
    }
    let derived = match (key.to_ascii_lowercase().as_str(), who) {
        ("aws:resourceaccount", _) => owner(request).map(str::to_owned),
        ("aws:username", Some(who)) if who.kind == "user" => Some(who.last().to_owned()),
        ("aws:principalaccount", Some(who)) => who.account.map(str::to_owned),
        ("aws:principalarn", Some(who)) => match (who.role(), who.account) {
            (Some(role), Some(account)) => Some(format!("arn:aws:iam::{account}:role/{role}")),
            (None, Some(_)) => Some(who.name.to_owned()),
            _ => None,
        },
        _ => None,
    };
    derived.map_or(Fact::Absent, |value| Fact::Values(vec![value]))
}

/// Whose the resource is.
fn owner(request: &Value) -> Option<&str> {
    let told = request["resource"]["account"].as_str();
    told.or_else(|| arn(request).split(':').nth(4).filter(|account| !account.is_empty()))
}

fn arn(request: &Value) -> &str {
    request["resource"]["arn"].as_str().unwrap()
}

// ---------------------------------------------------------------------------------------------------------------------
// Matching

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.first() {
        None => text.is_empty(),
        Some(b'*') => glob(&pattern[1..], text) || !text.is_empty() && glob(pattern, &text[1..]),
        Some(b'?') => !text.is_empty() && glob(&pattern[1..], &text[1..]),
        Some(byte) => text.first() == Some(byte) && glob(&pattern[1..], &text[1..]),
    }
}

fn action_matches(pattern: &str, action: &str) -> bool {
    glob(pattern.to_ascii_lowercase().as_bytes(), action.to_ascii_lowercase().as_bytes())
}

/// Six parts, each by itself.
fn arn_matches(pattern: &str, arn: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (patterns, parts): (Vec<&str>, Vec<&str>) =
        (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == 6
        && parts.len() == 6
        && patterns.iter().zip(&parts).all(|(pattern, part)| glob(pattern.as_bytes(), part.as_bytes()))
}

/// The pattern with its one variable filled in: `Err` where it has no value, `None` where that is not known.
fn filled(pattern: &str, request: &Value, who: &Option<Who<'_>>) -> Result<Option<String>, ()> {
    let Some((head, rest)) = pattern.split_once("${") else { return Ok(Some(pattern.to_owned())) };
    let (inside, tail) = rest.split_once('}').unwrap();
    let (key, default) = match inside.split_once(',') {
        Some((key, default)) => (key, Some(default.trim().trim_matches('\'').to_owned())),
        None => (inside, None),
    };
    match fact(key, request, who) {
        Fact::Unknown => Ok(None),
        Fact::Values(values) if values.len() == 1 => Ok(Some(format!("{head}{}{tail}", values[0]))),
        Fact::Values(values) if values.len() > 1 => Err(()),
        _ => default.map(|default| Some(format!("{head}{default}{tail}"))).ok_or(()),
    }
}

fn resource_matches(statement: &Value, versioned: bool, request: &Value, who: &Option<Who<'_>>) -> Known {
    let (element, negated) = match (statement.get("Resource"), statement.get("NotResource")) {
        (Some(element), _) => (element, false),
        (_, Some(element)) => (element, true),
        // A trust policy has none.
        _ => return YES,
    };
    let mut found = NO;
    let (mut void, mut open) = (false, false);
    for pattern in texts(element) {
        if !versioned {
            found = or(found, Some(arn_matches(pattern, arn(request))));
            continue;
        }
        let one = match filled(pattern, request, who) {
            Err(()) => {
                void = true;
                NO
            }
            Ok(Some(pattern)) => Some(arn_matches(&pattern, arn(request))),
            Ok(None) => {
                open = true;
                // Any value at all must fit for it to be possible.
                let (head, rest) = pattern.split_once("${").unwrap();
                let widest = format!("{head}*{}", rest.split_once('}').unwrap().1);
                if arn_matches(&widest, arn(request)) { None } else { NO }
            }
        };
        found = or(found, one);
    }
    match (negated, void) {
        (false, _) => found,
        // A variable without a value: the statement means nothing.
        (true, true) => NO,
        // It may turn out to have none.
        (true, false) if open && found == NO => None,
        (true, false) => not(found),
    }
}

fn condition_holds(statement: &Value, request: &Value, who: &Option<Who<'_>>) -> Known {
    let empty = Map::new();
    let operators = statement.get("Condition").and_then(Value::as_object).unwrap_or(&empty);
    every(operators.iter().flat_map(|(operator, keys)| {
        keys.as_object()
            .unwrap()
            .iter()
            .map(move |(key, values)| one_holds(operator, key, &texts(values), request, who))
    }))
}

fn one_holds(operator: &str, key: &str, wanted: &[&str], request: &Value, who: &Option<Who<'_>>) -> Known {
    let fact = fact(key, request, who);
    if operator == "Null" {
        let absent = match fact {
            Fact::Unknown => return None,
            Fact::Absent => true,
            Fact::Values(values) => values.is_empty(),
        };
        return Some(wanted.contains(&if absent { "true" } else { "false" }));
    }
    let (for_all, rest) =
        operator.strip_prefix("ForAllValues:").map_or((false, operator), |rest| (true, rest));
    let (for_any, rest) = rest.strip_prefix("ForAnyValue:").map_or((false, rest), |rest| (true, rest));
    let (lenient, base) = rest.strip_suffix("IfExists").map_or((false, rest), |base| (true, base));
    let negated = base.contains("Not");
    let values = match fact {
        Fact::Unknown => return None,
        Fact::Values(values) if !values.is_empty() => values,
        _ if for_all => return YES,
        _ if for_any => return NO,
        _ => return Some(lenient || negated),
    };
    let meets = |value: &String| {
        wanted.iter().any(|wanted| match base {
            "StringEquals" | "StringNotEquals" => wanted == value,
            "StringLike" | "StringNotLike" => glob(wanted.as_bytes(), value.as_bytes()),
            "Bool" => wanted.eq_ignore_ascii_case(value),
            "ArnLike" => arn_matches(wanted, value),
            other => panic!("the oracle does not know {other}"),
        })
    };
    Some(if for_all {
        values.iter().all(|value| meets(value) != negated)
    } else if for_any {
        values.iter().any(|value| meets(value) != negated)
    } else {
        values.iter().any(meets) != negated
    })
}

/// Whether a statement speaks of the request, whoever asks.
fn speaks(policy: &Value, statement: &Value, request: &Value, who: &Option<Who<'_>>) -> Known {
    let action = request["action"].as_str().unwrap();
    let action = match (statement.get("Action"), statement.get("NotAction")) {
        (Some(element), _) => texts(element).into_iter().any(|pattern| action_matches(pattern, action)),
        (_, element) => !texts(element.unwrap()).into_iter().any(|pattern| action_matches(pattern, action)),
    };
    if !action {
        return NO;
    }
    let versioned = policy["Version"] == "2012-10-17";
    and(resource_matches(statement, versioned, request, who), condition_holds(statement, request, who))
}

// ---------------------------------------------------------------------------------------------------------------------
// Weighing

/// What a list of policies says: a Deny, and an Allow to who asks directly, by role, by account.
struct Said {
    deny: Known,
    directly: Known,
    role: Known,
    account: Known,
}

impl Said {
    fn allow(&self) -> Known {
        any([self.directly, self.role, self.account])
    }
}

fn said<'a>(
    policies: impl IntoIterator<Item = &'a Value>,
    request: &Value,
    who: &Option<Who<'_>>,
    bounded: bool,
) -> Said {
    let mut said = Said { deny: NO, directly: NO, role: NO, account: NO };
    for policy in policies {
        for statement in list(&policy["Statement"]) {
            let speaks = speaks(policy, statement, request, who);
            let (directly, role, account) = named(statement, who, bounded);
            if statement["Effect"] == "Deny" {
                said.deny = or(said.deny, and(speaks, Some(directly || role || account)));
            } else {
                said.directly = or(said.directly, and(speaks, Some(directly)));
                said.role = or(said.role, and(speaks, Some(role)));
                said.account = or(said.account, and(speaks, Some(account)));
            }
        }
    }
    said
}

/// The answer of `remit tool decide` by the documentation.
pub fn decide(question: &Value) -> &'static str {
    let request = &question["request"];
    let action = request["action"].as_str().unwrap();
    if action.eq_ignore_ascii_case("sts:GetCallerIdentity") {
        return "Allowed";
    }
    let who = who(request);
    let kind = who.as_ref().map_or("user", |who| who.kind);
    let has_identity = kind != "service" && kind != "anonymous";
    let is_root = kind == "root";
    let linked = who.as_ref().is_some_and(Who::is_service_linked);
    let ask = |key: &str| list(&question[key]);
    let bounded = has_identity && !is_root && !ask("boundaries").is_empty();
    let said = |policies: Vec<&Value>| said(policies, request, &who, bounded);

    let mut denies = Vec::new();
    let mut gates = Vec::new();
    if has_identity && !linked {
        for level in ask("scps") {
            let level = said(list(level));
            denies.push(level.deny);
            gates.push(level.allow());
        }
    }
    if !linked {
        for level in ask("rcps") {
            let policies = list(level);
            // RCPFullAWSAccess stands at every level; only who writes Allows of his own is taken at his word.
            let own = policies
                .iter()
                .flat_map(|policy| list(&policy["Statement"]))
                .any(|one| one["Effect"] == "Allow");
            let level = said(policies);
            denies.push(level.deny);
            gates.push(if own { level.allow() } else { YES });
        }
    }
    let endpoint = said(ask("endpoint_policies"));
    denies.push(endpoint.deny);
    gates.push(if ask("endpoint_policies").is_empty() { YES } else { endpoint.allow() });

    let resource = said(list(&question["resource_policy"]));
    denies.push(resource.deny);

    let (mut identity, mut boundary, mut session) = (YES, YES, YES);
    if has_identity && !is_root {
        let held = said(ask("identity_policies"));
        denies.push(held.deny);
        identity = held.allow();
        for (key, limit) in [("boundaries", &mut boundary), ("session_policies", &mut session)] {
            let limiting = said(ask(key));
            denies.push(limiting.deny);
            if !ask(key).is_empty() {
                *limit = limiting.allow();
            }
        }
    }
    let limits = and(boundary, session);
    let granted = if !has_identity {
        resource.allow()
    } else if who
        .as_ref()
        .and_then(|who| who.account)
        .zip(owner(request))
        .is_some_and(|(own, other)| own != other)
    {
        // Both accounts must grant; the boundary limits the identity's side whatever the resource says.
        every([identity, limits, resource.allow()])
    } else if speaks_for_itself(action, arn(request)) {
        let handed_on = every([resource.account, identity, limits]);
        any([resource.directly, and(resource.role, limits), handed_on])
    } else {
        or(resource.directly, and(or(identity, resource.role), limits))
    };

    let denied = any(denies);
    let allowed = and(granted, every(gates));
    match (denied, allowed) {
        (Some(true), _) => "ExplicitlyDenied",
        (_, Some(false)) => "ImplicitlyDenied",
        (Some(false), Some(true)) => "Allowed",
        _ => "Unknown",
    }
}

/// KMS keys and roles: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html>
fn speaks_for_itself(action: &str, arn: &str) -> bool {
    let key = action.starts_with("kms:") && arn.contains(":kms:") && arn.contains(":key/");
    key || action.starts_with("sts:AssumeRole") && arn.contains(":role/")
}
