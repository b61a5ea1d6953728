//! The bytes inside the bytes, under caps that hold while inflating.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};

use flate2::bufread::GzDecoder;

use crate::quarantine::reason;

const MIB: u64 = 1 << 20;

/// Bounds on what one object may cost to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest gzipped object, as stored. Default 64 MiB.
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
        if is_gzip(start) { self.compressed_bytes_max } else { self.inflated_bytes_max }
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
    /// The gzip stream is damaged.
    #[error("the gzip stream is damaged: {0}")]
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

/// The plain bytes: of the one gzip member, or `bytes` as they are.
///
/// # Errors
/// Caps are enforced while inflating, so a bomb costs at most the cap. Bytes after the first member are refused: a
/// digest that covers only that member would not see them (<https://github.com/aws/aws-cli/issues/10326>).
pub fn inflate<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, ObjectError> {
    let stored = bytes.len() as u64;
    if !is_gzip(bytes) {
        let limit = limits.inflated_bytes_max;
        return if stored > limit {
            Err(ObjectError::InflatedTooBig { limit })
        } else {
            Ok(Cow::Borrowed(bytes))
        };
    }
    let limit = limits.compressed_bytes_max;
    if stored > limit {
        return Err(ObjectError::CompressedTooBig { bytes: stored, limit });
    }
    let mut member = GzDecoder::new(bytes);
    let mut plain = Vec::with_capacity(promised(bytes, limits));
    loop {
        let before = plain.len();
        member.by_ref().take(MIB).read_to_end(&mut plain).map_err(damage)?;
        let inflated = plain.len() as u64;
        if inflated > limits.inflated_bytes_max {
            return Err(ObjectError::InflatedTooBig { limit: limits.inflated_bytes_max });
        }
        // Against what was consumed, not against the whole: padding behind a bomb must not excuse it.
        let consumed = stored - member.get_ref().len() as u64;
        if inflated > MIB && inflated > consumed.saturating_mul(limits.ratio_max) {
            return Err(ObjectError::GzipRatio { limit: limits.ratio_max });
        }
        if plain.len() == before {
            break;
        }
    }
    match member.into_inner().len() as u64 {
        0 => Ok(Cow::Owned(plain)),
        bytes => Err(ObjectError::GzipTrailing { bytes }),
    }
}

/// The size that the stream's last four bytes promise, believed only within the caps.
fn promised(bytes: &[u8], limits: &Limits) -> usize {
    let Some(tail) = bytes.last_chunk::<4>() else { return 0 };
    let most = (bytes.len() as u64).saturating_mul(limits.ratio_max.min(32)).min(limits.inflated_bytes_max);
    // One more than promised, so that the end is seen without growing.
    usize::try_from(u64::from(u32::from_le_bytes(*tail)).min(most)).map_or(0, |size| size.saturating_add(1))
}

fn damage(error: std::io::Error) -> ObjectError {
    match error.kind() {
        ErrorKind::UnexpectedEof => ObjectError::GzipTruncated,
        _ => ObjectError::GzipCorrupt(error.to_string()),
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
