//! What bears on a request, and the request

use std::sync::Arc;

use super::document::Policy;
use super::principal::Principal;
use crate::context::Context;
use crate::wildcard::Target;

/// The policies that bear on one request. What does not exist is `None` or empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layers<'a> {
    /// Of the identity itself, and of its groups
    pub identity: &'a [Arc<Policy>],
    /// The permissions boundary. Several documents add up, as they do where the simulator is given them
    pub boundary: Option<&'a [Arc<Policy>]>,
    /// The session's policies; they add up
    pub session: Option<&'a [Arc<Policy>]>,
    /// Service control policies, one list for each level from root to account; every level must allow
    pub scps: &'a [Vec<Arc<Policy>>],
    /// Resource control policies of the resource's account, likewise. AWS attaches `RCPFullAWSAccess` to every level
    /// and lets nobody detach it, so a level without any Allow of its own allows
    pub rcps: &'a [Vec<Arc<Policy>>],
    /// What is known of the resource's own policy
    pub resource: OnResource<'a>,
    /// Policies of the VPC endpoint that the request came through; they add up
    pub endpoint: &'a [Arc<Policy>],
    /// Layers that exist and are not judged: `rcp`, `resource`, `endpoint`, or a policy that cannot be read
    pub unjudged: &'a [&'static str],
}

impl<'a> Layers<'a> {
    /// Every list of policies, in the order in which AWS looks at them.
    pub(super) fn lists(self) -> impl Iterator<Item = (Layer, &'a [Arc<Policy>])> {
        let scps = self.scps.iter().enumerate().map(|(level, list)| (Layer::Scp(level), list.as_slice()));
        let rcps = self.rcps.iter().enumerate().map(|(level, list)| (Layer::Rcp(level), list.as_slice()));
        let resource = match self.resource {
            OnResource::Policy(policy) => Some((Layer::Resource, std::slice::from_ref(policy))),
            OnResource::LeftAside | OnResource::None => None,
        };
        let listed = [
            (Layer::Identity, self.identity),
            (Layer::Boundary, self.boundary.unwrap_or_default()),
            (Layer::Session, self.session.unwrap_or_default()),
            (Layer::Endpoint, self.endpoint),
        ];
        scps.chain(rcps).chain(resource).chain(listed)
    }
}

/// Where a policy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Scp(usize),
    Rcp(usize),
    Resource,
    Identity,
    Boundary,
    Session,
    Endpoint,
}

impl Layer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Layer::Scp(_) => "scp",
            Layer::Rcp(_) => "rcp",
            Layer::Resource => "resource",
            Layer::Identity => "identity",
            Layer::Boundary => "boundary",
            Layer::Session => "session",
            Layer::Endpoint => "endpoint",
        }
    }
}

/// What is known of the resource's own policy.
#[derive(Debug, Clone, Copy, Default)]
pub enum OnResource<'a> {
    /// It is left aside: the answer is what the identity's side says, in its own account
    #[default]
    LeftAside,
    /// The resource has none
    None,
    /// This one: a bucket's, a key's, a role's trust policy
    Policy(&'a Arc<Policy>),
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `s3:GetObject`
    pub action: &'a str,
    /// What it touches
    pub resource: Target<'a>,
    /// What is known of its condition keys
    pub context: &'a Context,
    /// Who asks; `None`: a user or role of the resource's account of whom no more is known
    pub principal: Option<&'a Principal>,
    /// Whose the resource is; `None`: its ARN says, or else it is the principal's own account
    pub resource_account: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A request of nobody in particular, within one account.
    #[must_use]
    pub fn new(action: &'a str, resource: Target<'a>, context: &'a Context) -> Request<'a> {
        Request { action, resource, context, principal: None, resource_account: None }
    }

    /// The same, asked by `principal`.
    #[must_use]
    pub fn by(self, principal: &'a Principal) -> Request<'a> {
        Request { principal: Some(principal), ..self }
    }

    /// The same on a resource of `account`.
    #[must_use]
    pub fn on_account(self, account: &'a str) -> Request<'a> {
        Request { resource_account: Some(account), ..self }
    }

    /// The resource's ARN, or what bounds it.
    #[must_use]
    pub fn arn(&self) -> &'a str {
        match self.resource {
            Target::Exact(arn) | Target::Within(arn) => arn,
        }
    }

    /// Whose the resource is, as far as request or ARN tell.
    #[must_use]
    pub fn owner(&self) -> Option<&'a str> {
        self.resource_account.or_else(|| account_of(self.arn()))
    }
}

/// The account part of an ARN. Names such as `aws` and `cloudfront` are no accounts.
#[must_use]
pub fn account_of(arn: &str) -> Option<&str> {
    let account = arn.split(':').nth(4)?;
    (arn.starts_with("arn:") && !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some(account)
}
