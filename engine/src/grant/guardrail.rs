//! Service control policies: what bounds every identity of an organisation
//!
//! Plain documents in `scps/` bound every account alike. A file `{"Organization": {...}}` says which bound which account:
//! AWS has no one command for it, so it is put together from what `aws organizations` prints
//! (`describe-organization`, `list-parents`, `list-policies-for-target` with `describe-policy`):
//!
//! ```json
//! {"Organization": {
//!   "MasterAccountId": "111111111111",
//!   "Accounts": [{"Id": "222222222222", "Parents": ["r-ab12", "ou-ab12-cdef"]}],
//!   "Policies": [{"Name": "FullAWSAccess", "Content": "{...}", "TargetIds": ["r-ab12", "ou-ab12-cdef", "222222222222"]}]}}
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::arn::Arn;
use policy::aws::{Kind, Policy};
use serde_json::Value;

use super::account::Written;

/// Levels from the root down; each must allow.
pub(super) type Levels = Arc<[Vec<Arc<Policy>>]>;

/// The policies by where they are attached.
#[derive(Debug, Default)]
pub(super) struct Guardrails {
    /// Of plain documents, by their folder: they bound every account
    by_folder: BTreeMap<String, Vec<Arc<Policy>>>,
    everywhere: Levels,
    /// Of an organisation: what bounds each account
    by_account: BTreeMap<String, Levels>,
    /// Policies do not bound the organisation's own account.
    /// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html>
    management: Option<String>,
    unread: Vec<String>,
}

impl Guardrails {
    /// Takes a plain document of a level in, or that there is one which cannot be read.
    pub(super) fn add(&mut self, level: String, policy: Written) {
        match policy {
            Ok(policy) => self.by_folder.entry(level).or_default().push(policy),
            Err(reason) => self.unread.push(format!("scp: {reason}")),
        }
        self.everywhere = self.by_folder.values().cloned().collect();
    }

    /// Takes an organisation in. Gives the names of policies that cannot be read, with why.
    pub(super) fn read(&mut self, organization: &Value) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut by_target: BTreeMap<&str, Vec<Arc<Policy>>> = BTreeMap::new();
        for entry in list(organization, "Policies") {
            let name = text(entry, "Name").unwrap_or("scp");
            let content = match entry.get("Content") {
                Some(Value::String(text)) => Policy::parse_as(Kind::ServiceControl, name, text),
                Some(object) => Policy::from_json_as(Kind::ServiceControl, name, object),
                None => Policy::parse_as(Kind::ServiceControl, name, ""),
            };
            match content {
                Ok(policy) => {
                    let policy = Arc::new(policy);
                    for target in list(entry, "TargetIds").iter().filter_map(Value::as_str) {
                        by_target.entry(target).or_default().push(policy.clone());
                    }
                }
                Err(error) => {
                    faults.push((name.to_owned(), format!("{}: {}", error.place, error.reason)));
                    self.unread.push(format!("scp {name}"));
                }
            }
        }
        for account in list(organization, "Accounts") {
            let Some(id) = text(account, "Id") else { continue };
            let parents = list(account, "Parents").iter().filter_map(Value::as_str);
            let levels = parents
                .chain([id])
                .map(|target| by_target.get(target).cloned().unwrap_or_default())
                .collect();
            self.by_account.insert(id.to_owned(), levels);
        }
        self.management = text(organization, "MasterAccountId").map(str::to_owned);
        faults
    }

    /// What bounds an identity, from the root down.
    pub(super) fn levels(&self, identity: &str) -> Levels {
        let Some(arn) = Arn::parse(identity) else { return self.everywhere.clone() };
        if arn.resource.starts_with("role/aws-service-role/")
            || self.management.as_deref() == Some(arn.account)
        {
            return Levels::default();
        }
        match self.by_account.get(arn.account) {
            Some(levels) if self.everywhere.is_empty() => levels.clone(),
            Some(levels) => self.everywhere.iter().chain(levels.iter()).cloned().collect(),
            None => self.everywhere.clone(),
        }
    }

    pub(super) fn unread(&self) -> &[String] {
        &self.unread
    }
}

/// The organisation that a file tells of, if it is such a file.
pub(super) fn organization(text: &str) -> Option<Value> {
    if !text.contains("\"Organization\"") {
        return None;
    }
    serde_json::from_str::<Value>(text).ok()?.get("Organization").filter(|one| one.is_object()).cloned()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_account_is_bound_by_what_lies_above_it() {
        let allow = |action: &str| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]});
        let organization = organization(
            &json!({"Organization": {
                "MasterAccountId": "1",
                "Accounts": [{"Id": "1", "Parents": ["r"]}, {"Id": "2", "Parents": ["r", "ou"]}],
                "Policies": [
                    {"Name": "Full", "Content": allow("*").to_string(), "TargetIds": ["r", "2"]},
                    {"Name": "Reading", "Content": allow("s3:Get*"), "TargetIds": ["ou"]},
                    {"Name": "Broken", "Content": "{", "TargetIds": ["r"]}]}})
            .to_string(),
        )
        .unwrap();
        let mut guardrails = Guardrails::default();
        assert_eq!(guardrails.read(&organization)[0].0, "Broken");
        let names = |identity: &str| -> Vec<Vec<String>> {
            let levels = guardrails.levels(identity);
            levels.iter().map(|level| level.iter().map(|policy| policy.name.clone()).collect()).collect()
        };
        assert_eq!(names("arn:aws:iam::2:role/x"), [["Full"], ["Reading"], ["Full"]]);
        assert_eq!(
            names("arn:aws:iam::1:role/x"),
            Vec::<Vec<String>>::new(),
            "the organisation's own account"
        );
        assert_eq!(names("arn:aws:iam::2:role/aws-service-role/a/b"), Vec::<Vec<String>>::new());
        assert_eq!(names("arn:aws:iam::3:role/x"), Vec::<Vec<String>>::new(), "of another organisation");
        assert_eq!(guardrails.unread(), ["scp Broken"]);
    }
}
