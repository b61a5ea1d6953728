//! An answer on standard output. Its texts are the logs': nothing in them moves a cursor or becomes a formula.

use crate::cli::QueryOutput;
use crate::screen;
use alerts::text::{csv, plain};
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::json::LineDelimitedWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Longest cell of a table, and of a spreadsheet, in UTF-16 units.
const CELL_MAX: usize = 60;
const CSV_CELL_MAX: usize = 32_000;

/// Rows of a table before its columns are drawn: their widths must be known.
const DRAWN_TOGETHER: usize = 1_000;

/// Prints batches as they come.
pub struct Printer {
    output: QueryOutput,
    columns: SchemaRef,
    /// Cells of a table's rows that are not drawn yet.
    rows: Vec<Vec<String>>,
    is_begun: bool,
}

impl Printer {
    pub fn new(output: QueryOutput, columns: SchemaRef) -> Printer {
        Printer { output, columns, rows: Vec::new(), is_begun: false }
    }

    pub fn add(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        match self.output {
            QueryOutput::Table => {
                for row in cells(batch)? {
                    self.rows.push(row.iter().map(|cell| plain(cell, CELL_MAX)).collect());
                    if self.rows.len() >= DRAWN_TOGETHER {
                        self.draw()?;
                    }
                }
                Ok(())
            }
            QueryOutput::Csv => {
                let mut out = self.csv_head();
                for row in cells(batch)? {
                    out.push_str(&line(row.iter().map(|cell| csv(cell, CSV_CELL_MAX))));
                }
                screen::out(&out)
            }
            QueryOutput::Ndjson => {
                let mut lines = LineDelimitedWriter::new(Vec::new());
                lines.write(batch)?;
                lines.finish()?;
                screen::out(&escaped(&String::from_utf8(lines.into_inner())?))
            }
        }
    }

    /// What is left to say.
    pub fn end(mut self) -> anyhow::Result<()> {
        match self.output {
            QueryOutput::Table if !self.rows.is_empty() || !self.is_begun => self.draw(),
            QueryOutput::Csv if !self.is_begun => screen::out(&self.csv_head()),
            _ => Ok(()),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.fields().iter().map(|field| field.name().as_str())
    }

    fn csv_head(&mut self) -> String {
        if std::mem::replace(&mut self.is_begun, true) {
            return String::new();
        }
        line(self.names().map(|name| csv(name, CSV_CELL_MAX)))
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        let mut rows = std::mem::take(&mut self.rows);
        if !std::mem::replace(&mut self.is_begun, true) {
            rows.insert(0, self.names().map(|name| plain(name, CELL_MAX)).collect());
        }
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.fields().len()).map(width).collect();
        let mut out = String::new();
        for row in &rows {
            let mut line = String::new();
            for ((cell, width), field) in row.iter().zip(&widths).zip(self.columns.fields()) {
                let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
                if field.data_type().is_numeric() {
                    line.push_str(&gap);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&gap);
                }
                line.push_str("  ");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        screen::out(&out)
    }
}

/// Keeps the JSON what it is and shows the rest: what hides or reorders text is written as its code.
fn escaped(json: &str) -> String {
    if !json.chars().any(|c| c != '\n' && engine::log_text::hides(c)) {
        return json.to_owned();
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !engine::log_text::hides(c) {
            out.push(c);
        } else {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let mut line = cells.collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

/// The cells of a batch as text, row by row; nulls are empty.
fn cells(batch: &RecordBatch) -> anyhow::Result<Vec<Vec<String>>> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let columns: Vec<ArrayFormatter<'_>> = columns.collect::<Result<_, _>>()?;
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let cells = columns.iter().zip(batch.columns()).map(|(column, values)| {
            if values.is_null(row) { Ok(String::new()) } else { column.value(row).try_to_string() }
        });
        rows.push(cells.collect::<Result<_, _>>()?);
    }
    Ok(rows)
}
