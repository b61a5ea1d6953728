//! Who asks, and whom a policy names
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>

use crate::arn::Arn;
use crate::context::{Context, Fact};
use crate::truth::Truth;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    who: Who,
    /// The ARN, the service's or the provider's name; empty for the anonymous
    name: Box<str>,
    /// Empty where there is none
    account: Box<str>,
    partition: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Root,
    User {
        name: Box<str>,
    },
    /// The role itself: some session of it
    Role {
        name: Box<str>,
    },
    /// `arn`: the role's, with its path, where that is known
    Session {
        role: Box<str>,
        arn: Option<Box<str>>,
    },
    FederatedUser {
        name: Box<str>,
    },
    Service,
    Federated,
    Anonymous,
}

/// A text that is no principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no principal: give the ARN of a user, role, assumed-role session, federated user or account root, or of an identity provider"
)]
pub struct NoPrincipal(String);

impl Principal {
    /// Reads an ARN: `root`, `user/…`, `role/…`, `assumed-role/role/session`, `federated-user/…`, `saml-provider/…`,
    /// `oidc-provider/…`.
    ///
    /// # Errors
    /// [`NoPrincipal`] for every other text.
    pub fn parse(text: &str) -> Result<Principal, NoPrincipal> {
        let fault = || NoPrincipal(text.chars().take(200).collect());
        let arn = Arn::parse(text).ok_or_else(fault)?;
        let (form, rest) = arn.resource.split_once('/').unwrap_or((arn.resource, ""));
        let who = match (arn.service, form) {
            ("iam", "root") if rest.is_empty() => Who::Root,
            ("iam", "user") if !arn.name().is_empty() => Who::User { name: arn.name().into() },
            ("iam", "role") if !arn.name().is_empty() => Who::Role { name: arn.name().into() },
            ("iam", "saml-provider" | "oidc-provider") => Who::Federated,
            ("sts", "assumed-role") => match rest.split_once('/') {
                Some((role, session)) if !role.is_empty() && !session.is_empty() => {
                    Who::Session { role: role.into(), arn: None }
                }
                _ => return Err(fault()),
            },
            ("sts", "federated-user") if !rest.is_empty() => Who::FederatedUser { name: rest.into() },
            _ => return Err(fault()),
        };
        let account = if who == Who::Federated { "" } else { arn.account };
        Ok(Principal { who, name: text.into(), account: account.into(), partition: arn.partition.into() })
    }

    /// An AWS service: `lambda.amazonaws.com`.
    #[must_use]
    pub fn service(name: &str) -> Principal {
        Principal::without_account(Who::Service, name)
    }

    /// Somebody whom an identity provider vouches for: `accounts.google.com`, or the provider's ARN.
    #[must_use]
    pub fn federated(provider: &str) -> Principal {
        Principal::without_account(Who::Federated, provider)
    }

    /// A request that nobody signed.
    #[must_use]
    pub fn anonymous() -> Principal {
        Principal::without_account(Who::Anonymous, "")
    }

    fn without_account(who: Who, name: &str) -> Principal {
        Principal { who, name: name.into(), account: "".into(), partition: "aws".into() }
    }

    /// Says which role a session is of; its ARN has the path, which the session's own ARN leaves out.
    #[must_use]
    pub fn with_role(mut self, role_arn: &str) -> Principal {
        if let Who::Session { arn, .. } = &mut self.who {
            *arn = Some(role_arn.into());
        }
        self
    }

    /// The account, where it has one.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        (!self.account.is_empty()).then_some(&*self.account)
    }

    /// An account's root user: no policy of the identity's kind reaches it.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.who == Who::Root
    }

    /// Whether policies can be attached to it or to what it is a session of: a user, a role, a session of either.
    #[must_use]
    pub fn has_identity(&self) -> bool {
        !matches!(self.who, Who::Service | Who::Federated | Who::Anonymous)
    }

    /// Whether organisations' policies pass it by. Sessions do not show their role's path, so the name tells.
    /// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html>
    #[must_use]
    pub fn is_service_linked(&self) -> bool {
        match &self.who {
            Who::Role { .. } => self.name.contains(":role/aws-service-role/"),
            Who::Session { arn: Some(arn), .. } => arn.contains(":role/aws-service-role/"),
            Who::Session { role, arn: None } => role.starts_with("AWSServiceRoleFor"),
            _ => false,
        }
    }

    /// Sets the condition keys that AWS itself derives from who asks: `aws:PrincipalArn`, `aws:PrincipalAccount`,
    /// `aws:PrincipalType`, `aws:username`, `aws:userid` where it follows from the ARN, `aws:PrincipalIsAWSService`,
    /// `aws:PrincipalServiceName`, `aws:FederatedProvider`. A session's role is taken to have no path unless
    /// [`Principal::with_role`] said otherwise.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>
    pub fn tell(&self, context: &mut Context) {
        let mut set = |key: &str, value: &str| context.set(key, Fact::one(value));
        set("aws:PrincipalIsAWSService", if self.who == Who::Service { "true" } else { "false" });
        if !self.account.is_empty() {
            set("aws:PrincipalAccount", &self.account);
        }
        let (kind, arn) = match &self.who {
            Who::Root => {
                set("aws:userid", &self.account);
                ("Account", Some(self.name.to_string()))
            }
            Who::User { name } => {
                set("aws:username", name);
                ("User", Some(self.name.to_string()))
            }
            Who::Role { .. } => ("AssumedRole", Some(self.name.to_string())),
            Who::Session { arn: Some(arn), .. } => ("AssumedRole", Some(arn.to_string())),
            Who::Session { role, arn: None } => {
                let arn = format!("arn:{}:iam::{}:role/{role}", self.partition, self.account);
                ("AssumedRole", Some(arn))
            }
            Who::FederatedUser { name } => {
                set("aws:userid", &format!("{}:{name}", self.account));
                ("FederatedUser", Some(self.name.to_string()))
            }
            Who::Service => {
                set("aws:PrincipalServiceName", &self.name);
                return;
            }
            Who::Federated => {
                set("aws:FederatedProvider", &self.name);
                return;
            }
            Who::Anonymous => {
                set("aws:userid", "anonymous");
                ("Anonymous", None)
            }
        };
        set("aws:PrincipalType", kind);
        if let Some(arn) = arn {
            set("aws:PrincipalArn", &arn);
        }
    }
}

/// How closely a resource's policy names whoever asks. It decides which implicit denies still limit the grant.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The user, the session, the service, or everyone: nothing else need allow
    pub directly: Truth,
    /// The role that it is a session of: boundary and session policy still limit
    pub role: Truth,
    /// Its account: the account's own policies must allow
    pub account: Truth,
}

impl Named {
    pub(super) const NOT: Named = Named { directly: Truth::False, role: Truth::False, account: Truth::False };
    pub(super) const DIRECTLY: Named = Named { directly: Truth::True, ..Named::NOT };

    /// Whether it is named at all.
    #[must_use]
    pub fn any(self) -> Truth {
        self.directly.or(self.role).or(self.account)
    }

    fn or(self, other: Named) -> Named {
        Named {
            directly: self.directly.or(other.directly),
            role: self.role.or(other.role),
            account: self.account.or(other.account),
        }
    }
}

/// `Principal`, or with `not` `NotPrincipal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principals {
    /// All but these
    pub not: bool,
    entries: Vec<Entry>,
}

/// What identifies one entry is compared whole: AWS knows no pattern here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Everyone,
    Account(Box<str>),
    Arn(Box<str>),
    /// What AWS leaves of a user or role that was deleted: `AIDA…`, `AROA…`
    UniqueId(Box<str>),
    Service(Box<str>),
    Federated(Box<str>),
    CanonicalUser(Box<str>),
}

/// Keys that only tests of principals ask for: whoever owns a canonical id cannot be told from an ARN.
const CANONICAL_USER: &str = "canonical_user";
const USER_ID: &str = "aws:userid";

impl Principals {
    /// Everyone, the anonymous included.
    #[must_use]
    pub fn everyone() -> Principals {
        Principals { not: false, entries: vec![Entry::Everyone] }
    }

    /// No one yet; see [`Principals::add`].
    #[must_use]
    pub fn none(not: bool) -> Principals {
        Principals { not, entries: Vec::new() }
    }

    /// Adds one entry of a `Principal` element: `kind` is `AWS`, `Service`, `Federated` or `CanonicalUser`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, kind: &str, value: &str) -> Result<(), String> {
        let entry = match kind {
            "AWS" => aws(value)?,
            _ if value.is_empty() => return Err("is empty".into()),
            "Service" => Entry::Service(value.into()),
            "Federated" => Entry::Federated(value.into()),
            "CanonicalUser" => Entry::CanonicalUser(value.into()),
            _ => {
                return Err(format!(
                    "`{kind}` is no kind of principal. Known: AWS, Service, Federated, CanonicalUser"
                ));
            }
        };
        self.entries.push(entry);
        Ok(())
    }

    /// Whether it is `*` alone, the one form that resource control policies take.
    #[must_use]
    pub fn is_everyone(&self) -> bool {
        !self.not && self.entries == [Entry::Everyone]
    }

    /// How whoever asks is named; nobody given: a user of whom nothing is known.
    ///
    /// `bounded`: a permissions boundary is set on who asks, whom a Deny with `NotPrincipal` then always meets.
    #[must_use]
    pub fn name(&self, principal: Option<&Principal>, context: &Context, bounded: bool) -> Named {
        if !self.not {
            return self
                .entries
                .iter()
                .fold(Named::NOT, |named, entry| named.or(entry.name(principal, context)));
        }
        let excepted = if bounded { Truth::False } else { self.excepts(principal, context) };
        Named { directly: excepted.negate(), ..Named::NOT }
    }

    /// Whether `NotPrincipal` leaves somebody out. AWS may check account, role and session one after the other, so the
    /// most specific naming counts: an account or role that stands beside one of its own users or sessions excepts
    /// that one alone.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html>
    fn excepts(&self, principal: Option<&Principal>, context: &Context) -> Truth {
        let named =
            self.entries.iter().fold(Named::NOT, |named, entry| named.or(entry.name(principal, context)));
        let mut excepted = named.directly;
        let Some(principal) = principal else { return excepted };
        let sessions = || self.arns().any(|arn| principal.is_session_sibling(arn));
        if matches!(principal.who, Who::Role { .. }) || !sessions() {
            excepted = excepted.or(named.role);
        }
        if !self.arns().any(|arn| arn.account == &*principal.account) {
            excepted = excepted.or(named.account);
        }
        excepted
    }

    fn arns(&self) -> impl Iterator<Item = Arn<'_>> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Arn(arn) => Arn::parse(arn),
            _ => None,
        })
    }

    /// The keys that tell who is meant.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::UniqueId(_) => Some(USER_ID),
            Entry::CanonicalUser(_) => Some(CANONICAL_USER),
            _ => None,
        })
    }

    /// The keys that leave it open who is meant.
    pub(super) fn undecided(&self, context: &Context) -> impl Iterator<Item = String> {
        self.keys().filter(|key| *context.fact(key) == Fact::Unknown).map(str::to_owned)
    }
}

impl Principal {
    /// Whether an ARN is a session of the same role.
    fn is_session_sibling(&self, arn: Arn<'_>) -> bool {
        let Who::Session { role, .. } = &self.who else { return false };
        let session = arn.resource.strip_prefix("assumed-role/").and_then(|rest| rest.split_once('/'));
        arn.account == &*self.account && session.is_some_and(|(name, _)| name == &**role)
    }
}

impl Entry {
    fn name(&self, principal: Option<&Principal>, context: &Context) -> Named {
        let Some(principal) = principal else {
            return if *self == Entry::Everyone { Named::DIRECTLY } else { Named::NOT };
        };
        let directly = |holds: bool| if holds { Named::DIRECTLY } else { Named::NOT };
        match self {
            Entry::Everyone => Named::DIRECTLY,
            Entry::Account(account) if principal.account() != Some(account) => Named::NOT,
            Entry::Account(_) if principal.is_root() => Named::DIRECTLY,
            Entry::Account(_) => Named { account: Truth::True, ..Named::NOT },
            Entry::Arn(arn) if **arn == *principal.name && principal.has_identity() => match principal.who {
                Who::Role { .. } => Named { role: Truth::True, ..Named::NOT },
                _ => Named::DIRECTLY,
            },
            Entry::Arn(arn) => Named { role: principal.is_session_of(arn).into(), ..Named::NOT },
            Entry::UniqueId(id) => principal.named_by_id(id, context),
            Entry::Service(service) => {
                directly(principal.who == Who::Service && (&**service == "*" || *service == principal.name))
            }
            Entry::Federated(provider) => directly(
                principal.who == Who::Federated && (&**provider == "*" || *provider == principal.name),
            ),
            Entry::CanonicalUser(id) => match context.fact(CANONICAL_USER) {
                Fact::Values(values) => directly(values.iter().any(|value| **value == **id)),
                Fact::Absent => Named::NOT,
                Fact::Unknown => Named { directly: Truth::Unknown, ..Named::NOT },
            },
        }
    }
}

impl Principal {
    fn is_session_of(&self, role_arn: &str) -> bool {
        let Who::Session { role, arn } = &self.who else { return false };
        if let Some(arn) = arn {
            return **arn == *role_arn;
        }
        // Role names are unique in their account whatever their path, so the name is enough.
        Arn::parse(role_arn).is_some_and(|named| {
            named.service == "iam"
                && named.partition == &*self.partition
                && named.account == &*self.account
                && named.resource.starts_with("role/")
                && named.name() == &**role
        })
    }

    /// `aws:userid` is a user's id, or a role's with `:session` behind it.
    fn named_by_id(&self, id: &str, context: &Context) -> Named {
        let held = match context.fact(USER_ID) {
            Fact::Absent => Truth::False,
            Fact::Unknown => Truth::Unknown,
            Fact::Values(values) => values.iter().any(|value| value.split(':').next() == Some(id)).into(),
        };
        match self.who {
            Who::User { .. } => Named { directly: held, ..Named::NOT },
            Who::Role { .. } | Who::Session { .. } => Named { role: held, ..Named::NOT },
            _ => Named::NOT,
        }
    }
}

fn aws(value: &str) -> Result<Entry, String> {
    if value == "*" {
        return Ok(Entry::Everyone);
    }
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Entry::Account(value.into()));
    }
    if value.contains(['*', '?']) {
        return Err(format!("`{value}`: a principal is named whole; only `*` alone means everyone"));
    }
    if let Some(arn) = Arn::parse(value) {
        return match (arn.service, arn.resource) {
            ("iam", "root") => Ok(Entry::Account(arn.account.into())),
            ("iam" | "sts", _) => Ok(Entry::Arn(value.into())),
            _ => Err(format!("`{value}` names no user, role, session or account")),
        };
    }
    let id =
        value.len() >= 16 && value.starts_with('A') && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if id {
        return Ok(Entry::UniqueId(value.into()));
    }
    Err(format!("`{value}` is neither an account, nor the ARN of a principal, nor `*`"))
}

#[cfg(test)]
mod tests;
