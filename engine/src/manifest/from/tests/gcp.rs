use super::*;

const GCP: &str = "{gcp_role: ../janitor.json}";

fn reader_role() -> Value {
    json!({"name": "projects/acme/roles/janitor", "stage": "GA", "includedPermissions": ["compute.instances.get", "compute.instances.list"]})
}

#[test]
fn a_gcp_role_grants_what_it_includes() {
    let story = Story::of(GCP).with("janitor.json", reader_role());
    assert_eq!(gcp(&story, "compute.instances.get", "projects/acme"), Verdict::In);
    assert_eq!(gcp(&story, "compute.instances.delete", "projects/acme"), Verdict::Out);
}

#[test]
fn a_gcp_role_holds_on_its_resource_alone() {
    for key in ["resource", "scope"] {
        let from = format!("{{gcp_role: ../janitor.json, {key}: projects/acme}}");
        let story = Story::of(&from).with("janitor.json", reader_role());
        assert_eq!(gcp(&story, "compute.instances.get", "projects/acme/zones/z/instances/i"), Verdict::In);
        assert_eq!(gcp(&story, "compute.instances.get", "projects/other/zones/z/instances/i"), Verdict::Out);
    }
}

#[test]
fn a_gcp_role_by_name_says_how_to_export_it() {
    let cases = [
        ("projects/acme-ops/roles/costJanitor", "gcloud iam roles describe costJanitor --project acme-ops"),
        ("organizations/12/roles/x", "gcloud iam roles describe x --organization 12"),
        ("roles/viewer", "gcloud iam roles describe roles/viewer"),
    ];
    for (name, expected) in cases {
        let story = Story::of(&format!("{{gcp_role: {name}}}"));
        assert!(story.warned().contains(expected), "{}", story.warned());
        assert_eq!(gcp(&story, "compute.instances.get", "projects/acme"), Verdict::Unknown);
        assert_eq!((aws(&story, "s3:GetObject", BUCKET_A).0, story.load().unparsed.len()), (Verdict::Out, 0));
    }
    // near-miss: a file that is not there is no name
    let story = Story::of("{gcp_role: ../roles/viewer.json}");
    assert_eq!(story.load().unparsed.len(), 1);
}

#[test]
fn a_role_that_is_switched_off_grants_nothing() {
    for (key, value) in [("stage", json!("DISABLED")), ("deleted", json!(true))] {
        let mut role = reader_role();
        role[key] = value;
        let story = Story::of(GCP).with("janitor.json", role);
        assert_eq!(gcp(&story, "compute.instances.get", "projects/acme"), Verdict::Out);
        assert!(story.warned().contains("disabled or deleted"), "{}", story.warned());
    }
}

#[test]
fn a_listing_of_gcp_roles_has_no_permissions() {
    for text in ["{\"name\": \"roles/viewer\", \"title\": \"Viewer\"}", "[]", "name: roles/viewer"] {
        let story = Story::of(GCP).with("janitor.json", text);
        assert_eq!(gcp(&story, "compute.instances.get", "projects/acme"), Verdict::Unknown, "{text}");
        assert_eq!(listing(&story), IN);
    }
}

#[test]
fn gcp_roles_of_terraform_are_read() {
    for kind in ["google_project_iam_custom_role", "google_organization_iam_custom_role"] {
        let from = format!("{{terraform: ../tf, address: {kind}.r, resource: projects/acme}}");
        let role = managed(
            kind,
            "r",
            json!({"name": "projects/acme/roles/r", "stage": "GA", "deleted": false, "permissions": ["compute.instances.get"]}),
        );
        let story = Story::of(&from).with("tf/x.tfstate", state(json!([role])));
        assert_eq!(gcp(&story, "compute.instances.get", "projects/acme"), Verdict::In);
        assert_eq!(gcp(&story, "compute.instances.get", "projects/other"), Verdict::Out);
        assert_eq!(gcp(&story, "compute.instances.list", "projects/acme"), Verdict::Out);
    }
}

#[test]
fn a_mark_at_the_beginning_of_a_file_is_no_fault() {
    let story = Story::of(GCP).with("janitor.json", format!("\u{feff}{}", reader_role()));
    assert_eq!(gcp(&story, "compute.instances.get", "projects/acme"), Verdict::In);
}
