//! Values under keys that look like secrets, taken out before anything is kept.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::token::{self, skip_space};

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "\"[redacted]\"";

/// Whether a whole name, normalised (lower case, letters and digits only), is a secret's. Names of things that only
/// sound secret (`accessKeyId`, `secretId`, `nextToken`, `clientToken`, `maxTokens`) are not here: judging needs them.
fn is_secret_name(name: &str) -> bool {
    // A `match`, not a table: it is asked for every key of every event, and decides most by their length alone.
    matches!(
        name,
        "accesstoken"
            | "apikey"
            | "apikeyvalue"
            | "authorization"
            | "authorizationtoken"
            | "authtoken"
            | "bearertoken"
            | "clientsecret"
            | "connectionstring"
            | "idtoken"
            | "keymaterial"
            | "passphrase"
            | "plaintext"
            | "refreshtoken"
            | "samlassertion"
            | "secretbinary"
            | "secretstring"
            | "securitytoken"
            | "sessiontoken"
            | "webidentitytoken"
            // What a tool of an agent was called with (MCP `tools/call`): prompts and pasted secrets.
            | "arguments"
    )
}

/// Names that end so are secret whatever comes before: `masterUserPassword`.
const ENDINGS: &[&str] = &["password", "passwd", "privatekey", "secretaccesskey"];

/// Longest name that is looked at, normalised.
const NAME_BYTES_MAX: usize = 64;

/// Strings in strings that are looked into.
const LEVELS_MAX: usize = 3;

/// Which keys hold secrets.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    more: BTreeSet<String>,
}

impl Redaction {
    /// The built-in names and `names` of one's own. Case and punctuation do not matter.
    pub fn with<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        Self { more: names.into_iter().map(|name| normalised(name.as_ref())).collect() }
    }

    /// Raw JSON with the values under secret keys replaced by `"[redacted]"`; null, true and false stay.
    ///
    /// Also takes JSON that breaks off, or is none: what looks like a secret's key then hides what follows it, to the
    /// end if need be. Borrows when nothing was secret.
    pub fn text<'a>(&self, json: &'a str) -> Cow<'a, str> {
        self.at_level(json, LEVELS_MAX)
    }

    /// As [`Redaction::text`], and in JSON that is written into strings: Azure logs what was sent like that.
    pub fn deep<'a>(&self, json: &'a str) -> Cow<'a, str> {
        self.at_level(json, 0)
    }

    /// `level`: how many strings `json` was written into.
    fn at_level<'a>(&self, json: &'a str, level: usize) -> Cow<'a, str> {
        let bytes = json.as_bytes();
        let mut out = String::new();
        let mut copied = 0;
        let mut at = 0;
        while let Some(open) = find(bytes, at, b'"') {
            let key_end = string_end(bytes, open);
            at = key_end;
            let Some(value) = after_colon(bytes, key_end) else {
                if let Some(inner) = self.within(json.get(open..key_end).unwrap_or_default(), level) {
                    out.push_str(json.get(copied..open).unwrap_or_default());
                    out.push_str(&inner);
                    copied = key_end;
                }
                continue;
            };
            let name = json.get(open + 1..key_end.saturating_sub(1)).unwrap_or_default();
            if !self.is_secret(name) {
                at = value;
                continue;
            }
            let end = value_end(bytes, value);
            if !may_stay(bytes.get(value)) {
                if copied == 0 {
                    out.reserve_exact(json.len() + REDACTED.len());
                }
                out.push_str(json.get(copied..value).unwrap_or_default());
                out.push_str(REDACTED);
                copied = end;
            }
            at = end;
        }
        if copied == 0 {
            return Cow::Borrowed(json);
        }
        out.push_str(json.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Whether there are names of one's own, which [`is_secret_key`] does not know.
    pub(crate) fn has_own(&self) -> bool {
        !self.more.is_empty()
    }

    /// A string that holds JSON in its turn: the same without secrets. None where there are
    /// none in it.
    fn within(&self, string: &str, level: usize) -> Option<String> {
        if level >= LEVELS_MAX || !string.contains("\\\"") {
            return None;
        }
        let text: String = serde_json::from_str(string).ok().or_else(|| {
            // It breaks off, perhaps inside an escape.
            let end = string.len().saturating_sub(6);
            let cut = string.get(string.ceil_char_boundary(end)..)?.find('\\');
            let whole =
                cut.map_or(string, |at| string.get(..string.ceil_char_boundary(end) + at).unwrap_or(string));
            serde_json::from_str(&format!("{whole}\"")).ok()
        })?;
        match self.at_level(&text, level + 1) {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => serde_json::to_string(&text).ok(),
        }
    }

    /// [`Self::deep`] of what may not be there.
    pub(crate) fn deep_option<'a>(&self, json: Option<&'a str>) -> Option<Cow<'a, str>> {
        json.map(|json| self.deep(json))
    }

    /// Whether values under `key`, as it stands in JSON, are secret.
    fn is_secret(&self, key: &str) -> bool {
        if key.contains('\\') {
            let unescaped: Result<String, _> = serde_json::from_str(&format!("\"{key}\""));
            return unescaped.is_ok_and(|key| self.has(&normalised(&key)));
        }
        if self.has_own() { self.is_named(key) } else { is_secret_key(key.as_bytes()) }
    }

    /// The same for a key without escapes, however it is spelled.
    fn is_named(&self, key: &str) -> bool {
        let mut name = [0u8; NAME_BYTES_MAX];
        let mut length = 0;
        for byte in key.bytes().filter(u8::is_ascii_alphanumeric) {
            let Some(place) = name.get_mut(length) else {
                return self.has(&normalised(key));
            };
            *place = byte.to_ascii_lowercase();
            length += 1;
        }
        let name = name.get(..length).and_then(|name| std::str::from_utf8(name).ok());
        name.is_some_and(|name| self.has(name))
    }

    fn has(&self, name: &str) -> bool {
        is_secret_name(name)
            || ENDINGS.iter().any(|ending| name.ends_with(ending))
            || !self.more.is_empty() && self.more.contains(name)
    }
}

/// Whether a value that begins so tells no secret: null, true and false.
pub(crate) fn may_stay(start: Option<&u8>) -> bool {
    matches!(start, Some(b'n' | b't' | b'f'))
}

/// How the built-in names end, in lower case.
const ENDS: [&[u8; SECRET_BYTES_MIN]; 21] = [
    b"stoken", b"ntoken", b"htoken", b"rtoken", b"dtoken", b"ytoken", b"apikey", b"atekey", b"esskey",
    b"yvalue", b"zation", b"ertion", b"secret", b"string", b"terial", b"phrase", b"intext", b"binary",
    b"uments", b"ssword", b"passwd",
];

/// The last four letters of each.
const TAILS: [u32; ENDS.len()] = tails();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
const fn tails() -> [u32; ENDS.len()] {
    let mut tails = [0; ENDS.len()];
    let mut at = 0;
    // A `const fn` has no `for`.
    while at < ENDS.len() {
        let [.., a, b, c, d] = *ENDS[at];
        tails[at] = u32::from_le_bytes([a, b, c, d]);
        at += 1;
    }
    tails
}

/// Whether a key, as it stands in JSON without escapes, is one of the built-in names.
///
/// Told by the last four characters for nearly every key, and by one branch that hardly ever goes the other way: it is
/// asked of every key in every request and response.
#[inline]
pub(crate) fn is_secret_key(key: &[u8]) -> bool {
    let Some(end) = key.last_chunk::<4>() else { return false };
    let [.., last] = *end;
    let end = u32::from_le_bytes(*end);
    let lower = end | 0x2020_2020;
    let may_be = TAILS.iter().fold(false, |found, one| found | (*one == lower));
    // Punctuation does not matter, so what it stands between must be put together first. No name ends with a digit, as
    // `x-amz-id-2` does, which stands in every event of S3.
    let is_odd = (letters(lower) | digits(end)) != HIGHS && !last.is_ascii_digit();
    (may_be | is_odd) && key.len() >= SECRET_BYTES_MIN && is_built_in(key)
}

/// The highest bit of each of four bytes.
const HIGHS: u32 = 0x8080_8080;

/// Which of four bytes, each with the bit of lower case set, are letters; right where all of them are ASCII, and never
/// all of them where one is not.
#[inline]
fn letters(lower: u32) -> u32 {
    // From a on, a byte is carried into its highest bit; from behind z on, by less.
    let (from_a, past_z) = (lower.wrapping_add(0x1f1f_1f1f), lower.wrapping_add(0x0505_0505));
    !lower & from_a & !past_z & HIGHS
}

/// The same for digits, of bytes as they are.
#[inline]
fn digits(bytes: u32) -> u32 {
    let (from_0, past_9) = (bytes.wrapping_add(0x5050_5050), bytes.wrapping_add(0x4646_4646));
    !bytes & from_0 & !past_9 & HIGHS
}

#[cold]
fn is_built_in(key: &[u8]) -> bool {
    // Six tell `clientToken` and `configuration` from any of them.
    let Some(end) = key.last_chunk::<SECRET_BYTES_MIN>() else { return false };
    let lower = end.map(|byte| byte | 0x20);
    let ends_so = ENDS.iter().fold(false, |found, one| found | (**one == lower));
    if !ends_so && end.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    std::str::from_utf8(key).is_ok_and(|key| Redaction::default().is_named(key))
}

/// The shortest built-in name: `apikey`, `passwd`.
const SECRET_BYTES_MIN: usize = 6;

fn normalised(name: &str) -> String {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

fn find(bytes: &[u8], from: usize, wanted: u8) -> Option<usize> {
    memchr::memchr(wanted, bytes.get(from..)?).map(|at| from + at)
}

/// Just past the string that opens at `open`; the end of `bytes` if it never closes.
fn string_end(bytes: &[u8], open: usize) -> usize {
    token::string_end(bytes, open).unwrap_or(bytes.len())
}

/// Where the value starts, if what ended at `at` was a key.
fn after_colon(bytes: &[u8], at: usize) -> Option<usize> {
    let colon = skip_space(bytes, at);
    (bytes.get(colon) == Some(&b':')).then(|| skip_space(bytes, colon + 1))
}

/// Just past the value at `start`; the end of `bytes` if it never ends.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut open = 0usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                if open == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' if open == 0 => return at,
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return at + 1;
                }
            }
            b',' if open == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(json: &str) -> String {
        Redaction::default().text(json).into_owned()
    }

    #[test]
    fn secrets_of_any_spelling_go() {
        assert_eq!(
            redacted(r#"{"MasterUserPassword":"x","a":1}"#),
            r#"{"MasterUserPassword":"[redacted]","a":1}"#
        );
        assert_eq!(redacted(r#"{"api_key" : "x"}"#), r#"{"api_key" : "[redacted]"}"#);
        assert_eq!(redacted(r#"{"passw\u006frd":"x"}"#), r#"{"passw\u006frd":"[redacted]"}"#);
        assert_eq!(redacted(r#"{"x":{"secretString":"a\"b"}}"#), r#"{"x":{"secretString":"[redacted]"}}"#);
    }

    #[test]
    fn a_secret_may_be_a_tree() {
        assert_eq!(
            redacted(r#"{"name":"run","arguments":{"cmd":["a","}"]},"b":2}"#),
            r#"{"name":"run","arguments":"[redacted]","b":2}"#
        );
    }

    #[test]
    fn a_secret_written_into_a_string_goes() {
        let deep = |json: &str| Redaction::default().deep(json).into_owned();
        assert_eq!(
            deep(r#"{"requestbody":"{\"adminPassword\":\"x\",\"size\":1}","a":"b"}"#),
            r#"{"requestbody":"{\"adminPassword\":\"[redacted]\",\"size\":1}","a":"b"}"#
        );
        assert_eq!(deep(r#"["say \"hi\""]"#), r#"["say \"hi\""]"#);
        assert_eq!(
            redacted(r#"["{\"password\":1}"]"#),
            r#"["{\"password\":1}"]"#,
            "only where it is asked for"
        );
        let cut = deep(r#"{"requestbody":"{\"adminPassword\":\"hunter2 and \u00"#);
        assert!(!cut.contains("hunter2"), "{cut}");
    }

    #[test]
    fn what_judging_needs_stays() {
        for json in [
            r#"{"accessKeyId":"AKIA","secretId":"s","nextToken":"t","clientToken":"c","maxTokens":5}"#,
            r#"{"password":null,"generateSecretString":{"passwordLength":8}}"#,
            r#"{"note":"the password: \"x\""}"#,
            r#""password""#,
            "[]",
        ] {
            assert_eq!(redacted(json), json);
        }
    }

    #[test]
    fn ones_own_names_count_too() {
        let own = Redaction::with(["Card-Number"]);
        assert_eq!(own.text(r#"{"cardNumber":"4111","card":1}"#), r#"{"cardNumber":"[redacted]","card":1}"#);
    }

    #[test]
    fn no_secret_name_is_passed_over() {
        let names = [
            "accessToken",
            "api_key",
            "apiKeyValue",
            "Authorization",
            "authorizationToken",
            "authToken",
            "bearerToken",
            "clientSecret",
            "connectionString",
            "idToken",
            "keyMaterial",
            "passphrase",
            "plaintext",
            "refreshToken",
            "SAMLAssertion",
            "secretBinary",
            "secretString",
            "securityToken",
            "sessionToken",
            "webIdentityToken",
            "arguments",
            "masterPassword",
            "passwd",
            "privateKey",
            "secretAccessKey",
            "pass-word-",
            "api_key_",
            "pass.w.d",
        ];
        for name in names {
            assert!(is_secret_key(name.as_bytes()), "{name}");
        }
        for name in ["key", "bucketName", "Host", "roleArn", "x-amz-id-2", "instanceId", ""] {
            assert!(!is_secret_key(name.as_bytes()), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_key_alone_says_the_same_as_a_text(key in "[-_.a-zA-Z0-9é]{0,6}(?i)(token|key|password|passwd|phrase|[a-z]{4})[-_.:/é¿ÿ]{0,2}") {
            let json = format!("{{\"{key}\":\"x\"}}");
            proptest::prop_assert_eq!(is_secret_key(key.as_bytes()), redacted(&json) != json);
        }
    }

    #[test]
    fn broken_json_hides_the_secret_to_the_end() {
        assert_eq!(redacted(r#"{"password":"abc"#), r#"{"password":"[redacted]""#);
        assert_eq!(redacted(r#"{"password":{"a":"#), r#"{"password":"[redacted]""#);
    }
}
