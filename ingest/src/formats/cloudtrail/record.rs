//! One CloudTrail record as it is written, borrowed from its text.
//!
//! Only what becomes a column is named; large parts stay raw. A field told twice is refused by the derived readers.
//! Contents: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// A string, borrowed where it has no escapes. A lone surrogate becomes U+FFFD: a caller who puts one into his user
/// agent must not make his call unreadable.
#[derive(Debug)]
pub(crate) struct Text<'a>(Cow<'a, str>);

/// `true` or `"true"`: CloudTrail writes both.
#[derive(Debug)]
pub(crate) struct Flag(bool);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record<'a> {
    #[serde(borrow, rename = "eventID")]
    event_id: Option<Text<'a>>,
    #[serde(borrow, rename = "sharedEventID")]
    shared_event_id: Option<Text<'a>>,
    #[serde(borrow)]
    event_time: Option<Text<'a>>,
    #[serde(borrow)]
    event_source: Option<Text<'a>>,
    #[serde(borrow)]
    event_name: Option<Text<'a>>,
    #[serde(borrow)]
    event_type: Option<Text<'a>>,
    #[serde(borrow)]
    event_category: Option<Text<'a>>,
    management_event: Option<Flag>,
    #[serde(borrow)]
    api_version: Option<Text<'a>>,
    #[serde(borrow)]
    aws_region: Option<Text<'a>>,
    #[serde(borrow)]
    recipient_account_id: Option<Text<'a>>,
    #[serde(borrow, rename = "requestID")]
    request_id: Option<Text<'a>>,
    #[serde(borrow, rename = "sourceIPAddress")]
    source_ip: Option<Text<'a>>,
    #[serde(borrow)]
    user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    error_code: Option<Text<'a>>,
    #[serde(borrow)]
    error_message: Option<Text<'a>>,
    #[serde(borrow)]
    vpc_endpoint_id: Option<Text<'a>>,
    read_only: Option<Flag>,
    session_credential_from_console: Option<Flag>,
    #[serde(borrow)]
    pub(crate) user_identity: Option<UserIdentity<'a>>,
    #[serde(borrow)]
    tls_details: Option<TlsDetails<'a>>,
    #[serde(borrow)]
    addendum: Option<Addendum<'a>>,
    #[serde(borrow)]
    insight_details: Option<InsightDetails<'a>>,
    #[serde(borrow)]
    resources: Option<Vec<Option<Resource<'a>>>>,
    #[serde(borrow)]
    request_parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    response_elements: Option<&'a RawValue>,
    #[serde(borrow)]
    additional_event_data: Option<&'a RawValue>,
    #[serde(borrow)]
    event_context: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserIdentity<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    principal_id: Option<Text<'a>>,
    #[serde(borrow)]
    arn: Option<Text<'a>>,
    #[serde(borrow)]
    account_id: Option<Text<'a>>,
    #[serde(borrow)]
    access_key_id: Option<Text<'a>>,
    #[serde(borrow)]
    user_name: Option<Text<'a>>,
    #[serde(borrow)]
    invoked_by: Option<Text<'a>>,
    #[serde(borrow)]
    identity_provider: Option<Text<'a>>,
    #[serde(borrow)]
    session_context: Option<SessionContext<'a>>,
    #[serde(borrow)]
    on_behalf_of: Option<OnBehalfOf<'a>>,
    #[serde(borrow)]
    in_scope_of: Option<InScopeOf<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext<'a> {
    #[serde(borrow)]
    session_issuer: Option<Issuer<'a>>,
    #[serde(borrow)]
    attributes: Option<SessionAttributes<'a>>,
    #[serde(borrow)]
    source_identity: Option<Text<'a>>,
    #[serde(borrow)]
    sign_in_session_arn: Option<Text<'a>>,
    #[serde(borrow)]
    web_id_federation_data: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issuer<'a> {
    #[serde(borrow)]
    arn: Option<Text<'a>>,
    #[serde(borrow)]
    principal_id: Option<Text<'a>>,
    #[serde(borrow)]
    account_id: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionAttributes<'a> {
    mfa_authenticated: Option<Flag>,
    #[serde(borrow)]
    creation_date: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnBehalfOf<'a> {
    #[serde(borrow)]
    user_id: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InScopeOf<'a> {
    #[serde(borrow)]
    credentials_issued_to: Option<Text<'a>>,
    #[serde(borrow)]
    source_arn: Option<Text<'a>>,
    #[serde(borrow)]
    issuer_type: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TlsDetails<'a> {
    #[serde(borrow)]
    tls_version: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Addendum<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InsightDetails<'a> {
    #[serde(borrow)]
    event_source: Option<Text<'a>>,
    #[serde(borrow)]
    event_name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Resource<'a> {
    // `ARNPrefix`, which stands in the place of an object's ARN in lists, names no resource and is left out.
    #[serde(borrow, rename = "ARN")]
    arn: Option<Text<'a>>,
}

/// Text fields: an empty one says as little as a missing one.
macro_rules! texts {
    ($owner:ident: $($name:ident),+) => {
        impl $owner<'_> {
            $(pub(crate) fn $name(&self) -> Option<&str> {
                text(&self.$name)
            })+
        }
    };
}

texts!(Record: event_id, shared_event_id, event_time, event_type, event_category, api_version, aws_region,
    recipient_account_id, request_id, source_ip, user_agent, error_code, error_message, vpc_endpoint_id);
texts!(UserIdentity: principal_id, arn, account_id, access_key_id, user_name, invoked_by, identity_provider);
texts!(Issuer: arn, principal_id, account_id);

fn text<'a>(field: &'a Option<Text<'_>>) -> Option<&'a str> {
    field.as_ref().map(|text| text.0.as_ref()).filter(|text| !text.is_empty())
}

fn flag(field: &Option<Flag>) -> Option<bool> {
    field.as_ref().map(|flag| flag.0)
}

impl<'a> Record<'a> {
    /// The service; an insight names it in its details.
    pub(crate) fn event_source(&self) -> Option<&str> {
        text(&self.event_source).or_else(|| text(&self.insight_details.as_ref()?.event_source))
    }

    pub(crate) fn event_name(&self) -> Option<&str> {
        text(&self.event_name).or_else(|| text(&self.insight_details.as_ref()?.event_name))
    }

    pub(crate) fn management_event(&self) -> Option<bool> {
        flag(&self.management_event)
    }

    pub(crate) fn read_only(&self) -> Option<bool> {
        flag(&self.read_only)
    }

    pub(crate) fn is_from_console(&self) -> bool {
        flag(&self.session_credential_from_console) == Some(true)
    }

    pub(crate) fn tls_version(&self) -> Option<&str> {
        text(&self.tls_details.as_ref()?.tls_version)
    }

    pub(crate) fn addendum(&self) -> Option<&str> {
        text(&self.addendum.as_ref()?.reason)
    }

    pub(crate) fn resources(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().flatten().flatten().filter_map(|resource| text(&resource.arn))
    }

    pub(crate) fn request(&self) -> Option<&'a str> {
        self.request_parameters.map(RawValue::get)
    }

    pub(crate) fn response(&self) -> Option<&'a str> {
        self.response_elements.map(RawValue::get)
    }

    pub(crate) fn additional(&self) -> Option<&'a str> {
        self.additional_event_data.map(RawValue::get)
    }

    pub(crate) fn event_context(&self) -> Option<&'a str> {
        self.event_context.map(RawValue::get)
    }

    /// Whether a second factor was shown: told by the session, or by the sign-in itself.
    pub(crate) fn mfa(&self) -> Option<bool> {
        #[derive(Deserialize)]
        struct SignIn<'a> {
            #[serde(borrow, rename = "MFAUsed")]
            mfa_used: Option<Text<'a>>,
        }
        let session = self.user_identity.as_ref().and_then(|identity| identity.session_context.as_ref());
        let told = session.and_then(|session| flag(&session.attributes.as_ref()?.mfa_authenticated));
        if told.is_some() || self.event_type() != Some("AwsConsoleSignIn") {
            return told;
        }
        let sign_in: SignIn<'_> = serde_json::from_str(self.additional()?).ok()?;
        text(&sign_in.mfa_used).map(|used| used == "Yes")
    }
}

impl<'a> UserIdentity<'a> {
    pub(crate) fn kind(&self) -> &str {
        text(&self.kind).unwrap_or_default()
    }

    pub(crate) fn issuer(&self) -> Option<&Issuer<'a>> {
        self.session_context.as_ref()?.session_issuer.as_ref()
    }

    pub(crate) fn source_identity(&self) -> Option<&str> {
        text(&self.session_context.as_ref()?.source_identity)
    }

    /// The sign-in that the session came from: an agent's client holds it, where the cloud runs its tools.
    pub(crate) fn sign_in_session(&self) -> Option<&str> {
        text(&self.session_context.as_ref()?.sign_in_session_arn)
    }

    /// What the identity provider of a web identity told of the caller: raw JSON, often `{}`.
    pub(crate) fn federation(&self) -> Option<&'a str> {
        self.session_context.as_ref()?.web_id_federation_data.map(RawValue::get)
    }

    pub(crate) fn session_started(&self) -> Option<&str> {
        text(&self.session_context.as_ref()?.attributes.as_ref()?.creation_date)
    }

    pub(crate) fn on_behalf_of(&self) -> Option<&str> {
        text(&self.on_behalf_of.as_ref()?.user_id)
    }

    /// What the credentials were issued to, as exactly as it is told.
    pub(crate) fn workload(&self) -> Option<&str> {
        let scope = self.in_scope_of.as_ref()?;
        text(&scope.credentials_issued_to).or(text(&scope.source_arn)).or(text(&scope.issuer_type))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
                Ok(Text(String::from_utf8_lossy(bytes)))
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        // As bytes: serde_json refuses a lone surrogate in a string, not in bytes.
        deserializer.deserialize_bytes(Seen)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl Visitor<'_> for Seen {
            type Value = Flag;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(value))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Flag, E> {
                match value {
                    "true" | "True" => Ok(Flag(true)),
                    "false" | "False" => Ok(Flag(false)),
                    _ => Err(E::custom("neither true nor false")),
                }
            }
        }
        deserializer.deserialize_any(Seen)
    }
}
