//! One way to recognise an agent

use super::Identity;
use super::reader::Reader;
use super::yaml::Node;
use policy::arn::Arn;

const IDENTITY: &[&str] = &[
    "aws.role",
    "aws.user",
    "session",
    "accounts",
    "azure.agent_identity",
    "blueprint",
    "gcp.service_account",
    "spiffe",
];

/// One entry of `identities`; `None` where it is not AWS's, or wrong.
pub(super) fn identity(reader: &mut Reader<'_>, item: &Node) -> Option<Identity> {
    let place = "spec.identities";
    let (mut arn, mut session, mut accounts, mut user) = (None, None, Vec::new(), false);
    let mut others = 0;
    let faults = reader.errors.len();
    for field in reader.map(item, place, IDENTITY) {
        match field.key.as_str() {
            "aws.role" | "aws.user" => {
                let Some(text) = reader.text(&field.value, &field.key) else { continue };
                user = field.key == "aws.user";
                let kind = if user { "user/" } else { "role/" };
                let fits = Arn::parse(&text)
                    .is_some_and(|arn| arn.service == "iam" && arn.resource.starts_with(kind));
                if !fits {
                    let help = if user {
                        "arn:aws:iam::111122223333:user/NAME"
                    } else {
                        "arn:aws:iam::111122223333:role/NAME"
                    };
                    reader.error(field.value.line, format!("`{text}` is no {} ARN. Write it like `{help}`, with its path; sessions go into `session`", kind.trim_end_matches('/')));
                    continue;
                }
                if arn.replace(text).is_some() {
                    reader.error(field.line, "one identity names one role or one user: make it two entries");
                }
            }
            "session" => session = reader.text(&field.value, "session"),
            "accounts" => {
                accounts = reader
                    .texts(&field.value, "accounts")
                    .into_iter()
                    .map(|(line, text)| account(reader, line, text))
                    .collect()
            }
            _ => {
                reader.text(&field.value, &field.key);
                others += 1;
                if field.key != "blueprint" {
                    reader.warn(
                        field.line,
                        format!("{place}.{}", field.key),
                        "is not judged yet: calls of this identity are no agent's",
                    );
                }
            }
        }
    }
    let Some(arn) = arn else {
        if others == 0 && reader.errors.len() == faults {
            reader.error(item.line, "an identity needs `aws.role`, `aws.user`, `azure.agent_identity`, `gcp.service_account` or `spiffe`");
        }
        return None;
    };
    if user && session.is_some() {
        reader.error(item.line, "a user has no session name: `session` goes with `aws.role`");
    }
    Some(Identity { arn, session, accounts, tag: None })
}

/// Twelve digits; YAML takes the zeros from the front of a number.
fn account(reader: &mut Reader<'_>, line: u64, text: String) -> String {
    if text.is_empty() || text.len() > 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
        reader.error(line, format!("`{text}` is no account id: it has twelve digits"));
    }
    format!("{text:0>12}")
}
