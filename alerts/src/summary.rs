//! Many alerts told as one message, when a receiver would be flooded.

use crate::alert::Message;
use engine::finding::Severity;
use engine::incident::AlertKind;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Alerts named one by one in a summary.
pub const NAMED_MAX: usize = 10;

/// One alert of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryLine {
    /// The incident.
    pub incident: String,
    /// The revision told.
    pub revision: i64,
    /// Trigger, update or resolve.
    pub kind: AlertKind,
    /// The incident's severity.
    pub severity: Severity,
    /// The alert's title: log text.
    pub title: String,
    /// The page of its leading finding.
    pub url: Option<String>,
}

/// Alerts that one message tells.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Every alert in it, in the order they were due. Bounded by the dispatcher.
    pub lines: Vec<SummaryLine>,
    /// The page that lists them.
    pub link: String,
    /// Why there is a summary at all: the receiver's limit a minute.
    pub max_per_minute: usize,
}

impl Summary {
    /// An empty summary. `link`: the base of the page's addresses.
    #[must_use]
    pub fn new(link: &str, max_per_minute: usize) -> Summary {
        Summary { lines: Vec::new(), link: format!("{}/", link.trim_end_matches('/')), max_per_minute }
    }

    /// Adds one alert; keeps only what a summary shows of it.
    pub fn add(&mut self, message: &Message) {
        self.lines.push(SummaryLine {
            incident: message.incident.id.clone(),
            revision: message.revision,
            kind: message.kind,
            severity: message.severity(),
            title: message.title.chars().take(300).collect(),
            url: message.url().map(str::to_owned),
        });
    }

    /// The same for the same alerts, so that a receiver can drop a repeated one.
    #[must_use]
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        for line in &self.lines {
            hash.update(format!("{}.{}\n", line.incident, line.revision));
        }
        let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("summary-{hex}")
    }

    /// The highest severity in it.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.lines.iter().map(|l| l.severity).max().unwrap_or(Severity::Info)
    }

    /// Alerts by severity, worst first, without empty ones.
    #[must_use]
    pub fn counts(&self) -> Vec<(Severity, usize)> {
        let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
        for line in &self.lines {
            *counts.entry(line.severity).or_default() += 1;
        }
        counts.into_iter().rev().collect()
    }

    /// `37 more alerts: 3 critical, 34 medium`
    #[must_use]
    pub fn title(&self) -> String {
        let counts: Vec<String> =
            self.counts().iter().map(|(severity, n)| format!("{n} {severity}")).collect();
        format!("{} more alerts: {}", self.lines.len(), counts.join(", "))
    }

    /// The ten worst, in the order they were due among equals.
    #[must_use]
    pub fn named(&self) -> Vec<&SummaryLine> {
        let mut lines: Vec<&SummaryLine> = self.lines.iter().collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.severity));
        lines.truncate(NAMED_MAX);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_summary_counts_and_names_the_worst() {
        let mut summary = Summary::new("http://x/", 20);
        for n in 0..30 {
            let mut alert = samples::alert(1);
            alert.incident.id = format!("i-{n}");
            alert.incident.severity = if n == 29 { Severity::Critical } else { Severity::Medium };
            summary.add(&Message::new(&alert, "http://x"));
        }
        assert_eq!(summary.title(), "30 more alerts: 1 critical, 29 medium");
        assert_eq!(summary.named().len(), NAMED_MAX);
        assert_eq!(summary.named()[0].incident, "i-29");
        let id = summary.id();
        summary.lines.pop();
        assert_ne!(summary.id(), id);
    }
}
