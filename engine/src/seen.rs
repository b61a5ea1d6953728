//! Which events were seen before: an exact set within a memory budget
//!
//! Nearly all event ids are UUIDs, kept as 16 bytes beside a number for their account; any other text is kept as it is.
//! What does not fit into the budget lies on disk in sorted sections, each with a filter in memory that answers most
//! questions. A filter or a hash only ever says "look closer": an event counts as seen when its id is equal.

mod events;
mod many;
mod section;

pub(crate) use events::OfAccount;
pub use events::{EventIds, Meeting, event_of};

pub use many::Events;
use rustc_hash::FxHashMap;
use section::{Entry, Section, Sections};
use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Parts with a lock of their own, so that workers seldom wait for each other.
const SHARDS: usize = 64;

/// Accounts that get a number; events of further ones are kept with their account's text.
const ACCOUNTS_MAX: usize = 65_536;

/// The number under which an account's text is part of the id.
const UNNUMBERED: u32 = 0;

/// Bytes that an allocation costs beside its content, about.
const ALLOCATION: usize = 16;

/// Why a set that outgrew its budget cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot keep event ids in `{folder}`: {cause}; free some space there, or set TMPDIR", folder = folder.display())]
pub struct SeenError {
    /// Where the ids that do not fit into memory lie.
    pub folder: PathBuf,
    /// What the system said.
    pub cause: Arc<std::io::Error>,
}

/// An event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventId<'a> {
    /// A UUID in its canonical lower-case form.
    Uuid([u8; 16]),
    /// Anything else, exactly as it is written.
    Text(&'a str),
}

impl<'a> EventId<'a> {
    /// Tells a canonical UUID from any other text. Different texts give different ids.
    #[must_use]
    pub fn parse(text: &'a str) -> EventId<'a> {
        uuid(text.as_bytes()).map_or(EventId::Text(text), EventId::Uuid)
    }
}

/// The 16 bytes of `0f8fad5b-d9cb-469f-a165-70867728950e`; no other spelling of them will do.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 || [8, 13, 18, 23].iter().any(|&at| text.get(at) != Some(&b'-')) {
        return None;
    }
    let mut id = [0; 16];
    let mut bytes = id.iter_mut();
    for group in [0..8, 9..13, 14..18, 19..23, 24..36] {
        for &[high, low] in text.get(group)?.as_chunks::<2>().0 {
            *bytes.next()? = nibble(high)? << 4 | nibble(low)?;
        }
    }
    Some(id)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// An account as the set numbers it; ask once for many events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account(Numbered);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Numbered {
    As(u32),
    Not(Box<str>),
}

/// An exact set of events, shared by workers.
///
/// ```
/// let seen = engine::seen::Seen::new(64 << 20);
/// let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
/// assert!(seen.insert("111122223333", id)?, "seen for the first time");
/// assert!(!seen.insert("111122223333", id)?);
/// assert!(seen.insert("444455556666", id)?, "another account's event");
/// # Ok::<(), engine::seen::SeenError>(())
/// ```
#[derive(Debug)]
pub struct Seen {
    secret: Secret,
    accounts: RwLock<FxHashMap<Box<str>, u32>>,
    shards: Box<[Mutex<Shard>]>,
    budget: usize,
    disk: Mutex<Disk>,
    // Each has its own file on disk and is forgotten as a whole.
    generation: AtomicU64,
}

/// Where sections are written.
#[derive(Debug)]
struct Disk {
    folder: PathBuf,
    file: Option<(u64, Arc<Spill>)>,
}

/// The sections of one generation. The file has no name: it goes with the last of them, or with the process.
#[derive(Debug)]
struct Spill {
    file: File,
    end: AtomicU64,
}

#[derive(Debug)]
struct Shard {
    ids: HashSet<Id, Secret>,
    texts: HashSet<Text, Secret>,
    text_bytes: usize,
    sections: Sections,
}

/// 16 bytes of the id and 4 of the account's number.
#[derive(Debug, PartialEq, Eq)]
struct Id([u8; 20]);

/// 4 bytes of the account's number and the text.
#[derive(Debug, PartialEq, Eq)]
struct Text(Box<[u8]>);

// Without the length that `[u8]` would add: the hash is that of the bytes, as in sections.
impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl std::borrow::Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Seen {
    /// An empty set that holds about `budget` bytes in memory; the rest goes to nameless files in the system's temporary
    /// folder, made when they are needed and gone with the set.
    #[must_use]
    pub fn new(budget: usize) -> Seen {
        Seen::within(&std::env::temp_dir(), budget)
    }

    /// As [`Seen::new`], with its files in `folder`.
    #[must_use]
    pub fn within(folder: &Path, budget: usize) -> Seen {
        Seen::with_secret(folder, budget, Secret::random())
    }

    fn with_secret(folder: &Path, budget: usize, secret: Secret) -> Seen {
        let shard = || Shard {
            ids: HashSet::with_hasher(secret),
            texts: HashSet::with_hasher(secret),
            text_bytes: 0,
            sections: Sections::default(),
        };
        Seen {
            secret,
            accounts: RwLock::default(),
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            budget,
            disk: Mutex::new(Disk { folder: folder.to_owned(), file: None }),
            generation: AtomicU64::new(0),
        }
    }

    /// Adds an event; true when it was not in the set.
    ///
    /// # Errors
    /// [`SeenError`] when the files cannot be written or read; the event is then in the set or not.
    pub fn insert(&self, account: &str, event_id: &str) -> Result<bool, SeenError> {
        self.insert_id(&self.account(account), EventId::parse(event_id))
    }

    /// Whether an event is in the set.
    ///
    /// # Errors
    /// [`SeenError`] when the files cannot be read.
    pub fn contains(&self, account: &str, event_id: &str) -> Result<bool, SeenError> {
        self.contains_id(&self.account(account), EventId::parse(event_id))
    }

    /// The account's number.
    #[must_use]
    pub fn account(&self, account: &str) -> Account {
        let known = self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(account).copied();
        if let Some(number) = known {
            return Account(Numbered::As(number));
        }
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(account) {
            return Account(Numbered::Not(account.into()));
        }
        let next = accounts.len() as u32 + 1;
        Account(Numbered::As(*accounts.entry(account.into()).or_insert(next)))
    }

    /// As [`Seen::insert`], for an account whose number is known.
    ///
    /// # Errors
    /// As [`Seen::insert`].
    pub fn insert_id(&self, account: &Account, id: EventId<'_>) -> Result<bool, SeenError> {
        let key = Key::of(account, id);
        let hash = self.secret.hash(key.bytes());
        self.insert_key(&mut self.shard(hash), hash, &key)
    }

    fn insert_key(&self, shard: &mut Shard, hash: u64, key: &Key) -> Result<bool, SeenError> {
        self.make_room(shard, key)?;
        if !shard.sections.is_empty()
            && !shard.has(key)
            && shard.sections.contain(hash, key.entry()).map_err(|cause| self.failed(cause))?
        {
            return Ok(false);
        }
        Ok(shard.add(key))
    }

    /// Spills a shard that would outgrow its share of the budget.
    fn make_room(&self, shard: &mut Shard, key: &Key) -> Result<(), SeenError> {
        if shard.memory_with(key) > self.budget / 2 / SHARDS { self.spill(shard) } else { Ok(()) }
    }

    /// As [`Seen::contains`], for an account whose number is known.
    ///
    /// # Errors
    /// As [`Seen::contains`].
    pub fn contains_id(&self, account: &Account, id: EventId<'_>) -> Result<bool, SeenError> {
        let key = Key::of(account, id);
        let hash = self.secret.hash(key.bytes());
        let shard = self.shard(hash);
        Ok(shard.has(&key)
            || shard.sections.contain(hash, key.entry()).map_err(|cause| self.failed(cause))?)
    }

    /// Bytes that the set holds in memory now, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner).len() * 64;
        let shards = self.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.table_memory() + shard.sections.memory()
        });
        accounts + shards.sum::<usize>()
    }

    /// Events in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        let count = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            (shard.ids.len() + shard.texts.len()) as u64 + shard.sections.len()
        };
        self.shards.iter().map(count).sum()
    }

    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins a later generation: the events of the present one go to disk. An earlier or the same one changes nothing.
    ///
    /// # Errors
    /// [`SeenError`] when the files cannot be written; then the present one goes on.
    pub fn turn_to(&self, generation: u64) -> Result<(), SeenError> {
        if generation <= self.generation.load(Ordering::Relaxed) {
            return Ok(());
        }
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if !shard.ids.is_empty() || !shard.texts.is_empty() {
                self.spill(&mut shard)?;
            }
        }
        self.generation.store(generation, Ordering::Relaxed);
        Ok(())
    }

    /// Forgets the events of the generations before `generation`, save those of the present one.
    pub fn forget_before(&self, generation: u64) {
        let generation = generation.min(self.generation.load(Ordering::Relaxed));
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).sections.forget_before(generation);
        }
    }

    // The low bits place an id within its shard's table and the topmost tag it there.
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let at = shard_of(hash);
        #[expect(clippy::indexing_slicing, reason = "there are SHARDS shards")]
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what a shard holds in memory to disk.
    fn spill(&self, shard: &mut Shard) -> Result<(), SeenError> {
        let generation = self.generation.load(Ordering::Relaxed);
        let spill = self.file(generation)?;
        let ids = shard.ids.iter().map(|id| (self.secret.hash(&id.0), Entry::Id(&id.0)));
        let texts = shard.texts.iter().map(|text| (self.secret.hash(&text.0), Entry::Text(&text.0)));
        let mut entries: Vec<(u64, Entry<'_>)> = ids.chain(texts).collect();
        entries.sort_unstable();
        let filter_max = (self.budget / 2 / SHARDS).saturating_sub(shard.sections.memory());
        let section =
            Section::write(&spill, generation, &entries, filter_max).map_err(|cause| self.failed(cause))?;
        shard.sections.push(section);
        shard.ids = HashSet::with_hasher(self.secret);
        shard.texts = HashSet::with_hasher(self.secret);
        shard.text_bytes = 0;
        shard
            .sections
            .merge(&spill, self.budget / 2 / SHARDS, self.secret)
            .map_err(|cause| self.failed(cause))
    }

    /// The file of a generation, made on demand.
    fn file(&self, generation: u64) -> Result<Arc<Spill>, SeenError> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, spill)) = &disk.file
            && *of == generation
        {
            return Ok(spill.clone());
        }
        let file = tempfile::tempfile_in(&disk.folder)
            .map_err(|cause| SeenError { folder: disk.folder.clone(), cause: Arc::new(cause) })?;
        let spill = Arc::new(Spill { file, end: AtomicU64::new(0) });
        disk.file = Some((generation, spill.clone()));
        Ok(spill)
    }

    fn failed(&self, cause: std::io::Error) -> SeenError {
        let folder = self.disk.lock().unwrap_or_else(PoisonError::into_inner).folder.clone();
        SeenError { folder, cause: Arc::new(cause) }
    }
}

/// Bytes of a hash table that takes `capacity` entries: an eighth of its slots stays free, each has a byte of its own.
fn slots_memory(capacity: usize, entry: usize) -> usize {
    capacity * 8 / 7 * (entry + 1)
}

/// Which shard holds what has this hash.
fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl Shard {
    fn table_memory(&self) -> usize {
        slots_memory(self.ids.capacity(), size_of::<Id>())
            + slots_memory(self.texts.capacity(), size_of::<Text>())
            + self.text_bytes
    }

    /// The memory once `key` is in it as well: a full table grows to twice its size.
    fn memory_with(&self, key: &Key) -> usize {
        let growth = match key {
            Key::Id(_) if self.ids.len() == self.ids.capacity() => {
                slots_memory(self.ids.capacity(), size_of::<Id>())
            }
            Key::Text(_) if self.texts.len() == self.texts.capacity() => {
                slots_memory(self.texts.capacity(), size_of::<Text>())
            }
            Key::Id(_) | Key::Text(_) => 0,
        };
        self.table_memory() + growth
    }

    fn add(&mut self, key: &Key) -> bool {
        match key {
            Key::Id(id) => self.ids.insert(Id(*id)),
            Key::Text(text) => {
                let is_new = self.texts.insert(Text(text.as_slice().into()));
                self.text_bytes += if is_new { text.len() + ALLOCATION } else { 0 };
                is_new
            }
        }
    }

    fn has(&self, key: &Key) -> bool {
        match key {
            Key::Id(id) => self.ids.contains(&Id(*id)),
            Key::Text(text) => self.texts.contains(text.as_slice()),
        }
    }
}

/// An event as the tables hold it.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Id([u8; 20]),
    Text(Vec<u8>),
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.bytes());
    }
}

impl Key {
    fn of(account: &Account, id: EventId<'_>) -> Key {
        match (&account.0, id) {
            (Numbered::As(number), EventId::Uuid(id)) => {
                let mut key = [0; 20];
                let (of_id, of_account) = key.split_at_mut(16);
                of_id.copy_from_slice(&id);
                of_account.copy_from_slice(&number.to_le_bytes());
                Key::Id(key)
            }
            (Numbered::As(number), EventId::Text(text)) => {
                Key::Text([&number.to_le_bytes(), text.as_bytes()].concat())
            }
            // The length keeps account and id apart, the marks a UUID's bytes from the text that equals them.
            (Numbered::Not(account), id) => {
                let (mark, id) = match &id {
                    EventId::Uuid(id) => (b'u', id.as_slice()),
                    EventId::Text(text) => (b't', text.as_bytes()),
                };
                let length = (account.len() as u64).to_le_bytes();
                Key::Text([&UNNUMBERED.to_le_bytes(), &length[..], account.as_bytes(), &[mark], id].concat())
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Key::Id(id) => id,
            Key::Text(text) => text,
        }
    }

    fn entry(&self) -> Entry<'_> {
        match self {
            Key::Id(id) => Entry::Id(id),
            Key::Text(text) => Entry::Text(text),
        }
    }
}

/// A hash whose collisions nobody can plan who does not know the secret.
#[derive(Debug, Clone, Copy)]
struct Secret {
    words: [u64; 3],
    // All ones; tests make collisions with less.
    mask: u64,
}

impl Secret {
    fn random() -> Secret {
        let word = |n: u64| RandomState::new().hash_one(n) | 1;
        Secret { words: [word(0), word(1), word(2)], mask: u64::MAX }
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        let [a, b, c] = self.words;
        let mut hash = fold(bytes.len() as u64 ^ a, b);
        let (chunks, rest) = bytes.as_chunks::<16>();
        for chunk in chunks {
            hash = mixed(*chunk, hash, b);
        }
        let mut last = [0; 16];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        fold(mixed(last, hash, c), a) & self.mask
    }
}

fn mixed(chunk: [u8; 16], hash: u64, secret: u64) -> u64 {
    let word = u128::from_le_bytes(chunk);
    fold(word as u64 ^ secret, (word >> 64) as u64 ^ hash)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl BuildHasher for Secret {
    type Hasher = Once;

    fn build_hasher(&self) -> Once {
        Once { secret: *self, hash: 0 }
    }
}

/// Hashes the one slice that [`Id`] and [`Text`] write.
struct Once {
    secret: Secret,
    hash: u64,
}

impl Hasher for Once {
    fn write(&mut self, bytes: &[u8]) {
        self.hash = self.secret.hash(bytes);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests;
