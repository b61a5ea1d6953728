//! Which objects may be asked for, whatever a message says: a queue is open to whoever may send to it.

use crate::source::{FetchError, ObjectRef};
use crate::sources::S3SqsConfig;

/// What the configuration allows; an empty list allows all of its kind.
#[derive(Debug)]
pub(super) struct Allowed {
    buckets: Vec<String>,
    prefixes: Vec<String>,
    accounts: Vec<String>,
}

impl Allowed {
    pub(super) fn of(config: &S3SqsConfig) -> Self {
        let S3SqsConfig { buckets, prefixes, accounts, .. } = config;
        Self { buckets: buckets.clone(), prefixes: prefixes.clone(), accounts: accounts.clone() }
    }

    /// Whether everything of an account is refused.
    pub(super) fn is_foreign(&self, account: &str) -> bool {
        !self.accounts.is_empty() && !self.accounts.iter().any(|allowed| allowed == account)
    }

    /// # Errors
    /// [`FetchError::Forbidden`] with what is wrong and which key allows it.
    pub(super) fn check(&self, object: &ObjectRef) -> Result<(), FetchError> {
        let forbidden = |what: String| Err(FetchError::Forbidden(what));
        if !self.buckets.is_empty() && !self.buckets.contains(&object.bucket) {
            return forbidden(format!("the bucket `{}` is not in `buckets`", object.bucket));
        }
        let is_listed = !self.prefixes.is_empty() || !self.accounts.is_empty();
        // On the way to S3 somebody may resolve them as a path, and the key would be another.
        if is_listed && object.key.split('/').any(|part| part == "." || part == "..") {
            return forbidden("the key has `.` or `..` among its parts".to_owned());
        }
        let begins = |prefix: &String| object.key.starts_with(prefix.as_str());
        if !self.prefixes.is_empty() && !self.prefixes.iter().any(begins) {
            return forbidden("the key begins with none of `prefixes`".to_owned());
        }
        match account(&object.key) {
            Some(account) if self.is_foreign(account) => {
                forbidden(format!("the account `{account}` is not in `accounts`"))
            }
            None if !self.accounts.is_empty() => {
                forbidden("the key names no account, and `accounts` is set".to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The account whose logs lie under a key: `[prefix/]AWSLogs/[o-organisation/]account/...`
/// (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html>).
fn account(key: &str) -> Option<&str> {
    let is_account = |part: &&str| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_digit());
    // The first `AWSLogs`: a later one is part of a name that somebody chose.
    let mut parts = key.split('/').skip_while(|part| *part != "AWSLogs").skip(1);
    let first = parts.next()?;
    let named = if first.starts_with("o-") { parts.next()? } else { first };
    Some(named).filter(is_account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(prefixes: &[&str], accounts: &[&str]) -> Allowed {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Allowed { buckets: own(&["logs"]), prefixes: own(prefixes), accounts: own(accounts) }
    }

    fn check(allowed: &Allowed, bucket: &str, key: &str) -> Result<(), String> {
        let [source, bucket, key, version] = ["s", bucket, key, ""].map(str::to_owned);
        allowed.check(&ObjectRef { source, bucket, key, version }).map_err(|error| error.to_string())
    }

    const OURS: &str = "trail/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/a.json.gz";

    #[test]
    fn a_bucket_a_prefix_and_an_account_must_all_be_ours() {
        let allowed = allowed(&["trail/"], &["111122223333"]);
        assert_eq!(check(&allowed, "logs", OURS), Ok(()));
        assert!(check(&allowed, "logs2", OURS).unwrap_err().contains("`logs2` is not in `buckets`"));
        assert!(check(&allowed, "logs", &format!("x{OURS}")).unwrap_err().contains("`prefixes`"));
        let theirs = OURS.replace("111122223333", "999988887777");
        assert!(
            check(&allowed, "logs", &theirs).unwrap_err().contains("`999988887777` is not in `accounts`")
        );
        let of_organisation = OURS.replace("AWSLogs/", "AWSLogs/o-abc123/");
        assert_eq!(check(&allowed, "logs", &of_organisation), Ok(()));
    }

    #[test]
    fn an_account_is_where_cloudtrail_writes_it_and_nowhere_else() {
        assert_eq!(account(OURS), Some("111122223333"));
        assert_eq!(account("AWSLogs/o-abc123/111122223333/CloudTrail/x"), Some("111122223333"));
        for none in ["111122223333/AWSLogs/x/y", "AWSLogs/1111/x", "AWSLogs/o-abc/x", "AWSLogs", "x"] {
            assert_eq!(account(none), None, "{none}");
        }
        assert_eq!(account("AWSLogs/999988887777/AWSLogs/111122223333/x"), Some("999988887777"));
    }

    #[test]
    fn a_way_out_of_a_prefix_is_refused_and_a_dot_in_a_name_is_not() {
        let allowed = allowed(&["trail/"], &[]);
        for out in ["trail/../other/x", "trail/./x", "trail/.."] {
            assert!(check(&allowed, "logs", out).is_err(), "{out}");
        }
        assert_eq!(check(&allowed, "logs", "trail/a..b/.hidden/x.json.gz"), Ok(()));
    }

    #[test]
    fn without_lists_all_is_allowed() {
        let none = Allowed { buckets: vec![], prefixes: vec![], accounts: vec![] };
        assert_eq!(check(&none, "any", "../x"), Ok(()));
    }
}
