//! Which permissions an operation needs, by name
//!
//! The names hang on service and operation, and on few questions to the request. Whoever asks often keeps the questions
//! and their answers: see [`Names`].

use std::borrow::Cow;

use ingest::denial::Denial;

use super::facts::Facts;
use super::resource::Part;
use crate::reference::{self, Need, Operation, When};

/// Questions that one look for names asks at most.
const QUESTIONS_MAX: usize = 64;

/// A permission before its resources are known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Named {
    /// `s3:GetObject`
    pub(crate) permission: Cow<'static, str>,
    /// False: the call may have needed it.
    pub(crate) certain: bool,
    /// Which of the call's resources it is about.
    pub(super) parts: Vec<Part>,
    /// What the text of a denial says of it.
    pub(crate) told: Told,
}

/// Whether a denial names a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    /// It does not.
    No,
    /// The operation needs it, and the denial names it.
    Confirmed,
    /// The denial alone names it.
    Alone,
}

/// What naming asks of a call, beside its service and operation. `None` where the log does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// Whether the log shows the request.
    Visible,
    /// Whether the request has a field.
    Field(&'static str),
    /// Whether a row's condition holds.
    Holds(&'static str),
    /// Whether it gives tags.
    Tagged,
    /// Whether it hands a role over.
    Handed,
    /// Whether one of the roles is not its service's own.
    Passed,
}

/// The names for each answer to the questions, remembered for one operation: a tree of questions.
#[derive(Debug, Default)]
pub(crate) struct Names {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy)]
enum Node {
    /// A question, and where its answers lead: not told, no, yes.
    Ask(Question, [Option<u32>; 3]),
    /// The names: a number that the keeper gave them.
    Named(u32),
}

impl Names {
    /// The number of the names of one call, of always the same service and operation. `answer` looks at the call,
    /// `number` numbers names that were not met before.
    pub(crate) fn of(
        &mut self,
        (service, operation): (&str, &str),
        answer: impl Fn(Question) -> Option<bool>,
        number: impl FnOnce(Vec<Named>) -> u32,
    ) -> u32 {
        let mut at = 0;
        loop {
            match self.nodes.get(at) {
                Some(Node::Named(names)) => return *names,
                Some(Node::Ask(question, next)) => {
                    let answer = branch(answer(*question));
                    match next.get(answer).copied().flatten() {
                        Some(next) => at = next as usize,
                        None => break,
                    }
                }
                None => break,
            }
        }
        let mut asked: Vec<(Question, usize)> = Vec::new();
        let named = names(service, operation, &mut |question| {
            let answer = answer(question);
            asked.push((question, branch(answer)));
            answer
        });
        let number = number(named);
        self.learn(&asked, number);
        number
    }

    /// How many questions and answers it remembers.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn learn(&mut self, asked: &[(Question, usize)], number: u32) {
        if asked.len() > QUESTIONS_MAX {
            return;
        }
        let mut at = 0;
        for (question, answer) in asked {
            if at == self.nodes.len() {
                self.nodes.push(Node::Ask(*question, [None; 3]));
            }
            let end = self.nodes.len();
            let Some(Node::Ask(_, next)) = self.nodes.get_mut(at) else { return };
            let Some(next) = next.get_mut(*answer) else { return };
            at = *next.get_or_insert(u32::try_from(end).unwrap_or(u32::MAX)) as usize;
        }
        if at == self.nodes.len() {
            self.nodes.push(Node::Named(number));
        }
    }
}

fn branch(answer: Option<bool>) -> usize {
    match answer {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    }
}

/// Whether the log tells what was called; what it does not tell needs nothing.
pub(crate) fn is_told(service: &str, operation: &str) -> bool {
    !reference::prefix_of(service).is_empty() && !operation.is_empty()
}

/// Whether events of a type need no permission at all: service events, sign-ins, and calls of tools, whose own calls are
/// logged beside them. <https://docs.aws.amazon.com/agent-toolkit/latest/userguide/logging-using-cloudtrail.html>
pub(crate) fn is_free(event_type: Option<&str>) -> bool {
    matches!(
        event_type,
        Some("AwsServiceEvent" | "AwsConsoleSignIn" | "AwsCloudTrailInsight" | "AwsMcpEvent")
    )
}

impl Facts<'_> {
    /// The permissions that the call needed, certain ones first, without their resources.
    pub(crate) fn naming(&self) -> Vec<Named> {
        if is_free(self.call.event_type) {
            return Vec::new();
        }
        let mut found = names(self.call.service, self.call.operation, &mut |question| self.answer(question));
        let is_told = is_told(self.call.service, self.call.operation);
        if let Some(denial) = self.denial().filter(|_| is_told) {
            overrule(&mut found, denial);
        }
        found
    }

    pub(crate) fn answer(&self, question: Question) -> Option<bool> {
        match question {
            Question::Visible => Some(self.is_visible()),
            Question::Field(name) => Some(self.has_field(name)),
            Question::Holds(name) => self.holds(name),
            Question::Tagged => self.is_visible().then(|| self.gives_tags()),
            Question::Handed => self.is_visible().then(|| !self.handed().is_empty()),
            // A service-linked role belongs to its service already.
            Question::Passed => Some(self.handed().iter().any(
                |one| !matches!(one, super::facts::Handed::Role(arn) if arn.contains("/aws-service-role/")),
            )),
        }
    }
}

type Ask<'q> = &'q mut dyn FnMut(Question) -> Option<bool>;

/// The names of an operation's permissions, certain ones first.
fn names(service: &str, operation: &str, ask: Ask<'_>) -> Vec<Named> {
    if !is_told(service, operation) {
        return Vec::new();
    }
    let mut found: Vec<Named> = Vec::new();
    for one in unsorted(reference::prefix_of(service), operation, ask) {
        push(&mut found, one);
    }
    found.sort_by_key(|one| !one.certain);
    found
}

fn unsorted(service: &str, operation: &str, ask: Ask<'_>) -> Vec<Named> {
    let plain = without_date(operation);
    // The older APIs carry their date (`CreateFunction20150331v2`); a name that is known as it stands keeps it.
    for spelled in [operation, plain] {
        if let Some(known) = reference::operation(service, spelled) {
            return of_known(service, spelled, known, ask);
        }
        if spelled == plain {
            break;
        }
    }
    if let Some(name) = own_name(service, operation).or_else(|| own_name(service, plain)) {
        return vec![Named::own(name, true)];
    }
    // Newer than our table: AWS spells most permissions like the operation, save where it is known to rename.
    let certain =
        reference::knows_service(service) && !reference::renames(service) && service != "apigateway";
    vec![Named::own(format!("{service}:{plain}").into(), certain)]
}

fn of_known(service: &str, operation: &str, known: &'static Operation, ask: Ask<'_>) -> Vec<Named> {
    let variant = known
        .variants
        .iter()
        .find(|variant| variant.field.is_none_or(|field| ask(Question::Field(field)) == Some(true)));
    let mut names: Vec<Named> = Vec::new();
    match (variant, &known.renamed) {
        (Some(variant), _) => names.extend(variant.needs.iter().filter_map(|need| of_need(need, ask))),
        (None, Some(renamed)) => names.extend(renamed.iter().filter_map(|need| of_need(need, ask))),
        (None, None) => {
            let own = own_name(service, operation).unwrap_or_else(|| format!("{service}:{operation}").into());
            names.push(Named::own(own, true));
        }
    }
    // A row by hand is the whole of it where we see what it asks of the request, save for tags and roles.
    let is_whole = variant.is_some() && !known.more.is_empty() && ask(Question::Visible) == Some(true);
    let listed = |permission: &str| {
        let by_hand = variant.is_some_and(|one| one.needs.iter().any(|need| &*need.permission == permission));
        by_hand || names.iter().any(|name| name.permission.eq_ignore_ascii_case(permission))
    };
    let more: Vec<Named> = known
        .more
        .iter()
        .filter(|need| !(is_whole && need.when == When::Maybe || listed(&need.permission)))
        .filter_map(|need| of_need(need, ask))
        .collect();
    names.extend(more);
    names
}

/// A permission that the call needs, or may need.
fn of_need(need: &'static Need, ask: Ask<'_>) -> Option<Named> {
    let certain = match need.when {
        When::Maybe if need.permission.ends_with(":CallWithBearerToken") => {
            tells(ask(Question::Holds("@bearer")), true)?
        }
        When::Always => true,
        When::Maybe => false,
        When::Tagged { listed } => tells(ask(Question::Tagged), listed)?,
        When::Passing { listed } => match ask(Question::Handed) {
            Some(true) => listed && ask(Question::Passed) == Some(true),
            Some(false) => return None,
            None => false,
        },
        When::Field { name, absent: true, certain } => match ask(Question::Holds(name)) {
            Some(true) => return None,
            // Not told: most calls do not have it.
            Some(false) | None => certain,
        },
        When::Field { name, absent: false, certain } => tells(ask(Question::Holds(name)), certain)?,
    };
    let part = match need.when {
        _ if need.source => Part::Source,
        When::Tagged { .. } => Part::Created,
        _ if &*need.permission == "ec2:CreateTags" => Part::Created,
        _ => Part::Whole,
    };
    Some(Named { permission: Cow::Borrowed(&need.permission), certain, parts: vec![part], told: Told::No })
}

/// Needed, and how certainly, by a condition that the log may not tell.
fn tells(holds: Option<bool>, certain: bool) -> Option<bool> {
    match holds {
        Some(true) => Some(certain),
        Some(false) => None,
        None => Some(false),
    }
}

impl Named {
    fn own(permission: Cow<'static, str>, certain: bool) -> Named {
        Named { permission, certain, parts: vec![Part::Whole], told: Told::No }
    }
}

/// The permission that is called like the operation, or the verb that API Gateway grants for it.
fn own_name(service: &str, operation: &str) -> Option<Cow<'static, str>> {
    if service == "apigateway"
        && let Some((verb, _)) = reference::gateway(operation)
    {
        return Some(format!("apigateway:{verb}").into());
    }
    reference::permission(&format!("{service}:{operation}")).map(|known| Cow::Borrowed(known.name.as_str()))
}

/// `CreateFunction20150331v2` without `20150331v2`.
pub(super) fn without_date(operation: &str) -> &str {
    let undated = match operation.rsplit_once('v') {
        Some((head, version)) if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => head,
        _ => operation,
    };
    // Lambda's dates have eight digits, CloudFront's look like `2020_05_31`.
    let digits =
        |text: &str, n: usize| text.len() >= n && text.bytes().rev().take(n).all(|b| b.is_ascii_digit());
    if let Some(head) = undated.len().checked_sub(10).and_then(|at| undated.split_at_checked(at))
        && let [year, month, day] = head.1.split('_').collect::<Vec<_>>().as_slice()
        && digits(year, 4)
        && digits(month, 2)
        && digits(day, 2)
    {
        return head.0;
    }
    if digits(undated, 8) {
        return undated.len().checked_sub(8).and_then(|at| undated.get(..at)).unwrap_or(operation);
    }
    operation
}

/// Adds a permission; one that is there already becomes certain if either is, and is about more.
fn push(found: &mut Vec<Named>, one: Named) {
    match found.iter_mut().find(|other| other.permission == one.permission) {
        Some(other) => {
            other.certain |= one.certain;
            other.parts.extend(one.parts);
        }
        None => found.push(one),
    }
}

/// A denial tells the permission that was missing.
pub(crate) fn overrule(found: &mut Vec<Named>, denial: &Denial<'_>) {
    for permission in &denial.permissions {
        let known = reference::permission(permission).map(|known| known.name.as_str());
        let spelled: Cow<'static, str> =
            known.map_or_else(|| Cow::Owned((*permission).to_owned()), Cow::Borrowed);
        match found.iter_mut().find(|one| one.permission.eq_ignore_ascii_case(&spelled)) {
            Some(one) => {
                one.certain = true;
                if one.told == Told::No {
                    one.told = Told::Confirmed;
                }
            }
            None => {
                // A guess at the name was wrong.
                found.retain(|one| one.certain || reference::permission(&one.permission).is_some());
                found.push(Named {
                    permission: spelled,
                    certain: true,
                    parts: vec![Part::Whole],
                    told: Told::Alone,
                });
            }
        }
    }
    found.sort_by_key(|one| !one.certain);
}
