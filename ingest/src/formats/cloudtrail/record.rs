//! One CloudTrail record, read: its fields by name, borrowed from the text that it was read from.

use serde::Deserialize;

use super::keys::Slot;
use super::slots::{Marks, Span, Spans};
use crate::keys::Keys;

/// A record, its fields looked up where they stand.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    /// What it was read from, or a copy.
    text: &'a str,
    /// Texts that do not stand in it as they are meant.
    aside: &'a str,
    spans: &'a Spans,
    marks: &'a Marks,
    resources: &'a [(Span, bool)],
}

/// The record's `userIdentity`.
#[derive(Clone, Copy)]
pub(crate) struct UserIdentity<'a>(Record<'a>);

/// The role or user whose credentials began the session.
#[derive(Clone, Copy)]
pub(crate) struct Issuer<'a>(Record<'a>);

/// Text fields.
macro_rules! texts {
    ($owner:ident: $($name:ident = $slot:ident),+) => {
        impl<'a> $owner<'a> {
            $(#[inline]
            pub(crate) fn $name(&self) -> Option<&'a str> {
                self.get(Slot::$slot)
            })+
        }
    };
}

texts!(Record: event_id = EventId, shared_event_id = SharedEventId, event_time = EventTime, event_type = EventType,
    event_category = EventCategory, api_version = ApiVersion, aws_region = AwsRegion,
    recipient_account_id = RecipientAccount, request_id = RequestId, source_ip = SourceIp, user_agent = UserAgent,
    error_code = ErrorCode, error_message = ErrorMessage, vpc_endpoint_id = VpcEndpointId, tls_version = TlsVersion,
    addendum = AddendumReason);
texts!(UserIdentity: principal_id = PrincipalId, arn = Arn, account_id = AccountId, access_key_id = AccessKeyId,
    user_name = UserName, invoked_by = InvokedBy, source_identity = SourceIdentity, session_started = CreationDate,
    on_behalf_of = OnBehalfOf, identity_provider = IdentityProvider, sign_in_session = SignInSession);
texts!(Issuer: arn = IssuerArn, principal_id = IssuerPrincipalId, account_id = IssuerAccountId);

impl<'a> Record<'a> {
    /// `spans` and `resources` are places in the two texts.
    #[inline(always)]
    pub(super) fn new(
        text: &'a str,
        aside: &'a str,
        spans: &'a Spans,
        marks: &'a Marks,
        resources: &'a [(Span, bool)],
    ) -> Self {
        Self { text, aside, spans, marks, resources }
    }

    /// A text, its escapes resolved and never empty, or a raw value as it is written.
    #[inline(always)]
    pub(super) fn get(&self, slot: Slot) -> Option<&'a str> {
        let span = self.spans.get(slot as usize).filter(|_| self.marks.has(slot))?;
        Some(self.of((*span, self.marks.is_aside(slot))))
    }

    #[inline(always)]
    fn of(&self, (span, is_aside): (Span, bool)) -> &'a str {
        span.of(if is_aside { self.aside } else { self.text })
    }

    pub(crate) fn user_identity(&self) -> Option<UserIdentity<'a>> {
        self.marks.has(Slot::Identity).then_some(UserIdentity(*self))
    }

    /// The service; an insight names it in its details.
    pub(crate) fn event_source(&self) -> Option<&'a str> {
        self.either(Slot::EventSource, Slot::InsightSource)
    }

    pub(crate) fn event_name(&self) -> Option<&'a str> {
        self.either(Slot::EventName, Slot::InsightName)
    }

    fn either(&self, first: Slot, second: Slot) -> Option<&'a str> {
        self.get(first).or_else(|| self.get(second))
    }

    pub(crate) fn management_event(&self) -> Option<bool> {
        self.marks.flag(Slot::ManagementEvent)
    }

    pub(crate) fn read_only(&self) -> Option<bool> {
        self.marks.flag(Slot::ReadOnly)
    }

    pub(crate) fn is_from_console(&self) -> bool {
        self.marks.flag(Slot::FromConsole) == Some(true)
    }

    pub(crate) fn resources(&self) -> impl Iterator<Item = &'a str> {
        self.resources.iter().map(|span| self.of(*span))
    }

    pub(crate) fn request(&self) -> Option<&'a str> {
        self.get(Slot::Request)
    }

    /// Whether the caller's key is told: known without a look at it.
    pub(crate) fn has_access_key(&self) -> bool {
        self.marks.has(Slot::AccessKeyId)
    }

    pub(crate) fn request_keys(&self) -> Keys {
        self.marks.request_keys
    }

    pub(crate) fn additional_keys(&self) -> Keys {
        self.marks.additional_keys
    }

    pub(crate) fn response(&self) -> Option<&'a str> {
        self.get(Slot::Response)
    }

    pub(crate) fn additional(&self) -> Option<&'a str> {
        self.get(Slot::Additional)
    }

    pub(crate) fn event_context(&self) -> Option<&'a str> {
        self.get(Slot::EventContext)
    }

    /// Whether a second factor was shown: told by the session, or by the sign-in itself.
    pub(crate) fn mfa(&self) -> Option<bool> {
        #[derive(Deserialize)]
        struct SignIn {
            #[serde(rename = "MFAUsed")]
            mfa_used: Option<String>,
        }
        let told = self.marks.flag(Slot::MfaAuthenticated);
        if told.is_some() || self.event_type() != Some("AwsConsoleSignIn") {
            return told;
        }
        let additional = self.additional()?;
        let sign_in: SignIn = serde_json::from_str(additional).ok()?;
        sign_in.mfa_used.filter(|used| !used.is_empty()).map(|used| used == "Yes")
    }
}

impl<'a> Issuer<'a> {
    fn get(&self, slot: Slot) -> Option<&'a str> {
        self.0.get(slot)
    }
}

impl<'a> UserIdentity<'a> {
    fn get(&self, slot: Slot) -> Option<&'a str> {
        self.0.get(slot)
    }

    pub(crate) fn kind(&self) -> &'a str {
        self.get(Slot::Kind).unwrap_or_default()
    }

    pub(crate) fn issuer(&self) -> Option<Issuer<'a>> {
        self.0.marks.has(Slot::Issuer).then_some(Issuer(self.0))
    }

    /// What the identity provider of a web identity told of the caller: raw JSON, often `{}`.
    pub(crate) fn federation(&self) -> Option<&'a str> {
        self.get(Slot::Federation)
    }

    /// What the credentials were issued to, as exactly as it is told.
    pub(crate) fn workload(&self) -> Option<&'a str> {
        [Slot::CredentialsIssuedTo, Slot::SourceArn, Slot::IssuerType]
            .into_iter()
            .find_map(|slot| self.get(slot))
    }
}
