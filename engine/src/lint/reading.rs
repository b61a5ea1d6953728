//! What could not be read, and what reading found odd

use super::{
    LIFECYCLE, Lint, MANIFEST_INVALID, NOT_JUDGED, OVERLAPPING_IDENTITY, POLICY_UNPARSED, UNKNOWN_ACTION,
    UNKNOWN_RESOURCE,
};
use crate::grant::Grants;
use crate::lint::Level;
use crate::manifest::{ManifestError, Manifests, Warning};

pub(super) fn lints(manifests: &Manifests, errors: &[ManifestError], grants: Option<&Grants>) -> Vec<Lint> {
    let mut found: Vec<Lint> = errors.iter().map(fault).collect();
    found.extend(manifests.warnings.iter().filter_map(warning));
    for unparsed in &manifests.unparsed {
        // The reason begins with the manifest's own place; the file is the policy's, as the manifest calls it.
        let (file, line, reason) = placed(&unparsed.reason).unwrap_or((&unparsed.file, 0, &unparsed.reason));
        let message = format!("the policy `{}` cannot be read: {reason}", unparsed.file);
        let mut lint = Lint::new(
            POLICY_UNPARSED,
            file,
            line,
            message,
            "mend or replace it: until then every verdict of this agent in that cloud is unknown",
        );
        lint.agent = Some(unparsed.subject.clone());
        found.push(lint);
    }
    for rule in &manifests.lifecycle {
        let message =
            format!("rule `{}`: {} an identity after {} days", rule.name, rule.action, rule.older_than_days);
        let fix = "see that somebody does it: remit only lists the rule";
        found.push(Lint::new(LIFECYCLE, &rule.file, rule.line, message, fix));
    }
    for unparsed in grants.iter().flat_map(|grants| &grants.unparsed) {
        let message = format!("a policy of `{}` cannot be read: {}", unparsed.subject, unparsed.reason);
        let fix = "export it again, or mend it: until then what it decides is unknown";
        found.push(Lint::new(POLICY_UNPARSED, &unparsed.file, 0, message, fix));
    }
    found
}

/// File, line and the rest of `agents/a.yaml:7: why`.
fn placed(reason: &str) -> Option<(&str, u64, &str)> {
    let (place, rest) = reason.split_once(": ")?;
    let (file, line) = place.rsplit_once(':')?;
    Some((file, line.parse().ok()?, rest))
}

fn fault(error: &ManifestError) -> Lint {
    let ManifestError { file, line, message } = error;
    let (rule, fix) = if message.contains("is in no ResourceCatalog") {
        (UNKNOWN_RESOURCE, "use a name that a ResourceCatalog has, add it to one, or write the ARN")
    } else if message.contains("claim the same identity") {
        (
            OVERLAPPING_IDENTITY,
            "tell the agents apart by `workload`, `source_identity`, `session` or `accounts`, or make them one",
        )
    } else {
        (MANIFEST_INVALID, "mend the manifest; `remit config schema agent` prints its schema")
    };
    Lint::new(rule, file, *line, message.clone(), fix).level(Level::Error)
}

/// What has a rule of its own is told there.
fn warning(warning: &Warning) -> Option<Lint> {
    let Warning { file, line, key, message } = warning;
    let told = matches!(key.as_str(), "spec.expires" | "spec.identities")
        || (key.starts_with("from.") && message.contains("cannot be used"));
    if told {
        return None;
    }
    if key.ends_with(".actions") || key.ends_with(".notActions") || message.contains("matches no permission")
    {
        let fix =
            "write it as the cloud does; one newer than remit's tables can stay, and is judged by its name";
        return Some(Lint::new(UNKNOWN_ACTION, file, *line, message.clone(), fix));
    }
    if message.contains("is in no ResourceCatalog") {
        let fix = "add the name to a ResourceCatalog";
        return Some(Lint::new(UNKNOWN_RESOURCE, file, *line, message.clone(), fix));
    }
    if key == "spec.review" {
        let fix = "review the manifest and set `review.last`";
        return Some(Lint::new(super::REVIEW_OVERDUE, file, *line, message.clone(), fix));
    }
    if key == "rules.condition" {
        let fix = "tag such identities when they are made, and export the account again";
        return Some(Lint::new(NOT_JUDGED, file, *line, format!("`{key}` {message}"), fix));
    }
    if key.starts_with("from.") {
        let fix = "do what it says, or know that the scope stays open there";
        return Some(Lint::new(NOT_JUDGED, file, *line, format!("`{key}` {message}"), fix));
    }
    if key == "approval" || key.starts_with("spec.approvals.") || key.starts_with("spec.assume.") {
        return Some(Lint::new(
            NOT_JUDGED,
            file,
            *line,
            format!("`{key}` {message}"),
            "see that it says what is meant",
        ));
    }
    let fix = "know that it changes no verdict yet";
    Some(Lint::new(NOT_JUDGED, file, *line, format!("`{key}` {message}"), fix))
}
