//! Answers that were given before

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use super::Compiled;
use super::hash::Seed;
use crate::aws::decide::Decision;
use crate::aws::layers::Request;
use crate::aws::principal::{Principal, Principals};
use crate::context::{Context, Fact};
use crate::wildcard::Target;

/// Questions that are remembered; at the bound all are forgotten.
const QUESTIONS_MAX: usize = 65_536;
/// A longer question is asked anew each time.
const QUESTION_BYTES_MAX: usize = 2_048;
/// Answers to one question, for different values of the keys that it hangs on.
const ANSWERS_MAX: usize = 16;
/// A question that hangs on more keys, or on longer values, is asked anew each time.
const KEYS_MAX: usize = 32;
const FACT_BYTES_MAX: usize = 2_048;

/// Remembers what one principal was answered.
///
/// A question is an action and a resource; its answer is remembered for the values of just those condition keys that a
/// statement asks for which may match it. Most ask for none. Not shared between threads: each has its own.
///
/// Memory: for each question its text and some 300 bytes, and as much for each further answer, of which at most 16 are
/// kept. At most 65,536 questions of at most 2 KiB are kept, then all are forgotten: some 30 MB where one answer is the
/// rule.
#[derive(Debug)]
pub struct Memo {
    compiled: Arc<Compiled>,
    principal: Option<Principal>,
    seed: Seed,
    questions: Vec<Question>,
    /// By hash; of two questions with the same hash the later one is kept
    places: HashMap<u64, u32, Plain>,
    /// The answer to a question that is not remembered
    last: Option<Decision>,
}

#[derive(Debug)]
struct Question {
    action: Box<str>,
    arn: Box<str>,
    within: bool,
    account: Option<Box<str>>,
    /// What the statements ask for that may match
    keys: Box<[Box<str>]>,
    answers: Vec<(Box<[Fact]>, Decision)>,
    /// The answer that the next one replaces
    oldest: usize,
}

impl Memo {
    /// Remembers nothing yet. `principal`: who asks, as in [`Request`].
    #[must_use]
    pub fn new(compiled: Arc<Compiled>, principal: Option<Principal>) -> Memo {
        Memo {
            compiled,
            principal,
            seed: Seed::default(),
            questions: Vec::new(),
            places: HashMap::default(),
            last: None,
        }
    }

    /// The answer of [`Compiled::decide`]. The memo's own principal asks, whatever the request says.
    pub fn decide(&mut self, request: &Request<'_>) -> &Decision {
        let hash = self.hash(request);
        let at = self.places.get(&hash).map(|at| *at as usize);
        let known = at.and_then(|at| self.questions.get(at)).filter(|question| question.is(request));
        let (at, answer) = match (at, known.and_then(|question| question.answer(request.context))) {
            (Some(at), Some(answer)) => (at, answer),
            _ => match self.ask(hash, request) {
                Ok(place) => place,
                Err(decision) => return self.last.insert(decision),
            },
        };
        #[expect(clippy::indexing_slicing, reason = "both places were found or made just now")]
        &self.questions[at].answers[answer].1
    }

    /// Questions that are remembered now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    fn hash(&self, request: &Request<'_>) -> u64 {
        let mut hasher = self.seed.build_hasher();
        hasher.write(request.action.as_bytes());
        hasher.write(request.arn().as_bytes());
        if let Target::Within(_) = request.resource {
            hasher.write_u8(1);
        }
        if let Some(account) = request.resource_account {
            hasher.write(account.as_bytes());
        }
        hasher.finish()
    }

    /// Asks, and says where the answer was put; the answer itself where it is not to be remembered.
    fn ask(&mut self, hash: u64, request: &Request<'_>) -> Result<(usize, usize), Decision> {
        let request = Request { principal: self.principal.as_ref(), ..*request };
        let decision = self.compiled.decide(&request);
        let bytes = request.action.len() + request.arn().len() + request.resource_account.map_or(0, str::len);
        let keys = self.compiled.keys(&request);
        let facts: Box<[Fact]> = keys.iter().map(|key| request.context.fact(key).clone()).collect();
        let longest = facts.iter().map(length).sum::<usize>();
        if bytes > QUESTION_BYTES_MAX || keys.len() > KEYS_MAX || longest > FACT_BYTES_MAX {
            return Err(decision);
        }
        if self.questions.len() >= QUESTIONS_MAX {
            self.questions.clear();
            self.places.clear();
        }
        let next = self.questions.len();
        let at = *self.places.entry(hash).or_insert(u32::try_from(next).unwrap_or(u32::MAX)) as usize;
        match self.questions.get_mut(at) {
            Some(question) if question.is(&request) => Ok((at, question.remember(facts, decision))),
            Some(question) => {
                *question = Question::new(&request, keys, facts, decision);
                Ok((at, 0))
            }
            None => {
                self.questions.push(Question::new(&request, keys, facts, decision));
                Ok((next, 0))
            }
        }
    }
}

impl Question {
    fn new(request: &Request<'_>, keys: Box<[Box<str>]>, facts: Box<[Fact]>, decision: Decision) -> Question {
        Question {
            action: request.action.into(),
            arn: request.arn().into(),
            within: matches!(request.resource, Target::Within(_)),
            account: request.resource_account.map(Box::from),
            keys,
            answers: vec![(facts, decision)],
            oldest: 0,
        }
    }

    fn is(&self, request: &Request<'_>) -> bool {
        *self.action == *request.action
            && *self.arn == *request.arn()
            && self.within == matches!(request.resource, Target::Within(_))
            && self.account.as_deref() == request.resource_account
    }

    fn answer(&self, context: &Context) -> Option<usize> {
        let same = |facts: &[Fact]| self.keys.iter().zip(facts).all(|(key, fact)| context.fact(key) == fact);
        self.answers.iter().position(|(facts, _)| same(facts))
    }

    fn remember(&mut self, facts: Box<[Fact]>, decision: Decision) -> usize {
        if self.answers.len() < ANSWERS_MAX {
            self.answers.push((facts, decision));
            return self.answers.len() - 1;
        }
        let at = self.oldest;
        self.oldest = (at + 1) % ANSWERS_MAX;
        if let Some(answer) = self.answers.get_mut(at) {
            *answer = (facts, decision);
        }
        at
    }
}

fn length(fact: &Fact) -> usize {
    match fact {
        Fact::Values(values) => values.iter().map(|value| value.len() + size_of::<String>()).sum(),
        Fact::Absent | Fact::Unknown => 0,
    }
}

impl Compiled {
    /// The condition keys that may turn the answer, sorted, each once.
    fn keys(&self, request: &Request<'_>) -> Box<[Box<str>]> {
        let mut keys: Vec<Box<str>> = Vec::new();
        for found in self.candidates(request).into_iter().filter_map(|number| self.found(number)) {
            let statement = found.statement;
            let asked = statement.conditions.keys().iter().map(String::as_str);
            let named = statement.principals.iter().flat_map(Principals::keys);
            keys.extend(asked.chain(statement.resources.variables()).chain(named).map(Box::from));
        }
        keys.sort_unstable();
        keys.dedup();
        keys.into()
    }
}

/// The key is a hash already.
#[derive(Debug, Clone, Copy, Default)]
struct Plain(u64);

impl BuildHasher for Plain {
    type Hasher = Plain;

    fn build_hasher(&self) -> Plain {
        Plain(0)
    }
}

impl Hasher for Plain {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
