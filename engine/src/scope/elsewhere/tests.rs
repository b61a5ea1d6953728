use super::*;
use crate::scope::{Parts, Window};
use policy::context::Fact;

const VM: &str = "/subscriptions/s1/resourceGroups/g1/providers/Microsoft.Compute/virtualMachines/m1";

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn entry(kind: Kind, cloud: Cloud, any: &[&str], things: Vec<Thing>) -> Elsewhere {
    Elsewhere {
        kind,
        cloud,
        operations: vec![Operations::new(None, &texts(any), &[])],
        things,
        approval: None,
        unjudged: Vec::new(),
        origin: format!("a.yaml:1 {cloud}: {}", any.join(", ")),
    }
}

fn azure(kind: Kind, any: &[&str], things: Vec<Thing>) -> Elsewhere {
    entry(kind, Cloud::Azure, any, things)
}

fn gcp(kind: Kind, any: &[&str], things: Vec<Thing>) -> Elsewhere {
    entry(kind, Cloud::Gcp, any, things)
}

fn kind(text: &str) -> Thing {
    Thing::Type { pattern: ActionPattern::new(text), below: false }
}

fn kind_and_below(text: &str) -> Thing {
    Thing::Type { pattern: ActionPattern::new(text), below: true }
}

fn place(text: &str) -> Thing {
    Thing::Place(text.to_owned())
}

fn scope(elsewhere: Vec<Elsewhere>) -> Scope {
    Scope::new(Parts { elsewhere, ..Parts::default() })
}

fn on_azure(scope: &Scope, operation: &str, place: Option<&str>) -> (Verdict, Reason) {
    let verdict = scope.verdict_azure(operation, Plane::Control, place, &Context::partial());
    (verdict.verdict, verdict.reason)
}

fn on_gcp(scope: &Scope, permission: &str, place: Option<&str>) -> (Verdict, Reason) {
    let verdict = scope.verdict_gcp(permission, place, &Context::partial());
    (verdict.verdict, verdict.reason)
}

const IN: (Verdict, Reason) = (Verdict::In, Reason::Declared);
const OTHER: (Verdict, Reason) = (Verdict::Out, Reason::OtherResource);
const UNDECLARED: (Verdict, Reason) = (Verdict::Out, Reason::NotDeclared);
const DENIED: (Verdict, Reason) = (Verdict::Out, Reason::DeniedByManifest);
const UNSEEN: (Verdict, Reason) = (Verdict::Unknown, Reason::ResourceNotLogged);

#[test]
fn what_is_declared_in_azure_is_in_and_the_rest_is_out() {
    let scope = scope(vec![azure(Kind::Allow, &["Microsoft.Compute/virtualMachines/read"], vec![])]);
    assert_eq!(on_azure(&scope, "microsoft.compute/VIRTUALMACHINES/read", Some(VM)), IN);
    assert_eq!(on_azure(&scope, "Microsoft.Compute/virtualMachines/write", Some(VM)), UNDECLARED);
}

#[test]
fn an_entry_about_one_cloud_says_nothing_in_another() {
    let scope = scope(vec![azure(Kind::Allow, &["*"], vec![])]);
    assert_eq!(on_azure(&scope, "Microsoft.Sql/servers/read", None), IN);
    assert_eq!(on_gcp(&scope, "storage.objects.get", None), UNDECLARED);
    assert_eq!(scope.verdict("s3:GetObject", &[], true, &Context::partial()).verdict, Verdict::Out);
}

#[test]
fn a_deny_in_azure_beats_an_allow() {
    let scope = scope(vec![
        azure(Kind::Allow, &["*"], vec![]),
        azure(Kind::Deny, &["*/delete"], vec![kind("Microsoft.Sql/*")]),
    ]);
    assert_eq!(on_azure(&scope, "Microsoft.Sql/servers/delete", None), DENIED);
    assert_eq!(on_azure(&scope, "Microsoft.Sql/servers/databases/delete", None), DENIED);
    assert_eq!(on_azure(&scope, "Microsoft.Compute/disks/delete", None), IN);
}

#[test]
fn what_an_entry_subtracts_another_may_give() {
    let less = |any: &[&str], except: &[&str]| Elsewhere {
        operations: vec![Operations::new(Some(Plane::Control), &texts(any), &texts(except))],
        ..azure(Kind::Allow, &[], vec![])
    };
    let one = scope(vec![less(&["*"], &["*/delete"])]);
    assert_eq!(on_azure(&one, "Microsoft.Compute/disks/write", None), IN);
    assert_eq!(on_azure(&one, "Microsoft.Compute/disks/delete", None), UNDECLARED);
    // It is no deny: <https://learn.microsoft.com/azure/role-based-access-control/role-definitions#notactions>
    let two = scope(vec![less(&["*"], &["*/delete"]), less(&["Microsoft.Compute/disks/*"], &[])]);
    assert_eq!(on_azure(&two, "Microsoft.Compute/disks/delete", None), IN);
}

#[test]
fn managing_a_thing_is_not_using_what_is_in_it() {
    let data = Elsewhere {
        operations: vec![Operations::new(Some(Plane::Data), &texts(&["Microsoft.Storage/*/read"]), &[])],
        ..azure(Kind::Allow, &[], vec![])
    };
    let scope = scope(vec![data]);
    let of = |plane| {
        let blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";
        scope.verdict_elsewhere(Cloud::Azure, blobs, plane, None, &Context::partial()).verdict
    };
    assert_eq!(of(Some(Plane::Data)), Verdict::In);
    assert_eq!(of(Some(Plane::Control)), Verdict::Out);
    assert_eq!(of(None), Verdict::In, "on which plane nobody said");
}

#[test]
fn a_type_is_the_operations_without_their_last_word() {
    let scope = scope(vec![azure(
        Kind::Allow,
        &["*/read", "*/action"],
        vec![kind("Microsoft.Compute/virtualMachines")],
    )]);
    assert_eq!(on_azure(&scope, "Microsoft.Compute/virtualMachines/read", None), IN);
    assert_eq!(on_azure(&scope, "Microsoft.Compute/virtualMachines/start/action", None), IN);
    assert_eq!(on_azure(&scope, "Microsoft.Compute/virtualMachines/extensions/read", None), OTHER);
    assert_eq!(on_azure(&scope, "Microsoft.Compute/virtualMachineScaleSets/read", None), OTHER);
    assert_eq!(on_azure(&scope, "Microsoft.Compute/virtualMachines/write", None), UNDECLARED);
}

#[test]
fn a_type_may_mean_those_below_it() {
    let scope = scope(vec![
        azure(Kind::Allow, &["*"], vec![]),
        azure(Kind::Deny, &["*/write"], vec![kind_and_below("Microsoft.Compute/virtualMachines")]),
    ]);
    assert_eq!(on_azure(&scope, "Microsoft.Compute/virtualMachines/extensions/write", None), DENIED);
    assert_eq!(on_azure(&scope, "Microsoft.Compute/virtualMachineScaleSets/write", None), IN);
}

#[test]
fn who_may_do_what_with_a_thing_is_asked_at_the_thing() {
    let scope = scope(vec![
        azure(Kind::Allow, &["*"], vec![]),
        azure(Kind::Deny, &["Microsoft.Authorization/*/write"], vec![kind("Microsoft.Sql/servers")]),
    ]);
    let grant = "Microsoft.Authorization/roleAssignments/write";
    let at = |kind: &str| {
        format!(
            "/subscriptions/s/resourceGroups/g/providers/{kind}/a/providers/Microsoft.Authorization/roleAssignments/1"
        )
    };
    assert_eq!(on_azure(&scope, grant, Some(&at("Microsoft.Sql/servers"))), DENIED);
    assert_eq!(on_azure(&scope, grant, Some(&at("Microsoft.Sql/managedInstances"))), IN);
    assert_eq!(on_azure(&scope, grant, Some("/subscriptions/s/resourceGroups/g")), IN);
    assert_eq!(on_azure(&scope, grant, None), UNSEEN);
}

#[test]
fn a_scope_holds_all_below_it_whatever_its_case() {
    let scope =
        scope(vec![azure(Kind::Allow, &["*/read"], vec![place("/subscriptions/S1/resourcegroups/g1/")])]);
    let read = "Microsoft.Compute/virtualMachines/read";
    assert_eq!(on_azure(&scope, read, Some(VM)), IN);
    assert_eq!(on_azure(&scope, read, Some("/subscriptions/s1/resourceGroups/g1")), IN);
    assert_eq!(on_azure(&scope, read, Some("/subscriptions/s1/resourceGroups/g10")), OTHER);
    assert_eq!(on_azure(&scope, read, Some("/subscriptions/s1")), OTHER, "a list of all groups");
}

#[test]
fn a_place_that_is_not_logged_is_unknown_only_where_it_decides() {
    let read = "Microsoft.Compute/virtualMachines/read";
    let some = scope(vec![azure(Kind::Allow, &["*/read"], vec![place("/subscriptions/s1")])]);
    assert_eq!(on_azure(&some, read, None), UNSEEN);
    assert_eq!(on_azure(&some, read, Some("")), UNSEEN);
    assert_eq!(on_azure(&some, "Microsoft.Compute/virtualMachines/write", None), UNDECLARED);
    let any = scope(vec![azure(Kind::Allow, &["*/read"], vec![])]);
    assert_eq!(on_azure(&any, read, None), IN);
    let denied = scope(vec![
        azure(Kind::Allow, &["*/read"], vec![]),
        azure(Kind::Deny, &["*"], vec![place("/subscriptions/s1")]),
    ]);
    assert_eq!(on_azure(&denied, read, None), UNSEEN, "a doubtful deny matters where something allows");
}

#[test]
fn what_lies_in_a_management_group_is_not_told() {
    let group = "/providers/Microsoft.Management/managementGroups/prod";
    let scope = scope(vec![azure(Kind::Allow, &["*"], vec![place(group)])]);
    assert_eq!(on_azure(&scope, "Microsoft.Compute/disks/read", Some(VM)), UNSEEN);
    assert_eq!(on_azure(&scope, "Microsoft.Management/managementGroups/read", Some(group)), IN);
    assert_eq!(
        on_azure(
            &scope,
            "Microsoft.Capacity/reservationOrders/read",
            Some("/providers/Microsoft.Capacity/x")
        ),
        OTHER
    );
}

#[test]
fn a_place_may_have_wildcards() {
    let scope = scope(vec![azure(Kind::Allow, &["*"], vec![place("/subscriptions/*/resourceGroups/ant-*")])]);
    let at =
        |group: &str| format!("/subscriptions/s9/resourceGroups/{group}/providers/Microsoft.Web/sites/w");
    assert_eq!(on_azure(&scope, "Microsoft.Web/sites/read", Some(&at("ant-1"))), IN);
    assert_eq!(on_azure(&scope, "Microsoft.Web/sites/read", Some(&at("bee-1"))), OTHER);
}

#[test]
fn what_is_declared_in_google_cloud_is_in_and_the_rest_is_out() {
    let scope = scope(vec![gcp(Kind::Allow, &["*.get", "*.list"], vec![kind("compute.instances")])]);
    assert_eq!(on_gcp(&scope, "compute.instances.get", None), IN);
    assert_eq!(on_gcp(&scope, "compute.instances.delete", None), UNDECLARED);
    assert_eq!(on_gcp(&scope, "compute.instanceGroups.get", None), OTHER);
    assert_eq!(on_gcp(&scope, "compute.instances.getSerialPortOutput", None), UNDECLARED);
}

#[test]
fn a_word_with_a_star_is_the_last_one() {
    let scope = scope(vec![gcp(Kind::Allow, &["*.set*"], vec![])]);
    assert_eq!(on_gcp(&scope, "compute.instances.setLabels", None), IN);
    assert_eq!(on_gcp(&scope, "compute.instances.SETLABELS", None), IN);
    assert_eq!(on_gcp(&scope, "logging.settings.get", None), UNDECLARED);
    assert_eq!(on_gcp(&scope, "compute.instances.s", None), UNDECLARED);
}

#[test]
fn names_in_google_cloud_come_with_and_without_their_service() {
    let bucket = place("//storage.googleapis.com/acme");
    let scope = scope(vec![gcp(Kind::Allow, &["storage.*"], vec![bucket, place("projects/ops")])]);
    let get = |name: &str| on_gcp(&scope, "storage.objects.get", Some(name));
    assert_eq!(get("projects/_/buckets/acme/objects/a/b"), IN);
    assert_eq!(get("//storage.googleapis.com/projects/_/buckets/acme"), IN);
    assert_eq!(get("projects/_/buckets/acme2/objects/a"), UNSEEN, "it may be one of the project's");
    assert_eq!(get("//cloudresourcemanager.googleapis.com/projects/ops"), IN);
    assert_eq!(get("https://www.googleapis.com/compute/v1/projects/ops/zones/z/instances/i"), IN);
    assert_eq!(get("projects/ops2/topics/t"), OTHER);
}

#[test]
fn the_names_of_google_cloud_have_a_case() {
    let scope = scope(vec![gcp(Kind::Allow, &["*"], vec![place("projects/_/buckets/acme/objects/Open")])]);
    assert_eq!(on_gcp(&scope, "storage.objects.get", Some("projects/_/buckets/acme/objects/Open")), IN);
    assert_eq!(on_gcp(&scope, "storage.objects.get", Some("projects/_/buckets/acme/objects/open")), OTHER);
}

#[test]
fn a_projects_name_and_its_number_may_be_one() {
    let scope = scope(vec![gcp(Kind::Allow, &["*"], vec![place("projects/acme/topics/t")])]);
    let get = |name: &str| on_gcp(&scope, "pubsub.topics.get", Some(name));
    assert_eq!(get("projects/1234/topics/t"), UNSEEN);
    assert_eq!(get("projects/1234/topics/u"), OTHER, "whatever the project is");
    assert_eq!(get("projects/beta/topics/t"), OTHER);
}

#[test]
fn what_lies_in_a_folder_is_not_told() {
    let scope = scope(vec![gcp(Kind::Allow, &["*"], vec![place("folders/77")])]);
    assert_eq!(on_gcp(&scope, "pubsub.topics.get", Some("projects/acme/topics/t")), UNSEEN);
    assert_eq!(on_gcp(&scope, "resourcemanager.folders.get", Some("folders/77")), IN);
    assert_eq!(on_gcp(&scope, "resourcemanager.organizations.get", Some("organizations/1")), OTHER);
}

#[test]
fn what_a_bucket_holds_lies_below_it() {
    let deny =
        |thing| scope(vec![gcp(Kind::Allow, &["*"], vec![]), gcp(Kind::Deny, &["*.delete"], vec![thing])]);
    let whole = deny(kind_and_below("storage.buckets"));
    assert_eq!(on_gcp(&whole, "storage.objects.delete", None), DENIED);
    assert_eq!(on_gcp(&whole, "pubsub.topics.delete", None), IN);
    assert_eq!(on_gcp(&deny(kind("storage.buckets")), "storage.objects.delete", None), IN);
}

#[test]
fn what_the_log_says_is_no_pattern() {
    let scope = scope(vec![gcp(Kind::Allow, &["*"], vec![place("projects/acme/topics/t")])]);
    assert_eq!(on_gcp(&scope, "pubsub.topics.get", Some("projects/*/topics/*")), OTHER);
    assert_eq!(on_gcp(&scope, "pubsub.topics.get", Some("*")), OTHER);
}

fn at(time: &str) -> Context {
    let mut context = Context::partial();
    context.set("aws:CurrentTime", Fact::one(time));
    context
}

fn approved(things: Vec<Thing>) -> Elsewhere {
    let time = |text| crate::time::parse_rfc3339(text).unwrap();
    let (start, end) = (time("2026-11-20T10:00:00Z"), time("2026-11-20T12:00:00Z"));
    let window = Window { start, end, ticket: None, origin: "w.yaml:9, ann".to_owned() };
    let approval = Some(Arc::new(Approval { ticket: false, windows: vec![window] }));
    Elsewhere { approval, ..azure(Kind::Approval, &["*/delete"], things) }
}

#[test]
fn an_approval_opens_and_closes() {
    let disks = "Microsoft.Compute/disks/delete";
    let scope = scope(vec![approved(vec![kind("Microsoft.Compute/disks")])]);
    let of = |operation: &str, time: &str| scope.verdict_azure(operation, Plane::Control, None, &at(time));
    let open = of(disks, "2026-11-20T11:00:00Z");
    assert_eq!((open.verdict, open.reason), (Verdict::In, Reason::Approved));
    assert!(open.statement.unwrap().ends_with("approved by w.yaml:9, ann"));
    assert_eq!(of(disks, "2026-11-20T12:00:00Z").reason, Reason::OutsideApproval);
    assert_eq!(of("Microsoft.Compute/images/delete", "2026-11-20T11:00:00Z").reason, Reason::OtherResource);
    let blind = scope.verdict_azure(disks, Plane::Control, None, &Context::partial());
    assert_eq!((blind.verdict, blind.missing), (Verdict::Unknown, vec!["aws:CurrentTime".to_owned()]));
}

#[test]
fn a_deny_beats_an_open_approval_and_an_allow_needs_none() {
    let time = at("2026-11-20T11:00:00Z");
    let disks = "Microsoft.Compute/disks/delete";
    let denied = scope(vec![approved(vec![]), azure(Kind::Deny, &["*/delete"], vec![])]);
    assert_eq!(denied.verdict_azure(disks, Plane::Control, None, &time).reason, Reason::DeniedByManifest);
    let allowed = scope(vec![approved(vec![]), azure(Kind::Allow, &["*"], vec![])]);
    let late = at("2026-11-20T13:00:00Z");
    assert_eq!(allowed.verdict_azure(disks, Plane::Control, None, &late).reason, Reason::Declared);
}

#[test]
fn once_the_manifest_expired_nothing_is_declared_there_either() {
    let expires = crate::time::parse_rfc3339("2026-11-20T00:00:00Z");
    let elsewhere = vec![azure(Kind::Allow, &["*/read"], vec![])];
    let scope = Scope::new(Parts { elsewhere, expires, ..Parts::default() });
    let of =
        |time: &str| scope.verdict_azure("Microsoft.Web/sites/read", Plane::Control, None, &at(time)).reason;
    assert_eq!(of("2026-11-19T23:59:59Z"), Reason::Declared);
    assert_eq!(of("2026-11-20T00:00:00Z"), Reason::Expired);
}

#[test]
fn what_cannot_be_read_in_one_cloud_leaves_the_other_alone() {
    let elsewhere = vec![azure(Kind::Allow, &["*/read"], vec![]), gcp(Kind::Allow, &["*.get"], vec![])];
    let unparsed = vec![(Cloud::Azure, "role.json".to_owned())];
    let scope = Scope::new(Parts { elsewhere, unparsed, ..Parts::default() });
    assert_eq!(
        on_azure(&scope, "Microsoft.Web/sites/read", None),
        (Verdict::Unknown, Reason::PolicyUnparsed)
    );
    assert_eq!(on_gcp(&scope, "pubsub.topics.get", None), IN);
}

#[test]
fn what_is_not_at_hand_may_have_declared_what_would_be_out() {
    let elsewhere = vec![gcp(Kind::Allow, &["*.get"], vec![]), gcp(Kind::Deny, &["*.delete"], vec![])];
    let unread = vec![(Cloud::Gcp, "from.gcp_role".to_owned())];
    let scope = Scope::new(Parts { elsewhere, unread, ..Parts::default() });
    assert_eq!(on_gcp(&scope, "pubsub.topics.get", None), IN);
    assert_eq!(on_gcp(&scope, "pubsub.topics.update", None), (Verdict::Unknown, Reason::PolicyUnparsed));
    assert_eq!(on_gcp(&scope, "pubsub.topics.delete", None), DENIED);
    assert_eq!(on_azure(&scope, "Microsoft.Web/sites/read", None), UNDECLARED);
}

#[test]
fn what_is_not_judged_makes_unknown_exactly_what_it_decides() {
    let tagged = Elsewhere {
        unjudged: vec!["resources.idle.tags".to_owned()],
        ..azure(Kind::Allow, &["*/delete"], vec![kind("Microsoft.Compute/disks")])
    };
    let scope = scope(vec![tagged]);
    let disks =
        scope.verdict_azure("Microsoft.Compute/disks/delete", Plane::Control, None, &Context::partial());
    assert_eq!((disks.verdict, disks.missing), (Verdict::Unknown, vec!["resources.idle.tags".to_owned()]));
    assert_eq!(on_azure(&scope, "Microsoft.Compute/images/delete", None), OTHER);
}

#[test]
fn a_denial_may_be_expected_there_too() {
    let scope = scope(vec![gcp(Kind::ExpectedDenial, &["*.list"], vec![kind("storage.buckets")])]);
    let expects = |cloud, permission: &str| {
        scope.expects_denial_elsewhere(cloud, permission, None, None, &Context::partial())
    };
    assert!(expects(Cloud::Gcp, "storage.buckets.list"));
    assert!(!expects(Cloud::Gcp, "storage.buckets.get") && !expects(Cloud::Azure, "storage.buckets.list"));
    assert_eq!(on_gcp(&scope, "storage.buckets.list", None), UNDECLARED, "it is not declared for that");
}

#[test]
fn read_only_is_nothing_but_reading_in_any_cloud() {
    let only = |any: &[&str]| scope(vec![gcp(Kind::Allow, any, vec![])]).is_read_only();
    assert!(only(&["*.get", "*.list", "compute.instances.aggregatedList"]));
    assert!(!only(&["*.get", "*.update"]) && !only(&["*"]) && !only(&["iam.serviceAccounts.getAccessToken"]));
    let of = |any: &[&str]| scope(vec![azure(Kind::Allow, any, vec![])]).is_read_only();
    assert!(of(&["*/read"]) && !of(&["Microsoft.Storage/storageAccounts/listKeys/action"]));
    let denied = scope(vec![azure(Kind::Allow, &["*/read"], vec![]), azure(Kind::Deny, &["*"], vec![])]);
    assert!(denied.is_read_only(), "a deny gives nothing");
    assert!(!scope(vec![azure(Kind::ExpectedDenial, &["*/read"], vec![])]).is_read_only());
}

#[test]
fn the_entries_say_what_each_of_them_says() {
    let scope = scope(vec![
        azure(Kind::Allow, &["*/read"], vec![place("/subscriptions/s2")]),
        azure(Kind::Deny, &["*/delete"], vec![]),
        gcp(Kind::Allow, &["*"], vec![]),
    ]);
    let read = "Microsoft.Compute/virtualMachines/read";
    let said = scope.considered_elsewhere(Cloud::Azure, read, None, Some(VM), &Context::partial());
    let says: Vec<&str> = said.iter().map(|(_, says)| says.as_str()).collect();
    assert_eq!(says, ["other_resource", "other_permission"]);
    let described = scope.described();
    let shown: Vec<(&str, &str, &str)> =
        described.iter().map(|one| (one.cloud, one.kind, one.resources[0].as_str())).collect();
    assert_eq!(
        shown,
        [("azure", "allow", "/subscriptions/s2"), ("azure", "deny", "*"), ("gcp", "allow", "*")]
    );
    assert_eq!(described[0].place(), "a.yaml:1");
}

#[test]
fn one_question_serves_all_clouds() {
    let scope = scope(vec![azure(Kind::Allow, &["*"], vec![])]);
    let of = |cloud, operation: &str| {
        scope.verdict_elsewhere(cloud, operation, None, None, &Context::partial()).verdict
    };
    assert_eq!(of(Cloud::Azure, "Microsoft.Web/sites/read"), Verdict::In);
    assert_eq!(of(Cloud::Aws, "s3:GetObject"), Verdict::Out);
    assert_eq!(of(Cloud::Gcp, "storage.objects.get"), Verdict::Out);
}

#[test]
fn a_pattern_that_costs_too_much_is_unknown() {
    let thick = "*a".repeat(200);
    let scope = scope(vec![azure(Kind::Allow, &[&thick], vec![])]);
    let long = "a".repeat(100_000);
    let verdict = on_azure(&scope, &format!("{long}b"), None);
    assert_ne!(verdict.0, Verdict::In);
}
