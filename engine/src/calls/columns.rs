//! The columns of a batch that kinds of calls are told by

use ingest::event::{Columns as EventColumns, EventBatch, EventView};

use super::shown::Shown;
use super::signature::{CREDENTIAL, ERROR_MESSAGE, SESSION_NAME, SOURCE_IP, USER_AGENT};
use super::words::Codes;

/// The columns of events that are read of every one, so that it is worth to have them as arrays; the rest is looked up where
/// it matters.
pub const BUILT: EventColumns = EventColumns {
    time: true,
    provider: true,
    actor: true,
    account: true,
    recipient_account: true,
    region: true,
    service: true,
    operation: true,
    outcome: true,
    error_code: true,
    denied_by: true,
    invoked_by: true,
    actor_type: true,
    credential_kind: true,
    event_type: true,
    ..EventColumns::NONE
};

/// The columns that kinds are told by.
pub(super) struct Columns<'a> {
    pub(super) provider: Codes<'a>,
    pub(super) actor: Codes<'a>,
    pub(super) account: Codes<'a>,
    pub(super) recipient_account: Codes<'a>,
    pub(super) region: Codes<'a>,
    pub(super) service: Codes<'a>,
    pub(super) operation: Codes<'a>,
    pub(super) outcome: Codes<'a>,
    pub(super) error_code: Codes<'a>,
    pub(super) denied_by: Codes<'a>,
    pub(super) invoked_by: Codes<'a>,
    pub(super) actor_type: Codes<'a>,
    pub(super) credential_kind: Codes<'a>,
    pub(super) event_type: Codes<'a>,
    /// Texts of which detections ask only whether they are there, with their bits
    pub(super) texts: Vec<(IsThere, u32)>,
}

/// Whether a row has a text.
pub(super) type IsThere = fn(&EventView<'_>, usize) -> bool;

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a EventBatch, shown: &Shown) -> Columns<'a> {
        let texts: [(bool, IsThere, u32); 5] = [
            (shown.error_message, |view, row| view.error_message(row).is_some(), ERROR_MESSAGE),
            (shown.credential, |view, row| view.has_credential(row), CREDENTIAL),
            (shown.session_name, |view, row| view.session_name(row).is_some(), SESSION_NAME),
            (shown.source_ip, |view, row| view.source_ip(row).is_some(), SOURCE_IP),
            (shown.user_agent, |view, row| view.user_agent(row).is_some(), USER_AGENT),
        ];
        let texts = texts.into_iter().filter(|(is_read, ..)| *is_read);
        let of = |name| Codes::of(batch, name);
        Columns {
            provider: of("provider"),
            actor: of("actor"),
            account: of("account"),
            recipient_account: of("recipient_account"),
            region: of("region"),
            service: of("service"),
            operation: of("operation"),
            outcome: of("outcome"),
            error_code: of("error_code"),
            denied_by: of("denied_by"),
            invoked_by: of("invoked_by"),
            actor_type: of("actor_type"),
            credential_kind: of("credential_kind"),
            event_type: of("event_type"),
            texts: texts.map(|(_, is_there, bit)| (is_there, bit)).collect(),
        }
    }
}
