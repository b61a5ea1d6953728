//! Facts that AWS publishes, in compact tables

/// How AWS grades a permission in its Service Authorization Reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessLevel {
    /// Names what exists
    List,
    /// Reads content
    Read,
    /// Creates, changes or deletes
    Write,
    /// Changes only tags
    Tagging,
    /// Changes who may do what
    Permissions,
}

impl AccessLevel {
    /// `list`, `read`, `write`, `tagging`, `permissions`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AccessLevel::List => "list",
            AccessLevel::Read => "read",
            AccessLevel::Write => "write",
            AccessLevel::Tagging => "tagging",
            AccessLevel::Permissions => "permissions",
        }
    }
}

/// Whether CloudTrail can show the use of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Logged {
    /// As a management event: always, on every trail
    Management,
    /// As a data event: only where somebody switched that on
    Data,
    /// In no event: it is no API call, or AWS does not log it
    Never,
}

/// A row of the permission table.
#[derive(Debug)]
pub struct Permission {
    /// `s3:GetObject`
    pub name: String,
    /// `Read`
    pub level: AccessLevel,
}

/// Looks a permission up, whatever its case.
#[must_use]
pub fn permission(_name: &str) -> Option<&'static Permission> {
    None
}
pub(crate) fn logged(_permission: &str) -> Logged {
    Logged::Management
}
pub(crate) fn is_destructive(_permission: &str) -> bool {
    false
}
pub(crate) fn is_credential_minting(_permission: &str) -> bool {
    false
}
pub(crate) fn is_logging_tamper(_permission: &str) -> bool {
    false
}
pub(crate) fn is_read_like(_permission: &str) -> bool {
    false
}
pub(crate) fn is_implicit(_permission: &str) -> bool {
    false
}
