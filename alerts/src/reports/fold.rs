//! Thousands of rows that say the same, told as one row per service.

use crate::report::PermissionLine;
use engine::permission::AccessLevel;
use engine::posture::Mark;
use std::collections::BTreeMap;

/// Rows of one mark that a person still reads one by one.
pub(crate) const ROWS_MAX: usize = 12;

/// Names listed of one service; the rest is counted, and is in JSON and CSV.
pub(crate) const NAMES_MAX: usize = 40;

/// Rows of one mark, by service.
pub(crate) struct Fold<'a> {
    pub mark: Mark,
    pub rows: usize,
    pub services: Vec<Service<'a>>,
}

/// The rows of one service.
pub(crate) struct Service<'a> {
    pub name: &'a str,
    pub rows: usize,
    /// `3 write, 10 read`
    pub levels: String,
    /// The first [`NAMES_MAX`], without the service.
    pub names: Vec<&'a str>,
}

/// Splits lines into those to show and those to fold. What was used, denied or is outside the scope is always shown.
pub(crate) fn fold<'l, 'a>(lines: &'l [PermissionLine<'a>]) -> (Vec<&'l PermissionLine<'a>>, Vec<Fold<'a>>) {
    let mut shown: Vec<&PermissionLine<'a>> = Vec::new();
    let mut folds = Vec::new();
    for mark in
        [Mark::Used, Mark::Denied, Mark::NotGranted, Mark::Unused, Mark::Conditional, Mark::Unknowable]
    {
        let rows: Vec<&PermissionLine<'a>> = lines.iter().filter(|l| l.permission.mark == mark).collect();
        let is_told_singly = matches!(mark, Mark::Used | Mark::Denied);
        if is_told_singly || rows.len() <= ROWS_MAX {
            shown.extend(rows);
        } else {
            folds.push(Fold { mark, rows: rows.len(), services: services(&rows) });
        }
    }
    (shown, folds)
}

/// Groups rows by service, the largest first.
pub(crate) fn services<'a>(rows: &[&PermissionLine<'a>]) -> Vec<Service<'a>> {
    let mut by_service: BTreeMap<&'a str, Vec<&PermissionLine<'a>>> = BTreeMap::new();
    for line in rows {
        let service = line.permission.permission.split(':').next().unwrap_or_default();
        by_service.entry(service).or_default().push(line);
    }
    let mut services: Vec<Service<'a>> = by_service
        .into_iter()
        .map(|(name, rows)| {
            let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
            for line in &rows {
                *levels.entry(level(line)).or_default() += 1;
            }
            let levels: Vec<String> = levels.into_iter().map(|(level, n)| format!("{n} {level}")).collect();
            let names = rows
                .iter()
                .take(NAMES_MAX)
                .map(|l| {
                    l.permission
                        .permission
                        .split_once(':')
                        .map_or(l.permission.permission.as_str(), |(_, n)| n)
                })
                .collect();
            Service { name, rows: rows.len(), levels: levels.join(", "), names }
        })
        .collect();
    services.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.name.cmp(b.name)));
    services
}

/// AWS's name of a level, save that `permissions` alone would read as a count.
fn level(line: &PermissionLine<'_>) -> &'static str {
    match line.permission.level {
        Some(AccessLevel::Permissions) => "permissions management",
        Some(level) => level.as_str(),
        None => "without a level",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::permission;
    use engine::posture::PermissionPosture;

    fn fold_of(permissions: &[PermissionPosture]) -> (usize, Vec<(usize, usize)>) {
        let lines: Vec<PermissionLine<'_>> = permissions.iter().map(PermissionLine::new).collect();
        let (shown, folds) = fold(&lines);
        (shown.len(), folds.iter().map(|f| (f.rows, f.services.len())).collect())
    }

    #[test]
    fn a_few_rows_are_shown_and_many_are_folded() {
        let unused = |n: usize| -> Vec<PermissionPosture> {
            (0..n)
                .map(|i| permission(&format!("s{}:Op{i}", i % 3), Mark::Unused, false, AccessLevel::Write))
                .collect()
        };
        assert_eq!(fold_of(&unused(ROWS_MAX)), (ROWS_MAX, vec![]));
        assert_eq!(fold_of(&unused(ROWS_MAX + 1)), (0, vec![(ROWS_MAX + 1, 3)]));
    }

    #[test]
    fn what_was_used_is_never_folded() {
        let used: Vec<PermissionPosture> =
            (0..50).map(|i| permission(&format!("s3:Op{i}"), Mark::Used, true, AccessLevel::Read)).collect();
        assert_eq!(fold_of(&used), (50, vec![]));
    }
}
