//! One CloudTrail record as a row of the event table: what each column holds.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;

use super::keys::Slot;
use super::record::Record;
use super::slots::Slots;
use crate::agent;
use crate::denial;
use crate::event::Columns;
use crate::object::{Place, Unread};
use crate::quarantine::reason;
use crate::redact::Redaction;
use crate::time::{Clock, micros};

/// A record with the columns that it fills, each computed when it is asked for.
pub(crate) struct Row<'a> {
    record: Record<'a>,
    place: Place<'a>,
    time: i64,
    hint: OnceCell<Option<(&'static str, &'static str)>>,
}

impl<'a> Row<'a> {
    /// A record that was found to be an event at `time`.
    #[inline]
    pub(super) fn new(record: Record<'a>, time: i64, place: Place<'a>) -> Self {
        Self { record, place, time, hint: OnceCell::new() }
    }

    pub(crate) fn record(&self) -> &Record<'a> {
        &self.record
    }
}

/// When the event of a record was, if it has all that an event must have.
pub(super) fn time_of(record: &Record<'_>, clock: &mut Clock) -> Result<i64, Unread> {
    let missing = |field: &'static str| Unread::new(reason::MISSING_FIELD, field);
    record.event_id().ok_or_else(|| missing("eventID"))?;
    record.event_source().ok_or_else(|| missing("eventSource"))?;
    record.event_name().ok_or_else(|| missing("eventName"))?;
    let time = record.event_time().ok_or_else(|| missing("eventTime"))?;
    clock.micros(time).ok_or_else(|| Unread::new(reason::BAD_TIME, "eventTime is no time"))
}

/// Writes beside the record what stands nowhere in it as a column has it: JSON without its secrets, names that are put
/// together. So every text of a row can be borrowed. `asked`: the columns that it is for.
#[inline]
pub(super) fn write_aside(slots: &mut Slots, text: &str, asked: &Columns, redact: &Redaction) {
    let raw = [
        (asked.request, Slot::Request),
        (asked.response, Slot::Response),
        (asked.additional, Slot::Additional),
        (asked.event_context, Slot::EventContext),
    ];
    for (_, slot) in raw.into_iter().filter(|(is_asked, _)| *is_asked) {
        if slots.fields.is_veiled(slot) || redact.has_own() {
            let plain = slots.record(text).get(slot).map(|json| redact.text(json));
            if let Some(Cow::Owned(plain)) = plain {
                slots.put(slot, &plain);
            }
        } else {
            slots.put_redacted(slot, text);
        }
    }
    let record = slots.record(text);
    let category = if asked.category { category(&record) } else { None };
    let made = if needs_making(&record) { agent::Made::of(&record, asked) } else { agent::Made::default() };
    if let Some(Cow::Owned(category)) = category {
        slots.put(Slot::Category, &category);
    }
    let agent::Made { actor, on_behalf_of, workload } = made;
    for (slot, text) in [(Slot::Actor, actor), (Slot::Person, on_behalf_of), (Slot::Workload, workload)] {
        if let Some(text) = text {
            slots.put(slot, &text);
        }
    }
}

/// Whether something of the caller may have to be put together: not where a role's session tells its role, as most do.
#[inline]
fn needs_making(record: &Record<'_>) -> bool {
    let is_plain = record.get(Slot::IssuerArn).is_some()
        && record.get(Slot::Kind) == Some("AssumedRole")
        && record.get(Slot::Federation).is_none()
        && record.event_context().is_none();
    !is_plain
}

/// The event's category. Records before version 1.07 do not name it.
fn category<'a>(record: &Record<'a>) -> Option<Cow<'a, str>> {
    let known = match (record.event_category(), record.management_event()) {
        (Some("Management"), _) | (None, Some(true)) => "management",
        (Some("Data"), _) | (None, Some(false)) => "data",
        (Some("NetworkActivity"), _) => "network",
        (Some("Insight"), _) => "insight",
        (None, None) if is_insight(record) => "insight",
        // Kept and shown: a category that we do not know yet is no reason to lose the event.
        (Some(other), _) => return Some(Cow::Owned(other.to_ascii_lowercase())),
        (None, None) => return None,
    };
    Some(Cow::Borrowed(known))
}

fn is_insight(record: &Record<'_>) -> bool {
    record.event_type() == Some("AwsCloudTrailInsight")
}

/// What stands in the record itself; what had to be made was written aside.
fn standing<'a>(text: Option<Cow<'a, str>>) -> Option<&'a str> {
    match text {
        Some(Cow::Borrowed(text)) => Some(text),
        Some(Cow::Owned(_)) | None => None,
    }
}

/// The columns of the event table, each under its name.
impl<'a> Row<'a> {
    pub(crate) fn event_id(&self) -> &'a str {
        self.record.event_id().unwrap_or_default()
    }

    pub(crate) fn shared_event_id(&self) -> Option<&'a str> {
        self.record.shared_event_id()
    }

    pub(crate) fn time(&self) -> Option<i64> {
        Some(self.time)
    }

    /// CloudTrail does not tell when it received a record.
    pub(crate) fn received(&self) -> Option<i64> {
        None
    }

    pub(crate) fn provider(&self) -> Option<&'a str> {
        Some("aws")
    }

    pub(crate) fn account(&self) -> Option<&'a str> {
        self.record
            .user_identity()
            .and_then(|identity| agent::account(&identity))
            .or_else(|| self.record.recipient_account_id())
    }

    pub(crate) fn recipient_account(&self) -> Option<&'a str> {
        self.record.recipient_account_id()
    }

    pub(crate) fn region(&self) -> Option<&'a str> {
        self.record.aws_region()
    }

    pub(crate) fn category(&self) -> Option<&'a str> {
        self.record.get(Slot::Category).or_else(|| standing(category(&self.record)))
    }

    pub(crate) fn service(&self) -> Option<&'a str> {
        self.record.event_source()
    }

    pub(crate) fn operation(&self) -> Option<&'a str> {
        self.record.event_name()
    }

    pub(crate) fn api_version(&self) -> Option<&'a str> {
        self.record.api_version()
    }

    pub(crate) fn read_only(&self) -> Option<bool> {
        self.record.read_only()
    }

    pub(crate) fn event_type(&self) -> Option<&'a str> {
        self.record.event_type()
    }

    pub(crate) fn request_id(&self) -> Option<&'a str> {
        self.record.request_id()
    }

    pub(crate) fn addendum(&self) -> Option<&'a str> {
        self.record.addendum()
    }

    pub(crate) fn outcome(&self) -> Option<&'a str> {
        if is_insight(&self.record) {
            return Some("unknown");
        }
        Some(denial::outcome(self.record.error_code(), self.record.error_message()))
    }

    pub(crate) fn error_code(&self) -> Option<&'a str> {
        self.record.error_code()
    }

    pub(crate) fn error_message(&self) -> Option<&'a str> {
        self.record.error_message()
    }

    pub(crate) fn denied_by(&self) -> Option<&'a str> {
        let (code, message) = (self.record.error_code(), self.record.error_message());
        (self.outcome() == Some("denied")).then(|| denial::denied_by(code, message)).flatten()
    }

    pub(crate) fn actor_type(&self) -> Option<&'a str> {
        self.record.user_identity().map(|identity| identity.kind()).filter(|kind| !kind.is_empty())
    }

    pub(crate) fn actor(&self) -> Option<&'a str> {
        let own = || self.record.user_identity().and_then(|identity| agent::actor(&identity));
        self.record.get(Slot::Actor).or_else(|| standing(own()))
    }

    pub(crate) fn actor_id(&self) -> Option<&'a str> {
        self.record.user_identity().and_then(|identity| agent::actor_id(&identity))
    }

    pub(crate) fn actor_account(&self) -> Option<&'a str> {
        self.record.user_identity().and_then(|identity| agent::actor_account(&identity))
    }

    pub(crate) fn session(&self) -> Option<&'a str> {
        self.record.user_identity().and_then(|identity| agent::session(&identity))
    }

    pub(crate) fn session_name(&self) -> Option<&'a str> {
        self.record.user_identity().and_then(|identity| agent::session_name(&identity))
    }

    pub(crate) fn session_started(&self) -> Option<i64> {
        self.record.user_identity().and_then(|identity| identity.session_started()).and_then(micros)
    }

    pub(crate) fn credential(&self) -> Option<&'a str> {
        self.record.user_identity().and_then(|identity| identity.access_key_id())
    }

    pub(crate) fn credential_kind(&self) -> Option<&'a str> {
        self.record.user_identity().and_then(|identity| agent::credential_kind(&self.record, &identity))
    }

    pub(crate) fn mfa(&self) -> Option<bool> {
        self.record.mfa()
    }

    pub(crate) fn source_identity(&self) -> Option<&'a str> {
        self.record.user_identity().and_then(|identity| identity.source_identity())
    }

    pub(crate) fn invoked_by(&self) -> Option<&'a str> {
        self.record.user_identity().and_then(|identity| identity.invoked_by())
    }

    pub(crate) fn on_behalf_of(&self) -> Option<&'a str> {
        let own = || self.record.user_identity().and_then(|identity| agent::on_behalf_of(&identity));
        self.record.get(Slot::Person).or_else(|| standing(own()))
    }

    pub(crate) fn workload(&self) -> Option<&'a str> {
        let own = || self.record.user_identity().and_then(|identity| agent::workload(&identity, &|| None));
        self.record.get(Slot::Workload).or_else(|| standing(own()))
    }

    pub(crate) fn agent_hint(&self) -> Option<&'a str> {
        self.hint.get_or_init(|| agent::agent_hint(self)).map(|(hint, _)| hint)
    }

    pub(crate) fn agent_evidence(&self) -> Option<&'a str> {
        self.hint.get_or_init(|| agent::agent_hint(self)).map(|(_, evidence)| evidence)
    }

    pub(crate) fn source_ip(&self) -> Option<&'a str> {
        self.record.source_ip()
    }

    pub(crate) fn source_kind(&self) -> Option<&'a str> {
        let source = self.record.source_ip().unwrap_or_default();
        if source.ends_with(".amazonaws.com") || source == "AWS Internal" {
            return Some("service");
        }
        if self.record.vpc_endpoint_id().is_some() {
            return Some("vpce");
        }
        source.parse::<IpAddr>().is_ok().then_some("ip")
    }

    pub(crate) fn vpc_endpoint(&self) -> Option<&'a str> {
        self.record.vpc_endpoint_id()
    }

    pub(crate) fn user_agent(&self) -> Option<&'a str> {
        self.record.user_agent()
    }

    pub(crate) fn tls(&self) -> Option<&'a str> {
        self.record.tls_version()
    }

    pub(crate) fn resources(&self) -> Vec<&'a str> {
        self.record.resources().collect()
    }

    pub(crate) fn request(&self) -> Option<&'a str> {
        self.record.request()
    }

    pub(crate) fn response(&self) -> Option<&'a str> {
        self.record.response()
    }

    pub(crate) fn additional(&self) -> Option<&'a str> {
        self.record.additional()
    }

    pub(crate) fn event_context(&self) -> Option<&'a str> {
        self.record.event_context()
    }

    /// CloudTrail tells only what was refused.
    pub(crate) fn granted(&self) -> Option<&'a str> {
        None
    }

    pub(crate) fn object(&self) -> Option<&'a str> {
        self.place.object
    }

    pub(crate) fn row(&self) -> Option<u32> {
        Some(self.place.row)
    }
}
