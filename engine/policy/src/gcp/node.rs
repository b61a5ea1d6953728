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
}

impl Lineage {
    pub(super) fn new(resource: Node, told: impl IntoIterator<Item = Node>) -> Lineage {
        let ancestors = told.into_iter().filter(|node| *node != resource).collect();
        Lineage { resource, ancestors }
    }

    /// Whether a policy attached to `node` reaches the resource.
    ///
    /// Chains are told up to the organization; one that ends before it leaves folders and organizations unknown. A
    /// project's number and id are two names of one project, and only a list of both tells which.
    pub(super) fn is_below(&self, node: &Node) -> Belief {
        let mut all = std::iter::once(&self.resource).chain(&self.ancestors);
        if all.any(|one| node.covers_by_name(one)) {
            return Belief::TRUE;
        }
        let kind = match node.top() {
            Some((kind, _)) if node.is_container() => kind,
            _ => return self.may_be_named_otherwise(node),
        };
        let tops: Vec<(&str, &str)> =
            std::iter::once(&self.resource).chain(&self.ancestors).filter_map(Node::top).collect();
        let has = |kind: &str| tops.iter().any(|(one, _)| *one == kind);
        let open = match kind {
            "projects" => {
                let is_number = |name: &str| name.bytes().all(|b| b.is_ascii_digit());
                let (_, wanted) = node.top().unwrap_or_default();
                let mut projects = tops.iter().filter(|(kind, _)| *kind == "projects").peekable();
                match projects.peek() {
                    // A folder or organization lies in no project; a bucket's name does not tell its project.
                    None => !self.resource.is_container(),
                    Some(_) => projects.all(|(_, name)| is_number(name) != is_number(wanted)),
                }
            }
            "folders" => {
                !has("organizations") && self.resource.top().is_none_or(|(kind, _)| kind != "organizations")
            }
            _ => !has("organizations"),
        };
        if open { Belief::unknown(format!("hierarchy {}", node.as_str())) } else { Belief::FALSE }
    }

    /// `projects/123/topics/t` and `projects/p/topics/t` may be one.
    fn may_be_named_otherwise(&self, node: &Node) -> Belief {
        let (Some((kind, _)), Some((own, _))) = (node.top(), self.resource.top()) else {
            return Belief::FALSE;
        };
        let tail = |node: &Node| node.0.splitn(3, '/').nth(2).map(str::to_owned);
        let (Some(wanted), Some(found)) = (tail(node), tail(&self.resource)) else { return Belief::FALSE };
        let below = found.strip_prefix(&wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if kind != own || kind != "projects" || !below {
            return Belief::FALSE;
        }
        let (_, name) = node.top().unwrap_or_default();
        self.is_below(&Node(format!("projects/{name}"))).and(Belief::TRUE)
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
    fn what_is_above_is_not_below() {
        assert_eq!(below("projects/p", "organizations/9", &[]), Truth::False);
        assert_eq!(below("projects/p/topics/t", "projects/p", &[]), Truth::False);
    }
}
