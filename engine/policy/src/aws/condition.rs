//! The `Condition` of a statement: operators, keys and values

use serde_json::{Map, Value};

use crate::context::Context;
use crate::truth::Truth;

/// Every test of one statement; all must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    keys: Vec<String>,
}

impl Conditions {
    /// Reads a `Condition` object. `variables`: the document's version has policy variables.
    ///
    /// # Errors
    /// The place below `Condition` (`StringEquals.aws:SourceVpc`), and what is wrong with it.
    pub fn read(operators: &Map<String, Value>, variables: bool) -> Result<Conditions, (String, String)> {
        let _ = variables;
        let mut keys: Vec<String> = Vec::new();
        for (operator, tests) in operators {
            let Value::Object(tests) = tests else {
                return Err((operator.clone(), "must be an object of keys".into()));
            };
            for key in tests.keys() {
                if !keys.iter().any(|known| known.eq_ignore_ascii_case(key)) {
                    keys.push(key.clone());
                }
            }
        }
        Ok(Conditions { keys })
    }

    /// Whether there is nothing to hold.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that it asks about, as written, each once, those of policy variables in its values included.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Whether all of it holds.
    #[must_use]
    pub fn truth(&self, context: &Context) -> Truth {
        let _ = context;
        if self.keys.is_empty() { Truth::True } else { Truth::Unknown }
    }

    /// The keys whose being unknown leaves it undecided: asked only after [`Conditions::truth`] said so.
    #[must_use]
    pub fn undecided(&self, context: &Context) -> Vec<String> {
        let _ = context;
        self.keys.clone()
    }
}
