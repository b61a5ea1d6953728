//! An object inflated window by window: what is larger than one may cost at one go, and what must be looked at closely.

use std::io::{BufReader, ErrorKind, Read};

use flate2::bufread::GzDecoder;

use super::{Limits, MIB, ObjectError, is_gzip};
use crate::formats::frames::Window;
use crate::planted::{Bug, bug};

/// How much is in memory at most. A record, or a line that is a file of its own, must fit.
const WINDOW_BYTES_MAX: usize = 64 << 20;
/// How much is asked for at first; doubled when it is too little for one record.
const WINDOW_BYTES: usize = 16 << 20;
/// How much is inflated between two looks at the caps.
const STEP_BYTES: usize = 1 << 20;
/// The largest window that a zstd frame may ask for, as a power of two: what its reference decoder takes by default.
/// <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.2>
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// A stream and the part of it that is in memory.
pub(crate) struct Stream<'a> {
    decoder: Decoder<'a>,
    buffer: &'a mut Vec<u8>,
    /// How many bytes of the buffer count.
    filled: usize,
    /// Of these, how many end with a whole character, if all of them are UTF-8.
    valid: Option<usize>,
    wanted: usize,
    ended: bool,
    /// Nothing more is taken into memory.
    last: bool,
    stored: u64,
    inflated: u64,
    inflated_bytes_max: u64,
    ratio_max: u64,
}

enum Decoder<'a> {
    Gzip(Box<Members<'a>>),
    Zstd(zstd::Decoder<'static, BufReader<&'a [u8]>>),
}

/// gzip, member by member.
struct Members<'a> {
    member: GzDecoder<&'a [u8]>,
    /// Bytes behind the first member, where other members follow.
    further: Option<u64>,
    /// What is wrong with one of those. Whether there may be any is asked first.
    fault: Option<ObjectError>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        limits: &Limits,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Self, ObjectError> {
        let decoder = if is_gzip(bytes) {
            Decoder::Gzip(Box::new(Members { member: GzDecoder::new(bytes), further: None, fault: None }))
        } else {
            let mut decoder = zstd::Decoder::new(bytes).map_err(|error| damage(&error))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|error| damage(&error))?;
            Decoder::Zstd(decoder)
        };
        let mut stream = Self {
            decoder,
            buffer,
            filled: 0,
            valid: Some(0),
            wanted: WINDOW_BYTES,
            ended: false,
            last: false,
            stored: bytes.len() as u64,
            inflated: 0,
            inflated_bytes_max: limits.inflated_bytes_max,
            ratio_max: limits.ratio_max,
        };
        stream.fill()?;
        Ok(stream)
    }

    pub(super) fn window(&self) -> Window<'_> {
        // What is cut within a character is left for the next window.
        let bytes = self.buffer.get(..self.valid.unwrap_or(self.filled)).unwrap_or_default();
        let text = self.valid.and_then(|_| simdutf8::basic::from_utf8(bytes).ok());
        Window { text, ..Window::of(bytes, self.last) }
    }

    /// Known at the end: how many bytes lie behind the first gzip member, where others seem to follow it, and what is
    /// wrong with those.
    pub(super) fn further(&self) -> Option<(u64, Option<&ObjectError>)> {
        match &self.decoder {
            Decoder::Gzip(members) => Some((members.further?, members.fault.as_ref())),
            Decoder::Zstd(_) => None,
        }
    }

    /// Drops the first `done` bytes of the window and fills it up; makes it larger where nothing was done.
    pub(super) fn advance(&mut self, done: usize) -> Result<(), ObjectError> {
        if done == 0 {
            self.wanted = self.wanted.saturating_mul(2);
        }
        let done = done.min(self.filled);
        self.buffer.copy_within(done..self.filled, 0);
        self.filled -= done;
        if self.filled >= WINDOW_BYTES_MAX {
            self.last = true;
            return Ok(());
        }
        self.wanted = self.wanted.max((self.filled + 1).next_power_of_two()).min(WINDOW_BYTES_MAX);
        self.fill()
    }

    /// Inflates the rest without keeping it.
    pub(super) fn drain(&mut self) -> Result<(), ObjectError> {
        while !self.ended {
            self.filled = 0;
            self.step()?;
        }
        Ok(())
    }

    /// Inflates everything into the buffer, whatever its size: how many bytes.
    pub(super) fn read_to_end(&mut self) -> Result<usize, ObjectError> {
        while !self.ended {
            self.step()?;
        }
        Ok(self.filled)
    }

    fn fill(&mut self) -> Result<(), ObjectError> {
        while !self.ended && self.filled < self.wanted {
            self.step()?;
        }
        self.last = self.ended;
        let bytes = self.buffer.get(..self.filled).unwrap_or_default();
        self.valid = match simdutf8::compat::from_utf8(bytes) {
            Ok(_) => Some(self.filled),
            Err(error) if error.error_len().is_none() && !self.ended => Some(error.valid_up_to()),
            Err(_) => None,
        };
        Ok(())
    }

    /// Inflates a little and looks at the caps.
    fn step(&mut self) -> Result<(), ObjectError> {
        let room = self.filled + STEP_BYTES;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let free = self.buffer.get_mut(self.filled..room).unwrap_or_default();
        let (read, left) = self.decoder.read(free)?;
        self.filled += read;
        self.inflated += read as u64;
        if self.inflated > self.inflated_bytes_max {
            return Err(ObjectError::InflatedTooBig { limit: self.inflated_bytes_max });
        }
        // Against what was consumed, not against the whole: padding behind a bomb must not excuse it.
        let consumed = self.stored - left;
        if self.inflated > MIB && self.inflated > consumed.saturating_mul(self.ratio_max) {
            return Err(ObjectError::GzipRatio { limit: self.ratio_max });
        }
        if read == 0 {
            self.ended = true;
            if left > 0 {
                return Err(ObjectError::GzipTrailing { bytes: left });
            }
        }
        Ok(())
    }
}

impl Decoder<'_> {
    /// Fills `free` as far as there is something: how much, and how much of the stored bytes is left.
    fn read(&mut self, free: &mut [u8]) -> Result<(usize, u64), ObjectError> {
        let mut read = 0;
        while let Some(rest) = free.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let more = match self {
                Self::Gzip(members) if members.fault.is_some() => break,
                Self::Gzip(members) => members.member.read(rest),
                Self::Zstd(decoder) => decoder.read(rest),
            };
            match more {
                Ok(0) if self.next_member() => {}
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof && bug(Bug::PrefixOfTruncated) => {
                    break;
                }
                Err(error) => match self {
                    Self::Gzip(members) if members.further.is_some() => members.fault = Some(damage(&error)),
                    Self::Gzip(_) | Self::Zstd(_) => return Err(damage(&error)),
                },
            }
        }
        let left = match self {
            Self::Gzip(members) if members.fault.is_some() => 0,
            Self::Gzip(members) => members.member.get_ref().len(),
            Self::Zstd(decoder) => decoder.get_ref().buffer().len() + decoder.get_ref().get_ref().len(),
        };
        Ok((read, left as u64))
    }

    /// Goes on with the gzip member behind this one, if there is one.
    fn next_member(&mut self) -> bool {
        let Self::Gzip(members) = self else { return false };
        let rest = *members.member.get_ref();
        if is_gzip(rest) {
            members.further.get_or_insert(rest.len() as u64);
            members.member = GzDecoder::new(rest);
            return true;
        }
        false
    }
}

fn damage(error: &std::io::Error) -> ObjectError {
    match error.kind() {
        ErrorKind::UnexpectedEof => ObjectError::GzipTruncated,
        _ => ObjectError::GzipCorrupt(error.to_string()),
    }
}
