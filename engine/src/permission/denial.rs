//! What AWS's text of a denial says: the true permission, and often the resource

/// The names in a denial.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denial<'a> {
    pub(super) permission: &'a str,
    pub(super) resource: Option<&'a str>,
}

/// Reads `User: … is not authorized to perform: ec2:RunInstances on resource: arn:… because …`.
///
/// The form: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>. The first occurrence
/// counts: before it stands an ARN, which has no space; after it a resource whose name may be the caller's to choose.
pub(super) fn parse(message: &str) -> Option<Denial<'_>> {
    let (_, rest) = message.split_once(" is not authorized to perform: ")?;
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let permission = rest.get(..end)?.trim_end_matches(['.', ',']);
    let (service, action) = permission.split_once(':')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !plain(service) || !plain(action) || permission.len() > 128 {
        return None;
    }
    let resource = rest.get(end..).and_then(|rest| rest.strip_prefix(" on resource: "));
    let resource = resource.map(|rest| {
        let ends = [" because ", " with an explicit deny", " Encoded authorization"];
        let end = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        rest.get(..end).unwrap_or(rest).trim().trim_matches(['"', '\''])
    });
    let resource = resource.filter(|resource| resource.starts_with("arn:") && resource.len() <= 2048);
    Some(Denial { permission, resource })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permission_and_the_resource_are_named() {
        let text = "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: \
                    ec2:RunInstances on resource: arn:aws:ec2:eu-west-1:1:instance/* because no identity-based policy allows the \
                    ec2:RunInstances action. Encoded authorization failure message: abc";
        let denial = parse(text).unwrap();
        assert_eq!(
            (denial.permission, denial.resource),
            ("ec2:RunInstances", Some("arn:aws:ec2:eu-west-1:1:instance/*"))
        );
    }

    #[test]
    fn a_denial_without_a_resource_still_names_the_permission() {
        assert_eq!(
            parse("User: u is not authorized to perform: s3:ListAllMyBuckets with an explicit deny"),
            Some(Denial { permission: "s3:ListAllMyBuckets", resource: None })
        );
        assert_eq!(parse("Access Denied"), None);
        assert_eq!(parse("User is not authorized to perform: nothing special"), None);
    }

    #[test]
    fn a_key_cannot_speak_for_aws() {
        let text = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:PutObject on resource: \
                    \"arn:aws:s3:::b/k is not authorized to perform: iam:CreateUser\" because no identity-based policy allows it";
        assert_eq!(parse(text).unwrap().permission, "s3:PutObject");
    }
}
