//! `remit tool decide`: one request with its policies in, one decision out

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::aws::{
    Decision, Kind, Layers, OnResource, Policy, Principal, Request, account_of, decide as weigh,
};
use crate::context::{Context, Fact};
use crate::wildcard::Target;

/// Answers one request. A bad one is answered with its `id` and an `error`, a policy that AWS would not store included.
///
/// `input`: `{id, request: {principal, action, resource: {arn, account}, context, unknown_keys}, identity_policies,
/// boundaries, session_policies, scps, rcps, resource_policy, endpoint_policies}`.
///
/// What is left out does not exist: no boundary, no session policy, no organisation, no endpoint, no policy on the
/// resource. No identity policies grant nothing. A level of `scps` that is an empty list allows nothing. Beside what
/// `context` carries, the keys are filled in that AWS derives from the principal ([`Principal::tell`]) and
/// `aws:ResourceAccount`; any other key is absent unless `unknown_keys` lists it (`aws:PrincipalTag/*` for a family).
#[must_use]
pub fn decide(input: &Value) -> Value {
    let id = input.get("id").cloned().unwrap_or(Value::Null);
    match answer(input) {
        Ok(decision) => {
            let decisive: Vec<Value> = decision
                .decisive
                .iter()
                .map(|one| json!({"layer": one.layer, "policy": one.policy, "statement": one.statement}))
                .collect();
            json!({
                "id": id,
                "decision": decision.effect.as_str(),
                "blocked_by": decision.blocked_by,
                "decisive": decisive,
                "missing_keys": decision.missing_keys,
            })
        }
        Err(error) => json!({"id": id, "error": error}),
    }
}

fn answer(input: &Value) -> Result<Decision, String> {
    let Value::Object(input) = input else { return Err("a line is a JSON object".into()) };
    let asked = input.get("request").ok_or("`request` is missing")?;
    let action =
        asked.get("action").and_then(Value::as_str).ok_or("`request.action` is missing or no text")?;
    let (arn, account) = resource(asked)?;
    let principal = principal(asked)?;
    let context = context(asked, principal.as_ref(), account.or_else(|| account_of(arn)))?;
    let mut request = Request::new(action, Target::Exact(arn), &context);
    request.principal = principal.as_ref();
    request.resource_account = account;

    let identity = policies(input, "identity_policies", Kind::Identity)?;
    let boundaries = policies(input, "boundaries", Kind::Identity)?;
    let session = policies(input, "session_policies", Kind::Session)?;
    let scps = levels(input, "scps", Kind::ServiceControl)?;
    let rcps = levels(input, "rcps", Kind::ResourceControl)?;
    let endpoint = policies(input, "endpoint_policies", Kind::Endpoint)?;
    let own = match input.get("resource_policy") {
        None | Some(Value::Null) => None,
        // A trust policy is the one that names no resource, of roles alone.
        Some(document) if is_role(arn) => Some(Arc::new(policy(Kind::Trust, "resource_policy", document)?)),
        Some(document) => Some(Arc::new(policy(Kind::Resource, "resource_policy", document)?)),
    };
    let layers = Layers {
        identity: &identity,
        boundary: (!boundaries.is_empty()).then_some(boundaries.as_slice()),
        session: (!session.is_empty()).then_some(session.as_slice()),
        scps: &scps,
        rcps: &rcps,
        resource: own.as_ref().map_or(OnResource::None, OnResource::Policy),
        endpoint: &endpoint,
        unjudged: &[],
    };
    Ok(weigh(&layers, &request))
}

fn is_role(arn: &str) -> bool {
    crate::arn::Arn::parse(arn).is_some_and(|arn| arn.service == "iam" && arn.resource.starts_with("role/"))
}

/// ARN and account; `*` where the action knows no resource.
fn resource(asked: &Value) -> Result<(&str, Option<&str>), String> {
    let text = |value: &'_ Value, key: &str| match value.get(key) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err(format!("`request.resource.{key}` must be a text")),
    };
    match asked.get("resource") {
        None | Some(Value::Null) => Ok(("*", None)),
        Some(Value::String(arn)) => Ok((arn, None)),
        Some(resource @ Value::Object(_)) => {
            text(resource, "arn")?;
            text(resource, "account")?;
            let arn = resource.get("arn").and_then(Value::as_str).unwrap_or("*");
            let account =
                resource.get("account").and_then(Value::as_str).filter(|account| !account.is_empty());
            Ok((arn, account))
        }
        Some(_) => Err("`request.resource` must be an object with `arn` and `account`".into()),
    }
}

fn principal(asked: &Value) -> Result<Option<Principal>, String> {
    let fault = || {
        "`request.principal` must be an ARN, {\"service\": \"...\"}, {\"federated\": \"...\"} or {\"anonymous\": true}"
            .to_owned()
    };
    match asked.get("principal") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(arn)) => Principal::parse(arn).map(Some).map_err(|error| error.to_string()),
        Some(Value::Object(form)) => {
            let text = |key: &str| form.get(key).and_then(Value::as_str);
            if form.get("anonymous") == Some(&Value::Bool(true)) {
                Ok(Some(Principal::anonymous()))
            } else if let Some(service) = text("service") {
                Ok(Some(Principal::service(service)))
            } else if let Some(provider) = text("federated") {
                Ok(Some(Principal::federated(provider)))
            } else if let Some(arn) = text("arn").or_else(|| text("aws")).or_else(|| text("AWS")) {
                Principal::parse(arn).map(Some).map_err(|error| error.to_string())
            } else {
                Err(fault())
            }
        }
        Some(_) => Err(fault()),
    }
}

/// What the request carries, over what AWS derives, under what is said to be unknown.
fn context(asked: &Value, principal: Option<&Principal>, owner: Option<&str>) -> Result<Context, String> {
    let mut context = Context::complete();
    if let Some(principal) = principal {
        principal.tell(&mut context);
    }
    if let Some(owner) = owner {
        context.set("aws:ResourceAccount", Fact::one(owner));
    }
    match asked.get("context") {
        None | Some(Value::Null) => {}
        Some(Value::Object(keys)) => {
            for (key, value) in keys {
                context.set(key, fact(key, value)?);
            }
        }
        Some(_) => return Err("`request.context` must be an object of keys".into()),
    }
    for key in unknown_keys(asked)? {
        context.set(key, Fact::Unknown);
    }
    Ok(context)
}

fn unknown_keys(asked: &Value) -> Result<Vec<&str>, String> {
    let fault = || "`request.unknown_keys` must be a list of keys".to_owned();
    match asked.get("unknown_keys") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(keys)) => keys.iter().map(|key| key.as_str().ok_or_else(fault)).collect(),
        Some(_) => Err(fault()),
    }
}

fn fact(key: &str, value: &Value) -> Result<Fact, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(format!("`request.context.{key}` must be a text or a list of texts")),
    };
    match value {
        // A key without a value is a key that the request does not carry.
        Value::Null => Ok(Fact::Absent),
        Value::Array(values) => values.iter().map(text).collect::<Result<_, _>>().map(Fact::Values),
        value => text(value).map(Fact::one),
    }
}

fn list<'a>(input: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], String> {
    match input.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("`{key}` must be a list")),
    }
}

fn policies(input: &Map<String, Value>, key: &str, kind: Kind) -> Result<Vec<Arc<Policy>>, String> {
    read(key, list(input, key)?, kind)
}

fn levels(input: &Map<String, Value>, key: &str, kind: Kind) -> Result<Vec<Vec<Arc<Policy>>>, String> {
    let mut levels = Vec::new();
    for (level, documents) in list(input, key)?.iter().enumerate() {
        let Value::Array(documents) = documents else {
            return Err(format!("`{key}[{level}]` must be a list of documents"));
        };
        levels.push(read(&format!("{key}[{level}]"), documents, kind)?);
    }
    Ok(levels)
}

fn read(key: &str, documents: &[Value], kind: Kind) -> Result<Vec<Arc<Policy>>, String> {
    let read = |(index, document)| policy(kind, &format!("{key}[{index}]"), document).map(Arc::new);
    documents.iter().enumerate().map(read).collect()
}

fn policy(kind: Kind, name: &str, document: &Value) -> Result<Policy, String> {
    let policy = match document {
        Value::String(text) => Policy::parse_as(kind, name, text),
        document => Policy::from_json_as(kind, name, document),
    };
    policy.map_err(|error| error.to_string())
}
