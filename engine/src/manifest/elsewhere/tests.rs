use super::super::tests::{ROLE, agent, fault, load};
use super::*;
use crate::manifest::Manifests;
use crate::scope::{Reason, Scope, Verdict};
use policy::context::{Context, Fact};

const CATALOG: &str = r#"apiVersion: remit/v1
kind: ResourceCatalog
resources:
  machines: {azure: [Microsoft.Compute/virtualMachines], gcp: [compute.googleapis.com/Instance]}
  databases: {aws: ["arn:aws:rds:*:*:*"], azure: ["Microsoft.Sql/*"], gcp: [sqladmin.googleapis.com/Instance]}
  reports: {azure: [/subscriptions/s1/resourceGroups/reports], gcp: ["gs://acme-reports", bigquery.tables]}
  reports/old: {azure: /subscriptions/s1/resourceGroups/old}
  idle: {tags: {idle: "true"}, azure: [Microsoft.Compute/virtualMachines]}
  buckets: {gcp: [storage.googleapis.com/Bucket]}
  tickets: {aws: ["arn:aws:s3:::acme-tickets/*"]}
"#;

fn with(catalog: &str, rest: &str) -> Manifests {
    load(&[("a.yaml", &agent("a", ROLE, rest)), ("c.yaml", catalog)]).unwrap()
}

fn manifest(rest: &str) -> Manifests {
    with(CATALOG, rest)
}

fn of(manifests: &Manifests) -> &Scope {
    &manifests.named("a").unwrap().scope
}

/// The cloud by the spelling: Azure's operations have slashes.
fn verdict(manifests: &Manifests, operation: &str, place: Option<&str>) -> (Verdict, Reason) {
    let cloud = if operation.contains('/') { Cloud::Azure } else { Cloud::Gcp };
    let found = of(manifests).verdict_elsewhere(cloud, operation, None, place, &Context::partial());
    (found.verdict, found.reason)
}

fn reason(manifests: &Manifests, operation: &str) -> Reason {
    verdict(manifests, operation, None).1
}

fn told(rest: &str) -> String {
    fault(&[("a.yaml", &agent("a", ROLE, rest)), ("c.yaml", CATALOG)])
}

#[test]
fn a_verb_on_a_name_means_it_in_every_cloud() {
    let manifests = manifest("  allow: [{read: databases}]\n");
    assert_eq!(reason(&manifests, "Microsoft.Sql/servers/databases/read"), Reason::Declared);
    assert_eq!(reason(&manifests, "Microsoft.Sql/servers/write"), Reason::NotDeclared);
    assert_eq!(reason(&manifests, "Microsoft.Web/sites/read"), Reason::OtherResource);
    assert_eq!(reason(&manifests, "cloudsql.instances.get"), Reason::Declared);
    assert_eq!(reason(&manifests, "cloudsql.instances.delete"), Reason::NotDeclared);
    assert!(of(&manifests).declares("rds:ListTagsForResource"));
}

#[test]
fn a_name_of_one_cloud_says_nothing_in_another() {
    let manifests = manifest("  allow: [{read: tickets}, {write: machines}]\n");
    assert_eq!(reason(&manifests, "Microsoft.Storage/storageAccounts/read"), Reason::NotDeclared);
    assert_eq!(reason(&manifests, "storage.objects.get"), Reason::NotDeclared);
    assert_eq!(reason(&manifests, "compute.instances.setLabels"), Reason::Declared);
    assert!(!of(&manifests).declares("ec2:RunInstances"));
}

#[test]
fn a_verdict_names_its_entry() {
    let manifests = manifest("  allow:\n    - read: machines\n");
    let operation = "Microsoft.Compute/virtualMachines/read";
    let found = of(&manifests).verdict_azure(operation, Plane::Control, None, &Context::partial());
    assert!(found.statement.unwrap().ends_with("/a.yaml:7 read: machines"));
}

#[test]
fn scopes_and_buckets_hold_what_is_in_them() {
    let manifests = manifest("  allow: [{read: reports}]\n");
    let read = "Microsoft.Web/sites/read";
    let site =
        |group: &str| format!("/subscriptions/s1/resourceGroups/{group}/providers/Microsoft.Web/sites/w");
    assert_eq!(verdict(&manifests, read, Some(&site("reports"))).1, Reason::Declared);
    assert_eq!(
        verdict(&manifests, read, Some(&site("old"))).1,
        Reason::OtherResource,
        "below is another name"
    );
    let object = |bucket: &str| format!("projects/_/buckets/{bucket}/objects/o");
    assert_eq!(verdict(&manifests, "storage.objects.get", Some(&object("acme-reports"))).1, Reason::Declared);
    assert_eq!(verdict(&manifests, "storage.objects.get", Some(&object("acme"))).1, Reason::OtherResource);
    assert_eq!(
        verdict(&manifests, "bigquery.tables.getData", Some("projects/p/datasets/d/tables/t")).1,
        Reason::Declared
    );
}

#[test]
fn a_deny_means_what_lies_below_as_well() {
    let manifests =
        manifest("  allow: [{\"*\": \"*\"}]\n  deny: [{read: reports}, {delete: [buckets, machines]}]\n");
    let old = "/subscriptions/s1/resourceGroups/old";
    assert_eq!(verdict(&manifests, "Microsoft.Web/sites/read", Some(old)).1, Reason::DeniedByManifest);
    assert_eq!(reason(&manifests, "storage.objects.delete"), Reason::DeniedByManifest);
    let extension = "Microsoft.Compute/virtualMachines/extensions/delete";
    assert_eq!(reason(&manifests, extension), Reason::DeniedByManifest);
    let allowed = manifest_of_reading_machines();
    assert_eq!(reason(&allowed, "Microsoft.Compute/virtualMachines/extensions/read"), Reason::OtherResource);
}

fn manifest_of_reading_machines() -> Manifests {
    manifest("  allow: [{read: machines}]\n")
}

#[test]
fn everything_is_everything_everywhere() {
    let manifests = manifest("  allow: [{\"*\": \"*\"}]\n  deny: [{\"*\": databases}]\n");
    assert_eq!(reason(&manifests, "Microsoft.Web/sites/restart/action"), Reason::Declared);
    assert_eq!(reason(&manifests, "pubsub.topics.setIamPolicy"), Reason::Declared);
    assert_eq!(reason(&manifests, "cloudsql.users.create"), Reason::DeniedByManifest);
    assert_eq!(reason(&manifests, "Microsoft.Sql/servers/write"), Reason::DeniedByManifest);
}

#[test]
fn no_verb_but_admin_gives_rights_away() {
    let manifests = manifest("  allow: [{read: \"*\"}, {write: \"*\"}, {invoke: \"*\"}]\n");
    assert_eq!(reason(&manifests, "Microsoft.Web/sites/write"), Reason::Declared);
    assert_eq!(reason(&manifests, "Microsoft.Web/sites/restart/action"), Reason::Declared);
    assert_eq!(reason(&manifests, "Microsoft.Authorization/roleAssignments/read"), Reason::Declared);
    for given in [
        "Microsoft.Authorization/roleAssignments/write",
        "Microsoft.Storage/storageAccounts/listKeys/action",
        "Microsoft.Authorization/elevateAccess/action",
        "Microsoft.KeyVault/vaults/accessPolicies/write",
        "storage.buckets.setIamPolicy",
        "iam.serviceAccountKeys.create",
        "iam.roles.update",
    ] {
        assert_eq!(reason(&manifests, given), Reason::NotDeclared, "{given}");
    }
    let admin = manifest("  deny: [{admin: \"*\"}]\n");
    assert_eq!(reason(&admin, "Microsoft.Authorization/roleAssignments/write"), Reason::DeniedByManifest);
    assert_eq!(reason(&admin, "storage.buckets.setIamPolicy"), Reason::DeniedByManifest);
    assert_eq!(reason(&admin, "storage.buckets.getIamPolicy"), Reason::NotDeclared);
}

#[test]
fn to_administer_a_thing_is_asked_at_the_thing() {
    let manifests = manifest("  allow: [{\"*\": \"*\"}]\n  deny: [{admin: databases}]\n");
    let at = |kind: &str| {
        format!(
            "/subscriptions/s/resourceGroups/g/providers/{kind}/x/providers/Microsoft.Authorization/roleAssignments/1"
        )
    };
    let grant = "Microsoft.Authorization/roleAssignments/write";
    assert_eq!(verdict(&manifests, grant, Some(&at("Microsoft.Sql/servers"))).1, Reason::DeniedByManifest);
    assert_eq!(verdict(&manifests, grant, Some(&at("Microsoft.Web/sites"))).1, Reason::Declared);
}

#[test]
fn to_delete_is_neither_to_write_nor_to_invoke() {
    let manifests = manifest("  allow: [{write: \"*\"}, {invoke: \"*\"}]\n");
    for deletion in
        ["Microsoft.Web/sites/delete", "Microsoft.KeyVault/vaults/purge/action", "compute.disks.delete"]
    {
        assert_eq!(reason(&manifests, deletion), Reason::NotDeclared, "{deletion}");
    }
    let delete = manifest("  allow: [{delete: \"*\"}]\n");
    for deletion in [
        "Microsoft.Web/sites/delete",
        "Microsoft.KeyVault/vaults/purge/action",
        "cloudkms.cryptoKeyVersions.destroy",
    ] {
        assert_eq!(reason(&delete, deletion), Reason::Declared, "{deletion}");
    }
}

#[test]
fn a_catalog_may_say_what_a_verb_means_in_one_cloud() {
    let verbs = "verbs:\n  read: {azure: [\"*/read\", \"*/list*/action\"]}\n  watch: {gcp: [\"*.get\"], azure: [\"*/read\"], except: peek}\n  peek: {gcp: [storage.objects.get]}\n";
    let catalog = format!("{CATALOG}{verbs}");
    let manifests = with(&catalog, "  allow: [{read: machines}, {watch: \"*\"}]\n");
    assert_eq!(reason(&manifests, "Microsoft.Compute/virtualMachines/listSizes/action"), Reason::Declared);
    assert_eq!(reason(&manifests, "compute.instances.list"), Reason::Declared, "as built in");
    assert_eq!(reason(&manifests, "storage.buckets.get"), Reason::Declared);
    assert_eq!(reason(&manifests, "storage.objects.get"), Reason::OtherResource, "it is left out");
    let tickets = with(&catalog, "  allow: [{read: tickets}]\n");
    assert!(of(&tickets).declares("s3:GetObject"), "what is said of Azure changes nothing in AWS");
}

#[test]
fn what_is_told_apart_by_tags_is_unknown() {
    let manifests = manifest("  allow: [{delete: idle}]\n");
    let operation = "Microsoft.Compute/virtualMachines/delete";
    let found = of(&manifests).verdict_azure(operation, Plane::Control, None, &Context::partial());
    assert_eq!((found.verdict, found.missing), (Verdict::Unknown, vec!["resources.idle.tags".to_owned()]));
}

#[test]
fn a_scope_or_a_name_may_stand_for_itself() {
    let manifests = manifest("  allow: [{read: [/subscriptions/s7, \"gs://acme\"]}]\n");
    assert_eq!(
        verdict(&manifests, "Microsoft.Web/sites/read", Some("/subscriptions/s7/resourceGroups/g")).1,
        Reason::Declared
    );
    assert_eq!(
        verdict(&manifests, "Microsoft.Web/sites/read", Some("/subscriptions/s8")).1,
        Reason::OtherResource
    );
    assert_eq!(
        verdict(&manifests, "storage.objects.get", Some("projects/_/buckets/acme/objects/o")).1,
        Reason::Declared
    );
}

#[test]
fn types_are_read_in_every_form() {
    let word = |cloud, text: &str| match thing(cloud, text, false) {
        Ok(Thing::Type { pattern, .. }) => format!("type {}", pattern.as_str()),
        Ok(Thing::Place(name)) => format!("place {name}"),
        Err(_) => "none".to_owned(),
    };
    for (text, expected) in [
        ("Microsoft.Compute/virtualMachines", "type Microsoft.Compute/virtualMachines"),
        ("Microsoft.Sql/*", "type Microsoft.Sql/*"),
        ("Microsoft.Sql", "type Microsoft.Sql/*"),
        ("/subscriptions/s", "place /subscriptions/s"),
        ("*", "place *"),
        ("virtualMachines", "none"),
        ("Microsoft.Sql/", "none"),
        ("/", "none"),
        ("two words.x/y", "none"),
    ] {
        assert_eq!(word(Cloud::Azure, text), expected, "{text}");
    }
    for (text, expected) in [
        ("compute.googleapis.com/Instance", "type compute.instances"),
        ("sqladmin.googleapis.com/Instance", "type cloudsql.instances"),
        ("compute.googleapis.com/UrlMap", "type compute.urlMaps"),
        ("compute.googleapis.com/URLMap", "type compute.urlMaps"),
        ("compute.googleapis.com/Address", "type compute.addresses"),
        ("artifactregistry.googleapis.com/Repository", "type artifactregistry.repositories"),
        ("cloudresourcemanager.googleapis.com/Project", "type resourcemanager.projects"),
        ("cloudfunctions.googleapis.com/CloudFunction", "type cloudfunctions.functions"),
        ("logging.googleapis.com/LogSink", "type logging.sinks"),
        ("apigateway.googleapis.com/Gateway", "type apigateway.gateways"),
        ("apps.k8s.io/Deployment", "type container.deployments"),
        ("storage.googleapis.com", "type storage.*"),
        ("storage.googleapis.com/*", "type storage.*"),
        ("bigquery.tables", "type bigquery.tables"),
        ("projects/acme", "place projects/acme"),
        ("//pubsub.googleapis.com/projects/p/topics/t", "place //pubsub.googleapis.com/projects/p/topics/t"),
        ("pubsub.googleapis.com/projects/p/topics/t", "place //pubsub.googleapis.com/projects/p/topics/t"),
        ("gs://acme/in/*", "place projects/_/buckets/acme/objects/in/*"),
        ("gs://acme/", "place projects/_/buckets/acme"),
        ("Instance", "none"),
        ("compute.", "none"),
        ("projects/", "none"),
        ("gs://", "none"),
    ] {
        assert_eq!(word(Cloud::Gcp, text), expected, "{text}");
    }
}

#[test]
fn a_word_that_is_no_form_is_told_with_its_line() {
    let catalog = |line: &str| format!("apiVersion: remit/v1\nkind: ResourceCatalog\n{line}\n");
    let one = |line: &str| fault(&[("c.yaml", &catalog(line))]);
    assert!(
        one("resources: {x: {azure: [VMs]}}")
            .starts_with("c.yaml:3: `VMs` in `resources.x.azure` is neither")
    );
    assert!(one("resources: {x: {gcp: [Instance]}}").contains("`Instance` in `resources.x.gcp` is neither"));
    assert!(one("resources: {x: {azur: [\"*\"]}}").contains("Did you mean `azure`?"));
    assert!(one("verbs: {read: {azure: [read]}}").contains("`read` in `verbs.read.azure` is no operation"));
    assert!(
        one("verbs: {read: {gcp: [\"*/read\"]}}").contains("`*/read` in `verbs.read.gcp` is no permission")
    );
}

#[test]
fn raw_operations_of_azure_are_taken_as_a_role_has_them() {
    let manifests = manifest(
        "  allow:\n    - azure: {actions: [\"Microsoft.Storage/*\"], notActions: [\"*/delete\"], dataActions: [\"*/blobs/read\"], scope: /subscriptions/s1}\n",
    );
    let of = |operation: &str, plane, place: &str| {
        of(&manifests).verdict_azure(operation, plane, Some(place), &Context::partial()).reason
    };
    let (account, blobs) = ("Microsoft.Storage/storageAccounts", "Microsoft.Storage/x/blobs/read");
    let inside = "/subscriptions/s1/resourceGroups/g";
    assert_eq!(of(&format!("{account}/write"), Plane::Control, inside), Reason::Declared);
    assert_eq!(of(&format!("{account}/delete"), Plane::Control, inside), Reason::NotDeclared);
    assert_eq!(of(&format!("{account}/write"), Plane::Control, "/subscriptions/s2"), Reason::OtherResource);
    assert_eq!(of(blobs, Plane::Data, inside), Reason::Declared);
    assert_eq!(of("Microsoft.Storage/x/blobs/write", Plane::Data, inside), Reason::NotDeclared);
}

#[test]
fn raw_permissions_of_google_cloud_are_taken_too() {
    let manifests = manifest(
        "  allow:\n    - gcp: {permissions: [storage.objects.get, \"pubsub.*\"], resource: [projects/ops, \"gs://acme\"]}\n",
    );
    let of = |permission: &str, place: &str| verdict(&manifests, permission, Some(place)).1;
    assert_eq!(of("storage.objects.get", "projects/_/buckets/acme/objects/o"), Reason::Declared);
    assert_eq!(of("storage.objects.list", "projects/_/buckets/acme"), Reason::NotDeclared);
    assert_eq!(of("pubsub.topics.publish", "projects/ops/topics/t"), Reason::Declared);
    assert_eq!(of("pubsub.topics.publish", "projects/dev/topics/t"), Reason::OtherResource);
}

#[test]
fn raw_entries_may_deny() {
    let denied = manifest(
        "  allow: [{\"*\": \"*\"}, {gcp: {effect: deny, permissions: [\"*.delete\"], resource: storage.buckets}}]\n  deny: [{azure: {actions: [\"*/delete\"]}}]\n",
    );
    assert_eq!(reason(&denied, "storage.objects.delete"), Reason::DeniedByManifest);
    assert_eq!(reason(&denied, "pubsub.topics.delete"), Reason::Declared);
    assert_eq!(reason(&denied, "Microsoft.Web/sites/delete"), Reason::DeniedByManifest);
    assert!(
        told("  deny: [{gcp: {effect: allow, permissions: [\"*\"]}}]\n")
            .contains("none below `deny` can allow")
    );
}

#[test]
fn slips_in_raw_entries_are_told() {
    for (rest, expected) in [
        (
            "  allow: [{azure: {action: [\"*/read\"]}}]\n",
            "unknown key `action` in `azure`. Did you mean `actions`?",
        ),
        ("  allow: [{azure: {actions: [\"*/read\"], scopes: /x}}]\n", "Did you mean `scope`?"),
        (
            "  allow: [{gcp: {permission: [x.y]}}]\n",
            "unknown key `permission` in `gcp`. Did you mean `permissions`?",
        ),
        ("  allow: [{azur: {actions: [\"*/read\"]}}]\n", "Did you mean `azure`?"),
        ("  allow: [{azure: {actions: [read]}}]\n", "`read` in `azure.actions` is no operation"),
        ("  allow: [{gcp: {permissions: [\"storage/objects.get\"]}}]\n", "is no permission"),
        ("  allow: [{azure: {scope: /subscriptions/s}}]\n", "`azure` needs `actions` or `dataActions`"),
        ("  allow: [{gcp: {resource: projects/p}}]\n", "`gcp` needs `permissions`"),
        ("  allow: [{azure: {actions: [\"*\"], scope: Microsoft.Sql/servers}}]\n", "is no scope"),
        (
            "  allow: [{azure: {actions: [\"*\"], notDataActions: [\"*/read\"]}}]\n",
            "takes from `dataActions`",
        ),
        ("  allow: [{gcp: {permissions: [a.b.c], resource: thing}}]\n", "is neither a resource type"),
    ] {
        let told = told(rest);
        assert!(told.contains(expected), "{told}\n  does not hold\n{expected}");
    }
}

#[test]
fn approvals_open_raw_entries_and_verbs_in_every_cloud() {
    let spec = "  approvals:\n    - grant: {delete: machines, gcp: {permissions: [pubsub.topics.delete]}}\n      by: ann\n";
    let window = "---\napiVersion: remit/v1\nkind: Approval\nspec: {agent: a, start: 2026-11-20T10:00:00Z, end: 2026-11-20T12:00:00Z, approver: ann}\n";
    let manifests = manifest(&format!("{spec}{window}"));
    let at = |time: &str, cloud, operation: &str| {
        let mut context = Context::partial();
        context.set("aws:CurrentTime", Fact::one(time));
        of(&manifests).verdict_elsewhere(cloud, operation, None, None, &context).reason
    };
    let machines = "Microsoft.Compute/virtualMachines/delete";
    assert_eq!(at("2026-11-20T11:00:00Z", Cloud::Azure, machines), Reason::Approved);
    assert_eq!(at("2026-11-20T11:00:00Z", Cloud::Gcp, "pubsub.topics.delete"), Reason::Approved);
    assert_eq!(at("2026-11-20T13:00:00Z", Cloud::Azure, machines), Reason::OutsideApproval);
    assert_eq!(at("2026-11-20T13:00:00Z", Cloud::Gcp, "pubsub.topics.delete"), Reason::OutsideApproval);
    assert_eq!(at("2026-11-20T11:00:00Z", Cloud::Gcp, "pubsub.topics.create"), Reason::NotDeclared);
}

#[test]
fn denials_may_be_expected_in_every_cloud() {
    let manifests =
        manifest("  expected_denials: [{gcp: {permissions: [storage.buckets.list]}}, {read: machines}]\n");
    let expects = |cloud, operation: &str| {
        of(&manifests).expects_denial_elsewhere(cloud, operation, None, None, &Context::partial())
    };
    assert!(expects(Cloud::Gcp, "storage.buckets.list"));
    assert!(expects(Cloud::Azure, "Microsoft.Compute/virtualMachines/read"));
    assert!(!expects(Cloud::Gcp, "storage.buckets.delete"));
    assert_eq!(reason(&manifests, "storage.buckets.list"), Reason::NotDeclared);
}

#[test]
fn a_scope_of_reading_is_read_only_in_every_cloud() {
    assert!(of(&manifest("  allow: [{read: \"*\"}]\n")).is_read_only());
    assert!(!of(&manifest("  allow: [{read: \"*\"}, {gcp: {permissions: [a.b.update]}}]\n")).is_read_only());
}

#[test]
fn the_entries_are_described_with_their_cloud() {
    let manifests = manifest(
        "  allow: [{read: databases}, {azure: {actions: [\"*/read\"], notActions: [\"Microsoft.Sql/*\"]}}]\n",
    );
    let described = of(&manifests).described();
    let shown: Vec<(&str, Option<&str>, Option<&str>)> =
        described.iter().map(|one| (one.cloud, one.verb.as_deref(), one.name.as_deref())).collect();
    let named = |cloud| (cloud, Some("read"), Some("databases"));
    assert_eq!(shown, [named("aws"), named("azure"), named("gcp"), ("azure", None, None)]);
    assert_eq!(described[3].except, ["Microsoft.Sql/*"]);
}

#[test]
fn the_schema_takes_these_forms() {
    let schema = crate::manifest::schema();
    let properties = &schema["$defs"]["entry"]["properties"];
    for cloud in ["aws", "azure", "gcp"] {
        assert_eq!(properties[cloud]["$ref"], format!("#/$defs/{cloud}"));
    }
    assert!(schema["$defs"]["azure"]["properties"].get("notDataActions").is_some());
    assert!(schema["$defs"]["identity"]["properties"].get("azure.app").is_some());
}
