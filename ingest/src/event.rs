//! The event table: one row per logged call, the same columns for every cloud.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use serde_json::{Map, Value};

use crate::formats::cloudtrail::record::Record;
use crate::formats::cloudtrail::repeats::Sources;
use crate::formats::cloudtrail::row::Row;
use crate::formats::cloudtrail::verbatim::{Lookup, Verbatim};
use crate::keys::Keys;
use column::{Column, Flag, Instant, Key, List, Name, Number, Text};

mod column;
mod names;

pub(crate) use names::Source;

/// Readable events of one object, or of a slice of it: rows of a table with the columns of [`schema`].
///
/// Some columns may not be built: those are looked up in the records, value by value, when somebody asks for one.
#[derive(Debug, Clone)]
pub struct EventBatch {
    built: RecordBatch,
    lookup: Option<Lookup>,
    /// What it was read for: no other column is built or looked up.
    columns: Columns,
}

impl EventBatch {
    /// A batch without rows.
    pub fn empty() -> Self {
        Self { built: RecordBatch::new_empty(schema()), lookup: None, columns: Columns::ALL }
    }

    /// How many events it holds.
    pub fn rows(&self) -> usize {
        self.built.num_rows()
    }

    /// Typed access to the columns, by row.
    pub fn view(&self) -> EventView<'_> {
        EventView::new(self)
    }

    /// A column, where it is built.
    pub fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.built.column_by_name(name)
    }

    /// The same rows with every column built that it was read for.
    #[must_use]
    pub fn whole(&self) -> Self {
        let Some(lookup) = &self.lookup else { return self.clone() };
        EventBuilder::of_kept(self.rows(), self.columns, |at| lookup.row(at)).finish()
    }

    /// All columns that it was read for, each built.
    pub fn table(&self) -> RecordBatch {
        self.whole().built
    }

    /// Whether every one of some columns is built that could be looked up.
    pub fn has_built(&self, columns: &Columns) -> bool {
        self.lookup.is_none() || columns.names().all(|name| self.column(name).is_some())
    }

    /// The rows for which `keep` is true, in their order. A row without an answer (null, or past the end of
    /// `keep`) is dropped.
    pub fn filter(&self, keep: &BooleanArray) -> Self {
        let known = keep.len().min(self.rows());
        let rows = self.built.slice(0, known);
        #[expect(
            clippy::expect_used,
            reason = "lengths are equal and every column type of the schema has a filter"
        )]
        let built = filter_record_batch(&rows, &keep.slice(0, known)).expect("event columns can be filtered");
        let keep = || keep.iter().take(known).map(|keep| keep == Some(true));
        Self { built, lookup: self.lookup.as_ref().map(|lookup| lookup.only(keep())), ..*self }
    }

    /// What its rows are looked up in, for who wants to use the room again.
    pub(crate) fn verbatim(&self) -> Option<&Arc<Verbatim>> {
        self.lookup.as_ref().map(Lookup::verbatim)
    }
}

/// Declares the table once: schema, [`Event`], [`EventBuilder`] and [`EventView`] follow from it.
macro_rules! columns {
    ($( $(#[doc = $doc:literal])+ $name:ident : $kind:ident, $nullable:literal, $value:ty, $seen:ty; )+) => {
        /// The event table's schema. Columns are only ever added.
        pub fn schema() -> SchemaRef {
            static SCHEMA: std::sync::OnceLock<SchemaRef> = std::sync::OnceLock::new();
            SCHEMA
                .get_or_init(|| {
                    let fields =
                        vec![$( Field::new(stringify!($name), <$kind as Column>::data_type(), $nullable), )+];
                    Arc::new(Schema::new(fields))
                })
                .clone()
        }

        /// One row to append, a field per column.
        #[derive(Debug, Clone, Default)]
        pub struct Event<'a> {
            $( $(#[doc = $doc])+ pub $name: $value, )+
        }

        /// Which columns are built.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Columns {
            $( $(#[doc = $doc])+ pub $name: bool, )+
        }

        impl Columns {
            /// Every column.
            pub const ALL: Self = Self { $( $name: true, )+ };
            /// None of them.
            pub const NONE: Self = Self { $( $name: false, )+ };

            /// The columns of these names; names of none are passed over.
            pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
                let mut columns = Self::NONE;
                for name in names {
                    match name {
                        $( stringify!($name) => columns.$name = true, )+
                        _ => {}
                    }
                }
                columns
            }

            /// The columns that either of them has.
            #[must_use]
            pub fn and(self, other: Self) -> Self {
                Self { $( $name: self.$name || other.$name, )+ }
            }

            /// Their names.
            fn names(&self) -> impl Iterator<Item = &'static str> {
                [$( (stringify!($name), self.$name), )+]
                    .into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name)
            }

            /// The schema of a table of these columns, in the order of [`schema`].
            fn schema(&self) -> SchemaRef {
                if *self == Self::ALL {
                    return schema();
                }
                let wanted = [$( self.$name, )+];
                let fields = schema().fields().iter().zip(wanted).filter(|(_, wanted)| *wanted)
                    .map(|(field, _)| field.clone()).collect::<Vec<_>>();
                Arc::new(Schema::new(fields))
            }
        }

        /// Appends rows and ends as an [`EventBatch`].
        pub struct EventBuilder {
            rows: usize,
            columns: Columns,
            built: Columns,
            verbatim: Option<Box<Verbatim>>,
            // Those that are built, each on its own: of a small object few rows are written, and its builder moves about.
            $( $name: Option<Box<<$kind as Column>::Builder>>, )+
        }

        impl EventBuilder {
            /// An empty builder with room for `rows`.
            pub fn with_capacity(rows: usize) -> Self {
                Self::with_columns(rows, Columns::ALL)
            }

            /// An empty builder of some columns; what an [`Event`] says for others is passed over.
            pub fn with_columns(rows: usize, columns: Columns) -> Self {
                Self::building(rows, columns, columns, None)
            }

            fn building(
                rows: usize,
                columns: Columns,
                built: Columns,
                verbatim: Option<Box<Verbatim>>,
            ) -> Self {
                Self {
                    rows: 0,
                    columns,
                    built,
                    verbatim,
                    $( $name: built.$name.then(|| Box::new(<$kind as Column>::builder(rows))), )+
                }
            }

            /// Appends one row. Text is copied.
            pub fn append(&mut self, event: &Event<'_>) {
                self.build_all();
                $(
                    if let Some(builder) = &mut self.$name {
                        <$kind as Column>::append(builder, event.$name.into());
                    }
                )+
                self.rows += 1;
            }

            /// Appends the columns of a record that are built. `sources`: which of its parts are known.
            pub(crate) fn append_row(&mut self, row: &Row<'_>, sources: Sources) {
                $(
                    if let Some(builder) = &mut self.$name {
                        let source = source_of(stringify!($name), &sources);
                        <$kind as Column>::append_from(builder, source, || row.$name().into());
                    }
                )+
                self.rows += 1;
            }

            /// The batch of all rows that were appended; the builder is empty then.
            pub fn finish(&mut self) -> EventBatch {
                let mut columns = Vec::with_capacity(schema().fields().len());
                $(
                    if let Some(builder) = &mut self.$name {
                        columns.push(<$kind as Column>::finish(builder));
                    }
                )+
                let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
                self.rows = 0;
                // Cannot fail: schema and columns come from one declaration, and `append` gives each one value.
                let built = RecordBatch::try_new_with_options(self.built.schema(), columns, &options)
                    .expect("columns follow the schema");
                let lookup = self.verbatim.take().map(|verbatim| Lookup::new(Arc::from(verbatim)));
                EventBatch { built, lookup, columns: self.columns }
            }
        }

        /// Typed getters, one per column. A column that the batch lacks, and a row past its end, read as null.
        pub struct EventView<'a> {
            rows: usize,
            lookup: Option<&'a Lookup>,
            columns: &'a Columns,
            $( $name: Option<<$kind as Column>::View<'a>>, )+
        }

        impl<'a> EventView<'a> {
            fn new(batch: &'a EventBatch) -> Self {
                Self {
                    rows: batch.rows(),
                    lookup: batch.lookup.as_ref(),
                    columns: &batch.columns,
                    $( $name: batch.column(stringify!($name)).and_then(<$kind as Column>::view), )+
                }
            }

            $(
                $(#[doc = $doc])+
                // Called from another crate for every row, and mostly no more than a look into an array.
                #[inline]
                pub fn $name(&self, row: usize) -> $seen {
                    if self.$name.is_none()
                        && self.columns.$name
                        && let Some(row) = self.lookup.and_then(|lookup| lookup.row(row))
                    {
                        return row.$name();
                    }
                    <$kind as Column>::get(self.$name.filter(|_| row < self.rows), row)
                }
            )+

            /// One row as `{column: value}`: nulls are left out, times are RFC 3339, raw JSON stays text.
            pub fn to_json(&self, row: usize) -> Value {
                let mut out = Map::new();
                $(
                    if let Some(value) = <$kind as Column>::json(self.$name(row)) {
                        out.insert(stringify!($name).to_owned(), value);
                    }
                )+
                Value::Object(out)
            }
        }
    };
}

/// The part of a record of CloudTrail that a column is filled from, if from one alone. The compiler knows the answer for
/// every column.
#[inline(always)]
fn source_of(column: &str, sources: &Sources) -> Option<Source> {
    match column {
        "actor_type" | "actor" | "actor_id" | "actor_account" | "invoked_by" => sources.caller,
        "service" | "operation" | "region" => sources.call,
        "recipient_account" | "event_type" | "category" | "api_version" | "vpc_endpoint" | "tls" => {
            sources.end
        }
        _ => None,
    }
}

type Str<'a> = Option<&'a str>;

columns! {
    /// The provider's id of the event. Google Cloud's is its `insertId@time@logName`; where Azure tells none, the
    /// correlation id with a hash of the record; where nothing is told, the hash alone.
    event_id: Key, false, &'a str, &'a str;
    /// One id for the events that several accounts receive about one call.
    shared_event_id: Text, true, Str<'a>, Str<'a>;
    /// When the call was made, µs since 1970, UTC.
    time: Instant, false, i64, Option<i64>;
    /// When the provider received the record, where its log says so.
    received: Instant, true, Option<i64>, Option<i64>;
    /// `aws`, `azure` or `gcp`.
    provider: Name, false, &'a str, Str<'a>;
    /// The caller's account, else the one that received the event. Azure: the subscription, else the tenant; Google Cloud:
    /// the project.
    account: Name, true, Str<'a>, Str<'a>;
    /// The account that received the event. Google Cloud: the project, or `folders/...`, `organizations/...`, whose log
    /// it lies in.
    recipient_account: Name, true, Str<'a>, Str<'a>;
    /// The region of the call.
    region: Name, true, Str<'a>, Str<'a>;
    /// `management`, `data`, `network`, `insight`; of Entra `signin` or `directory`; of Google Cloud `system` or `policy`
    /// as well; or what the log says, in lower case.
    category: Name, true, Str<'a>, Str<'a>;
    /// The service that was called, as logged: `s3.amazonaws.com`, `Microsoft.Compute`, `storage.googleapis.com`.
    service: Name, false, &'a str, Str<'a>;
    /// The operation, as logged.
    operation: Name, false, &'a str, Str<'a>;
    /// The API version that the log names.
    api_version: Name, true, Str<'a>, Str<'a>;
    /// Whether the provider calls it a read.
    read_only: Flag, true, Option<bool>, Option<bool>;
    /// The provider's kind of event: `AwsApiCall`; Azure's category: `Administrative`; Google Cloud's log: `activity`.
    event_type: Name, true, Str<'a>, Str<'a>;
    /// The id of the request. Azure: the correlation id; Google Cloud: the long-running operation's.
    request_id: Text, true, Str<'a>, Str<'a>;
    /// Why the event was delivered late or again.
    addendum: Name, true, Str<'a>, Str<'a>;
    /// `success`, `denied`, `failed` or `unknown`: of Azure also what has only begun, whose end is an event of its own.
    outcome: Name, false, &'a str, Str<'a>;
    /// The error's code.
    error_code: Name, true, Str<'a>, Str<'a>;
    /// The error's text.
    error_message: Text, true, Str<'a>, Str<'a>;
    /// Which policy layer denied (`scp`, `rcp`, `boundary`, `session`, `endpoint`, `identity`, `resource`), with
    /// `explicit:` before it for an explicit deny; `explicit` alone where the layer is not told.
    /// Azure: `azure_policy`, `lock`, `network`, `explicit:deny_assignment`, `conditional_access`; Google Cloud:
    /// `perimeter`, `org_policy`.
    denied_by: Name, true, Str<'a>, Str<'a>;
    /// The provider's kind of caller: `AssumedRole`. Azure: `User`, `ServicePrincipal`, `ManagedIdentity`,
    /// `AgentIdentity`; Google Cloud: `User`, `ServiceAccount`, `ServiceAgent`, `WorkloadIdentity`, `WorkforceIdentity`,
    /// `System`.
    actor_type: Name, true, Str<'a>, Str<'a>;
    /// The caller's canonical identity: the role, never its session. Azure: a person's sign-in name, else the object id,
    /// else the application id; Google Cloud: the address, else the subject.
    actor: Name, true, Str<'a>, Str<'a>;
    /// The identity's unique id, which a deleted and recreated name does not keep. Azure: the object id; Google Cloud:
    /// the subject.
    actor_id: Name, true, Str<'a>, Str<'a>;
    /// The account that owns the identity. Azure: the tenant; Google Cloud: the project of a service account.
    actor_account: Name, true, Str<'a>, Str<'a>;
    /// The temporary credentials' id. Azure: the token's (`uti`).
    session: Text, true, Str<'a>, Str<'a>;
    /// The session's name, chosen by whoever began it.
    session_name: Text, true, Str<'a>, Str<'a>;
    /// When the session began, µs since 1970, UTC.
    session_started: Instant, true, Option<i64>, Option<i64>;
    /// The access key's id.
    credential: Text, true, Str<'a>, Str<'a>;
    /// `long_lived`, `temporary`, `service`, `console`, `federated`, `anonymous` or `bedrock_api_key`.
    /// Azure: `client_secret`, `certificate`, `managed_identity`, `federated`, `sas`, `account_key` or `anonymous`.
    credential_kind: Name, true, Str<'a>, Str<'a>;
    /// Whether a second factor was shown.
    mfa: Flag, true, Option<bool>, Option<bool>;
    /// The source identity, which a role's session cannot change.
    source_identity: Text, true, Str<'a>, Str<'a>;
    /// The service that called on the caller's behalf.
    invoked_by: Name, true, Str<'a>, Str<'a>;
    /// The person for whom the call was made.
    /// Google Cloud: who began the chain of impersonations.
    on_behalf_of: Text, true, Str<'a>, Str<'a>;
    /// The workload that the credentials were issued to.
    /// Azure: the application's id; Google Cloud: the subject of a federated identity.
    workload: Text, true, Str<'a>, Str<'a>;
    /// What kind of agent this looks like: `claude-code`, `mcp`.
    agent_hint: Name, true, Str<'a>, Str<'a>;
    /// What the hint rests on, strongest first: `cloud`, `workload`, `session`, `name`, `client`.
    agent_evidence: Name, true, Str<'a>, Str<'a>;
    /// The address, or the service, that the call came from.
    source_ip: Text, true, Str<'a>, Str<'a>;
    /// `ip`, `service` or `vpce`; Google Cloud: `internal` for its own network.
    source_kind: Name, true, Str<'a>, Str<'a>;
    /// The VPC endpoint that the call went through.
    vpc_endpoint: Name, true, Str<'a>, Str<'a>;
    /// The client's own words about itself.
    user_agent: Text, true, Str<'a>, Str<'a>;
    /// The TLS version.
    tls: Name, true, Str<'a>, Str<'a>;
    /// ARNs of the resources that the log names. Azure: ids in lower case; Google Cloud: names as they were checked.
    resources: List, true, &'a [&'a str], Vec<&'a str>;
    /// The request's parameters: raw JSON, redacted.
    request: Text, true, Str<'a>, Str<'a>;
    /// The response: raw JSON, redacted.
    response: Text, true, Str<'a>, Str<'a>;
    /// Further data of the event: raw JSON, redacted.
    additional: Text, true, Str<'a>, Str<'a>;
    /// Tags and condition keys that the log was told to add: raw JSON, redacted.
    event_context: Text, true, Str<'a>, Str<'a>;
    /// What was asked of the cloud's own access control, and what it answered: raw JSON, redacted. Google Cloud:
    /// `authorizationInfo`, a list; Azure: `authorization`, with the assignment that let the call through.
    granted: Text, true, Str<'a>, Str<'a>;
    /// The object that the event came in.
    object: Name, true, Str<'a>, Str<'a>;
    /// Its index in the object; unreadable records count too.
    row: Number, false, u32, Option<u32>;
}

impl EventBuilder {
    /// An empty builder of records' rows that builds some columns, and looks the others of `columns` up when they are asked
    /// for. `verbatim`: where the records are kept.
    pub(crate) fn looking_up(rows: usize, columns: Columns, built: Columns, verbatim: Box<Verbatim>) -> Self {
        Self::building(rows, columns, built, Some(verbatim))
    }

    /// Where the records of its rows are kept, if they are.
    pub(crate) fn verbatim(&mut self) -> Option<&mut Verbatim> {
        self.verbatim.as_deref_mut()
    }

    /// Builds every column from here on, and of the rows until here: others' rows are no records.
    fn build_all(&mut self) {
        if let Some(verbatim) = self.verbatim.take() {
            *self = Self::of_kept(verbatim.rows(), self.columns, |at| verbatim.row(at));
        }
    }

    /// A builder of some columns that has the first `rows` of what was kept.
    fn of_kept<'r>(rows: usize, columns: Columns, row: impl Fn(usize) -> Option<Row<'r>>) -> Self {
        let mut whole = Self::with_columns(rows, columns);
        (0..rows).filter_map(row).for_each(|row| whole.append_row(&row, Sources::default()));
        whole
    }

    /// How many rows were appended.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Which columns can be asked of what it builds.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }
}

impl EventView<'_> {
    /// Whether a row tells the access key's id: asked of every row, and known without a look at it.
    #[inline]
    pub fn has_credential(&self, row: usize) -> bool {
        match self.record(row).filter(|_| self.credential.is_none() && self.columns.credential) {
            Some(record) => record.has_access_key(),
            None => self.credential(row).is_some(),
        }
    }

    /// The keys of a row's request, where they are known without reading it.
    #[inline]
    pub fn request_keys(&self, row: usize) -> Option<Keys> {
        Some(self.record(row)?.request_keys())
    }

    /// The keys of a row's additional data, where they are known without reading it.
    #[inline]
    pub fn additional_keys(&self, row: usize) -> Option<Keys> {
        Some(self.record(row)?.additional_keys())
    }

    fn record(&self, row: usize) -> Option<Record<'_>> {
        Some(*self.lookup?.row(row)?.record())
    }

    /// How many rows the batch has.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &'static str) -> Event<'static> {
        Event {
            event_id: id,
            time: 1_700_000_000_500_000,
            provider: "aws",
            service: "s3.amazonaws.com",
            operation: "GetObject",
            outcome: "success",
            ..Event::default()
        }
    }

    fn batch() -> EventBatch {
        let mut builder = EventBuilder::with_capacity(2);
        builder.append(&Event {
            resources: &["arn:aws:s3:::a", "arn:aws:s3:::b"],
            read_only: Some(true),
            ..event("one")
        });
        builder.append(&Event { row: 4, ..event("two") });
        builder.finish()
    }

    #[test]
    fn what_is_appended_is_seen() {
        let batch = batch();
        let view = batch.view();
        assert_eq!(view.event_id(0), "one");
        assert_eq!(view.service(1), Some("s3.amazonaws.com"));
        assert_eq!(view.time(0), Some(1_700_000_000_500_000));
        assert_eq!(view.resources(0), ["arn:aws:s3:::a", "arn:aws:s3:::b"]);
        assert_eq!((view.read_only(0), view.read_only(1)), (Some(true), None));
        assert_eq!((view.row(0), view.row(1)), (Some(0), Some(4)));
    }

    #[test]
    fn past_the_end_everything_is_null() {
        let batch = batch();
        assert_eq!(batch.view().event_id(2), "");
        assert_eq!(batch.view().service(2), None);
        assert_eq!(batch.view().to_json(2), serde_json::json!({}));
    }

    #[test]
    fn json_leaves_nulls_out() {
        let json = batch().view().to_json(1);
        assert_eq!(
            json,
            serde_json::json!({"event_id": "two", "time": "2023-11-14T22:13:20.500Z", "provider": "aws",
                "service": "s3.amazonaws.com", "operation": "GetObject", "outcome": "success", "row": 4})
        );
    }

    #[test]
    fn a_filter_keeps_what_is_true_and_drops_what_is_not_told() {
        let kept = batch().filter(&BooleanArray::from(vec![None, Some(true)]));
        assert_eq!((kept.rows(), kept.view().event_id(0)), (1, "two"));
        assert_eq!(batch().filter(&BooleanArray::from(vec![true])).view().event_id(0), "one");
        assert_eq!(batch().filter(&BooleanArray::from(vec![true; 9])).rows(), 2);
    }
}
