//! One row per agent, identity and permission, for spreadsheets. No cell is a formula.

use crate::report::{Report, ReportError, instant};
use crate::text::csv;
use std::io::Write;

const CELL_MAX: usize = 2_000;

const HEADER: &str = "agent,identity,permission,level,declared,granted,used,uses,days_used,first_used,last_used,denied,\
                      mark,meaning,why,granted_by";

pub(crate) fn write(report: &Report<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    // RFC 4180 ends lines with CR LF.
    write!(out, "{HEADER}\r\n")?;
    for agent in &report.agents {
        let name = csv(&agent.agent.agent, CELL_MAX);
        for identity in &agent.identities {
            let arn = csv(&identity.identity.identity, CELL_MAX);
            for line in &identity.lines {
                let p = line.permission;
                let granted = match p.granted {
                    Some(true) => "yes",
                    Some(false) => "no",
                    None => "unknown",
                };
                let yes = |is: bool| if is { "yes" } else { "no" };
                write!(
                    out,
                    "{name},{arn},{},{},{},{granted},{},{},{},{},{},{},\"{}\",\"{}\",{},{}\r\n",
                    csv(&p.permission, CELL_MAX),
                    p.level.map_or("", |level| level.as_str()),
                    yes(p.declared),
                    yes(p.uses > 0),
                    p.uses,
                    p.days_used,
                    instant(p.first_used).unwrap_or_default(),
                    instant(p.last_used).unwrap_or_default(),
                    p.denied,
                    p.mark.as_str(),
                    line.meaning.as_str(),
                    csv(&p.why, CELL_MAX),
                    csv(&p.granted_by.join("; "), CELL_MAX),
                )?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::report::{Format, Report};
    use crate::samples;

    #[test]
    fn hostile_names_are_text() {
        let mut posture = samples::posture();
        posture.agents[0].identities[0].identity = "=cmd|' /C calc'!A0".into();
        let csv = Report::new(&posture, &[], &[], 0, (0, 0)).render(Format::Csv).unwrap();
        assert!(csv.contains(",\"'=cmd|' /C calc'!A0\","));
        let cells = |line: &str| {
            // A comma outside quotes ends a cell.
            let mut quoted = false;
            let mut cells = vec![String::new()];
            for c in line.chars() {
                match c {
                    '"' => quoted = !quoted,
                    ',' if !quoted => cells.push(String::new()),
                    c => cells.last_mut().unwrap().push(c),
                }
            }
            cells
        };
        for line in csv.lines() {
            let cells = cells(line);
            assert_eq!(cells.len(), 16, "{line}");
            assert!(cells.iter().all(|c| !c.starts_with(['=', '+', '-', '@', '\t'])), "{line}");
        }
    }
}
