//! Where a policy is attached, and what lies below it

use crate::belief::Belief;

/// A resource's name without its service's host: `projects/p`, `projects/_/buckets/b/objects/o`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node(String);

impl Node {
    /// Takes full names (`//storage.googleapis.com/projects/_/buckets/b`), relative ones, and Cloud Asset Inventory's
    /// bare bucket (`//storage.googleapis.com/b`).
    pub(super) fn new(name: &str) -> Node {
        let name = name.trim();
        let Some(full) = name.strip_prefix("//") else {
            return Node(name.trim_matches('/').to_owned());
        };
        let (host, path) = full.split_once('/').unwrap_or((full, ""));
        let path = path.trim_matches('/');
        if host == "storage.googleapis.com" && !path.is_empty() && !path.starts_with("projects/") {
            return Node(match path.split_once('/') {
                None => format!("projects/_/buckets/{path}"),
                Some((bucket, rest)) => format!("projects/_/buckets/{bucket}/{rest}"),
            });
        }
        Node(path.to_owned())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a container: `projects/p` of all that starts with it.
    fn top(&self) -> Option<(&str, &str)> {
        let mut parts = self.0.split('/');
        let (kind, name) = (parts.next()?, parts.next()?);
        (matches!(kind, "projects" | "folders" | "organizations") && name != "_" && name != "-")
            .then_some((kind, name))
    }

    /// The project, folder or organization that it lies in by name, or is.
    pub(super) fn container(&self) -> Option<Node> {
        self.top().map(|(kind, name)| Node(format!("{kind}/{name}")))
    }

    /// What follows a project's name.
    fn tail(&self) -> Option<&str> {
        self.0.strip_prefix("projects/")?.split_once('/').map(|(_, tail)| tail)
    }

    fn is_container(&self) -> bool {
        self.top().is_some() && self.0.split('/').count() == 2
    }

    fn covers_by_name(&self, other: &Node) -> bool {
        other.0.strip_prefix(self.0.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// A resource with what it lies in.
#[derive(Debug, Clone)]
pub(super) struct Lineage {
    resource: Node,
    /// As told, without the resource itself
    ancestors: Vec<Node>,
    /// The chain reaches its organization
    is_whole: bool,
    /// How the chain names its project
    project: ProjectName,
}

/// A project has a number and an id; only a list of both tells that they are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProjectName {
    Untold,
    Number,
    Id,
    Both,
}

/// An id starts with a letter.
/// <https://cloud.google.com/resource-manager/docs/creating-managing-projects#before_you_begin>
fn is_number(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit())
}

impl Lineage {
    pub(super) fn new(resource: Node, told: impl IntoIterator<Item = Node>) -> Lineage {
        let ancestors: Vec<Node> = told.into_iter().filter(|node| *node != resource).collect();
        let tops = || std::iter::once(&resource).chain(&ancestors).filter_map(Node::top);
        let mut project = ProjectName::Untold;
        for (_, name) in tops().filter(|(kind, _)| *kind == "projects") {
            let own = if is_number(name) { ProjectName::Number } else { ProjectName::Id };
            project = match project {
                ProjectName::Untold => own,
                known if known == own => own,
                _ => ProjectName::Both,
            };
        }
        let is_whole = tops().any(|(kind, _)| kind == "organizations");
        Lineage { is_whole, project, resource, ancestors }
    }

    /// Whether a policy attached to `node` reaches the resource.
    ///
    /// Chains are told up to the organization; one that ends before it leaves folders and organizations unknown.
    pub(super) fn is_below(&self, node: &Node) -> Belief {
        if self.names().any(|one| node.covers_by_name(one)) {
            return Belief::TRUE;
        }
        let Some((kind, name)) = node.top() else { return Belief::FALSE };
        let open = match kind {
            "projects" if node.is_container() => self.may_be_project(name),
            "projects" if !self.has_tail_of(node) => false,
            // The chain tells that this is another name of the resource's project.
            "projects" if self.names().filter_map(Node::top).any(|(_, own)| own == name) => {
                return Belief::TRUE;
            }
            "projects" => self.may_be_project(name),
            _ => node.is_container() && !self.is_whole,
        };
        if open { Belief::unknown(format!("hierarchy {}", node.as_str())) } else { Belief::FALSE }
    }

    fn names(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.resource).chain(&self.ancestors)
    }

    /// Whether a project that the chain does not name may still be its own.
    fn may_be_project(&self, name: &str) -> bool {
        match self.project {
            // A folder or organization lies in no project; a bucket's name does not tell its project.
            ProjectName::Untold => !self.resource.is_container(),
            ProjectName::Number => !is_number(name),
            ProjectName::Id => is_number(name),
            ProjectName::Both => false,
        }
    }

    /// `projects/123/topics/t` and `projects/p/topics/t/...`: the same after the project.
    fn has_tail_of(&self, node: &Node) -> bool {
        let below = self.resource.tail().zip(node.tail()).and_then(|(own, tail)| own.strip_prefix(tail));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Every node whose policies certainly reach the resource: each name with all that it lies in by name, and the
    /// resource under its project's other names.
    pub(super) fn sure(&self) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        let mut push = |name: &str| {
            for (at, _) in name.match_indices('/').chain([(name.len(), "")]) {
                let node = Node(name.get(..at).unwrap_or_default().to_owned());
                if !nodes.contains(&node) {
                    nodes.push(node);
                }
            }
        };
        self.names().for_each(|node| push(&node.0));
        if let (Some(tail), Some(_)) = (self.resource.tail(), self.resource.top()) {
            for (_, project) in
                self.ancestors.iter().filter_map(Node::top).filter(|(kind, _)| *kind == "projects")
            {
                push(&format!("projects/{project}/{tail}"));
            }
        }
        nodes
    }

    /// Between which names the nodes lie that may reach the resource, for all that is known. Digits come before `:`, and
    /// `/` before `0`.
    pub(super) fn unsure(&self) -> Vec<(Node, Node)> {
        let mut ranges = match self.project {
            ProjectName::Untold if self.resource.is_container() => Vec::new(),
            ProjectName::Untold => vec![("projects/", "projects0")],
            ProjectName::Number => vec![("projects/:", "projects0")],
            ProjectName::Id => vec![("projects/0", "projects/:")],
            ProjectName::Both => Vec::new(),
        };
        if !self.is_whole {
            ranges.extend([("folders/", "folders0"), ("organizations/", "organizations0")]);
        }
        ranges.into_iter().map(|(from, to)| (Node(from.to_owned()), Node(to.to_owned()))).collect()
    }

    pub(super) fn resource(&self) -> &Node {
        &self.resource
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::Truth;

    fn below(node: &str, resource: &str, chain: &[&str]) -> Truth {
        let lineage = Lineage::new(Node::new(resource), chain.iter().map(|name| Node::new(name)));
        lineage.is_below(&Node::new(node)).truth
    }

    #[test]
    fn a_name_tells_what_it_lies_in() {
        assert_eq!(below("projects/p", "projects/p/topics/t", &[]), Truth::True);
        assert_eq!(below("projects/p", "projects/pq/topics/t", &[]), Truth::False);
        assert_eq!(below("//storage.googleapis.com/b", "projects/_/buckets/b/objects/o", &[]), Truth::True);
        assert_eq!(below("//storage.googleapis.com/b", "projects/_/buckets/b2/objects/o", &[]), Truth::False);
    }

    #[test]
    fn what_the_chain_does_not_reach_is_unknown() {
        let bucket = "projects/_/buckets/b";
        assert_eq!(below("projects/p", bucket, &[]), Truth::Unknown);
        assert_eq!(below("projects/p", bucket, &["projects/p"]), Truth::True);
        assert_eq!(below("projects/q", bucket, &["projects/p"]), Truth::False);
        assert_eq!(below("folders/1", "projects/p", &[]), Truth::Unknown);
        assert_eq!(below("folders/1", "projects/p", &["folders/2", "organizations/9"]), Truth::False);
        assert_eq!(below("organizations/8", "projects/p", &["organizations/9"]), Truth::False);
        assert_eq!(below("organizations/8", "projects/p", &["folders/2"]), Truth::Unknown);
    }

    #[test]
    fn a_number_and_an_id_may_name_one_project() {
        assert_eq!(below("projects/123", "projects/p/topics/t", &[]), Truth::Unknown);
        assert_eq!(below("projects/123", "projects/p/topics/t", &["projects/123"]), Truth::True);
        assert_eq!(below("projects/124", "projects/p/topics/t", &["projects/123"]), Truth::False);
        assert_eq!(below("projects/123/topics/t", "projects/p/topics/t", &["projects/123"]), Truth::True);
        assert_eq!(below("projects/123/topics/u", "projects/p/topics/t", &["projects/123"]), Truth::False);
    }

    #[test]
    fn what_may_reach_a_resource_is_found_without_looking_at_all() {
        let names = [
            "projects/p",
            "projects/q",
            "projects/123",
            "projects/124",
            "projects/1a",
            "projects/p/topics/t",
            "projects/123/topics/t",
            "projects/124/topics/t",
            "projects/q/topics/t",
            "projects/_/buckets/b",
            "projects/_/buckets/b/objects/o",
            "folders/1",
            "folders/2",
            "organizations/9",
            "organizations/8",
        ];
        let all: std::collections::BTreeSet<Node> = names.iter().map(|name| Node::new(name)).collect();
        let chains: [&[&str]; 6] = [
            &[],
            &["projects/p"],
            &["projects/123", "folders/1"],
            &["projects/p", "projects/123", "folders/1", "organizations/9"],
            &["projects/123", "organizations/9"],
            &["folders/2"],
        ];
        for resource in names {
            for chain in chains {
                let lineage = Lineage::new(Node::new(resource), chain.iter().map(|name| Node::new(name)));
                let found = |truth: Truth| -> Vec<&Node> {
                    all.iter().filter(|node| lineage.is_below(node).truth == truth).collect()
                };
                let sure = lineage.sure();
                let mut certain: Vec<&Node> = all.iter().filter(|node| sure.contains(node)).collect();
                certain.sort();
                assert_eq!(certain, found(Truth::True), "{resource} {chain:?}");
                let ranges = lineage.unsure();
                for node in found(Truth::Unknown) {
                    assert!(
                        ranges.iter().any(|(from, to)| from <= node && node < to),
                        "{node:?} {resource} {chain:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_above_is_not_below() {
        assert_eq!(below("projects/p", "organizations/9", &[]), Truth::False);
        assert_eq!(below("projects/p/topics/t", "projects/p", &[]), Truth::False);
    }
}
