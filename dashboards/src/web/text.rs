//! Text of a log on a page: the attacker's, shown as data and never as anything else.

use engine::log_text::hides;
use std::fmt::Write;

/// Combining marks in a row that are shown as such; more would climb over their neighbours.
const MARKS_MAX: usize = 2;

/// HTML that shows `text` as it is and marks it as the log's, cut after `max` characters.
pub(super) fn log(text: &str, max: usize) -> String {
    let mut html = format!(r#"<bdi class="log" title="text from the log">{}</bdi>"#, plain(text, max));
    let left = text.chars().skip(max).count();
    if left > 0 {
        let _ = write!(html, r#"<span class="cut" title="{left} more characters">…+{left}</span>"#);
    }
    html
}

/// HTML that shows the first `max` characters of `text`: a sentence of ours that may quote a log.
///
/// Markup is escaped; characters that steer, hide or reorder text appear as their code points.
pub(super) fn plain(text: &str, max: usize) -> String {
    let mut html = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars().take(max) {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if hides(c) || marks > MARKS_MAX {
            let _ = write!(html, r#"<span class="cp">U+{:04X}</span>"#, c as u32);
        } else {
            push_escaped(&mut html, c);
        }
    }
    html
}

/// HTML that shows `text`, which may be several lines, in a block of code.
pub(super) fn log_lines(text: &str, max: usize) -> String {
    // Each line by itself, so that a line end stays one and everything else that steers does not.
    text.split('\n').map(|line| log(line, max)).collect::<Vec<_>>().join("\n")
}

/// Whether nothing in `text` steers or hides, for places that hold no markup.
pub(super) fn is_plain(text: &str) -> bool {
    !text.chars().any(hides)
}

fn push_escaped(html: &mut String, c: char) {
    match c {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '"' => html.push_str("&quot;"),
        '\'' => html.push_str("&#39;"),
        _ => html.push(c),
    }
}

fn is_mark(c: char) -> bool {
    matches!(c as u32,
        0x300..=0x36F | 0x483..=0x489 | 0x591..=0x5BD | 0x610..=0x61A | 0x64B..=0x65F | 0xE31..=0xE3A
        | 0xE47..=0xE4E | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE20..=0xFE2F)
}

/// The same path on this host: browsers read two slashes, or a backslash, at its start as another host.
pub(super) fn own_path(path: &str) -> String {
    format!("/{}", path.trim_start_matches(['/', '\\']))
}

/// HTML of a sentence of ours, with `code` between backticks.
pub(super) fn prose(sentence: &str, max: usize) -> String {
    let mut html = String::new();
    for (at, part) in sentence.split('`').enumerate() {
        let shown = plain(part, max);
        html.push_str(&if at % 2 == 1 { format!("<code>{shown}</code>") } else { shown });
    }
    html
}

/// Percent-encodes for one segment of a path or one value of a query.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The first value of `name` in a query, decoded; a broken encoding is kept as it is.
pub(super) fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| decode(value))
    })
}

/// The query without `name`.
pub(super) fn query_without(query: &str, name: &str) -> String {
    let keeps = |pair: &&str| !pair.is_empty() && pair.split_once('=').map_or(*pair, |(key, _)| key) != name;
    query.split('&').filter(keeps).collect::<Vec<_>>().join("&")
}

fn decode(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let mut after = rest.clone();
        let hex = |digit: Option<u8>| digit.and_then(|d| char::from(d).to_digit(16));
        match (byte, hex(after.next()), hex(after.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = after;
            }
            (b'+', _, _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let html = log(text, 100);
        html.replace(r#"<bdi class="log" title="text from the log">"#, "").replace("</bdi>", "")
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(shown(r#"<b a="1">&'"#), "&lt;b a=&quot;1&quot;&gt;&amp;&#39;");
    }

    #[test]
    fn what_steers_or_hides_is_shown_by_its_code_point() {
        for (hostile, code) in [
            ("\u{202e}", "202E"),
            ("\u{200b}", "200B"),
            ("\u{1b}", "001B"),
            ("\n", "000A"),
            ("\u{e0041}", "E0041"),
        ] {
            assert_eq!(shown(&format!("a{hostile}b")), format!(r#"a<span class="cp">U+{code}</span>b"#));
        }
        assert_eq!(
            shown("naïve, ქართული, 日本, cafe\u{301}"),
            "naïve, ქართული, 日本, cafe\u{301}",
            "people's scripts stay"
        );
    }

    #[test]
    fn marks_do_not_pile_up() {
        let html = shown(&format!("a{}", "\u{301}".repeat(20)));
        assert_eq!(html.matches("U+0301").count(), 18);
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let html = log(&"x".repeat(500), 10);
        assert!(html.contains(">xxxxxxxxxx</bdi>") && html.contains("…+490"));
        assert!(!log("xxxxxxxxxx", 10).contains('…'));
    }

    #[test]
    fn a_path_never_leads_to_another_host() {
        for path in ["//evil.example/", "/\\evil.example/", "\\/\\//evil.example/", "/evil.example/"] {
            assert_eq!(own_path(path), "/evil.example/");
        }
        assert_eq!(own_path("/"), "/");
    }

    #[test]
    fn backticks_mark_code_and_nothing_else_does() {
        assert_eq!(prose("set `[web] token` <b>", 100), "set <code>[web] token</code> &lt;b&gt;");
    }

    #[test]
    fn an_encoded_value_comes_back() {
        for value in ["arn:aws:iam::1:role/a b", "é&=?#%2F", "../.."] {
            assert!(encode(value).bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
        }
        assert_eq!(query_value("a=1&token=%41+b%zz&token=2", "token").as_deref(), Some("A b%zz"));
        assert_eq!(query_value("tokens=1", "token"), None);
        assert_eq!(query_without("a=1&token=x&b=2&token", "token"), "a=1&b=2");
    }
}
