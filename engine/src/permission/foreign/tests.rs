use super::*;
use serde_json::json;

const VM: &str = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/virtualMachines/web1";
const OBJECT_ID: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";

fn read(record: Value) -> Foreign {
    foreign(&record).unwrap()
}

#[test]
fn an_activity_record_names_the_operation_and_the_assignment_that_let_it_through() {
    let told = read(
        json!({"time": "2025-01-01T00:00:00Z", "resourceId": VM.to_uppercase(), "category": "Administrative",
        "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE", "resultType": "Success", "resultSignature": "Succeeded.",
        "identity": {
            "authorization": {"scope": VM, "action": "Microsoft.Compute/virtualMachines/write", "evidence": {
                "role": "Contributor", "roleAssignmentId": "a1", "principalId": "g1", "principalType": "Group"}},
            "claims": {OBJECT_ID: "o1", "appid": "app1", "name": "Ann"}}}),
    );
    assert_eq!(told.certain, ["Microsoft.Compute/virtualMachines/write"]);
    assert_eq!(told.resources, [VM]);
    assert_eq!((told.actor.as_deref(), told.assignment.as_deref()), (Some("o1"), Some("a1")));
    assert_eq!(told.names, ["o1", "Ann", "app1"]);
    assert_eq!((told.granted, told.plane, told.cloud), (Some(true), Plane::Control, Cloud::Azure));
}

#[test]
fn the_portals_shape_tells_the_same() {
    let told = read(
        json!({"authorization": {"action": "Microsoft.Compute/disks/delete", "scope": VM}, "caller": "ann@x.io",
        "operationName": {"value": "Microsoft.Compute/disks/delete", "localizedValue": "Delete Disk"},
        "category": {"value": "Administrative"}, "status": {"value": "Failed"}, "subStatus": {"value": "Forbidden"},
        "eventTimestamp": "2025-01-01T00:00:00Z", "resourceId": VM, "claims": {}}),
    );
    assert_eq!(told.certain, ["Microsoft.Compute/disks/delete"]);
    assert_eq!((told.actor.as_deref(), told.granted), (Some("ann@x.io"), Some(false)));
}

#[test]
fn only_what_authorisation_decided_is_granted_or_denied() {
    let outcome = |fields: Value| {
        let mut record = json!({"resourceId": VM, "category": "Administrative",
            "operationName": "Microsoft.Compute/virtualMachines/write"});
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        read(record).granted
    };
    assert_eq!(outcome(json!({"resultType": "Start"})), Some(true));
    assert_eq!(outcome(json!({"resultType": "Failure", "resultSignature": "Failed.Forbidden"})), Some(false));
    assert_eq!(outcome(json!({"resultType": "Failed", "statusCode": 403})), Some(false));
    assert_eq!(outcome(json!({"resultType": "Failed", "resultSignature": "409"})), None);
    assert_eq!(outcome(json!({"resultType": "Failed"})), None);
    let policy = json!({"statusCode": "Forbidden", "statusMessage": "{\"error\":{\"code\":\"RequestDisallowedByPolicy\"}}"});
    assert_eq!(outcome(json!({"resultType": "Failed", "properties": policy})), None);
}

#[test]
fn what_azure_says_of_itself_needed_no_permission() {
    let record = |category: &str, operation: &str| {
        read(json!({"resourceId": VM, "category": category, "operationName": operation, "resultType": "Success"})).certain
    };
    assert!(record("Policy", "Microsoft.Authorization/policies/audit/action").is_empty());
    assert!(record("Administrative", "Microsoft.Authorization/policies/deployIfNotExists/action").is_empty());
    assert!(record("Recommendation", "Microsoft.Advisor/recommendations/available/action").is_empty());
    assert!(
        record("kube-audit", "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read").is_empty()
    );
    assert_eq!(record("Administrative", "Microsoft.Authorization/policyAssignments/write").len(), 1);
}

#[test]
fn a_request_for_a_blob_is_a_data_action_on_its_container() {
    let account = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/a/blobServices/default";
    let request = |operation: &str, kind: &str| {
        read(
            json!({"category": "StorageRead", "operationName": operation, "resourceId": account, "statusCode": 200,
            "identity": {"type": kind, "requester": {"objectId": "o1", "appId": "app1"}},
            "properties": {"objectKey": "/a/notes/2024/x.txt", "userAgentHeader": "curl"}}),
        )
    };
    let read = request("GetBlob", "OAuth");
    assert_eq!(read.certain, ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"]);
    assert_eq!(read.resources, [format!("{account}/containers/notes")]);
    assert_eq!((read.plane, read.granted, read.actor.as_deref()), (Plane::Data, Some(true), Some("o1")));
    // Two rights would do; and a shared signature asks for none.
    assert_eq!(request("PutBlob", "OAuth").possible.len(), 2);
    assert!(request("GetBlob", "SAS").certain.is_empty());
    assert_eq!(request("ListContainers", "OAuth").plane, Plane::Control);
}

#[test]
fn a_secret_that_is_read_is_named() {
    let vault = "/subscriptions/s/resourceGroups/r/providers/Microsoft.KeyVault/vaults/acme";
    let told = read(
        json!({"category": "AuditEvent", "operationName": "SecretGet", "resourceId": vault, "resultType": "Success",
        "identity": {"claim": {"oid": "o1"}}, "properties": {"id": "https://acme.vault.azure.net/secrets/payments/01", "httpStatusCode": 403}}),
    );
    assert_eq!(told.certain, ["Microsoft.KeyVault/vaults/secrets/getSecret/action"]);
    assert_eq!(told.resources, [format!("{vault}/secrets/payments")]);
    assert_eq!((told.granted, told.actor.as_deref()), (Some(false), Some("o1")));
}

#[test]
fn the_data_plane_table_names_operations_that_published_roles_grant() {
    let Ok(folder) = std::env::var("REMIT_REFERENCE") else {
        eprintln!("skipped: REMIT_REFERENCE is not set");
        return;
    };
    let text =
        std::fs::read_to_string(std::path::Path::new(&folder).join("azure_built_in_roles.json")).unwrap();
    let roles: Vec<Value> = serde_json::from_str(&text).unwrap();
    let listed = |key: &str| -> Vec<String> {
        let permissions = roles.iter().flat_map(|role| role["permissions"].as_array().unwrap());
        let entries = permissions.flat_map(|one| one[key].as_array().unwrap());
        entries.map(|entry| entry.as_str().unwrap().to_ascii_lowercase()).collect()
    };
    let (actions, data) = (listed("actions"), listed("dataActions"));
    let mut unheard = Vec::new();
    for (plane, operation) in azure::data_operations() {
        let known = if plane == Plane::Data { &data } else { &actions };
        let own = operation.to_ascii_lowercase();
        // By name, or by a pattern that is about its very kind: `.../secrets/*`.
        let kind = own.trim_end_matches("/action").rsplit_once('/').map_or("", |(kind, _)| kind);
        if !known.iter().any(|one| *one == own || *one == format!("{kind}/*")) {
            unheard.push(operation);
        }
    }
    assert!(unheard.is_empty(), "{unheard:?}");
}

fn entry(payload: Value) -> Foreign {
    read(
        json!({"logName": "projects/p/logs/cloudaudit.googleapis.com%2Fdata_access", "protoPayload": payload}),
    )
}

#[test]
fn an_audit_entry_names_what_was_checked() {
    let told = entry(json!({"serviceName": "storage.googleapis.com", "methodName": "storage.objects.get",
        "resourceName": "projects/_/buckets/b/objects/o",
        "authenticationInfo": {"principalEmail": "bot@p.iam.gserviceaccount.com", "principalSubject": "serviceAccount:bot@p.iam.gserviceaccount.com",
            "serviceAccountDelegationInfo": [{"firstPartyPrincipal": {"principalEmail": "ann@x.io"}}, {"principalSubject": "principal://iam.googleapis.com/x"}]},
        "authorizationInfo": [{"permission": "storage.objects.get", "granted": true, "resource": "projects/_/buckets/b/objects/o"},
            {"permission": "storage.objects.getIamPolicy", "granted": true, "resourceAttributes": {"name": "projects/_/buckets/b"}}]}));
    assert_eq!(told.certain, ["storage.objects.get", "storage.objects.getIamPolicy"]);
    assert_eq!(told.resources, ["projects/_/buckets/b/objects/o", "projects/_/buckets/b"]);
    assert_eq!(told.actor.as_deref(), Some("bot@p.iam.gserviceaccount.com"));
    assert_eq!(told.within, ["projects/p"]);
    assert_eq!(told.through, ["ann@x.io", "principal://iam.googleapis.com/x"]);
    assert_eq!((told.granted, told.plane, told.cloud), (Some(true), Plane::Data, Cloud::Gcp));
}

#[test]
fn one_check_that_failed_is_a_denial() {
    let checks = json!([{"permission": "a.b.c", "granted": true}, {"permission": "a.b.d", "granted": false}]);
    assert_eq!(entry(json!({"methodName": "x", "authorizationInfo": checks})).granted, Some(false));
    // False is left out in this notation; the status tells.
    let left_out = json!([{"permission": "a.b.c"}]);
    let denied = json!({"methodName": "x", "authorizationInfo": left_out, "status": {"code": 7}});
    assert_eq!(entry(denied).granted, Some(false));
    assert_eq!(entry(json!({"methodName": "x", "authorizationInfo": left_out})).granted, None);
    let missing = json!({"methodName": "x", "authorizationInfo": [{"permission": "a.b.c", "granted": true}], "status": {"code": 5}});
    assert_eq!(entry(missing).granted, Some(true));
}

#[test]
fn a_perimeters_refusal_is_not_iams() {
    let violations = json!([{"violations": [{"type": "VPC_SERVICE_CONTROLS"}]}]);
    let told =
        entry(json!({"methodName": "google.storage.objects.get", "serviceName": "storage.googleapis.com",
        "status": {"code": 7, "details": violations}}));
    assert_eq!((told.granted, told.possible), (None, vec!["storage.objects.get".to_owned()]));
}

#[test]
fn asking_what_one_may_do_is_no_use_of_it() {
    let checks = json!([{"permission": "resourcemanager.projects.get", "granted": true}]);
    let told = entry(json!({"methodName": "TestIamPermissions", "authorizationInfo": checks}));
    assert!(told.certain.is_empty() && told.possible.is_empty());
    assert_eq!(entry(json!({"methodName": "GetIamPolicy", "authorizationInfo": checks})).certain.len(), 1);
}

#[test]
fn a_method_without_a_check_is_guessed_where_names_agree() {
    let guessed =
        |service: &str, method: &str| entry(json!({"serviceName": service, "methodName": method})).possible;
    assert_eq!(
        guessed("compute.googleapis.com", "v1.compute.firewalls.insert"),
        ["compute.firewalls.create"]
    );
    assert_eq!(guessed("k8s.io", "io.k8s.core.v1.pods.list"), ["container.pods.list"]);
    assert!(guessed("login.googleapis.com", "google.login.LoginService.loginSuccess").is_empty());
    let end = json!({"protoPayload": {"serviceName": "compute.googleapis.com", "methodName": "v1.compute.firewalls.insert"},
        "operation": {"id": "1", "last": true}});
    assert!(read(end).possible.is_empty());
}

#[test]
fn what_is_of_another_cloud_is_left_alone() {
    for record in [
        json!({"eventSource": "s3.amazonaws.com", "eventName": "GetObject"}),
        json!({"protoPayload": {}}),
        json!({"operationName": "x"}),
        json!([1]),
        json!("text"),
        Value::Null,
    ] {
        assert_eq!(foreign(&record), None, "{record}");
    }
}

#[test]
fn every_recorded_entry_is_read_without_a_panic() {
    let Ok(folder) = std::env::var("REMIT_CONFORMANCE") else {
        eprintln!("skipped: REMIT_CONFORMANCE is not set");
        return;
    };
    let (mut read, mut named) = (0, 0);
    for file in std::fs::read_dir(std::path::Path::new(&folder).join("records")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let record = line.get("record").or_else(|| line.get("event")).unwrap_or(&line);
            let records = record.as_array().map_or(std::slice::from_ref(record), Vec::as_slice);
            for record in records {
                let Some(told) = foreign(record) else { continue };
                read += 1;
                named += usize::from(!told.certain.is_empty());
                // Only its own clouds' files, save for those that test a rule with another cloud's record.
                assert!(record.get("eventSource").is_none(), "{record}");
            }
        }
    }
    eprintln!("{read} records of Azure and Google Cloud, {named} name their permission");
    assert!(read > 400 && named > 250, "{read} {named}");
}
