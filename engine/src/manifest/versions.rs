//! The manifests as they stood at each moment

use super::Manifests;

/// Manifests with the moments from which they count. There is always one.
#[derive(Debug)]
pub struct Versions {
    /// Before `later`
    first: Manifests,
    /// With the time (µs UTC) from which each counts, oldest first
    later: Vec<(i64, Manifests)>,
}

impl Default for Versions {
    fn default() -> Versions {
        Versions::from(Manifests::default())
    }
}

impl From<Manifests> for Versions {
    /// One version for all time.
    fn from(only: Manifests) -> Versions {
        Versions { first: only, later: Vec::new() }
    }
}

impl FromIterator<(i64, Manifests)> for Versions {
    /// As [`timeline`](super::history::timeline) gives them: oldest first, and the first counts from the beginning.
    fn from_iter<T: IntoIterator<Item = (i64, Manifests)>>(versions: T) -> Versions {
        let mut versions = versions.into_iter();
        let first = versions.next().map(|(_, first)| first).unwrap_or_default();
        Versions { first, later: versions.collect() }
    }
}

impl Versions {
    /// The manifests that counted at a moment (µs UTC), and which version they are.
    #[must_use]
    pub fn at(&self, when: i64) -> (usize, &Manifests) {
        let version = self.later.partition_point(|(from, _)| *from <= when);
        let manifests =
            version.checked_sub(1).and_then(|at| self.later.get(at)).map(|(_, manifests)| manifests);
        (version, manifests.unwrap_or(&self.first))
    }

    /// The manifests that count now.
    #[must_use]
    pub fn latest(&self) -> &Manifests {
        self.later.last().map_or(&self.first, |(_, manifests)| manifests)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.later.len() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_belongs_to_the_version_before_it() {
        let versions: Versions =
            [i64::MIN, 10, 20].into_iter().map(|from| (from, Manifests::default())).collect();
        let version = |when| versions.at(when).0;
        assert_eq!([i64::MIN, 9, 10, 19, 20, i64::MAX].map(version), [0, 0, 1, 1, 2, 2]);
        assert_eq!(versions.count(), 3);
        assert_eq!(Versions::default().at(0).0, 0);
    }
}
