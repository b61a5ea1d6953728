//! The clouds whose logs are read

use std::fmt;

/// A cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// Amazon's
    Aws,
    /// Microsoft's
    Azure,
    /// Google's
    Gcp,
}

impl Cloud {
    /// `aws`, `azure`, `gcp`: as events name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Cloud::Aws => "aws",
            Cloud::Azure => "azure",
            Cloud::Gcp => "gcp",
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
