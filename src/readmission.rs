//! Reads again what waits in quarantine and is wanted back, and adds what now reads, once.

use crate::pipeline::{Begun, Outcome, Pipeline, Read, Written};
use crate::slices::Tools;
use engine::store::{Claim, Readmission, Unread};
use engine::time::{self, MINUTE};
use ingest::source::{FetchError, Fetcher};
use ingest::{Notification, ObjectRef};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often the store is asked for what is wanted.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Objects and messages that are asked of the store at once.
const WANTED_MAX: i64 = 64;

/// Rounds of judging against what other workers committed meanwhile.
const CLASHES_MAX: usize = 16;

/// How long the derived id of a readmission is claimed.
const LEASE: i64 = 15 * MINUTE;

/// Reads again what is wanted back of one source.
#[derive(Clone)]
pub struct Readmitter {
    pub pipeline: Arc<Pipeline>,
    pub fetcher: Fetcher,
    pub source: String,
}

/// What became of one attempt.
enum Ended {
    /// It was read, or nothing of it is left to read.
    Readmitted(String),
    /// It was read, and the commit has said what became of it.
    Committed,
    /// It waits on, because of this; the reason where it is another now.
    Waits(Option<&'static str>, String),
    /// Somebody else has it at the moment: it stays wanted.
    Later,
}

impl Readmitter {
    /// Until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(cause) = self.drain(&stop).await {
                self.pipeline.metrics.store_error();
                warn!(
                    cause = format!("{cause:#}"),
                    "reading again what was quarantined failed; it is tried again"
                );
            }
        }
    }

    /// One pass over what is wanted now: each is tried once.
    pub async fn drain(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let store = &self.pipeline.store;
        let mut tools = None;
        loop {
            let wanted = store.wanted_back(&self.source, WANTED_MAX).await?;
            let mut moved = 0;
            for wanted in wanted {
                if stop.is_cancelled() {
                    return Ok(());
                }
                let tools = tools.get_or_insert_with(|| self.pipeline.worker());
                let (id, place, ended) = match &wanted {
                    Readmission::Whole { id, object } => {
                        (id, object.display(), self.whole(tools, id, object).await)
                    }
                    Readmission::Records(unread) => {
                        (&unread.id, unread.object.display(), self.records(tools, unread).await)
                    }
                    Readmission::Message { row, object, body } => {
                        (row, self.source.clone(), self.message(tools, object.as_ref(), body).await)
                    }
                };
                // One that fails does not stand in the way of the others.
                let ended = ended.unwrap_or_else(|cause| Ended::Waits(None, format!("{cause:#}")));
                moved += usize::from(!matches!(ended, Ended::Later));
                match ended {
                    Ended::Later => {}
                    Ended::Committed => info!(place, "read again from quarantine"),
                    Ended::Readmitted(outcome) => {
                        info!(place, outcome, "read again from quarantine");
                        store.readmitted(id, &outcome, time::now()).await?;
                    }
                    Ended::Waits(reason, cause) => {
                        warn!(place, cause, "still not read; it waits on in quarantine");
                        store.keep_waiting(id, reason, &cause, time::now()).await?;
                    }
                }
            }
            if moved == 0 {
                return Ok(());
            }
        }
    }

    /// An object of which nothing was read: claimed anew, as if it had just come.
    async fn whole(&self, tools: &mut Tools, id: &str, object: &ObjectRef) -> anyhow::Result<Ended> {
        let bytes = match self.fetcher.fetch(object).await {
            Ok(bytes) => bytes,
            Err(cause) => return Ok(unfetched(&cause)),
        };
        self.pipeline.store.reopen(id).await?;
        self.read(tools, object, &bytes).await
    }

    async fn read(&self, tools: &mut Tools, object: &ObjectRef, bytes: &[u8]) -> anyhow::Result<Ended> {
        let claim = match self.pipeline.begin(object).await? {
            Begun::Mine(claim) | Begun::Suspect(claim) => claim,
            Begun::Ended(Outcome::Held) => return Ok(Ended::Later),
            Begun::Ended(_) => return Ok(Ended::Readmitted("it was read meanwhile".to_owned())),
        };
        for _ in 0..CLASHES_MAX {
            let written = match self.pipeline.judge(tools, object, &claim, bytes, false).await {
                Ok(Read::Judged(sheet)) => self.pipeline.commit(object, sheet).await,
                Ok(Read::Ended(outcome)) => Ok(Written::Ended(outcome)),
                Ok(Read::Torn) => Err(anyhow::anyhow!("its bytes end too early")),
                Err(cause) => Err(cause),
            };
            match written {
                Ok(Written::Ended(Outcome::Held)) => return Ok(Ended::Later),
                Ok(Written::Ended(Outcome::Quarantined(reason))) => {
                    return Ok(Ended::Waits(None, format!("read again, and still not to be read: {reason}")));
                }
                // The commit has said so already.
                Ok(Written::Ended(_)) => return Ok(Ended::Committed),
                Ok(Written::Clash) => {}
                Err(cause) => {
                    self.pipeline.store.release(&claim).await?;
                    return Err(cause);
                }
            }
        }
        self.pipeline.store.release(&claim).await?;
        Ok(Ended::Later)
    }

    /// Records of a judged object. Which they are is known by their place in it or, where reading it has changed, by
    /// the ids of all its other events.
    async fn records(&self, tools: &mut Tools, unread: &Unread) -> anyhow::Result<Ended> {
        if unread.quarantined == 0 {
            return Ok(Ended::Readmitted("nothing of its object is left to read".to_owned()));
        }
        let bytes = match self.fetcher.fetch(&unread.object).await {
            Ok(bytes) => bytes,
            Err(cause) => return Ok(unfetched(&cause)),
        };
        for _ in 0..CLASHES_MAX {
            if let Some(rows) = &unread.rows
                && let Some(ended) = self.of_rows(tools, unread, Some(rows), &bytes).await?
            {
                return Ok(ended);
            }
            if !unread.is_remembered {
                let cause = "its events are no longer remembered (`[store] event_horizon`) and its records are not those \
                             of then, so that what is new in it cannot be told";
                return Ok(Ended::Waits(None, cause.to_owned()));
            }
            if let Some(ended) = self.of_rows(tools, unread, None, &bytes).await? {
                return Ok(ended);
            }
        }
        Ok(Ended::Later)
    }

    /// None: try another way, or again.
    async fn of_rows(
        &self,
        tools: &mut Tools,
        unread: &Unread,
        only: Option<&std::collections::HashSet<u32>>,
        bytes: &[u8],
    ) -> anyhow::Result<Option<Ended>> {
        let store = &self.pipeline.store;
        let place = unread.object.display();
        let claim = match store.claim(&unread.derived, &self.source, &place, LEASE, time::now()).await? {
            Claim::Mine(claim) | Claim::Suspect(claim) => claim,
            Claim::Held | Claim::Done => return Ok(Some(Ended::Later)),
            Claim::Poison(claim) => {
                store.withdraw(&claim).await?;
                let cause = "reading it again ended the process twice";
                return Ok(Some(Ended::Waits(None, cause.to_owned())));
            }
        };
        let ended = self.claimed(tools, unread, only, bytes, &claim).await;
        if !matches!(ended, Ok(Some(Ended::Committed))) {
            store.withdraw(&claim).await?;
        }
        ended
    }

    async fn claimed(
        &self,
        tools: &mut Tools,
        unread: &Unread,
        only: Option<&std::collections::HashSet<u32>>,
        bytes: &[u8],
        claim: &engine::store::ClaimToken,
    ) -> anyhow::Result<Option<Ended>> {
        let mut sheet = match self.pipeline.judge_unread(tools, unread, only, claim, bytes).await? {
            Ok(sheet) => sheet,
            Err(error) => return Ok(Some(Ended::Waits(None, format!("it can no longer be read: {error}")))),
        };
        if sheet.sha256 != unread.sha256 {
            let cause = "its bytes are not those that were judged: somebody changed it";
            return Ok(Some(Ended::Waits(None, cause.to_owned())));
        }
        let is_as_then = i64::try_from(sheet.read).is_ok_and(|read| read == unread.records);
        if only.is_some() && !is_as_then {
            return Ok(None);
        }
        // What was read then has its account; here counts what was not.
        let accounted = u64::try_from(unread.records - unread.quarantined).unwrap_or(0);
        let (Some(read), Some(duplicates)) =
            (sheet.read.checked_sub(accounted), sheet.duplicates.checked_sub(accounted))
        else {
            let cause = "less of it reads now than when it was judged; nothing was changed";
            return Ok(Some(Ended::Waits(None, cause.to_owned())));
        };
        let still = i64::try_from(sheet.quarantined.len()).unwrap_or(i64::MAX);
        if sheet.events.is_empty() && duplicates == 0 && still == unread.quarantined {
            self.pipeline.store.still_unread(unread, &sheet.quarantined, time::now()).await?;
            return Ok(Some(Ended::Waits(None, "read again, and still not to be read".to_owned())));
        }
        (sheet.read, sheet.duplicates) = (read, duplicates);
        match self.pipeline.commit(&unread.object, sheet).await? {
            Written::Ended(Outcome::Done { .. }) => Ok(Some(Ended::Committed)),
            Written::Ended(Outcome::Quarantined(reason)) => {
                Ok(Some(Ended::Waits(None, format!("not committed: {reason}"))))
            }
            Written::Ended(_) => Ok(Some(Ended::Later)),
            Written::Clash => Ok(None),
        }
    }

    /// A message: the objects that it names go the way of any other.
    async fn message(
        &self,
        tools: &mut Tools,
        object: Option<&ObjectRef>,
        body: &str,
    ) -> anyhow::Result<Ended> {
        let objects = match object {
            Some(object) => vec![object.clone()],
            None => match ingest::notification(body) {
                Ok(Notification::Objects(objects)) => {
                    objects.into_iter().map(|object| ObjectRef::notified(&self.source, object)).collect()
                }
                Ok(Notification::Ignored(why)) => {
                    return Ok(Ended::Readmitted(format!("it asks for nothing: {why}")));
                }
                Err(cause) => return Ok(Ended::Waits(Some(cause.reason()), cause.to_string())),
            },
        };
        let mut fetched = Vec::with_capacity(objects.len());
        for object in objects {
            match self.fetcher.fetch(&object).await {
                Ok(bytes) => fetched.push((object, bytes)),
                Err(cause) => return Ok(unfetched(&cause)),
            }
        }
        for (object, bytes) in &fetched {
            if matches!(self.read(tools, object, bytes).await?, Ended::Later) {
                return Ok(Ended::Later);
            }
        }
        Ok(Ended::Readmitted(format!("followed: {} objects", fetched.len())))
    }
}

fn unfetched(cause: &FetchError) -> Ended {
    Ended::Waits(cause.reason(), cause.to_string())
}

#[cfg(test)]
mod tests;
