//! The Delta table: what is in it, and the commits that change it.

use super::LakeError;
use super::columns::{DATE, day_of, file_schema};
use super::place::Place;
use arrow::datatypes::{DataType, Field, Schema};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake_core::kernel::{Action, Add, MetadataExt, Remove, StructField, StructType, Transaction};
use deltalake_core::operations::vacuum::VacuumMode;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use object_store::ObjectStore;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How the table is kept. Sequence numbers far longer than any queue keeps a message; removed files longer than any
/// query runs; old commits a day, because there is one every few seconds.
const PROPERTIES: [(&str, &str); 6] = [
    ("delta.appendOnly", "false"),
    ("delta.setTransactionRetentionDuration", "interval 365 days"),
    ("delta.deletedFileRetentionDuration", "interval 1 days"),
    ("delta.logRetentionDuration", "interval 1 days"),
    ("delta.checkpointInterval", "50"),
    ("delta.dataSkippingStatsColumns", "time"),
];

/// For how long removed files stay for those that read an older version.
const REMOVED_KEPT_HOURS: i64 = 24;

/// One file of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LakeFile {
    /// In the lake's place.
    pub path: String,
    pub bytes: u64,
    pub rows: Option<u64>,
    /// Days since 1970.
    pub day: i32,
    /// Of the events (µs), rounded outwards.
    pub times: Option<(i64, i64)>,
}

/// The table as of one version.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub place: Place,
    delta: DeltaTable,
}

impl Table {
    /// Opens what is there; none where nothing is yet.
    pub async fn open(place: &Place) -> Result<Option<Table>, LakeError> {
        let log = object_store::path::Path::from("_delta_log");
        if place.store.list(Some(&log)).try_next().await.map_err(|cause| place.failed(cause))?.is_none() {
            return Ok(None);
        }
        let mut delta = DeltaTable::new(place.log_store());
        delta.load().await.map_err(|cause| place.failed(cause))?;
        let table = Table { place: place.clone(), delta };
        table.check()?;
        Ok(Some(table))
    }

    /// Opens the table, makes it where there is none, and adds the columns that it lacks.
    pub async fn open_or_create(place: &Place) -> Result<Table, LakeError> {
        let mut table = match Table::open(place).await? {
            Some(table) => table,
            None => Table::create(place).await?,
        };
        table.evolve().await?;
        Ok(table)
    }

    async fn create(place: &Place) -> Result<Table, LakeError> {
        let properties = PROPERTIES.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
        let created = DeltaTable::new(place.log_store())
            .create()
            .with_columns(delta_fields()?)
            .with_partition_columns([DATE])
            .with_configuration(properties)
            .with_save_mode(SaveMode::ErrorIfExists)
            .await;
        match created {
            Ok(delta) => Ok(Table { place: place.clone(), delta }),
            // Somebody else was faster.
            Err(cause) => Table::open(place).await?.ok_or_else(|| place.failed(cause)),
        }
    }

    /// Refuses what this version cannot read or keep right.
    fn check(&self) -> Result<(), LakeError> {
        let place = || self.place.shown.clone();
        let state = self.state()?;
        let known = file_schema();
        let schema = state.schema();
        let unknown: Vec<&str> = schema
            .fields()
            .map(|field| field.name().as_str())
            .filter(|name| *name != DATE && known.field_with_name(name).is_err())
            .collect();
        if !unknown.is_empty() {
            return Err(LakeError::Newer { place: place(), columns: unknown.join(", ") });
        }
        if !schema.fields().any(|field| field.name() == "event_id") {
            return Err(LakeError::Foreign { place: place(), why: "it has no column `event_id`".to_owned() });
        }
        if *state.metadata().partition_columns() != [DATE] {
            return Err(LakeError::Foreign { place: place(), why: format!("it has no partition `{DATE}`") });
        }
        // Files would not be what they seem: <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#table-features>.
        let config = state.metadata().configuration();
        let feature = ["delta.enableDeletionVectors", "delta.columnMapping.mode"]
            .into_iter()
            .find(|key| config.get(*key).is_some_and(|value| value != "false" && value != "none"));
        match feature {
            Some(key) => Err(LakeError::Foreign { place: place(), why: format!("`{key}` is on") }),
            None => Ok(()),
        }
    }

    /// Adds the columns that were added to the event table since.
    async fn evolve(&mut self) -> Result<(), LakeError> {
        let known = self.state()?.schema();
        let added: Vec<StructField> =
            delta_fields()?.into_iter().filter(|field| known.field(field.name()).is_none()).collect();
        if added.is_empty() {
            return Ok(());
        }
        let whole = StructType::try_new(known.fields().cloned().chain(added.iter().cloned()))
            .map_err(|cause| self.place.failed(cause))?;
        let metadata =
            self.state()?.metadata().clone().with_schema(&whole).map_err(|e| self.place.failed(e))?;
        let operation = DeltaOperation::AddColumn { fields: added };
        self.change(vec![Action::Metadata(metadata)], operation, CommitProperties::default()).await?;
        self.check()
    }

    fn state(&self) -> Result<&deltalake_core::table::state::DeltaTableState, LakeError> {
        self.delta.snapshot().map_err(|cause| self.place.failed(cause))
    }

    pub fn version(&self) -> Option<u64> {
        self.delta.version()
    }

    /// Brings it to the newest version.
    pub async fn update(&mut self) -> Result<(), LakeError> {
        self.delta.update_state().await.map_err(|cause| self.place.failed(cause))?;
        self.check()
    }

    /// The last sequence number of a shard that this version holds.
    pub async fn sequence(&self, shard: &str) -> Result<Option<i64>, LakeError> {
        let log = self.delta.log_store();
        self.state()?.transaction_version(&log, shard).await.map_err(|cause| self.place.failed(cause))
    }

    /// Adds files, and says up to which sequence number of the shard the table holds everything then. The caller has
    /// asked for [`Table::sequence`]: the table refuses no number that it holds already.
    pub async fn append(&mut self, files: &[LakeFile], shard: &str, sequence: i64) -> Result<(), LakeError> {
        let now = chrono::Utc::now().timestamp_millis();
        let txn = Transaction::new_with_last_update(shard, sequence, Some(now));
        let properties = CommitProperties::default().with_application_transaction(txn);
        let actions = files.iter().map(|file| Action::Add(file.add(true, now))).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![DATE.to_owned()]),
            predicate: None,
        };
        self.change(actions, operation, properties).await
    }

    /// Puts one file in the place of others with the same rows.
    pub async fn replace(&mut self, old: &[LakeFile], new: &LakeFile) -> Result<(), LakeError> {
        let now = chrono::Utc::now().timestamp_millis();
        let mut actions: Vec<Action> = old.iter().map(|file| Action::Remove(file.remove(now))).collect();
        actions.push(Action::Add(new.add(false, now)));
        let operation = DeltaOperation::Optimize {
            predicate: None,
            target_size: i64::try_from(new.bytes).unwrap_or(i64::MAX),
        };
        self.change(actions, operation, CommitProperties::default()).await
    }

    async fn change(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        properties: CommitProperties,
    ) -> Result<(), LakeError> {
        let log = self.delta.log_store();
        let committed = {
            let state: &dyn TableReference = self.state()?;
            CommitBuilder::from(properties).with_actions(actions).build(Some(state), log, operation).await
        };
        let committed = committed.map_err(|cause| self.place.failed(cause))?;
        self.delta.state = Some(committed.snapshot());
        Ok(())
    }

    /// The files of this version.
    pub fn files(&self) -> Result<Vec<LakeFile>, LakeError> {
        let mut files = Vec::new();
        for file in self.state()?.log_data().iter() {
            let path = file.path().into_owned();
            let foreign = |why: String| LakeError::Foreign { place: self.place.shown.clone(), why };
            if file.deletion_vector_descriptor().is_some() {
                return Err(foreign(format!("`{path}` has a deletion vector")));
            }
            let date = file.partition_values_map().remove(DATE).flatten();
            let Some(day) = date.as_deref().and_then(day_of) else {
                return Err(foreign(format!("`{path}` has no date")));
            };
            let stats = file.stats().and_then(|stats| serde_json::from_str::<Stats>(&stats).ok());
            files.push(LakeFile {
                path,
                bytes: u64::try_from(file.size()).unwrap_or(0),
                rows: stats.as_ref().map(|stats| stats.num_records),
                day,
                times: stats.as_ref().and_then(Stats::times),
            });
        }
        Ok(files)
    }

    /// The paths of this version.
    pub fn paths(&self) -> Result<HashSet<String>, LakeError> {
        Ok(self.state()?.log_data().iter().map(|file| file.path().into_owned()).collect())
    }

    /// Deletes what no version names that anybody may still read. Only this process writes files here, and none now.
    pub async fn vacuum(&mut self) -> Result<usize, LakeError> {
        let vacuum = self
            .delta
            .clone()
            .vacuum()
            .with_mode(VacuumMode::Full)
            .with_retention_period(chrono::TimeDelta::hours(REMOVED_KEPT_HOURS));
        let (delta, done) = vacuum.await.map_err(|cause| self.place.failed(cause))?;
        self.delta = delta;
        Ok(done.files_deleted.len())
    }
}

impl Place {
    pub(super) fn failed(&self, cause: impl Into<DeltaTableError>) -> LakeError {
        LakeError::Delta { place: self.shown.clone(), cause: Box::new(cause.into()) }
    }
}

/// What the table says of a file's rows
/// (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics>).
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    num_records: u64,
    #[serde(default)]
    min_values: HashMap<String, serde_json::Value>,
    #[serde(default)]
    max_values: HashMap<String, serde_json::Value>,
    #[serde(default)]
    null_count: HashMap<String, serde_json::Value>,
}

impl Stats {
    fn times(&self) -> Option<(i64, i64)> {
        let time = |values: &HashMap<String, serde_json::Value>| {
            let text = values.get("time")?.as_str()?;
            Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros())
        };
        // Milliseconds, cut off: the latest may be up to one later.
        Some((time(&self.min_values)?, time(&self.max_values)?.saturating_add(999)))
    }
}

impl LakeFile {
    fn partition(&self) -> HashMap<String, Option<String>> {
        HashMap::from([(DATE.to_owned(), Some(super::columns::date_of(self.day)))])
    }

    fn stats(&self) -> Option<String> {
        let text = |time: i64| {
            let time = chrono::DateTime::from_timestamp_micros(time)?;
            Some(time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into())
        };
        let of = |time: Option<i64>| -> HashMap<String, serde_json::Value> {
            time.and_then(text).map(|text| ("time".to_owned(), text)).into_iter().collect()
        };
        let stats = Stats {
            num_records: self.rows?,
            min_values: of(self.times.map(|(earliest, _)| earliest)),
            max_values: of(self.times.map(|(_, latest)| latest)),
            null_count: HashMap::new(),
        };
        serde_json::to_string(&stats).ok()
    }

    fn add(&self, data_change: bool, now: i64) -> Add {
        Add {
            path: self.path.clone(),
            partition_values: self.partition(),
            size: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            modification_time: now,
            data_change,
            stats: self.stats(),
            ..Add::default()
        }
    }

    fn remove(&self, now: i64) -> Remove {
        Remove {
            path: self.path.clone(),
            data_change: false,
            deletion_timestamp: Some(now),
            extended_file_metadata: Some(true),
            partition_values: Some(self.partition()),
            size: i64::try_from(self.bytes).ok(),
            ..Remove::default()
        }
    }
}

/// The table's columns: the date, then those of the files.
fn delta_fields() -> Result<Vec<StructField>, LakeError> {
    let date = Arc::new(Field::new(DATE, DataType::Date32, true));
    // `time` first among those that the table keeps the smallest and the largest of.
    let fields: Vec<_> = std::iter::once(date).chain(file_schema().fields().iter().cloned()).collect();
    let schema: StructType = (&Schema::new(fields)).try_into_kernel()?;
    Ok(schema.into_fields().collect())
}
