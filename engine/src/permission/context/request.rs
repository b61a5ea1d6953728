//! Condition keys of single services, out of the request's own parameters

use super::super::Needed;
use super::super::facts::Facts;
use super::super::request::{find, same};
use super::{Fact, added, is_service_name, told};
use crate::json::Json;
use crate::reference;

/// S3's keys that are headers or parameters of the same name: not there, not given.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>
const S3_SAME: &[&str] = &[
    "delimiter",
    "if-match",
    "if-none-match",
    "max-keys",
    "object-lock-legal-hold",
    "object-lock-mode",
    "prefix",
    "versionid",
    "x-amz-acl",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

/// Keys that carry the parameter of the same name as it was given. One that was not given may have a default: unknown.
const SAME: &[(&str, &[&str])] = &[
    (
        "cloudformation",
        &["changesetname", "imports-resource", "resourcetypes", "rolearn", "stackpolicyurl", "templateurl"],
    ),
    ("dynamodb", &["returnconsumedcapacity", "returnvalues", "select"]),
    ("ec2", &["availabilityzone", "instancetype", "volumeiops", "volumesize", "volumetype"]),
    ("elasticloadbalancing", &["scheme"]),
    ("iam", &["policyarn"]),
    (
        "kms",
        &[
            "bypasspolicylockoutsafetycheck",
            "customermasterkeyspec",
            "customermasterkeyusage",
            "encryptionalgorithm",
            "grantoperations",
            "granteeprincipal",
            "keyorigin",
            "keyspec",
            "keyusage",
            "macalgorithm",
            "messagetype",
            "multiregion",
            "reencryptonsamekey",
            "retiringprincipal",
            "signingalgorithm",
            "wrappingalgorithm",
            "wrappingkeyspec",
        ],
    ),
    ("lambda", &["functionurlauthtype", "principal"]),
    (
        "secretsmanager",
        &[
            "forcedeletewithoutrecovery",
            "name",
            "recoverywindowindays",
            "secretid",
            "versionid",
            "versionstage",
            "kmskeyid",
        ],
    ),
    ("sns", &["endpoint", "protocol"]),
];

/// Services to which a role is passed under the name that their events come by.
const PASSED_BY_SOURCE: &[&str] = &[
    "appsync",
    "backup",
    "bedrock",
    "bedrock-agentcore",
    "cloudformation",
    "codebuild",
    "codedeploy",
    "codepipeline",
    "comprehend",
    "config",
    "datasync",
    "dms",
    "ec2",
    "eks",
    "elasticmapreduce",
    "events",
    "firehose",
    "glue",
    "iot",
    "kinesisanalytics",
    "lambda",
    "mediaconvert",
    "pipes",
    "redshift",
    "sagemaker",
    "scheduler",
    "servicecatalog",
    "ssm",
    "states",
    "textract",
    "transcribe",
    "transfer",
];

impl Facts<'_> {
    /// A key of one service, in lower case.
    pub(super) fn of_service(&self, needed: &Needed, key: &str) -> Fact {
        let Some((service, name)) = key.split_once(':') else { return Fact::Unknown };
        match service {
            "s3" => self.s3(needed, name),
            "sts" => self.sts(name),
            "iam" => self.iam(needed, name),
            "kms" => self.kms(name),
            "ec2" if name == "region" => told(self.call.region),
            "bedrock" => self.bedrock(name),
            "lambda" if name == "functionarn" => self.function_arn(),
            "lambda" if name == "layer" => self.list("layers"),
            _ => self.same(service, name),
        }
    }

    /// A parameter of the same name, in a request to the same service.
    fn same(&self, service: &str, name: &str) -> Fact {
        let known = SAME.iter().any(|(of, names)| *of == service && names.contains(&name));
        if !known || reference::prefix_of(self.call.service) != service {
            return Fact::Unknown;
        }
        self.parameter(name).unwrap_or(Fact::Unknown)
    }

    /// A parameter at the top of the request, as text.
    fn parameter(&self, name: &str) -> Option<Fact> {
        let (_, value) = self.request().members().find(|(key, _)| same(key, name))?;
        added::fact(value).filter(|fact| *fact != Fact::Absent)
    }

    /// A parameter that is absent where the request is shown without it.
    fn given(&self, name: &str) -> Fact {
        match self.parameter(name) {
            Some(fact) => fact,
            None if self.is_visible() => Fact::Absent,
            None => Fact::Unknown,
        }
    }

    /// A list of texts, or its wrapper's.
    fn list(&self, name: &str) -> Fact {
        let values = find(self.request(), name);
        if !values.is_empty() {
            return Fact::Values(values.into_iter().map(str::to_owned).collect());
        }
        if self.is_visible() && !self.has_field(name) { Fact::Absent } else { Fact::Unknown }
    }

    fn s3(&self, needed: &Needed, name: &str) -> Fact {
        let additional = |field: &str| self.additional().get(field).and_then(Json::text);
        if let Some(tag) = name.strip_prefix("requestobjecttag/") {
            return self.request_tag(needed, tag);
        }
        match name {
            "signatureversion" => match additional("SignatureVersion") {
                Some("SigV4") => Fact::one("AWS4-HMAC-SHA256"),
                Some("SigV2") => Fact::one("AWS"),
                _ => Fact::Unknown,
            },
            "authtype" => match additional("AuthenticationMethod") {
                Some("AuthHeader") => Fact::one("REST-HEADER"),
                Some("QueryString") => Fact::one("REST-QUERY-STRING"),
                _ => Fact::Unknown,
            },
            "tlsversion" => told(self.call.tls.and_then(|tls| tls.strip_prefix("TLSv"))),
            "locationconstraint" => match self.request().get("CreateBucketConfiguration") {
                Some(inside) => {
                    inside.get("LocationConstraint").and_then(added::fact).unwrap_or(Fact::Unknown)
                }
                None => self.given("locationConstraint"),
            },
            _ if S3_SAME.contains(&name) => {
                // The source's permission sees none of the target's headers.
                let of_copy = self.call.operation.contains("Copy") && needed.permission.starts_with("s3:Get");
                if of_copy { Fact::Unknown } else { self.given(name) }
            }
            _ => Fact::Unknown,
        }
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html>
    fn sts(&self, name: &str) -> Fact {
        if !self.call.service.starts_with("sts.") {
            return Fact::Unknown;
        }
        match name {
            "rolesessionname" => self.given("roleSessionName"),
            "externalid" => self.given("externalId"),
            "sourceidentity" => self.given("sourceIdentity"),
            "transitivetagkeys" => self.list("transitiveTagKeys"),
            // Not given, it is the service's default.
            "durationseconds" => self.parameter("durationSeconds").unwrap_or(Fact::Unknown),
            _ => Fact::Unknown,
        }
    }

    fn iam(&self, needed: &Needed, name: &str) -> Fact {
        let is_pass = needed.permission == "iam:PassRole";
        match name {
            "passedtoservice" if is_pass => self.passed_to(),
            "passedtoservice" | "associatedresourcearn" if !is_pass => Fact::Absent,
            "permissionsboundary" if self.has_field("permissionsBoundary") => {
                self.given("permissionsBoundary")
            }
            // Of a role that is there already it is the one that it has.
            "permissionsboundary" if matches!(self.call.operation, "CreateRole" | "CreateUser") => {
                self.given("permissionsBoundary")
            }
            "awsservicename" if self.call.operation == "CreateServiceLinkedRole" => {
                self.given("aWSServiceName")
            }
            _ => self.same("iam", name),
        }
    }

    /// The service that gets the role.
    fn passed_to(&self) -> Fact {
        let call = &self.call;
        let source = call.service.split_once(".amazonaws.").map_or(call.service, |(name, _)| name);
        let one = |service: &str| Fact::one(format!("{service}.amazonaws.com"));
        match source {
            "iam" if call.operation == "AddRoleToInstanceProfile" => one("ec2"),
            "autoscaling" if self.has_field("iamInstanceProfile") => one("ec2"),
            "ecs" if !self.has_field("role") => one("ecs-tasks"),
            _ if PASSED_BY_SOURCE.contains(&source)
                && !(source == "elasticmapreduce" && self.has_field("jobFlowRole")) =>
            {
                one(source)
            }
            _ => Fact::Unknown,
        }
    }

    fn kms(&self, name: &str) -> Fact {
        if let Some(pair) = name.strip_prefix("encryptioncontext:") {
            return match self.request().get("encryptionContext").filter(|map| map.is_map()) {
                Some(map) => {
                    let found = map.members().find(|(key, _)| key.eq_ignore_ascii_case(pair));
                    found.and_then(|(_, value)| added::fact(value)).unwrap_or(Fact::Absent)
                }
                None if self.is_visible() => Fact::Absent,
                None => Fact::Unknown,
            };
        }
        match name {
            "encryptioncontextkeys" => {
                match self.request().get("encryptionContext").filter(|map| map.is_map()) {
                    Some(map) => {
                        Fact::Values(map.members().map(|(key, _)| key.to_owned()).take(100).collect())
                    }
                    None if self.is_visible() => Fact::Absent,
                    None => Fact::Unknown,
                }
            }
            "calleraccount" => told(self.call.actor_account),
            // https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
            "viaservice" => match (self.call.invoked_by, self.call.region) {
                (Some(service), Some(region)) if is_service_name(service) => {
                    let name = service.split_once(".amazonaws.").map_or(service, |(name, _)| name);
                    let with_region = name.ends_with(region);
                    let regional = if with_region { name.to_owned() } else { format!("{name}.{region}") };
                    Fact::one(format!("{regional}.amazonaws.com"))
                }
                (None, _) if self.call.source_kind == Some("ip") => Fact::Absent,
                _ => Fact::Unknown,
            },
            "requestalias" => match find(self.request(), "keyId").first() {
                Some(alias) if alias.starts_with("alias/") => Fact::one(*alias),
                Some(arn) if arn.contains(":alias/") => told(
                    arn.split_once(":alias/").map(|(head, _)| head.len() + 1).and_then(|at| arn.get(at..)),
                ),
                Some(_) => Fact::Absent,
                None => Fact::Unknown,
            },
            "grantoperations" => self.list("operations"),
            "scheduledeletionpendingwindowindays" | "schedulekeydeletionpendingwindowindays" => {
                self.parameter("pendingWindowInDays").unwrap_or(Fact::Unknown)
            }
            _ => self.same("kms", name),
        }
    }

    fn bedrock(&self, name: &str) -> Fact {
        let home = || {
            let (region, account) = (self.call.region?, self.call.account?);
            Some(format!("arn:{}:bedrock:{region}:{account}", self.partition()))
        };
        match name {
            "guardrailidentifier" => {
                let request = self.request();
                let inside = request.get("guardrailConfig").unwrap_or(request);
                let Some(guardrail) = find(inside, "guardrailIdentifier").first().copied() else {
                    return if self.is_visible() { Fact::Absent } else { Fact::Unknown };
                };
                let arn = if guardrail.starts_with("arn:") {
                    guardrail.to_owned()
                } else {
                    let Some(home) = home() else { return Fact::Unknown };
                    format!("{home}:guardrail/{guardrail}")
                };
                // A numbered version follows the ARN, the draft does not.
                // https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-permissions-id.html
                match find(inside, "guardrailVersion").first() {
                    Some(version) if version.bytes().all(|b| b.is_ascii_digit()) && !version.is_empty() => {
                        Fact::one(format!("{arn}:{version}"))
                    }
                    _ => Fact::one(arn),
                }
            }
            "inferenceprofilearn" => match find(self.request(), "modelId").first() {
                Some(model) if model.contains("inference-profile/") => Fact::one(*model),
                Some(model) if model.starts_with("arn:") => Fact::Absent,
                // `eu.anthropic...` is a profile, `anthropic...` is a model.
                Some(model) => match (model.split('.').next().is_some_and(is_geography), home()) {
                    (false, _) => Fact::Absent,
                    (true, Some(home)) => Fact::one(format!("{home}:inference-profile/{model}")),
                    (true, None) => Fact::Unknown,
                },
                None => Fact::Unknown,
            },
            _ => Fact::Unknown,
        }
    }

    /// The function that an event source mapping is for.
    fn function_arn(&self) -> Fact {
        let Some(name) = find(self.request(), "functionName").first().copied() else { return Fact::Unknown };
        if name.starts_with("arn:") {
            return Fact::one(name);
        }
        let (Some(region), Some(account)) = (self.call.region, self.call.account) else {
            return Fact::Unknown;
        };
        let name = name.split_once("function:").map_or(name, |(_, name)| name);
        Fact::one(format!("arn:{}:lambda:{region}:{account}:function:{name}", self.partition()))
    }
}

/// The first part of an inference profile's id.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>
pub(in crate::permission) fn is_geography(part: &str) -> bool {
    matches!(part, "us" | "eu" | "apac" | "ap" | "jp" | "au" | "ca" | "global" | "us-gov")
}
