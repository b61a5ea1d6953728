//! `*` and `?` as AWS reads them, in bounded steps
//!
//! Patterns come from policies and texts from logs; both may be written to cost us time. So: no regular
//! expression, no recursion, and a number of steps after which the answer is "unclear".

/// What one answer may cost. The longest real ARN against the longest real pattern needs a few thousand.
const STEPS_MAX: u32 = 50_000;

/// Whether a pattern matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Match {
    /// It matches, whatever is not known
    Yes,
    /// It does not, whatever is not known
    No,
    /// The resource is known only in part, and that part decides
    Partly,
    /// A policy variable decides: `${aws:username}`
    Variable,
    /// Over the step budget, or a form whose reading AWS does not document
    Unclear,
}

impl Match {
    /// The complement, for `NotAction` and `NotResource`.
    #[must_use]
    pub fn negate(self) -> Match {
        match self {
            Match::Yes => Match::No,
            Match::No => Match::Yes,
            doubt => doubt,
        }
    }

    /// One of several patterns: the first certain yes, else the first doubt.
    #[must_use]
    pub fn or(self, other: Match) -> Match {
        match (self, other) {
            (Match::Yes, _) | (_, Match::Yes) => Match::Yes,
            (Match::No, other) => other,
            (doubt, _) => doubt,
        }
    }
}

/// The resource that a call touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// Exactly this; `*` for a permission that knows no resource
    Exact(&'a str),
    /// Something that this pattern bounds: `arn:aws:s3:::bucket/*`, or `*` where nothing is known
    Within(&'a str),
}

/// A pattern for `service:Action`. Case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionPattern {
    text: Box<str>,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Any,
    Exact,
    Prefix,
    Glob,
}

fn form(text: &str) -> Form {
    if !text.is_empty() && text.bytes().all(|b| b == b'*') {
        return Form::Any;
    }
    match text.bytes().position(|b| b == b'*' || b == b'?') {
        None => Form::Exact,
        Some(at) if at + 1 == text.len() && text.ends_with('*') => Form::Prefix,
        Some(_) => Form::Glob,
    }
}

/// Bytes before the first wildcard.
fn plain(text: &str) -> usize {
    text.bytes().position(|b| b == b'*' || b == b'?').unwrap_or(text.len())
}

impl ActionPattern {
    /// Takes any text; `*` and `?` are wildcards.
    #[must_use]
    pub fn new(text: &str) -> ActionPattern {
        ActionPattern { form: form(text), text: text.into() }
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The service, where the pattern names exactly one.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        let (service, _) = self.text.split_once(':')?;
        (!service.contains(['*', '?'])).then_some(service)
    }

    /// Whether the pattern has no wildcard.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.form == Form::Exact
    }

    /// Whether it matches a permission. Over the step budget is a no for neither side: it is `Unclear`.
    #[must_use]
    pub fn matches(&self, permission: &str) -> Match {
        let (pattern, text) = (self.text.as_bytes(), permission.as_bytes());
        let hit = match self.form {
            Form::Any => true,
            Form::Exact => pattern.eq_ignore_ascii_case(text),
            Form::Prefix => {
                let head = pattern.len().saturating_sub(1);
                match (text.get(..head), pattern.get(..head)) {
                    (Some(start), Some(head)) => start.eq_ignore_ascii_case(head),
                    _ => false,
                }
            }
            Form::Glob => return glob(pattern, text, Case::Fold, Text::Plain),
        };
        if hit { Match::Yes } else { Match::No }
    }
}

impl ActionPattern {
    /// The same pattern over a text whose case matters, such as a session's name.
    #[must_use]
    pub fn matches_exactly(&self, text: &str) -> bool {
        glob(self.text.as_bytes(), text.as_bytes(), Case::Keep, Text::Plain) == Match::Yes
    }
}

/// A pattern for an ARN. Case matters.
///
/// `*` and `?` stay inside one of the six parts; only a `*` that ends a pattern of fewer parts crosses colons
/// (`arn:aws:s3*`). Slashes are ordinary. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArnPattern {
    written: Box<str>,
    /// As written, each `${variable}` replaced by `*`
    text: Box<str>,
    form: Form,
    /// How many bytes stand before the first wildcard: most patterns are refused by these alone
    plain: usize,
    variables: Vec<String>,
}

impl ArnPattern {
    /// A pattern whose `${...}` is plain text, as in policies without version 2012-10-17.
    #[must_use]
    pub fn new(text: &str) -> ArnPattern {
        ArnPattern {
            written: text.into(),
            text: text.into(),
            form: form(text),
            plain: plain(text),
            variables: Vec::new(),
        }
    }

    /// A pattern whose `${...}` stands for what only the request tells.
    #[must_use]
    pub fn with_variables(written: &str) -> ArnPattern {
        let mut text = String::with_capacity(written.len());
        let mut variables = Vec::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else { break };
            text.push_str(before);
            text.push('*');
            variables.push(name.split(',').next().unwrap_or(name).trim().to_owned());
            rest = tail;
        }
        text.push_str(rest);
        ArnPattern {
            written: written.into(),
            form: form(&text),
            plain: plain(&text),
            text: text.into(),
            variables,
        }
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// With each `${variable}` as the `*` that it may stand for.
    pub(crate) fn widest(&self) -> &str {
        &self.text
    }

    /// Whether it is `*`: any resource, and none.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.form == Form::Any && self.variables.is_empty()
    }

    /// The policy variables that it hangs on.
    #[must_use]
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// The service part, where it is plain.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.text.split(':').nth(2).filter(|service| !service.contains(['*', '?']))
    }

    /// Whether it matches what a call touched.
    #[must_use]
    pub fn matches(&self, target: Target<'_>) -> Match {
        let found = match target {
            Target::Exact(arn) => self.exact(arn),
            Target::Within(bound) => self.within(bound),
        };
        match found {
            Match::Yes | Match::Partly if !self.variables.is_empty() => Match::Variable,
            found => found,
        }
    }

    fn exact(&self, arn: &str) -> Match {
        match self.form {
            Form::Any => Match::Yes,
            Form::Exact if *self.text == *arn => Match::Yes,
            Form::Exact => Match::No,
            _ if !arn.as_bytes().starts_with(self.head()) => Match::No,
            _ => by_parts(&self.text, arn, Text::Plain, |pattern, text| {
                glob(pattern, text, Case::Keep, Text::Plain)
            }),
        }
    }

    /// Yes where the pattern covers all that the bound allows, no where they share nothing.
    fn within(&self, bound: &str) -> Match {
        if self.form == Form::Any {
            return Match::Yes;
        }
        if bound == "*" {
            return Match::Partly;
        }
        let shared = plain(bound).min(self.plain);
        if bound.as_bytes().get(..shared) != self.text.as_bytes().get(..shared) {
            return Match::No;
        }
        let covers = |pattern: &[u8], text: &[u8]| glob(pattern, text, Case::Keep, Text::Pattern);
        match by_parts(&self.text, bound, Text::Pattern, covers) {
            Match::Yes => Match::Yes,
            Match::Unclear => Match::Unclear,
            _ => match by_parts(&self.text, bound, Text::Pattern, overlap) {
                Match::Yes => Match::Partly,
                other => other,
            },
        }
    }

    fn head(&self) -> &[u8] {
        self.text.as_bytes().get(..self.plain).unwrap_or_default()
    }

    /// Whether some text is matched by both patterns.
    #[must_use]
    pub fn may_share(&self, other: &str) -> bool {
        self.form == Form::Any
            || other == "*"
            || by_parts(&self.text, other, Text::Pattern, overlap) != Match::No
    }
}

/// Splits both sides at their colons and asks `one` about each pair of parts.
fn by_parts(pattern: &str, text: &str, kind: Text, one: impl Fn(&[u8], &[u8]) -> Match) -> Match {
    let parts = pattern.splitn(6, ':').count();
    if parts < 6 && !pattern.ends_with('*') {
        return Match::No;
    }
    let mut all = Match::Yes;
    let (mut patterns, mut texts) = (pattern.splitn(parts, ':'), text.splitn(parts, ':'));
    for place in 0..parts {
        let (Some(pattern), Some(text)) = (patterns.next(), texts.next()) else { return Match::No };
        let found = one(pattern.as_bytes(), text.as_bytes());
        // AWS takes no wildcard in the service part and does not say what one means there.
        let odd = place == 2 && parts == 6 && pattern.contains(['*', '?']) && kind == Text::Plain;
        match found {
            Match::No => return Match::No,
            Match::Yes if odd => all = Match::Unclear,
            Match::Yes => {}
            doubt => all = doubt,
        }
    }
    all
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Fold,
    Keep,
}

/// Whether the text is plain, or itself a pattern of which every reading must match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Plain,
    Pattern,
}

/// Two pointers and one place to come back to: at most pattern × text steps, and never more than the budget.
fn glob(pattern: &[u8], text: &[u8], case: Case, kind: Text) -> Match {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut steps = 0;
    while t < text.len() {
        steps += 1;
        if steps > STEPS_MAX {
            return Match::Unclear;
        }
        let wanted = pattern.get(p).copied();
        let found = text.get(t).copied().unwrap_or_default();
        if wanted == Some(b'*') {
            star = Some((p, t));
            p += 1;
        } else if wanted.is_some_and(|wanted| one(wanted, found, case, kind)) {
            p += 1;
            t += 1;
            // `?` is one character, which may be several bytes.
            while wanted == Some(b'?') && text.get(t).is_some_and(|b| b & 0xC0 == 0x80) {
                t += 1;
            }
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return Match::No;
        }
    }
    let rest = pattern.get(p..).unwrap_or_default();
    if rest.iter().all(|b| *b == b'*') { Match::Yes } else { Match::No }
}

fn one(wanted: u8, found: u8, case: Case, kind: Text) -> bool {
    // A wildcard of the text stands for many texts: only a wildcard at least as wide takes them all.
    if kind == Text::Pattern && found == b'*' {
        return false;
    }
    match (wanted, case) {
        (b'?', _) => true,
        (wanted, Case::Fold) => wanted.eq_ignore_ascii_case(&found),
        (wanted, Case::Keep) => wanted == found,
    }
}

/// Whether two patterns have a text in common: a table of suffix against suffix, one row kept.
fn overlap(left: &[u8], right: &[u8]) -> Match {
    if left.len().saturating_mul(right.len()) > STEPS_MAX as usize {
        return Match::Unclear;
    }
    let width = right.len();
    // below[j]: left[i+1..] and right[j..] share a text
    let mut below = vec![false; width + 1];
    for i in (0..=left.len()).rev() {
        let mut row = vec![false; width + 1];
        for j in (0..=width).rev() {
            let (a, b) = (left.get(i).copied(), right.get(j).copied());
            let down = below.get(j).copied().unwrap_or(false);
            let along = row.get(j + 1).copied().unwrap_or(false);
            let both = below.get(j + 1).copied().unwrap_or(false);
            let shared = match (a, b) {
                (None, None) => true,
                (Some(b'*'), Some(b'*')) => down || along,
                (Some(b'*'), _) => down || along,
                (_, Some(b'*')) => along || down,
                (Some(a), Some(b)) => (a == b'?' || b == b'?' || a == b) && both,
                (None, Some(_)) | (Some(_), None) => false,
            };
            if let Some(cell) = row.get_mut(j) {
                *cell = shared;
            }
        }
        below = row;
    }
    if below.first() == Some(&true) { Match::Yes } else { Match::No }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arn(pattern: &str, text: &str) -> Match {
        ArnPattern::new(pattern).matches(Target::Exact(text))
    }

    fn within(pattern: &str, bound: &str) -> Match {
        ArnPattern::new(pattern).matches(Target::Within(bound))
    }

    #[test]
    fn actions_ignore_case_and_take_wildcards() {
        let yes = [
            ("s3:getobject", "s3:GetObject"),
            ("S3:Get*", "s3:GetObject"),
            ("s3:Get?bject", "s3:GetObject"),
            ("*", "s3:GetObject"),
            ("*:Delete*", "ec2:DeleteTags"),
        ];
        for (pattern, permission) in yes {
            assert_eq!(ActionPattern::new(pattern).matches(permission), Match::Yes, "{pattern} {permission}");
        }
        let no = [
            ("s3:GetObject", "s3:GetObjectAcl"),
            ("s3:Get?", "s3:GetObject"),
            ("s3:Get*", "s3express:GetObject"),
            ("*:Delete*", "s3:GetDeleted"),
        ];
        for (pattern, permission) in no {
            assert_eq!(ActionPattern::new(pattern).matches(permission), Match::No, "{pattern} {permission}");
        }
    }

    #[test]
    fn a_star_crosses_slashes_but_not_colons() {
        assert_eq!(arn("arn:aws:s3:::acme/*", "arn:aws:s3:::acme/a/b"), Match::Yes);
        assert_eq!(arn("arn:aws:iam::*:role/x", "arn:aws:iam::1:role/x"), Match::Yes);
        assert_eq!(arn("arn:aws:sns:*:1:t", "arn:aws:sns:eu-west-1:2:1:t"), Match::No);
    }

    #[test]
    fn a_star_at_the_end_of_a_short_pattern_crosses_colons() {
        assert_eq!(arn("arn:aws:s3:*", "arn:aws:s3:::acme/a"), Match::Yes);
        assert_eq!(arn("arn:aws:*", "arn:aws:s3:::acme/a"), Match::Yes);
        assert_eq!(arn("arn:aws:s3:::acme*", "arn:aws:s3:::acme-b/x:y"), Match::Yes);
        // near-miss: a short pattern without the star
        assert_eq!(arn("arn:aws:s3", "arn:aws:s3:::acme/a"), Match::No);
        assert_eq!(arn("arn:aws:s3:*", "arn:aws:sns:eu-west-1:1:t"), Match::No);
    }

    #[test]
    fn arns_keep_their_case() {
        assert_eq!(arn("arn:aws:s3:::Acme/*", "arn:aws:s3:::acme/x"), Match::No);
    }

    #[test]
    fn a_wildcard_in_the_service_part_is_unclear() {
        assert_eq!(arn("arn:aws:s?:::acme", "arn:aws:s3:::acme"), Match::Unclear);
        assert_eq!(arn("arn:aws:*:::acme", "arn:aws:s3:::other"), Match::No);
    }

    #[test]
    fn only_a_whole_star_matches_no_resource() {
        assert_eq!(arn("*", "*"), Match::Yes);
        assert_eq!(arn("arn:aws:s3:::*", "*"), Match::No);
    }

    #[test]
    fn a_bound_is_covered_shared_or_foreign() {
        assert_eq!(within("arn:aws:s3:::acme/*", "arn:aws:s3:::acme/*"), Match::Yes);
        assert_eq!(within("arn:aws:s3:::*", "arn:aws:s3:::acme/*"), Match::Yes);
        assert_eq!(within("arn:aws:s3:::acme/drafts/*", "arn:aws:s3:::acme/*"), Match::Partly);
        assert_eq!(within("arn:aws:s3:::other/*", "arn:aws:s3:::acme/*"), Match::No);
        assert_eq!(within("arn:aws:s3:::acme/?", "arn:aws:s3:::acme/*"), Match::Partly);
        assert_eq!(within("arn:aws:s3:::other/*", "*"), Match::Partly);
        assert_eq!(within("*", "*"), Match::Yes);
    }

    #[test]
    fn a_variable_makes_a_possible_match_hang_on_it() {
        let home = ArnPattern::with_variables("arn:aws:s3:::home/${aws:username}/*");
        assert_eq!(home.matches(Target::Exact("arn:aws:s3:::home/ann/x")), Match::Variable);
        assert_eq!(home.matches(Target::Exact("arn:aws:s3:::away/ann/x")), Match::No);
        assert_eq!(home.variables(), ["aws:username"]);
    }

    #[test]
    fn a_question_mark_is_one_character_however_many_bytes() {
        assert_eq!(arn("arn:aws:s3:::b/?", "arn:aws:s3:::b/é"), Match::Yes);
        assert_eq!(arn("arn:aws:s3:::b/?", "arn:aws:s3:::b/éé"), Match::No);
    }

    #[test]
    fn work_made_to_be_slow_ends_unclear() {
        let pattern = format!("arn:aws:s3:::*{}b", "a".repeat(400));
        let text = format!("arn:aws:s3:::{}", "a".repeat(4000));
        assert_eq!(arn(&pattern, &text), Match::Unclear);
    }

    /// Slow and obvious: tries every length for a star.
    fn oracle(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| oracle(rest, &text[n..])),
            Some(('?', rest)) => !text.is_empty() && oracle(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && oracle(rest, &text[1..]),
        }
    }

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    proptest! {
        #[test]
        fn the_fast_matcher_agrees_with_the_obvious_one(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let fast = glob(pattern.as_bytes(), text.as_bytes(), Case::Keep, Text::Plain);
            prop_assert_eq!(fast == Match::Yes, oracle(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn what_covers_a_bound_matches_all_of_it(pattern in "[ab*?]{0,6}", bound in "[ab*?]{0,6}", text in "[ab]{0,7}") {
            let covers = glob(pattern.as_bytes(), bound.as_bytes(), Case::Keep, Text::Pattern) == Match::Yes;
            if covers && oracle(&chars(&bound), &chars(&text)) {
                prop_assert!(oracle(&chars(&pattern), &chars(&text)));
            }
        }

        #[test]
        fn what_shares_nothing_has_no_text_in_common(left in "[ab*?]{0,6}", right in "[ab*?]{0,6}", text in "[ab]{0,7}") {
            if oracle(&chars(&left), &chars(&text)) && oracle(&chars(&right), &chars(&text)) {
                prop_assert_eq!(overlap(left.as_bytes(), right.as_bytes()), Match::Yes);
            }
        }
    }
}
