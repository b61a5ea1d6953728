//! Which findings a reader asks for, in the address.

use super::page::Fault;
use super::text;
use engine::finding::{FindingState, Severity};
use engine::store::FindingFilter;
use serde::Serialize;

/// Findings on one page.
pub(super) const ROWS_MAX: i64 = 200;

/// Findings in one answer of the API.
const API_ROWS_MAX: i64 = 1_000;

/// States that `live`, the default, stands for.
pub(super) const LIVE: [FindingState; 2] = [FindingState::Open, FindingState::Acknowledged];

/// What `state` may say, with what the page calls it.
pub(super) const STATES: [(&str, &str); 7] = [
    ("live", "open or acknowledged"),
    ("open", "open"),
    ("acknowledged", "acknowledged"),
    ("closed", "closed"),
    ("superseded", "superseded"),
    ("learning", "learning"),
    ("all", "any state"),
];

/// `severity`, `agent`, `detection`, `state` and `limit` of an address.
#[derive(Debug, Serialize)]
pub(super) struct FindingQuery {
    pub severity: Option<Severity>,
    pub agent: Option<String>,
    pub detection: Option<String>,
    pub state: String,
    pub limit: i64,
}

impl FindingQuery {
    pub(super) fn parse(query: &str) -> Result<FindingQuery, Fault> {
        let value = |name| text::query_value(query, name).filter(|value| !value.is_empty());
        let severity = match value("severity") {
            Some(severity) => Some(severity.parse().map_err(Fault::Query)?),
            None => None,
        };
        let state = value("state").unwrap_or_else(|| "live".to_owned());
        if !STATES.iter().any(|(known, _)| *known == state) {
            let known: Vec<&str> = STATES.iter().map(|(known, _)| *known).collect();
            return Err(Fault::Query(format!("unknown state `{state}`. Known: {}", known.join(", "))));
        }
        let limit = match value("limit") {
            None => ROWS_MAX,
            Some(limit) => match limit.parse() {
                Ok(rows @ 1..=API_ROWS_MAX) => rows,
                _ => {
                    return Err(Fault::Query(format!(
                        "`limit` is `{limit}`; it must be a number from 1 to {API_ROWS_MAX}"
                    )));
                }
            },
        };
        Ok(FindingQuery { severity, agent: value("agent"), detection: value("detection"), state, limit })
    }

    /// True when anything but the default is asked for.
    pub(super) fn is_narrowed(&self) -> bool {
        self.severity.is_some() || self.agent.is_some() || self.detection.is_some() || self.state != "live"
    }

    /// One row more than the limit, to know whether there are more.
    pub(super) fn filter(&self) -> FindingFilter {
        let states = match self.state.as_str() {
            "live" => LIVE.to_vec(),
            // Of everything that calls made; the canary is of our own making.
            "all" => FindingState::ALL.into_iter().filter(|state| *state != FindingState::Canary).collect(),
            one => one.parse().map(|state| vec![state]).unwrap_or_default(),
        };
        FindingFilter {
            states,
            who: self.agent.clone(),
            detection: self.detection.clone(),
            min_severity: self.severity,
            limit: self.limit + 1,
            incident: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> String {
        match FindingQuery::parse(query) {
            Err(Fault::Query(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_a_query_the_live_findings_are_meant() {
        let query = FindingQuery::parse("severity=&agent=&state=").unwrap();
        assert!(!query.is_narrowed());
        assert_eq!(query.filter().states, LIVE);
    }

    #[test]
    fn each_part_narrows() {
        let query =
            FindingQuery::parse("severity=high&agent=a%20b&detection=SC01&state=closed&limit=1000").unwrap();
        let filter = query.filter();
        assert!(query.is_narrowed());
        assert_eq!(filter.states, [FindingState::Closed]);
        assert_eq!((filter.who.as_deref(), filter.detection.as_deref()), (Some("a b"), Some("SC01")));
        assert_eq!((filter.min_severity, filter.limit), (Some(Severity::High), 1_001));
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_is() {
        assert!(refused("severity=worst").contains("critical"));
        assert!(refused("state=gone").contains("superseded"));
        for limit in ["0", "1001", "-1", "many"] {
            assert!(refused(&format!("limit={limit}")).contains("1000"));
        }
    }
}
