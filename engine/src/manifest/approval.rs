//! `spec.approvals`, and `kind: Approval`: what is allowed only inside a window that somebody approved

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Warning;
use super::agent::{Draft, Setting};
use super::entry::grant;
use super::reader::{Reader, closest};
use super::yaml::{Entry, Node, Shape};
use crate::scope::{Approval, Kind, Window};
use crate::time::parse_rfc3339;

/// One `kind: Approval`.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    agent: String,
    what: What,
    approver: String,
    window: Window,
    file: String,
    line: u64,
    /// Whether some entry of its agent is what it opens
    met: Cell<bool>,
}

/// Which entry of `spec.approvals` a window opens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// The only one that the agent has
    Only,
    /// The one at this place, from 1
    Place(usize),
    /// The one that grants this, as written: `delete: idle_compute`
    Words(Vec<String>),
}

impl Granted {
    fn warn(&self, key: &str, message: String) -> Warning {
        Warning { file: self.file.clone(), line: self.line, key: key.to_owned(), message }
    }

    /// A word about an approval that opens no entry of any agent. `agents`: the declared ones.
    pub(super) fn unmet(&self, agents: &BTreeMap<String, Vec<String>>) -> Option<Warning> {
        if self.met.get() {
            return None;
        }
        let message = if agents.contains_key(&self.agent) {
            format!(
                "opens nothing: `{}` has no such entry in `spec.approvals`. Write its `grant` as the agent has it, or its place from 1; without `grant` it must be the only one",
                self.agent
            )
        } else {
            let known: Vec<&str> = agents.keys().map(String::as_str).collect();
            let guess = closest(&self.agent, &known).map(|guess| format!(". Did you mean `{guess}`?"));
            format!(
                "opens nothing: `{}` is no agent that is declared here{}",
                self.agent,
                guess.unwrap_or_default()
            )
        };
        Some(self.warn("approval", message))
    }
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
                "grant" => what = Some(entry_meant(reader, &field.value, &place)),
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
    Some(Granted {
        agent,
        what: what.unwrap_or(What::Only),
        approver,
        window,
        file: reader.file.to_owned(),
        line: document.line,
        met: Cell::new(false),
    })
}

/// `grant: 2`, or `grant: {delete: idle_compute}`.
fn entry_meant(reader: &mut Reader<'_>, node: &Node, place: &str) -> What {
    let Shape::Text(text) = &node.shape else { return What::Words(words(reader, node, place)) };
    match text.parse() {
        Ok(at) if at > 0 => What::Place(at),
        _ => {
            let message = format!(
                "`{text}` in `{place}` is no entry: write it as the agent's `approvals` have it, or its place there, from 1"
            );
            reader.error(node.line, message);
            What::Only
        }
    }
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
    for (at, item) in (1..).zip(items) {
        let (from, from_elsewhere) = (draft.parts.statements.len(), draft.parts.elsewhere.len());
        let (mut what, mut prefix, mut most, mut by) = (Vec::new(), None, None, Vec::new());
        for entry in reader.map(item, "spec.approvals", &["grant", "by", "ticket", "max"]) {
            let place = format!("spec.approvals.{}", entry.key);
            match entry.key.as_str() {
                "grant" => {
                    what = words(reader, &entry.value, &place);
                    grant(reader, &entry.value, &place, Kind::Approval, setting, draft);
                }
                "ticket" => prefix = reader.text(&entry.value, &place),
                "max" => most = length(reader, &entry.value, &place),
                _ => by.extend(reader.texts(&entry.value, &place).into_iter().map(|(_, who)| who)),
            }
        }
        let mut windows = Vec::new();
        for granted in setting.approvals.iter().filter(|granted| granted.agent == agent) {
            let meant = match &granted.what {
                What::Only => alone,
                What::Place(place) => *place == at,
                What::Words(words) => *words == what,
            };
            if !meant {
                continue;
            }
            granted.met.set(true);
            match fitting(granted, &by, prefix.as_deref(), most) {
                Ok((window, shortened)) => {
                    windows.push(window);
                    reader.warnings.extend(shortened);
                }
                Err(refused) => reader.warnings.push(refused),
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

/// The window, if it is one that the entry takes, and a word where it is cut short.
fn fitting(
    granted: &Granted,
    by: &[String],
    prefix: Option<&str>,
    most: Option<Duration>,
) -> Result<(Window, Option<Warning>), Warning> {
    let mut window = granted.window.clone();
    let approver = &granted.approver;
    if *approver == granted.agent {
        let message = format!("opens nothing: `{approver}` cannot approve for itself");
        return Err(granted.warn("spec.approvals.by", message));
    }
    // Who is in a group only the company's directory knows; people are known by their addresses.
    if !by.is_empty() && by.iter().all(|one| one.contains('@')) && !by.contains(approver) {
        let message =
            format!("opens nothing: `{approver}` is none of those who may approve it: {}", by.join(", "));
        return Err(granted.warn("spec.approvals.by", message));
    }
    if let Some(prefix) = prefix
        && !window.ticket.as_ref().is_some_and(|ticket| ticket.starts_with(prefix))
    {
        let message = format!("opens nothing: it has no `ticket` that begins with `{prefix}`");
        return Err(granted.warn("spec.approvals.ticket", message));
    }
    let Some(most) = most.and_then(|most| i64::try_from(most.as_micros()).ok()) else {
        return Ok((window, None));
    };
    if window.end.saturating_sub(window.start) <= most {
        return Ok((window, None));
    }
    window.end = window.start.saturating_add(most);
    let message = "is longer than `max` allows: it ends when that is over".to_owned();
    Ok((window, Some(granted.warn("spec.approvals.max", message))))
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
    fn an_approval_that_meets_no_entry_is_told_in_its_own_file() {
        let told = |approval: &str| {
            let warnings = approved(approval).warnings;
            let found = warnings.into_iter().find(|warning| warning.key == "approval");
            found.map(|warning| format!("{}:{}: {}", warning.file, warning.line, warning.message))
        };
        let stranger = told(&window("aa", ", ticket: CHG7")).unwrap();
        assert!(
            stranger.contains("approval.yaml:1: ") && stranger.contains("Did you mean `a`?"),
            "{stranger}"
        );
        let other = told(&window("a", ", ticket: CHG7, grant: {read: tickets}")).unwrap();
        assert!(other.contains("`a` has no such entry"), "{other}");
        assert_eq!(told(&window("a", ", ticket: CHG7")), None);
    }

    #[test]
    fn an_entry_is_meant_by_its_place_too() {
        let text =
            agent("a", ROLE, "  approvals:\n    - grant: {write: tickets}\n    - grant: {delete: tickets}\n");
        let during = |grant: &str| {
            let approval = window("a", grant);
            let files = [("a.yaml", text.as_str()), ("c.yaml", CATALOG), ("approval.yaml", &approval)];
            asked(&load(&files).unwrap(), "2026-11-20T10:30:00Z", "run").1
        };
        assert_eq!(during(", grant: 2"), Reason::Approved);
        assert_eq!(during(", grant: 1"), Reason::OutsideApproval);
        assert_eq!(during(", grant: 3"), Reason::OutsideApproval);
        assert_eq!(during(""), Reason::OutsideApproval, "which of two is not said");
        let zero = fault(&[("approval.yaml", &window("a", ", grant: 0"))]);
        assert!(zero.contains("`0` in `spec.grant` is no entry"), "{zero}");
    }

    #[test]
    fn who_is_not_among_those_who_may_approve_opens_nothing() {
        let during = |by: &str, approver: &str| {
            let text =
                agent("a", ROLE, &format!("  approvals: [{{grant: {{delete: tickets}}, by: [{by}]}}]\n"));
            let approval = window("a", "").replace("approver: ann", &format!("approver: {approver}"));
            let files = [("a.yaml", text.as_str()), ("c.yaml", CATALOG), ("approval.yaml", &approval)];
            asked(&load(&files).unwrap(), "2026-11-20T10:30:00Z", "run").1
        };
        assert_eq!(during("ann@example.com, bob@example.com", "ann@example.com"), Reason::Approved);
        assert_eq!(during("ann@example.com, bob@example.com", "eve@example.com"), Reason::OutsideApproval);
        assert_eq!(
            during("\"group:leads\"", "ann@example.com"),
            Reason::Approved,
            "who is in it is not known"
        );
        assert_eq!(during("\"group:leads\"", "a"), Reason::OutsideApproval, "nobody approves for itself");
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
