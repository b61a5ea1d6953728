//! A newcomer's first minute.

use crate::support::folder::Folder;
use crate::support::remit::remit;

#[test]
fn the_demo_finds_every_planted_incident_and_nothing_else() {
    let folder = Folder::new();
    let verified = remit(folder.path(), &["demo", "--verify", "--dir", "company"]).expect(0);
    let told = verified.stdout.lines().find(|line| line.contains(" missed, ")).unwrap();
    let numbers: Vec<u32> =
        told.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert!(matches!(numbers[..], [found, 0, 0] if found > 0), "found, missed, false: {told}");
    assert!(!verified.stderr.contains("panicked"), "{}", verified.stderr);
}

#[test]
fn the_same_seed_makes_the_same_company() {
    let folder = Folder::new();
    let synth = |seed: &str, out: &str| {
        let fixed = ["--days", "3", "--end", "2026-01-31"];
        remit(folder.path(), &[&["synth", "--seed", seed, "--out", out], &fixed[..]].concat()).expect(0);
        contents(&folder.path().join(out))
    };
    let (one, again, other) = (synth("1", "one"), synth("1", "again"), synth("2", "other"));
    assert!(one.iter().any(|(name, _)| name.ends_with("truth.jsonl")), "the answer key comes with it");
    assert!(one.iter().any(|(name, _)| name.ends_with(".json.gz")));
    assert!(one == again, "byte for byte");
    assert!(one != other);
}

/// Every file below a folder: its path there, and its bytes.
fn contents(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
