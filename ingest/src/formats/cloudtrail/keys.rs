//! The keys of a CloudTrail record that matter, and how one is confirmed with a single comparison.
//!
//! CloudTrail writes its keys in a stable order, so a key is not searched for but *expected*: the next 32 bytes of the
//! text are compared with `"eventName":`, quotes and colon included. Each table lists its keys in that order; one that
//! comes in another place is found a little further ahead, or by its name.
//! Contents: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use wide::u8x32;

use super::scan::WINDOW;

/// Names a field of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Slot {
    EventTime,
    EventSource,
    EventName,
    AwsRegion,
    SourceIp,
    UserAgent,
    ErrorCode,
    ErrorMessage,
    Request,
    Response,
    Additional,
    RequestId,
    EventId,
    ReadOnly,
    SharedEventId,
    EventContext,
    // What repeats stands side by side: see `repeats`.
    EventType,
    ApiVersion,
    ManagementEvent,
    RecipientAccount,
    VpcEndpointId,
    EventCategory,
    FromConsole,
    TlsVersion,
    Kind,
    PrincipalId,
    Arn,
    AccountId,
    AccessKeyId,
    UserName,
    InvokedBy,
    IdentityProvider,
    OnBehalfOf,
    CredentialsIssuedTo,
    SourceArn,
    IssuerType,
    IssuerPrincipalId,
    IssuerArn,
    IssuerAccountId,
    MfaAuthenticated,
    CreationDate,
    SourceIdentity,
    SignInSession,
    Federation,
    AddendumReason,
    InsightSource,
    InsightName,
    // What we write of it ourselves: see `made`.
    Category,
    Actor,
    Person,
    Workload,
    // From here on a slot has no text of its own: it tells that the object was there, or that its key came before.
    Identity,
    SessionContext,
    Issuer,
    Attributes,
    OnBehalfOfObject,
    InScopeOf,
    Tls,
    Addendum,
    Insight,
    Resources,
    ResourceArn,
}

/// How many slots hold text.
pub(super) const SLOTS: usize = Slot::Identity as usize;

impl Slot {
    pub(super) const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// What the value of a key is.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Text,
    Flag,
    /// Kept as it is written.
    Raw,
    Object(&'static [Key]),
    Resources,
    /// The ARN of one resource.
    Arn,
    /// Only in the table so that what follows it is expected.
    Skip,
    /// A key that no event has: the object is a file of records, or a digest.
    Marker,
}

/// A known key, with what its comparison needs.
pub(super) struct Key {
    pub name: &'static str,
    pub slot: Slot,
    pub target: Target,
    /// `"name":`, padded with zeros; only the bytes that `mask` selects are compared.
    pattern: [u8; WINDOW],
    mask: u32,
    /// Of the pattern.
    pub length: usize,
}

impl Key {
    /// Whether `window` begins with this key, written without white space.
    #[inline(always)]
    pub(super) fn begins(&self, window: &[u8; WINDOW]) -> bool {
        let equal = u8x32::new(*window).simd_eq(u8x32::new(self.pattern));
        equal.to_bitmask() & self.mask == self.mask
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
const fn key(name: &'static str, slot: Slot, target: Target) -> Key {
    let bytes = name.as_bytes();
    let length = bytes.len() + 3;
    assert!(length <= 31);
    let mut pattern = [0; WINDOW];
    let mut at = 0;
    // A `const fn` has no `for`.
    while at < bytes.len() {
        pattern[at + 1] = bytes[at];
        at += 1;
    }
    pattern[0] = b'"';
    pattern[bytes.len() + 1] = b'"';
    pattern[bytes.len() + 2] = b':';
    Key { name, slot, target, pattern, mask: (1 << length) - 1, length }
}

const fn text(name: &'static str, slot: Slot) -> Key {
    key(name, slot, Target::Text)
}

const fn flag(name: &'static str, slot: Slot) -> Key {
    key(name, slot, Target::Flag)
}

const fn raw(name: &'static str, slot: Slot) -> Key {
    key(name, slot, Target::Raw)
}

/// The slot of a key without one is never looked at.
const fn skip(name: &'static str) -> Key {
    key(name, Slot::ResourceArn, Target::Skip)
}

const fn marker(name: &'static str) -> Key {
    key(name, Slot::ResourceArn, Target::Marker)
}

const fn object(name: &'static str, slot: Slot, keys: &'static [Key]) -> Key {
    key(name, slot, Target::Object(keys))
}

pub(super) static RECORD: &[Key] = &[
    skip("eventVersion"),
    object("userIdentity", Slot::Identity, USER_IDENTITY),
    text("eventTime", Slot::EventTime),
    text("eventSource", Slot::EventSource),
    text("eventName", Slot::EventName),
    text("awsRegion", Slot::AwsRegion),
    text("sourceIPAddress", Slot::SourceIp),
    text("userAgent", Slot::UserAgent),
    text("errorCode", Slot::ErrorCode),
    text("errorMessage", Slot::ErrorMessage),
    raw("requestParameters", Slot::Request),
    raw("responseElements", Slot::Response),
    raw("additionalEventData", Slot::Additional),
    text("requestID", Slot::RequestId),
    text("eventID", Slot::EventId),
    flag("readOnly", Slot::ReadOnly),
    key("resources", Slot::Resources, Target::Resources),
    text("eventType", Slot::EventType),
    text("apiVersion", Slot::ApiVersion),
    flag("managementEvent", Slot::ManagementEvent),
    text("recipientAccountId", Slot::RecipientAccount),
    text("sharedEventID", Slot::SharedEventId),
    skip("serviceEventDetails"),
    text("vpcEndpointId", Slot::VpcEndpointId),
    skip("vpcEndpointAccountId"),
    text("eventCategory", Slot::EventCategory),
    raw("eventContext", Slot::EventContext),
    object("tlsDetails", Slot::Tls, TLS_DETAILS),
    flag("sessionCredentialFromConsole", Slot::FromConsole),
    object("addendum", Slot::Addendum, ADDENDUM),
    object("insightDetails", Slot::Insight, INSIGHT_DETAILS),
    // The names under which others list records, as the cutter knows them.
    marker("Records"),
    marker("records"),
    marker("value"),
    marker("entries"),
    marker("Events"),
    marker("logEvents"),
    marker("receivedMessages"),
    marker("Messages"),
    marker("digestStartTime"),
    marker("digestEndTime"),
];

static USER_IDENTITY: &[Key] = &[
    text("type", Slot::Kind),
    text("principalId", Slot::PrincipalId),
    text("arn", Slot::Arn),
    text("accountId", Slot::AccountId),
    text("accessKeyId", Slot::AccessKeyId),
    text("userName", Slot::UserName),
    object("sessionContext", Slot::SessionContext, SESSION_CONTEXT),
    text("invokedBy", Slot::InvokedBy),
    text("identityProvider", Slot::IdentityProvider),
    object("onBehalfOf", Slot::OnBehalfOfObject, ON_BEHALF_OF),
    object("inScopeOf", Slot::InScopeOf, IN_SCOPE_OF),
];

static SESSION_CONTEXT: &[Key] = &[
    object("sessionIssuer", Slot::Issuer, SESSION_ISSUER),
    raw("webIdFederationData", Slot::Federation),
    object("attributes", Slot::Attributes, SESSION_ATTRIBUTES),
    text("sourceIdentity", Slot::SourceIdentity),
    text("signInSessionArn", Slot::SignInSession),
];

static SESSION_ISSUER: &[Key] = &[
    skip("type"),
    text("principalId", Slot::IssuerPrincipalId),
    text("arn", Slot::IssuerArn),
    text("accountId", Slot::IssuerAccountId),
    skip("userName"),
];

static SESSION_ATTRIBUTES: &[Key] =
    &[text("creationDate", Slot::CreationDate), flag("mfaAuthenticated", Slot::MfaAuthenticated)];

static ON_BEHALF_OF: &[Key] = &[text("userId", Slot::OnBehalfOf)];

static IN_SCOPE_OF: &[Key] = &[
    text("sourceArn", Slot::SourceArn),
    text("issuerType", Slot::IssuerType),
    text("credentialsIssuedTo", Slot::CredentialsIssuedTo),
];

static TLS_DETAILS: &[Key] =
    &[text("tlsVersion", Slot::TlsVersion), skip("cipherSuite"), skip("clientProvidedHostHeader")];

static ADDENDUM: &[Key] = &[text("reason", Slot::AddendumReason)];

static INSIGHT_DETAILS: &[Key] =
    &[text("eventSource", Slot::InsightSource), text("eventName", Slot::InsightName)];

/// `ARNPrefix`, which stands in the place of an object's ARN in lists, names no resource and is left out.
pub(super) static RESOURCE: &[Key] =
    &[skip("accountId"), skip("type"), key("ARN", Slot::ResourceArn, Target::Arn)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::wraps::LISTS;

    #[test]
    fn every_list_of_records_is_marked() {
        let marked =
            |name: &str| RECORD.iter().any(|key| key.name == name && matches!(key.target, Target::Marker));
        for name in LISTS {
            assert!(marked(name), "{name}");
        }
        assert!(!marked("eventName"));
    }
}
