//! How detections read what a kind of call is told by

use super::signature::{Read, Reads};

/// What of a row is read at all, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) agent: Read,
    pub(super) environment: Read,
    pub(super) actor: Read,
    pub(super) permission: Read,
    pub(super) outcome: Read,
    pub(super) told: [(Told, Read); TOLD],
    pub(super) flags: bool,
    pub(super) first_use: bool,
    pub(super) active_days: bool,
    pub(super) own_iam: bool,
    pub(super) expected_denial: bool,
    pub(super) bounds: bool,
    pub(super) hop_into: Read,
    pub(super) policy_fault: bool,
    pub(super) error_message: bool,
    pub(super) credential: bool,
    pub(super) session_name: bool,
    pub(super) source_ip: bool,
    pub(super) user_agent: bool,
}

/// Columns that need no more than to be compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    ActorType,
    Account,
    Region,
    Service,
    Operation,
    ErrorCode,
    DeniedBy,
    CredentialKind,
    InvokedBy,
}

pub(super) const TOLD: usize = 9;

impl Told {
    const ALL: [(Told, &'static str); TOLD] = [
        (Told::ActorType, "actor_type"),
        (Told::Account, "account"),
        (Told::Region, "region"),
        (Told::Service, "service"),
        (Told::Operation, "operation"),
        (Told::ErrorCode, "error_code"),
        (Told::DeniedBy, "denied_by"),
        (Told::CredentialKind, "credential_kind"),
        (Told::InvokedBy, "invoked_by"),
    ];
}

impl Shown {
    pub(super) fn of(reads: &Reads) -> Shown {
        let is_read = |columns: &[&str]| columns.iter().any(|column| reads.of(column).is_read());
        Shown {
            agent: reads.of("agent"),
            environment: reads.of("environment"),
            actor: reads.of("actor"),
            permission: reads.of("permission"),
            outcome: reads.of("outcome"),
            told: Told::ALL.map(|(told, column)| (told, reads.of(column))),
            flags: is_read(&[
                "agent_read_only",
                "certain",
                "level",
                "is_destructive",
                "is_credential_minting",
                "is_logging_tamper",
                "is_read_like",
            ]),
            first_use: is_read(&["first_use"]),
            active_days: reads.of("active_days") == Read::Value,
            own_iam: is_read(&["is_own_iam"]),
            expected_denial: is_read(&["is_expected_denial"]),
            bounds: is_read(&["bound_broken", "bound_seen", "bound_is_grave", "bound_unknown"]),
            hop_into: reads.of("hop_into"),
            policy_fault: is_read(&["policy_fault"]),
            error_message: is_read(&["error_message"]),
            credential: is_read(&["credential"]),
            session_name: is_read(&["session_name"]),
            source_ip: is_read(&["source_ip"]),
            user_agent: is_read(&["user_agent"]),
        }
    }
}
