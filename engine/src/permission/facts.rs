//! What a call's own text tells, parsed when first asked for

use std::cell::OnceCell;

use super::Call;
use super::request::{find, has_key_with, hides_letters, same, strings_below};
use super::tags::{self, Tags};
use crate::json::{Json, Tape};
use ingest::denial::{self, Denial};
use ingest::keys::Keys;
use policy::arn::Arn;

/// A call with its text parsed once, however much is asked of it.
#[derive(Debug)]
pub struct Facts<'a> {
    pub(super) call: Call<'a>,
    request_keys: OnceCell<Keys>,
    request: OnceCell<Tape<'a>>,
    response: OnceCell<Tape<'a>>,
    additional: OnceCell<Tape<'a>>,
    event_context: OnceCell<Tape<'a>>,
    tags: OnceCell<Tags>,
    denial: OnceCell<Option<Denial<'a>>>,
    listed: OnceCell<Vec<&'a str>>,
}

/// What a request hands to a service to act by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Handed {
    /// A role's ARN
    Role(String),
    /// A role's name, its path untold
    RoleName(String),
    /// An instance profile, whose role is untold
    Profile,
}

impl<'a> Facts<'a> {
    /// Nothing is parsed yet.
    #[must_use]
    pub fn new(call: Call<'a>) -> Facts<'a> {
        Facts {
            call,
            request_keys: OnceCell::new(),
            request: OnceCell::new(),
            response: OnceCell::new(),
            additional: OnceCell::new(),
            event_context: OnceCell::new(),
            tags: OnceCell::new(),
            denial: OnceCell::new(),
            listed: OnceCell::new(),
        }
    }

    pub(super) fn request(&self) -> Json<'_> {
        self.request.get_or_init(|| Tape::knowing(self.call.request, self.request_keys())).root()
    }

    pub(super) fn response(&self) -> Json<'_> {
        self.response.get_or_init(|| Tape::read(self.call.response)).root()
    }

    pub(super) fn additional(&self) -> Json<'_> {
        self.additional.get_or_init(|| Tape::read(self.call.additional)).root()
    }

    pub(super) fn event_context(&self) -> Json<'_> {
        self.event_context.get_or_init(|| Tape::read(self.call.event_context)).root()
    }

    /// Says what the log lists as resources, for a call that was given none: most questions are answered without.
    pub(crate) fn tell_listed(&self, resources: impl FnOnce() -> Vec<&'a str>) {
        self.listed.get_or_init(resources);
    }

    /// What the log lists as resources.
    pub(super) fn listed(&self) -> &[&'a str] {
        self.listed.get().unwrap_or(&self.call.resources)
    }

    /// What the text of a denial names.
    pub(crate) fn denial(&self) -> Option<&Denial<'a>> {
        self.denial.get_or_init(|| self.call.error_message.and_then(denial::parse)).as_ref()
    }

    /// Whether the log shows the request, so that a field that is not there was not given. CloudTrail leaves the request
    /// of some calls out, and of some too large ones only says so.
    /// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>
    pub(super) fn is_visible(&self) -> bool {
        // Asked of nearly every call: mostly the keys alone tell.
        if self.request_keys().has_members() && !self.request_keys().may_be("omitted") {
            return true;
        }
        let request = self.request();
        request.is_map() && !request.is_empty() && request.get("omitted").and_then(Json::flag) != Some(true)
    }

    fn request_keys(&self) -> Keys {
        let keys = || self.call.request_keys.or_else(|| self.call.request.map(Keys::of));
        *self.request_keys.get_or_init(|| keys().unwrap_or_default())
    }

    /// Whether the request has a field of this name, with something in it.
    pub(super) fn has_field(&self, name: &str) -> bool {
        self.request_keys().may_be(name)
            && self.request().members().any(|(key, value)| same(key, name) && !value.is_empty())
    }

    /// Whether a row's condition holds; `None` where the log does not tell.
    pub(super) fn holds(&self, name: &str) -> Option<bool> {
        if name == "@bearer" {
            // https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-permissions.html
            let told = self.additional().get("callWithBearerToken").and_then(Json::flag);
            return told.or(self.is_visible().then_some(false));
        }
        if !self.is_visible() {
            return None;
        }
        let Some(special) = name.strip_prefix('@') else { return Some(self.has_field(name)) };
        if let Some(verb) = special.strip_prefix("partiql:") {
            return self.statements(verb);
        }
        if let Some(kind) = special.strip_prefix("item:") {
            return self.transacts(kind);
        }
        Some(match special {
            "tags" => self.gives_tags(),
            "role" => !self.handed().is_empty(),
            // The alias of an Object Lambda access point ends so.
            // https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-use.html
            "object-lambda" => find(self.request(), "bucketName")
                .iter()
                .any(|bucket| bucket.ends_with("--ol-s3") || bucket.contains(":s3-object-lambda:")),
            "source-version" => self.copy_source_text().is_some_and(|source| source.contains("?versionId=")),
            "acl" => {
                self.has_header("x-amz-acl")
                    || self.has_header("x-amz-grant-")
                    || self.has_field("accessControlList")
            }
            "retention" => {
                self.has_header("x-amz-object-lock-mode")
                    || self.has_header("x-amz-object-lock-retain-until-date")
            }
            _ => false,
        })
    }

    /// Whether the request may have a key with one of some words in it: most do not even have the letters.
    fn may_have_key_with(&self, words: &[&str]) -> bool {
        let Some(request) = self.call.request else { return false };
        words.iter().any(|word| has_key_with(request, word.as_bytes()))
            || self.request_keys().has_escapes() && hides_letters(request)
    }

    fn has_header(&self, start: &str) -> bool {
        if !self.may_have_key_with(&[start]) {
            return false;
        }
        let mut members = self.request().members();
        members.any(|(key, _)| key.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))
    }

    pub(super) fn copy_source_text(&self) -> Option<&str> {
        let request = self.request();
        find(request, "x-amz-copy-source").into_iter().chain(find(request, "copySource")).next()
    }

    /// Whether a PartiQL statement begins with a verb. CloudTrail leaves statements out or hides them.
    fn statements(&self, verb: &str) -> Option<bool> {
        let mut texts = find(self.request(), "statement");
        for list in ["statements", "transactStatements"] {
            let list = self.request().get(list).into_iter().flat_map(Json::items);
            texts.extend(list.filter_map(|one| one.get("statement").and_then(Json::text)));
        }
        let first = |text: &str| text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let verbs: Vec<String> = texts.into_iter().map(first).collect();
        let known =
            |one: &String| matches!(one.as_str(), "select" | "insert" | "update" | "delete" | "exists");
        if verbs.is_empty() || !verbs.iter().all(known) {
            return None;
        }
        Some(verbs.iter().any(|one| one == verb))
    }

    /// Whether a transaction has an item of a kind: `put`, `update`, `delete`, `conditioncheck`.
    fn transacts(&self, kind: &str) -> Option<bool> {
        let mut members = self.request().members();
        let items = members.find(|(key, _)| same(key, "transactItems")).map(|(_, items)| items)?;
        if !items.is_list() {
            return None;
        }
        let mut found = false;
        for item in items.items() {
            if !item.is_map() {
                return None;
            }
            let told = item.members().any(|(key, value)| {
                same(key, kind)
                    || same(key, "operation")
                        && value
                            .text()
                            .is_some_and(|value| same(value, kind) || same(value, &format!("{kind}item")))
            });
            found |= told;
            let known = item.members().any(|(key, _)| {
                ["put", "update", "delete", "conditioncheck", "operation"].iter().any(|one| same(key, one))
            });
            if !known {
                return None;
            }
        }
        Some(found)
    }

    /// The tags that the request gives or takes away.
    pub(super) fn tags(&self) -> &Tags {
        let read =
            || if self.may_have_key_with(&["tag"]) { tags::read(self.request()) } else { Tags::default() };
        self.tags.get_or_init(read)
    }

    /// Whether the request gives tags or takes some away: asked of many calls, of few of which the tags are asked.
    pub(super) fn gives_tags(&self) -> bool {
        self.may_have_key_with(&["tag"]) && tags::are_in(self.request())
    }

    /// Roles and instance profiles in fields that are called so.
    pub(super) fn handed(&self) -> Vec<Handed> {
        if !self.may_have_key_with(&["role", "prof"]) {
            return Vec::new();
        }
        let mut found = Vec::new();
        let names_one = |key: &str| {
            let key = crate::reference::letters(key);
            key.contains("role") || key.contains("instanceprofile")
        };
        for (key, text) in strings_below(self.request(), &names_one) {
            let key = crate::reference::letters(key);
            let one = match Arn::parse(text) {
                Some(arn) if arn.service == "iam" && arn.resource.starts_with("role/") => {
                    Handed::Role(text.to_owned())
                }
                Some(arn) if arn.service == "iam" && arn.resource.starts_with("instance-profile/") => {
                    Handed::Profile
                }
                Some(_) => continue,
                None if !is_name(text) => continue,
                None if key.contains("instanceprofile") || key == "jobflowrole" => Handed::Profile,
                None if key.ends_with("role") || key.ends_with("rolename") => {
                    Handed::RoleName(text.to_owned())
                }
                None => continue,
            };
            if !found.contains(&one) {
                found.push(one);
            }
        }
        found
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
}
