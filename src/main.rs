//! remit
mod synth;
fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let out = args.next().unwrap_or_default();
    let end = chrono::DateTime::parse_from_rfc3339("2025-11-21T00:00:00Z")?.to_utc();
    let plan = synth::Plan { seed: 7, days: 30, end };
    let started = std::time::Instant::now();
    let written = synth::write(&plan, std::path::Path::new(&out))?;
    println!("{written:?} {:?}", started.elapsed());
    let live = synth::LiveStream::new(&plan)?;
    let stretch = live.between(end, end + chrono::TimeDelta::minutes(10))?;
    println!("{} {:?}", stretch.events, stretch.planted.first());
    Ok(())
}
