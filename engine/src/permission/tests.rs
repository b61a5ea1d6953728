use super::naming::without_date;
use super::*;
use ingest::denial;

fn call<'a>(service: &'a str, operation: &'a str, request: &'a str) -> Call<'a> {
    Call {
        service,
        operation,
        region: Some("eu-west-1"),
        account: Some("111122223333"),
        request: Some(request),
        ..Call::default()
    }
}

/// `permission` or `permission?`, one a line, with its resources; `~` before those that only bound it.
fn told(call: &Call<'_>) -> Vec<String> {
    let line = |one: &Needed| {
        let mark = if one.certain { "" } else { "?" };
        let known = if one.resources_known { "" } else { "~" };
        format!("{}{mark} {known}{}", one.permission, one.resources.join(" ")).trim_end().to_owned()
    };
    needed(call).iter().map(line).collect()
}

#[test]
fn most_operations_are_called_like_their_permission() {
    let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/tickets";
    assert_eq!(
        told(&call("dynamodb.amazonaws.com", "GetItem", r#"{"tableName":"tickets","key":{"id":{}}}"#)),
        [format!("dynamodb:GetItem {table}")]
    );
    assert_eq!(
        told(&call("monitoring.amazonaws.com", "DescribeAlarms", "{}"))[0].split(' ').next(),
        Some("cloudwatch:DescribeAlarms")
    );
}

#[test]
fn dates_are_stripped_from_old_operations() {
    let function = "arn:aws:lambda:eu-west-1:111122223333:function:sum";
    let request = r#"{"functionName":"sum"}"#;
    assert_eq!(
        told(&call("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", request)),
        [format!("lambda:UpdateFunctionCode {function}")]
    );
    assert_eq!(
        told(&call("lambda.amazonaws.com", "Invoke", request)),
        [format!("lambda:InvokeFunction {function}")]
    );
    assert_eq!(without_date("ListDistributions2020_05_31"), "ListDistributions");
    // near-misses: an ending that is no date, and a name with a version of its own
    assert_eq!(without_date("GetFindingsV2"), "GetFindingsV2");
    assert_eq!(without_date("ListObjectsV2"), "ListObjectsV2");
}

#[test]
fn s3_renames_its_permissions() {
    let pairs = [
        ("HeadObject", r#"{"bucketName":"b","key":"k"}"#, "s3:GetObject arn:aws:s3:::b/k"),
        ("ListObjectsV2", r#"{"bucketName":"b"}"#, "s3:ListBucket arn:aws:s3:::b"),
        ("ListBuckets", "{}", "s3:ListAllMyBuckets"),
        ("GetBucketEncryption", r#"{"bucketName":"b"}"#, "s3:GetEncryptionConfiguration arn:aws:s3:::b"),
        ("DeleteBucketLifecycle", r#"{"bucketName":"b"}"#, "s3:PutLifecycleConfiguration arn:aws:s3:::b"),
        (
            "GetObject",
            r#"{"bucketName":"b","key":"a/k","versionId":"1"}"#,
            "s3:GetObjectVersion arn:aws:s3:::b/a/k",
        ),
        ("GetBucketLocation", r#"{"bucketName":"b"}"#, "s3:GetBucketLocation arn:aws:s3:::b"),
    ];
    for (operation, request, expected) in pairs {
        assert_eq!(told(&call("s3.amazonaws.com", operation, request)), [expected], "{operation}");
    }
}

#[test]
fn each_permission_sees_only_its_own_kind_of_resource() {
    let mut get = call("s3.amazonaws.com", "GetObject", r#"{"host":"h"}"#);
    get.resources = vec!["arn:aws:s3:::b/k", "arn:aws:s3:::b"];
    assert_eq!(told(&get), ["s3:GetObject arn:aws:s3:::b/k"]);
    let mut list = call("s3.amazonaws.com", "ListObjects", r#"{"host":"h"}"#);
    list.resources = vec!["arn:aws:s3:::b/k", "arn:aws:s3:::b"];
    assert_eq!(told(&list), ["s3:ListBucket arn:aws:s3:::b"]);
}

#[test]
fn a_copy_reads_one_object_and_writes_another() {
    let copy = call(
        "s3.amazonaws.com",
        "CopyObject",
        r#"{"bucketName":"to","key":"k","x-amz-copy-source":"/from/a%20b?versionId=3"}"#,
    );
    let told = told(&copy);
    assert_eq!(&told[..2], ["s3:GetObjectVersion arn:aws:s3:::from/a b", "s3:PutObject arn:aws:s3:::to/k"]);
    assert!(told[2..].iter().all(|one| one.contains('?')));
}

#[test]
fn keys_that_the_log_leaves_out_are_bounded_by_their_bucket() {
    let all = call("s3.amazonaws.com", "DeleteObjects", r#"{"bucketName":"b"}"#);
    assert_eq!(told(&all)[0], "s3:DeleteObject ~arn:aws:s3:::b/*");
    let mut listed = all.clone();
    listed.resources = vec!["arn:aws:s3:::b/k"];
    assert_eq!(told(&listed)[0], "s3:DeleteObject arn:aws:s3:::b/k");
}

#[test]
fn instances_are_found_below_their_set() {
    let stop = call(
        "ec2.amazonaws.com",
        "StopInstances",
        r#"{"instancesSet":{"items":[{"instanceId":"i-1"},{"instanceId":"i-2"}]}}"#,
    );
    let arn = "arn:aws:ec2:eu-west-1:111122223333:instance";
    let stopped = &needed(&stop)[0];
    assert_eq!(stopped.resources, [format!("{arn}/i-1"), format!("{arn}/i-2")]);
}

#[test]
fn a_run_may_pass_a_role_and_tag() {
    let told = told(&call(
        "ec2.amazonaws.com",
        "RunInstances",
        r#"{"tagSpecificationSet":{"items":[{"tags":[]}]}}"#,
    ));
    let names: Vec<&str> = told.iter().filter_map(|one| one.split(' ').next()).collect();
    assert_eq!(names, ["ec2:RunInstances", "ec2:CreateTags", "iam:PassRole?"]);
}

#[test]
fn a_role_in_the_request_was_passed() {
    let create = call(
        "lambda.amazonaws.com",
        "CreateFunction20150331",
        r#"{"functionName":"f","role":"arn:aws:iam::111122223333:role/agents/x"}"#,
    );
    assert_eq!(told(&create)[1], "iam:PassRole arn:aws:iam::111122223333:role/agents/x");
    // near-miss: the same call without a role
    assert_eq!(
        told(&call("lambda.amazonaws.com", "CreateFunction20150331", r#"{"functionName":"f"}"#)).len(),
        1
    );
}

#[test]
fn a_role_named_without_its_path_is_bounded_by_both_forms() {
    let delete = call("iam.amazonaws.com", "DeleteRole", r#"{"roleName":"x"}"#);
    assert_eq!(
        told(&delete),
        ["iam:DeleteRole ~arn:aws:iam::111122223333:role/x arn:aws:iam::111122223333:role/*/x"]
    );
}

#[test]
fn the_response_tells_the_path_of_what_was_made() {
    let request = r#"{"roleName":"x","path":"/agents/"}"#;
    let response = r#"{"role":{"arn":"arn:aws:iam::111122223333:role/agents/x","assumeRolePolicyDocument":"arn:aws:iam::111122223333:role/y"}}"#;
    let create = Call { response: Some(response), ..call("iam.amazonaws.com", "CreateRole", request) };
    assert_eq!(told(&create), ["iam:CreateRole arn:aws:iam::111122223333:role/agents/x"]);
}

#[test]
fn a_function_is_named_in_many_ways() {
    for name in
        ["sum", "sum:PROD", "111122223333:function:sum", "arn:aws:lambda:eu-west-1:111122223333:function:sum"]
    {
        let request = format!(r#"{{"functionName":"{name}"}}"#);
        let get = needed(&call("lambda.amazonaws.com", "GetFunction20150331v2", &request));
        assert!(
            get[0].resources_known && get[0].resources[0].ends_with(":111122223333:function:sum"),
            "{name}: {get:?}"
        );
    }
}

#[test]
fn a_command_touches_its_document_and_its_instances() {
    let send = call("ssm.amazonaws.com", "SendCommand", r#"{"documentName":"D","instanceIds":["i-1"]}"#);
    let resources = &needed(&send)[0].resources;
    assert!(
        resources.iter().any(|arn| arn.ends_with("document/D"))
            && resources.iter().any(|arn| arn.ends_with("instance/i-1")),
        "{resources:?}"
    );
}

#[test]
fn tags_given_on_creation_are_put_on_what_has_no_name_yet() {
    let run = call(
        "ec2.amazonaws.com",
        "RunInstances",
        r#"{"subnetId":"subnet-1","tagSpecificationSet":{"items":[{}]}}"#,
    );
    let tags = needed(&run).into_iter().find(|one| one.permission == "ec2:CreateTags").unwrap();
    assert!(tags.certain && !tags.resources_known && tags.resources.is_empty());
}

#[test]
fn queues_secrets_and_log_groups_are_spelled_as_policies_do() {
    let queue = call(
        "sqs.amazonaws.com",
        "SendMessage",
        r#"{"queueUrl":"https://sqs.eu-west-1.amazonaws.com/444455556666/orders"}"#,
    );
    assert_eq!(told(&queue), ["sqs:SendMessage arn:aws:sqs:eu-west-1:444455556666:orders"]);
    let secret = call("secretsmanager.amazonaws.com", "GetSecretValue", r#"{"secretId":"prod/db"}"#);
    assert_eq!(
        told(&secret),
        [
            "secretsmanager:GetSecretValue ~arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-??????"
        ]
    );
    let group = call("logs.amazonaws.com", "StartQuery", r#"{"logGroupName":"/app"}"#);
    assert_eq!(told(&group), ["logs:StartQuery arn:aws:logs:eu-west-1:111122223333:log-group:/app:*"]);
    let parameter = call("ssm.amazonaws.com", "GetParameters", r#"{"names":["/a/b","c"]}"#);
    assert_eq!(
        needed(&parameter)[0].resources,
        [
            "arn:aws:ssm:eu-west-1:111122223333:parameter/a/b",
            "arn:aws:ssm:eu-west-1:111122223333:parameter/c"
        ]
    );
}

#[test]
fn a_model_is_itself_or_behind_a_profile() {
    let direct = call("bedrock.amazonaws.com", "Converse", r#"{"modelId":"anthropic.claude-3"}"#);
    assert_eq!(
        told(&direct),
        ["bedrock:InvokeModel arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-3"]
    );
    let profile = call("bedrock.amazonaws.com", "InvokeModel", r#"{"modelId":"eu.anthropic.claude-3"}"#);
    assert_eq!(
        needed(&profile)[0].resources,
        [
            "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/eu.anthropic.claude-3",
            "arn:aws:bedrock:*::foundation-model/anthropic.claude-3"
        ]
    );
}

#[test]
fn api_gateway_grants_verbs_on_paths() {
    let delete = call("apigateway.amazonaws.com", "DeleteRestApi", r#"{"restApiId":"abc"}"#);
    assert_eq!(told(&delete), ["apigateway:DELETE arn:aws:apigateway:eu-west-1::/restapis/abc"]);
}

#[test]
fn a_statement_that_is_not_logged_is_only_possible() {
    let told = told(&call("dynamodb.amazonaws.com", "ExecuteStatement", "{}"));
    assert!(told.len() == 4 && told.iter().all(|one| one.contains('?')), "{told:?}");
}

#[test]
fn a_denial_names_the_true_permission() {
    let mut create = call("ec2.amazonaws.com", "RunInstances", "{}");
    create.error_message = Some(
        "User: u is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/admin because no identity-based policy allows the iam:PassRole action",
    );
    let pass = needed(&create).into_iter().find(|one| one.permission == "iam:PassRole").unwrap();
    assert!(pass.certain && pass.resources_known);
    assert_eq!(pass.resources, ["arn:aws:iam::1:role/admin"]);
}

#[test]
fn a_guessed_name_gives_way_to_the_denial() {
    let mut odd = call("s3.amazonaws.com", "GetBucketSomethingNew", "{}");
    assert_eq!(told(&odd), ["s3:GetBucketSomethingNew? ~"]);
    odd.error_message = Some(
        "User: u is not authorized to perform: s3:GetBucketPolicy on resource: \"arn:aws:s3:::b\" because no policy",
    );
    assert_eq!(told(&odd), ["s3:GetBucketPolicy arn:aws:s3:::b"]);
}

#[test]
fn sign_ins_and_service_events_ask_for_no_permission() {
    assert!(needed(&call("signin.amazonaws.com", "ConsoleLogin", "{}")).is_empty());
    let rotated =
        Call { event_type: Some("AwsServiceEvent"), ..call("kms.amazonaws.com", "RotateKey", "{}") };
    assert!(needed(&rotated).is_empty());
}

#[test]
fn an_operation_newer_than_the_table_keeps_its_name() {
    assert_eq!(told(&call("iam.amazonaws.com", "DoSomethingNew", "{}")), ["iam:DoSomethingNew ~"]);
    assert_eq!(told(&call("nonesuch.amazonaws.com", "Do", "{}")), ["nonesuch:Do? ~"]);
}

#[test]
fn nothing_nested_stands_for_the_parameter_itself() {
    let put = call(
        "dynamodb.amazonaws.com",
        "PutItem",
        r#"{"items":[{"tableName":"allowed"}],"tableName":"other"}"#,
    );
    assert_eq!(needed(&put)[0].resources, ["arn:aws:dynamodb:eu-west-1:111122223333:table/other"]);
}

#[test]
fn broken_text_gives_no_resource_and_no_panic() {
    for text in ["{", "null", "[]", "\"x\"", r#"{"tableName":{"a":1}}"#] {
        let get = needed(&call("dynamodb.amazonaws.com", "GetItem", text));
        assert!(!get[0].resources_known, "{text}");
    }
}

/// The folder that a variable names, or a word on the console that the test was skipped.
fn folder(variable: &str) -> Option<std::path::PathBuf> {
    let found = std::env::var_os(variable).map(std::path::PathBuf::from);
    if found.is_none() {
        eprintln!("skipped: {variable} is not set");
    }
    found
}

#[test]
fn the_permission_in_a_real_denial_is_among_ours() {
    let Some(folder) = folder("REMIT_CONFORMANCE") else { return };
    let text = std::fs::read_to_string(folder.join("attacks/stratus_events.jsonl")).unwrap();
    let (mut asked, mut missed) = (0, Vec::new());
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let event = &case["event"];
        let (request, message) = (event["requestParameters"].to_string(), event["errorMessage"].as_str());
        let blind = Call {
            region: event["awsRegion"].as_str(),
            account: event["recipientAccountId"].as_str(),
            ..call(event["eventSource"].as_str().unwrap(), event["eventName"].as_str().unwrap(), &request)
        };
        let ours = needed(&blind);
        assert!(ours.iter().all(|one| level(&one.permission).is_some()), "{ours:?}");
        let Some(denial) = message.and_then(denial::parse) else { continue };
        asked += 1;
        for permission in denial.permissions {
            if !ours.iter().any(|one| one.permission == permission) {
                missed.push(permission.to_owned());
            }
        }
    }
    eprintln!("{asked} denials name a permission, {} of them are not among ours", missed.len());
    assert_eq!(missed, Vec::<String>::new());
}

/// For every operation that AWS publishes: what we are certain of is in its list, and its list is in what we say.
#[test]
fn what_aws_publishes_of_its_operations_is_what_we_say() {
    let Some(folder) = folder("REMIT_REFERENCE") else { return };
    let text = std::fs::read_to_string(folder.join("aws_operation_actions.tsv")).unwrap();
    let (mut all, mut wrong, mut uncovered) = (0, Vec::new(), Vec::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (operation, actions) = line.split_once('\t').unwrap();
        let (service, operation) = operation.split_once(':').unwrap();
        let ours = needed(&call(&format!("{service}.amazonaws.com"), operation, "{}"));
        all += 1;
        let is_listed =
            |one: &&Needed| actions.split(',').any(|action| action.eq_ignore_ascii_case(&one.permission));
        if let Some(one) = ours.iter().find(|one| one.certain && !is_listed(one)) {
            wrong.push(format!("{line} / {}", one.permission));
        }
        let is_said = |action: &&str| ours.iter().any(|one| one.permission.eq_ignore_ascii_case(action));
        if !actions.split(',').all(|action| is_said(&action)) {
            uncovered.push(format!("{line} / {ours:?}"));
        }
    }
    eprintln!("{all} operations: {} wrongly certain, {} not covered", wrong.len(), uncovered.len());
    assert_eq!(wrong, Vec::<String>::new());
    assert!(
        uncovered.len() * 200 < all,
        "{} not covered, such as {:#?}",
        uncovered.len(),
        uncovered.iter().take(60).collect::<Vec<_>>()
    );
}
