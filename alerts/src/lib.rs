//! Judgements go out: receivers, outbox, incidents, silences, reports
