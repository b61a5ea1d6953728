//! The bytes inside the bytes, under caps that hold while inflating.
//!
//! An object of usual size is inflated at one go by libdeflate, into a buffer that the next object uses again. A larger
//! one, and zstd, is inflated in a [`Stream`] of windows. Bytes after gzip are refused. Further members are inflated, and
//! whoever reads says whether they may be there: CloudTrail writes one, and a digest that covers only that would not see
//! others (<https://github.com/aws/aws-cli/issues/10326>).

use std::borrow::Cow;
use std::sync::Arc;

use libdeflater::Decompressor;
use yoke::Yoke;

use crate::formats::frames::Window;
use crate::quarantine::reason;
use member::is_alone;
use stream::Stream;

mod member;
mod stream;

const MIB: u64 = 1 << 20;

/// Largest object that is inflated at one go.
const WHOLE_BYTES_MAX: u64 = 64 * MIB;

/// Smallest object whose bytes are kept for what is looked up in them. Of smaller ones records are copied: each would keep
/// a buffer that has room for a large one.
const SHARED_BYTES_MIN: usize = 1 << 20;

/// What a buffer keeps between objects at most.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// Bounds on what one object may cost to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest compressed object, as stored. Default 64 MiB.
    pub compressed_bytes_max: u64,
    /// Largest object when inflated, or when stored plain. Default 2 GiB.
    pub inflated_bytes_max: u64,
    /// How many bytes one stored byte may become, counted after the first MiB. Default 200.
    pub ratio_max: u64,
    /// Largest record. Default 4 MiB.
    pub record_bytes_max: usize,
    /// Deepest nesting of a record; the record itself is 1. Default 64.
    pub depth_max: usize,
    /// Most records in one object. Default 2,000,000.
    pub records_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compressed_bytes_max: 64 * MIB,
            inflated_bytes_max: 2048 * MIB,
            ratio_max: 200,
            record_bytes_max: 4 << 20,
            depth_max: 64,
            records_max: 2_000_000,
        }
    }
}

impl Limits {
    /// How many bytes an object that begins with `start` may have as stored.
    pub fn stored_bytes_max(&self, start: &[u8]) -> u64 {
        if is_gzip(start) || is_zstd(start) { self.compressed_bytes_max } else { self.inflated_bytes_max }
    }
}

/// Why nothing of an object can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// Larger than the limit as stored.
    #[error("the object has {bytes} bytes as stored, more than the limit of {limit}")]
    CompressedTooBig {
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// Larger than the limit when inflated.
    #[error("the object inflates to more than the limit of {limit} bytes")]
    InflatedTooBig {
        /// What is allowed.
        limit: u64,
    },
    /// Inflates like a bomb.
    #[error("the object inflates to more than {limit} times its size")]
    GzipRatio {
        /// What is allowed.
        limit: u64,
    },
    /// The gzip stream breaks off.
    #[error("the gzip stream breaks off: fetch the object again, or look at who wrote it")]
    GzipTruncated,
    /// The gzip or zstd stream is damaged.
    #[error("the compressed stream is damaged: {0}")]
    GzipCorrupt(String),
    /// Bytes after the gzip stream.
    #[error("{bytes} bytes follow the gzip stream: somebody may have added to the file")]
    GzipTrailing {
        /// How many.
        bytes: u64,
    },
    /// UTF-16.
    #[error("the object is UTF-16; CloudTrail writes UTF-8")]
    BadEncoding,
    /// Not JSON at all.
    #[error("the object is not JSON: it begins with neither `{{` nor `[`")]
    BadJson,
}

impl ObjectError {
    /// The reason it is counted under.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::CompressedTooBig { .. } => reason::COMPRESSED_TOO_BIG,
            Self::InflatedTooBig { .. } => reason::INFLATED_TOO_BIG,
            Self::GzipRatio { .. } => reason::GZIP_RATIO,
            Self::GzipTruncated => reason::GZIP_TRUNCATED,
            Self::GzipCorrupt(_) => reason::GZIP_CORRUPT,
            Self::GzipTrailing { .. } => reason::GZIP_TRAILING,
            Self::BadEncoding => reason::BAD_ENCODING,
            Self::BadJson => reason::BAD_JSON,
        }
    }
}

/// Whether `bytes` begin as gzip does; names and headers are not asked, they lie.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Whether `bytes` begin as zstd does: <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1>
pub fn is_zstd(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

/// The plain bytes: of the one gzip member, of zstd, or `bytes` as they are.
///
/// # Errors
/// Caps are enforced while inflating, so a bomb costs at most the cap.
pub fn inflate<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, ObjectError> {
    let mut inflater = Inflater::default();
    let plain = match inflater.feed(bytes, limits)? {
        Feed::Whole { plain: true, .. } => return Ok(Cow::Borrowed(bytes)),
        Feed::Whole { bytes, .. } => bytes.len(),
        Feed::Stream(mut stream) => {
            let plain = stream.read_to_end()?;
            match stream.further() {
                Some((bytes, _)) => return Err(ObjectError::GzipTrailing { bytes }),
                None => plain,
            }
        }
    };
    let mut buffer = Arc::unwrap_or_clone(inflater.buffer);
    buffer.truncate(plain);
    Ok(Cow::Owned(buffer))
}

/// A decompressor and its buffer: one for each worker.
pub(crate) struct Inflater {
    gzip: Decompressor,
    /// Left to the records that are looked up in it, where they outlive their object.
    buffer: Arc<Vec<u8>>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { gzip: Decompressor::new(), buffer: Arc::default() }
    }
}

/// A text, seen to be UTF-8, with the bytes that it stands in.
pub(crate) type Shared = Yoke<&'static str, Arc<Vec<u8>>>;

/// What comes out of an object.
pub(crate) enum Feed<'a> {
    /// All of it is in memory, and was checked to its last byte.
    Whole {
        /// The bytes.
        bytes: &'a [u8],
        /// Whether they are the object's own, not inflated.
        plain: bool,
        /// Where the window begins.
        start: usize,
        /// How large the next window is.
        wanted: usize,
        window: Window<'a>,
        /// What they stand in, if that may be kept.
        buffer: Option<&'a Arc<Vec<u8>>>,
        /// The text of the window, with that.
        shared: Option<Shared>,
    },
    /// It is inflated window by window.
    Stream(Box<Stream<'a>>),
}

/// How much of what is in memory is looked at together: what was seen to be UTF-8 is still in the core's own cache
/// when it is read.
const LOOK_BYTES: usize = 256 << 10;

impl Inflater {
    /// What comes out of `bytes`: the whole of it where that is small enough.
    pub(crate) fn feed<'a>(&'a mut self, bytes: &'a [u8], limits: &Limits) -> Result<Feed<'a>, ObjectError> {
        let stored = bytes.len() as u64;
        if !is_gzip(bytes) && !is_zstd(bytes) {
            let limit = limits.inflated_bytes_max;
            return if stored > limit {
                Err(ObjectError::InflatedTooBig { limit })
            } else {
                Ok(Feed::whole(bytes, None, true))
            };
        }
        let limit = limits.compressed_bytes_max;
        if stored > limit {
            return Err(ObjectError::CompressedTooBig { bytes: stored, limit });
        }
        if is_gzip(bytes)
            && let Some(size) = self.whole(bytes, limits)
        {
            let buffer = Some(&self.buffer).filter(|_| size >= SHARED_BYTES_MIN);
            return Ok(Feed::whole(self.buffer.get(..size).unwrap_or_default(), buffer, false));
        }
        // Too large, or damaged in a way that the stream names.
        Ok(Feed::Stream(Box::new(Stream::new(bytes, limits, self.own_buffer())?)))
    }

    /// The buffer, for nobody else.
    fn own_buffer(&mut self) -> &mut Vec<u8> {
        if Arc::get_mut(&mut self.buffer).is_none() {
            self.buffer = Arc::default();
        }
        Arc::make_mut(&mut self.buffer)
    }

    /// Inflates one member into the buffer at one go; none where it is too large for that, or not in order.
    fn whole(&mut self, bytes: &[u8], limits: &Limits) -> Option<usize> {
        let promised = u64::from(u32::from_le_bytes(*bytes.last_chunk()?));
        // The promise is whoever wrote the object's: it is believed within the caps, and must then be true to the byte.
        let believed = (bytes.len() as u64).saturating_mul(limits.ratio_max).max(MIB);
        if promised > WHOLE_BYTES_MAX.min(limits.inflated_bytes_max).min(believed) {
            return None;
        }
        let size = usize::try_from(promised).ok()?;
        let buffer = self.own_buffer();
        if buffer.len() < size {
            // Given back first, so that there are never two; and a little more, as files of a kind are alike.
            *buffer = Vec::new();
            *buffer = vec![0; size + size / 16];
        }
        let plain = Arc::get_mut(&mut self.buffer)?.get_mut(..size)?;
        let inflated = self.gzip.gzip_decompress(bytes, plain).ok()?;
        (inflated == size && is_alone(bytes, plain)).then_some(size)
    }

    /// How large the buffer is.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.buffer.capacity()
    }

    /// Where it lies.
    #[cfg(test)]
    pub(crate) fn place(&self) -> *const u8 {
        self.buffer.as_ptr()
    }

    /// Gives memory back that only an unusually large object needs.
    pub(crate) fn shrink(&mut self) {
        if self.buffer.len() > KEPT_BYTES_MAX {
            self.buffer = Arc::default();
        }
    }
}

impl<'a> Feed<'a> {
    fn whole(bytes: &'a [u8], buffer: Option<&'a Arc<Vec<u8>>>, plain: bool) -> Self {
        let mut feed = Self::Whole {
            bytes,
            plain,
            start: 0,
            wanted: LOOK_BYTES,
            window: Window::of(&[], false),
            buffer,
            shared: None,
        };
        feed.look();
        feed
    }

    /// Looks at the next window of what is in memory.
    fn look(&mut self) {
        let Self::Whole { bytes, start, wanted, window, buffer, shared, .. } = self else { return };
        let rest = bytes.get(*start..).unwrap_or_default();
        let last = rest.len() <= *wanted;
        let look = rest.get(..*wanted).unwrap_or(rest);
        *window = Window::of(look, last);
        *shared = buffer.and_then(|buffer| {
            let range = *start..*start + look.len();
            let whole = Arc::clone(buffer);
            Yoke::try_attach_to_cart(whole, |all| {
                simdutf8::basic::from_utf8(all.get(range).unwrap_or_default())
            })
            .ok()
        });
        if shared.is_some() {
            return;
        }
        // What is not in order is looked at again, for where.
        if buffer.is_none()
            && let Ok(text) = simdutf8::basic::from_utf8(look)
        {
            window.text = Some(text);
            return;
        }
        *window = match simdutf8::compat::from_utf8(look) {
            Ok(text) => Window { text: Some(text), ..*window },
            // Cut within a character, which the next window begins with.
            Err(error) if error.error_len().is_none() && !last => {
                let whole = look.get(..error.valid_up_to()).unwrap_or_default();
                Window { bytes: whole, text: std::str::from_utf8(whole).ok(), ..*window }
            }
            Err(_) => *window,
        };
    }

    /// What is to be read.
    pub(crate) fn window(&self) -> Window<'_> {
        match self {
            Self::Whole { window, shared: Some(shared), .. } => {
                Window { text: Some(shared.get()), shared: Some(shared), ..*window }
            }
            Self::Whole { window, .. } => *window,
            Self::Stream(stream) => stream.window(),
        }
    }

    /// About how many bytes are still to be read, as far as that is known: at most a usual slice.
    pub(crate) fn left(&self) -> usize {
        match self {
            Self::Whole { bytes, start, .. } => bytes.len().saturating_sub(*start),
            Self::Stream(stream) => stream.window().bytes.len(),
        }
    }

    /// Goes on: the first `done` bytes of the window are no longer needed, and the rest of it was too little.
    pub(crate) fn advance(&mut self, done: usize) -> Result<(), ObjectError> {
        match self {
            Self::Whole { start, wanted, .. } => {
                *start += done;
                *wanted = if done == 0 { wanted.saturating_mul(2) } else { LOOK_BYTES };
                self.look();
                Ok(())
            }
            Self::Stream(stream) => stream.advance(done),
        }
    }

    /// Known when all is drained: how many bytes lie behind the first gzip member, where others seem to follow it, and
    /// what is wrong with those.
    pub(crate) fn further(&self) -> Option<(u64, Option<&ObjectError>)> {
        match self {
            Self::Whole { .. } => None,
            Self::Stream(stream) => stream.further(),
        }
    }

    /// Inflates what is left, to see that it is in order.
    pub(crate) fn drain(&mut self) -> Result<(), ObjectError> {
        match self {
            Self::Whole { .. } => Ok(()),
            Self::Stream(stream) => stream.drain(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// Does not compress: so that only the sizes matter.
    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn gzip_is_known_by_its_content() {
        let limits = Limits::default();
        assert_eq!(inflate(&gzip(b"hello"), &limits).unwrap().as_ref(), b"hello");
        assert_eq!(inflate(b"hello", &limits).unwrap().as_ref(), b"hello");
        assert_eq!(inflate(b"", &limits).unwrap().as_ref(), b"");
    }

    #[test]
    fn a_bomb_is_stopped_by_its_ratio() {
        let bomb = gzip(&vec![0; 8 << 20]);
        assert_eq!(inflate(&bomb, &Limits::default()), Err(ObjectError::GzipRatio { limit: 200 }));
        let small = gzip(&vec![0; 1 << 20]);
        assert!(inflate(&small, &Limits::default()).is_ok(), "the first MiB is free");
    }

    #[test]
    fn noise_behind_a_bomb_does_not_excuse_it() {
        let mut bomb = gzip(&vec![0; 8 << 20]);
        bomb.extend(noise(1 << 20));
        assert_eq!(inflate(&bomb, &Limits::default()), Err(ObjectError::GzipRatio { limit: 200 }));
    }

    #[test]
    fn sizes_are_capped_before_and_after() {
        let limits = Limits { compressed_bytes_max: 2000, inflated_bytes_max: 3000, ..Limits::default() };
        let bytes = gzip(&noise(4000));
        let stored = bytes.len() as u64;
        assert_eq!(
            inflate(&bytes, &limits),
            Err(ObjectError::CompressedTooBig { bytes: stored, limit: 2000 })
        );
        assert_eq!(inflate(&gzip(&[7; 3001]), &limits), Err(ObjectError::InflatedTooBig { limit: 3000 }));
        assert_eq!(inflate(&gzip(&[7; 3000]), &limits).unwrap().len(), 3000);
        assert_eq!(inflate(&[b'x'; 3001], &limits), Err(ObjectError::InflatedTooBig { limit: 3000 }));
    }

    #[test]
    fn a_stream_that_breaks_off_gives_nothing() {
        let bytes = gzip(&noise(4000));
        for cut in [3, 12, bytes.len() / 2, bytes.len() - 1] {
            assert_eq!(
                inflate(&bytes[..cut], &Limits::default()),
                Err(ObjectError::GzipTruncated),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_wrong_checksum_gives_nothing() {
        let mut bytes = gzip(b"hello");
        let crc = bytes.len() - 8;
        bytes[crc] ^= 1;
        assert_eq!(inflate(&bytes, &Limits::default()).unwrap_err().reason(), reason::GZIP_CORRUPT);
    }

    #[test]
    fn a_second_member_is_refused() {
        let mut bytes = gzip(b"hello");
        let second = gzip(b"added later");
        bytes.extend(&second);
        let expected = ObjectError::GzipTrailing { bytes: second.len() as u64 };
        assert_eq!(inflate(&bytes, &Limits::default()), Err(expected));
    }
}
