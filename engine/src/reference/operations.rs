//! Which permissions an operation asks for: always, or on what that hangs
//!
//! Three tables speak, the closest first: `aws_calls.tsv` (by hand), `aws_operation_facts.tsv` (what AWS publishes and
//! no rule gives), `aws_operations.tsv` (what an operation's input shows). An operation of which none of them speaks asks
//! for the permission of its own name.

use std::collections::{HashMap, HashSet};

use super::{rows, sections};

/// What a permission hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Every call needs it.
    Always,
    /// A call may need it; the log does not tell.
    Maybe,
    /// Where the request gives tags. `listed`: AWS says so, and names no other permission for it.
    Tagged {
        /// Certain then, else only possible.
        listed: bool,
    },
    /// Where the request hands a role over.
    Passing {
        /// Certain then, else only possible.
        listed: bool,
    },
    /// Where the request has a field, or what an `@name` stands for.
    Field {
        /// The field.
        name: &'static str,
        /// It must not be there.
        absent: bool,
        /// Certain then, else only possible.
        certain: bool,
    },
}

/// One permission that an operation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// `s3:GetObject`
    pub(crate) permission: Box<str>,
    /// On what it hangs.
    pub(crate) when: When,
    /// Its resource is the source of a copy.
    pub(crate) source: bool,
}

/// What an operation asks for, where the request has `field`.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) field: Option<&'static str>,
    pub(crate) needs: Vec<Need>,
}

/// Everything known of one operation.
#[derive(Debug, Default)]
pub(crate) struct Operation {
    /// By hand: the whole of it, rows that ask for a field first.
    pub(crate) variants: Vec<Variant>,
    /// Instead of its own name.
    pub(crate) renamed: Option<Vec<Need>>,
    /// Beside its own name, or the other one.
    pub(crate) more: Vec<Need>,
    /// Its input has room for tags.
    pub(crate) takes_tags: bool,
}

type ByService = HashMap<&'static str, HashMap<&'static str, Operation>>;

/// The three tables, joined.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    services: ByService,
    /// Services with operations that do not carry their permission's name.
    renaming: HashSet<&'static str>,
}

impl Operations {
    pub(super) fn read() -> Operations {
        let mut operations = Operations::default();
        let rules = include_str!("../../reference/aws_operations.tsv");
        for (service, line) in sections(rules) {
            operations.add(service, line, false);
        }
        let facts = include_str!("../../reference/aws_operation_facts.tsv");
        for (service, line) in sections(facts) {
            operations.add(service, line, true);
        }
        for line in rows(include_str!("../../reference/aws_calls.tsv")) {
            operations.add_by_hand(line);
        }
        operations.settle();
        operations
    }

    fn add(&mut self, service: &'static str, line: &'static str, is_fact: bool) {
        let mut cells = line.split('\t');
        let (Some(kind), Some(name), Some(list)) = (cells.next(), cells.next(), cells.next()) else { return };
        let permission: Box<str> =
            if name.contains(':') { name.into() } else { format!("{service}:{name}").into() };
        let of_service = self.services.entry(service).or_default();
        for operation in list.split(' ') {
            let operation = of_service.entry(operation).or_default();
            let mut push = |when| {
                operation.more.push(Need { permission: permission.clone(), when, source: false });
            };
            match kind {
                "t" => {
                    operation.takes_tags = true;
                    if name != "-" {
                        push(When::Tagged { listed: true });
                    }
                }
                "r" => push(When::Passing { listed: true }),
                "+" if !is_fact => {}
                "+" => push(When::Maybe),
                "=" => {
                    self.renaming.insert(service);
                    let renamed = operation.renamed.get_or_insert_default();
                    if name != "-" {
                        renamed.push(Need {
                            permission: permission.clone(),
                            when: When::Always,
                            source: false,
                        });
                    }
                }
                "-" => {
                    // A role that AWS does not list is assumed, or only named. Tags are checked oftener than AWS lists.
                    operation.more.retain(|need| {
                        need.permission != permission || !matches!(need.when, When::Passing { .. })
                    });
                    for need in operation.more.iter_mut().filter(|need| need.permission == permission) {
                        if let When::Tagged { listed } = &mut need.when {
                            *listed = false;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn add_by_hand(&mut self, line: &'static str) {
        let mut cells = line.split('\t');
        let (Some(service), Some(operation), Some(list)) = (cells.next(), cells.next(), cells.next()) else {
            return;
        };
        let (operation, field) = match operation.split_once('[') {
            Some((operation, field)) => (operation, Some(field.trim_end_matches(']'))),
            None => (operation, None),
        };
        let needs: Vec<Need> = list.split(',').filter(|one| *one != "-").map(need).collect();
        if field.is_none() && needs.iter().any(|need| !need.permission.eq_ignore_ascii_case(operation)) {
            self.renaming.insert(service);
        }
        let variants = &mut self.services.entry(service).or_default().entry(operation).or_default().variants;
        let at = if field.is_some() { 0 } else { variants.len() };
        variants.insert(at, Variant { field, needs });
    }

    /// Two permissions to tag with: AWS asks for one of them, and does not say which.
    fn settle(&mut self) {
        for operation in self.services.values_mut().flat_map(HashMap::values_mut) {
            let tagging = operation.more.iter().filter(|need| need.when == When::Tagged { listed: true });
            if tagging.count() > 1 {
                for need in &mut operation.more {
                    if let When::Tagged { listed } = &mut need.when {
                        *listed = false;
                    }
                }
            }
        }
    }

    pub(super) fn of(&self, service: &str, operation: &str) -> Option<&Operation> {
        self.services.get(service)?.get(operation)
    }

    pub(super) fn renames(&self, service: &str) -> bool {
        self.renaming.contains(service)
    }

    /// Every permission that is named as another operation's.
    pub(super) fn answered(&self) -> HashSet<Box<str>> {
        let operations = self.services.values().flat_map(HashMap::values);
        operations
            .flat_map(|one| {
                let by_hand = one.variants.iter().flat_map(|variant| &variant.needs);
                by_hand.chain(one.renamed.iter().flatten())
            })
            .map(|need| need.permission.clone())
            .collect()
    }

    #[cfg(test)]
    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        let operations = self.services.values().flat_map(HashMap::values);
        operations.flat_map(|one| {
            let by_hand = one.variants.iter().flat_map(|variant| &variant.needs);
            by_hand.chain(one.renamed.iter().flatten()).chain(&one.more).map(|need| &*need.permission)
        })
    }
}

/// `s3:GetObject@source`, `iam:PassRole?`, `s3:GetObjectVersion[versionId]`, `s3:PutObject[!versionId]`
fn need(written: &'static str) -> Need {
    let (written, condition) = match written.split_once('[') {
        Some((head, field)) => (head, Some(field.trim_end_matches(']'))),
        None => (written, None),
    };
    let (written, source) = written.strip_suffix("@source").map_or((written, false), |one| (one, true));
    let (permission, certain) = written.strip_suffix('?').map_or((written, true), |one| (one, false));
    let when = match condition {
        Some("@tags") => When::Tagged { listed: certain },
        Some("@role") => When::Passing { listed: certain },
        Some(field) => {
            let (name, absent) = field.strip_prefix('!').map_or((field, false), |name| (name, true));
            When::Field { name, absent, certain }
        }
        None if certain => When::Always,
        None => When::Maybe,
    };
    Need { permission: permission.into(), when, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_on_what_a_permission_hangs() {
        assert_eq!(need("s3:PutObject").when, When::Always);
        assert_eq!(need("iam:PassRole?").when, When::Maybe);
        let source = need("s3:GetObject@source");
        assert!(source.source && &*source.permission == "s3:GetObject");
        assert_eq!(
            need("s3:GetObject?[!versionId]").when,
            When::Field { name: "versionId", absent: true, certain: false }
        );
        assert_eq!(need("ecs:TagResource?[@tags]").when, When::Tagged { listed: false });
    }

    #[test]
    fn facts_overrule_what_the_input_shows() {
        let operations = Operations::read();
        let lambda = operations.of("lambda", "CreateFunction").unwrap();
        assert!(
            lambda.more.iter().any(|need| &*need.permission == "lambda:TagResource"
                && need.when == When::Tagged { listed: true })
        );
        // Its input has tags, and AWS names another permission for them.
        let certificate = operations.of("acm", "RequestCertificate").unwrap();
        let when =
            |name: &str| certificate.more.iter().find(|need| &*need.permission == name).map(|need| need.when);
        assert_eq!(when("acm:TagResource"), Some(When::Tagged { listed: false }));
        assert_eq!(when("acm:AddTagsToCertificate"), Some(When::Tagged { listed: true }));
    }
}
