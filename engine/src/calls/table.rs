//! The columns of `calls` and how a row fills them.

use super::CallFacts;
use crate::attribution::caused_by;
use crate::permission::{self, AccessLevel};
use crate::scope::Broken;
use arrow::array::{
    ArrayRef, BooleanBuilder, Int64Builder, ListBuilder, RecordBatch, StringBuilder, StringDictionaryBuilder,
    StringViewBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use ingest::event::EventView;
use std::sync::{Arc, LazyLock};

/// What is known of a row beside its [`CallFacts`].
pub(super) struct CallRow<'a> {
    pub outcome: &'a str,
    pub own_iam: bool,
    /// Why the policy that the call wrote cannot be read
    pub policy_fault: Option<&'a str>,
    /// The manifest expects to be refused this
    pub is_expected_denial: bool,
    /// Bounds that the call breaks, or of which it cannot be told
    pub bounds: &'a [Broken],
    /// The agent whose role the caller takes, and whose manifest does not list the caller
    pub hop_into: Option<&'a str>,
    pub first_use: bool,
    pub level: Option<AccessLevel>,
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let word = |name: &str| Field::new(name, dictionary(), true);
    let flag = |name: &str| Field::new(name, DataType::Boolean, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    Arc::new(Schema::new(vec![
        number("call"),
        text("event_id"),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        word("agent"),
        word("environment"),
        flag("agent_read_only"),
        word("actor"),
        word("actor_type"),
        word("account"),
        word("region"),
        word("service"),
        word("operation"),
        word("outcome"),
        word("error_code"),
        text("error_message"),
        word("denied_by"),
        text("credential"),
        word("credential_kind"),
        text("session_name"),
        word("invoked_by"),
        text("source_ip"),
        text("user_agent"),
        word("permission"),
        flag("certain"),
        word("level"),
        flag("is_destructive"),
        flag("is_credential_minting"),
        flag("is_logging_tamper"),
        flag("is_read_like"),
        flag("is_own_iam"),
        text("policy_fault"),
        flag("is_expected_denial"),
        word("bound_broken"),
        text("bound_seen"),
        flag("bound_is_grave"),
        word("bound_unknown"),
        word("hop_into"),
        Field::new("resources", DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))), true),
        word("scope"),
        word("scope_reason"),
        text("scope_statement"),
        word("grant"),
        text("grant_why"),
        flag("first_use"),
        number("active_days"),
    ]))
});

/// The columns of `calls`. `call` numbers the rows of one batch.
#[must_use]
pub fn schema() -> SchemaRef {
    SCHEMA.clone()
}

type Words = StringDictionaryBuilder<Int32Type>;

#[derive(Default)]
pub(super) struct CallsBuilder {
    call: Int64Builder,
    event_id: StringViewBuilder,
    time: TimestampMicrosecondBuilder,
    agent: Words,
    environment: Words,
    agent_read_only: BooleanBuilder,
    actor: Words,
    actor_type: Words,
    account: Words,
    region: Words,
    service: Words,
    operation: Words,
    outcome: Words,
    error_code: Words,
    error_message: StringViewBuilder,
    denied_by: Words,
    credential: StringViewBuilder,
    credential_kind: Words,
    session_name: StringViewBuilder,
    invoked_by: Words,
    source_ip: StringViewBuilder,
    user_agent: StringViewBuilder,
    permission: Words,
    certain: BooleanBuilder,
    level: Words,
    is_destructive: BooleanBuilder,
    is_credential_minting: BooleanBuilder,
    is_logging_tamper: BooleanBuilder,
    is_read_like: BooleanBuilder,
    is_own_iam: BooleanBuilder,
    policy_fault: StringViewBuilder,
    is_expected_denial: BooleanBuilder,
    bound_broken: Words,
    bound_seen: StringViewBuilder,
    bound_is_grave: BooleanBuilder,
    bound_unknown: Words,
    hop_into: Words,
    resources: ListBuilder<StringBuilder>,
    scope: Words,
    scope_reason: Words,
    scope_statement: StringViewBuilder,
    grant: Words,
    grant_why: StringViewBuilder,
    first_use: BooleanBuilder,
    active_days: Int64Builder,
}

impl CallsBuilder {
    pub(super) fn with_capacity(rows: usize) -> CallsBuilder {
        CallsBuilder {
            event_id: StringViewBuilder::with_capacity(rows),
            time: TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC"),
            ..CallsBuilder::default()
        }
    }

    pub(super) fn append(&mut self, view: &EventView<'_>, facts: &CallFacts, row: &CallRow<'_>) {
        let event = facts.event;
        self.call.append_value(facts.call);
        self.event_id.append_value(view.event_id(event));
        self.time.append_value(facts.time);
        self.agent.append_option(facts.agent.as_ref().map(|a| a.name.as_str()));
        self.environment.append_option(facts.agent.as_ref().and_then(|a| a.environment.as_deref()));
        self.agent_read_only.append_option(facts.agent.as_ref().map(|a| a.scope.is_read_only()));
        self.actor.append_value(&facts.actor);
        self.actor_type.append_option(view.actor_type(event));
        self.account.append_option(view.recipient_account(event).or(view.account(event)));
        self.region.append_option(view.region(event));
        self.service.append_option(view.service(event));
        self.operation.append_option(view.operation(event));
        self.outcome.append_value(row.outcome);
        self.error_code.append_option(view.error_code(event));
        self.error_message.append_option(view.error_message(event));
        self.denied_by.append_option(view.denied_by(event));
        self.credential.append_option(view.credential(event));
        self.credential_kind.append_option(view.credential_kind(event));
        self.session_name.append_option(view.session_name(event));
        self.invoked_by.append_option(caused_by(view, event));
        self.source_ip.append_option(view.source_ip(event));
        self.user_agent.append_option(view.user_agent(event));

        let needed = facts.needed.as_ref();
        let permission = needed.map(|n| n.permission.as_str());
        let is = |question: fn(&str) -> bool| permission.map(question);
        self.permission.append_option(permission);
        self.certain.append_option(needed.map(|n| n.certain));
        self.level.append_option(row.level.map(AccessLevel::as_str));
        self.is_destructive.append_option(is(permission::is_destructive));
        self.is_credential_minting.append_option(is(permission::is_credential_minting));
        self.is_logging_tamper.append_option(is(permission::is_logging_tamper));
        self.is_read_like.append_option(is(permission::is_read_like));
        self.is_own_iam.append_value(row.own_iam);
        self.policy_fault.append_option(row.policy_fault);
        self.is_expected_denial.append_value(row.is_expected_denial);
        let broken = row.bounds.iter().find(|one| one.certain);
        self.bound_broken.append_option(broken.map(|one| one.bound.as_str()));
        self.bound_seen.append_option(broken.map(|one| one.seen.as_str()));
        self.bound_is_grave.append_option(broken.map(|one| one.is_grave));
        let unknown = row.bounds.iter().find(|one| !one.certain);
        self.bound_unknown.append_option(unknown.map(|one| one.bound.as_str()));
        self.hop_into.append_option(row.hop_into);
        for resource in needed.map(|n| n.resources.as_slice()).unwrap_or_default() {
            self.resources.values().append_value(resource);
        }
        self.resources.append(true);

        let answer = facts.answer.as_deref();
        let scope = answer.and_then(|a| a.scope.as_ref());
        self.scope.append_option(scope.map(|s| s.verdict.as_str()));
        self.scope_reason.append_option(scope.map(|s| s.reason.as_str()));
        self.scope_statement.append_option(scope.and_then(|s| s.statement.as_deref()));
        self.grant.append_option(answer.map(|a| a.grant.grant.as_str()));
        self.grant_why.append_option(answer.map(|a| a.grant.why.as_str()));
        self.first_use.append_value(row.first_use);
        self.active_days.append_value(i64::from(facts.active_days));
    }

    pub(super) fn finish(mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.call.finish()),
            Arc::new(self.event_id.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.agent.finish()),
            Arc::new(self.environment.finish()),
            Arc::new(self.agent_read_only.finish()),
            Arc::new(self.actor.finish()),
            Arc::new(self.actor_type.finish()),
            Arc::new(self.account.finish()),
            Arc::new(self.region.finish()),
            Arc::new(self.service.finish()),
            Arc::new(self.operation.finish()),
            Arc::new(self.outcome.finish()),
            Arc::new(self.error_code.finish()),
            Arc::new(self.error_message.finish()),
            Arc::new(self.denied_by.finish()),
            Arc::new(self.credential.finish()),
            Arc::new(self.credential_kind.finish()),
            Arc::new(self.session_name.finish()),
            Arc::new(self.invoked_by.finish()),
            Arc::new(self.source_ip.finish()),
            Arc::new(self.user_agent.finish()),
            Arc::new(self.permission.finish()),
            Arc::new(self.certain.finish()),
            Arc::new(self.level.finish()),
            Arc::new(self.is_destructive.finish()),
            Arc::new(self.is_credential_minting.finish()),
            Arc::new(self.is_logging_tamper.finish()),
            Arc::new(self.is_read_like.finish()),
            Arc::new(self.is_own_iam.finish()),
            Arc::new(self.policy_fault.finish()),
            Arc::new(self.is_expected_denial.finish()),
            Arc::new(self.bound_broken.finish()),
            Arc::new(self.bound_seen.finish()),
            Arc::new(self.bound_is_grave.finish()),
            Arc::new(self.bound_unknown.finish()),
            Arc::new(self.hop_into.finish()),
            Arc::new(self.resources.finish()),
            Arc::new(self.scope.finish()),
            Arc::new(self.scope_reason.finish()),
            Arc::new(self.scope_statement.finish()),
            Arc::new(self.grant.finish()),
            Arc::new(self.grant_why.finish()),
            Arc::new(self.first_use.finish()),
            Arc::new(self.active_days.finish()),
        ];
        #[expect(
            clippy::expect_used,
            reason = "one column per field, in the schema's order, each of one value per append"
        )]
        RecordBatch::try_new(schema(), columns).expect("the columns follow the schema")
    }
}
