//! Text from a log is the attacker's: made short and harmless here, once for each place it reaches.
//!
//! Everything else in this crate passes log text on as it is and calls one of these where it is written out.
//! JSON needs none of it: its own escaping keeps the text exact.

use engine::log_text::hides;
use std::fmt::Write;

/// One line of plain text: terminals, PagerDuty, plain-text blocks, and the start of every other target.
///
/// White space becomes a space. Characters that move the cursor, turn the reading direction or cannot be seen
/// are shown as `\u{202e}`. At most `max` UTF-16 units, which is what receivers count; a cut ends in `…`.
#[must_use]
pub fn plain(text: &str, max: usize) -> String {
    // Nearly every text is, and a listing has many thousands.
    let is_printable_ascii = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if is_printable_ascii && text.len() <= max { text.to_owned() } else { spelled_out(text, max) }
}

/// [`plain`], character by character.
fn spelled_out(text: &str, max: usize) -> String {
    let mut out = Bounded::new(max);
    let mut shown = String::new();
    for c in text.chars() {
        shown.clear();
        if c.is_whitespace() {
            shown.push(' ');
        } else if hides(c) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
        if !out.push(&shown) {
            break;
        }
    }
    out.finish()
}

/// Slack mrkdwn that is only text: no mention, link, code, emoji or formatting. At most `max` UTF-16 units
/// of what is sent; an entity is never cut.
///
/// `&`, `<` and `>` become entities (<https://docs.slack.dev/messaging/formatting-message-text>). Slack has no escape for
/// its formatting marks, so they become letters that look alike.
#[must_use]
pub fn slack(text: &str, max: usize) -> String {
    let mut out = Bounded::new(max);
    for c in emoji_free(&unlinked(&plain(text, max))).chars() {
        let mut buffer = [0; 4];
        let shown = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '*' => "∗",
            '_' => "ˍ",
            '~' => "∼",
            '`' => "ˋ",
            other => other.encode_utf8(&mut buffer),
        };
        if !out.push(shown) {
            break;
        }
    }
    out.finish()
}

/// Slack code: between backticks only backticks and the three entities mean anything, so names stay exact.
/// At most `max` units with its backticks.
#[must_use]
pub fn slack_code(text: &str, max: usize) -> String {
    let mut out = Bounded::new(max.saturating_sub(2));
    let text = plain(text, max);
    for c in text.trim().chars() {
        let mut buffer = [0; 4];
        let shown = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '`' => "ˋ",
            other => other.encode_utf8(&mut buffer),
        };
        if !out.push(shown) {
            break;
        }
    }
    let inside = out.finish();
    if inside.is_empty() { "–".to_owned() } else { format!("`{inside}`") }
}

/// Markdown that is only text, as CommonMark and GitHub read it.
#[must_use]
pub fn markdown(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for c in unlinked(&plain(text, max)).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // GitHub looks for references after rendering, so an escape alone does not stop them.
            '#' => out.push_str("\\#\u{200b}"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    // At the start of a cell or line these would begin a list, a heading or a rule.
    if out.starts_with(['-', '+', '=']) {
        out.insert(0, '\\');
    }
    let digits = out.chars().take_while(char::is_ascii_digit).count();
    if digits > 0 && out.chars().nth(digits) == Some('.') {
        out.insert(digits, '\\');
    }
    out
}

/// Markdown code that also survives a table cell.
#[must_use]
pub fn markdown_code(text: &str, max: usize) -> String {
    let inside = plain(text, max).replace('`', "ˋ").replace('|', "\\|");
    let inside = inside.trim();
    if inside.is_empty() { "–".to_owned() } else { format!("`{inside}`") }
}

/// One quoted CSV cell that no spreadsheet takes for a formula: a quote is put before `= + - @ |`, also behind white space
/// and in their full-width forms (<https://owasp.org/www-community/attacks/CSV_Injection>). One line, at most `max` units.
#[must_use]
pub fn csv(text: &str, max: usize) -> String {
    let text = plain(text, max);
    let guard = match text.trim_start().chars().next() {
        Some('=' | '+' | '-' | '@' | '|' | '%' | '＝' | '＋' | '－' | '＠' | '｜' | '％') => "'",
        _ => "",
    };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

/// Makes addresses unclickable the way incident reports write them: `http[:]//`, `www[.]`.
fn unlinked(text: &str) -> String {
    let mut out = text.replace("://", "[:]//");
    for scheme in ["www.", "mailto:", "tel:", "javascript:", "data:"] {
        // ASCII patterns: the bytes of a lower-cased copy line up with the text's own.
        let lower = out.to_ascii_lowercase();
        let mut cut = String::with_capacity(out.len());
        let mut from = 0;
        for (at, found) in lower.match_indices(scheme) {
            let mark = at + found.len() - 1;
            let (Some(before), Some(last)) = (out.get(from..mark), out.get(mark..=mark)) else { continue };
            cut.push_str(before);
            let _ = write!(cut, "[{last}]");
            from = mark + 1;
        }
        cut.push_str(out.get(from..).unwrap_or_default());
        out = cut;
    }
    // An e-mail address is linked as it stands; text without a dot behind its `@` is not.
    out.replace('@', "(at)")
}

/// Breaks `:name:`, which Slack draws as a picture; a colon before or after anything else stays.
fn emoji_free(text: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '\'');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(':') {
        out.push_str(before);
        let name = after.chars().take_while(|c| is_name(*c)).count();
        let closes = name > 0 && after.chars().nth(name) == Some(':');
        out.push(if closes { '꞉' } else { ':' });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A string that stops before it passes its bound and then says so.
struct Bounded {
    text: String,
    units: usize,
    max: usize,
    // Where the text must be cut to make room for the `…`.
    room: usize,
    is_cut: bool,
}

impl Bounded {
    fn new(max: usize) -> Bounded {
        Bounded { text: String::new(), units: 0, max, room: 0, is_cut: false }
    }

    /// Adds a piece whole, or nothing and false.
    fn push(&mut self, piece: &str) -> bool {
        let units = piece.chars().map(char::len_utf16).sum::<usize>();
        if self.units + units > self.max {
            self.is_cut = true;
            return false;
        }
        self.units += units;
        self.text.push_str(piece);
        if self.units < self.max {
            self.room = self.text.len();
        }
        true
    }

    fn finish(mut self) -> String {
        if self.is_cut && self.max > 0 {
            self.text.truncate(self.room);
            self.text.push('…');
        }
        self.text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Beside each attack, what it should look like to a person.
    const HOSTILE: [&str; 16] = [
        "<!channel> look",
        "<@U024BE7LH>",
        "<https://evil.example|Open finding>",
        "https://evil.example/login",
        "www.evil.example",
        "`code` break ``` out",
        "*bold* _it_ ~gone~",
        ":white_check_mark: approved",
        "line\n> quote\n# title",
        "\u{1b}[2J\u{1b}]8;;http://x\u{7}click",
        "admin\u{202e}txt.exe",
        "zero\u{200b}width\u{feff}",
        "=HYPERLINK(\"http://evil\",\"x\")",
        "| a | b |",
        "<script>alert(1)</script>",
        "@everyone #1 [a](javascript:alert(1)) ![i](http://x/y.png)",
    ];

    /// What Slack would act on: the three entities are the only `&`, nothing else of its syntax is left.
    pub(crate) fn slack_is_inert(text: &str) -> bool {
        let without_entities = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
        !without_entities.contains(['&', '<', '>', '*', '~', '`', '_'])
            && !text.contains("://")
            && !text.contains('\n')
    }

    #[test]
    fn plain_shows_what_hides_and_keeps_what_does_not() {
        assert_eq!(
            plain("a\u{202e}b\u{200b}c\u{1b}[31m\u{9b}", 99),
            "a\\u{202e}b\\u{200b}c\\u{1b}[31m\\u{9b}"
        );
        assert_eq!(plain("two\r\nlines\tand\u{2028}more", 99), "two  lines and more");
        let innocent = "Überwachung 監視 عربى naïve ✓ s3:Get* «x» 👩";
        assert_eq!(plain(innocent, 99), innocent);
    }

    proptest! {
        #[test]
        fn what_needs_no_second_look_is_shown_as_it_is(text in "[ -~]{0,12}|\\PC{0,6}|.{0,6}", max in 0usize..12) {
            prop_assert_eq!(plain(&text, max), spelled_out(&text, max));
        }
    }

    #[test]
    fn a_cut_is_seen_and_counts_as_receivers_count() {
        assert_eq!(plain("abcdef", 6), "abcdef");
        assert_eq!(plain("abcdefg", 6), "abcde…");
        assert_eq!(plain("👩👩👩", 5), "👩👩…", "two UTF-16 units each");
        assert_eq!(slack("&&&", 12), "&amp;&amp;…", "an entity is whole or not there");
        assert_eq!(plain("abc", 0), "");
    }

    #[test]
    fn slack_text_stays_text() {
        for text in HOSTILE {
            let shown = slack(text, 3_000);
            assert!(slack_is_inert(&shown), "{text:?} became {shown:?}");
        }
        assert_eq!(slack("<!channel> a & b", 99), "&lt;!channel&gt; a &amp; b");
        assert_eq!(slack("see https://evil.example", 99), "see https[:]//evil.example");
        assert_eq!(slack(":tada: ok", 99), "꞉tada: ok");
        assert_eq!(
            slack("s3:GetObject at 10:42, done", 99),
            "s3:GetObject at 10:42, done",
            "the near-miss stays"
        );
        assert_eq!(slack_code("a`b<c_d*", 99), "`aˋb&lt;c_d*`");
    }

    #[test]
    fn no_cell_is_a_formula() {
        let formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " \u{a0}=1", "\r\n=1", "|calc", "＝1"];
        for text in formulas {
            assert!(csv(text, 99).starts_with("\"'"), "{text:?} became {}", csv(text, 99));
        }
        assert_eq!(csv("a=1, \"b\"", 99), "\"a=1, \"\"b\"\"\"", "a near-miss is only quoted");
        assert_eq!(csv("s3:GetObject", 99), "\"s3:GetObject\"");
    }

    #[test]
    fn markdown_stays_text() {
        assert_eq!(markdown("*a* [b](c) <i>", 99), "\\*a\\* \\[b\\](c) &lt;i&gt;");
        assert_eq!(markdown("- a-b", 99), "\\- a-b");
        assert_eq!(markdown("1. x", 99), "1\\. x");
        assert_eq!(markdown("10.0.0.1", 99), "10\\.0.0.1");
        assert_eq!(markdown("a plain name", 99), "a plain name");
        assert_eq!(markdown_code("a|b`c", 99), "`a\\|bˋc`");
        assert!(!markdown("ping @team", 99).contains("@team"));
    }

    proptest! {
        #[test]
        fn any_text_is_bounded_and_inert(text in "\\PC{0,80}|[<>&*_~`:@=|a-z \\n\\u{202e}]{0,80}", max in 0usize..60) {
            let units = |s: &str| s.encode_utf16().count();
            prop_assert!(units(&plain(&text, max)) <= max);
            prop_assert!(units(&slack(&text, max)) <= max);
            prop_assert!(slack_is_inert(&slack(&text, max)));
            let code = slack_code(&text, max.max(3));
            prop_assert!(units(&code) <= max.max(3));
            prop_assert!(slack_is_inert(&code.trim_matches('`').replace(['*', '_', '~'], "").replace("://", "")));
            prop_assert_eq!(plain(&text, max).lines().count().min(1), plain(&text, max).lines().count());
        }
    }
}
