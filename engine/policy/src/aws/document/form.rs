//! The forms that AWS takes actions and resources in when a policy is written
//!
//! IAM's own words for these refusals are pinned in moto's policy tests: a vendor before the action, one colon, a known
//! partition, a whole vendor in an ARN, no region in IAM's and S3's ARNs, and what an IAM resource may begin with.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use super::Kind;

/// `*` is no partition of an ARN that names something, but AWS writes and takes it in policies.
const PARTITIONS: [&str; 9] =
    ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc", "*"];

/// What IAM has resources of, from its error text and the service reference.
const IAM_FORMS: [&str; 16] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
    "delegation-request/",
    "role-template/",
    "root",
];

/// What S3 has resources of that belong to a region; buckets and objects do not.
const S3_REGIONAL: [&str; 6] =
    ["accesspoint/", "job/", "storage-lens/", "storage-lens-group/", "access-grants/", "async-request/"];

/// Checks an entry of `Action` or `NotAction`.
pub(super) fn action(text: &str) -> Result<(), String> {
    if text == "*" {
        return Ok(());
    }
    let Some((vendor, name)) = text.split_once(':') else {
        return Err(format!("`{text}` has no service. Write `service:{text}`, or `*`"));
    };
    if name.contains(':') {
        return Err(format!("`{text}` has more than one colon. Write `service:action`"));
    }
    if vendor.is_empty() || name.is_empty() {
        return Err(format!("`{text}` is no `service:action`"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if vendor != "*" && !vendor.bytes().all(plain) {
        return Err(format!("`{vendor}` is no service: letters, digits, `-` and `.` only"));
    }
    Ok(())
}

/// Checks an entry of `Resource` or `NotResource`.
pub(super) fn resource(text: &str, kind: Kind) -> Result<(), String> {
    if text == "*" {
        return Ok(());
    }
    // API Gateway's own short form; it completes the ARN when the policy is stored.
    // https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-resource-policies-examples.html
    if kind == Kind::Resource && text.starts_with("execute-api:/") {
        return Ok(());
    }
    // A variable's own colon parts nothing: for its form it is any text.
    let plain = without_variables(text);
    let mut parts = plain.splitn(6, ':');
    if parts.next() != Some("arn") {
        return Err(format!("`{text}` is neither an ARN nor `*`"));
    }
    let Some(partition) = parts.next() else {
        return Err(format!("`{text}` is neither an ARN nor `*`"));
    };
    if !PARTITIONS.contains(&partition) {
        return Err(format!("`{partition}` is no partition. Known: {}", PARTITIONS.join(", ")));
    }
    let service = parts.next().unwrap_or_default();
    if service.is_empty() {
        return Err(format!("`{text}` names no service"));
    }
    if service.contains(['*', '?']) {
        return Err(format!("`{text}`: the service takes no wildcard"));
    }
    let (region, account, rest) = (parts.next(), parts.next(), parts.next());
    let (Some(region), Some(_), Some(rest)) = (region, account, rest) else {
        // `arn:aws:s3` and `arn:aws:s3:*` may go on; what leaves a part empty and then ends is broken.
        return if plain.contains("::") {
            Err(format!("`{text}` has fewer than the six parts of an ARN"))
        } else {
            Ok(())
        };
    };
    match service {
        "iam" if !may_be_empty(region) => Err(format!("`{text}` has a region, which nothing in IAM has")),
        "iam" if !may_begin(rest, &IAM_FORMS) => {
            Err(format!("`{rest}` is nothing in IAM: begin with one of {}", IAM_FORMS.join(", ")))
        }
        "s3" if !may_be_empty(region) && !may_begin(rest, &S3_REGIONAL) => {
            Err(format!("`{text}` has a region, which buckets and objects do not have"))
        }
        _ => Ok(()),
    }
}

/// The text with each `${…}` as a `*`.
fn without_variables(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once("${") {
        let Some((_, after)) = tail.split_once('}') else { break };
        plain.push_str(head);
        plain.push('*');
        rest = after;
    }
    plain.push_str(rest);
    plain
}

fn may_be_empty(part: &str) -> bool {
    part.bytes().all(|byte| byte == b'*')
}

/// Whether a pattern can match something that begins with one of `forms`.
fn may_begin(pattern: &str, forms: &[&str]) -> bool {
    let plain = pattern.split(['*', '?']).next().unwrap_or(pattern);
    forms.iter().any(|form| {
        // `access-grants/default` is an instance, and so is what lies below it.
        pattern.starts_with(form) || (plain.len() < pattern.len() && form.starts_with(plain))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_service_and_a_name() {
        for good in ["*", "s3:Get*", "*:Get*", "s3-outposts:*", "SNS:Publish", "iam: Get User"] {
            assert_eq!(action(good), Ok(()), "{good}");
        }
        for bad in ["", "GetObject", "s3:Get:Object", "s 3:Get", "s3*:Get", ":Get", "s3:", "**"] {
            assert!(action(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_resource_is_an_arn_or_a_star() {
        let good = [
            "*",
            "arn:aws:s3:::b",
            "arn:*:kms:*:*:key/*",
            "arn:aws:sns:eu-west-1:1:t",
            "arn:aws:s3:*",
            "arn:aws:iam::1:role/x",
            "arn:aws:iam::*:*",
            "arn:aws:iam::1:${aws:username}",
            "arn:aws:iam::${aws:PrincipalAccount}:role/x",
            "arn:aws:iam::1:ro*",
            "arn:aws:s3:eu-west-1:1:accesspoint/a",
            "arn:aws:s3:*:*:access-grants/default",
            "arn:aws:iam::1:root",
        ];
        for good in good {
            assert_eq!(resource(good, Kind::Identity), Ok(()), "{good}");
        }
        let bad = [
            "",
            "bucket",
            "a*",
            "aws:s3:::b",
            "arn:aws",
            "arn:nowhere:s3:::b",
            "arn:aws:s3::b",
            "arn:aws::::b",
            "arn:aws:*",
            "arn:aws:s3*:::b",
            "arn:aws:iam::1:bucket",
            "arn:aws:iam:eu-west-1:1:role/x",
            "arn:aws:s3:eu-west-1::b",
            "execute-api:/prod/*",
        ];
        for bad in bad {
            assert!(resource(bad, Kind::Identity).is_err(), "{bad}");
        }
        assert_eq!(resource("execute-api:/prod/*", Kind::Resource), Ok(()));
    }
}
