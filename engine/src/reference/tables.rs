//! The tables beside the code, read once

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use policy::wildcard::{ActionPattern, ArnPattern};

use super::operations::Operations;
use super::{AccessLevel, Permission, ResourceType, TypeRef, fields, rows, sections};

#[derive(Default)]
pub(super) struct Tables {
    pub(super) services: BTreeMap<&'static str, Permissions>,
    /// Permissions that are named as another operation's.
    answered: HashSet<Box<str>>,
    pub(super) types: HashMap<&'static str, Types>,
    pub(super) sources: HashMap<&'static str, &'static str>,
    pub(super) gateway: HashMap<&'static str, (&'static str, &'static str)>,
    pub(super) operations: Operations,
    pub(super) sets: HashMap<&'static str, Set>,
}

/// Patterns that name one service, by it, and those that name any.
#[derive(Default)]
pub(super) struct Set {
    pub(super) by_service: HashMap<String, Vec<ActionPattern>>,
    pub(super) any: Vec<ActionPattern>,
}

impl Tables {
    pub(super) fn read() -> Tables {
        let operations = Operations::read();
        let mut tables = Tables { answered: operations.answered(), operations, ..Tables::default() };
        for (service, line) in sections(include_str!("../../reference/aws_permissions.tsv")) {
            tables.services.entry(service).or_default().lines.push(line);
        }
        tables.read_types();
        for line in rows(include_str!("../../reference/aws_event_sources.tsv")) {
            if let Some((source, prefix)) = line.split_once('\t') {
                tables.sources.insert(source, prefix);
            }
        }
        for line in rows(include_str!("../../reference/aws_apigateway.tsv")) {
            let mut cells = line.split('\t');
            if let (Some(operation), Some(verb), Some(path)) = (cells.next(), cells.next(), cells.next()) {
                tables.gateway.insert(operation, (verb, path));
            }
        }
        for line in rows(include_str!("../../reference/aws_sets.tsv")) {
            let mut cells = line.split('\t');
            if let (Some(set), Some(pattern)) = (cells.next(), cells.next()) {
                let set = tables.sets.entry(set).or_default();
                let pattern = ActionPattern::new(pattern);
                match pattern.service() {
                    Some(service) => set.by_service.entry(service.to_owned()).or_default().push(pattern),
                    None => set.any.push(pattern),
                }
            }
        }
        tables
    }

    /// The permissions of one service, by name.
    pub(super) fn permissions_of(&self, service: &str) -> &[Permission] {
        self.services
            .get_key_value(service)
            .map_or(&[], |(service, permissions)| permissions.read(service, &self.answered))
    }

    fn read_types(&mut self) {
        for (service, line) in sections(include_str!("../../reference/aws_resources.tsv")) {
            let of_service = self.types.entry(service).or_insert_with(|| Types::of(service));
            of_service.lines.push(line);
        }
    }
}

/// The permissions of one service. A company uses a tenth of what there is, so they are read when first asked for.
#[derive(Default)]
pub(super) struct Permissions {
    lines: Vec<&'static str>,
    permissions: OnceLock<Box<[Permission]>>,
}

impl Permissions {
    fn read(&self, service: &'static str, answered: &HashSet<Box<str>>) -> &[Permission] {
        let permission = |line: &&'static str| Permission::read(service, line, answered);
        self.permissions.get_or_init(|| self.lines.iter().filter_map(permission).collect())
    }
}

impl Permission {
    fn read(service: &'static str, line: &'static str, answered: &HashSet<Box<str>>) -> Option<Permission> {
        let mut cells = line.split('\t');
        let (action, level, flags) = (cells.next()?, cells.next().and_then(AccessLevel::of)?, cells.next()?);
        let types = cells.next().unwrap_or_default().split(' ').filter(|name| !name.is_empty());
        let types = types.map(|name| match name.strip_suffix('*') {
            Some(name) => TypeRef { name, required: true },
            None => TypeRef { name, required: false },
        });
        let name = format!("{service}:{action}");
        let operation = flags.contains('o') || answered.contains(name.as_str());
        let passes_role = flags.contains('p');
        Some(Permission { name, service, level, types: types.collect(), operation, passes_role })
    }
}

/// The resource types of one service, read as its permissions are.
pub(super) struct Types {
    service: &'static str,
    lines: Vec<&'static str>,
    types: OnceLock<Box<[ResourceType]>>,
}

impl Types {
    fn of(service: &'static str) -> Types {
        Types { service, lines: Vec::new(), types: OnceLock::new() }
    }

    pub(super) fn read(&self) -> &[ResourceType] {
        self.types.get_or_init(|| self.lines.iter().filter_map(|line| self.kind(line)).collect())
    }

    fn kind(&self, line: &'static str) -> Option<ResourceType> {
        let (name, arn) = line.split_once('\t')?;
        let mut pattern = String::new();
        let mut rest = arn;
        while let Some((before, after)) = rest.split_once("${") {
            pattern.push_str(before);
            pattern.push('*');
            rest = after.split_once('}').map_or("", |(_, tail)| tail);
        }
        pattern.push_str(rest);
        let literal = pattern.bytes().filter(|b| *b != b'*').count();
        let parts = fields::parts(fields::by_hand(), self.service, name, arn);
        let compiled = ArnPattern::new(&pattern);
        Some(ResourceType { name, arn, pattern, literal, parts, compiled, closer: OnceLock::new() })
    }
}
