//! The inventory as text: a table for people, CSV for spreadsheets, JSON for programs.

use crate::cli::UsageListing;
use alerts::text::{csv, plain};
use anyhow::Context;
use engine::time::rfc3339;
use engine::usage::UsageRow;
use std::io::{BufWriter, ErrorKind, Write};

/// Longest name in a table and in a cell.
const NAME_MAX: usize = 160;
const CELL_MAX: usize = 2_000;

const COLUMNS: [&str; 8] =
    ["identity", "service", "operation", "permissions", "count", "denied", "first", "last"];

/// Writes the rows to standard output. A reader that went away (`| head`) is no error.
pub fn print(rows: &[UsageRow], output: UsageListing) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let written = match output {
        UsageListing::Table => table(rows, &mut out),
        UsageListing::Csv => cells(rows, &mut out),
        UsageListing::Json => json(rows, &mut out),
        UsageListing::Ndjson => lines(rows, &mut out),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write the output"),
        _ => Ok(()),
    }
}

fn table(rows: &[UsageRow], out: &mut impl Write) -> std::io::Result<()> {
    let cells = |row: &UsageRow| {
        [
            plain(&row.identity, NAME_MAX),
            plain(&row.service, NAME_MAX),
            plain(&row.operation, NAME_MAX),
            row.count.to_string(),
            row.denied.to_string(),
            rfc3339(row.first),
            rfc3339(row.last),
            plain(&row.permissions.join(", "), CELL_MAX),
        ]
    };
    let head = ["IDENTITY", "SERVICE", "OPERATION", "COUNT", "DENIED", "FIRST", "LAST", "PERMISSIONS"];
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&cells(row)) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let [who, service, operation, count, denied, first, last, _] = widths;
    let mut line = |cells: [&str; 8]| {
        let [a, b, c, d, e, f, g, h] = cells;
        let text = format!(
            "{a:<who$}  {b:<service$}  {c:<operation$}  {d:>count$}  {e:>denied$}  {f:<first$}  {g:<last$}  {h}"
        );
        writeln!(out, "{}", text.trim_end())
    };
    line(head)?;
    rows.iter().try_for_each(|row| line(cells(row).each_ref().map(String::as_str)))
}

/// RFC 4180, whose lines end with CR LF. No cell is a formula.
fn cells(rows: &[UsageRow], out: &mut impl Write) -> std::io::Result<()> {
    write!(out, "{}\r\n", COLUMNS.join(","))?;
    for row in rows {
        write!(
            out,
            "{},{},{},{},{},{},{},{}\r\n",
            csv(&row.identity, CELL_MAX),
            csv(&row.service, CELL_MAX),
            csv(&row.operation, CELL_MAX),
            csv(&row.permissions.join("; "), CELL_MAX),
            row.count,
            row.denied,
            rfc3339(row.first),
            rfc3339(row.last)
        )?;
    }
    Ok(())
}

fn lines(rows: &[UsageRow], out: &mut impl Write) -> std::io::Result<()> {
    for row in rows {
        serde_json::to_writer(&mut *out, row)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn json(rows: &[UsageRow], out: &mut impl Write) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &serde_json::json!({ "schema_version": 1, "usage": rows }))?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(identity: &str) -> UsageRow {
        UsageRow {
            identity: identity.into(),
            service: "s3.amazonaws.com".into(),
            operation: "CopyObject".into(),
            permissions: vec!["s3:GetObject".into(), "s3:PutObject".into()],
            count: 3,
            denied: 1,
            first: 0,
            last: 1_500_000,
        }
    }

    fn text(rows: &[UsageRow], write: fn(&[UsageRow], &mut Vec<u8>) -> std::io::Result<()>) -> String {
        let mut out = Vec::new();
        write(rows, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_row_is_told_in_every_form() {
        assert_eq!(
            text(&[row("ant")], cells),
            "identity,service,operation,permissions,count,denied,first,last\r\n\
             \"ant\",\"s3.amazonaws.com\",\"CopyObject\",\"s3:GetObject; s3:PutObject\",3,1,\
             1970-01-01T00:00:00Z,1970-01-01T00:00:01.500Z\r\n"
        );
        assert_eq!(
            text(&[row("ant")], lines),
            "{\"identity\":\"ant\",\"service\":\"s3.amazonaws.com\",\"operation\":\"CopyObject\",\
             \"permissions\":[\"s3:GetObject\",\"s3:PutObject\"],\"count\":3,\"denied\":1,\
             \"first\":\"1970-01-01T00:00:00Z\",\"last\":\"1970-01-01T00:00:01.500Z\"}\n"
        );
        assert!(text(&[row("ant")], table).ends_with("  s3:GetObject, s3:PutObject\n"));
        assert!(text(&[], json).contains("\"usage\": []"));
    }

    #[test]
    fn a_name_is_no_formula_and_steers_no_terminal() {
        assert!(text(&[row("=cmd|' /C calc'!A0")], cells).contains("\r\n\"'=cmd|' /C calc'!A0\","));
        let told = text(&[row("ant\u{1b}[2J\nIDENTITY")], table);
        assert!(!told.contains('\u{1b}') && told.lines().count() == 2, "{told}");
    }
}
