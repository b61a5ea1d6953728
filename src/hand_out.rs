//! Files handed out to threads: the largest first, so that the last one to end is a small one; small ones by the dozen.

use ingest::source::SourceError;
use ingest::sources::directory::LogFile;

/// Files that are looked at together, and among which the largest come first.
const WINDOW: usize = 8_192;

/// Most files of one turn.
const TURN_FILES: usize = 64;

/// Hands `files` to `take`, in turns of about `turn_bytes`; what cannot be entered goes to `fault`. False when `take`
/// wanted no more.
///
/// # Errors
/// What `take` fails with.
pub fn hand_out(
    mut files: impl Iterator<Item = Result<LogFile, SourceError>>,
    turn_bytes: u64,
    mut fault: impl FnMut(SourceError),
    mut take: impl FnMut(Vec<LogFile>) -> anyhow::Result<bool>,
) -> anyhow::Result<bool> {
    loop {
        let mut window = Vec::new();
        for file in files.by_ref().take(WINDOW) {
            match file {
                Ok(file) => window.push(file),
                Err(error) => fault(error),
            }
        }
        if window.is_empty() {
            return Ok(true);
        }
        window.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        let (mut turn, mut bytes) = (Vec::new(), 0);
        for file in window {
            bytes += file.bytes;
            turn.push(file);
            if turn.len() >= TURN_FILES || bytes >= turn_bytes {
                bytes = 0;
                if !take(std::mem::take(&mut turn))? {
                    return Ok(false);
                }
            }
        }
        if !turn.is_empty() && !take(turn)? {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: u64) -> Result<LogFile, SourceError> {
        Ok(LogFile { path: bytes.to_string().into(), bytes, modified: None })
    }

    #[test]
    fn the_largest_come_first_and_small_ones_together() {
        let mut turns = Vec::new();
        let files = [3, 50, 2, 10, 1].map(file).into_iter();
        let all = hand_out(
            files,
            10,
            |_| {},
            |turn| {
                turns.push(turn.iter().map(|file| file.bytes).collect::<Vec<_>>());
                Ok(true)
            },
        );
        assert!(all.unwrap());
        assert_eq!(turns, [vec![50], vec![10], vec![3, 2, 1]]);
    }

    #[test]
    fn a_fault_costs_its_neighbours_nothing_and_whoever_wants_no_more_gets_none() {
        let closed = SourceError::Path { path: "logs".into(), cause: "permission denied".into() };
        let (mut faults, mut taken) = (0, 0);
        let files = [file(1), Err(closed), file(2)].into_iter();
        let all = hand_out(
            files,
            1,
            |_| faults += 1,
            |turn| {
                taken += turn.len();
                Ok(false)
            },
        );
        assert_eq!((all.unwrap(), faults, taken), (false, 1, 1));
    }
}
