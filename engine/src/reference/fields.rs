//! Where a request keeps the names that an ARN wants
//!
//! AWS names a resource's ARN by variables (`${FunctionName}`) and an operation's input by members (`functionName`), in
//! two publications that do not refer to each other. Most pairs follow one of a few habits, which are the rules here;
//! the others are `aws_fields.tsv`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::rows;

/// One piece of a resource type's ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// As it stands.
    Text(&'static str),
    /// `aws`
    Partition,
    /// `eu-west-1`
    Region,
    /// `111122223333`
    Account,
    /// A name, and the fields that may hold it, the likeliest first.
    Name(Vec<Field>),
}

/// A field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Lower-case letters and digits only.
    pub(crate) name: Cow<'static, str>,
    /// What is to be done with its value.
    pub(crate) form: &'static str,
    /// `name`, `id`: means this type only where the call is about nothing else.
    pub(crate) vague: bool,
}

/// Variables and members that do not tell of what they are the name.
const VAGUE: &[&str] = &["name", "id", "identifier", "resourceid", "resourcename", "resource"];

/// The last words of a name.
const ENDINGS: &[&str] = &["friendlyname", "identifier", "name", "id", "arn"];

/// The hand table: by IAM prefix and ARN variable.
pub(super) type ByHand = HashMap<(&'static str, &'static str), Vec<Field>>;

pub(super) fn by_hand() -> &'static ByHand {
    static BY_HAND: LazyLock<ByHand> = LazyLock::new(read);
    &BY_HAND
}

fn read() -> ByHand {
    let mut fields = ByHand::new();
    for line in rows(include_str!("../../reference/aws_fields.tsv")) {
        let mut cells = line.split('\t');
        if let (Some(service), Some(variable), Some(list)) = (cells.next(), cells.next(), cells.next()) {
            let list = list.split(',').map(|field| {
                let (name, form) = field.split_once(':').unwrap_or((field, ""));
                Field { name: letters(name).into(), form, vague: false }
            });
            fields.insert((service, variable), list.collect());
        }
    }
    fields
}

/// Lower-case letters and digits: `DBInstanceIdentifier`, `dBInstanceIdentifier` and `db-instance-identifier` are one.
pub(crate) fn letters(text: &str) -> String {
    folded(text).map(char::from).collect()
}

/// [`letters`] one by one, from either end.
pub(crate) fn folded(text: &str) -> impl DoubleEndedIterator<Item = u8> + '_ {
    text.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase())
}

/// The pieces of a type's ARN.
pub(super) fn parts(by_hand: &ByHand, service: &'static str, kind: &str, arn: &'static str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = arn;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((variable, tail)) = after.split_once('}') else { break };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        rest = tail;
        // `arn:partition:service:region:account:`, whatever the account is called; an organisation's may be another.
        let at = arn.len() - after.len();
        let is_owner =
            arn.get(..at).is_some_and(|head| head.matches(':').count() == 4) && tail.starts_with(':');
        parts.push(match variable {
            "AccountId" | "AwsAccountId" if is_owner => Part::Account,
            "Partition" => Part::Partition,
            "Region" => Part::Region,
            "Account" => Part::Account,
            name => Part::Name(candidates(by_hand, service, kind, name, !tail.contains("${"))),
        });
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// Fields that may hold one variable. `last`: it is the ARN's last one, which names the thing itself and not what holds it.
fn candidates(
    by_hand: &ByHand,
    service: &'static str,
    kind: &str,
    variable: &'static str,
    last: bool,
) -> Vec<Field> {
    let mut found: Vec<Field> = by_hand.get(&(service, variable)).cloned().unwrap_or_default();
    let form = found.first().map_or("", |field| field.form);
    let mut add = |name: String, vague: bool| {
        if !name.is_empty() && !found.iter().any(|field| field.name == name) {
            found.push(Field { name: name.into(), form, vague });
        }
    };
    let own = letters(variable.strip_suffix("WithPath").unwrap_or(variable));
    let vague = VAGUE.contains(&own.as_str());
    add(own.clone(), vague);
    let stem = ENDINGS.iter().find_map(|ending| own.strip_suffix(ending)).unwrap_or(&own);
    let kind = letters(kind);
    let stems = if vague || stem.is_empty() { vec![] } else { vec![stem.to_owned()] };
    let stems = stems.into_iter().chain(last.then_some(kind));
    for stem in stems {
        for ending in ["name", "id", "identifier", "arn", ""] {
            add(format!("{stem}{ending}"), false);
        }
    }
    if last {
        for name in VAGUE {
            add((*name).to_owned(), true);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kind: &str, variable: &'static str) -> Vec<String> {
        let found = candidates(&read(), "memorydb", kind, variable, true);
        found.iter().filter(|field| !field.vague).map(|field| field.name.to_string()).collect()
    }

    #[test]
    fn a_variable_is_looked_for_under_its_habits() {
        let found = names("cluster", "ClusterName");
        assert!(
            ["clustername", "clusteridentifier", "clusterarn"]
                .iter()
                .all(|one| found.contains(&(*one).to_owned()))
        );
        assert!(
            !found.contains(&"name".to_owned()),
            "what names anything names this only if nothing else is meant"
        );
        assert!(names("workspace", "Id").contains(&"workspaceid".to_owned()));
    }

    #[test]
    fn an_arn_is_cut_at_its_variables() {
        let found = parts(&read(), "sqs", "queue", "arn:${Partition}:sqs:${Region}:${Account}:${QueueName}");
        assert_eq!(found.len(), 8);
        assert_eq!(found[1], Part::Partition);
        assert!(matches!(&found[7], Part::Name(fields) if fields[0].form == "url"));
    }
}
