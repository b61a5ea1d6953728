//! From use to a smaller policy: drops what was not used and could have been seen, keeps everything else.
//!
//! The proposal is a subset of what is granted, statement by statement, in the author's own structure.

use crate::grant::{Effect, GrantedStatement};
use crate::posture::{Mark, PermissionPosture, RightSized};
use policy::wildcard::{ActionPattern, Match};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// AWS's limit of a managed policy, in characters other than white space.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const POLICY_CHARACTERS_MAX: usize = 6_144;

/// Below this many days a job of the month's or quarter's end may not have run yet.
const SEASON_DAYS: i64 = 90;

/// Proposes a policy for one identity.
///
/// `rows`: its three-way table, which must hold every permission that the statements grant.
/// `covered_days`: days of log that the table rests on.
#[must_use]
pub fn right_size(
    statements: &[GrantedStatement],
    rows: &[PermissionPosture],
    covered_days: i64,
) -> RightSized {
    let observed: BTreeSet<&str> =
        rows.iter().filter(|r| r.uses > 0).map(|r| service_of(&r.permission)).collect();
    let mut kept = BTreeMap::new();
    let mut removed = BTreeMap::new();
    let mut notes = Vec::new();
    let mut proposed = Vec::new();

    for statement in statements.iter().filter(|s| !s.boundary) {
        if statement.effect == Effect::Deny || statement.not_action || statement.has_condition {
            if statement.effect == Effect::Allow {
                let what = if statement.not_action { "`NotAction`" } else { "a condition" };
                notes.push(format!(
                    "{}#{} is kept whole: it has {what}, and what it gives is not judged action by action",
                    statement.policy, statement.statement
                ));
            }
            proposed.push(statement.raw.clone());
            continue;
        }
        let mut actions = BTreeSet::new();
        for pattern in &statement.actions {
            let granted: Vec<&PermissionPosture> =
                rows.iter().filter(|row| matches(pattern, &row.permission)).collect();
            if granted.is_empty() {
                notes.push(format!("`{pattern}` matches no permission that we know, and is kept as it is"));
                actions.insert(pattern.clone());
                continue;
            }
            let stays: Vec<&&PermissionPosture> =
                granted.iter().filter(|row| keeps(row, pattern, &observed)).collect();
            if stays.len() == granted.len() {
                actions.insert(pattern.clone());
            } else {
                actions.extend(stays.iter().map(|row| row.permission.clone()));
            }
        }
        if actions.is_empty() {
            continue;
        }
        let mut narrowed: Map<String, Value> = statement.raw.as_object().cloned().unwrap_or_default();
        narrowed.insert("Action".to_owned(), json!(actions));
        proposed.push(Value::Object(narrowed));
    }

    for row in rows.iter().filter(|row| row.granted == Some(true)) {
        let stays = statements
            .iter()
            .filter(|s| s.effect == Effect::Allow && !s.boundary)
            .any(|s| still_granted(s, row, &observed));
        let (list, why) = if stays {
            (&mut kept, row.why.clone())
        } else if row.mark == Mark::Unused {
            (&mut removed, row.why.clone())
        } else {
            let why = format!(
                "{}; granted by `*` alone and of a service it was never seen using: check first",
                row.why
            );
            (&mut removed, why)
        };
        list.insert(row.permission.clone(), why);
    }
    if covered_days < SEASON_DAYS {
        notes.insert(
            0,
            format!(
                "rests on {covered_days} days of logs; a job of the quarter's end may not have run yet: \
                 apply it after {SEASON_DAYS} days, or check its calendar first"
            ),
        );
    }
    let policy = json!({ "Version": "2012-10-17", "Statement": proposed });
    let characters = policy.to_string().chars().filter(|c| !c.is_whitespace()).count();
    if characters > POLICY_CHARACTERS_MAX {
        notes.push(format!(
            "{characters} characters: more than the {POLICY_CHARACTERS_MAX} of one managed policy; split it by statement"
        ));
    }
    RightSized { policy, kept, removed, notes }
}

fn keeps(row: &PermissionPosture, pattern: &str, observed: &BTreeSet<&str>) -> bool {
    match row.mark {
        Mark::Unused => false,
        // A bare `*` grants thousands of permissions that no log shows. Those that a call may have needed, those of
        // services that it was seen using, and those that it declares, stay; a pattern that names a service
        // keeps all of them.
        Mark::Unknowable if pattern == "*" => {
            row.declared || row.days_used > 0 || observed.contains(service_of(&row.permission))
        }
        _ => true,
    }
}

fn still_granted(statement: &GrantedStatement, row: &PermissionPosture, observed: &BTreeSet<&str>) -> bool {
    if statement.not_action {
        return !statement.actions.iter().any(|p| matches(p, &row.permission));
    }
    statement.actions.iter().any(|pattern| {
        matches(pattern, &row.permission) && (statement.has_condition || keeps(row, pattern, observed))
    })
}

fn matches(pattern: &str, permission: &str) -> bool {
    ActionPattern::new(pattern).matches(permission) == Match::Yes
}

fn service_of(permission: &str) -> &str {
    permission.split_once(':').map_or(permission, |(service, _)| service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(actions: &[&str], raw: Value) -> GrantedStatement {
        GrantedStatement {
            policy: "p".into(),
            statement: "1".into(),
            effect: if raw["Effect"] == "Deny" { Effect::Deny } else { Effect::Allow },
            actions: actions.iter().map(|a| (*a).to_owned()).collect(),
            not_action: raw.get("NotAction").is_some(),
            resources: vec!["*".into()],
            not_resource: false,
            has_condition: raw.get("Condition").is_some(),
            boundary: false,
            raw,
        }
    }

    fn allow(actions: &[&str]) -> GrantedStatement {
        statement(actions, json!({"Effect": "Allow", "Action": actions, "Resource": "*"}))
    }

    fn row(permission: &str, mark: Mark) -> PermissionPosture {
        PermissionPosture {
            permission: permission.into(),
            level: None,
            declared: false,
            granted: Some(true),
            granted_by: vec![],
            uses: i64::from(mark == Mark::Used),
            days_used: 0,
            first_used: None,
            last_used: None,
            denied: 0,
            mark,
            why: mark.as_str().into(),
        }
    }

    fn actions(sized: &RightSized) -> Vec<String> {
        let mut all = Vec::new();
        for statement in sized.policy["Statement"].as_array().unwrap() {
            all.extend(
                statement["Action"].as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_owned()),
            );
        }
        all
    }

    #[test]
    fn what_was_not_used_goes_and_what_cannot_be_seen_stays() {
        let rows = [
            row("s3:GetObject", Mark::Unknowable),
            row("s3:ListAllMyBuckets", Mark::Used),
            row("s3:DeleteBucket", Mark::Unused),
        ];
        let sized = right_size(&[allow(&["s3:*"])], &rows, 120);
        assert_eq!(actions(&sized), ["s3:GetObject", "s3:ListAllMyBuckets"]);
        assert_eq!(sized.removed.keys().collect::<Vec<_>>(), ["s3:DeleteBucket"]);
        assert!(sized.notes.is_empty(), "{:?}", sized.notes);
    }

    #[test]
    fn a_pattern_of_which_everything_stays_is_left_as_written() {
        let rows = [row("s3:GetObject", Mark::Used), row("s3:GetBucketAcl", Mark::Used)];
        assert_eq!(actions(&right_size(&[allow(&["s3:Get*"])], &rows, 120)), ["s3:Get*"]);
    }

    #[test]
    fn a_bare_star_keeps_the_unseen_of_observed_services_alone() {
        let rows = [
            row("s3:ListAllMyBuckets", Mark::Used),
            row("s3:GetObject", Mark::Unknowable),
            row("sqs:SendMessage", Mark::Unknowable),
        ];
        let sized = right_size(&[allow(&["*"])], &rows, 120);
        assert_eq!(actions(&sized), ["s3:GetObject", "s3:ListAllMyBuckets"]);
        assert!(sized.removed["sqs:SendMessage"].contains("check first"));
        let maybe = PermissionPosture { days_used: 3, ..row("iam:PassRole", Mark::Unknowable) };
        assert_eq!(actions(&right_size(&[allow(&["*"])], &[maybe], 120)), ["*"], "a call may have needed it");
        let named = right_size(&[allow(&["sqs:*"])], &rows[2..], 120);
        assert_eq!(actions(&named), ["sqs:*"], "a pattern that names the service keeps it");
    }

    #[test]
    fn a_deny_and_a_condition_are_never_touched() {
        let deny = statement(&["s3:*"], json!({"Effect": "Deny", "Action": ["s3:*"], "Resource": "*"}));
        let conditional = statement(
            &["s3:DeleteBucket"],
            json!({"Effect": "Allow", "Action": ["s3:DeleteBucket"], "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}),
        );
        let raw = [deny.raw.clone(), conditional.raw.clone()];
        let sized = right_size(&[deny, conditional], &[row("s3:DeleteBucket", Mark::Conditional)], 120);
        assert_eq!(sized.policy["Statement"].as_array().unwrap(), &raw);
        assert!(sized.removed.is_empty());
    }

    #[test]
    fn a_short_history_says_so() {
        let sized = right_size(&[allow(&["s3:*"])], &[row("s3:DeleteBucket", Mark::Unused)], 30);
        assert!(sized.notes[0].starts_with("rests on 30 days"));
        assert_eq!(sized.policy["Statement"], json!([]));
    }
}
