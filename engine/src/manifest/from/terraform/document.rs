//! A plan or a state as JSON, and the resources in it
//!
//! <https://developer.hashicorp.com/terraform/internals/json-format>

use serde_json::Value;

use super::INSTANCES_MAX;
use super::address::{Address, Index};

/// The versions of a state that we read. Terraform has written the fourth since 0.12.
const STATE_VERSION: u64 = 4;

/// What a file is.
pub(super) enum Document<'v> {
    /// `terraform.tfstate` itself
    State(&'v [Value]),
    /// `terraform show -json` of a plan or of a state
    Shown {
        /// Root modules: of what is planned, or there; then of what was read before planning, for data alone
        roots: Vec<(&'v Value, Read)>,
        /// `resource_changes`, for what is not known yet
        changes: &'v [Value],
        planned: bool,
    },
}

/// Which resources of a module count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    All,
    Data,
}

/// One instance of a resource.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) address: String,
    pub(super) values: Value,
    /// `after_unknown`
    unknown: Value,
    /// It may lack what is known only after apply
    pub(super) planned: bool,
}

impl Resource {
    /// Whether something of an attribute is known only after apply.
    pub(super) fn is_unknown(&self, attribute: &str) -> bool {
        let mut waiting: Vec<&Value> = self.unknown.get(attribute).into_iter().collect();
        while let Some(value) = waiting.pop() {
            match value {
                Value::Bool(true) => return true,
                Value::Array(items) => waiting.extend(items),
                Value::Object(fields) => waiting.extend(fields.values()),
                _ => {}
            }
        }
        false
    }
}

impl<'v> Document<'v> {
    pub(super) fn of(value: &'v Value) -> Result<Document<'v>, String> {
        let list = |key: &str| value.get(key).and_then(Value::as_array).map(Vec::as_slice);
        if let Some(planned) = value.get("planned_values") {
            let mut roots = vec![(planned.get("root_module").unwrap_or(&Value::Null), Read::All)];
            let before = value.pointer("/prior_state/values/root_module");
            roots.extend(before.map(|root| (root, Read::Data)));
            let changes = list("resource_changes").unwrap_or_default();
            return Ok(Document::Shown { roots, changes, planned: true });
        }
        if let Some(version) = value.get("version").and_then(Value::as_u64) {
            return match (version, list("resources")) {
                (STATE_VERSION, Some(resources)) => Ok(Document::State(resources)),
                (STATE_VERSION, None) => Err("it is a state without `resources`".to_owned()),
                _ => Err(format!("it is a state of version {version}, and version {STATE_VERSION} is read")),
            };
        }
        if value.get("encrypted_data").is_some() {
            return Err("it is encrypted".to_owned());
        }
        if value.get("format_version").is_some() {
            let root = value.pointer("/values/root_module").unwrap_or(&Value::Null);
            return Ok(Document::Shown { roots: vec![(root, Read::All)], changes: &[], planned: false });
        }
        Err("it is neither a plan nor a state".to_owned())
    }

    /// The instances that an address means, at most one more than we take; and the addresses of others of its type.
    pub(super) fn find(&self, wanted: &Address) -> (Vec<Resource>, Vec<String>) {
        let (mut found, mut others): (Vec<Resource>, Vec<String>) = (Vec::new(), Vec::new());
        let mut take = |address: &Address, values: &Value, unknown: &Value, planned: bool| {
            let shown = address.to_string();
            if !wanted.means(address) {
                others.push(shown);
            } else if found.len() <= INSTANCES_MAX && found.iter().all(|known| known.address != shown) {
                let (values, unknown) = (values.clone(), unknown.clone());
                found.push(Resource { address: shown, values, unknown, planned });
            }
        };
        match self {
            Document::State(resources) => {
                for resource in resources.iter().filter(|one| text(one, "type") == wanted.kind()) {
                    let (module, name) = (text(resource, "module"), text(resource, "name"));
                    let is_data = text(resource, "mode") == "data";
                    for instance in resource.get("instances").and_then(Value::as_array).into_iter().flatten()
                    {
                        // Replaced, and only waiting to be destroyed.
                        if instance.get("deposed").is_some() {
                            continue;
                        }
                        let index = match instance.get("index_key") {
                            Some(Value::String(key)) => Some(Index::Key(key.clone())),
                            Some(Value::Number(number)) => number.as_u64().map(Index::Number),
                            _ => None,
                        };
                        let address = Address::of(module, is_data, wanted.kind(), name, index);
                        let values = instance.get("attributes").unwrap_or(&Value::Null);
                        if let Some(address) = address {
                            take(&address, values, &Value::Null, false);
                        }
                    }
                }
            }
            Document::Shown { roots, changes, planned } => {
                for (root, read) in roots {
                    for resource in resources_of(root, wanted.kind()) {
                        let is_data = text(resource, "mode") == "data";
                        let shown = text(resource, "address");
                        let Some(address) = Address::parse(shown) else { continue };
                        if *read == Read::All || is_data {
                            let about = |change: &&Value| {
                                text(change, "address") == shown && change.get("deposed").is_none()
                            };
                            let change = wanted.means(&address).then(|| changes.iter().find(about)).flatten();
                            let unknown = change.and_then(|one| one.pointer("/change/after_unknown"));
                            let values = resource.get("values").unwrap_or(&Value::Null);
                            let is_planned = *planned && *read == Read::All;
                            take(&address, values, unknown.unwrap_or(&Value::Null), is_planned);
                        }
                    }
                }
            }
        }
        others.sort_unstable();
        others.dedup();
        (found, others)
    }
}

/// The resources of one type in a module and in those below it.
fn resources_of<'v>(root: &'v Value, kind: &str) -> Vec<&'v Value> {
    let list = |module: &'v Value, key: &str| {
        module.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    };
    let mut found = Vec::new();
    let mut waiting = vec![root];
    while let Some(module) = waiting.pop() {
        found.extend(list(module, "resources").iter().filter(|one| text(one, "type") == kind));
        waiting.extend(list(module, "child_modules"));
    }
    found
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
