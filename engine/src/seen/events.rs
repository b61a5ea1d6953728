//! The events of one object: which are new, and how they are kept

use super::{Account, EventId, Key, Secret, Seen, SeenError};
use ingest::event::EventView;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Account and id of an event.
///
/// One that was delivered again with more in it (`addendum`) is another event: it is judged anew.
#[must_use]
pub fn event_of<'a>(view: &EventView<'a>, row: usize) -> (&'a str, Cow<'a, str>) {
    let account = view.recipient_account(row).or(view.account(row)).unwrap_or_default();
    let id = view.event_id(row);
    let id = match view.addendum(row) {
        Some(addendum) => Cow::Owned(format!("{id}+{addendum}")),
        None => Cow::Borrowed(id),
    };
    (account, id)
}

/// Ids of events by account, in little room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventIds {
    accounts: Vec<OfAccount>,
    places: HashMap<String, usize>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OfAccount {
    pub account: String,
    /// 16 bytes each.
    pub uuids: Vec<u8>,
    pub texts: Vec<String>,
}

impl EventIds {
    /// Adds an event.
    pub fn push(&mut self, account: &str, id: EventId<'_>) {
        let is_last = self.accounts.last().is_some_and(|last| last.account == account);
        let place = match self.places.get(account) {
            _ if is_last => self.accounts.len() - 1,
            Some(place) => *place,
            None => {
                self.places.insert(account.to_owned(), self.accounts.len());
                self.accounts.push(OfAccount { account: account.to_owned(), ..OfAccount::default() });
                self.accounts.len() - 1
            }
        };
        if let Some(of) = self.accounts.get_mut(place) {
            of.push(id);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.iter().map(|of| of.uuids.len() / 16 + of.texts.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    pub(crate) fn accounts(&self) -> &[OfAccount] {
        &self.accounts
    }
}

impl OfAccount {
    pub(crate) fn push(&mut self, id: EventId<'_>) {
        match id {
            EventId::Uuid(id) => self.uuids.extend(id),
            EventId::Text(text) => self.texts.push(text.to_owned()),
        }
    }

    fn ids(&self) -> impl Iterator<Item = EventId<'_>> {
        let uuids = self.uuids.as_chunks::<16>().0.iter().map(|id| EventId::Uuid(*id));
        // Parsed: an older store kept UUIDs as text.
        uuids.chain(self.texts.iter().map(|text| EventId::parse(text)))
    }
}

impl<A: AsRef<str>, I: AsRef<str>> FromIterator<(A, I)> for EventIds {
    fn from_iter<T: IntoIterator<Item = (A, I)>>(events: T) -> EventIds {
        let mut ids = EventIds::default();
        for (account, id) in events {
            ids.push(account.as_ref(), EventId::parse(id.as_ref()));
        }
        ids
    }
}

impl Seen {
    /// Tells the new events of one object, piece by piece. Adds nothing.
    #[must_use]
    pub fn meeting(&self) -> Meeting<'_> {
        Meeting { seen: self, among: self.empty(), wanted: None, ids: EventIds::default(), last: None }
    }

    /// As [`Seen::meeting`], for an object that is read again: new are the first of each of `ids` that is not `lost`.
    #[must_use]
    pub fn meeting_again(&self, ids: &EventIds, lost: &EventIds) -> Meeting<'_> {
        let keys = |ids: &EventIds| {
            let mut keys = self.empty();
            for of in &ids.accounts {
                let account = self.account(&of.account);
                keys.extend(of.ids().map(|id| Key::of(&account, id)));
            }
            keys
        };
        let lost = keys(lost);
        let mut wanted = keys(ids);
        wanted.retain(|key| !lost.contains(key));
        Meeting { wanted: Some(wanted), ..self.meeting() }
    }

    fn empty(&self) -> HashSet<Key, Secret> {
        HashSet::with_hasher(self.secret)
    }

    /// Adds events, and gives those that another added first.
    ///
    /// # Errors
    /// As [`Seen::insert`].
    pub fn take(&self, ids: &EventIds) -> Result<EventIds, SeenError> {
        let mut lost = EventIds::default();
        for of in &ids.accounts {
            let account = self.account(&of.account);
            for id in of.ids() {
                if !self.insert_id(&account, id)? {
                    lost.push(&of.account, id);
                }
            }
        }
        Ok(lost)
    }

    /// Adds events, and says of each whether it is new.
    ///
    /// # Errors
    /// As [`Seen::insert`].
    pub fn insert_all<'a>(
        &self,
        events: impl Iterator<Item = (&'a str, impl AsRef<str>)>,
    ) -> Result<Vec<bool>, SeenError> {
        let mut is_new = Vec::with_capacity(events.size_hint().0);
        let mut last = None;
        for (account, id) in events {
            let numbered = self.numbered(&mut last, account);
            is_new.push(self.insert_id(numbered, EventId::parse(id.as_ref()))?);
        }
        Ok(is_new)
    }

    /// Says of each object whether it has an event that is in the set, or that an earlier object has which itself has
    /// none. Adds nothing.
    ///
    /// # Errors
    /// As [`Seen::contains`].
    pub fn clashes<'a>(
        &self,
        objects: impl ExactSizeIterator<Item = &'a EventIds>,
    ) -> Result<Vec<bool>, SeenError> {
        let is_alone = objects.len() == 1;
        let mut taken: HashSet<Key, Secret> = HashSet::with_hasher(self.secret);
        let mut clashes = Vec::with_capacity(objects.len());
        for object in objects {
            let mut clash = false;
            'accounts: for of in &object.accounts {
                let account = self.account(&of.account);
                for id in of.ids() {
                    if taken.contains(&Key::of(&account, id)) || self.contains_id(&account, id)? {
                        clash = true;
                        break 'accounts;
                    }
                }
            }
            if !clash && !is_alone {
                for of in &object.accounts {
                    let account = self.account(&of.account);
                    taken.extend(of.ids().map(|id| Key::of(&account, id)));
                }
            }
            clashes.push(clash);
        }
        Ok(clashes)
    }

    /// Adds events of which none is in the set, wholly even where it fails.
    ///
    /// # Errors
    /// [`SeenError`] when the files cannot be written: the set is over its budget.
    pub fn add_all(&self, events: &EventIds) -> Result<(), SeenError> {
        let mut ended = Ok(());
        for of in events.accounts() {
            ended = ended.and(self.add_of(of));
        }
        ended
    }

    /// Adds the events of one account, be they in the set or not.
    pub(crate) fn insert_of(&self, of: &OfAccount) -> Result<(), SeenError> {
        let account = self.account(&of.account);
        for id in of.ids() {
            self.insert_id(&account, id)?;
        }
        Ok(())
    }

    fn add_of(&self, of: &OfAccount) -> Result<(), SeenError> {
        let account = self.account(&of.account);
        let mut ended = Ok(());
        for id in of.ids() {
            let key = Key::of(&account, id);
            let mut shard = self.shard(self.secret.hash(key.bytes()));
            ended = ended.and(self.make_room(&mut shard, &key));
            shard.add(&key);
        }
        ended
    }

    /// The account's number, asked for once for events of one account in a row.
    fn numbered<'m>(&self, last: &'m mut Option<(String, Account)>, account: &str) -> &'m Account {
        if last.as_ref().is_none_or(|(of, _)| of != account) {
            *last = None;
        }
        &last.get_or_insert_with(|| (account.to_owned(), self.account(account))).1
    }
}

/// The events of one object as they are met.
#[derive(Debug)]
pub struct Meeting<'s> {
    seen: &'s Seen,
    among: HashSet<Key, Secret>,
    wanted: Option<HashSet<Key, Secret>>,
    ids: EventIds,
    last: Option<(String, Account)>,
}

impl Meeting<'_> {
    /// Says of each event whether it is neither in the set nor met before.
    ///
    /// # Errors
    /// As [`Seen::contains`].
    pub fn meet<'a>(
        &mut self,
        events: impl Iterator<Item = (&'a str, impl AsRef<str>)>,
    ) -> Result<Vec<bool>, SeenError> {
        let mut is_new = Vec::with_capacity(events.size_hint().0);
        self.among.reserve(events.size_hint().0);
        for (account, id) in events {
            let numbered = self.seen.numbered(&mut self.last, account);
            let id = EventId::parse(id.as_ref());
            let key = Key::of(numbered, id);
            let new = match &mut self.wanted {
                Some(wanted) => wanted.remove(&key),
                None => self.among.insert(key) && !self.seen.contains_id(numbered, id)?,
            };
            if new {
                self.ids.push(account, id);
            }
            is_new.push(new);
        }
        Ok(is_new)
    }

    /// The new events.
    #[must_use]
    pub fn ids(self) -> EventIds {
        self.ids
    }
}
