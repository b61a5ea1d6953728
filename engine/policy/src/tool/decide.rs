//! `remit tool decide`: one request with its policies in, one decision out

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::aws::{Answer, Decision, Layers, Policy, Request, decide as weigh};
use crate::context::Context;
use crate::wildcard::Target;

/// Answers one request. A bad one is answered with its `id` and an `error`.
///
/// `input`: `{id, request: {principal, action, resource: {arn}}, identity_policies, boundaries, session_policies,
/// scps, rcps, resource_policy, endpoint_policies}`. Resource, endpoint and resource control policies are not judged
/// yet: where one is given, the answer is `Unknown` unless another layer denies explicitly.
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
    let request = input.get("request").ok_or("`request` is missing")?;
    let action =
        request.get("action").and_then(Value::as_str).ok_or("`request.action` is missing or no text")?;
    let resource = match request.get("resource") {
        None | Some(Value::Null) => "*",
        Some(Value::String(arn)) => arn,
        Some(resource) => resource
            .get("arn")
            .and_then(Value::as_str)
            .ok_or("`request.resource.arn` is missing or no text")?,
    };
    let identity = policies(input, "identity_policies")?;
    let boundaries = policies(input, "boundaries")?;
    let session = policies(input, "session_policies")?;
    let mut scps = Vec::new();
    for (level, documents) in list(input, "scps")?.iter().enumerate() {
        let Value::Array(documents) = documents else {
            return Err(format!("`scps[{level}]` must be a list of documents"));
        };
        scps.push(read(&format!("scps[{level}]"), documents)?);
    }
    let mut unjudged = Vec::new();
    if !list(input, "rcps")?.is_empty() {
        unjudged.push("rcp");
    }
    if !list(input, "endpoint_policies")?.is_empty() {
        unjudged.push("endpoint");
    }
    if !matches!(input.get("resource_policy"), None | Some(Value::Null)) {
        unjudged.push("resource");
    }
    // The root user needs no policy, and what it may not do depends on the account.
    if request.get("principal").and_then(Value::as_str).is_some_and(|arn| arn.ends_with(":root")) {
        unjudged.push("identity");
    }
    let layers = Layers {
        identity: &identity,
        boundary: (!boundaries.is_empty()).then_some(boundaries.as_slice()),
        session: (!session.is_empty()).then_some(session.as_slice()),
        scps: &scps,
        unjudged: &unjudged,
    };
    if action.eq_ignore_ascii_case("sts:GetCallerIdentity") {
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html: needs no permission, and cannot be denied.
        return Ok(Decision {
            effect: Answer::Allowed,
            blocked_by: Vec::new(),
            decisive: Vec::new(),
            missing_keys: Vec::new(),
        });
    }
    Ok(weigh(&layers, &Request { action, resource: Target::Exact(resource), context: &Context::partial() }))
}

fn list<'a>(input: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], String> {
    match input.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("`{key}` must be a list")),
    }
}

fn policies(input: &Map<String, Value>, key: &str) -> Result<Vec<Arc<Policy>>, String> {
    read(key, list(input, key)?)
}

fn read(key: &str, documents: &[Value]) -> Result<Vec<Arc<Policy>>, String> {
    let mut policies = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        let name = format!("{key}[{index}]");
        let policy = match document {
            Value::String(text) => Policy::parse(&name, text),
            document => Policy::from_json(&name, document),
        };
        policies.push(Arc::new(policy.map_err(|error| error.to_string())?));
    }
    Ok(policies)
}
