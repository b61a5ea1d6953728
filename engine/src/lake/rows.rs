//! Rows on their way to the lake: packed where they are judged, so that what waits is small.

use super::LakeError;
use super::columns::plain_batch;
use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use ingest::EventBatch;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

/// Bytes of one object's rows that stay in memory; more go to a file without a name.
const MEMORY_MAX: usize = 16 << 20;

/// A piece that says it is longer is damaged: an object's slice is a few megabytes.
const PIECE_MAX: u32 = 1 << 30;

/// What a file of pieces begins with; then the schema, as the first message of an Arrow stream.
const MAGIC: &[u8; 8] = b"remitrw1";

/// Fast, and a fifth of the bytes.
const LEVEL: i32 = 1;

/// The rows of one object, in pieces: each a compressed Arrow message with its length and a checksum.
#[derive(Debug, Default)]
pub struct Rows {
    memory: Vec<u8>,
    file: Option<File>,
    /// How many pieces.
    pub pieces: u32,
    /// How many rows.
    pub rows: u64,
}

impl Rows {
    /// Adds events.
    ///
    /// # Errors
    /// [`LakeError::Arrow`], and [`LakeError::Spool`] when a large object's rows find no room on the disk.
    pub fn add(&mut self, events: &EventBatch, spill: &super::Spool) -> Result<(), LakeError> {
        if events.rows() == 0 {
            return Ok(());
        }
        let batch = plain_batch(&events.table())?;
        let message = message(&batch)?;
        pack(&message, &mut self.memory).map_err(|cause| spill.failed(cause))?;
        self.pieces += 1;
        self.rows += events.rows() as u64;
        if self.memory.len() > MEMORY_MAX {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(spill.nameless()?),
            };
            file.write_all(&self.memory).map_err(|cause| spill.failed(cause))?;
            self.memory = Vec::new();
        }
        Ok(())
    }

    /// Writes the pieces, in their order.
    pub(super) fn write_to(&self, out: &mut impl Write) -> std::io::Result<u64> {
        let mut bytes = self.memory.len() as u64;
        if let Some(mut file) = self.file.as_ref() {
            file.seek(SeekFrom::Start(0))?;
            bytes += std::io::copy(&mut file, out)?;
        }
        out.write_all(&self.memory)?;
        Ok(bytes)
    }
}

/// The batch's message of an Arrow stream, without the schema before it and the end after it: those are the file's.
fn message(batch: &RecordBatch) -> Result<Vec<u8>, LakeError> {
    let mut stream = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    let head = stream.get_ref().len();
    stream.write(batch)?;
    Ok(stream.get_ref().get(head..).unwrap_or_default().to_vec())
}

/// What a file of pieces begins with.
pub(super) fn head() -> Result<Vec<u8>, LakeError> {
    let schema = StreamWriter::try_new(Vec::new(), &super::columns::file_schema())?.get_ref().clone();
    let mut head = MAGIC.to_vec();
    pack(&schema, &mut head)
        .map_err(|cause| LakeError::Damaged { what: "schema", cause: cause.to_string() })?;
    Ok(head)
}

fn pack(bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let packed = compressor.compress(bytes)?;
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(std::io::Error::other);
    out.extend(length(&packed)?.to_le_bytes());
    out.extend(length(bytes)?.to_le_bytes());
    out.extend(packed);
    Ok(())
}

/// Reads the pieces of a file one by one.
#[derive(Debug)]
pub(super) struct Pieces<R> {
    from: R,
    /// The schema's message: a stream is that, and the piece's.
    schema: Arc<[u8]>,
    next: u32,
}

impl<R: Read> Pieces<R> {
    pub fn open(mut from: R) -> Result<Self, LakeError> {
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic).map_err(damaged)?;
        if magic != *MAGIC {
            return Err(LakeError::Damaged { what: "file of rows", cause: "it begins otherwise".to_owned() });
        }
        let schema = unpack(&mut from)?.ok_or_else(|| damaged("it ends after its first bytes"))?;
        Ok(Self { from, schema: schema.into(), next: 0 })
    }

    /// The next piece's place and rows; none at the end.
    pub fn next(&mut self) -> Result<Option<(u32, RecordBatch)>, LakeError> {
        let Some(message) = unpack(&mut self.from)? else { return Ok(None) };
        let stream = self.schema.as_ref().chain(message.as_slice());
        let batch = StreamReader::try_new(stream, None)?.next().transpose()?;
        let at = self.next;
        self.next += 1;
        Ok(batch.map(|batch| (at, batch)))
    }
}

fn damaged(cause: impl ToString) -> LakeError {
    LakeError::Damaged { what: "file of rows", cause: cause.to_string() }
}

fn unpack(from: &mut impl Read) -> Result<Option<Vec<u8>>, LakeError> {
    let mut number = [0; 4];
    // The end is between two pieces, nowhere else.
    if from.read(number.get_mut(..1).unwrap_or_default()).map_err(damaged)? == 0 {
        return Ok(None);
    }
    from.read_exact(number.get_mut(1..).unwrap_or_default()).map_err(damaged)?;
    let packed = u32::from_le_bytes(number);
    from.read_exact(&mut number).map_err(damaged)?;
    let whole = u32::from_le_bytes(number);
    if packed > PIECE_MAX || whole > PIECE_MAX {
        return Err(damaged(format!("a piece of {whole} bytes")));
    }
    let mut bytes = Vec::new();
    from.by_ref().take(u64::from(packed)).read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() != packed as usize {
        return Err(damaged("it ends within a piece"));
    }
    zstd::bulk::decompress(&bytes, whole as usize).map(Some).map_err(damaged)
}
