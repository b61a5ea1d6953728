//! What a permission means and weighs, and how many there are of each.

use engine::permission;
use engine::posture::{Mark, PermissionPosture};
use serde::Serialize;

/// How much harm a permission can do; the weights of the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Sees.
    Read,
    /// Changes; also what AWS gives no level for.
    Write,
    /// Changes who may do what, makes credentials, or destroys.
    Admin,
}

impl Risk {
    fn of(permission: &PermissionPosture) -> Risk {
        let name = &permission.permission;
        if permission::is_destructive(name) || permission::is_credential_minting(name) {
            return Risk::Admin;
        }
        match permission.level {
            Some(permission::AccessLevel::Permissions) => Risk::Admin,
            Some(permission::AccessLevel::List | permission::AccessLevel::Read) => Risk::Read,
            Some(permission::AccessLevel::Write | permission::AccessLevel::Tagging) | None => Risk::Write,
        }
    }

    /// What it counts in the score.
    #[must_use]
    pub fn weight(self) -> u64 {
        match self {
            Risk::Read => 1,
            Risk::Write => 4,
            Risk::Admin => 10,
        }
    }
}

/// The formula of the score, as every format prints it.
pub const SCORE_FORMULA: &str = "score = 100 × W(unused) / (W(unused) + W(used and granted)), rounded to a whole number. W adds up the weights of \
     permissions: 10 for administration, deletion and credentials, 4 for writing and tagging, 1 for reading and listing. \
     Unknowable and conditional permissions count on neither side. 0 only where \
     everything granted is used, 100 only where nothing is.";

/// What declared, granted and used say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Declared, granted and used; or an SDK's own bookkeeping.
    Healthy,
    /// Declared and granted, not used: propose to take it out of both.
    OverDeclared,
    /// Granted, neither declared nor used: the best removal.
    LatentRisk,
    /// Used without being declared.
    Violation,
    /// Declared but not granted: the manifest or the policy is wrong.
    Broken,
    /// Neither declared nor granted, and tried.
    DeniedProbe,
    /// The logs or the policies do not tell.
    Unknown,
}

impl Meaning {
    fn of(permission: &PermissionPosture) -> Meaning {
        match permission.mark {
            Mark::Used if permission.declared || permission::is_implicit(&permission.permission) => {
                Meaning::Healthy
            }
            Mark::Used => Meaning::Violation,
            Mark::Unused if permission.declared => Meaning::OverDeclared,
            Mark::Unused => Meaning::LatentRisk,
            Mark::Unknowable | Mark::Conditional => Meaning::Unknown,
            Mark::NotGranted => Meaning::Broken,
            Mark::Denied if permission.declared => Meaning::Broken,
            Mark::Denied => Meaning::DeniedProbe,
        }
    }

    /// The snake_case name, as in JSON and CSV.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Meaning::Healthy => "healthy",
            Meaning::OverDeclared => "over_declared",
            Meaning::LatentRisk => "latent_risk",
            Meaning::Violation => "violation",
            Meaning::Broken => "broken",
            Meaning::DeniedProbe => "denied_probe",
            Meaning::Unknown => "unknown",
        }
    }
}

/// Permissions counted, of one identity, one agent, or all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Named by the manifest.
    pub declared: usize,
    /// Granted by a known policy.
    pub granted: usize,
    /// Used with success.
    pub used: usize,
    /// Granted, observable and not used.
    pub unused: usize,
    /// Granted, and the logs cannot show their use.
    pub unknowable: usize,
    /// Granted under a condition that is not judged.
    pub conditional: usize,
    /// Declared, and no known policy grants them.
    pub not_granted: usize,
    /// Only ever denied.
    pub denied: usize,
    /// Used without being declared.
    pub undeclared: usize,
    /// The score, where grants are known.
    pub score: Option<u64>,
    #[serde(skip)]
    pub(super) used_of_granted: usize,
    #[serde(skip)]
    unused_weight: u64,
    #[serde(skip)]
    judged_weight: u64,
}

impl Counts {
    pub(super) fn add(&mut self, line: &PermissionLine<'_>) {
        let permission = line.permission;
        self.declared += usize::from(permission.declared);
        self.granted += usize::from(permission.granted == Some(true));
        self.undeclared += usize::from(line.meaning == Meaning::Violation);
        *self.of_mut(permission.mark) += 1;
        let is_used_grant = permission.mark == Mark::Used && permission.granted == Some(true);
        self.used_of_granted += usize::from(is_used_grant);
        let weight = line.risk.weight();
        if permission.mark == Mark::Unused {
            self.unused_weight += weight;
        }
        if permission.mark == Mark::Unused || is_used_grant {
            self.judged_weight += weight;
        }
        self.rate();
    }

    pub(super) fn merge(&mut self, other: &Counts) {
        self.declared += other.declared;
        self.granted += other.granted;
        self.undeclared += other.undeclared;
        for mark in Mark::ALL {
            *self.of_mut(mark) += other.of(mark);
        }
        self.used_of_granted += other.used_of_granted;
        self.unused_weight += other.unused_weight;
        self.judged_weight += other.judged_weight;
        self.rate();
    }

    fn rate(&mut self) {
        // Half of the divisor first: rounds to the nearest.
        let rounded = (100 * self.unused_weight + self.judged_weight / 2).checked_div(self.judged_weight);
        let is_between = self.unused_weight > 0 && self.unused_weight < self.judged_weight;
        self.score = rounded.map(|score| if is_between { score.clamp(1, 99) } else { score });
    }

    /// Permissions that bear a mark.
    #[must_use]
    pub fn of(&self, mark: Mark) -> usize {
        match mark {
            Mark::Used => self.used,
            Mark::Unused => self.unused,
            Mark::Unknowable => self.unknowable,
            Mark::Conditional => self.conditional,
            Mark::NotGranted => self.not_granted,
            Mark::Denied => self.denied,
        }
    }

    fn of_mut(&mut self, mark: Mark) -> &mut usize {
        match mark {
            Mark::Used => &mut self.used,
            Mark::Unused => &mut self.unused,
            Mark::Unknowable => &mut self.unknowable,
            Mark::Conditional => &mut self.conditional,
            Mark::NotGranted => &mut self.not_granted,
            Mark::Denied => &mut self.denied,
        }
    }
}

/// One permission of one identity, with what follows.
#[derive(Debug, Clone, Copy)]
pub struct PermissionLine<'a> {
    /// What is known of it.
    pub permission: &'a PermissionPosture,
    /// What declared, granted and used say together.
    pub meaning: Meaning,
    /// Its weight in the score.
    pub risk: Risk,
}

impl<'a> PermissionLine<'a> {
    pub(crate) fn new(permission: &'a PermissionPosture) -> PermissionLine<'a> {
        PermissionLine { permission, meaning: Meaning::of(permission), risk: Risk::of(permission) }
    }
}
