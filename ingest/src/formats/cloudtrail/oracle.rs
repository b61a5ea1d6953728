//! The slow and obvious reader of a record, by `serde_json`: what the fast one must agree with.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::quarantine::reason;

/// A string, borrowed where it has no escapes. A lone surrogate becomes U+FFFD: a caller who puts one into his user
/// agent must not make his call unreadable.
#[derive(Debug)]
struct Text<'a>(Cow<'a, str>);

/// `true` or `"true"`: CloudTrail writes both.
#[derive(Debug)]
struct Flag(bool);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
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
    #[serde(borrow, default, deserialize_with = "object")]
    user_identity: Option<UserIdentity<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    tls_details: Option<TlsDetails<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    addendum: Option<Addendum<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    insight_details: Option<InsightDetails<'a>>,
    #[serde(borrow)]
    resources: Option<Vec<Element<'a>>>,
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
struct UserIdentity<'a> {
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
    #[serde(borrow, default, deserialize_with = "object")]
    session_context: Option<SessionContext<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    on_behalf_of: Option<OnBehalfOf<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    in_scope_of: Option<InScopeOf<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext<'a> {
    #[serde(borrow, default, deserialize_with = "object")]
    session_issuer: Option<Issuer<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
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
struct Issuer<'a> {
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

/// What a record says, field by field, or the reason for which it is refused.
pub(super) fn read(text: &str) -> Result<Vec<Option<String>>, &'static str> {
    let record: Record<'_> = serde_json::from_str(text).map_err(|error| {
        if !error.is_data() {
            reason::BAD_JSON
        } else if error.to_string().starts_with("duplicate field") {
            reason::DUPLICATE_KEY
        } else {
            reason::WRONG_TYPE
        }
    })?;
    Ok(record.told())
}

impl Record<'_> {
    fn told(&self) -> Vec<Option<String>> {
        let mut told = Told(Vec::new());
        told.texts([
            &self.event_id,
            &self.shared_event_id,
            &self.event_time,
            &self.event_source,
            &self.event_name,
            &self.event_type,
            &self.event_category,
            &self.api_version,
            &self.aws_region,
            &self.recipient_account_id,
            &self.request_id,
            &self.source_ip,
            &self.user_agent,
            &self.error_code,
            &self.error_message,
            &self.vpc_endpoint_id,
        ]);
        told.flags([&self.management_event, &self.read_only, &self.session_credential_from_console]);
        let identity = self.user_identity.as_ref();
        let session = identity.and_then(|identity| identity.session_context.as_ref());
        let issuer = session.and_then(|session| session.session_issuer.as_ref());
        let attributes = session.and_then(|session| session.attributes.as_ref());
        let scope = identity.and_then(|identity| identity.in_scope_of.as_ref());
        let behalf = identity.and_then(|identity| identity.on_behalf_of.as_ref());
        let insight = self.insight_details.as_ref();
        told.is(identity.is_some());
        told.is(issuer.is_some());
        if let Some(of) = identity {
            told.texts([
                &of.kind,
                &of.principal_id,
                &of.arn,
                &of.account_id,
                &of.access_key_id,
                &of.user_name,
                &of.invoked_by,
                &of.identity_provider,
            ]);
        }
        if let Some(of) = session {
            told.texts([&of.source_identity, &of.sign_in_session_arn]);
        }
        if let Some(of) = issuer {
            told.texts([&of.arn, &of.principal_id, &of.account_id]);
        }
        if let Some(of) = attributes {
            told.texts([&of.creation_date]);
            told.flags([&of.mfa_authenticated]);
        }
        if let Some(of) = scope {
            told.texts([&of.credentials_issued_to, &of.source_arn, &of.issuer_type]);
        }
        if let Some(of) = behalf {
            told.texts([&of.user_id]);
        }
        if let Some(of) = insight {
            told.texts([&of.event_source, &of.event_name]);
        }
        if let Some(of) = &self.tls_details {
            told.texts([&of.tls_version]);
        }
        if let Some(of) = &self.addendum {
            told.texts([&of.reason]);
        }
        let federation = session.and_then(|session| session.web_id_federation_data);
        for raw in [
            self.request_parameters,
            self.response_elements,
            self.additional_event_data,
            self.event_context,
            federation,
        ] {
            told.0.push(raw.map(|raw| raw.get().to_owned()));
        }
        for resource in self.resources.iter().flatten().filter_map(|element| element.0.as_ref()) {
            told.0.extend(
                resource.arn.iter().filter(|arn| !arn.0.is_empty()).map(|arn| Some(arn.0.to_string())),
            );
        }
        told.0
    }
}

struct Told(Vec<Option<String>>);

impl Told {
    fn texts<const N: usize>(&mut self, texts: [&Option<Text<'_>>; N]) {
        self.0.extend(texts.map(|text| text.as_ref().map(|text| text.0.to_string())));
    }

    fn flags<const N: usize>(&mut self, flags: [&Option<Flag>; N]) {
        self.0.extend(flags.map(|flag| flag.as_ref().map(|flag| flag.0.to_string())));
    }

    fn is(&mut self, is: bool) {
        self.0.push(Some(is.to_string()));
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

/// An element of a list of objects.
#[derive(Debug)]
struct Element<'a>(Option<Resource<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

/// An object, or null. The derived readers alone would take a list, its elements for the fields in their order.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct Seen<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Seen<T> {
        type Value = Option<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    deserializer.deserialize_any(Seen(std::marker::PhantomData))
}
