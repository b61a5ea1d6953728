//! AWS policy documents, and the order in which AWS weighs them
//!
//! A [`Policy`] is read once. [`decide`] weighs [`Layers`] of them against a [`Request`].
//!
//! Three-valued: a condition, a policy variable or a layer that is not judged makes an answer unknown where it could
//! turn it, and is never taken for an Allow.

mod compiled;
mod condition;
mod decide;
mod document;
mod layers;
mod principal;
mod statement;
pub(crate) mod variable;

pub use compiled::{Compiled, Memo};
pub use condition::Conditions;
pub use decide::{Answer, Decision, Decisive, decide};
pub use document::{Kind, Policy, PolicyError, validate};
pub use layers::{Layers, OnResource, Request, account_of};
pub use principal::{Named, NoPrincipal, Principal, Principals};
pub use statement::{Actions, Effect, Resources, Statement};

#[cfg(test)]
mod tests;
