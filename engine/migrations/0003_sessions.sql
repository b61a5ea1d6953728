-- What one event gave to later ones: a key to a session, a task to a request. Followed back when a finding is shown.
CREATE TABLE issued (
    kind     TEXT   NOT NULL,                 -- key | request
    target   TEXT   NOT NULL,                 -- the access key's id, or the request's
    holder   TEXT   NOT NULL,                 -- to whom: the identity, a role without its path
    half     BIGINT NOT NULL,                 -- 1: the log leaves out who asked
    time     BIGINT NOT NULL,
    event_id TEXT   NOT NULL,
    body     TEXT   NOT NULL,                 -- who asked, JSON
    seen_at  BIGINT NOT NULL,                 -- by the clock: history that is read late is as fresh as any
    PRIMARY KEY (target, kind, holder)
);
CREATE INDEX issued_by_age ON issued (seen_at);

-- Chains of findings older than what they rest on is kept.
CREATE TABLE chains (
    finding  TEXT PRIMARY KEY REFERENCES findings (id),
    event_id TEXT NOT NULL,                   -- the event that it leads to
    body     TEXT NOT NULL                    -- the chain, JSON
);
