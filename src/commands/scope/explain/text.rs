//! The explanation for people.

use super::{Explanation, IdentityAnswer, Told, is_allow, shown_in_log};
use engine::grant::Grant;
use engine::log_text::hides;
use engine::permission;
use engine::scope::{Entry, Reason, Says, Verdict};
use engine::time::{date, day_of};
use policy::aws::Answer;
use policy::wildcard::{ActionPattern, ArnPattern, Match, Target};
use std::fmt::Write;

/// Entries and statements that are listed beside the decisive one.
const LISTED_MAX: usize = 12;
/// Names on one line.
const NAMED_MAX: usize = 4;

/// The page.
pub fn page(of: &Explanation) -> String {
    let mut page = Page::default();
    let on = of.resource.as_deref().unwrap_or("no resource");
    page.line("", &format!("May {} use {} on {on}?", of.agent.name, of.permission));
    page.line("", &answer(of));
    page.gap();
    scope(&mut page, of);
    for identity in &of.identities {
        page.gap();
        grant(&mut page, of, identity);
    }
    if of.identities.is_empty() {
        page.gap();
        page.line(
            "GRANT",
            "no identity of the agent is known: neither its manifest nor a policy names one in full",
        );
    }
    if !of.unasked.is_empty() {
        page.gap();
        page.line(
            "NOTE",
            &format!("nothing here asks for {}: check the spelling", list(&of.unasked, NAMED_MAX)),
        );
    }
    page.text
}

/// The answer in a few sentences.
pub fn answer(of: &Explanation) -> String {
    let broken: Vec<&str> = of.broken.iter().map(|one| one.seen.as_str()).collect();
    match broken.is_empty() {
        true => by_entries(of),
        false => format!("{} It breaks a bound of the manifest: {}.", by_entries(of), broken.join("; ")),
    }
}

fn by_entries(of: &Explanation) -> String {
    let granted = |grant: Grant| of.identities.iter().filter(|one| one.grant.grant == grant).count();
    let (allowed, denied) = (granted(Grant::Allowed), granted(Grant::Denied));
    let could = match (allowed, of.identities.len()) {
        (_, 0) => "what its policies say is not known",
        (0, all) if denied == all => "its policies do not grant it",
        (0, _) => "whether its policies grant it cannot be told",
        (some, all) if some == all => "its policies grant it",
        _ => "the policies of some of its identities grant it",
    };
    match of.scope.verdict {
        Verdict::In if of.scope.reason == Reason::Implicit => {
            "Yes: it needs no permission, or every SDK uses it, so it is in everybody's scope.".to_owned()
        }
        Verdict::In if allowed == 0 && denied > 0 => {
            format!("Yes, but in vain: it is declared, and {could}, so the call would be denied.")
        }
        Verdict::In => format!("Yes: it is declared, and {could}."),
        Verdict::Out => {
            let but = if allowed > 0 { ", yet" } else { ", and" };
            format!("No: {}{but} {could}. {}", why(of), consequence(of, allowed > 0))
        }
        Verdict::Unknown => {
            let missing = list(&of.scope.missing, NAMED_MAX);
            let hangs = if missing.is_empty() { of.scope.reason.to_string() } else { missing };
            format!(
                "It cannot be told: it hangs on {hangs}. No alert says that it was allowed, or that it was not."
            )
        }
    }
}

fn why(of: &Explanation) -> &'static str {
    match of.scope.reason {
        Reason::DeniedByManifest => "the manifest denies it",
        Reason::OtherResource => "the manifest declares the permission on other resources only",
        Reason::OutsideApproval => "it needs an approval, and none is open",
        Reason::UndeclaredHop => "`assume.to` does not name this role",
        Reason::Expired => "the manifest had expired",
        _ => "no entry of the manifest covers it",
    }
}

/// Which finding a call would be.
fn consequence(of: &Explanation, is_granted: bool) -> String {
    let first = match of.scope.reason {
        Reason::OtherResource => "SC04",
        _ => "SC01",
    };
    let destroys = if permission::is_destructive(&of.permission) { " and DS01" } else { "" };
    if is_granted {
        format!("A call would succeed and be a finding ({first}{destroys}).")
    } else {
        format!("A denied try is a finding (SC02); one that succeeds is another ({first}{destroys}).")
    }
}

fn scope(page: &mut Page, of: &Explanation) {
    let verdict = of.scope.verdict;
    page.line("SCOPE", &format!("{verdict}: {}", of.scope.reason));
    let decisive = of.decisive();
    match (&of.scope.statement, decisive) {
        (_, Some(entry)) => {
            page.line("  by", &format!("{}  {}  {}", entry.place(), entry.kind, entry.text));
            let approved = of.scope.statement.as_ref().and_then(|told| told.split_once(", approved by "));
            if let Some((_, window)) = approved {
                page.line("  approved", window);
            }
            for line in because(entry, of) {
                page.line("  because", &line);
            }
        }
        (Some(statement), None) => page.line("  by", statement),
        (None, None) if of.scope.verdict == Verdict::Out => {
            page.line("  by", "no entry: what is not listed is out of scope");
        }
        (None, None) => {}
    }
    for key in &of.scope.missing {
        page.line("  hangs on", &format!("{key}{}", how_to_tell(key)));
    }
    let mut others: Vec<&(Entry, Says)> =
        of.entries.iter().filter(|(entry, _)| Some(entry) != decisive).collect();
    // What came nearest first.
    others.sort_by_key(|(_, says)| match says {
        Says::Meant | Says::Depends(_) => 0,
        Says::OtherResource | Says::ConditionFails => 1,
        Says::OtherKind => 2,
        Says::OtherPermission => 3,
    });
    for (entry, says) in others.iter().take(LISTED_MAX) {
        page.line("  beside", &format!("{}  {}  {}", entry.place(), entry.kind, entry.text));
        page.line("", &format!("  {}", aside(entry, says, of)));
    }
    if others.len() > LISTED_MAX {
        page.line(
            "",
            &format!("and {} more entries, about other permissions or resources", others.len() - LISTED_MAX),
        );
    }
    let manifest = format!("{}:{}", of.agent.file, of.agent.line);
    for (bound, value) in of.agent.bounds.entries() {
        page.line("  bounds", &format!("{bound}: {value}"));
    }
    for broken in &of.broken {
        page.line("  broken", &format!("{}: {}", broken.bound, broken.seen));
    }
    let version = of.version.as_ref().map(|version| format!(", {version}")).unwrap_or_default();
    page.line("  manifest", &format!("{manifest}{version}"));
    let level = match permission::level(&of.permission) {
        Some(level) => format!("graded {} by AWS", level.as_str()),
        None if of.permission.contains(':') => "AWS publishes no permission of this name".to_owned(),
        None => "not graded".to_owned(),
    };
    let danger = if permission::is_destructive(&of.permission) { ", destructive" } else { "" };
    let log = if of.permission.contains(':') {
        format!("; {}", shown_in_log(&of.permission))
    } else {
        String::new()
    };
    page.line("  level", &format!("{level}{danger}{log}"));
}

/// What the words of the deciding entry mean, and how they meet the question.
fn because(entry: &Entry, of: &Explanation) -> Vec<String> {
    let mut lines = vec![meaning(entry, of)];
    let target = Target::Exact(of.resource.as_deref().unwrap_or("*"));
    let matches = |text: &&String| ArnPattern::with_variables(text).matches(target) != Match::No;
    let hit: Vec<&String> = entry.resources.iter().filter(matches).collect();
    let place = entry.name.as_ref().and_then(|name| of.places.get(name));
    let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
    let name = match &entry.name {
        Some(name) => format!("`{name}` means "),
        None => "its resources are ".to_owned(),
    };
    let not = if entry.not_resources { "everything but " } else { "" };
    lines.push(format!("{name}{not}{}{place}", list(&entry.resources, NAMED_MAX)));
    if let (Some(hit), true, false) = (hit.first(), entry.resources.len() > 1, entry.not_resources) {
        lines.push(format!("of these {hit} is the one"));
    }
    lines
}

/// What the entry's verb or actions mean, and where the permission stands in that.
fn meaning(entry: &Entry, of: &Explanation) -> String {
    let permission = &of.permission;
    let Some(verb) = &entry.verb else {
        let hit =
            entry.actions.iter().find(|text| ActionPattern::new(text).matches(permission) == Match::Yes);
        return match (hit, entry.not_actions) {
            (Some(hit), false) if hit.eq_ignore_ascii_case(permission) => format!("it names {permission}"),
            (Some(hit), false) => format!("its `{hit}` means {permission} too"),
            (_, true) => format!("it means everything but {}", list(&entry.actions, NAMED_MAX)),
            (None, false) => format!("it names {}", list(&entry.actions, NAMED_MAX)),
        };
    };
    if entry.actions.iter().any(|action| action == "*") {
        return "`*` means every permission".to_owned();
    }
    let place = of.places.get(&format!("verb {verb}")).map(|place| format!(" ({place})")).unwrap_or_default();
    format!("`{verb}` means {}{place}; {}", words(&entry.actions), stands(entry, permission))
}

/// Access levels and patterns in words.
fn words(actions: &[String]) -> String {
    let (levels, patterns): (Vec<&str>, Vec<&str>) =
        actions.iter().map(String::as_str).partition(|text| text.starts_with("level "));
    let levels: Vec<&str> = levels.iter().map(|text| text.trim_start_matches("level ")).collect();
    match (levels.is_empty(), patterns.is_empty()) {
        (false, true) => format!("what AWS grades {}", levels.join(" or ")),
        (true, _) => format!("what is named like {}", list(&patterns, NAMED_MAX)),
        (false, false) => {
            format!(
                "what AWS grades {}, or is named like {}",
                levels.join(" or "),
                list(&patterns, NAMED_MAX)
            )
        }
    }
}

/// Where the permission stands in a verb's meaning.
fn stands(entry: &Entry, permission: &str) -> String {
    let named = |texts: &[String]| {
        let hit = texts.iter().find(|text| ActionPattern::new(text).matches(permission) == Match::Yes);
        hit.cloned()
    };
    if let Some(pattern) = named(&entry.except) {
        return format!("{permission} is left out as `{pattern}`");
    }
    if let Some(pattern) = named(&entry.actions) {
        return format!("{permission} is one by `{pattern}`");
    }
    match permission::level(permission) {
        Some(level) => format!("{permission} is graded {}", level.as_str()),
        None => format!("{permission} has no grade"),
    }
}

/// Why an entry did not decide.
fn aside(entry: &Entry, says: &Says, of: &Explanation) -> String {
    match says {
        Says::Meant => match (entry.kind, of.scope.verdict) {
            ("deny", _) => "denies it too".to_owned(),
            (_, Verdict::Out) => "would allow it, and a deny comes first".to_owned(),
            _ => "allows it too".to_owned(),
        },
        Says::Depends(keys) => format!("hangs on {}", list(keys, NAMED_MAX)),
        Says::OtherPermission => format!("not about it: {}", meaning(entry, of)),
        Says::OtherKind => {
            format!(
                "none of its resources is of a kind that {} can touch: {}",
                of.permission,
                list(&entry.resources, NAMED_MAX)
            )
        }
        Says::OtherResource => {
            let not = if entry.not_resources { "everything but " } else { "" };
            format!("means the permission, on other resources: {not}{}", list(&entry.resources, NAMED_MAX))
        }
        Says::ConditionFails => format!("its condition does not hold: {}", list(&entry.hangs_on, NAMED_MAX)),
    }
}

fn grant(page: &mut Page, of: &Explanation, one: &IdentityAnswer) {
    page.line("GRANT", &format!("{}: {}", one.grant.grant.as_str(), one.arn));
    page.line("  agent's", &format!("by `{}`", one.matched));
    if let Some(rival) = &one.taken_by {
        page.line("", &format!("its calls are taken for `{rival}`'s, whose identity is the more specific"));
    }
    match &one.decision {
        None if one.grant.why == "no_policies_known" => page.line("  by", "no policy of it is known"),
        None => page.line("  by", &one.grant.why),
        Some(decision) => {
            let by = |layer: &str| -> Vec<String> {
                let of_layer = decision.decisive.iter().filter(|told| told.layer == layer);
                of_layer.map(|told| format!("{}#{}", told.policy, told.statement)).collect()
            };
            let layers: Vec<&str> = decision.decisive.iter().map(|told| told.layer).collect();
            let mut told: Vec<&str> = Vec::new();
            for layer in layers {
                if !told.contains(&layer) {
                    told.push(layer);
                    let does = match decision.effect {
                        Answer::ExplicitlyDenied => "denies",
                        Answer::Allowed => "allows",
                        Answer::ImplicitlyDenied => "allows, which is not enough",
                        Answer::Unknown => "may decide",
                    };
                    page.line("  by", &format!("{layer} policy {} {does}", list(&by(layer), NAMED_MAX)));
                }
            }
            match decision.effect {
                Answer::ImplicitlyDenied => {
                    page.line(
                        "  blocked",
                        &format!("no statement of {} allows it", list(&decision.blocked_by, NAMED_MAX)),
                    );
                }
                Answer::ExplicitlyDenied => {
                    page.line(
                        "  blocked",
                        &format!("an explicit deny of {}", list(&decision.blocked_by, NAMED_MAX)),
                    );
                }
                Answer::Unknown => {
                    for key in &decision.missing_keys {
                        page.line("  hangs on", &format!("{key}{}", how_to_tell(key)));
                    }
                    if decision.missing_keys.is_empty() {
                        page.line("  hangs on", &one.grant.why);
                    }
                }
                Answer::Allowed => {}
            }
        }
    }
    for told in one.statements.iter().take(LISTED_MAX) {
        statement(page, told, of);
    }
    if one.decision.is_some() && one.statements.is_empty() {
        page.line("  statements", &format!("none of its policies mentions {}", of.permission));
    }
    if one.statements.len() > LISTED_MAX {
        page.line("", &format!("and {} more statements about it", one.statements.len() - LISTED_MAX));
    }
    if let Some(used) = &one.used {
        page.line(
            "  used",
            &format!("{} times on {} days, last {}", used.uses, used.days, date(day_of(used.last))),
        );
    }
}

fn statement(page: &mut Page, told: &Told, of: &Explanation) {
    let statement = &told.statement;
    let layer = if statement.boundary { "boundary " } else { "" };
    let hit =
        statement.actions.iter().find(|text| ActionPattern::new(text).matches(&of.permission) != Match::No);
    let action = match (hit, statement.not_action) {
        (_, true) => format!("everything but {}", list(&statement.actions, NAMED_MAX)),
        (Some(hit), _) => hit.clone(),
        (None, _) => String::new(),
    };
    let not = if statement.not_resource { "everything but " } else { "" };
    let effect = if is_allow(statement) { "Allow" } else { "Deny" };
    page.line(
        "  statement",
        &format!(
            "{layer}{}  {effect} {action} on {not}{}{}",
            told.name(),
            list(&statement.resources, NAMED_MAX),
            match told.covers {
                Match::No => "  (not this resource)",
                _ => "",
            },
        ),
    );
    if let Some(condition) = told.condition() {
        let mut shown = condition.to_string();
        if shown.chars().count() > 300 {
            shown = shown.chars().take(300).chain("...".chars()).collect();
        }
        page.line("", &format!("  if {shown}"));
    }
}

/// How a person can say what is not known.
fn how_to_tell(key: &str) -> String {
    let is_key = key.contains(':') && !key.contains(' ');
    if is_key { format!(" (say it with --context {key}=...)") } else { String::new() }
}

fn list<T: AsRef<str>>(names: &[T], shown: usize) -> String {
    let first: Vec<&str> = names.iter().take(shown).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(shown) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[derive(Default)]
struct Page {
    text: String,
    label: String,
}

impl Page {
    /// A label is written once for the lines that follow each other under it.
    fn line(&mut self, label: &str, line: &str) {
        // Names in files, and what was asked, are somebody else's text.
        let line: String = line.chars().map(|c| if hides(c) { '\u{fffd}' } else { c }).collect();
        let is_head = label.is_empty() && self.label.is_empty();
        let shown = if label == self.label { "" } else { label };
        // Writing to a text cannot fail.
        let _ =
            if is_head { writeln!(self.text, "{line}") } else { writeln!(self.text, "{shown:<13}{line}") };
        if !label.is_empty() {
            label.clone_into(&mut self.label);
        }
    }

    fn gap(&mut self) {
        self.text.push('\n');
    }
}
