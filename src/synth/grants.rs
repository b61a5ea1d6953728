//! What IAM grants: one `aws iam get-account-authorization-details` export for each account. Some roles
//! hold what they need and no more; others carry the leftovers that the monthly report is for.

use serde_json::{Value, json};

use super::chance::Chance;
use super::company::{Actor, DATA, Grant, Kind, PROD, Place, STAGING};
use super::month::everybody;
use super::session::lasting_id;
use super::target::On;

/// Roles that nobody ever calls with: path and name, account, attached policy.
const FORGOTTEN: &[(&str, &str, &str)] = &[
    ("agents/retired-scraper", PROD, "AdministratorAccess"),
    ("agents/spring-migration", DATA, "AdministratorAccess"),
];

/// The export of one account.
pub fn export(account: &'static str, seed: u64) -> Value {
    let roles: Vec<&Actor> = everybody()
        .filter(|actor| actor.home.account == account && matches!(actor.kind, Kind::Role(_)))
        .collect();
    let mut policies: Vec<Value> = roles
        .iter()
        .flat_map(|actor| actor.grants)
        .filter(|grant| grant.managed)
        .map(|grant| managed(account, grant.policy, document(&[statement(grant)]), seed))
        .collect();
    if account == STAGING {
        let bound = json!({"Sid": "Bounds", "Effect": "Allow", "Resource": "*",
            "Action": ["lambda:*", "cloudformation:*", "s3:*", "logs:*"]});
        policies.push(managed(account, "StagingBoundary", document(&[bound]), seed));
    }
    let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    policies.push(managed("aws", "AdministratorAccess", document(&[everything]), seed));

    let mut details: Vec<Value> = roles.iter().map(|actor| role(actor, seed)).collect();
    for (path, _, policy) in FORGOTTEN.iter().filter(|(_, own, _)| *own == account) {
        details.push(forgotten(path, account, policy, seed));
    }
    let users: Vec<Value> = everybody()
        .filter(|actor| actor.home.account == account && matches!(actor.kind, Kind::User(_)))
        .map(|actor| {
            json!({"Path": path(actor), "UserName": actor.short_name(), "UserId": lasting_id(seed, actor),
                "Arn": actor.identity(), "CreateDate": CREATED, "GroupList": [],
                "UserPolicyList": [{"PolicyName": "Work", "PolicyDocument": work(actor)}],
                "AttachedManagedPolicies": [], "Tags": []})
        })
        .collect();
    json!({"UserDetailList": users, "GroupDetailList": [], "RoleDetailList": details, "Policies": policies})
}

const CREATED: &str = "2024-02-06T09:30:00+00:00";

fn role(actor: &Actor, seed: u64) -> Value {
    let account = actor.home.account;
    let mut inline = vec![json!({"PolicyName": "Work", "PolicyDocument": work(actor)})];
    let mut attached = Vec::new();
    for grant in actor.grants {
        if grant.managed {
            let arn = format!("arn:aws:iam::{account}:policy/{}", grant.policy);
            attached.push(json!({"PolicyName": grant.policy, "PolicyArn": arn}));
        } else {
            let document = document(&[statement(grant)]);
            inline.push(json!({"PolicyName": grant.policy, "PolicyDocument": document}));
        }
    }
    let mut role = json!({
        "Path": path(actor), "RoleName": actor.short_name(), "RoleId": lasting_id(seed, actor),
        "Arn": actor.identity(), "CreateDate": CREATED,
        "AssumeRolePolicyDocument": trust("ecs-tasks.amazonaws.com"),
        "InstanceProfileList": [], "RolePolicyList": inline, "AttachedManagedPolicies": attached,
        "Tags": [{"Key": "owner", "Value": actor.declares.map_or("nobody", |d| d.team)}],
    });
    if let (Some(boundary), Some(fields)) = (actor.boundary, role.as_object_mut()) {
        let arn = format!("arn:aws:iam::{account}:policy/{boundary}");
        let bounds =
            json!({"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn});
        fields.insert("PermissionsBoundary".to_owned(), bounds);
    }
    role
}

fn forgotten(path: &str, account: &str, policy: &str, seed: u64) -> Value {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    json!({
        "Path": format!("/{folder}/"), "RoleName": name,
        "RoleId": Chance::new(seed, path).aws_id("AROA"),
        "Arn": format!("arn:aws:iam::{account}:role/{path}"), "CreateDate": CREATED,
        "AssumeRolePolicyDocument": trust("lambda.amazonaws.com"),
        "InstanceProfileList": [], "RolePolicyList": [], "Tags": [],
        "AttachedManagedPolicies": [
            {"PolicyName": policy, "PolicyArn": format!("arn:aws:iam::aws:policy/{policy}")}],
    })
}

/// The policy that an actor's work needs: what its vocabulary uses, resource by resource where the
/// vocabulary names one.
fn work(actor: &Actor) -> Value {
    let mut statements: Vec<(String, Vec<String>)> = Vec::new();
    for act in actor.acts.iter().chain(actor.monthly) {
        let resource = resource(act.on, actor.home);
        let permission = act.permission();
        match statements.iter_mut().find(|(own, _)| *own == resource) {
            Some((_, actions)) if actions.contains(&permission) => {}
            Some((_, actions)) => actions.push(permission),
            None => statements.push((resource, vec![permission])),
        }
    }
    let statements: Vec<Value> = statements
        .into_iter()
        .map(|(resource, actions)| json!({"Effect": "Allow", "Action": actions, "Resource": resource}))
        .collect();
    document(&statements)
}

fn resource(on: On, home: Place) -> String {
    let Place { account, region } = home;
    match on {
        On::Nothing | On::Request(_) => "*".to_owned(),
        On::Table(name) | On::WholeTable(name) => format!("arn:aws:dynamodb:{region}:{account}:table/{name}"),
        On::Object(bucket, _) => format!("arn:aws:s3:::{bucket}/*"),
        On::Bucket(bucket) => format!("arn:aws:s3:::{bucket}"),
        On::Key(id) => format!("arn:aws:kms:{region}:{account}:key/{id}"),
        On::Model(id) => format!("arn:aws:bedrock:{region}::foundation-model/{id}"),
        On::Run(name) => format!("arn:aws:lambda:{region}:{account}:function:{name}"),
        On::Function(name) if name.starts_with("arn:") => name.to_owned(),
        On::Function(name) => format!("arn:aws:lambda:{region}:{account}:function:{name}"),
        On::Queue(name) => format!("arn:aws:sqs:{region}:{account}:{name}"),
        On::Role(arn) => arn.to_owned(),
        On::NewKey(user) => format!("arn:aws:iam::{account}:user/{user}"),
    }
}

fn statement(grant: &Grant) -> Value {
    let mut statement = json!({"Sid": grant.policy, "Effect": "Allow",
        "Action": grant.actions, "Resource": grant.resources});
    let condition = grant.condition.and_then(|text| serde_json::from_str(text).ok());
    if let (Some(condition), Some(fields)) = (condition, statement.as_object_mut()) {
        fields.insert("Condition".to_owned(), condition);
    }
    statement
}

fn document(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn trust(service: &str) -> Value {
    document(&[json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})])
}

fn managed(owner: &str, name: &str, document: Value, seed: u64) -> Value {
    json!({
        "PolicyName": name, "PolicyId": Chance::new(seed, name).aws_id("ANPA"),
        "Arn": format!("arn:aws:iam::{owner}:policy/{name}"), "Path": "/", "DefaultVersionId": "v1",
        "AttachmentCount": 1, "PermissionsBoundaryUsageCount": 0, "IsAttachable": true,
        "CreateDate": CREATED, "UpdateDate": CREATED,
        "PolicyVersionList": [{"Document": document, "VersionId": "v1", "IsDefaultVersion": true,
            "CreateDate": CREATED}],
    })
}

fn path(actor: &Actor) -> String {
    match actor.kind {
        Kind::Role(path) | Kind::User(path) => {
            path.rsplit_once('/').map_or_else(|| "/".to_owned(), |(folder, _)| format!("/{folder}/"))
        }
        Kind::Service(_) | Kind::Linked(..) => "/".to_owned(),
    }
}
