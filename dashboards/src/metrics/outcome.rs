//! How things ended, as labels tell it.

/// How an object ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectOutcome {
    /// Judged and stored.
    Done,
    /// Done before.
    Duplicate,
    /// Nothing of ours, such as a digest.
    Ignored,
    /// It cannot be read.
    Quarantined,
    /// Given back, to be tried again.
    Failed,
}

impl ObjectOutcome {
    pub(super) const ALL: [ObjectOutcome; 5] = [
        ObjectOutcome::Done,
        ObjectOutcome::Duplicate,
        ObjectOutcome::Ignored,
        ObjectOutcome::Quarantined,
        ObjectOutcome::Failed,
    ];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectOutcome::Done => "done",
            ObjectOutcome::Duplicate => "duplicate",
            ObjectOutcome::Ignored => "ignored",
            ObjectOutcome::Quarantined => "quarantined",
            ObjectOutcome::Failed => "failed",
        }
    }
}

/// What a notification was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationOutcome {
    /// It named objects.
    Read,
    /// Nothing of ours, such as the bucket's test message.
    Ignored,
    /// It cannot be understood, or names what may not be read.
    Quarantined,
}

impl NotificationOutcome {
    pub(super) const ALL: [NotificationOutcome; 3] =
        [NotificationOutcome::Read, NotificationOutcome::Ignored, NotificationOutcome::Quarantined];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            NotificationOutcome::Read => "read",
            NotificationOutcome::Ignored => "ignored",
            NotificationOutcome::Quarantined => "quarantined",
        }
    }
}

/// What became of one message to one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    /// The receiver has it.
    Delivered,
    /// It will be tried again.
    Retried,
    /// The receiver refused it for good.
    Refused,
    /// A silence covers it.
    Silenced,
    /// A summary told it.
    Summarized,
    /// The answer was lost: it may arrive twice.
    Ambiguous,
}

impl SendOutcome {
    pub(super) const ALL: [SendOutcome; 6] = [
        SendOutcome::Delivered,
        SendOutcome::Retried,
        SendOutcome::Refused,
        SendOutcome::Silenced,
        SendOutcome::Summarized,
        SendOutcome::Ambiguous,
    ];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SendOutcome::Delivered => "delivered",
            SendOutcome::Retried => "retried",
            SendOutcome::Refused => "refused",
            SendOutcome::Silenced => "silenced",
            SendOutcome::Summarized => "summarized",
            SendOutcome::Ambiguous => "ambiguous",
        }
    }
}
