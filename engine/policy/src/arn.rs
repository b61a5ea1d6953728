//! Amazon Resource Names

/// The six parts of an ARN, borrowed. The resource part keeps its colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`
    pub partition: &'a str,
    /// `iam`
    pub service: &'a str,
    /// Empty for what has no region
    pub region: &'a str,
    /// Empty for what has no account, such as a bucket
    pub account: &'a str,
    /// `role/agents/support-triage`
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads an ARN; `None` where the text has another shape.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        let rest = text.strip_prefix("arn:")?;
        let mut parts = rest.splitn(5, ':');
        let arn = Arn {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        };
        (!arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty()).then_some(arn)
    }

    /// The last word of the resource: the role's name without its path.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.resource.rsplit(['/', ':']).next().unwrap_or(self.resource)
    }
}

/// The partition that a region belongs to.
#[must_use]
pub fn partition_of(region: &str) -> &'static str {
    // https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ if region.starts_with("us-iso-") => "aws-iso",
        _ if region.starts_with("us-isob-") => "aws-iso-b",
        _ if region.starts_with("eu-isoe-") => "aws-iso-e",
        _ if region.starts_with("us-isof-") => "aws-iso-f",
        _ if region.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_keeps_its_colons() {
        let arn = Arn::parse("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/x:*").unwrap();
        assert_eq!(arn.resource, "log-group:/aws/lambda/x:*");
        assert_eq!(arn.account, "111122223333");
    }

    #[test]
    fn a_role_is_called_by_its_last_word() {
        assert_eq!(Arn::parse("arn:aws:iam::1:role/agents/triage").unwrap().name(), "triage");
    }

    #[test]
    fn five_parts_are_no_arn() {
        assert_eq!(Arn::parse("arn:aws:s3::bucket"), None);
        assert_eq!(Arn::parse("bucket"), None);
        assert_eq!(Arn::parse("arn:aws:s3:::"), None);
    }
}
