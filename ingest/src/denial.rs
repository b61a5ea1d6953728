//! How a call ended, and what AWS's text of a denial says: which permission, on what, and which policy layer said no.
//!
//! Denied is not failed. A *denial* is a caller whom AWS knows and does not allow; wrong, expired or missing credentials
//! are failures of authentication, and quotas, throttling, bad parameters, protection against deletion and services that
//! the account never signed up for are failures too.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};
use memchr::{memchr_iter, memrchr2_iter};

/// `success`, `denied` or `failed`.
pub(crate) fn outcome(code: Option<&str>, message: Option<&str>) -> &'static str {
    match (code, message) {
        (None, None) => "success",
        // The caller asked only whether it might, and it might.
        (Some("Client.DryRunOperation" | "DryRunOperation"), _) => "success",
        (Some(code), message) if is_denial(code, message) => "denied",
        (_, Some(message)) if MARK.find(message.as_bytes()).is_some() => "denied",
        _ => "failed",
    }
}

/// Error codes by which AWS's services say that the caller has no permission.
///
/// Left out on purpose, although they sound like it: `AuthFailure` (EC2's word for credentials that it cannot validate),
/// `OperationNotPermitted` (EC2's for a protected instance), `UnauthorizedClient` (a client that IAM Identity Center does
/// not know), `Insufficient...PolicyException` (CloudTrail's for a bucket that does not let the service in),
/// `InvalidClientTokenId`, `ExpiredToken`, `SignatureDoesNotMatch` and `OptInRequired`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
fn is_denial(code: &str, message: Option<&str>) -> bool {
    let code = code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code);
    let has = |word: &[u8]| memmem::find(code.as_bytes(), word).is_some();
    if has(b"AccessDenied") || has(b"UnauthorizedOperation") {
        return true;
    }
    match code.strip_suffix("Exception").unwrap_or(code) {
        "AuthorizationError"
        | "Authorization"
        | "Unauthorized"
        | "UnauthorizedAccess"
        | "UnauthorizedRequest"
        | "Forbidden"
        | "AllAccessDisabled"
        | "InsufficientPermissions"
        | "InsufficientPrivileges" => true,
        // Cognito says the same to a person with a wrong password.
        "NotAuthorized" => message.is_none_or(|message| {
            let message = message.to_ascii_lowercase();
            message.contains("not authorized")
                || message.contains("permission")
                || message.contains("access denied")
        }),
        _ => false,
    }
}

/// How AWS begins to tell what was denied.
static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("is not authorized to perform"));

/// Names that one denial can list.
const PERMISSIONS_MAX: usize = 20;
/// Longest permission and longest ARN that we take from a text.
const PERMISSION_BYTES_MAX: usize = 128;
const ARN_BYTES_MAX: usize = 2_048;

/// What the text of a denial names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial<'a> {
    /// `ec2:RunInstances`: every one of them was missing, or the first that AWS looked at.
    pub permissions: Vec<&'a str>,
    /// The ARN, maybe with `*`, of what it was asked on.
    pub resource: Option<&'a str>,
}

/// Why a call was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reason {
    /// `None`: the text says only that something denied it explicitly.
    layer: Option<Layer>,
    /// A statement denied it, not the lack of one that allows it.
    explicit: bool,
}

/// A layer of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// Service control policies.
    Scp,
    /// Resource control policies.
    Rcp,
    /// The permissions boundary.
    Boundary,
    /// The session's policies.
    Session,
    /// The VPC endpoint's policy.
    Endpoint,
    /// The identity's policies.
    Identity,
    /// The resource's policy.
    Resource,
}

/// The layers, as AWS words them.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
const LAYERS: &[(&str, Layer)] = &[
    ("service control polic", Layer::Scp),
    ("resource control polic", Layer::Rcp),
    ("permissions boundar", Layer::Boundary),
    ("session polic", Layer::Session),
    ("vpc endpoint polic", Layer::Endpoint),
    ("identity-based polic", Layer::Identity),
    ("resource-based polic", Layer::Resource),
];

/// Reads AWS's text of a denial; `None` where it names no permission.
///
/// `User: ... is not authorized to perform: ec2:RunInstances on resource: arn:... because no identity-based policy allows the
/// ec2:RunInstances action`, `... with an explicit deny in a service control policy: arn:...`, a list in brackets, an ARN in
/// quotes, no resource, and CloudFormation's `API: iam:CreateRole User: ...`. The first mark counts: before it stands an ARN,
/// which has no space; after it a resource whose name may be the caller's to choose.
///
/// The forms: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
#[must_use]
pub fn parse(message: &str) -> Option<Denial<'_>> {
    let (before, rest) = message.split_at_checked(MARK.find(message.as_bytes())?)?;
    let rest = rest.get(MARK.needle().len()..)?.trim_start_matches([':', ' ']);
    let (permissions, rest) = permissions(rest);
    let permissions = if permissions.is_empty() { named_before(before)? } else { permissions };
    Some(Denial { permissions, resource: resource(rest) })
}

/// The permissions at the start of a text, and what comes after them.
fn permissions(text: &str) -> (Vec<&str>, &str) {
    let (list, rest) = match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((list, rest)) => (list, rest),
        None => {
            let mut end = 0;
            // `a:B, c:D on resource`: words that end with a comma go on.
            while let Some(word) = text.get(end..).and_then(|rest| rest.split(' ').next()) {
                end += word.len();
                if !word.ends_with(',') || text.get(end..end + 1) != Some(" ") {
                    break;
                }
                end += 1;
            }
            (text.get(..end).unwrap_or_default(), text.get(end..).unwrap_or_default())
        }
    };
    let names = list
        .split([',', ' '])
        .map(|name| name.trim_matches(['"', '\'', '`', '.', ';']))
        .filter(|name| is_permission(name));
    (names.take(PERMISSIONS_MAX).collect(), rest)
}

/// CloudFormation's form: `API: ec2:RunInstances User: arn:... is not authorized to perform this`.
fn named_before(text: &str) -> Option<Vec<&str>> {
    let (_, rest) = text.split_once("API: ")?;
    let name = rest.split(' ').next()?;
    is_permission(name).then(|| vec![name])
}

fn is_permission(name: &str) -> bool {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    name.len() <= PERMISSION_BYTES_MAX
        && name.split_once(':').is_some_and(|(service, action)| plain(service) && plain(action))
}

/// The ARN after `on resource:`.
fn resource(rest: &str) -> Option<&str> {
    let rest = rest.trim_start().strip_prefix("on resource")?;
    let rest = rest.strip_prefix('s').unwrap_or(rest).trim_start_matches([':', ' ']);
    // In quotes it ends with the quote: S3 quotes, since a key may hold anything else.
    let quoted = rest.strip_prefix('"').and_then(|inner| inner.split_once('"')).map(|(inner, _)| inner);
    let arn = quoted.unwrap_or_else(|| {
        let ends = [" because ", " with an explicit deny", " Encoded authorization", " (Service: "];
        let mut spaces = memchr_iter(b' ', rest.as_bytes());
        let is_end =
            |at: &usize| ends.iter().any(|end| rest.get(*at..).is_some_and(|rest| rest.starts_with(end)));
        let end = spaces.find(is_end).unwrap_or(rest.len());
        rest.get(..end).unwrap_or(rest).trim().trim_matches(['"', '\'']).trim_end_matches('.')
    });
    (arn.starts_with("arn:") && arn.len() <= ARN_BYTES_MAX).then_some(arn)
}

/// The reason comes last in the text, and things that the caller named come before it: the last mention counts, so that no
/// name can pose as the reason. Whatever its case: services do not all write `VPC` alike.
fn reason(message: &str) -> Option<Reason> {
    let explicit = last(message, "with an explicit deny");
    let implicit = last(message, "because no ");
    match (explicit, implicit) {
        (Some(at), other) if other.is_none_or(|other| at > other) => {
            let rest = message.get(at..).unwrap_or_default();
            let inner = after(rest, " in ").unwrap_or_default();
            let inner = after(inner, "a ").or_else(|| after(inner, "an ")).unwrap_or(inner);
            Some(Reason { layer: layer_of(inner), explicit: true })
        }
        (_, Some(at)) => {
            let layer = Some(layer_of(message.get(at..).unwrap_or_default())?);
            Some(Reason { layer, explicit: false })
        }
        _ => last(message, "denied due to a vpc endpoint policy")
            .map(|_| Reason { layer: Some(Layer::Endpoint), explicit: false }),
    }
}

fn layer_of(rest: &str) -> Option<Layer> {
    LAYERS.iter().find(|(words, _)| after(rest, words).is_some()).map(|(_, layer)| *layer)
}

/// What comes after `words` at the start of a text.
fn after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(words.len())?;
    start.eq_ignore_ascii_case(words).then_some(rest)
}

/// Where the last mention of `mark` ends.
fn last(text: &str, mark: &str) -> Option<usize> {
    let first = *mark.as_bytes().first()?;
    let mut starts = memrchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text.as_bytes());
    let start = starts.find(|at| text.get(*at..).is_some_and(|rest| after(rest, mark).is_some()))?;
    Some(start + mark.len())
}

/// The layer that denied; `explicit:` goes before it for an explicit deny, `explicit` alone is an explicit deny of an
/// untold layer.
pub(crate) fn denied_by(code: Option<&str>, message: Option<&str>) -> Option<&'static str> {
    let told = message.and_then(reason);
    match told {
        Some(Reason { layer: Some(layer), explicit }) => Some(layer.as_str(explicit)),
        Some(_) => Some("explicit"),
        None => (code == Some("VpceAccessDenied")).then_some("endpoint"),
    }
}

impl Layer {
    fn as_str(self, explicit: bool) -> &'static str {
        match (self, explicit) {
            (Layer::Scp, false) => "scp",
            (Layer::Scp, true) => "explicit:scp",
            (Layer::Rcp, false) => "rcp",
            (Layer::Rcp, true) => "explicit:rcp",
            (Layer::Boundary, false) => "boundary",
            (Layer::Boundary, true) => "explicit:boundary",
            (Layer::Session, false) => "session",
            (Layer::Session, true) => "explicit:session",
            (Layer::Endpoint, false) => "endpoint",
            (Layer::Endpoint, true) => "explicit:endpoint",
            (Layer::Identity, false) => "identity",
            (Layer::Identity, true) => "explicit:identity",
            (Layer::Resource, false) => "resource",
            (Layer::Resource, true) => "explicit:resource",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_told_from_a_failure() {
        for code in [
            "AccessDenied",
            "AccessDeniedException",
            "Client.UnauthorizedOperation",
            "UnauthorizedOperation",
            "AuthorizationError",
            "AuthorizationErrorException",
            "UnauthorizedException",
            "VpceAccessDenied",
        ] {
            assert_eq!(outcome(Some(code), None), "denied", "{code}");
        }
        for code in [
            "ThrottlingException",
            "LimitExceededException",
            "ValidationError",
            "ExpiredToken",
            "NoSuchEntity",
            "Client.InvalidParameterValue",
        ] {
            assert_eq!(outcome(Some(code), None), "failed", "{code}");
        }
        assert_eq!(outcome(None, None), "success");
        assert_eq!(outcome(None, Some("Failed authentication")), "failed");
        assert_eq!(outcome(None, Some("User: x is not authorized to perform: s3:GetObject")), "denied");
    }

    #[test]
    fn a_dry_run_that_would_have_worked_is_a_success() {
        let text = "Request would have succeeded, but DryRun flag is set.";
        assert_eq!(outcome(Some("Client.DryRunOperation"), Some(text)), "success");
    }

    #[test]
    fn the_layer_is_read_from_the_text() {
        let head =
            "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:GetObject on resource: x";
        let cases = [
            ("because no identity-based policy allows the s3:GetObject action", "identity"),
            ("because no session policy allows the s3:GetObject action", "session"),
            ("because no permissions boundary allows the s3:GetObject action", "boundary"),
            ("because no resource-based policy allows the s3:GetObject action", "resource"),
            ("because no service control policy allows the s3:GetObject action", "scp"),
            ("because no resource control policy allows the s3:GetObject action", "rcp"),
            ("because no VPC endpoint policy allows the s3:GetObject action", "endpoint"),
            ("with an explicit deny in a service control policy", "explicit:scp"),
            (
                "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/p",
                "explicit:scp",
            ),
            ("with an explicit deny in an identity-based policy", "explicit:identity"),
            ("with an explicit deny in a permissions boundary", "explicit:boundary"),
            ("With an explicit deny in a Service Control Policy", "explicit:scp"),
            ("with an explicit deny", "explicit"),
        ];
        for (tail, layer) in cases {
            assert_eq!(
                denied_by(Some("AccessDenied"), Some(&format!("{head} {tail}"))),
                Some(layer),
                "{tail}"
            );
        }
        assert_eq!(denied_by(Some("AccessDenied"), Some("Access Denied")), None);
        assert_eq!(denied_by(Some("VpceAccessDenied"), None), Some("endpoint"));
    }

    #[test]
    fn a_resource_cannot_pose_as_the_reason() {
        let text = "not authorized to perform: s3:GetObject on resource: with an explicit deny in a service control \
                    policy because no identity-based policy allows the s3:GetObject action";
        assert_eq!(denied_by(Some("AccessDenied"), Some(text)), Some("identity"));
    }

    #[test]
    fn what_only_sounds_like_a_denial_is_a_failure() {
        for (code, message) in [
            ("Client.AuthFailure", "AWS was not able to validate the provided access credentials"),
            (
                "Client.OperationNotPermitted",
                "The instance may not be terminated. Modify its disableApiTermination attribute",
            ),
            ("NotAuthorizedException", "Incorrect username or password."),
            ("UnauthorizedClientException", "The client is not registered"),
            ("InvalidClientTokenId", "The security token included in the request is invalid"),
            ("SignatureDoesNotMatch", "..."),
            ("OptInRequired", "You are not subscribed to this service"),
            ("InsufficientS3BucketPolicyException", "Incorrect S3 bucket policy is detected for bucket: b"),
        ] {
            assert_eq!(outcome(Some(code), Some(message)), "failed", "{code}");
        }
        for (code, message) in [
            ("NotAuthorizedException", "User is not authorized to do this"),
            ("Server.UnauthorizedOperation", "..."),
            ("KMSAccessDeniedException", "Lambda was unable to decrypt"),
            ("ForbiddenException", "..."),
        ] {
            assert_eq!(outcome(Some(code), Some(message)), "denied", "{code}");
        }
    }

    const USER: &str = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform";

    #[test]
    fn the_permission_and_the_resource_are_named() {
        let text = format!(
            "You are not authorized to perform this operation. {USER}: ec2:RunInstances on resource: arn:aws:ec2:eu-west-1:1:instance/* \
             because no identity-based policy allows the ec2:RunInstances action. Encoded authorization failure message: abc"
        );
        let denial = parse(&text).unwrap();
        assert_eq!(denial.permissions, ["ec2:RunInstances"]);
        assert_eq!(denial.resource, Some("arn:aws:ec2:eu-west-1:1:instance/*"));
        assert_eq!(reason(&text), Some(Reason { layer: Some(Layer::Identity), explicit: false }));
    }

    #[test]
    fn a_denial_may_name_several_permissions_or_none() {
        let named = |tail: &str| parse(&format!("{USER}{tail}")).map(|denial| denial.permissions.join(" "));
        assert_eq!(
            named(": s3:ListAllMyBuckets with an explicit deny").as_deref(),
            Some("s3:ListAllMyBuckets")
        );
        assert_eq!(
            named(": [glue:GetTable, glue:GetDatabase] on resource: x").as_deref(),
            Some("glue:GetTable glue:GetDatabase")
        );
        assert_eq!(
            named(": glue:GetTable, glue:GetDatabase on resource: x").as_deref(),
            Some("glue:GetTable glue:GetDatabase")
        );
        assert_eq!(named(" iam:PassRole on resource: x").as_deref(), Some("iam:PassRole"));
        assert_eq!(
            named(": ecr:GetAuthorizationToken on resource: * because no").as_deref(),
            Some("ecr:GetAuthorizationToken")
        );
        assert_eq!(
            parse("API: iam:CreateRole User: arn:aws:iam::1:user/u is not authorized to perform this")
                .unwrap()
                .permissions,
            ["iam:CreateRole"]
        );
        for text in [": nothing special", " this operation", ""] {
            assert_eq!(named(text), None, "{text}");
        }
        assert_eq!(parse("Access Denied"), None);
        assert_eq!(parse("The ciphertext refers to a customer master key that does not exist"), None);
    }

    #[test]
    fn a_key_cannot_speak_for_aws() {
        let text = format!(
            "{USER}: s3:PutObject on resource: \"arn:aws:s3:::b/k is not authorized to perform: iam:CreateUser\" because no \
             identity-based policy allows the s3:PutObject action"
        );
        let denial = parse(&text).unwrap();
        assert_eq!(denial.permissions, ["s3:PutObject"]);
        assert_eq!(denial.resource, Some("arn:aws:s3:::b/k is not authorized to perform: iam:CreateUser"));
    }

    #[test]
    fn a_ciphertext_names_its_permission_and_no_key() {
        let text = format!(
            "{USER}: kms:Decrypt on the resource associated with this ciphertext because the resource does not exist in this \
             Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
        );
        let denial = parse(&text).unwrap();
        assert_eq!((denial.permissions, denial.resource), (vec!["kms:Decrypt"], None));
        assert_eq!(reason(&text), None);
    }
}
