//! Rows become Parquet: one file for each day, written to memory in pieces of bounded size.

use super::LakeError;
use super::columns::{by_day, date_of, file_schema, times};
use super::table::LakeFile;
use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::collections::BTreeMap;

/// Rows of a row group: what a reader that looks for few of them skips at once.
const GROUP_ROWS: usize = 64 << 10;

/// Bytes that unfinished row groups may hold before the largest is finished early.
const OPEN_BYTES_MAX: usize = 48 << 20;

/// Days that are written at once; with one more the longest file is closed. Logs cover a day or two, histories more.
const OPEN_DAYS_MAX: usize = 40;

/// Columns of values that hardly repeat: a dictionary of them is work for nothing.
const VARIED: [&str; 9] = [
    "event_id",
    "shared_event_id",
    "request_id",
    "error_message",
    "request",
    "response",
    "additional",
    "event_context",
    "granted",
];

fn properties() -> Result<WriterProperties, LakeError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(format!("remit {}", env!("CARGO_PKG_VERSION")));
    for column in VARIED {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    for column in ["request", "response", "additional", "event_context", "granted", "error_message"] {
        properties =
            properties.set_column_statistics_enabled(ColumnPath::from(column), EnabledStatistics::None);
    }
    Ok(properties.build())
}

/// A file that is written and not yet anywhere.
#[derive(Debug)]
pub(super) struct Written {
    pub file: LakeFile,
    pub bytes: Bytes,
}

/// Files under way, one for each day. They are named by a prefix and a number: who writes the same rows again writes
/// other files.
pub(super) struct Files {
    prefix: String,
    open: BTreeMap<i32, Open>,
    done: Vec<Written>,
}

struct Open {
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
    times: Option<(i64, i64)>,
}

impl Files {
    pub fn new(prefix: String) -> Files {
        Files { prefix, open: BTreeMap::new(), done: Vec::new() }
    }

    /// Adds rows of any days.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        for (day, rows) in by_day(batch)? {
            self.add_day(day, &rows)?;
        }
        Ok(())
    }

    /// Adds rows of one day.
    pub fn add_day(&mut self, day: i32, rows: &RecordBatch) -> Result<(), LakeError> {
        if !self.open.contains_key(&day) {
            if self.open.len() >= OPEN_DAYS_MAX {
                self.close(|open| open.rows as usize)?;
            }
            let writer = ArrowWriter::try_new(Vec::new(), file_schema(), Some(properties()?))?;
            self.open.insert(day, Open { writer, rows: 0, times: None });
        }
        let Some(open) = self.open.get_mut(&day) else { return Ok(()) };
        open.writer.write(rows)?;
        open.rows += rows.num_rows() as u64;
        open.times = match (open.times, times(rows)) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (known, new) => known.or(new),
        };
        let held: usize = self.open.values().map(|open| open.writer.in_progress_size()).sum();
        if held > OPEN_BYTES_MAX
            && let Some(largest) = self.open.values_mut().max_by_key(|open| open.writer.in_progress_size())
        {
            largest.writer.flush()?;
        }
        Ok(())
    }

    fn close(&mut self, by: impl Fn(&Open) -> usize) -> Result<(), LakeError> {
        let Some(day) = self.open.iter().max_by_key(|(_, open)| by(open)).map(|(day, _)| *day) else {
            return Ok(());
        };
        let Some(open) = self.open.remove(&day) else { return Ok(()) };
        let bytes = Bytes::from(open.writer.into_inner()?);
        let path = format!("date={}/{}-{}.parquet", date_of(day), self.prefix, self.done.len());
        let file =
            LakeFile { path, bytes: bytes.len() as u64, rows: Some(open.rows), day, times: open.times };
        self.done.push(Written { file, bytes });
        Ok(())
    }

    /// Everything, finished.
    pub fn finish(mut self) -> Result<Vec<Written>, LakeError> {
        while !self.open.is_empty() {
            self.close(|open| open.rows as usize)?;
        }
        Ok(self.done)
    }
}
