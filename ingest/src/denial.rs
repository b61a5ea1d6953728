//! How a call ended, and which policy layer said no.

/// `success`, `denied` or `failed`.
pub(crate) fn outcome(code: Option<&str>, message: Option<&str>) -> &'static str {
    match (code, message) {
        (None, None) => "success",
        // The caller asked only whether it might, and it might.
        (Some("Client.DryRunOperation" | "DryRunOperation"), _) => "success",
        (Some(code), _) if is_denial(code) => "denied",
        (_, Some(message)) if message.contains("is not authorized to perform") => "denied",
        _ => "failed",
    }
}

/// Error codes by which AWS's services say that the caller has no permission. Wrong credentials, quotas, throttling
/// and bad parameters are failures.
fn is_denial(code: &str) -> bool {
    let code = code.strip_prefix("Client.").unwrap_or(code);
    if code.contains("AccessDenied") || code.contains("UnauthorizedOperation") {
        return true;
    }
    matches!(
        code.strip_suffix("Exception").unwrap_or(code),
        "AuthorizationError"
            | "Authorization"
            | "NotAuthorized"
            | "Unauthorized"
            | "UnauthorizedAccess"
            | "UnauthorizedRequest"
            | "Forbidden"
            | "OperationNotPermitted"
            | "AllAccessDisabled"
    )
}

/// The layers, as AWS words them.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
const LAYERS: &[(&str, &str, &str)] = &[
    ("service control policy", "scp", "explicit:scp"),
    ("resource control policy", "rcp", "explicit:rcp"),
    ("permissions boundary", "boundary", "explicit:boundary"),
    ("session policy", "session", "explicit:session"),
    ("vpc endpoint policy", "endpoint", "explicit:endpoint"),
    ("identity-based policy", "identity", "explicit:identity"),
    ("resource-based policy", "resource", "explicit:resource"),
];

/// The layer that denied, parsed from AWS's text; `explicit:` goes before it for an explicit deny, `explicit` alone is
/// an explicit deny of an untold layer.
///
/// The text names things that the caller chose (resources, sessions), and its reason comes last: the last mention
/// counts, so that no name can pose as the reason.
pub(crate) fn denied_by(code: Option<&str>, message: Option<&str>) -> Option<&'static str> {
    let Some(message) = message else {
        return code.filter(|code| *code == "VpceAccessDenied").map(|_| "endpoint");
    };
    let message = message.to_ascii_lowercase();
    let after =
        |mark: &str| message.rfind(mark).map(|at| (at, message.get(at + mark.len()..).unwrap_or_default()));
    let explicit = after("with an explicit deny");
    let implicit = after("because no ");
    match (explicit, implicit) {
        (Some((at, rest)), other) if other.is_none_or(|(other, _)| at > other) => {
            let rest = rest.strip_prefix(" in ").unwrap_or_default();
            let rest = rest.strip_prefix("a ").or_else(|| rest.strip_prefix("an ")).unwrap_or(rest);
            Some(
                LAYERS
                    .iter()
                    .find(|(words, ..)| rest.starts_with(words))
                    .map_or("explicit", |(.., layer)| *layer),
            )
        }
        (_, Some((_, rest))) => {
            LAYERS.iter().find(|(words, ..)| rest.starts_with(words)).map(|(_, layer, _)| *layer)
        }
        _ => (code == Some("VpceAccessDenied") || message.contains("denied due to a vpc endpoint policy"))
            .then_some("endpoint"),
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
}
