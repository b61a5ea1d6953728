//! The table `events`: the lake at one version, read as plain Parquet.

use super::LakeError;
use super::columns::{DATE, file_schema};
use super::place::Place;
use super::table::{LakeFile, Table};
use arrow::array::{ArrayRef, BooleanArray, Date32Array, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, DFSchema, Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use std::collections::HashSet;
use std::sync::Arc;

/// The events of one version.
#[derive(Debug)]
pub(super) struct Events {
    place: Place,
    store: ObjectStoreUrl,
    files: Vec<LakeFile>,
    columns: TableSchema,
}

impl Events {
    pub fn of(table: &Table) -> std::result::Result<Events, LakeError> {
        let place = table.place.clone();
        let store = match place.url.host_str() {
            Some(host) => format!("{}://{host}", place.url.scheme()),
            None => format!("{}:///", place.url.scheme()),
        };
        let bad = |cause: datafusion::error::DataFusionError| LakeError::Place {
            place: place.shown.clone(),
            cause: cause.to_string(),
        };
        let store = ObjectStoreUrl::parse(store).map_err(bad)?;
        let date = Arc::new(Field::new(DATE, DataType::Date32, true));
        let columns = TableSchema::builder(seen_schema()).with_table_partition_cols(vec![date]).build();
        Ok(Events { store, files: table.files()?, columns, place })
    }

    /// Where its files are read from.
    pub fn register(&self, runtime: &datafusion::execution::runtime_env::RuntimeEnv) {
        runtime.register_object_store(self.store.as_ref(), self.place.root.clone());
    }

    /// The files that may hold what the filters ask for.
    fn candidates(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&LakeFile>> {
        let all = || self.files.iter().collect();
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(all()) };
        let schema = self.columns.table_schema();
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(schema.clone())?)?;
        // What it cannot use it passes over: then every file is a candidate.
        let Ok(pruning) = PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(filter)
        else {
            return Ok(all());
        };
        let kept = pruning.prune(&FileStatistics(&self.files))?;
        Ok(self.files.iter().zip(kept).filter_map(|(file, kept)| kept.then_some(file)).collect())
    }
}

/// The columns of files as they are read: views cost no copy.
fn seen_schema() -> SchemaRef {
    let seen = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => field.clone(),
    };
    Arc::new(Schema::new(file_schema().fields().iter().map(seen).collect::<Vec<_>>()))
}

#[async_trait]
impl TableProvider for Events {
    fn schema(&self) -> SchemaRef {
        self.columns.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.columns.table_schema();
        let unknown = || Statistics::new_unknown(schema);
        let mut groups: Vec<Vec<PartitionedFile>> = Vec::new();
        let parts = state.config().target_partitions().max(1);
        let mut rows = Precision::Exact(0_usize);
        for (at, file) in self.candidates(state, filters)?.into_iter().enumerate() {
            let of_file = file.rows.map_or(Precision::Absent, |rows| Precision::Exact(rows as usize));
            rows = rows.add(&of_file);
            let path = format!("{}/{}", self.place.prefix, file.path);
            let file = PartitionedFile::new(path, file.bytes)
                .with_partition_values(vec![ScalarValue::Date32(Some(file.day))])
                .with_statistics(Arc::new(unknown().with_num_rows(of_file)));
            match groups.get_mut(at % parts) {
                Some(group) => group.push(file),
                None => groups.push(vec![file]),
            }
        }
        let source = Arc::new(ParquetSource::new(self.columns.clone()));
        let scan = FileScanConfigBuilder::new(self.store.clone(), source)
            .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
            .with_statistics(unknown().with_num_rows(rows))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}

/// What is known of each file.
struct FileStatistics<'a>(&'a [LakeFile]);

impl FileStatistics<'_> {
    fn of(&self, column: &Column, time: impl Fn((i64, i64)) -> i64) -> Option<ArrayRef> {
        match column.name.as_str() {
            DATE => Some(Arc::new(Date32Array::from_iter_values(self.0.iter().map(|file| file.day)))),
            "time" => {
                let times = self.0.iter().map(|file| file.times.map(&time));
                Some(Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC")))
            }
            _ => None,
        }
    }
}

impl PruningStatistics for FileStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, |(earliest, _)| earliest)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, |(_, latest)| latest)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == DATE).then(|| Arc::new(UInt64Array::from(vec![0; self.0.len()])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter(self.0.iter().map(|file| file.rows))))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
