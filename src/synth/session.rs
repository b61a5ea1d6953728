//! A caller at work: one set of credentials, how it came by them, and the calls it makes.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::chance::Chance;
use super::company::{Act, Actor, Kind, Place, Start, VIRGINIA};
use super::record::{Call, Caller, Event, Outcome, UserIdentity, timestamp};
use super::target::{Shape, assumed};

/// One set of credentials in use.
pub struct Session {
    caller: Caller,
    home: Place,
    seed: u64,
}

impl Session {
    /// A new session of `actor` at `at`, with the event that began it, if one is logged.
    ///
    /// `parent` is the agent that assumes the role, where [`Start::Agent`] names one.
    pub fn open(
        actor: &Actor,
        parent: Option<&Actor>,
        seed: u64,
        at: i64,
        chance: &mut Chance,
    ) -> (Self, Option<Event>) {
        let session = Self::resume(actor, seed, at, chance);
        let beginning = match actor.start {
            Start::Silent => None,
            Start::Service(host) => Some(session.assume(actor, &service(host), "AssumeRole", at, chance)),
            Start::Build => {
                Some(session.assume(actor, &build(actor), "AssumeRoleWithWebIdentity", at, chance))
            }
            Start::Agent(_) => parent.map(|parent| {
                let assumer = Self::resume(parent, seed, at - 40, chance);
                session.assume(actor, &assumer.caller, "AssumeRole", at, chance)
            }),
            Start::Console => Some(session.sign_in(at, chance)),
        };
        (session, beginning)
    }

    /// A session of `actor` that began at `at`, of which nothing was logged yet.
    pub fn resume(actor: &Actor, seed: u64, at: i64, chance: &mut Chance) -> Self {
        let name = chance.digits(actor.session);
        let mut caller = match actor.kind {
            Kind::Role(_) => role(actor, &name, seed, at, chance),
            Kind::Linked(host, _) => {
                let mut caller = role(actor, &name, seed, at, chance);
                caller.through(host);
                caller
            }
            Kind::User(_) => user(actor, seed),
            Kind::Service(host) => service(host),
        };
        if caller.identity.invoked_by.is_none() {
            caller.address = format!("{}.{}", actor.network, chance.between(4, 250));
            caller.user_agent = chance.pick(actor.user_agents).copied().unwrap_or("Boto3/1.40.21");
        }
        Self { caller, home: actor.home, seed }
    }

    /// The same session under another user agent.
    pub fn says(mut self, user_agent: &'static str) -> Self {
        self.caller.user_agent = user_agent;
        self
    }

    /// The same session with a service calling in its name.
    pub fn through(mut self, service: &'static str) -> Self {
        self.caller.through(service);
        self
    }

    /// One call of this session.
    pub fn call(&self, act: &Act, at: i64, outcome: Outcome, chance: &mut Chance) -> Event {
        let (service, operation) = act.call.split_once(':').unwrap_or((act.call, ""));
        let region = if is_global(service) { VIRGINIA } else { self.home.region };
        let place = Place { region, ..self.home };
        let mut shape = act.on.shape(operation, place, chance);
        self.name_new_key(&mut shape);
        self.caller.log(Call { service, operation, shape, place, at, outcome }, chance)
    }

    /// A minted key must be the one that its user later signs with.
    fn name_new_key(&self, shape: &mut Shape) {
        let Some(Value::Object(key)) = shape.response.get_mut("accessKey") else { return };
        let user = shape.request.get("userName").and_then(Value::as_str).unwrap_or_default();
        key.insert("accessKeyId".to_owned(), Value::String(long_lived_key(self.seed, user)));
    }

    fn assume(&self, actor: &Actor, by: &Caller, operation: &str, at: i64, chance: &mut Chance) -> Event {
        let key = self.caller.identity.access_key_id.as_deref().unwrap_or_default();
        let name = self.caller.arn.rsplit('/').next().unwrap_or_default();
        let shape = assumed(&actor.identity(), actor.home.account, name, key, chance);
        let call =
            Call { service: "sts", operation, shape, place: actor.home, at, outcome: Outcome::Success };
        by.log(call, chance)
    }

    fn sign_in(&self, at: i64, chance: &mut Chance) -> Event {
        let shape = Shape {
            response: json!({"ConsoleLogin": "Success"}),
            additional: Some(json!({"LoginTo": "https://console.aws.amazon.com/console/home",
                "MobileVersion": "No", "MFAUsed": "Yes"})),
            ..Shape::default()
        };
        let place = Place { region: VIRGINIA, ..self.home };
        let call = Call {
            service: "signin",
            operation: "ConsoleLogin",
            shape,
            place,
            at,
            outcome: Outcome::Success,
        };
        self.caller.log(call, chance)
    }
}

impl Caller {
    fn through(&mut self, service: &'static str) {
        self.identity.invoked_by = Some(service);
        service.clone_into(&mut self.address);
        self.user_agent = service;
    }
}

/// A role's or user's id: it is drawn from its name and outlives every session.
pub fn lasting_id(seed: u64, actor: &Actor) -> String {
    let prefix = if matches!(actor.kind, Kind::User(_)) { "AIDA" } else { "AROA" };
    Chance::new(seed, &format!("id of {}", actor.name)).aws_id(prefix)
}

fn long_lived_key(seed: u64, user: &str) -> String {
    Chance::new(seed, &format!("key of {user}")).aws_id("AKIA")
}

fn role(actor: &Actor, session: &str, seed: u64, at: i64, chance: &mut Chance) -> Caller {
    let account = actor.home.account;
    let name = actor.short_name();
    let stable = actor.identity();
    let id = lasting_id(seed, actor);
    let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/{session}");
    let context = json!({
        "sessionIssuer": {"type": "Role", "principalId": &id, "arn": &stable, "accountId": account,
            "userName": name},
        "attributes": {"creationDate": timestamp(at),
            "mfaAuthenticated": if matches!(actor.start, Start::Console) { "true" } else { "false" }},
    });
    let identity = UserIdentity {
        kind: "AssumedRole",
        principal_id: Some(format!("{id}:{session}")),
        arn: Some(arn.clone()),
        account_id: Some(account),
        access_key_id: Some(chance.aws_id("ASIA")),
        session_context: RawValue::from_string(context.to_string()).ok(),
        ..UserIdentity::default()
    };
    Caller { stable: stable.into(), arn, identity, address: String::new(), user_agent: "" }
}

fn user(actor: &Actor, seed: u64) -> Caller {
    let arn = actor.identity();
    let identity = UserIdentity {
        kind: "IAMUser",
        principal_id: Some(lasting_id(seed, actor)),
        arn: Some(arn.clone()),
        account_id: Some(actor.home.account),
        access_key_id: Some(long_lived_key(seed, actor.short_name())),
        user_name: Some(actor.short_name().to_owned()),
        ..UserIdentity::default()
    };
    Caller { stable: arn.as_str().into(), arn, identity, address: String::new(), user_agent: "" }
}

fn service(host: &'static str) -> Caller {
    let identity = UserIdentity { kind: "AWSService", invoked_by: Some(host), ..UserIdentity::default() };
    Caller { stable: host.into(), arn: host.to_owned(), identity, address: host.to_owned(), user_agent: host }
}

/// The build system's token before it is exchanged for the actor's role.
fn build(actor: &Actor) -> Caller {
    let account = actor.home.account;
    let provider = format!("arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com");
    let subject = format!("repo:acme/{}:ref:refs/heads/main", actor.name);
    let principal = format!("{provider}:sts.amazonaws.com:{subject}");
    let identity = UserIdentity {
        kind: "WebIdentityUser",
        principal_id: Some(principal.clone()),
        user_name: Some(subject),
        identity_provider: Some(provider),
        ..UserIdentity::default()
    };
    Caller {
        stable: principal.as_str().into(),
        arn: principal,
        identity,
        address: "203.0.113.40".to_owned(),
        user_agent: "configure-aws-credentials-for-github-actions",
    }
}

/// Services that have one endpoint for all regions log in the second region.
fn is_global(service: &str) -> bool {
    matches!(service, "iam" | "ce" | "organizations" | "signin" | "cloudfront" | "route53")
}
