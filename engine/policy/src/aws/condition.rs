//! The `Condition` of a statement: operators, keys and values
//!
//! Operators and keys are ANDed, values ORed, and the values of a negated operator all must differ. A key that the
//! request lacks fails a positive operator, and passes a negated one and `IfExists`. `ForAllValues` passes where
//! there is no value, `ForAnyValue` never does, `IfExists` or not. What the context does not know makes the answer
//! unknown unless the rest decides.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>

mod date;
mod network;
mod number;
mod operator;
mod values;

use serde_json::{Map, Value};

use crate::context::{Context, Fact, Key};
use crate::truth::Truth;
use crate::wildcard::glob::Steps;
use operator::{Kind, Operator, Quantifier};
use values::Values;

/// Keys of one statement, over all operators.
const TESTS_MAX: usize = 1_000;
/// Values of one statement, over all keys. AWS's longest documents hold a few thousand.
const VALUES_MAX: usize = 20_000;
/// What one answer may cost: comparisons and characters compared.
const STEPS_MAX: u32 = 200_000;
/// What [`Conditions::undecided`] calls it where the steps were used up.
const STEP_BUDGET: &str = "step_budget";

/// Every test of one statement; all must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    tests: Box<[Test]>,
    keys: Vec<String>,
}

/// One key under one operator.
#[derive(Debug, Clone, PartialEq)]
struct Test {
    operator: Operator,
    key: Key,
    values: Values,
}

impl Conditions {
    /// Reads a `Condition` object. `variables`: the document's version has policy variables.
    ///
    /// # Errors
    /// The place below `Condition` (`StringEquals.aws:SourceVpc`), and what is wrong with it.
    pub fn read(operators: &Map<String, Value>, variables: bool) -> Result<Conditions, (String, String)> {
        let mut tests = Vec::new();
        let mut keys: Vec<String> = Vec::new();
        let mut values_left = VALUES_MAX;
        for (name, written) in operators {
            let Value::Object(written) = written else {
                return Err((name.clone(), "must be an object of keys".into()));
            };
            // AWS minds an operator's name only where it has a key.
            if written.is_empty() {
                continue;
            }
            let operator = Operator::parse(name).map_err(|reason| (name.clone(), reason))?;
            for (key, value) in written {
                let place = || format!("{name}.{key}");
                let texts = texts(value).map_err(|reason| (place(), reason))?;
                values_left = values_left
                    .checked_sub(texts.len())
                    .ok_or_else(|| (place(), format!("more than {VALUES_MAX} values")))?;
                if tests.len() == TESTS_MAX {
                    return Err((place(), format!("more than {TESTS_MAX} keys")));
                }
                let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
                let values =
                    Values::read(operator.kind, &texts, variables).map_err(|reason| (place(), reason))?;
                name_once(&mut keys, key);
                for template in values.templates() {
                    template.variables().iter().for_each(|variable| name_once(&mut keys, variable));
                }
                tests.push(Test { operator, key: Key::new(key), values });
            }
        }
        Ok(Conditions { tests: tests.into(), keys })
    }

    /// Whether there is nothing to hold.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// The keys that it asks about, as written, each once, those of policy variables in its values included.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Whether all of it holds.
    #[must_use]
    pub fn truth(&self, context: &Context) -> Truth {
        let mut steps = Steps::new(STEPS_MAX);
        let mut all = Truth::True;
        for test in &self.tests {
            all = all.and(test.truth(context, &mut steps));
            if all == Truth::False {
                break;
            }
        }
        all
    }

    /// The keys whose being unknown leaves it undecided, as written; `step_budget` where the comparison was too much
    /// work. Asked only after [`Conditions::truth`] said so.
    #[must_use]
    pub fn undecided(&self, context: &Context) -> Vec<String> {
        let mut steps = Steps::new(STEPS_MAX);
        let mut missing: Vec<String> = Vec::new();
        for test in &self.tests {
            if test.truth(context, &mut steps) != Truth::Unknown {
                continue;
            }
            if *context.fact_of(&test.key) == Fact::Unknown {
                self.name_as_written(test.key.as_str(), &mut missing);
                continue;
            }
            let mut variables =
                test.values.templates().flat_map(|template| template.unknown(context)).peekable();
            if variables.peek().is_none() {
                name_once(&mut missing, STEP_BUDGET);
            }
            variables.for_each(|variable| name_once(&mut missing, variable));
        }
        missing
    }

    fn name_as_written(&self, folded: &str, names: &mut Vec<String>) {
        let written = self.keys.iter().find(|key| key.eq_ignore_ascii_case(folded));
        name_once(names, written.map_or(folded, String::as_str));
    }
}

impl Test {
    fn truth(&self, context: &Context, steps: &mut Steps) -> Truth {
        let Operator { kind, negated, quantifier, if_exists } = self.operator;
        let values = match context.fact_of(&self.key) {
            Fact::Unknown => return Truth::Unknown,
            Fact::Absent => &[],
            Fact::Values(values) => values.as_slice(),
        };
        if kind == Kind::Null {
            return self.values.asks_for(values.is_empty()).into();
        }
        match (quantifier, values) {
            (Quantifier::One, []) => (negated || if_exists).into(),
            (Quantifier::One, [value]) => self.values.hit(value, context, steps).passes(negated),
            // AWS asks for a qualifier here; without one, several values are never the one that is meant.
            (Quantifier::One, _) => negated.into(),
            // "a null dataset, such as an empty string"
            (Quantifier::All, [only]) if only.is_empty() => Truth::True,
            (Quantifier::Any, [only]) if only.is_empty() => Truth::False,
            (Quantifier::All, values) => {
                let mut all = Truth::True;
                for value in values {
                    all = all.and(self.values.hit(value, context, steps).passes(negated));
                    if all == Truth::False {
                        break;
                    }
                }
                all
            }
            (Quantifier::Any, values) => {
                let mut any = Truth::False;
                for value in values {
                    any = any.or(self.values.hit(value, context, steps).passes(negated));
                    if any == Truth::True {
                        break;
                    }
                }
                any
            }
        }
    }
}

/// A value, or a list of them; booleans and numbers as AWS takes them for texts.
fn texts(value: &Value) -> Result<Vec<std::borrow::Cow<'_, str>>, String> {
    let one = |value: &'_ Value| match value {
        Value::String(_) | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::Null => Err("must be a text, a number, a boolean or a list of them, not null".to_owned()),
        Value::Array(_) | Value::Object(_) => {
            Err("must be a text, a number, a boolean or a list of them, with nothing nested".to_owned())
        }
    };
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut texts = Vec::with_capacity(list.len());
    for value in list {
        one(value)?;
        texts.push(match value {
            Value::String(text) => text.as_str().into(),
            other => other.to_string().into(),
        });
    }
    Ok(texts)
}

fn name_once(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        names.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests;
