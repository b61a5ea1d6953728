//! The columns of a batch that kinds of calls are told by

use arrow::array::{Array, ArrayRef, AsArray};
use ingest::event::EventBatch;

use super::shown::Shown;
use super::signature::{CREDENTIAL, ERROR_MESSAGE, SESSION_NAME, SOURCE_IP, USER_AGENT};
use super::words::Codes;

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
    pub(super) error_message: Filled<'a>,
    /// Texts of which detections ask only whether they are there, with their bits
    pub(super) texts: Vec<(Filled<'a>, u32)>,
}

/// Whether the rows of a column have a value.
pub(super) struct Filled<'a>(Option<&'a ArrayRef>);

impl<'a> Filled<'a> {
    pub(super) fn of(batch: &'a EventBatch, name: &str) -> Filled<'a> {
        let column = batch.records.column_by_name(name);
        // Only what the event's view reads too.
        Filled(
            column
                .filter(|column| column.null_count() < column.len() && column.as_string_view_opt().is_some()),
        )
    }

    pub(super) fn has(&self, row: usize) -> bool {
        self.0.is_some_and(|column| column.is_valid(row))
    }
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a EventBatch, shown: &Shown) -> Columns<'a> {
        let texts = [
            (shown.error_message, "error_message", ERROR_MESSAGE),
            (shown.credential, "credential", CREDENTIAL),
            (shown.session_name, "session_name", SESSION_NAME),
            (shown.source_ip, "source_ip", SOURCE_IP),
            (shown.user_agent, "user_agent", USER_AGENT),
        ];
        let texts = texts.into_iter().filter(|(is_read, ..)| *is_read);
        let of = |name| Codes::of(&batch.records, name);
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
            error_message: Filled::of(batch, "error_message"),
            texts: texts.map(|(_, name, bit)| (Filled::of(batch, name), bit)).collect(),
        }
    }
}
