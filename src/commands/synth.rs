//! `remit synth`: a made-up company on disk.

use crate::cli::SynthArgs;
use crate::exit::{Exit, Usage};
use crate::screen;
use crate::synth::{self, Load, Plan};
use chrono::{Days, NaiveTime, Utc};

pub fn run(args: &SynthArgs) -> anyhow::Result<Exit> {
    if let Some(events) = args.load {
        let [plain, packed] =
            synth::write_load(&Load { seed: args.seed, events, files: args.files }, &args.out)?;
        screen::out(&format!(
            "{events} events in {} files, {plain} bytes, {packed} as stored, in {}\n",
            args.files,
            args.out.display()
        ))?;
        return Ok(Exit::Done);
    }
    if args.days == 0 || args.days > 400 {
        return Err(Usage::error(format!("--days {} is out of range; 1 to 400", args.days)));
    }
    let last = args.end.unwrap_or_else(|| Utc::now().date_naive() - Days::new(1));
    let end = (last + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
    let written = synth::write(&Plan { seed: args.seed, days: args.days, end }, &args.out)?;
    screen::out(&format!(
        "{} events in {} files by {} agents in {}\n",
        written.events,
        written.files,
        written.agents,
        args.out.display()
    ))?;
    Ok(Exit::Done)
}
