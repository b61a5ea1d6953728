//! `spec.approvals`, and `kind: Approval`: what is allowed only inside a window that somebody approved

use std::sync::Arc;
use std::time::Duration;

use super::agent::{Draft, Setting};
use super::entry::grant;
use super::reader::Reader;
use super::yaml::{Entry, Node, Shape};
use crate::scope::{Approval, Kind, Window};
use crate::time::parse_rfc3339;

/// One `kind: Approval`.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) agent: String,
    /// What it opens, as written: `delete: idle_compute`; `None`: the only approval that the agent has
    grant: Option<Vec<String>>,
    window: Window,
    file: String,
    line: u64,
}

/// Reads one `kind: Approval`.
pub(super) fn read(reader: &mut Reader<'_>, document: &Node) -> Option<Granted> {
    let faults = reader.errors.len();
    let (mut agent, mut what, mut start, mut end) = (None, None, None, None);
    let (mut approver, mut ticket) = (None, None);
    for entry in reader.map(document, "Approval", &["apiVersion", "kind", "metadata", "spec"]) {
        if entry.key != "spec" {
            continue;
        }
        let keys = &["agent", "grant", "start", "end", "approver", "ticket"];
        for field in reader.map(&entry.value, "spec", keys) {
            let place = format!("spec.{}", field.key);
            match field.key.as_str() {
                "grant" => what = Some(words(reader, &field.value, &place)),
                "start" | "end" => {
                    let time = moment(reader, &field.value, &place);
                    if field.key == "start" { start = time } else { end = time }
                }
                "agent" => agent = reader.text(&field.value, &place),
                "approver" => approver = reader.text(&field.value, &place),
                _ => ticket = reader.text(&field.value, &place),
            }
        }
    }
    if reader.errors.len() > faults {
        return None;
    }
    let (Some(agent), Some(start), Some(end), Some(approver)) = (agent, start, end, approver) else {
        reader.error(document.line, "an Approval needs `agent`, `start`, `end` and `approver` in its `spec`");
        return None;
    };
    if end <= start {
        reader.error(document.line, "the window ends before it begins: look at `start` and `end`");
        return None;
    }
    let mut origin = format!("{}:{}, {approver}", reader.file, document.line);
    if let Some(ticket) = &ticket {
        origin.push_str(&format!(", {ticket}"));
    }
    let window = Window { start, end, ticket, origin };
    Some(Granted { agent, grant: what, window, file: reader.file.to_owned(), line: document.line })
}

/// `approvals: [{grant, by, ticket, max}]`
pub(super) fn approvals(
    reader: &mut Reader<'_>,
    field: &Entry,
    setting: &Setting<'_>,
    agent: &str,
    draft: &mut Draft,
) {
    let items = reader.list(&field.value, "spec.approvals");
    let alone = items.len() == 1;
    for item in items {
        let (from, from_elsewhere) = (draft.parts.statements.len(), draft.parts.elsewhere.len());
        let (mut what, mut prefix, mut most) = (Vec::new(), None, None);
        for entry in reader.map(item, "spec.approvals", &["grant", "by", "ticket", "max"]) {
            let place = format!("spec.approvals.{}", entry.key);
            match entry.key.as_str() {
                "grant" => {
                    what = words(reader, &entry.value, &place);
                    grant(reader, &entry.value, &place, Kind::Approval, setting, draft);
                }
                "ticket" => prefix = reader.text(&entry.value, &place),
                "max" => most = length(reader, &entry.value, &place),
                _ => {
                    reader.texts(&entry.value, &place);
                }
            }
        }
        let mut windows = Vec::new();
        for granted in setting.approvals.iter().filter(|granted| granted.agent == agent) {
            let meant = granted.grant.as_ref().map_or(alone, |words| *words == what);
            if meant && let Some(window) = fitting(reader, granted, prefix.as_deref(), most) {
                windows.push(window);
            }
        }
        let approval = Arc::new(Approval { ticket: prefix.is_some(), windows });
        for statement in draft.parts.statements.iter_mut().skip(from) {
            statement.approval = Some(approval.clone());
        }
        for entry in draft.parts.elsewhere.iter_mut().skip(from_elsewhere) {
            entry.approval = Some(approval.clone());
        }
    }
}

/// The window, if it is one that the entry takes.
fn fitting(
    reader: &mut Reader<'_>,
    granted: &Granted,
    prefix: Option<&str>,
    most: Option<Duration>,
) -> Option<Window> {
    let mut window = granted.window.clone();
    let place = format!("{}:{}", granted.file, granted.line);
    if let Some(prefix) = prefix
        && !window.ticket.as_ref().is_some_and(|ticket| ticket.starts_with(prefix))
    {
        reader.warn(
            granted.line,
            "spec.approvals.ticket",
            format!("the approval at {place} has no ticket that begins with `{prefix}`, so it opens nothing"),
        );
        return None;
    }
    if let Some(most) = most.and_then(|most| i64::try_from(most.as_micros()).ok())
        && window.end - window.start > most
    {
        window.end = window.start + most;
        reader.warn(
            granted.line,
            "spec.approvals.max",
            format!("the approval at {place} is longer than `max` allows: it ends when that is over"),
        );
    }
    Some(window)
}

/// `delete: idle_compute` of `{delete: idle_compute}`, each verb's names sorted, so that two ways to write it are one.
fn words(reader: &mut Reader<'_>, node: &Node, place: &str) -> Vec<String> {
    let mut words = Vec::new();
    for entry in reader.entries(node, place) {
        if matches!(entry.key.as_str(), "aws" | "azure" | "gcp" | "from") {
            words.push(format!("{}: {}", entry.key, flat(&entry.value, DEEP_MAX)));
            continue;
        }
        words.extend(
            reader
                .texts(&entry.value, &format!("{place}.{}", entry.key))
                .into_iter()
                .map(|(_, name)| format!("{}: {name}", entry.key)),
        );
    }
    words.sort_unstable();
    words
}

/// How deep an entry may be and still be told from another.
const DEEP_MAX: usize = 8;

/// An entry on one line, whatever its layout.
fn flat(node: &Node, deep: usize) -> String {
    if deep == 0 {
        return "...".to_owned();
    }
    match &node.shape {
        Shape::Null => String::new(),
        Shape::Text(text) => text.clone(),
        Shape::List(list) => list.iter().map(|one| flat(one, deep - 1)).collect::<Vec<_>>().join(","),
        Shape::Map(entries) => {
            let mut all: Vec<String> =
                entries.iter().map(|one| format!("{}={}", one.key, flat(&one.value, deep - 1))).collect();
            all.sort_unstable();
            all.join(";")
        }
    }
}

fn length(reader: &mut Reader<'_>, node: &Node, place: &str) -> Option<Duration> {
    let text = reader.text(node, place)?;
    let length = ingest::duration::parse(&text).ok();
    if length.is_none() {
        reader.error(node.line, format!("`{text}` in `{place}` is no length of time. Write it like `2h`"));
    }
    length
}

fn moment(reader: &mut Reader<'_>, node: &Node, place: &str) -> Option<i64> {
    let text = reader.text(node, place)?;
    let time = parse_rfc3339(&text);
    if time.is_none() {
        reader.error(
            node.line,
            format!("`{text}` in `{place}` is no moment. Write it like 2026-11-20T10:00:00Z"),
        );
    }
    time
}

#[cfg(test)]
mod tests {
    use super::super::tests::{CATALOG, ROLE, agent, fault, load};
    use crate::manifest::Manifests;
    use crate::scope::{Reason, Verdict};
    use policy::context::{Context, Fact};

    const TABLE: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/tickets";

    fn approved(approval: &str) -> Manifests {
        let text =
            agent("a", ROLE, "  approvals: [{grant: {delete: tickets}, by: [x], ticket: CHG, max: 2h}]\n");
        load(&[("a.yaml", &text), ("c.yaml", CATALOG), ("approval.yaml", approval)]).unwrap()
    }

    fn window(agent: &str, more: &str) -> String {
        format!(
            "apiVersion: remit/v1\nkind: Approval\nspec: {{agent: {agent}, start: 2026-11-20T10:00:00Z, end: 2026-11-20T11:00:00Z, approver: ann{more}}}\n"
        )
    }

    fn asked(manifests: &Manifests, time: &str, session: &str) -> (Verdict, Reason) {
        let mut context = Context::complete();
        context.set("aws:CurrentTime", Fact::one(time));
        context.set("sts:RoleSessionName", Fact::one(session));
        let scope = &manifests.named("a").unwrap().scope;
        let verdict = scope.verdict("dynamodb:DeleteItem", &[TABLE.to_owned()], true, &context);
        (verdict.verdict, verdict.reason)
    }

    #[test]
    fn a_window_opens_what_it_was_approved_for() {
        let manifests = approved(&window("a", ", ticket: CHG7"));
        assert_eq!(asked(&manifests, "2026-11-20T10:30:00Z", "run-CHG7"), (Verdict::In, Reason::Approved));
        assert_eq!(
            asked(&manifests, "2026-11-20T10:30:00Z", "run-CHG8"),
            (Verdict::Out, Reason::OutsideApproval)
        );
        assert_eq!(
            asked(&manifests, "2026-11-20T11:00:00Z", "run-CHG7"),
            (Verdict::Out, Reason::OutsideApproval)
        );
    }

    #[test]
    fn a_window_for_another_agent_or_another_grant_opens_nothing() {
        let during = |approval: &str| asked(&approved(approval), "2026-11-20T10:30:00Z", "run-CHG7").1;
        assert_eq!(during(&window("b", ", ticket: CHG7")), Reason::OutsideApproval);
        assert_eq!(during(&window("a", ", ticket: CHG7, grant: {read: tickets}")), Reason::OutsideApproval);
        assert_eq!(during(&window("a", ", ticket: CHG7, grant: {delete: [tickets]}")), Reason::Approved);
    }

    #[test]
    fn a_window_without_its_ticket_opens_nothing_and_is_told() {
        let manifests = approved(&window("a", ""));
        assert_eq!(asked(&manifests, "2026-11-20T10:30:00Z", "run-CHG7").1, Reason::OutsideApproval);
        assert!(manifests.warnings.iter().any(|warning| warning.key == "spec.approvals.ticket"));
    }

    #[test]
    fn a_window_ends_when_max_is_over() {
        let long = window("a", ", ticket: CHG7").replace("T11:00:00Z", "T23:00:00Z");
        let manifests = approved(&long);
        assert_eq!(asked(&manifests, "2026-11-20T11:59:00Z", "CHG7").1, Reason::Approved);
        assert_eq!(asked(&manifests, "2026-11-20T12:00:00Z", "CHG7").1, Reason::OutsideApproval);
    }

    #[test]
    fn an_approval_that_cannot_be_read_is_told() {
        let whole = window("a", "");
        let cases = [
            (whole.replace("approver: ann", "aprover: ann"), "unknown key `aprover`"),
            (whole.replace("T10:00:00Z", " at ten"), "is no moment"),
            (whole.replace("T10:00:00Z", "T12:00:00Z"), "the window ends before it begins"),
            (whole.replace(", approver: ann", ""), "an Approval needs"),
        ];
        for (text, expected) in cases {
            let told = fault(&[("approval.yaml", &text)]);
            assert!(told.contains(expected), "{told}");
        }
    }
}
