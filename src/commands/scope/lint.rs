//! `remit scope lint`: what somebody should look at in manifests and policies.

use super::Folders;
use crate::cli::{FailOn, LintArgs, LintOutput};
use crate::exit::{Exit, Usage};
use crate::screen;
use chrono::Utc;
use engine::grant::Grants;
use engine::lint::{Level, Lint, RULES, lint, sarif};
use engine::manifest::Manifests;
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

pub fn run(args: &LintArgs) -> anyhow::Result<Exit> {
    let known = |name: &String| RULES.iter().any(|rule| rule.id == name);
    if let Some(unknown) = args.allow.iter().find(|name| !known(name)) {
        let names: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
        return Err(Usage::error(format!("unknown rule `{unknown}`. Known rules: {}", names.join(", "))));
    }
    let folders = Folders::of(args.dir.as_deref(), args.policies.as_deref(), &args.config)?;
    if !folders.agents.is_dir() {
        return Err(Usage::error(format!("`{}` is no folder", folders.agents.display())));
    }
    let now = Utc::now();
    let (manifests, errors) = Manifests::survey(&folders.agents, now);
    let grants = match &folders.policies {
        Some(dir) => Some(Grants::load(dir).map_err(Usage::error)?),
        None => None,
    };
    let mut lints = lint(&manifests, &errors.0, grants.as_ref(), now.date_naive());
    lints.retain(|lint| !args.allow.iter().any(|name| name == lint.rule));
    for lint in &mut lints {
        lint.file = placed(&lint.file, &folders);
    }
    match args.output {
        LintOutput::Table => screen::out(&table(&lints, manifests.agents.len(), screen::colour()))?,
        LintOutput::Json => screen::out_json(&json!({ "schema_version": 1, "lints": lints }), true)?,
        LintOutput::Sarif => screen::out_json(&sarif(&lints, env!("CARGO_PKG_VERSION")), true)?,
    }
    let least = match args.fail_on {
        FailOn::Note => Some(Level::Note),
        FailOn::Warning => Some(Level::Warning),
        FailOn::Error => Some(Level::Error),
        FailOn::Never => None,
    };
    let is_bad = least.is_some_and(|least| lints.iter().any(|lint| lint.level >= least));
    Ok(if is_bad { Exit::Findings } else { Exit::Done })
}

/// The path from where we run, so that a code host finds the file: the engine tells it from the folder's own name on.
fn placed(file: &str, folders: &Folders) -> String {
    for folder in [Some(&folders.agents), folders.policies.as_ref()].into_iter().flatten() {
        let own = folder.file_name().map(Path::new).unwrap_or(Path::new(""));
        if let Ok(inner) = Path::new(file).strip_prefix(own) {
            let path = folder.join(inner);
            if path.exists() {
                let here = std::env::current_dir().ok();
                let below = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
                let shown = below.unwrap_or(&path).display().to_string();
                return shown.trim_start_matches("./").to_owned();
            }
        }
    }
    file.to_owned()
}

fn table(lints: &[Lint], agents: usize, colour: bool) -> String {
    let mut text = String::new();
    let mut file = None;
    let count = |level: Level| lints.iter().filter(|lint| lint.level == level).count();
    let width = lints.iter().map(|lint| lint.line.to_string().len()).max().unwrap_or(1);
    for lint in lints {
        if file != Some(&lint.file) {
            let gap = if file.is_some() { "\n" } else { "" };
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{gap}{}", lint.file);
            file = Some(&lint.file);
        }
        let line = if lint.line == 0 { String::new() } else { lint.line.to_string() };
        let level = format!("{:<7}", lint.level);
        let level = if colour { painted(&level, lint.level) } else { level };
        let _ = writeln!(text, "  {line:>width$}  {level}  {}", clean(&lint.message));
        let _ = writeln!(text, "  {:width$}           {} [{}]", "", clean(&lint.fix), lint.rule);
    }
    if !lints.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "{agents} agents: {} errors, {} warnings, {} notes",
        count(Level::Error),
        count(Level::Warning),
        count(Level::Note)
    );
    text
}

fn painted(text: &str, level: Level) -> String {
    let colour = match level {
        Level::Error => 31,
        Level::Warning => 33,
        Level::Note => 36,
    };
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}

/// Names in files are somebody else's text.
fn clean(text: &str) -> String {
    text.chars().map(|c| if engine::log_text::hides(c) { '\u{fffd}' } else { c }).collect()
}
