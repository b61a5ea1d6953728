//! Requests to Azure's own services, from their resource logs
//!
//! Storage: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-calling-data-operations>
//! Key Vault: <https://learn.microsoft.com/azure/key-vault/general/logging>, <https://learn.microsoft.com/azure/key-vault/general/rbac-guide>
//! Azure OpenAI: <https://learn.microsoft.com/azure/ai-services/openai/how-to/role-based-access-control>

use policy::azure::Plane;
use serde_json::Value;

use crate::permission::foreign::at;

/// What a request to a service needed.
pub(super) struct Needs {
    pub(super) plane: Plane,
    pub(super) certain: Vec<String>,
    pub(super) possible: Vec<String>,
    pub(super) resource: Option<String>,
}

/// One request, and what lets it through: any one of the operations does.
type Row = (&'static str, &'static [&'static str]);

const BLOB: &str = "Microsoft.Storage/storageAccounts/blobServices/";
const QUEUE: &str = "Microsoft.Storage/storageAccounts/queueServices/";
const TABLE: &str = "Microsoft.Storage/storageAccounts/tableServices/";
const VAULT: &str = "Microsoft.KeyVault/vaults/";
const OPENAI: &str = "Microsoft.CognitiveServices/accounts/OpenAI/deployments/";

const WRITE_BLOB: &[&str] = &["containers/blobs/write"];
/// A new blob may be made with the narrower right.
const ADD_BLOB: &[&str] = &["containers/blobs/write", "containers/blobs/add/action"];

const BLOB_DATA: &[Row] = &[
    ("GetBlob", &["containers/blobs/read"]),
    ("GetBlobProperties", &["containers/blobs/read"]),
    ("GetBlobMetadata", &["containers/blobs/read"]),
    ("GetBlockList", &["containers/blobs/read"]),
    ("GetPageRanges", &["containers/blobs/read"]),
    ("ListBlobs", &["containers/blobs/read"]),
    ("QueryBlobContents", &["containers/blobs/read"]),
    ("PutBlob", ADD_BLOB),
    ("PutBlobFromURL", ADD_BLOB),
    ("PutBlock", WRITE_BLOB),
    ("PutBlockFromURL", WRITE_BLOB),
    ("PutBlockList", WRITE_BLOB),
    ("PutPage", WRITE_BLOB),
    ("AppendBlock", ADD_BLOB),
    ("CopyBlob", ADD_BLOB),
    ("SnapshotBlob", ADD_BLOB),
    ("SetBlobMetadata", WRITE_BLOB),
    ("SetBlobProperties", WRITE_BLOB),
    ("SetBlobTier", WRITE_BLOB),
    ("AcquireBlobLease", WRITE_BLOB),
    ("BreakBlobLease", WRITE_BLOB),
    ("UndeleteBlob", WRITE_BLOB),
    ("DeleteBlob", &["containers/blobs/delete"]),
    ("GetBlobTags", &["containers/blobs/tags/read"]),
    ("SetBlobTags", &["containers/blobs/tags/write"]),
    ("FindBlobsByTags", &["containers/blobs/filter/action"]),
];

/// Asked of the service, authorised like control-plane operations.
const BLOB_CONTROL: &[Row] = &[
    ("ListContainers", &["containers/read"]),
    ("GetContainerProperties", &["containers/read"]),
    ("GetContainerMetadata", &["containers/read"]),
    ("CreateContainer", &["containers/write"]),
    ("SetContainerMetadata", &["containers/write"]),
    ("DeleteContainer", &["containers/delete"]),
    ("GetBlobServiceProperties", &["read"]),
    ("SetBlobServiceProperties", &["write"]),
    ("GetUserDelegationKey", &["generateUserDelegationKey/action"]),
];

const QUEUE_DATA: &[Row] = &[
    ("GetMessages", &["queues/messages/process/action"]),
    ("GetMessage", &["queues/messages/process/action"]),
    ("PeekMessages", &["queues/messages/read"]),
    ("PeekMessage", &["queues/messages/read"]),
    ("PutMessage", &["queues/messages/add/action", "queues/messages/write"]),
    ("UpdateMessage", &["queues/messages/write"]),
    ("DeleteMessage", &["queues/messages/delete", "queues/messages/process/action"]),
    ("ClearMessages", &["queues/messages/delete"]),
];

const QUEUE_CONTROL: &[Row] = &[
    ("ListQueues", &["queues/read"]),
    ("GetQueueMetadata", &["queues/read"]),
    ("CreateQueue", &["queues/write"]),
    ("SetQueueMetadata", &["queues/write"]),
    ("DeleteQueue", &["queues/delete"]),
];

const TABLE_DATA: &[Row] = &[
    ("QueryEntity", &["tables/entities/read"]),
    ("QueryEntities", &["tables/entities/read"]),
    ("InsertEntity", &["tables/entities/add/action", "tables/entities/write"]),
    ("UpdateEntity", &["tables/entities/update/action", "tables/entities/write"]),
    ("MergeEntity", &["tables/entities/update/action", "tables/entities/write"]),
    ("DeleteEntity", &["tables/entities/delete"]),
];

const VAULT_DATA: &[Row] = &[
    ("SecretGet", &["secrets/getSecret/action"]),
    ("SecretList", &["secrets/readMetadata/action"]),
    ("SecretListVersions", &["secrets/readMetadata/action"]),
    ("SecretSet", &["secrets/setSecret/action"]),
    ("SecretUpdate", &["secrets/update/action"]),
    ("SecretDelete", &["secrets/delete"]),
    ("SecretBackup", &["secrets/backup/action"]),
    ("SecretRestore", &["secrets/restore/action"]),
    ("SecretRecover", &["secrets/recover/action"]),
    ("SecretPurge", &["secrets/purge/action"]),
    ("KeyGet", &["keys/read"]),
    ("KeyList", &["keys/read"]),
    ("KeyListVersions", &["keys/read"]),
    ("KeyCreate", &["keys/create/action"]),
    ("KeyImport", &["keys/import/action"]),
    ("KeyUpdate", &["keys/update/action"]),
    ("KeyDelete", &["keys/delete"]),
    ("KeyBackup", &["keys/backup/action"]),
    ("KeyRestore", &["keys/restore/action"]),
    ("KeyRecover", &["keys/recover/action"]),
    ("KeyPurge", &["keys/purge/action"]),
    ("KeySign", &["keys/sign/action"]),
    ("KeyVerify", &["keys/verify/action"]),
    ("KeyEncrypt", &["keys/encrypt/action"]),
    ("KeyDecrypt", &["keys/decrypt/action"]),
    ("KeyWrap", &["keys/wrap/action"]),
    ("KeyUnwrap", &["keys/unwrap/action"]),
    ("CertificateGet", &["certificates/read"]),
    ("CertificateList", &["certificates/read"]),
    ("CertificateCreate", &["certificates/create/action"]),
    ("CertificateImport", &["certificates/import/action"]),
    ("CertificateUpdate", &["certificates/update/action"]),
    ("CertificateDelete", &["certificates/delete"]),
    ("CertificateBackup", &["certificates/backup/action"]),
    ("CertificatePurge", &["certificates/purge/action"]),
];

const OPENAI_DATA: &[Row] = &[
    ("ChatCompletions_Create", &["chat/completions/action"]),
    ("Completions_Create", &["completions/action"]),
    ("Embeddings_Create", &["embeddings/action"]),
];

/// Where a request is looked up, by what its operations start with.
const TABLES: &[(&str, Plane, &[Row])] = &[
    (BLOB, Plane::Data, BLOB_DATA),
    (BLOB, Plane::Control, BLOB_CONTROL),
    (QUEUE, Plane::Data, QUEUE_DATA),
    (QUEUE, Plane::Control, QUEUE_CONTROL),
    (TABLE, Plane::Data, TABLE_DATA),
    (VAULT, Plane::Data, VAULT_DATA),
    (OPENAI, Plane::Data, OPENAI_DATA),
];

/// `None` where the record is no request that is known here.
pub(super) fn read(record: &Value, category: &str, operation: &str) -> Option<Needs> {
    let by_key = at(record, &["identity", "type"]).is_some_and(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind.contains("sas") || kind.contains("key") || kind == "anonymous"
    });
    let (start, needs) = needs(category, operation, by_key)?;
    Some(Needs { resource: resource(record, start), ..needs })
}

/// What a request needed, and what its operations begin with; `None` where it is not known here. `by_key`: a key or a
/// shared signature stands for the account, and no role is asked.
pub(super) fn needs(category: &str, operation: &str, by_key: bool) -> Option<(&'static str, Needs)> {
    if category.eq_ignore_ascii_case("administrative") || operation.contains('/') {
        return None;
    }
    let (start, plane, needs) = TABLES.iter().find_map(|(start, plane, rows)| {
        let row = rows.iter().find(|(name, _)| name.eq_ignore_ascii_case(operation))?;
        Some((*start, *plane, row.1))
    })?;
    let mut named: Vec<String> = needs.iter().map(|needed| format!("{start}{needed}")).collect();
    let certain = if named.len() == 1 && !by_key { std::mem::take(&mut named) } else { Vec::new() };
    Some((start, Needs { plane, certain, possible: named, resource: None }))
}

/// The id of what was touched, as role assignments would name it.
fn resource(record: &Value, start: &str) -> Option<String> {
    let id = at(record, &["resourceId"]).or_else(|| at(record, &["ResourceId"]))?;
    if start == VAULT {
        // https://acme.vault.azure.net/secrets/payments/0123
        let path = at(record, &["properties", "id"])?.split_once("://")?.1;
        let mut parts = path.split(['/', '?']).skip(1);
        let (kind, name) = (parts.next()?, parts.next()?);
        return (!name.is_empty()).then(|| format!("{id}/{kind}/{name}"));
    }
    let collection = match start {
        BLOB => "containers",
        QUEUE => "queues",
        TABLE => "tables",
        _ => return None,
    };
    // /account/container/path of the blob
    let name = at(record, &["properties", "objectKey"])?.trim_start_matches('/').split('/').nth(1)?;
    (!name.is_empty()).then(|| format!("{id}/{collection}/{name}"))
}

#[cfg(test)]
pub(super) fn all() -> Vec<(Plane, String)> {
    let rows =
        TABLES.iter().flat_map(|(start, plane, rows)| rows.iter().map(move |row| (*start, *plane, row.1)));
    rows.flat_map(|(start, plane, needs)| needs.iter().map(move |one| (plane, format!("{start}{one}"))))
        .collect()
}
