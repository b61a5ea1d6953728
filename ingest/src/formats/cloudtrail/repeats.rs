//! Parts that stand in many records byte for byte: a session makes many calls, and its `userIdentity` is a third of each;
//! of an operation, what was called; and the end, that says to which account and how the call came.
//!
//! A part that begins where one is known is compared with it as a whole; if it is the same, it was validated before, and
//! its fields stand where they stood. What a record says never hangs on what others said: only the work is saved.

use std::hash::Hasher;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHasher;

use super::keys::{SLOTS, Slot};
use super::slots::Span;
use crate::event::Source;

/// How many of a part are kept. A power of two.
const KEPT: usize = 512;
/// Longest text that is kept.
const BYTES_MAX: usize = 2048;

/// A part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The value of `userIdentity`.
    Caller,
    /// From the value of `eventSource` to the comma behind that of `awsRegion`.
    Call,
    /// From the value of `eventType` to the brace that ends the record.
    End,
}

impl Part {
    /// The slots that it fills with texts or flags.
    const fn slots(self) -> RangeInclusive<usize> {
        match self {
            Part::Caller => Slot::Kind as usize..=Slot::Federation as usize,
            Part::Call => Slot::EventSource as usize..=Slot::AwsRegion as usize,
            Part::End => Slot::EventType as usize..=Slot::TlsVersion as usize,
        }
    }

    /// The bits of all slots that it may fill; one that fills others is not kept.
    pub(super) const fn bits(self) -> u64 {
        let slots = self.slots();
        let values = ((1 << (*slots.end() + 1)) - 1) & !((1 << *slots.start()) - 1);
        let objects = match self {
            Part::Caller => {
                Slot::SessionContext.bit()
                    | Slot::Issuer.bit()
                    | Slot::Attributes.bit()
                    | Slot::OnBehalfOfObject.bit()
                    | Slot::InScopeOf.bit()
            }
            Part::Call => 0,
            Part::End => Slot::Tls.bit(),
        };
        values | objects
    }

    /// The bits of those that it must fill to be kept, for the columns that are read from it alone.
    const fn required(self) -> u64 {
        match self {
            Part::Call => self.bits(),
            Part::Caller | Part::End => 0,
        }
    }

    /// Where the part that begins `rest` would be kept. `service`: what was read as its record's.
    #[inline(always)]
    pub(super) fn place(self, rest: &[u8], service: &str) -> Option<usize> {
        let mut hasher = FxHasher::default();
        match self {
            // Behind the type, up to the session's name.
            Part::Caller => hasher.write(rest.get(32..128)?),
            // The service and the operation; what comes behind the region is not reached.
            Part::Call => hasher.write(rest.first_chunk::<64>()?),
            // Whether it is a management event; and its host, by the service.
            Part::End => {
                hasher.write(service.as_bytes());
                hasher.write(rest.first_chunk::<40>()?);
            }
        }
        Some(hasher.finish() as usize % KEPT)
    }
}

/// What is kept of all parts.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    callers: Vec<Repeat>,
    calls: Vec<Repeat>,
    ends: Vec<Repeat>,
}

/// Where the columns of one record come from, part by part: only of parts that are known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sources {
    pub caller: Option<Source>,
    pub call: Option<Source>,
    pub end: Option<Source>,
}

/// Numbers never come again, whoever keeps parts: those of one worker's objects meet in one table.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// The most spans that a part has.
const SPANS: usize = Slot::Federation as usize - Slot::Kind as usize + 1;

/// One that was read, its spans from where it begins.
#[derive(Debug, Default, Clone)]
pub(super) struct Repeat {
    text: Vec<u8>,
    number: u64,
    spans: [Span; SPANS],
    pub told: Told,
}

/// What the marks of a record learn from a part.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Told {
    pub present: u64,
    pub seen: u64,
    pub truth: u64,
    /// The key that its last one is followed by, as the record's walk counts.
    pub before: usize,
}

impl Sources {
    #[inline(always)]
    pub(super) fn of(&mut self, part: Part) -> &mut Option<Source> {
        match part {
            Part::Caller => &mut self.caller,
            Part::Call => &mut self.call,
            Part::End => &mut self.end,
        }
    }
}

impl Repeats {
    #[inline(always)]
    fn of(&mut self, part: Part) -> &mut Vec<Repeat> {
        match part {
            Part::Caller => &mut self.callers,
            Part::Call => &mut self.calls,
            Part::End => &mut self.ends,
        }
    }

    /// The part kept at `place`, if `rest` begins with it.
    #[inline(always)]
    pub(super) fn known(&mut self, part: Part, place: usize, rest: &[u8]) -> Option<&Repeat> {
        let known = self.of(part).get(place).filter(|known| !known.text.is_empty())?;
        rest.starts_with(&known.text).then_some(known)
    }

    /// Keeps a part that was read, under a number of its own: `text` begins at `start` of what the spans are of.
    pub(super) fn keep(
        &mut self,
        part: Part,
        place: usize,
        text: &[u8],
        start: usize,
        spans: &[Span; SLOTS],
        told: Told,
    ) -> Option<Source> {
        let (bits, required) = (part.bits(), part.required());
        if text.len() > BYTES_MAX || told.seen & !bits != 0 || told.present & required != required {
            return None;
        }
        let kept = self.of(part);
        if kept.is_empty() {
            kept.resize(KEPT, Repeat::default());
        }
        let known = kept.get_mut(place)?;
        known.number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        known.text.clear();
        known.text.extend_from_slice(text);
        known.told = Told { present: told.present & bits, truth: told.truth & bits, ..told };
        for (own, span) in known.spans.iter_mut().zip(spans.iter().skip(*part.slots().start())) {
            *own = span.minus(start);
        }
        Some(Source { place, id: known.number })
    }
}

impl Repeat {
    /// Its bytes.
    #[inline(always)]
    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    /// What columns know it by.
    #[inline(always)]
    pub(super) fn source(&self, place: usize) -> Source {
        Source { place, id: self.number }
    }

    /// Notes where its fields stand, given that it begins at `start`.
    #[inline(always)]
    pub(super) fn fill(&self, part: Part, start: usize, spans: &mut [Span; SLOTS]) {
        let own = spans.get_mut(part.slots()).unwrap_or_default();
        for (span, known) in own.iter_mut().zip(&self.spans) {
            *span = known.plus(start);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::event::Columns;
    use crate::inflate::Limits;
    use crate::object::{ObjectReader, ReadOptions, Room};
    use crate::redact::Redaction;
    use crate::source::ObjectRef;

    /// The rows of records in a list, or each on a line; those that are refused by their reason. What only their place
    /// tells is left out.
    fn rows(records: &[String], is_list: bool, built: Option<Columns>) -> Vec<Value> {
        let (limits, redact) = (Limits::default(), Redaction::default());
        let options = ReadOptions { built, ..ReadOptions::new(&limits, &redact) };
        let object =
            ObjectRef { source: "s".into(), bucket: "b".into(), key: "k".into(), version: String::new() };
        let mut text = if is_list { format!("[{}]", records.join(",")) } else { records.join("\n") };
        if records.len() > 1 {
            // As long as if there were many: columns of few rows remember no sources.
            text.push_str(&" ".repeat(50_000));
        }
        let mut room = Room::default();
        let mut reader = ObjectReader::open(&object, text.as_bytes(), options, &mut room).unwrap();
        let Some(slice) = reader.next().unwrap() else { return Vec::new() };
        let view = slice.batch.view();
        let mut rows: Vec<(u32, Value)> = (0..view.rows())
            .map(|row| {
                let mut told = view.to_json(row);
                told.as_object_mut().unwrap().remove("row");
                (view.row(row).unwrap(), told)
            })
            .chain(slice.quarantined.iter().map(|bad| (bad.row.unwrap(), Value::from(bad.reason))))
            .collect();
        rows.sort_by_key(|(row, _)| *row);
        rows.into_iter().map(|(_, told)| told).collect()
    }

    /// Records that agree in most of what they say, in orders that CloudTrail writes and in others.
    fn record() -> impl Strategy<Value = String> {
        let identity = |name: &str| {
            format!(
                r#""userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLE:a-session-with-a-long-name","arn":"arn:aws:sts::111122223333:assumed-role/Bot/a-session-with-a-long-name","accountId":"111122223333","accessKeyId":"ASIA{name}"}}"#
            )
        };
        let call = prop::sample::select(vec![
            r#""eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","#,
            r#""eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-2","#,
            r#""eventSource":"s3.amazonaws.com","eventName":"GetObjectAcl","awsRegion":"eu-west-1","#,
            r#""eventSource":"s3.amazonaws.com","awsRegion":"eu-west-1","eventName":"GetObject","#,
            r#""awsRegion":"eu-west-3","eventSource":"s3.amazonaws.com","eventName":"GetObject","#,
            r#""eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":null,"#,
            r#""eventSource":"s3.amazonaws.com","eventName":"","awsRegion":"eu-west-1","#,
            r#""eventSource":null,"eventName":null,"awsRegion":"eu-west-1","padding":"so that it is long enough to be kept","#,
            r#""eventSource":"s3.amazonaws.com","eventName":"Get\u004fbject","awsRegion":"eu-west-1","#,
            r#""eventSource":"s3.amazonaws.com","eventName":"GetObject","x":{"a":[1]},"awsRegion":"eu-west-1","#,
            r#""eventSource":"s3.amazonaws.com","eventName":"GetObject","eventName":"GetObject","awsRegion":"eu-west-1","#,
        ]);
        let before = prop::sample::select(vec![
            "",
            "",
            "",
            r#""recipientAccountId":"444455556666","#,
            r#""apiVersion":"2006-03-01","#,
            r#""awsRegion":"eu-west-9","#,
            r#""managementEvent":true,"#,
        ]);
        let end = prop::sample::select(vec![
            r#""eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data","tlsDetails":{"tlsVersion":"TLSv1.3","clientProvidedHostHeader":"h"}"#,
            r#""eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data","tlsDetails":{"tlsVersion":"TLSv1.2"}"#,
            r#""eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122224444","eventCategory":"Data""#,
            r#""eventType":"AwsApiCall","managementEvent":false,"eventCategory":"Data""#,
            r#""eventType":"AwsApiCall","managementEvent":"True","eventCategory":"Management","vpcEndpointId":"vpce-1""#,
            r#""eventType":"AwsApiCall","managementEvent":false,"eventCategory":"N\u0065w""#,
            r#""eventType":"AwsApiCall","managementEvent":false,"sharedEventID":"S","eventCategory":"Data""#,
            r#""eventType":"AwsApiCall","managementEvent":false,"resources":[{"ARN":"arn:aws:s3:::b"}]"#,
            r#""eventType":"AwsApiCall","sessionCredentialFromConsole":"true","eventContext":{"password":"x"}"#,
            r#""eventType":"AwsApiCall","eventID":"E2""#,
            r#""eventType":"AwsConsoleSignIn","serviceEventDetails":{"a":1}"#,
            r#""eventType":"AwsCloudTrailInsight","insightDetails":{"eventSource":"ec2.amazonaws.com","eventName":"A"}"#,
            r#""eventType":"AwsCloudTrailInsight","insightDetails":{"eventSource":"sqs.amazonaws.com","eventName":"B"}"#,
            r#""eventType":"AwsApiCall","n":1"#,
            r#""eventType":"AwsApiCall","n":12"#,
            r#""eventType":"AwsApiCall","managementEvent":false,"eventCategory":"Data","Records":[]"#,
        ]);
        let who = prop::sample::select(vec![identity("ONE"), identity("TWO")]);
        (who, call, before, end, prop::sample::select(vec!["", " ", "\n"])).prop_map(
            |(who, call, before, end, space)| {
                format!(
                    r#"{{"eventVersion":"1.11",{who},"eventTime":"2026-01-05T10:00:00Z",{call}"sourceIPAddress":"192.0.2.1","eventID":"E",{before}{end}{space}}}"#
                )
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn a_record_says_the_same_alone_and_behind_others(
            kinds in prop::collection::vec(record(), 1..5),
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
            is_list in any::<bool>(),
        ) {
            let records: Vec<String> = order.iter().map(|at| at.get(&kinds).clone()).collect();
            let alone = |one: &String| rows(std::slice::from_ref(one), is_list, None);
            let alone: Vec<Value> = records.iter().flat_map(alone).collect();
            prop_assert_eq!(&rows(&records, is_list, None), &alone);
            let built = Some(Columns::of(["service", "region", "event_type"]));
            prop_assert_eq!(&rows(&records, is_list, built), &alone);
        }
    }
}
