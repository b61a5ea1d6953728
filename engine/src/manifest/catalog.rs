//! `kind: ResourceCatalog`: plain names for real things, and verbs for real permissions

use std::collections::BTreeMap;

use super::elsewhere;
use super::reader::{Reader, closest};
use super::yaml::{Entry, Node};
use crate::cloud::Cloud;
use crate::reference::{self, AccessLevel};
use crate::scope::{Operations, Thing, VerbActions};
use policy::aws::Resources;
use policy::wildcard::{ActionPattern, ArnPattern};

/// Names that every catalog knows: models are nobody's own.
const BUILT_IN: &[(&str, &str)] = &[
    ("bedrock/claude", "anthropic.claude"),
    ("bedrock/nova", "amazon.nova"),
    ("bedrock/titan", "amazon.titan"),
    ("bedrock/llama", "meta.llama"),
    ("bedrock/mistral", "mistral."),
];

/// What verbs mean unless a catalog says otherwise. AWS grades deletion as Write, so it is taken out there.
const VERBS: &[(&str, &[&str], Option<&str>)] = &[
    ("read", &["List", "Read"], None),
    ("write", &["Write", "Tagging"], Some("delete")),
    (
        "delete",
        &[
            "*:Delete*",
            "*:BatchDelete*",
            "*:Terminate*",
            "*:Purge*",
            "*:Schedule*Deletion",
            "*:Deregister*",
            "dynamodb:PartiQLDelete",
        ],
        None,
    ),
    ("admin", &["Permissions management"], None),
    (
        "invoke",
        &[
            "bedrock:Invoke*",
            "bedrock-agentcore:Invoke*",
            "lambda:InvokeFunction*",
            "sagemaker:InvokeEndpoint*",
            "states:StartExecution",
            "states:StartSyncExecution",
        ],
        None,
    ),
];

/// All catalogs of a folder, merged.
#[derive(Debug)]
pub(super) struct Catalog {
    resources: BTreeMap<String, Resource>,
    verbs: BTreeMap<String, Verb>,
}

#[derive(Debug)]
struct Resource {
    place: String,
    aws: Vec<String>,
    /// Types, scopes and names in Azure and GCP
    elsewhere: Vec<(Cloud, String)>,
    unjudged: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Verb {
    place: String,
    aws: Vec<String>,
    azure: Vec<String>,
    gcp: Vec<String>,
    except: Vec<String>,
}

/// Why a name stands for nothing.
pub(super) enum NoMeaning {
    /// No catalog has it, nor one like it
    Unnamed(String),
    /// It is a slip, or not written as it must be
    Wrong(String),
}

/// What a name stands for.
#[derive(Default)]
pub(super) struct Meaning {
    /// In AWS; without patterns: nothing
    pub(super) resources: Resources,
    /// Everything in every cloud
    pub(super) any: bool,
    /// In Azure and GCP
    pub(super) things: Vec<(Cloud, Thing)>,
    pub(super) unjudged: Vec<String>,
}

impl Meaning {
    fn aws(patterns: Vec<ArnPattern>) -> Meaning {
        Meaning { resources: Resources { not: false, patterns }, ..Meaning::default() }
    }

    /// Anything, perhaps: a key says what would tell.
    pub(super) fn unjudged(key: String) -> Meaning {
        Meaning { resources: Resources::any(), any: true, unjudged: vec![key], ..Meaning::default() }
    }

    /// The things in a cloud; `None` where it means none there.
    pub(super) fn within(&self, cloud: Cloud) -> Option<Vec<Thing>> {
        let ours = self.things.iter().filter(|(of, _)| *of == cloud);
        let things: Vec<Thing> = ours.map(|(_, thing)| thing.clone()).collect();
        (self.any || !things.is_empty()).then_some(things)
    }
}

impl Default for Catalog {
    fn default() -> Catalog {
        let verb = |(name, _, _): &(&str, _, _)| ((*name).to_owned(), built_in(name));
        Catalog { resources: BTreeMap::new(), verbs: VERBS.iter().map(verb).collect() }
    }
}

impl Catalog {
    /// Takes one document in.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, document: &Node) {
        for entry in
            reader.map(document, "ResourceCatalog", &["apiVersion", "kind", "metadata", "resources", "verbs"])
        {
            match entry.key.as_str() {
                "resources" => {
                    for entry in reader.entries(&entry.value, "resources") {
                        self.resource(reader, entry);
                    }
                }
                "verbs" => {
                    for entry in reader.entries(&entry.value, "verbs") {
                        self.verb(reader, entry);
                    }
                }
                _ => {}
            }
        }
    }

    fn resource(&mut self, reader: &mut Reader<'_>, entry: &Entry) {
        let name = &entry.key;
        let place = format!("resources.{name}");
        let mut resource = Resource {
            place: format!("{}:{}", reader.file, entry.line),
            aws: Vec::new(),
            elsewhere: Vec::new(),
            unjudged: Vec::new(),
        };
        for field in
            reader.map(&entry.value, &place, &["description", "sensitivity", "tags", "aws", "azure", "gcp"])
        {
            match field.key.as_str() {
                "aws" => {
                    for (line, arn) in reader.texts(&field.value, &format!("{place}.aws")) {
                        if arn == "*" || arn.starts_with("arn:") {
                            resource.aws.push(arn);
                        } else {
                            reader.error(line, format!("`{arn}` in `{place}.aws` is no ARN pattern. Write `arn:aws:...`, or \"*\""));
                        }
                    }
                }
                "tags" => {
                    reader.entries(&field.value, &format!("{place}.tags"));
                    reader.warn(
                        field.line,
                        format!("{place}.tags"),
                        "tags are not judged yet: what hangs on this name is unknown",
                    );
                    resource.unjudged.push(format!("{place}.tags"));
                }
                "azure" | "gcp" => {
                    let Some(cloud) = elsewhere::cloud_of(&field.key) else { continue };
                    for (line, text) in reader.texts(&field.value, &format!("{place}.{cloud}")) {
                        match elsewhere::thing(cloud, &text, false) {
                            Ok(_) => resource.elsewhere.push((cloud, text)),
                            Err(help) => {
                                reader.error(line, format!("`{text}` in `{place}.{cloud}` {help}"));
                            }
                        }
                    }
                }
                _ => {
                    reader.text(&field.value, &format!("{place}.{}", field.key));
                }
            }
        }
        if let Some(other) = self.resources.get(name) {
            reader
                .error(entry.line, format!("`{name}` is named twice: it stands at {} already", other.place));
            return;
        }
        self.resources.insert(name.clone(), resource);
    }

    fn verb(&mut self, reader: &mut Reader<'_>, entry: &Entry) {
        let place = format!("verbs.{}", entry.key);
        // What a catalog does not say of a cloud stays as it is built in.
        let mut verb = Verb { place: format!("{}:{}", reader.file, entry.line), ..built_in(&entry.key) };
        let fields = reader.map(&entry.value, &place, &["aws", "azure", "gcp", "except"]);
        if fields.iter().any(|field| matches!(field.key.as_str(), "aws" | "except")) {
            verb.except.clear();
        }
        for field in fields {
            let place = format!("{place}.{}", field.key);
            let texts = reader.texts(&field.value, &place);
            if let Some(cloud) = elsewhere::cloud_of(&field.key) {
                for (line, text) in &texts {
                    if let Some(doubt) = elsewhere::doubt_about(cloud, text) {
                        reader.error(*line, format!("`{text}` in `{place}` {doubt}"));
                    }
                }
            }
            if field.key == "aws" {
                for (line, text) in &texts {
                    if level(text).is_none() && !text.contains(':') && text != "*" {
                        reader.error(*line, format!("`{text}` in `{place}` is neither a permission (`s3:Get*`) nor an access level. Levels: List, Read, Write, Tagging, Permissions management"));
                    }
                }
            }
            let slot = match field.key.as_str() {
                "aws" => &mut verb.aws,
                "azure" => &mut verb.azure,
                "gcp" => &mut verb.gcp,
                _ => &mut verb.except,
            };
            *slot = texts.into_iter().map(|(_, text)| text).collect();
        }
        if let Some(other) = self.verbs.get(&entry.key).filter(|other| !other.place.is_empty()) {
            reader.error(
                entry.line,
                format!("verb `{}` is given twice: it stands at {} already", entry.key, other.place),
            );
        }
        self.verbs.insert(entry.key.clone(), verb);
    }

    /// The verbs that a manifest may use.
    pub(super) fn verbs(&self) -> Vec<&str> {
        self.verbs.keys().map(String::as_str).chain(["*"]).collect()
    }

    /// What a verb means; `*` is everything.
    pub(super) fn actions(&self, verb: &str) -> Option<VerbActions> {
        if verb == "*" {
            return Some(VerbActions { any: true, ..VerbActions::default() });
        }
        let found = self.verbs.get(verb)?;
        let mut actions = plain(found);
        actions.except = found.except.iter().filter_map(|name| self.verbs.get(name)).map(plain).collect();
        Some(actions)
    }

    /// What a verb means in Azure or GCP; `None`: nothing.
    pub(super) fn operations(&self, verb: &str, cloud: Cloud) -> Option<Operations> {
        if verb == "*" {
            return Some(Operations::new(None, &["*".to_owned()], &[]));
        }
        let patterns = |verb: &'_ Verb| match cloud {
            Cloud::Azure => verb.azure.clone(),
            Cloud::Gcp => verb.gcp.clone(),
            Cloud::Aws => Vec::new(),
        };
        let found = self.verbs.get(verb)?;
        let left_out = found.except.iter().map(String::as_str).chain(elsewhere::never(verb).iter().copied());
        let except: Vec<String> =
            left_out.filter_map(|name| self.verbs.get(name)).flat_map(patterns).collect();
        let any = patterns(found);
        (!any.is_empty()).then(|| Operations::new(None, &any, &except))
    }

    /// What a name means. In a `deny`, what lies below the name is meant as well.
    pub(super) fn meaning(&self, name: &str, below: bool) -> Result<Meaning, NoMeaning> {
        if name == "*" {
            return Ok(Meaning { resources: Resources::any(), any: true, ..Meaning::default() });
        }
        if name.starts_with("arn:") {
            return Ok(Meaning::aws(vec![ArnPattern::new(name)]));
        }
        let own = self.resources.get(name);
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
        if own.is_none()
            && let Some((_, model)) = built_in
        {
            let forms = [
                format!("arn:*:bedrock:*::foundation-model/{model}*"),
                format!("arn:*:bedrock:*:*:inference-profile/*.{model}*"),
            ];
            return Ok(Meaning::aws(forms.iter().map(|form| ArnPattern::new(form)).collect()));
        }
        let Some(own) = own else {
            // As an ARN may stand for itself.
            let place = if name.starts_with('/') && !name.starts_with("//") {
                Some(Cloud::Azure)
            } else {
                ["//", "gs://"].iter().any(|start| name.starts_with(start)).then_some(Cloud::Gcp)
            };
            if let Some(cloud) = place {
                let thing = elsewhere::thing(cloud, name, below)
                    .map_err(|help| NoMeaning::Wrong(format!("`{name}` {help}")))?;
                return Ok(Meaning { things: vec![(cloud, thing)], ..Meaning::default() });
            }
            let mut known: Vec<&str> = self.resources.keys().map(String::as_str).collect();
            known.extend(BUILT_IN.iter().map(|(name, _)| *name));
            let told = |guess: &str, known: &[&str]| {
                format!("`{name}` is in no ResourceCatalog.{guess} Known names: {}", known.join(", "))
            };
            let guess = closest(name, &known);
            known.truncate(20);
            return Err(match guess {
                Some(guess) => NoMeaning::Wrong(told(&format!(" Did you mean `{guess}`?"), &known)),
                None => NoMeaning::Unnamed(told("", &known)),
            });
        };
        let mut named = vec![own];
        let under = format!("{name}/");
        named.extend(
            self.resources
                .iter()
                .filter(|(other, _)| below && other.starts_with(&under))
                .map(|(_, resource)| resource),
        );
        let patterns = named.iter().flat_map(|one| &one.aws).map(|arn| ArnPattern::new(arn)).collect();
        let things = named.iter().flat_map(|one| &one.elsewhere);
        // Each was read once when the catalog was.
        let things = things.filter_map(|(cloud, text)| {
            elsewhere::thing(*cloud, text, below).ok().map(|thing| (*cloud, thing))
        });
        Ok(Meaning { things: things.collect(), unjudged: own.unjudged.clone(), ..Meaning::aws(patterns) })
    }

    /// Verbs that another verb leaves out and that nobody gives.
    pub(super) fn check(&self) -> Vec<String> {
        let known: Vec<&str> = self.verbs.keys().map(String::as_str).collect();
        let mut faults = Vec::new();
        for (name, verb) in &self.verbs {
            for except in verb.except.iter().filter(|except| !self.verbs.contains_key(*except)) {
                faults.push(format!(
                    "verb `{name}` at {} leaves out `{except}`, which is no verb. Known verbs: {}",
                    verb.place,
                    known.join(", ")
                ));
            }
        }
        faults
    }
}

/// A verb as nobody changed it; of an unknown one nothing.
fn built_in(name: &str) -> Verb {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let (aws, except) = VERBS
        .iter()
        .find(|(known, _, _)| *known == name)
        .map_or_else(Default::default, |(_, aws, except)| {
            (texts(aws), except.iter().map(|one| (*one).to_owned()).collect())
        });
    Verb {
        place: String::new(),
        aws,
        azure: elsewhere::built_in(name, Cloud::Azure),
        gcp: elsewhere::built_in(name, Cloud::Gcp),
        except,
    }
}

fn plain(verb: &Verb) -> VerbActions {
    let mut actions = VerbActions::default();
    for text in &verb.aws {
        match level(text) {
            Some(level) => actions.levels.push(level),
            None => actions.patterns.push(ActionPattern::new(text)),
        }
    }
    actions
}

fn level(text: &str) -> Option<AccessLevel> {
    let levels = [
        ("list", AccessLevel::List),
        ("read", AccessLevel::Read),
        ("write", AccessLevel::Write),
        ("tagging", AccessLevel::Tagging),
        ("permissions management", AccessLevel::Permissions),
        ("permissions", AccessLevel::Permissions),
    ];
    levels.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, level)| level)
}

/// A word about a permission that is not in our table, or `None` where it is.
pub(super) fn doubt_about(action: &ActionPattern) -> Option<String> {
    if reference::matching(action).next().is_some() {
        return None;
    }
    let text = action.as_str();
    let service = text.split_once(':').map_or(text, |(service, _)| service);
    let known: Vec<&str> =
        reference::permissions_of(service).iter().map(|known| known.name.as_str()).collect();
    let guess = closest(text, &known).map(|guess| format!(". Did you mean `{guess}`?")).unwrap_or_default();
    Some(format!("`{text}` matches no permission that we know{guess}"))
}
