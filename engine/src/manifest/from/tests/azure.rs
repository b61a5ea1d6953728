use super::*;

const AZURE: &str = "{azure_role: ../vm.json, scope: /subscriptions/8d0f}";

/// A role as `az` prints it.
fn operator() -> Value {
    json!([{"roleName": "VM operator", "assignableScopes": ["/subscriptions/8d0f", "/subscriptions/77"], "permissions": [{
        "actions": ["Microsoft.Compute/virtualMachines/*"], "notActions": ["Microsoft.Compute/virtualMachines/delete"],
        "dataActions": ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*"],
        "notDataActions": ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write"]}]}])
}

#[test]
fn an_azure_role_grants_actions_less_not_actions() {
    let story = Story::of(AZURE).with("vm.json", operator());
    let of = |action: &str| {
        azure(&story, &format!("Microsoft.Compute/virtualMachines/{action}"), Plane::Control, VM)
    };
    assert_eq!(of("start/action"), Verdict::In);
    assert_eq!(of("delete"), Verdict::Out);
    assert_eq!(azure(&story, "Microsoft.Network/virtualNetworks/read", Plane::Control, VM), Verdict::Out);
}

#[test]
fn the_planes_of_an_azure_role_are_apart() {
    let story = Story::of(AZURE).with("vm.json", operator());
    let blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";
    let of = |action: &str, plane| azure(&story, &format!("{blobs}/{action}"), plane, ACCOUNT);
    assert_eq!(of("read", Plane::Data), Verdict::In);
    assert_eq!(of("write", Plane::Data), Verdict::Out);
    assert_eq!(of("read", Plane::Control), Verdict::Out);
}

#[test]
fn an_azure_role_holds_in_its_scope_alone() {
    let start = "Microsoft.Compute/virtualMachines/start/action";
    let of = |from: &str, place: &str| {
        azure(&Story::of(from).with("vm.json", operator()), start, Plane::Control, place)
    };
    assert_eq!(of(AZURE, "/subscriptions/8d0f/resourceGroups/r"), Verdict::In);
    assert_eq!(of(AZURE, "/subscriptions/77/resourceGroups/r"), Verdict::Out);
    // without one it can be given where it is assignable, and nowhere else
    let anywhere = "{azure_role: ../vm.json}";
    assert_eq!(of(anywhere, "/subscriptions/77/resourceGroups/r"), Verdict::In);
    assert_eq!(of(anywhere, "/subscriptions/99/resourceGroups/r"), Verdict::Out);
}

#[test]
fn what_lies_in_a_management_group_cannot_be_told() {
    let from = "{azure_role: ../vm.json, scope: /providers/Microsoft.Management/managementGroups/ops}";
    let story = Story::of(from).with("vm.json", operator());
    assert_eq!(
        azure(&story, "Microsoft.Compute/virtualMachines/start/action", Plane::Control, VM),
        Verdict::Unknown
    );
    assert_eq!(azure(&story, "Microsoft.Compute/virtualMachines/delete", Plane::Control, VM), Verdict::Out);
}

#[test]
fn not_actions_take_away_from_their_own_block_alone() {
    let role = json!({"permissions": [
        {"actions": ["Microsoft.Compute/*"], "notActions": ["Microsoft.Compute/disks/delete"]},
        {"actions": ["Microsoft.Compute/disks/delete"]}]});
    let story = Story::of(AZURE).with("vm.json", role);
    assert_eq!(azure(&story, "Microsoft.Compute/disks/delete", Plane::Control, VM), Verdict::In);
}

#[test]
fn every_way_to_write_an_azure_role_is_read() {
    let forms = [
        json!({"Name": "x", "Actions": ["Microsoft.Compute/virtualMachines/read"], "NotActions": [], "AssignableScopes": ["/"]}),
        json!({"id": "x", "properties": {"roleName": "x", "permissions": [{"actions": ["Microsoft.Compute/virtualMachines/read"]}]}}),
        json!({"permissions": [{"actions": ["Microsoft.Compute/virtualMachines/read"], "notActions": null}]}),
    ];
    for form in forms {
        let story = Story::of("{azure_role: ../r.json}").with("r.json", &form);
        assert_eq!(
            azure(&story, "Microsoft.Compute/virtualMachines/read", Plane::Control, VM),
            Verdict::In,
            "{form}"
        );
        assert_eq!(
            azure(&story, "Microsoft.Compute/virtualMachines/write", Plane::Control, VM),
            Verdict::Out,
            "{form}"
        );
    }
}

#[test]
fn an_azure_role_with_a_condition_is_unknown_where_it_grants() {
    let role = json!({"permissions": [{"actions": ["Microsoft.Authorization/roleAssignments/write"], "condition": "(@Request...)"}]});
    let story = Story::of(AZURE).with("vm.json", role);
    assert_eq!(
        azure(&story, "Microsoft.Authorization/roleAssignments/write", Plane::Control, VM),
        Verdict::Unknown
    );
    assert_eq!(
        azure(&story, "Microsoft.Authorization/roleAssignments/delete", Plane::Control, VM),
        Verdict::Out
    );
}

#[test]
fn a_bad_azure_role_leaves_the_other_clouds_alone() {
    for role in [
        json!({}),
        json!([]),
        json!([operator()[0], operator()[0]]),
        json!({"permissions": [{"actions": [1]}]}),
        json!("x"),
    ] {
        let story = Story::of(AZURE).with("vm.json", &role);
        assert_eq!(
            azure(&story, "Microsoft.Compute/virtualMachines/read", Plane::Control, VM),
            Verdict::Unknown,
            "{role}"
        );
        assert_eq!((listing(&story), aws(&story, "s3:GetObject", BUCKET_A).0), (IN, Verdict::Out));
        assert!(story.warned().contains("in azure is unknown"), "{}", story.warned());
    }
}

#[test]
fn an_azure_role_of_terraform_is_read() {
    let role = managed(
        "azurerm_role_definition",
        "op",
        json!({"name": "op", "scope": ACCOUNT, "assignable_scopes": [ACCOUNT], "permissions": [
            {"actions": ["Microsoft.Compute/virtualMachines/*"], "not_actions": ["Microsoft.Compute/virtualMachines/delete"], "data_actions": null, "not_data_actions": []}]}),
    );
    let story = Story::of("{terraform: ../tf, address: azurerm_role_definition.op}")
        .with("tf/x.tfstate", state(json!([role])));
    let of = |action: &str, place| {
        azure(&story, &format!("Microsoft.Compute/virtualMachines/{action}"), Plane::Control, place)
    };
    assert_eq!(of("read", VM), Verdict::In);
    assert_eq!(of("delete", VM), Verdict::Out);
    assert_eq!(of("read", "/subscriptions/other"), Verdict::Out);
}
