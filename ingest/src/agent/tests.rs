use serde_json::{Value, json};

use crate::{Limits, Redaction, formats::cloudtrail::read_record};

use super::evidence::CLIENTS;
use super::*;

/// The columns of a call by `identity`.
fn call(identity: Value, more: Value) -> Value {
    let mut record = json!({"eventID": "e", "eventTime": "2026-01-05T10:00:00Z", "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject", "recipientAccountId": "999988887777", "userIdentity": identity});
    for (key, value) in more.as_object().unwrap() {
        record[key.as_str()] = value.clone();
    }
    let batch = read_record(&record.to_string(), &Limits::default(), &Redaction::default()).unwrap();
    batch.view().to_json(0)
}

fn role(session: &str) -> Value {
    json!({"type": "AssumedRole", "principalId": format!("AROA1:{session}"), "accountId": "1", "accessKeyId": "ASIA1",
        "arn": format!("arn:aws:sts::1:assumed-role/Bot/{session}"),
        "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::1:role/path/Bot", "principalId": "AROA1", "accountId": "1"}}})
}

#[track_caller]
fn assert_columns(row: &Value, expected: Value) {
    for (column, value) in expected.as_object().unwrap() {
        assert_eq!(row.get(column).unwrap_or(&Value::Null), value, "{column} of {row}");
    }
}

#[test]
fn a_session_acts_as_its_role() {
    let row = call(role("run-7"), json!({}));
    assert_columns(
        &row,
        json!({"actor": "arn:aws:iam::1:role/path/Bot", "actor_id": "AROA1", "session": "ASIA1",
        "session_name": "run-7", "credential_kind": "temporary"}),
    );
}

#[test]
fn a_session_without_its_issuer_gives_the_role_without_its_path() {
    let identity = json!({"type": "AssumedRole", "principalId": "AROA1:s", "arn": "arn:aws-cn:sts::1:assumed-role/Bot/s"});
    assert_columns(
        &call(identity, json!({})),
        json!({"actor": "arn:aws-cn:iam::1:role/Bot", "actor_id": "AROA1", "session_name": "s"}),
    );
    assert_eq!(role_of_session("arn:aws:sts::1:assumed-role/Bot"), Some("arn:aws:iam::1:role/Bot".into()));
    for arn in ["arn:aws:iam::1:role/Bot", "arn:aws:sts::1:assumed-role/", "assumed-role/Bot/s", ""] {
        assert_eq!(role_of_session(arn), None, "{arn}");
    }
}

#[test]
fn each_kind_of_caller_has_its_identity() {
    let cases = [
        (
            json!({"type": "IAMUser", "principalId": "AIDA1", "arn": "arn:aws:iam::1:user/a/bob", "accessKeyId": "AKIA1", "userName": "bob"}),
            json!({"actor": "arn:aws:iam::1:user/a/bob", "actor_id": "AIDA1", "session": null, "credential": "AKIA1", "credential_kind": "long_lived"}),
        ),
        (json!({"type": "Root", "accountId": "1"}), json!({"actor": "arn:aws:iam::1:root"})),
        (
            json!({"type": "FederatedUser", "principalId": "1:web", "arn": "arn:aws:sts::1:federated-user/web", "accessKeyId": "ASIA1",
                "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::1:user/broker", "principalId": "AIDA2"}}}),
            json!({"actor": "arn:aws:iam::1:user/broker", "actor_id": "AIDA2", "session_name": "web"}),
        ),
        (
            json!({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}),
            json!({"actor": "lambda.amazonaws.com", "credential_kind": "service", "account": "999988887777"}),
        ),
        (
            json!({"type": "AWSAccount", "principalId": "AROA9:them", "accountId": "5"}),
            json!({"actor": "AROA9", "actor_id": "AROA9", "account": "5", "session_name": "them"}),
        ),
        (
            json!({"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}),
            json!({"actor": "anonymous", "credential_kind": "anonymous", "account": "999988887777", "actor_account": null}),
        ),
        (
            json!({"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}),
            json!({"actor": "anonymous", "credential_kind": "anonymous", "actor_account": null}),
        ),
        (
            json!({"type": "WebIdentityUser", "principalId": "accounts.google.com:app:user", "userName": "user"}),
            json!({"actor": "accounts.google.com:app:user", "credential_kind": "federated"}),
        ),
        (
            json!({"type": "WebIdentityUser", "userName": "repo:acme/a:ref:main", "identityProvider": "arn:aws:iam::1:oidc-provider/ci"}),
            json!({"actor": "arn:aws:iam::1:oidc-provider/ci:repo:acme/a:ref:main", "session_name": null}),
        ),
        (
            json!({"type": "Directory", "principalId": "S-1-5:21", "accountId": "1", "userName": "bob"}),
            json!({"actor": "S-1-5:21", "actor_id": "S-1-5:21", "actor_account": "1"}),
        ),
        (
            json!({"type": "SAMLUser", "principalId": "hash=:bob@example.com"}),
            json!({"actor": "hash=:bob@example.com"}),
        ),
        (
            json!({"type": "IdentityCenterUser", "accountId": "1", "onBehalfOf": {"userId": "u-1"}, "credentialId": "c"}),
            json!({"actor": "u-1", "on_behalf_of": "u-1", "credential_kind": "federated"}),
        ),
        (json!({"type": "Unknown", "principalId": "p", "arn": ""}), json!({"actor": "p"})),
        (json!({"type": "Martian", "accountId": "1"}), json!({"actor": "1"})),
        (json!({}), json!({"actor": null, "actor_type": null})),
    ];
    for (identity, expected) in cases {
        assert_columns(&call(identity, json!({})), expected);
    }
}

#[test]
fn a_console_session_is_told_from_a_program() {
    let row = call(role("bob"), json!({"sessionCredentialFromConsole": "true"}));
    assert_eq!(row["credential_kind"], "console");
    let sign_in = json!({"eventType": "AwsConsoleSignIn", "additionalEventData": {"MFAUsed": "Yes"}});
    assert_columns(
        &call(json!({"type": "Root", "accountId": "1"}), sign_in),
        json!({"credential_kind": "console", "mfa": true}),
    );
}

#[test]
fn a_bearer_key_of_bedrock_is_a_credential_of_its_own() {
    let user =
        json!({"type": "IAMUser", "principalId": "AIDA1", "arn": "arn:aws:iam::1:user/BedrockAPIKey-1"});
    let bearer = |service: &str, told: Value| json!({"eventSource": service, "additionalEventData": {"callWithBearerToken": told}});
    let kind = |identity: &Value, more: Value| call(identity.clone(), more)["credential_kind"].clone();
    assert_eq!(kind(&user, bearer("bedrock.amazonaws.com", json!(true))), "bedrock_api_key");
    assert_eq!(kind(&user, bearer("bedrock.amazonaws.com", json!("true"))), "bedrock_api_key");
    assert_eq!(kind(&user, bearer("bedrock.amazonaws.com", json!(false))), Value::Null);
    assert_eq!(
        kind(&user, bearer("s3.amazonaws.com", json!(true))),
        Value::Null,
        "no other service takes one"
    );
    let short_lived = kind(&role("bob"), bearer("bedrock.amazonaws.com", json!(true)));
    assert_eq!(short_lived, "temporary", "it is made of the session's credentials, and ends with them");
}

#[test]
fn a_spiffe_id_is_the_workload_unless_the_cloud_tells_a_better_one() {
    let spiffe = "spiffe://example.org/agents/triage";
    let with = |context: Value, more: Value| {
        let mut identity = role("5a0f");
        identity["sessionContext"]["sourceIdentity"] = context;
        call(identity, more)
    };
    assert_eq!(with(json!(format!("URI={spiffe},CN=triage")), json!({}))["workload"], spiffe);
    let tagged = json!({"eventContext": {"tagContext": {"principalTags": {"x509SAN/URI": spiffe, "team": "spiffe://x/y"}}}});
    assert_eq!(with(json!("CN=triage"), tagged)["workload"], spiffe);
    assert_eq!(with(json!("CN=triage"), json!({}))["workload"], Value::Null);
    assert_eq!(with(json!("spiffe://"), json!({}))["workload"], Value::Null, "it names nobody");
    let token =
        json!({"type": "WebIdentityUser", "principalId": format!("p:aud:{spiffe}"), "userName": spiffe});
    assert_eq!(call(token, json!({}))["workload"], spiffe);
}

#[test]
fn the_person_behind_a_web_identity_is_told_by_its_provider() {
    let with = |told: Value| {
        let mut identity = role("app");
        identity["sessionContext"]["webIdFederationData"] = told;
        call(identity, json!({}))["on_behalf_of"].clone()
    };
    let google = json!({"federatedProvider": "accounts.google.com",
        "attributes": {"accounts.google.com:aud": "app", "accounts.google.com:sub": "1093"}});
    assert_eq!(with(google), "accounts.google.com:1093");
    let pod = json!({"federatedProvider": "arn:aws:iam::1:oidc-provider/oidc.eks", "attributes": {}});
    assert_eq!(with(pod), Value::Null, "a workload's token stands for no person");
    assert_eq!((with(json!({})), with(Value::Null)), (Value::Null, Value::Null));
}

#[test]
fn a_sign_in_is_the_session_of_what_is_logged_without_a_key() {
    let sign_in = "arn:aws:signin:us-east-1:1:session/a90e";
    let mut identity = role("alex");
    identity["sessionContext"]["signInSessionArn"] = json!(sign_in);
    assert_eq!(call(identity.clone(), json!({}))["session"], "ASIA1");
    identity.as_object_mut().unwrap().remove("accessKeyId");
    assert_eq!(call(identity, json!({}))["session"], sign_in);
}

#[test]
fn the_strongest_evidence_of_an_agent_counts() {
    let with = |member: &str, value: Value| {
        let mut identity = role("claude-code-session");
        identity[member] = value;
        identity
    };
    let hint = |identity: Value, more: Value| {
        let row = call(identity, more);
        (row["agent_hint"].clone(), row["agent_evidence"].clone())
    };
    let agent_client = json!({"userAgent": "aws-cli/2 md/Kiro#1.2"});
    let is = |hint: &str, evidence: &str| (json!(hint), json!(evidence));
    assert_eq!(
        hint(with("invokedBy", json!("aws-mcp.amazonaws.com")), agent_client.clone()),
        is("mcp", "cloud")
    );
    assert_eq!(hint(role("x"), json!({"eventType": "AwsMcpEvent"})), is("mcp", "cloud"));
    let workload = json!({"issuerType": "AWS::BedrockAgentCore::Runtime", "credentialsIssuedTo": "arn:aws:bedrock-agentcore:us-east-1:1:runtime/r"});
    assert_eq!(hint(with("inScopeOf", workload), agent_client.clone()), is("bedrock-agentcore", "workload"));
    let tags =
        |tags: Value| json!({"eventContext": {"tagContext": {"principalTags": tags}}, "userAgent": "kiro/1"});
    assert_eq!(hint(role("claude-code-x"), tags(json!({"Agent-Id": "cursor 7"}))), is("cursor", "session"));
    assert_eq!(hint(role("x"), tags(json!({"agent": "triage"}))), is("tagged", "session"));
    assert_eq!(hint(role("x"), tags(json!({"team": "cursor"}))), is("kiro", "client"), "not a tag of agents");
    let context = |told: Value| json!({"eventContext": {"requestContext": told}});
    assert_eq!(hint(role("x"), context(json!({"aws:ViaAWSMCPService": "true"}))), is("mcp", "cloud"));
    assert_eq!(
        hint(role("x"), context(json!({"aws:CalledViaAWSMCP": ["aws-mcp.amazonaws.com"]}))),
        is("mcp", "cloud")
    );
    assert_eq!(
        hint(role("x"), context(json!({"aws:ViaAWSMCPService": "false"}))),
        (Value::Null, Value::Null)
    );
    let sourced = |source: &str| {
        let mut identity = role("x");
        identity["sessionContext"]["sourceIdentity"] = json!(source);
        identity
    };
    assert_eq!(hint(sourced("claude-code"), agent_client.clone()), is("claude-code", "session"));
    assert_eq!(hint(role("claude-code-session"), agent_client.clone()), is("claude-code", "name"));
    assert_eq!(hint(role("run-7"), agent_client), is("kiro", "client"));
    assert_eq!(hint(role("run-7"), json!({"userAgent": "aws-cli/2"})), (Value::Null, Value::Null));
}

#[test]
fn clients_are_known_by_whole_words() {
    for (agent, hint) in [
        ("claude-code/1.0", Some("claude-code")),
        ("Cursor/0.42 (darwin)", Some("cursor")),
        ("aws-sdk AmazonQ-For-CLI/1", Some("amazon-q")),
        ("aws-sdk amazon-q-for-cli/1", Some("amazon-q")),
        ("awslabs/mcp/aws-api-mcp-server", Some("mcp")),
        ("python-httpx/0.28.1 mcp-proxy-for-aws/1.7.0 cursor-vscode/1.0.0", Some("cursor")),
        ("codex-mcp-client/0.9", Some("codex")),
        ("precursor/1", None),
        ("mcpherson/1", None),
        ("", None),
    ] {
        assert_eq!(client(agent), hint, "{agent}");
    }
}

#[test]
fn every_client_is_found_by_its_first_letter() {
    for (word, hint) in CLIENTS {
        assert_eq!(client(&format!("x {}/1", word.to_uppercase())), Some(*hint), "{word}");
    }
}
