//! What the store holds, counted by itself: with plain questions to its file, past all of the product's own counting.

use super::remit::run;
use super::runtime;
use super::world::World;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Sums over the objects of a store, and the events that it remembers.
#[derive(Debug, Default)]
pub struct Tally {
    pub done: i64,
    /// Objects that are neither done nor otherwise ended.
    pub open: i64,
    pub read: i64,
    pub stored: i64,
    pub duplicates: i64,
    pub quarantined: i64,
    /// Reasons of the quarantine, and how often.
    pub reasons: BTreeMap<String, i64>,
    pub events: BTreeSet<u128>,
    /// Events that are remembered more than once.
    pub repeated: usize,
    /// Messages to receivers that are still to be sent, or to be sent again.
    pub untold: i64,
}

impl Tally {
    /// Of the store in `folder`, whether or not remit runs on it.
    pub fn of(folder: &Path) -> Tally {
        runtime().block_on(async {
            let mut store = open(folder).await;
            let objects = "SELECT coalesce(sum(state = 'done'), 0), coalesce(sum(state = 'claimed'), 0),
                coalesce(sum(read), 0), coalesce(sum(stored), 0), coalesce(sum(duplicates), 0),
                coalesce(sum(quarantined), 0) FROM objects";
            let sums = sqlx::query(objects).fetch_one(&mut store).await.unwrap();
            let number = |at: usize| sums.get::<i64, _>(at);
            let mut tally = Tally {
                done: number(0),
                open: number(1),
                read: number(2),
                stored: number(3),
                duplicates: number(4),
                quarantined: number(5),
                ..Tally::default()
            };
            let untold = "SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending')";
            tally.untold = sqlx::query_scalar(untold).fetch_one(&mut store).await.unwrap();
            let reasons = "SELECT reason, count(*) FROM quarantine GROUP BY reason";
            for row in sqlx::query(reasons).fetch_all(&mut store).await.unwrap() {
                tally.reasons.insert(row.get(0), row.get(1));
            }
            for row in sqlx::query("SELECT uuids FROM seen_events").fetch_all(&mut store).await.unwrap() {
                for id in row.get::<Vec<u8>, _>(0).chunks_exact(16) {
                    let is_new = tally.events.insert(u128::from_be_bytes(id.try_into().unwrap()));
                    tally.repeated += usize::from(!is_new);
                }
            }
            tally
        })
    }

    /// What is lost, repeated or made up against a world; none where every event counts once.
    pub fn difference(&self, world: &World) -> Option<String> {
        let expected: BTreeSet<u128> =
            world.calls.iter().map(|call| id_of(&world.event_id(call.number))).collect();
        let lost = expected.difference(&self.events).count();
        let made_up = self.events.difference(&expected).count();
        let is_right = lost == 0
            && made_up == 0
            && self.repeated == 0
            && self.stored == expected.len() as i64
            && self.read == self.stored + self.duplicates + self.quarantined;
        (!is_right).then(|| {
            format!(
                "of {} events {lost} lost, {} repeated, {made_up} made up; {} objects done, {} open, read {} = \
                 stored {} + duplicates {} + quarantined {}; quarantine {:?}",
                expected.len(),
                self.repeated,
                self.done,
                self.open,
                self.read,
                self.stored,
                self.duplicates,
                self.quarantined,
                self.reasons,
            )
        })
    }
}

/// What the lake holds: events, and distinct ids among them. None as long as this remit has no lake.
pub fn of_lake(folder: &Path) -> Option<(u64, u64)> {
    let question = "SELECT count(*) AS events, count(DISTINCT event_id) AS ids FROM events";
    let asked = run(folder, &["query", "-c", "remit.toml", "--output", "ndjson", question], "", &[]);
    if asked.code != Some(0) {
        assert!(asked.stderr.contains("unrecognized subcommand"), "{}", asked.stderr);
        return None;
    }
    let line: Value = asked.lines().into_iter().next()?;
    Some((line["events"].as_u64()?, line["ids"].as_u64()?))
}

/// What is kept of each identity beside findings: the same after the same events in any order.
pub fn state(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let tables = [
        "SELECT identity, permission, block, days, first_used, last_used, uses FROM presence",
        "SELECT identity, permission, first_seen, last_seen, count FROM denials",
    ];
    runtime().block_on(async {
        let mut store = open(folder).await;
        let mut state: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for table in tables {
            for row in sqlx::query(table).fetch_all(&mut store).await.unwrap() {
                state.entry(row.get(0)).or_default().push(line(&row));
            }
        }
        state.values_mut().for_each(|lines| lines.sort_unstable());
        state
    })
}

fn line(row: &SqliteRow) -> String {
    let column =
        |at: usize| row.try_get::<String, _>(at).unwrap_or_else(|_| row.get::<i64, _>(at).to_string());
    (1..row.len()).map(column).collect::<Vec<_>>().join(" ")
}

async fn open(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("remit.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

fn id_of(text: &str) -> u128 {
    u128::from_str_radix(&text.replace('-', ""), 16).unwrap()
}
