//! Ids on disk: sorted by hash, found through a sparse index, mostly not even looked for

use super::{Secret, Spill};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Entries between two places of the index.
const BLOCK: usize = 64;

/// Bits of filter for each id: one question in about a hundred reads the file in vain.
const FILTER_BITS: usize = 10;

/// Sections of one level that are merged into one of the next.
const FAN_IN: usize = 8;

/// Bytes written at once, and read ahead of a merge.
const BUFFER: usize = 64 << 10;

/// Marks the length of a text; an id has the length 20.
const IS_TEXT: u32 = 1 << 31;

/// An event as it is written: its length, then its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry<'a> {
    Id(&'a [u8; 20]),
    Text(&'a [u8]),
}

impl Entry<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Entry::Id(id) => *id,
            Entry::Text(text) => text,
        }
    }

    fn written_len(&self) -> u64 {
        4 + self.bytes().len() as u64
    }

    fn write(&self, into: &mut Vec<u8>) {
        let mark = if matches!(self, Entry::Text(_)) { IS_TEXT } else { 0 };
        into.extend((self.bytes().len() as u32 | mark).to_le_bytes());
        into.extend(self.bytes());
    }
}

/// The first entry of `bytes` and what follows it.
fn first(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let (entry, rest) = rest.split_at_checked((length & !IS_TEXT) as usize)?;
    let entry = if length & IS_TEXT == 0 { Entry::Id(entry.try_into().ok()?) } else { Entry::Text(entry) };
    Some((entry, rest))
}

/// The sections of one shard.
#[derive(Debug, Default)]
pub(super) struct Sections {
    all: Vec<Section>,
}

impl Sections {
    pub(super) fn push(&mut self, section: Section) {
        self.all.push(section);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn contain(&self, hash: u64, entry: Entry<'_>) -> Result<bool> {
        for section in &self.all {
            if section.contains(hash, entry)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn memory(&self) -> usize {
        self.all.iter().map(Section::memory).sum()
    }

    pub(super) fn len(&self) -> u64 {
        self.all.iter().map(|section| section.count).sum()
    }

    pub(super) fn forget_before(&mut self, generation: u64) {
        self.all.retain(|section| section.generation >= generation);
    }

    /// Keeps few sections to ask: makes one of many, level by level, within a generation.
    pub(super) fn merge(&mut self, spill: &Arc<Spill>, filter_max: usize, secret: Secret) -> Result<()> {
        while let Some(last) = self.all.last() {
            let (generation, level) = (last.generation, last.level);
            let is_peer = |section: &&Section| section.generation == generation && section.level == level;
            let peers = self.all.iter().rev().take_while(is_peer).count();
            if peers < FAN_IN {
                break;
            }
            let merged = self.all.split_off(self.all.len() - peers);
            let filter_max = filter_max.saturating_sub(self.memory());
            match Section::merged(spill, &merged, filter_max, secret) {
                Ok(section) => self.all.push(Section { level: level + 1, ..section }),
                Err(cause) => {
                    self.all.extend(merged);
                    return Err(cause);
                }
            }
        }
        Ok(())
    }
}

/// Ids in one stretch of a file, sorted by hash and bytes.
#[derive(Debug)]
pub(super) struct Section {
    spill: Arc<Spill>,
    generation: u64,
    level: u32,
    count: u64,
    /// Hash of the first entry of each block, and where it begins.
    index: Vec<(u64, u64)>,
    end: u64,
    filter: Option<Filter>,
}

impl Section {
    /// Writes entries that are sorted by hash. Without room for a filter every question reads the file.
    pub(super) fn write(
        spill: &Arc<Spill>,
        generation: u64,
        entries: &[(u64, Entry<'_>)],
        filter_max: usize,
    ) -> Result<Section> {
        let bytes = entries.iter().map(|(_, entry)| entry.written_len()).sum();
        let mut writer = Writer::new(spill, generation, entries.len(), bytes, filter_max);
        for (hash, entry) in entries {
            writer.add(*hash, *entry)?;
        }
        writer.end()
    }

    /// One section of what several hold; no id is in two of them.
    fn merged(
        spill: &Arc<Spill>,
        sections: &[Section],
        filter_max: usize,
        secret: Secret,
    ) -> Result<Section> {
        let count = sections.iter().map(|section| section.count).sum::<u64>() as usize;
        let bytes = sections.iter().map(Section::bytes).sum();
        let generation = sections.first().map_or(0, |section| section.generation);
        let mut readers = Vec::with_capacity(sections.len());
        for section in sections {
            readers.push(Reader::open(section, secret)?);
        }
        let mut writer = Writer::new(spill, generation, count, bytes, filter_max);
        loop {
            let heads = readers.iter().enumerate().filter_map(|(at, reader)| Some((reader.head()?, at)));
            let Some(((hash, entry), least)) = heads.min() else { break };
            writer.add(hash, entry)?;
            if let Some(reader) = readers.get_mut(least) {
                reader.advance()?;
            }
        }
        writer.end()
    }

    fn bytes(&self) -> u64 {
        self.end - self.start()
    }

    fn start(&self) -> u64 {
        self.index.first().map_or(self.end, |(_, start)| *start)
    }

    fn memory(&self) -> usize {
        self.index.capacity() * 16 + self.filter.as_ref().map_or(0, |filter| filter.blocks.len() * 64)
    }

    fn contains(&self, hash: u64, wanted: Entry<'_>) -> Result<bool> {
        if self.filter.as_ref().is_some_and(|filter| !filter.may_contain(hash)) {
            return Ok(false);
        }
        // Entries of the same hash may begin in the block before the first that starts with it.
        let block = self.index.partition_point(|(first, _)| *first < hash).saturating_sub(1);
        let mut bytes = Vec::new();
        for (at, (first_hash, start)) in self.index.iter().enumerate().skip(block) {
            if *first_hash > hash {
                break;
            }
            let end = self.index.get(at + 1).map_or(self.end, |(_, next)| *next);
            bytes.resize((end - start) as usize, 0);
            self.spill.file.read_exact_at(&mut bytes, *start)?;
            let mut rest = bytes.as_slice();
            while let Some((entry, following)) = first(rest) {
                if entry == wanted {
                    return Ok(true);
                }
                rest = following;
            }
        }
        Ok(false)
    }
}

/// Writes a section into a stretch of the file that is set aside for it.
struct Writer {
    section: Section,
    buffer: Vec<u8>,
    written: u64,
}

impl Writer {
    fn new(spill: &Arc<Spill>, generation: u64, count: usize, bytes: u64, filter_max: usize) -> Writer {
        let start = spill.end.fetch_add(bytes, Ordering::Relaxed);
        let section = Section {
            spill: spill.clone(),
            generation,
            level: 0,
            count: 0,
            index: Vec::with_capacity(count.div_ceil(BLOCK)),
            end: start + bytes,
            filter: Filter::for_ids(count, filter_max),
        };
        Writer { section, buffer: Vec::new(), written: start }
    }

    fn add(&mut self, hash: u64, entry: Entry<'_>) -> Result<()> {
        let section = &mut self.section;
        if section.count.is_multiple_of(BLOCK as u64) {
            section.index.push((hash, self.written + self.buffer.len() as u64));
        }
        section.count += 1;
        if let Some(filter) = &mut section.filter {
            filter.add(hash);
        }
        entry.write(&mut self.buffer);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.section.spill.file.write_all_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn end(mut self) -> Result<Section> {
        self.flush()?;
        Ok(self.section)
    }
}

/// Reads a section from its start to its end.
struct Reader<'a> {
    section: &'a Section,
    secret: Secret,
    buffer: Vec<u8>,
    at: usize,
    next: u64,
    hash: u64,
}

impl<'a> Reader<'a> {
    fn open(section: &'a Section, secret: Secret) -> Result<Reader<'a>> {
        let mut reader =
            Reader { section, secret, buffer: Vec::new(), at: 0, next: section.start(), hash: 0 };
        reader.fill()?;
        Ok(reader)
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn head(&self) -> Option<(u64, Entry<'_>)> {
        first(self.rest()).map(|(entry, _)| (self.hash, entry))
    }

    fn advance(&mut self) -> Result<()> {
        self.at += self.head().map_or(0, |(_, entry)| entry.written_len() as usize);
        self.fill()
    }

    /// Has one whole entry at hand, unless the section is over.
    fn fill(&mut self) -> Result<()> {
        while first(self.rest()).is_none() {
            let left = self.section.end - self.next;
            if left == 0 {
                return if self.rest().is_empty() {
                    Ok(())
                } else {
                    Err(Error::from(ErrorKind::InvalidData))
                };
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let held = self.buffer.len();
            let more = left.min(BUFFER as u64);
            self.buffer.resize(held + more as usize, 0);
            if let Some(space) = self.buffer.get_mut(held..) {
                self.section.spill.file.read_exact_at(space, self.next)?;
            }
            self.next += more;
        }
        self.hash = first(self.rest()).map_or(0, |(entry, _)| self.secret.hash(entry.bytes()));
        Ok(())
    }
}

/// A Bloom filter whose bits for one id lie in one cache line.
#[derive(Debug)]
struct Filter {
    blocks: Vec<[u64; 8]>,
}

impl Filter {
    /// None where there is no room for one that is worth it.
    fn for_ids(count: usize, bytes_max: usize) -> Option<Filter> {
        let blocks = (count * FILTER_BITS).div_ceil(512).max(1);
        (blocks * 64 <= bytes_max).then(|| Filter { blocks: vec![[0; 8]; blocks] })
    }

    fn add(&mut self, hash: u64) {
        let block = self.block_of(hash);
        if let Some(block) = self.blocks.get_mut(block) {
            block.iter_mut().zip(Filter::bits(hash)).for_each(|(word, bit)| *word |= bit);
        }
    }

    fn may_contain(&self, hash: u64) -> bool {
        let block = self.blocks.get(self.block_of(hash));
        block.is_none_or(|block| block.iter().zip(Filter::bits(hash)).all(|(word, bit)| word & bit == bit))
    }

    // Multiplied into the range: the topmost bits choose.
    fn block_of(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.blocks.len() as u128) >> 64) as usize
    }

    /// One bit in each word, six bits of the hash mixed again for each.
    fn bits(hash: u64) -> impl Iterator<Item = u64> {
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..8).map(move |word| 1 << (mixed >> (16 + 6 * word) & 63))
    }
}
