//! The resources that a permission was used on, as few patterns that match all of them

use std::collections::{BTreeMap, BTreeSet};

use policy::wildcard::{ArnPattern, Match, Target};

/// Resources that are named one by one; of more, a common beginning stands for all.
const NAMED_MAX: usize = 8;
/// Resources that are kept while reading; of more, only their patterns are.
const KEPT_MAX: usize = 2_000;

/// Where a permission was used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    exact: BTreeSet<String>,
    /// Patterns that bound what the log leaves out, or that stand for what was not kept
    bounds: BTreeSet<String>,
    /// Distinct resources that are kept as patterns only
    folded: u64,
    unknown: bool,
    nothing: bool,
}

impl Places {
    /// Takes one call's resources in. `known` as in [`Needed`](crate::permission::Needed).
    pub(super) fn add(&mut self, resources: &[String], known: bool) {
        if resources.is_empty() {
            *(if known { &mut self.nothing } else { &mut self.unknown }) = true;
        }
        for resource in resources {
            match resource.as_str() {
                "*" => self.unknown = true,
                // A manifest judges no other form.
                other if !is_whole(other) => self.unknown = true,
                other if known && plain_length(other) == other.len() => {
                    self.exact.insert(other.to_owned());
                }
                // A caller may call his object `a*b`: as a pattern that would mean others.
                other if known => {
                    let head = other.get(..plain_length(other)).unwrap_or_default();
                    self.bounds.insert(format!("{head}*"));
                }
                other => {
                    self.bounds.insert(other.to_owned());
                }
            }
        }
        if self.exact.len() > KEPT_MAX {
            self.folded += self.exact.len() as u64;
            let folded = common(&std::mem::take(&mut self.exact));
            self.bounds.extend(folded);
        }
        if self.bounds.len() > KEPT_MAX {
            self.bounds = common(&std::mem::take(&mut self.bounds)).into_iter().collect();
        }
    }

    /// Whether some call's resources are not in the log.
    pub(super) fn is_unknown(&self) -> bool {
        self.unknown && self.exact.is_empty() && self.bounds.is_empty()
    }

    /// Whether the permission was used without a resource.
    pub(super) fn names_nothing(&self) -> bool {
        self.nothing
    }

    /// Distinct resources; 0 where the log does not tell.
    pub(super) fn count(&self) -> u64 {
        self.folded + self.exact.len() as u64
    }

    /// Patterns that match everything that was seen, sorted.
    pub(super) fn patterns(&self) -> Vec<String> {
        // Only a bare star is matched by a call without a resource.
        if self.nothing || self.is_unknown() {
            return vec!["*".to_owned()];
        }
        let mut patterns: BTreeSet<String> = self.bounds.clone();
        if patterns.len() > NAMED_MAX {
            patterns = common(&patterns).into_iter().collect();
        }
        let exact = self.exact.iter().filter(|arn| !covered(&patterns, arn));
        let exact: BTreeSet<String> = exact.cloned().collect();
        if exact.len() <= NAMED_MAX {
            patterns.extend(exact);
        } else {
            patterns.extend(common(&exact));
        }
        let whole: Vec<String> =
            patterns.iter().filter(|one| !covered_by_another(&patterns, one)).cloned().collect();
        let matches_all = self.exact.iter().all(|arn| covered_by(&whole, Target::Exact(arn)))
            && self.bounds.iter().all(|bound| covered_by(&whole, Target::Within(bound)));
        if matches_all { whole } else { vec!["*".to_owned()] }
    }
}

/// Six parts, as the matcher reads them.
fn is_whole(arn: &str) -> bool {
    arn.starts_with("arn:") && arn.splitn(6, ':').count() == 6 && !service(arn).contains(['*', '?'])
}

fn service(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

/// Bytes before what a pattern would read as more than itself.
fn plain_length(arn: &str) -> usize {
    arn.find(['*', '?', '$']).unwrap_or(arn.len())
}

fn covered(patterns: &BTreeSet<String>, arn: &str) -> bool {
    patterns.iter().any(|one| ArnPattern::new(one).matches(Target::Exact(arn)) == Match::Yes)
}

fn covered_by(patterns: &[String], target: Target<'_>) -> bool {
    patterns.iter().any(|one| ArnPattern::new(one).matches(target) == Match::Yes)
}

fn covered_by_another(patterns: &BTreeSet<String>, one: &str) -> bool {
    patterns
        .iter()
        .any(|other| other != one && ArnPattern::new(other).matches(Target::Within(one)) == Match::Yes)
}

/// As few patterns as there are kinds of things: each at least keeps service, account and what the names have in common.
fn common(arns: &BTreeSet<String>) -> Vec<String> {
    let mut best = Vec::new();
    for key in [by_head, by_account, by_service] {
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for arn in arns {
            groups.entry(key(arn)).or_default().push(arn);
        }
        best = groups.into_values().map(|group| beginning(&group)).collect();
        best.sort_unstable();
        best.dedup();
        if best.len() <= NAMED_MAX {
            break;
        }
    }
    best
}

/// The resource's own kind or container: `table`, a bucket's name.
fn head(arn: &str) -> &str {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    resource.find(['/', ':']).and_then(|at| resource.get(..=at)).unwrap_or(resource)
}

fn by_head(arn: &str) -> String {
    let fixed: Vec<&str> = arn.splitn(6, ':').take(5).collect();
    format!("{}:{}", fixed.join(":"), head(arn))
}

fn by_account(arn: &str) -> String {
    let fixed: Vec<&str> = arn.splitn(6, ':').take(5).collect();
    fixed.join(":")
}

fn by_service(arn: &str) -> String {
    let fixed: Vec<&str> = arn.splitn(6, ':').take(3).collect();
    fixed.join(":")
}

/// What all have in common, cut where a word ends, and a star. One stays as it is.
fn beginning(group: &[&str]) -> String {
    let [first, rest @ ..] = group else { return "*".to_owned() };
    if rest.is_empty() {
        return (*first).to_owned();
    }
    let parts: Vec<&str> = first.splitn(6, ':').collect();
    let mut shared = String::new();
    for (at, part) in parts.iter().enumerate() {
        let others: Vec<&str> =
            rest.iter().map(|arn| arn.splitn(6, ':').nth(at).unwrap_or_default()).collect();
        if at > 0 {
            shared.push(':');
        }
        if at < 5 {
            shared.push_str(if others.iter().all(|other| other == part) { part } else { "*" });
            continue;
        }
        let mut length = plain_length(part);
        for other in others {
            let same = part.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
            length = length.min(same);
        }
        // No letter is cut in two, and no word.
        while !part.is_char_boundary(length) {
            length -= 1;
        }
        let head = part.get(..length).unwrap_or_default();
        let end = head.rfind(['/', ':', '-', '_', '.', '#']).map_or(0, |at| at + 1);
        shared.push_str(head.get(..end).unwrap_or_default());
        shared.push('*');
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(arns: &[&str]) -> Vec<String> {
        let mut places = Places::default();
        arns.iter().for_each(|arn| places.add(&[(*arn).to_owned()], true));
        places.patterns()
    }

    #[test]
    fn a_few_are_named_and_many_have_their_beginning_in_common() {
        let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/tickets";
        assert_eq!(seen(&[table, table]), [table]);
        let objects: Vec<String> =
            (0..20).map(|n| format!("arn:aws:s3:::acme/reports/2026-{n}.csv")).collect();
        let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
        assert_eq!(seen(&objects), ["arn:aws:s3:::acme/reports/2026-*"]);
    }

    #[test]
    fn buckets_are_not_thrown_together() {
        let mut arns: Vec<String> = (0..20).map(|n| format!("arn:aws:s3:::acme-a/{n}")).collect();
        arns.extend((0..20).map(|n| format!("arn:aws:s3:::acme-b/{n}")));
        let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
        assert_eq!(seen(&arns), ["arn:aws:s3:::acme-a/*", "arn:aws:s3:::acme-b/*"]);
    }

    #[test]
    fn a_name_that_reads_like_a_pattern_does_not_widen_by_itself() {
        assert_eq!(seen(&["arn:aws:s3:::acme/a*b"]), ["arn:aws:s3:::acme/a*"]);
        assert_eq!(seen(&["arn:aws:s3:::acme/${aws:username}"]), ["arn:aws:s3:::acme/*"]);
        assert_eq!(seen(&["no-arn"]), ["*"]);
    }

    #[test]
    fn a_bound_stays_and_what_knows_no_resource_is_a_star() {
        let mut places = Places::default();
        places.add(&["arn:aws:s3:::acme/*".to_owned()], false);
        assert_eq!(places.patterns(), ["arn:aws:s3:::acme/*"]);
        places.add(&[], false);
        assert_eq!(places.patterns(), ["arn:aws:s3:::acme/*"], "a call that tells nothing widens nothing");
        places.add(&[], true);
        assert_eq!(places.patterns(), ["*"]);
    }

    #[test]
    fn no_number_of_resources_fills_the_memory() {
        let mut places = Places::default();
        for n in 0..10_000 {
            places.add(&[format!("arn:aws:s3:::acme/{n}/x")], true);
        }
        assert!(places.exact.len() <= KEPT_MAX);
        assert_eq!(places.patterns(), ["arn:aws:s3:::acme/*"]);
        assert_eq!(places.count(), 10_000);
    }

    proptest! {
        #[test]
        fn all_that_was_seen_is_matched(arns in prop::collection::vec("arn:aws:(s3|sqs):[ab]?:[12]:[abé*?$/:-]{1,8}", 1..40)) {
            let mut places = Places::default();
            arns.iter().for_each(|arn| places.add(std::slice::from_ref(arn), true));
            let patterns = places.patterns();
            for arn in &arns {
                let matched = patterns.iter().any(|one| ArnPattern::with_variables(one).matches(Target::Exact(arn)) == Match::Yes);
                prop_assert!(matched, "{} by {:?}", arn, patterns);
            }
        }
    }
}
