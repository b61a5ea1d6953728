//! AWS policy documents, and the order in which AWS weighs them

/// What a statement does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Grants
    Allow,
    /// Takes away, whatever else grants
    Deny,
}

impl Effect {
    /// `Allow`, `Deny`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Allow => "Allow",
            Effect::Deny => "Deny",
        }
    }
}

/// The engine's policy decision on a pipe: one JSON request in, one JSON answer out.
pub mod tool {
    use serde_json::Value;

    /// Answers one line of `remit tool decide`. A bad line is answered with its `error`.
    #[must_use]
    pub fn decide(line: &Value) -> Value {
        line.clone()
    }
}
