//! The JSON Schema of a manifest, for editors

use serde_json::{Value, json};

/// The JSON Schema (draft 2020-12) of an `Agent`, `Approval` or `ResourceCatalog` document, and of the two forms of
/// published guides.
///
/// It tells shapes and keys. Names, ARNs and dates are checked when the manifests are loaded.
#[must_use]
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "remit manifest",
        "oneOf": [
            {"$ref": "#/$defs/agent"}, {"$ref": "#/$defs/approval"}, {"$ref": "#/$defs/catalog"}, {"$ref": "#/$defs/guide"},
        ],
        "$defs": {
            "text": {"type": ["string", "number", "integer", "boolean"]},
            "texts": {"anyOf": [{"$ref": "#/$defs/text"}, {"type": "array", "items": {"$ref": "#/$defs/text"}}]},
            "agent": agent(),
            "approval": approval(),
            "guide": guide(),
            "catalog": catalog(),
            "identity": identity(),
            "entry": entry(),
            "aws": aws(),
            "azure": azure(),
            "gcp": gcp(),
        },
    })
}

fn text(description: &str) -> Value {
    json!({"$ref": "#/$defs/text", "description": description})
}

fn texts(description: &str) -> Value {
    json!({"$ref": "#/$defs/texts", "description": description})
}

fn closed(properties: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn required(keys: &[&str], properties: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "required": keys, "properties": properties})
}

fn agent() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": "remit/v1"},
            "kind": {"const": "Agent"},
            "metadata": {
                "type": "object", "additionalProperties": false, "required": ["name"],
                "properties": {
                    "name": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$", "description": "What findings call the agent"},
                    "description": text("What it does, in a line"),
                    "links": {"type": "object", "description": "Where else it is described: a2a, catalog"},
                },
            },
            "spec": spec(),
        },
    })
}

fn spec() -> Value {
    closed(json!({
        "owner": {"anyOf": [
            {"type": "string"},
            closed(json!({"team": text("Who answers for it"), "slack": text("#channel"), "oncall": text("pagerduty:SERVICE")})),
        ]},
        "environment": text("prod raises the severity of findings"),
        "purpose": text("Why it exists"),
        "review": closed(json!({"every": text("90d"), "last": text("2026-10-02"), "by": text("Who reviewed it")})),
        "expires": text("The last day on which anything is declared: 2027-03-31"),
        "identities": {"type": "array", "items": {"$ref": "#/$defs/identity"}, "description": "Any match is this agent"},
        "allow": {"type": "array", "items": {"$ref": "#/$defs/entry"}, "description": "Everything not listed is out of scope"},
        "deny": {"type": "array", "items": {"$ref": "#/$defs/entry"}, "description": "Beats allow and approvals"},
        "expected_denials": {"type": "array", "items": {"$ref": "#/$defs/entry"}, "description": "Asked for knowingly: a denied call that these cover is no finding"},
        "approvals": {"type": "array", "items": closed(json!({
            "grant": {"$ref": "#/$defs/entry"}, "by": texts("Who may approve"), "ticket": text("Must carry a ticket"), "max": text("2h"),
        }))},
        "bounds": closed(json!({
            "regions": texts("Where it may call"), "hours": text("06:00-22:00 Europe/Dublin Mon-Sat"), "networks": texts("CIDR or VPC endpoint"),
            "session_max": text("1h"), "rate": closed(json!({"calls_per_minute": text("300")})),
        })),
        "assume": closed(json!({"from": texts("Who may become this agent"), "to": texts("Roles that it may become")})),
        "tools": texts("Tools that it may use"),
        "baseline": closed(json!({"learn": text("14d"), "sensitivity": text("normal"), "seasonality": text("weekly")})),
        "alerts": closed(json!({"route": text("soc-high"), "notify_owner": text("true")})),
    }))
}

fn identity() -> Value {
    closed(json!({
        "aws.role": text("Role ARN with its path; * and ? are wildcards"),
        "aws.user": text("User ARN"),
        "session": text("Pattern of the role session's name"),
        "accounts": texts("Only in these accounts"),
        "workload": text("Pattern of what the credentials were issued to: a function's or runtime's ARN, a SPIFFE id"),
        "source_identity": text("Pattern of the session's source identity"),
        "client": text("The agent client that the user agent names, like claude-code; anybody may say so"),
        "via": text("mcp: only calls through the cloud's own tool server"),
        "azure.agent_identity": text("Object id"),
        "azure.app": text("Application (client) id"),
        "azure.principal": text("Object id of a service principal or managed identity"),
        "blueprint": text("Blueprint id"),
        "gcp.service_account": text("E-mail"),
        "spiffe": text("SPIFFE id"),
    }))
}

fn entry() -> Value {
    json!({
        "type": "object",
        "description": "A verb and names of the catalog (read: tickets), raw permissions (aws:, azure:, gcp:), or a policy to read (from:)",
        "properties": {
            "aws": {"$ref": "#/$defs/aws"},
            "azure": {"$ref": "#/$defs/azure"},
            "gcp": {"$ref": "#/$defs/gcp"},
            "from": {"oneOf": [
                required(&["aws_policy"], json!({"aws_policy": text("IAM JSON, relative to this file")})),
                required(&["terraform", "address"], json!({
                    "terraform": text("Plan or state as JSON, or a folder with one, relative to this file"),
                    "address": text("aws_iam_role_policy.janitor"),
                    "scope": text("Where the role is given"), "resource": text("Where the role is given"),
                })),
                required(&["azure_role"], json!({
                    "azure_role": text("Role definition as `az role definition list` prints it"),
                    "scope": text("/subscriptions/..."), "resource": text("/subscriptions/..."),
                })),
                required(&["gcp_role"], json!({
                    "gcp_role": text("Role as `gcloud iam roles describe --format json` prints it, or its name"),
                    "scope": text("projects/acme"), "resource": text("projects/acme"),
                })),
            ]},
        },
        "additionalProperties": {"$ref": "#/$defs/texts"},
    })
}

fn aws() -> Value {
    closed(json!({
        "effect": {"enum": ["allow", "deny", "Allow", "Deny"]},
        "actions": texts("s3:Get*"),
        "notActions": texts("All but these"),
        "resources": texts("ARN patterns; without them any"),
        "notResources": texts("All but these"),
        "via": text("Only through this service"),
        "conditions": {"type": "object"},
    }))
}

fn approval() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["apiVersion", "kind", "spec"],
        "properties": {
            "apiVersion": {"const": "remit/v1"},
            "kind": {"const": "Approval"},
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "additionalProperties": false,
                "required": ["agent", "start", "end", "approver"],
                "properties": {
                    "agent": text("Whose approval this is"),
                    "grant": {
                        "anyOf": [{"type": ["integer", "number"]}, {"$ref": "#/$defs/entry"}],
                        "description": "The entry of `approvals` that it opens: as the agent has it, or its place from 1",
                    },
                    "start": text("2026-11-20T10:00:00Z"),
                    "end": text("2026-11-20T11:00:00Z"),
                    "approver": text("Who approved it"),
                    "ticket": text("The ticket that the session must carry: in its name, its source identity or its tag Ticket"),
                },
            },
        },
    })
}

fn guide() -> Value {
    let role = closed(json!({
        "description": text("What it does"),
        "permissions": {"anyOf": [
            {"type": "array", "items": {"$ref": "#/$defs/entry"}}, {"$ref": "#/$defs/entry"},
        ]},
    }));
    let rule = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["condition", "actions"],
        "properties": {
            "name": text("What the scope is called"),
            "description": text("What it is for"),
            "condition": text("identity.type == \"ai-generated\", or identity.age > 30 days"),
            "actions": {"type": "array", "items": {"type": "object"}, "description": "deny and allow verbs, or delete: true"},
        },
    });
    closed(json!({
        "version": text("Of the document"),
        "name": text("Of the document"),
        "description": text("Of the document"),
        "roles": {"type": "object", "additionalProperties": role, "description": "Agents by the name of their role"},
        "rules": {"type": "array", "items": rule},
    }))
}

fn azure() -> Value {
    closed(json!({
        "effect": {"enum": ["allow", "deny", "Allow", "Deny"]},
        "actions": texts("Microsoft.Compute/virtualMachines/read"),
        "notActions": texts("Less these"),
        "dataActions": texts("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"),
        "notDataActions": texts("Less these"),
        "scope": texts("/subscriptions/...; without it any"),
    }))
}

fn gcp() -> Value {
    closed(json!({
        "effect": {"enum": ["allow", "deny", "Allow", "Deny"]},
        "permissions": texts("compute.instances.get"),
        "resource": texts("projects/...; without it any"),
    }))
}

fn catalog() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {"const": "remit/v1"},
            "kind": {"const": "ResourceCatalog"},
            "metadata": {"type": "object"},
            "resources": {"type": "object", "additionalProperties": closed(json!({
                "description": text("What it is"), "sensitivity": text("confidential"), "tags": {"type": "object"},
                "aws": texts("ARN patterns"), "azure": texts("Resource types and scopes"), "gcp": texts("Resource types and names"),
            }))},
            "verbs": {"type": "object", "additionalProperties": closed(json!({
                "aws": texts("Access levels and permission patterns"), "azure": texts("Operation patterns"), "gcp": texts("Permission patterns"),
                "except": texts("Verbs to leave out"),
            }))},
        },
    })
}
