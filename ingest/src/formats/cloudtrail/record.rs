//! One CloudTrail record, read: its fields by name, borrowed from the text that it was read from.

use serde::Deserialize;

use super::keys::Slot;
use super::slots::Slots;
use crate::event::Source;

/// A record over its slots.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    text: &'a str,
    slots: &'a Slots,
    pub(crate) user_identity: Option<UserIdentity<'a>>,
}

/// The record's `userIdentity`.
#[derive(Clone, Copy)]
pub(crate) struct UserIdentity<'a> {
    text: &'a str,
    slots: &'a Slots,
}

/// The role or user whose credentials began the session.
#[derive(Clone, Copy)]
pub(crate) struct Issuer<'a> {
    text: &'a str,
    slots: &'a Slots,
}

/// Text fields: an empty one says as little as a missing one.
macro_rules! texts {
    ($owner:ident: $($name:ident = $slot:ident),+) => {
        impl<'a> $owner<'a> {
            $(#[inline]
            pub(crate) fn $name(&self) -> Option<&'a str> {
                text(self.slots.get(self.text, Slot::$slot))
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

fn text(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

impl<'a> Record<'a> {
    /// `text`: what `slots` were read from.
    pub(super) fn new(text: &'a str, slots: &'a Slots) -> Self {
        let user_identity = slots.has(Slot::Identity).then_some(UserIdentity { text, slots });
        Self { text, slots, user_identity }
    }

    /// Where what it says of its caller comes from, if he is known.
    pub(super) fn caller(&self) -> Option<Source> {
        self.slots.caller
    }

    /// The service; an insight names it in its details.
    pub(crate) fn event_source(&self) -> Option<&'a str> {
        self.either(Slot::EventSource, Slot::InsightSource)
    }

    pub(crate) fn event_name(&self) -> Option<&'a str> {
        self.either(Slot::EventName, Slot::InsightName)
    }

    fn either(&self, first: Slot, second: Slot) -> Option<&'a str> {
        text(self.slots.get(self.text, first)).or_else(|| text(self.slots.get(self.text, second)))
    }

    pub(crate) fn management_event(&self) -> Option<bool> {
        self.slots.flag(Slot::ManagementEvent)
    }

    pub(crate) fn read_only(&self) -> Option<bool> {
        self.slots.flag(Slot::ReadOnly)
    }

    pub(crate) fn is_from_console(&self) -> bool {
        self.slots.flag(Slot::FromConsole) == Some(true)
    }

    pub(crate) fn resources(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.slots.resources(self.text)
    }

    pub(crate) fn additional(&self) -> Option<&'a str> {
        self.slots.get(self.text, Slot::Additional)
    }

    pub(crate) fn event_context(&self) -> Option<&'a str> {
        self.slots.get(self.text, Slot::EventContext)
    }

    /// A raw value, and whether a key in it may be a secret's.
    pub(super) fn raw(&self, slot: Slot) -> Option<(&'a str, bool)> {
        Some((self.slots.get(self.text, slot)?, self.slots.may_hide(slot)))
    }

    /// Whether a second factor was shown: told by the session, or by the sign-in itself.
    pub(crate) fn mfa(&self) -> Option<bool> {
        #[derive(Deserialize)]
        struct SignIn {
            #[serde(rename = "MFAUsed")]
            mfa_used: Option<String>,
        }
        let told = self.slots.flag(Slot::MfaAuthenticated);
        if told.is_some() || self.event_type() != Some("AwsConsoleSignIn") {
            return told;
        }
        let additional = self.additional()?;
        let sign_in: SignIn = serde_json::from_str(additional).ok()?;
        sign_in.mfa_used.filter(|used| !used.is_empty()).map(|used| used == "Yes")
    }
}

impl<'a> UserIdentity<'a> {
    pub(crate) fn kind(&self) -> &'a str {
        self.slots.get(self.text, Slot::Kind).unwrap_or_default()
    }

    pub(crate) fn issuer(&self) -> Option<Issuer<'a>> {
        self.slots.has(Slot::Issuer).then_some(Issuer { text: self.text, slots: self.slots })
    }

    /// What the identity provider of a web identity told of the caller: raw JSON, often `{}`.
    pub(crate) fn federation(&self) -> Option<&'a str> {
        self.slots.get(self.text, Slot::Federation)
    }

    /// What the credentials were issued to, as exactly as it is told.
    pub(crate) fn workload(&self) -> Option<&'a str> {
        [Slot::CredentialsIssuedTo, Slot::SourceArn, Slot::IssuerType]
            .into_iter()
            .find_map(|slot| text(self.slots.get(self.text, slot)))
    }
}
