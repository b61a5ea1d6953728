//! The address of a resource: `module.agents["eu"].aws_iam_role_policy.janitor[0]`
//!
//! <https://developer.hashicorp.com/terraform/cli/state/resource-addressing>

use std::fmt;

/// Longest address that we read.
const BYTES_MAX: usize = 4_096;

/// Steps from the outermost module to the resource. Two for each module, an optional `data`, type and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: String,
    /// Which of several; `None`: the only one, or all of them
    pub(super) index: Option<Index>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Index {
    Number(u64),
    Key(String),
}

impl Address {
    pub(super) fn parse(text: &str) -> Option<Address> {
        let address = Address(steps(text)?);
        let inner = address.inner()?;
        let is_named = match inner {
            [data, kind, _] => data.name == "data" && data.index.is_none() && kind.index.is_none(),
            [kind, _] => kind.index.is_none() && !matches!(kind.name.as_str(), "data" | "module"),
            _ => false,
        };
        is_named.then_some(address)
    }

    /// The address of one instance in a state, whose parts stand apart. `module`: empty for the root.
    pub(super) fn of(
        module: &str,
        data: bool,
        kind: &str,
        name: &str,
        index: Option<Index>,
    ) -> Option<Address> {
        let mut all = if module.is_empty() { Vec::new() } else { steps(module)? };
        let plain = |name: &str| Step { name: name.to_owned(), index: None };
        if data {
            all.push(plain("data"));
        }
        all.push(plain(kind));
        all.push(Step { index, ..plain(name) });
        Some(Address(all))
    }

    /// What follows the modules.
    fn inner(&self) -> Option<&[Step]> {
        let mut rest = &self.0[..];
        while let [module, name, more @ ..] = rest {
            if module.name != "module" || more.is_empty() {
                break;
            }
            if module.index.is_some() || name.name.is_empty() {
                return None;
            }
            rest = more;
        }
        Some(rest)
    }

    pub(super) fn is_data(&self) -> bool {
        self.inner().is_some_and(|inner| inner.len() == 3)
    }

    /// The type: `aws_iam_role_policy`.
    pub(super) fn kind(&self) -> &str {
        match self.inner() {
            Some([.., kind, _]) => &kind.name,
            _ => "",
        }
    }

    /// Whether it means an instance. Without an index a step means every instance, as it does for Terraform.
    pub(super) fn means(&self, instance: &Address) -> bool {
        self.0.len() == instance.0.len()
            && self.0.iter().zip(&instance.0).all(|(mine, theirs)| {
                mine.name == theirs.name && (mine.index.is_none() || mine.index == theirs.index)
            })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            f.write_str(&step.name)?;
            match &step.index {
                Some(Index::Number(number)) => write!(f, "[{number}]")?,
                Some(Index::Key(key)) => {
                    write!(f, "[\"{}\"]", key.replace('\\', "\\\\").replace('"', "\\\""))?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// `name`, `name[0]` and `name["key"]`, joined by dots.
fn steps(text: &str) -> Option<Vec<Step>> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, more) = rest.split_at_checked(end)?;
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(plain) {
            return None;
        }
        let (index, more) = match more.strip_prefix('[') {
            Some(more) => {
                let (index, more) = index(more)?;
                (Some(index), more)
            }
            None => (None, more),
        };
        found.push(Step { name: name.to_owned(), index });
        match more.strip_prefix('.') {
            Some(more) => rest = more,
            None if more.is_empty() => return Some(found),
            None => return None,
        }
    }
}

/// What stands in brackets, and what follows them.
fn index(text: &str) -> Option<(Index, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (number, rest) = text.split_once(']')?;
        return Some((Index::Number(number.parse().ok()?), rest));
    };
    let mut key = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                let rest = quoted.get(at + 1..)?.strip_prefix(']')?;
                return Some((Index::Key(key), rest));
            }
            '\\' => match letters.next()?.1 {
                'n' => key.push('\n'),
                't' => key.push('\t'),
                'r' => key.push('\r'),
                other => key.push(other),
            },
            other => key.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn an_address_is_written_as_it_was_read() {
        for text in [
            "aws_iam_policy.a",
            "aws_iam_policy.a[0]",
            "module.x.aws_iam_policy.a[\"b.c]\"]",
            "module.x[1].module.y[\"say \\\"hi\\\"\"].data.aws_iam_policy_document.d",
        ] {
            assert_eq!(address(text).to_string(), text);
        }
    }

    #[test]
    fn what_names_no_resource_is_no_address() {
        for text in [
            "",
            "a",
            "module.x",
            "module.x.a",
            "a.b.c",
            "a[0].b",
            "a.b[",
            "a.b[x]",
            "a.b[0]c",
            "a..b",
            "a b.c",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
        assert_eq!(Address::parse(&"module.x.".repeat(1_000)), None);
    }

    #[test]
    fn without_an_index_every_instance_is_meant() {
        let instance = address("module.x[\"eu\"].aws_iam_policy.a[1]");
        for text in
            ["module.x.aws_iam_policy.a", "module.x[\"eu\"].aws_iam_policy.a", "module.x.aws_iam_policy.a[1]"]
        {
            assert!(address(text).means(&instance), "{text}");
        }
        for text in [
            "module.x[\"us\"].aws_iam_policy.a",
            "module.x.aws_iam_policy.a[0]",
            "aws_iam_policy.a",
            "module.x.aws_iam_policy.a[\"1\"]",
        ] {
            assert!(!address(text).means(&instance), "{text}");
        }
    }

    #[test]
    fn data_is_told_from_what_is_managed() {
        let data = address("module.x.data.aws_iam_policy_document.d");
        assert_eq!((data.is_data(), data.kind()), (true, "aws_iam_policy_document"));
        let managed = address("aws_iam_policy.data");
        assert_eq!((managed.is_data(), managed.kind()), (false, "aws_iam_policy"));
    }

    #[test]
    fn the_parts_of_a_state_make_the_same_address() {
        let built = Address::of("module.x[0]", true, "t", "n", Some(Index::Key("k".into()))).unwrap();
        assert_eq!(built, address("module.x[0].data.t.n[\"k\"]"));
    }
}
