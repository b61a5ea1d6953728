//! What people look at: metrics, Grafana and Prometheus files, the web page

pub mod metrics;
pub mod postures;
pub mod readiness;
pub mod web;

pub use metrics::{Labels, Metrics};
pub use postures::Postures;
pub use readiness::Readiness;
pub use web::{AgentLine, Token, WebState, agent_lines};

#[cfg(test)]
mod shipped_files;
