//! Kinds of calls: what is the same for all calls of a kind is decided once
//!
//! A kind is all that repeats in a log and that an answer can hang on: who calls, what is needed by name, how it ended.
//! Only where scope or grants hang on the resource or on a condition is each call looked at by itself. What the calls
//! of a kind add to baseline and measures is counted in numbers and spelled out at the end of the batch.

use std::hash::BuildHasher;
use std::sync::Arc;

use ingest::agent::MCP_HOST;
use ingest::event::{EventBatch, EventView};
use policy::context::Context;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::answers::Answers;
use super::callers::{Callers, Who};
use super::columns::Columns;
use super::elsewhere;
use super::event;
use super::kind::{Counts, Hot, Key, Kind, Need, bare, bound_bits, flags_of};
use super::looked::Looked;
use super::operations::Operations;
use super::shown::{Shown, TOLD, Told};
use super::signature::{EXPECTED_DENIAL, FAULT, OWN_IAM, Read, Reads, Signature, Signatures};
use super::walked::Walked;
use super::weighing::{Alike, Weighing};
use super::words::{NONE, Words};
use super::{Brought, Rules, caller_of};
use crate::baseline::{ANY_PERMISSION, BaselineDelta, Denials, POSSIBLE, Presence, block_of};
use crate::measure::Observed;
use crate::permission::{self, AccessLevel, Needed};
use crate::scope::HOPS;
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
    success: u32,
    operations: Operations,
    callers: Callers,
    /// By the key's hash, or the next free number after it
    by_hash: FxHashMap<u64, u32>,
    hot: Vec<Hot>,
    kinds: Vec<Kind>,
    pub(super) signatures: Signatures,
    pub(super) answers: Answers,
    weighed: Weighing,
    /// The kinds of the batch at hand.
    touched: Vec<u32>,
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
            success: words.id("success"),
            words,
            operations: Operations::default(),
            callers: Callers::default(),
            by_hash: FxHashMap::default(),
            hot: Vec::new(),
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
        brought: &Brought,
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
            let at = match self.find(&key) {
                Ok(at) => at,
                Err(hash) => self.add(hash, key, who, &event, time, rules),
            };
            self.count(&columns, at, &event, time, brought.has_fault(row), rules, &mut walked, &mut graded);
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
        // A success without a code has no message: the row need not be looked up.
        let may_have_message = error_code != NONE || outcome != self.success;
        let has_message = may_have_message && event.view.error_message(row).is_some();
        let naming = self.operations.naming(words, has_message, event);
        let invoked = invoked_by != NONE;
        let key =
            Key { holder: who.holder, actor, agent: who.agent, naming, outcome, denied_by, invoked, told };
        (key, who)
    }

    /// The number of a kind; where it is new, the hash to keep it under.
    fn find(&self, key: &Key) -> Result<u32, u64> {
        let mut hash = FxBuildHasher.hash_one(key);
        loop {
            let Some(at) = self.by_hash.get(&hash) else { return Err(hash) };
            match self.hot.get(*at as usize) {
                Some(hot) if hot.key == *key => return Ok(*at),
                // Two keys of one hash: the second stands at the next number.
                _ => hash = hash.wrapping_add(1),
            }
        }
    }

    /// Decides a new kind by its first call.
    fn add(
        &mut self,
        hash: u64,
        key: Key,
        who: Who,
        event: &Looked<'_, '_>,
        time: i64,
        rules: &Rules,
    ) -> u32 {
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
            let is_held = judged && asker.holder.as_ref().is_none_or(|holder| holder.is_settled(permission));
            let is_settled = is_held && agent.as_ref().is_none_or(|agent| agent.scope.is_settled(permission));
            let patterns = agent
                .as_ref()
                .filter(|_| is_held && !is_settled)
                .and_then(|agent| agent.scope.patterns(permission));
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
                alike: patterns.and_then(Alike::new),
            });
        }
        let at = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
        let hops = self.shown.hop_into.is_read() && needs.iter().any(|need| need.hop);
        self.hot.push(Hot::new(key, !judged && !hops && needs.len() <= 1));
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
            kept: None,
        });
        self.by_hash.insert(hash, at);
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
        let Some(hot) = self.hot.get_mut(at as usize) else { return };
        if !hot.count(time) {
            let Some(kind) = self.kinds.get_mut(at as usize) else { return };
            if hot.is_new() {
                self.touched.push(at);
            }
            let day = day_of(time);
            let at_day = kind.on(day, &self.shown, &self.words, &mut self.signatures, &rules.baseline);
            hot.turn_to(day, at_day, kind);
            hot.count(time);
        }
        let on_day = hot.at_day();
        let mut own = 0;
        let shown = &self.shown;
        if shown.policy_fault && is_fault {
            own |= FAULT;
        }
        for (is_there, bit) in &columns.texts {
            own |= u32::from(is_there(view, row)) * bit;
        }
        if let Some((bits, id)) = hot.last
            && bits == own
        {
            walked.rows.push((number, id));
            return;
        }
        let Some(kind) = self.kinds.get_mut(at as usize) else { return };
        if kind.judged {
            walked.judged.push(number);
        }
        let plain = own;
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
                let mut looked = || event.needed_of(named);
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
                    let into =
                        event::hop_into(event.listed(), needed, &caller, &kind.asker, &rules.manifests);
                    hop = into.map_or(NONE, |name| shown.hop_into.shown(self.words.id(name)));
                }
                if kind.judged {
                    let settled = need.settled.as_mut().filter(|_| kind.asker.session.is_none());
                    let weighed = match settled.and_then(|both| both.get_mut(usize::from(expired))) {
                        Some(Some(weighed)) => *weighed,
                        Some(unset) => {
                            let answer = self.answers.of(&kind.asker, &bare(named), |_| Context::partial());
                            *unset.insert(self.weighed.of(&answer, &mut self.signatures, &self.reads))
                        }
                        None => {
                            let needed = &*needed.get_or_insert_with(&mut looked);
                            let alike = need.alike.as_mut().filter(|_| kind.asker.session.is_none());
                            let way = alike.as_ref().and_then(|alike| alike.way(needed, expired));
                            let known = alike.as_ref().zip(way).and_then(|(alike, way)| alike.get(way));
                            known.unwrap_or_else(|| {
                                let answer = self
                                    .answers
                                    .of(&kind.asker, needed, |keys| event.listed().context(needed, keys));
                                let weighed = self.weighed.of(&answer, &mut self.signatures, &self.reads);
                                if let Some((alike, way)) = alike.zip(way) {
                                    alike.insert(way, weighed);
                                }
                                weighed
                            })
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
                        .expects_denial(&kind.asker, needed, |keys| event.listed().context(needed, keys));
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
            if hot.is_plain {
                hot.last = Some((plain, id));
            }
            walked.rows.push((number, id));
        }
    }

    /// Spells out what was counted.
    fn sum(&mut self, graded: &Tallies, walked: &mut Walked) {
        for at in &self.touched {
            if let (Some(hot), Some(kind)) =
                (self.hot.get_mut(*at as usize), self.kinds.get_mut(*at as usize))
            {
                hot.turn_away(kind);
            }
        }
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
                let Counts { events, first, last } = day.counts;
                let presence = Presence { days, first, last, uses: events };
                let used = kind.needs.iter().map(|need| need.used).chain([any]);
                for permission in used.filter(|_| outcome == "success") {
                    let key = (actor, permission, block);
                    uses.entry(key).and_modify(|known| known.merge(&presence)).or_insert(presence);
                }
                for need in kind.needs.iter().filter(|need| outcome == "denied" && need.own) {
                    let one = Denials { first, last, count: events };
                    denials
                        .entry((actor, need.permission))
                        .and_modify(|known| known.merge(&one))
                        .or_insert(one);
                }
            }
            kind.end_batch();
        }
        // Sorted by numbers that follow the texts' order, which costs less than to compare the texts again and again.
        self.words.put_in_order();
        let words = &self.words;
        let text = |id| Arc::clone(words.text(id));
        let mut uses: Vec<_> = uses
            .into_iter()
            .map(|((who, what, block), one)| ((words.rank(who), words.rank(what), block), (who, what), one))
            .collect();
        uses.sort_unstable_by_key(|(place, ..)| *place);
        let uses =
            uses.into_iter().map(|((.., block), (who, what), one)| ((text(who), text(what), block), one));
        let denials = denials.into_iter().map(|((who, what), one)| ((text(who), text(what)), one));
        let of_kinds = BaselineDelta { uses: uses.collect(), denials: denials.collect() };
        // What other clouds' events added by themselves is little, mostly nothing.
        let apart = std::mem::replace(&mut walked.baseline, of_kinds);
        for (key, presence) in apart.uses {
            walked.baseline.add_use(key, presence);
        }
        for (key, one) in apart.denials {
            walked.baseline.add_denials(key, one);
        }
    }
}
