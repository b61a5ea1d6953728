//! Questions in SQL: read-only, over the lake at one version and tables in memory, bounded in memory.

use super::place::Place;
use super::scan::Events;
use super::table::Table;
use super::{LakeAt, LakeError};
use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast;
use std::sync::Arc;

/// What sorting and joining may put on the disk for each byte of memory.
const SPILL_FACTOR: u64 = 8;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It asks to change something, or is several.
    #[error("only one query can be asked, `SELECT ...`; {what} is refused")]
    Refused {
        /// What it is.
        what: String,
    },
    /// It cannot be understood, or failed.
    #[error("{0}")]
    Sql(String),
    /// It needs more than it may have.
    #[error("the query needs more than {bytes} bytes of memory; ask for less, or allow more with --memory")]
    Memory {
        /// What it may have.
        bytes: usize,
    },
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// A question, understood and not yet asked.
#[derive(Debug)]
pub struct Question {
    statement: Statement,
    /// The tables that it names, in lower case.
    pub tables: Vec<String>,
}

impl Question {
    /// Understands one query; refuses everything else.
    ///
    /// # Errors
    /// [`QueryError::Refused`] and [`QueryError::Sql`].
    pub fn parse(sql: &str) -> Result<Question, QueryError> {
        let mut statements = DFParser::parse_sql(sql).map_err(|cause| QueryError::Sql(message(&cause)))?;
        let refused = |what: &str| QueryError::Refused { what: what.to_owned() };
        let Some(statement) = statements.pop_front() else { return Err(refused("nothing")) };
        if !statements.is_empty() {
            return Err(refused("more than one statement"));
        }
        if let Some(what) = refusal(&statement) {
            return Err(refused(&what));
        }
        let (tables, _) =
            resolve_table_references(&statement, true).map_err(|cause| QueryError::Sql(message(&cause)))?;
        let tables = tables.iter().map(|table| table.table().to_lowercase()).collect();
        Ok(Question { statement, tables })
    }

    /// Whether it names a table.
    #[must_use]
    pub fn names(&self, table: &str) -> bool {
        self.tables.iter().any(|named| named == table)
    }
}

/// What a statement is, where it is no query.
fn refusal(statement: &Statement) -> Option<String> {
    match statement {
        Statement::Statement(statement) => match &**statement {
            ast::Statement::Query(_) => None,
            other => Some(first_words(&other.to_string())),
        },
        Statement::Explain(explain) => refusal(&explain.statement),
        other => Some(first_words(&other.to_string())),
    }
}

fn first_words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    format!("`{}`", words.join(" "))
}

/// A session that can read its tables and nothing else.
pub struct Session {
    context: SessionContext,
    memory: usize,
}

impl Session {
    /// An empty one.
    ///
    /// # Errors
    /// [`QueryError::Sql`].
    pub fn new(memory: usize) -> Result<Session, QueryError> {
        let failed = |cause: DataFusionError| QueryError::Sql(message(&cause));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
            .with_max_temp_directory_size((memory as u64).saturating_mul(SPILL_FACTOR))
            .build_arc()
            .map_err(failed)?;
        let config = SessionConfig::new().with_information_schema(true);
        Ok(Session { context: SessionContext::new_with_config_rt(config, runtime), memory })
    }

    /// Adds `events`: the lake as it is now. Gives the version that is read.
    ///
    /// # Errors
    /// [`QueryError::Lake`].
    pub async fn add_events(&self, at: &LakeAt) -> Result<u64, QueryError> {
        let none = || LakeError::None {
            place: match at {
                LakeAt::Folder(path) => path.display().to_string(),
                LakeAt::S3 { url, .. } => url.clone(),
            },
        };
        if matches!(at, LakeAt::Folder(path) if !path.is_dir()) {
            // A question makes no folders.
            return Err(none().into());
        }
        let table = Table::open(&Place::open(at).await?).await?.ok_or_else(none)?;
        let events = Events::of(&table)?;
        events.register(&self.context.runtime_env());
        self.context.register_table("events", Arc::new(events)).map_err(|cause| self.failed(&cause))?;
        Ok(table.version().unwrap_or_default())
    }

    /// Adds a table in memory.
    ///
    /// # Errors
    /// [`QueryError::Sql`].
    pub fn add(&self, name: &str, rows: RecordBatch) -> Result<(), QueryError> {
        let table =
            MemTable::try_new(rows.schema(), vec![vec![rows]]).map_err(|cause| self.failed(&cause))?;
        self.context.register_table(name, Arc::new(table)).map_err(|cause| self.failed(&cause))?;
        Ok(())
    }

    /// Asks. The answer comes while it is read.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn ask(&self, question: Question) -> Result<SendableRecordBatchStream, QueryError> {
        let plan = self.context.state().statement_to_plan(question.statement).await;
        let plan = plan.map_err(|cause| self.failed(&cause))?;
        // The statement was looked at; the plan is what runs.
        let read_only =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        read_only.verify_plan(&plan).map_err(|cause| QueryError::Refused { what: message(&cause) })?;
        let frame = self.context.execute_logical_plan(plan).await.map_err(|cause| self.failed(&cause))?;
        frame.execute_stream().await.map_err(|cause| self.failed(&cause))
    }

    /// What went wrong, in the words of this house.
    #[must_use]
    pub fn failed(&self, cause: &DataFusionError) -> QueryError {
        match cause.find_root() {
            DataFusionError::ResourcesExhausted(_) => QueryError::Memory { bytes: self.memory },
            root => QueryError::Sql(message(root)),
        }
    }
}

fn message(cause: &DataFusionError) -> String {
    // Tables have one name here: the catalog is a detail of the library.
    cause.strip_backtrace().replace("datafusion.public.", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_taken_and_names_its_tables() {
        for sql in [
            "SELECT 1",
            "select * from events e join findings using (event_id)",
            "WITH x AS (SELECT * FROM events) SELECT * FROM x",
            "EXPLAIN SELECT * FROM events",
            "VALUES (1), (2)",
        ] {
            Question::parse(sql).unwrap();
        }
        let question =
            Question::parse("select * from Events e, agents where 1 = (select 1 from findings)").unwrap();
        assert!(["events", "agents", "findings"].into_iter().all(|table| question.names(table)));
    }

    #[test]
    fn what_is_no_query_is_refused_by_name() {
        for (sql, what) in [
            ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL"),
            ("COPY (SELECT 1) TO '/tmp/x.csv'", "COPY"),
            ("COPY events TO '/tmp/x.csv'", "COPY"),
            ("INSERT INTO events VALUES (1)", "INSERT INTO"),
            ("SET datafusion.execution.batch_size = 1", "SET"),
            ("CREATE TABLE t AS SELECT 1", "CREATE TABLE"),
            ("DROP TABLE events", "DROP TABLE"),
            ("DELETE FROM events", "DELETE FROM"),
            ("UPDATE events SET a = 1", "UPDATE events"),
            ("EXPLAIN INSERT INTO events VALUES (1)", "INSERT INTO"),
            ("SELECT 1; SELECT 2", "more than one"),
            ("", "nothing"),
        ] {
            let error = Question::parse(sql).unwrap_err();
            assert!(matches!(error, QueryError::Refused { .. }), "{sql}: {error}");
            assert!(error.to_string().contains(what), "{sql}: {error}");
        }
    }

    #[tokio::test]
    async fn files_and_urls_are_no_tables() {
        let session = Session::new(64 << 20).unwrap();
        for sql in [
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM read_parquet('x.parquet')",
            "SELECT * FROM 'http://127.0.0.1/x.csv'",
        ] {
            let answer = session.ask(Question::parse(sql).unwrap()).await;
            assert!(matches!(answer, Err(QueryError::Sql(_))), "{sql}");
        }
    }

    #[tokio::test]
    async fn a_query_that_needs_too_much_is_told_so() {
        let session = Session::new(1 << 20).unwrap();
        let sql = "SELECT a.value v, count(*) FROM generate_series(1, 3000000) a GROUP BY v ORDER BY v DESC LIMIT 1";
        let mut answer = match session.ask(Question::parse(sql).unwrap()).await {
            Ok(answer) => answer,
            Err(error) => return assert!(matches!(error, QueryError::Memory { .. }), "{error}"),
        };
        use futures::StreamExt;
        let error = loop {
            match answer.next().await {
                Some(Ok(_)) => {}
                Some(Err(cause)) => break session.failed(&cause),
                None => panic!("it fits"),
            }
        };
        assert!(matches!(error, QueryError::Memory { bytes } if bytes == 1 << 20), "{error}");
    }
}
