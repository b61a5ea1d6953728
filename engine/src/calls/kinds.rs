//! Kinds of calls: what is the same for all calls of a kind is decided once
//!
//! A kind is all that repeats in a log and that an answer can hang on: who calls, what is needed by name, how it ended.
//! Only where scope or grants hang on the resource or on a condition is each call looked at by itself. What the calls
//! of a kind add to baseline and measures is counted in numbers and spelled out at the end of the batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use ingest::event::{EventBatch, EventView};
use rustc_hash::FxHashMap;

use super::answers::{Answers, Asker, Remembered};
use super::callers::{Callers, Who};
use super::elsewhere;
use super::event::{self, Annotated};
use super::looked::Looked;
use super::operations::Operations;
use super::signature::{APART, Fixed, Heard, Read, Reads, Signature, Signatures};
use super::words::{Codes, NONE, Words};
use super::{CallFacts, Changes, Rules, caller_of};
use crate::attribution::MCP_HOST;
use crate::baseline::{
    ANY_PERMISSION, Baseline, BaselineDelta, Denials, Novelty, POSSIBLE, Presence, block_of,
};
use crate::manifest::Agent;
use crate::measure::{Graded, Measures, Observed};
use crate::permission::{self, AccessLevel, Naming, Needed};
use crate::scope::{Bound, HOPS};
use crate::time::{DAY, day_of};

/// Kinds, words and the like that are remembered between batches; then all is forgotten and learned again. Texts are
/// the attacker's to choose, so there must be an end. A kind takes some 500 bytes.
const REMEMBERED_MAX: usize = 100_000;

/// Answers of the batch at hand, by kind, day, need and grade.
type Tallies = FxHashMap<(u32, u32, u32, u32), u64>;

/// The whole of what is remembered. Give each worker its own.
#[derive(Debug)]
pub(crate) struct Kinds {
    reads: Arc<Reads>,
    shown: Shown,
    words: Words,
    aws: u32,
    mcp: u32,
    dry_run: u32,
    operations: Operations,
    callers: Callers,
    by_key: FxHashMap<Key, u32>,
    kinds: Vec<Kind>,
    signatures: Signatures,
    answers: Answers,
    weighed: Weighing,
    /// The kinds of the batch at hand.
    touched: Vec<u32>,
}

/// What came of walking through a batch.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// The event and the signature of each row of `calls`, in order.
    rows: Vec<(u32, u32)>,
    /// Events that were held against grants or a scope.
    pub(super) judged: Vec<u32>,
    pub(super) baseline: BaselineDelta,
    pub(super) measures: Measures,
}

/// How detections read what a kind is told by.
#[derive(Debug, Clone, Copy)]
struct Shown {
    agent: Read,
    environment: Read,
    actor: Read,
    permission: Read,
    outcome: Read,
    told: [(Told, Read); TOLD],
    flags: bool,
    first_use: bool,
    active_days: bool,
    own_iam: bool,
    expected_denial: bool,
    bounds: bool,
    hop_into: Read,
    policy_fault: bool,
    error_message: bool,
    credential: bool,
    session_name: bool,
    source_ip: bool,
    user_agent: bool,
}

/// Columns that need no more than to be compared.
#[derive(Debug, Clone, Copy)]
enum Told {
    ActorType,
    Account,
    Region,
    Service,
    Operation,
    ErrorCode,
    DeniedBy,
    CredentialKind,
    InvokedBy,
}

const TOLD: usize = 9;

impl Told {
    const ALL: [(Told, &'static str); TOLD] = [
        (Told::ActorType, "actor_type"),
        (Told::Account, "account"),
        (Told::Region, "region"),
        (Told::Service, "service"),
        (Told::Operation, "operation"),
        (Told::ErrorCode, "error_code"),
        (Told::DeniedBy, "denied_by"),
        (Told::CredentialKind, "credential_kind"),
        (Told::InvokedBy, "invoked_by"),
    ];
}

/// What tells one kind from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    holder: u64,
    actor: u32,
    agent: u32,
    naming: u32,
    outcome: u32,
    denied_by: u32,
    invoked: bool,
    told: [u32; TOLD],
}

/// All calls that agree in their key.
#[derive(Debug)]
struct Kind {
    key: Key,
    agent: Option<Arc<Agent>>,
    asker: Asker,
    naming: Arc<[Naming]>,
    /// One for each name.
    needs: Vec<Need>,
    judged: bool,
    bounded: bool,
    expires: bool,
    expects_denials: bool,
    /// The days of the batch at hand on which it was met.
    days: Vec<Day>,
    /// For each day one for each need, or a single one where nothing is needed.
    on_days: Vec<OnDay>,
    last_day: usize,
}

/// What one name of a kind means.
#[derive(Debug)]
struct Need {
    permission: u32,
    /// As the baseline spells it.
    used: u32,
    level: Option<AccessLevel>,
    certain: bool,
    own: bool,
    /// Whether it could change the caller's own rights.
    iam: bool,
    hop: bool,
    /// What the tables say of the permission, in bits.
    flags: u32,
    /// The answer where it is the same for all calls, before and after the manifest expires.
    settled: Option<[Option<Weighed>; 2]>,
}

/// Calls of a kind on one day.
#[derive(Debug)]
struct Day {
    day: i64,
    events: i64,
    first: i64,
    last: i64,
}

/// A need on one day.
#[derive(Debug)]
struct OnDay {
    fixed: u32,
    /// The last row's signature, since the next one's is mostly the same.
    last: Option<(Signature, u32)>,
}

/// As much of an answer as rows are told apart by and measures count.
#[derive(Debug, Clone, Copy)]
struct Weighed {
    said: u32,
    /// The number of what is counted of it.
    graded: Option<u32>,
}

/// Answers by their number.
#[derive(Debug, Default)]
struct Weighing {
    known: FxHashMap<u64, Weighed>,
    /// What there is to count: few, since it holds no texts of a log.
    grades: Vec<Graded>,
}

impl Weighing {
    fn of(&mut self, remembered: &Remembered, signatures: &mut Signatures, reads: &Reads) -> Weighed {
        *self.known.entry(remembered.number).or_insert_with(|| {
            let answer = &remembered.answer;
            let graded = answer.scope.as_ref().map(|scope| Graded::of(scope, &answer.grant));
            let grades = &mut self.grades;
            let graded = graded.map(|graded| {
                grades.iter().position(|known| *known == graded).unwrap_or_else(|| {
                    grades.push(graded);
                    grades.len() - 1
                }) as u32
            });
            Weighed { said: signatures.said(answer, reads), graded }
        })
    }
}

impl Shown {
    fn of(reads: &Reads) -> Shown {
        let is_read = |columns: &[&str]| columns.iter().any(|column| reads.of(column).is_read());
        Shown {
            agent: reads.of("agent"),
            environment: reads.of("environment"),
            actor: reads.of("actor"),
            permission: reads.of("permission"),
            outcome: reads.of("outcome"),
            told: Told::ALL.map(|(told, column)| (told, reads.of(column))),
            flags: is_read(&[
                "agent_read_only",
                "certain",
                "level",
                "is_destructive",
                "is_credential_minting",
                "is_logging_tamper",
                "is_read_like",
            ]),
            first_use: is_read(&["first_use"]),
            active_days: reads.of("active_days") == Read::Value,
            own_iam: is_read(&["is_own_iam"]),
            expected_denial: is_read(&["is_expected_denial"]),
            bounds: is_read(&["bound_broken", "bound_seen", "bound_is_grave", "bound_unknown"]),
            hop_into: reads.of("hop_into"),
            policy_fault: is_read(&["policy_fault"]),
            error_message: is_read(&["error_message"]),
            credential: is_read(&["credential"]),
            session_name: is_read(&["session_name"]),
            source_ip: is_read(&["source_ip"]),
            user_agent: is_read(&["user_agent"]),
        }
    }
}

impl Kinds {
    /// Nothing is remembered yet. `reads`: what tells rows apart.
    pub(crate) fn new(reads: Reads) -> Kinds {
        Kinds::knowing(Arc::new(reads), Answers::default())
    }

    fn knowing(reads: Arc<Reads>, answers: Answers) -> Kinds {
        let mut words = Words::default();
        Kinds {
            shown: Shown::of(&reads),
            reads,
            aws: words.id("aws"),
            mcp: words.id(MCP_HOST),
            dry_run: words.id("dry_run"),
            words,
            operations: Operations::default(),
            callers: Callers::default(),
            by_key: FxHashMap::default(),
            kinds: Vec::new(),
            signatures: Signatures::default(),
            answers,
            weighed: Weighing::default(),
            touched: Vec::new(),
        }
    }

    /// Forgets what became too much. Between batches only: numbers hold as long as a batch is at hand.
    fn bound(&mut self) {
        let sizes = [
            self.words.len(),
            self.operations.len(),
            self.callers.len(),
            self.kinds.len(),
            self.signatures.len(),
            self.weighed.known.len(),
        ];
        if sizes.into_iter().any(|size| size > REMEMBERED_MAX) {
            *self = Kinds::knowing(Arc::clone(&self.reads), std::mem::take(&mut self.answers));
        }
    }

    /// Decides a batch, whose changes of policies the grants know already.
    pub(crate) fn walk<'a>(
        &mut self,
        batch: &'a EventBatch,
        view: &EventView<'a>,
        rules: &'a Rules,
        changes: &Changes,
    ) -> Walked {
        self.bound();
        let rows = batch.rows();
        let mut walked = Walked { rows: Vec::with_capacity(rows + rows / 8), ..Walked::default() };
        let mut columns = Columns::of(batch, &self.shown);
        let mut graded = Tallies::default();
        for row in 0..rows {
            let provider = columns.provider.id(row, &mut self.words);
            if provider != self.aws
                && let Some(found) = elsewhere::found(view, row, 0, rules, &mut self.answers)
            {
                found.count(view, row, &mut walked);
                continue;
            }
            let event = Looked::new(view, row, &rules.grants);
            let time = view.time(row).unwrap_or_default();
            let (key, who) = self.key(&event, time, &mut columns, rules);
            let at = match self.by_key.get(&key) {
                Some(at) => *at,
                None => self.add(key, who, &event, time, rules),
            };
            self.count(&columns, at, &event, time, changes.has_fault(row), rules, &mut walked, &mut graded);
        }
        self.sum(&graded, &mut walked);
        walked
    }

    fn key(
        &mut self,
        event: &Looked<'_, '_>,
        time: i64,
        columns: &mut Columns<'_>,
        rules: &Rules,
    ) -> (Key, Who) {
        let (row, words) = (event.row, &mut self.words);
        let actor = match columns.actor.id(row, words) {
            NONE => words.id("unknown"),
            actor => actor,
        };
        let account = columns.account.id(row, words);
        let service = columns.service.id(row, words);
        let operation = columns.operation.id(row, words);
        let error_code = columns.error_code.id(row, words);
        let denied_by = columns.denied_by.id(row, words);
        // What the cloud's tool server calls, the agent asked for: see `caused_by`.
        let invoked_by = match columns.invoked_by.id(row, words) {
            by if by == self.mcp => NONE,
            by => by,
        };
        let outcome = if error_code != NONE && event::is_dry_run(event.view, row) {
            self.dry_run
        } else {
            match columns.outcome.id(row, words) {
                NONE => words.id("unknown"),
                outcome => outcome,
            }
        };
        let mut told = [NONE; TOLD];
        for (slot, (of, read)) in told.iter_mut().zip(&self.shown.told) {
            let id = match (read, of) {
                (Read::No, _) => continue,
                (_, Told::ActorType) => columns.actor_type.id(row, words),
                (_, Told::Account) => match columns.recipient_account.id(row, words) {
                    NONE => account,
                    place => place,
                },
                (_, Told::Region) => columns.region.id(row, words),
                (_, Told::Service) => service,
                (_, Told::Operation) => operation,
                (_, Told::ErrorCode) => error_code,
                (_, Told::DeniedBy) => denied_by,
                (_, Told::CredentialKind) => columns.credential_kind.id(row, words),
                (_, Told::InvokedBy) => invoked_by,
            };
            *slot = read.shown(id);
        }
        let who = self.callers.who(actor, account, time, event, rules, &mut self.answers);
        let event_type = columns.event_type.id(row, words);
        let provider = columns.provider.id(row, words);
        let words = [provider, event_type, service, operation];
        let naming = self.operations.naming(words, columns.error_message.has(row), event);
        let invoked = invoked_by != NONE;
        let key =
            Key { holder: who.holder, actor, agent: who.agent, naming, outcome, denied_by, invoked, told };
        (key, who)
    }

    /// Decides a new kind by its first call.
    fn add(&mut self, key: Key, who: Who, event: &Looked<'_, '_>, time: i64, rules: &Rules) -> u32 {
        let caller = caller_of(event.view, event.row);
        let mut asker = self.answers.asker(&rules.manifests, &rules.grants, &caller, None, time);
        // Of a holder that changed between the two questions the later one counts for all its calls.
        asker.version = who.version;
        let agent = self.callers.agent(key.agent).cloned();
        asker.agent.clone_from(&agent);
        let naming = self.operations.of(key.naming);
        let judged = agent.is_some() || asker.holder.is_some();
        let mut needs = Vec::with_capacity(naming.len());
        for named in naming.iter() {
            let permission = &*named.permission;
            let own = named.certain && !key.invoked;
            let level = permission::level(permission);
            let is_settled = judged
                && agent.as_ref().is_none_or(|agent| agent.scope.is_settled(permission))
                && asker.holder.as_ref().is_none_or(|holder| holder.is_settled(permission));
            let changes = matches!(level, Some(AccessLevel::Write | AccessLevel::Permissions));
            needs.push(Need {
                permission: self.words.id(permission),
                used: if own {
                    self.words.id(permission)
                } else {
                    self.words.id(&format!("{POSSIBLE}{permission}"))
                },
                level,
                certain: named.certain,
                own,
                iam: changes && agent.is_some() && permission.starts_with("iam:"),
                hop: named.certain && HOPS.iter().any(|hop| hop.eq_ignore_ascii_case(permission)),
                flags: flags_of(permission, named.certain, level),
                settled: is_settled.then_some([None; 2]),
            });
        }
        let at = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
        self.kinds.push(Kind {
            key,
            judged: judged && !needs.is_empty(),
            bounded: agent.as_ref().is_some_and(|agent| !agent.bounds.is_empty()),
            expires: agent.as_ref().is_some_and(|agent| agent.scope.expires()),
            expects_denials: &**self.words.text(key.outcome) == "denied"
                && agent.as_ref().is_some_and(|agent| agent.scope.expects_denials()),
            agent,
            asker,
            naming,
            needs,
            days: Vec::new(),
            on_days: Vec::new(),
            last_day: 0,
        });
        self.by_key.insert(key, at);
        at
    }

    #[expect(clippy::too_many_arguments, reason = "the batch's own state beside the event's")]
    fn count(
        &mut self,
        columns: &Columns<'_>,
        at: u32,
        event: &Looked<'_, '_>,
        time: i64,
        is_fault: bool,
        rules: &Rules,
        walked: &mut Walked,
        graded: &mut Tallies,
    ) {
        let (view, row) = (event.view, event.row);
        let number = u32::try_from(row).unwrap_or(u32::MAX);
        let Some(kind) = self.kinds.get_mut(at as usize) else { return };
        let on_day = kind.on(time, &self.shown, &self.words, &mut self.signatures, &rules.baseline);
        if kind.days.len() == 1 && kind.days.first().is_some_and(|day| day.events == 0) {
            self.touched.push(at);
        }
        if let Some(day) = kind.days.get_mut(on_day) {
            day.events += 1;
            day.first = day.first.min(time);
            day.last = day.last.max(time);
        }
        if kind.judged {
            walked.judged.push(number);
        }
        let mut own = 0;
        let shown = &self.shown;
        if shown.policy_fault && is_fault {
            own |= FAULT;
        }
        for (texts, bit) in &columns.texts {
            own |= u32::from(texts.has(row)) * bit;
        }
        if kind.bounded && shown.bounds {
            own |= bound_bits(kind, event, time);
        }
        let session = if kind.judged && rules.grants.narrows_sessions() {
            view.session(row).and_then(|session| self.answers.narrowed(&rules.grants, session))
        } else {
            None
        };
        let expired = kind.expires && kind.agent.as_ref().is_some_and(|agent| agent.scope.has_expired(time));
        kind.asker.when = time;
        kind.asker.session = session;
        let places = kind.needs.len().max(1);
        for place in 0..places {
            let mut bits = own;
            let mut hop = NONE;
            let mut said = 0;
            if let (Some(need), Some(named)) = (kind.needs.get_mut(place), kind.naming.get(place)) {
                let mut needed: Option<Needed> = None;
                let mut looked = || event.facts().needed_of(named);
                if need.iam && shown.own_iam {
                    let needed = needed.get_or_insert_with(&mut looked);
                    let actor = self.words.text(kind.key.actor);
                    bits |=
                        u32::from(event::acts_on_own_iam(needed, need.level, actor, &kind.asker)) * OWN_IAM;
                }
                if need.hop
                    && shown.hop_into.is_read()
                    && self.callers.lists_who_becomes(kind.asker.version, time, rules)
                {
                    let needed = needed.get_or_insert_with(&mut looked);
                    let caller = caller_of(view, row);
                    let into = event::hop_into(event.facts(), needed, &caller, &kind.asker, &rules.manifests);
                    hop = into.map_or(NONE, |name| shown.hop_into.shown(self.words.id(name)));
                }
                if kind.judged {
                    let settled = need.settled.as_mut().filter(|_| kind.asker.session.is_none());
                    let weighed = match settled.and_then(|both| both.get_mut(usize::from(expired))) {
                        Some(Some(weighed)) => *weighed,
                        settled => {
                            let bare = settled.is_some().then(|| bare(named));
                            let needed = match &bare {
                                Some(bare) => bare,
                                None => &*needed.get_or_insert_with(&mut looked),
                            };
                            let answer = self
                                .answers
                                .of(&kind.asker, needed, |keys| event.facts().context(needed, keys));
                            let weighed = self.weighed.of(&answer, &mut self.signatures, &self.reads);
                            if let Some(settled) = settled {
                                *settled = Some(weighed);
                            }
                            weighed
                        }
                    };
                    said = weighed.said;
                    if let Some(graded_as) = weighed.graded.filter(|_| need.certain) {
                        let key = (at, on_day as u32, place as u32, graded_as);
                        *graded.entry(key).or_default() += 1;
                    }
                }
                if kind.expects_denials && shown.expected_denial {
                    let needed = needed.get_or_insert_with(&mut looked);
                    let is_expected = self
                        .answers
                        .expects_denial(&kind.asker, needed, |keys| event.facts().context(needed, keys));
                    bits |= u32::from(is_expected) * EXPECTED_DENIAL;
                }
            }
            let Some(today) = kind.on_days.get_mut(on_day * places + place) else { continue };
            let signature = Signature { fixed: today.fixed, answer: said, bits, hop };
            let id = match today.last {
                Some((last, id)) if last == signature => id,
                _ => {
                    let id = self.signatures.id(signature);
                    today.last = Some((signature, id));
                    id
                }
            };
            walked.rows.push((number, id));
        }
    }

    /// Spells out what was counted.
    fn sum(&mut self, graded: &Tallies, walked: &mut Walked) {
        for ((at, day, place, graded), calls) in graded {
            let Some(kind) = self.kinds.get(*at as usize) else { continue };
            let (Some(day), Some(need), Some(graded)) = (
                kind.days.get(*day as usize),
                kind.needs.get(*place as usize),
                self.weighed.grades.get(*graded as usize),
            ) else {
                continue;
            };
            let denied_by =
                Some(&**self.words.text(kind.key.denied_by)).filter(|_| kind.key.denied_by != NONE);
            let observed = Observed {
                time: day.day * DAY,
                outcome: self.words.text(kind.key.outcome),
                denied_by,
                permission: self.words.text(need.permission),
            };
            walked.measures.add(*graded, &observed, *calls);
        }
        let any = self.words.id(ANY_PERMISSION);
        let mut uses: FxHashMap<(u32, u32, i64), Presence> = FxHashMap::default();
        uses.reserve(self.touched.len() * 5 / 4);
        let mut denials: FxHashMap<(u32, u32), Denials> = FxHashMap::default();
        for at in self.touched.drain(..) {
            let Some(kind) = self.kinds.get_mut(at as usize) else { continue };
            let outcome = &**self.words.text(kind.key.outcome);
            let actor = kind.key.actor;
            for day in &kind.days {
                let (block, days) = block_of(day.day);
                let presence = Presence { days, first: day.first, last: day.last, uses: day.events };
                let used = kind.needs.iter().map(|need| need.used).chain([any]);
                for permission in used.filter(|_| outcome == "success") {
                    let key = (actor, permission, block);
                    uses.entry(key).and_modify(|known| known.merge(&presence)).or_insert(presence);
                }
                for need in kind.needs.iter().filter(|need| outcome == "denied" && need.own) {
                    let one = Denials { first: day.first, last: day.last, count: day.events };
                    denials
                        .entry((actor, need.permission))
                        .and_modify(|known| known.merge(&one))
                        .or_insert(one);
                }
            }
            kind.days.clear();
            kind.on_days.clear();
        }
        // Sorted by numbers that follow the texts' order, which costs less than to compare the texts again and again.
        let used = uses.keys().flat_map(|(who, what, _)| [*who, *what]);
        let order = self.words.order(used.chain(denials.keys().flat_map(|(who, what)| [*who, *what])));
        let rank = |id: u32| order.get(&id).copied().unwrap_or_default();
        let text = |id| Arc::clone(self.words.text(id));
        let mut uses: Vec<_> = uses.into_iter().collect();
        uses.sort_unstable_by_key(|((who, what, block), _)| (rank(*who), rank(*what), *block));
        let mut denials: Vec<_> = denials.into_iter().collect();
        denials.sort_unstable_by_key(|((who, what), _)| (rank(*who), rank(*what)));
        let of_kinds = BaselineDelta {
            uses: uses
                .into_iter()
                .map(|((who, what, block), p)| ((text(who), text(what), block), p))
                .collect(),
            denials: denials.into_iter().map(|((who, what), d)| ((text(who), text(what)), d)).collect(),
        };
        // What other clouds' events added by themselves is little, mostly nothing.
        let apart = std::mem::replace(&mut walked.baseline, of_kinds);
        for (key, presence) in apart.uses {
            walked.baseline.add_use(key, presence);
        }
        for (key, one) in apart.denials {
            walked.baseline.add_denials(key, one);
        }
    }

    /// The first row of each signature of which no detection was asked.
    pub(crate) fn unheard(&self, walked: &Walked) -> Vec<usize> {
        let mut unheard: Vec<(u32, usize)> = Vec::new();
        for (row, (_, signature)) in walked.rows.iter().enumerate() {
            if self.signatures.heard.get(*signature as usize) == Some(&Heard::NotAsked) {
                unheard.push((*signature, row));
            }
        }
        unheard.sort_unstable();
        unheard.dedup_by_key(|(signature, _)| *signature);
        let mut rows: Vec<usize> = unheard.into_iter().map(|(_, row)| row).collect();
        rows.sort_unstable();
        rows
    }

    /// Keeps what detections said of one row of each of some signatures.
    pub(crate) fn hear(&mut self, walked: &Walked, rows: &[usize], is_loud: &[bool]) {
        for (row, is_loud) in rows.iter().zip(is_loud) {
            let Some((_, signature)) = walked.rows.get(*row) else { continue };
            if let Some(heard) = self.signatures.heard.get_mut(*signature as usize) {
                *heard = if *is_loud { Heard::Loud } else { Heard::Quiet };
            }
        }
    }

    /// The rows that some detection lets through.
    pub(crate) fn loud(&self, walked: &Walked) -> Vec<usize> {
        let is_loud = |signature: u32| self.signatures.heard.get(signature as usize) == Some(&Heard::Loud);
        let rows = walked.rows.iter().enumerate();
        rows.filter(|(_, (_, signature))| is_loud(*signature)).map(|(row, _)| row).collect()
    }

    /// Annotates rows, by their numbers in ascending order.
    pub(crate) fn write<'a>(
        &mut self,
        view: &EventView<'a>,
        rules: &'a Rules,
        changes: &Changes,
        walked: &Walked,
        rows: &[usize],
    ) -> (RecordBatch, Vec<CallFacts>) {
        let mut annotated = Annotated::with_capacity(rows.len());
        let event_of = |row: usize| walked.rows.get(row).map(|(event, _)| *event);
        for of_event in rows.chunk_by(|a, b| event_of(*a) == event_of(*b)) {
            let Some((first, event)) = of_event.first().and_then(|row| Some((*row, event_of(*row)?))) else {
                continue;
            };
            let before = (0..first).rev().take_while(|row| event_of(*row) == Some(event)).count();
            let start = first - before;
            let event = event as usize;
            let is_wanted = |place: usize| of_event.contains(&(start + place));
            if let Some(found) = elsewhere::found(view, event, start, rules, &mut self.answers) {
                found.write(view, &is_wanted, &mut annotated);
                continue;
            }
            let fault = changes.fault(event);
            event::annotate(view, event, start, &is_wanted, fault, rules, &mut self.answers, &mut annotated);
        }
        annotated.finish()
    }
}

impl Walked {
    /// Adds a row that is like no other.
    pub(super) fn push_apart(&mut self, event: usize) {
        self.rows.push((u32::try_from(event).unwrap_or(u32::MAX), APART));
    }

    /// Every row.
    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.rows.len()).collect()
    }
}

impl Kind {
    /// The place of a call's day among those of the batch.
    fn on(
        &mut self,
        time: i64,
        shown: &Shown,
        words: &Words,
        signatures: &mut Signatures,
        baseline: &Baseline,
    ) -> usize {
        let day = day_of(time);
        if self.days.get(self.last_day).is_some_and(|known| known.day == day) {
            return self.last_day;
        }
        self.last_day = match self.days.iter().position(|known| known.day == day) {
            Some(known) => known,
            None => {
                for place in 0..self.needs.len().max(1) {
                    let fixed = self.fixed(place, day, shown, words, baseline);
                    self.on_days.push(OnDay { fixed: signatures.fixed(fixed), last: None });
                }
                self.days.push(Day { day, events: 0, first: i64::MAX, last: i64::MIN });
                self.days.len() - 1
            }
        };
        self.last_day
    }

    fn fixed(&self, place: usize, day: i64, shown: &Shown, words: &Words, baseline: &Baseline) -> Fixed {
        let need = self.needs.get(place);
        let mut fixed = Fixed::default();
        let agent = self.agent.as_deref();
        let place_of = agent.and_then(|agent| agent.environment.as_deref());
        fixed.agent = shown.agent.shown(self.key.agent);
        // Several agents may share one; what tells the agents apart tells it too.
        fixed.environment = shown.environment.shown(if place_of.is_some() { self.key.agent } else { NONE });
        fixed.actor = shown.actor.shown(self.key.actor);
        fixed.permission = shown.permission.shown(need.map_or(NONE, |need| need.permission));
        fixed.outcome = shown.outcome.shown(self.key.outcome);
        fixed.told = self.key.told;
        if shown.flags {
            let read_only = agent.map_or(0, |agent| 1 + u32::from(agent.scope.is_read_only()));
            fixed.flags = need.map_or(0, |need| need.flags) << 2 | read_only;
        }
        if let Some(named) = self.naming.get(place).filter(|_| shown.first_use || shown.active_days) {
            let Novelty { first_use, active_days } =
                baseline.novelty(words.text(self.key.actor), &named.permission, day);
            fixed.flags |= u32::from(first_use && shown.first_use) << 12;
            fixed.active_days = if shown.active_days { active_days } else { 0 };
        }
        fixed
    }
}

/// Never 0: that is a row that needs nothing.
fn flags_of(permission: &str, certain: bool, level: Option<AccessLevel>) -> u32 {
    let bits = [
        true,
        certain,
        permission::is_destructive(permission),
        permission::is_credential_minting(permission),
        permission::is_logging_tamper(permission),
        permission::is_read_like(permission),
    ];
    let bits = bits.into_iter().enumerate().map(|(at, is_set)| u32::from(is_set) << at);
    bits.sum::<u32>() | level.map_or(0, |level| level as u32 + 1) << 6
}

/// What needs the name alone: the answer does not hang on the resource.
fn bare(named: &Naming) -> Needed {
    Needed {
        permission: named.permission.to_string(),
        certain: named.certain,
        resources: Vec::new(),
        resources_known: false,
        one_of: false,
    }
}

// What rows of a kind are told apart by.
const FAULT: u32 = 1;
const ERROR_MESSAGE: u32 = 1 << 1;
const CREDENTIAL: u32 = 1 << 2;
const SESSION_NAME: u32 = 1 << 3;
const SOURCE_IP: u32 = 1 << 4;
const USER_AGENT: u32 = 1 << 5;
const OWN_IAM: u32 = 1 << 6;
const EXPECTED_DENIAL: u32 = 1 << 7;
const BOUND_GRAVE: u32 = 1 << 8;
const BOUND_BROKEN: u32 = 9;
const BOUND_UNKNOWN: u32 = 12;

/// The first bound that is broken, whether gravely, and the first of which it cannot be told.
fn bound_bits(kind: &Kind, event: &Looked<'_, '_>, time: i64) -> u32 {
    let Some(agent) = &kind.agent else { return 0 };
    let number = |bound: Bound| match bound {
        Bound::Networks => 1,
        Bound::Regions => 2,
        Bound::Hours => 3,
        Bound::SessionMax => 4,
    };
    let mut bits = 0;
    let found = agent.bounds.broken(&event::bound_facts(event.view, event.row, time));
    if let Some(broken) = found.iter().find(|one| one.certain) {
        bits |= (number(broken.bound) << BOUND_BROKEN) | (u32::from(broken.is_grave) * BOUND_GRAVE);
    }
    if let Some(unknown) = found.iter().find(|one| !one.certain) {
        bits |= number(unknown.bound) << BOUND_UNKNOWN;
    }
    bits
}

/// The columns that kinds are told by.
struct Columns<'a> {
    provider: Codes<'a>,
    actor: Codes<'a>,
    account: Codes<'a>,
    recipient_account: Codes<'a>,
    region: Codes<'a>,
    service: Codes<'a>,
    operation: Codes<'a>,
    outcome: Codes<'a>,
    error_code: Codes<'a>,
    denied_by: Codes<'a>,
    invoked_by: Codes<'a>,
    actor_type: Codes<'a>,
    credential_kind: Codes<'a>,
    event_type: Codes<'a>,
    error_message: Filled<'a>,
    /// Texts of which detections ask only whether they are there, with their bits
    texts: Vec<(Filled<'a>, u32)>,
}

/// Whether the rows of a column have a value.
struct Filled<'a>(Option<&'a ArrayRef>);

impl<'a> Filled<'a> {
    fn of(batch: &'a EventBatch, name: &str) -> Filled<'a> {
        let column = batch.records.column_by_name(name);
        // Only what the event's view reads too.
        Filled(
            column
                .filter(|column| column.null_count() < column.len() && column.as_string_view_opt().is_some()),
        )
    }

    fn has(&self, row: usize) -> bool {
        self.0.is_some_and(|column| column.is_valid(row))
    }
}

impl<'a> Columns<'a> {
    fn of(batch: &'a EventBatch, shown: &Shown) -> Columns<'a> {
        let texts = [
            (shown.error_message, "error_message", ERROR_MESSAGE),
            (shown.credential, "credential", CREDENTIAL),
            (shown.session_name, "session_name", SESSION_NAME),
            (shown.source_ip, "source_ip", SOURCE_IP),
            (shown.user_agent, "user_agent", USER_AGENT),
        ];
        let texts = texts.into_iter().filter(|(is_read, ..)| *is_read);
        let of = |name| Codes::of(&batch.records, name);
        Columns {
            provider: of("provider"),
            actor: of("actor"),
            account: of("account"),
            recipient_account: of("recipient_account"),
            region: of("region"),
            service: of("service"),
            operation: of("operation"),
            outcome: of("outcome"),
            error_code: of("error_code"),
            denied_by: of("denied_by"),
            invoked_by: of("invoked_by"),
            actor_type: of("actor_type"),
            credential_kind: of("credential_kind"),
            event_type: of("event_type"),
            error_message: Filled::of(batch, "error_message"),
            texts: texts.map(|(_, name, bit)| (Filled::of(batch, name), bit)).collect(),
        }
    }
}
