//! Ways of doing one job, timed side by side.
//!
//! Every round runs each way once, and the ways are compared by the median of their paired ratios of CPU time: so the
//! figures mean the same on any machine, and survive a noisy one.

#![expect(clippy::indexing_slicing, reason = "a bench: every way has a round more than it warms up for")]

use std::hint::black_box;
use std::time::Duration;

use libdeflater::Decompressor;

/// One way, and how long each round of it took.
pub struct Way<'w> {
    pub name: &'static str,
    pub work: Box<dyn FnMut() -> usize + 'w>,
    seconds: Vec<f64>,
}

impl<'w> Way<'w> {
    pub fn new(name: &'static str, work: impl FnMut() -> usize + 'w) -> Way<'w> {
        Way { name, work: Box::new(work), seconds: Vec::new() }
    }

    fn measured(&self) -> &[f64] {
        // The first round warmed up.
        &self.seconds[1..]
    }
}

/// Runs all ways in turn and prints them beside the first, which inflates, and the last, which is `serde_json`'s.
pub fn compare(ways: &mut [Way<'_>], rounds: usize, events: usize) {
    for _ in 0..=rounds {
        for way in &mut *ways {
            let took = timed(&mut way.work);
            way.seconds.push(took.as_secs_f64());
        }
    }
    let (Some(inflating), Some(serde)) = (ways.first(), ways.last()) else { return };
    println!("{:10} {:>9} {:>12} {:>12} {:>10}", "", "µs/event", "events/s", "x inflating", "x serde");
    for way in &*ways {
        let seconds = way.measured();
        let each = median(seconds.iter().copied()) / events as f64;
        let against =
            |other: &Way<'_>| median(other.measured().iter().zip(seconds).map(|(other, own)| other / own));
        println!(
            "{:10} {:9.3} {:12.0} {:12.3} {:10.2}",
            way.name,
            each * 1e6,
            1.0 / each,
            against(inflating),
            against(serde)
        );
    }
}

pub fn inflate(gzip: &mut Decompressor, gz: &[u8], buffer: &mut [u8]) -> usize {
    gzip.gzip_decompress(black_box(gz), buffer).unwrap_or_default()
}

pub fn timed(work: &mut dyn FnMut() -> usize) -> Duration {
    let began = cpu_time();
    black_box(work());
    cpu_time().saturating_sub(began)
}

/// CPU time of this thread: <https://docs.kernel.org/scheduler/sched-stats.html>
fn cpu_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
