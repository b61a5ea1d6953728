-- Times are µs UTC, days are counted from 1970-01-01, states and kinds are the lower-case names of the code.

CREATE TABLE objects (
    id          TEXT PRIMARY KEY,
    source      TEXT   NOT NULL,
    place       TEXT   NOT NULL,
    state       TEXT   NOT NULL,              -- claimed | done | ignored | quarantined
    token       BIGINT NOT NULL,              -- fences off a worker whose lease ran out
    lease_until BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    sha256      TEXT,
    read        BIGINT NOT NULL DEFAULT 0,
    stored      BIGINT NOT NULL DEFAULT 0,
    duplicates  BIGINT NOT NULL DEFAULT 0,
    quarantined BIGINT NOT NULL DEFAULT 0,
    done_at     BIGINT
);

CREATE TABLE event_ids (
    id      TEXT PRIMARY KEY,
    seen_at BIGINT NOT NULL
);
CREATE INDEX event_ids_by_age ON event_ids (seen_at);

-- One row for each 32 days of (identity, permission): merged by OR, min, max and exactly-once sums.
-- The permission '*' is the identity's own activity.
CREATE TABLE presence (
    identity   TEXT   NOT NULL,
    permission TEXT   NOT NULL,
    block      BIGINT NOT NULL,
    days       BIGINT NOT NULL,
    first_used BIGINT NOT NULL,
    last_used  BIGINT NOT NULL,
    uses       BIGINT NOT NULL,
    PRIMARY KEY (identity, permission, block)
);

CREATE TABLE denials (
    identity   TEXT   NOT NULL,
    permission TEXT   NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    count      BIGINT NOT NULL,
    PRIMARY KEY (identity, permission)
);

CREATE TABLE incidents (
    id         TEXT PRIMARY KEY,
    who        TEXT   NOT NULL,
    agent      TEXT,
    severity   BIGINT NOT NULL,
    state      TEXT   NOT NULL,               -- open | resolved
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    revision   BIGINT NOT NULL,
    members    BIGINT NOT NULL DEFAULT 0,     -- live findings
    told       BIGINT NOT NULL,               -- 0: history that woke nobody
    resolved_because TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX incidents_by_who ON incidents (who, state, last_seen);

CREATE TABLE findings (
    id           TEXT PRIMARY KEY,
    detection    TEXT   NOT NULL,
    family       TEXT   NOT NULL,
    severity     BIGINT NOT NULL,
    state        TEXT   NOT NULL,
    agent        TEXT,
    actor        TEXT   NOT NULL,
    permission   TEXT,
    settled      BIGINT NOT NULL,             -- 1: its state follows from the baseline
    window_start BIGINT NOT NULL,
    first_seen   BIGINT NOT NULL,
    last_seen    BIGINT NOT NULL,
    body         TEXT   NOT NULL,             -- the finding as JSON
    incident     TEXT REFERENCES incidents (id),
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE INDEX findings_by_incident ON findings (incident);
CREATE INDEX findings_by_state ON findings (state, severity, last_seen);
CREATE INDEX findings_to_settle ON findings (actor, window_start) WHERE settled = 1;

CREATE TABLE outbox (
    incident   TEXT   NOT NULL REFERENCES incidents (id),
    revision   BIGINT NOT NULL,
    kind       TEXT   NOT NULL,               -- trigger | update | resolve
    created_at BIGINT NOT NULL,
    fanned_out BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (incident, revision)
);
CREATE INDEX outbox_to_fan_out ON outbox (created_at) WHERE fanned_out = 0;

CREATE TABLE deliveries (
    incident     TEXT   NOT NULL,
    revision     BIGINT NOT NULL,
    receiver     TEXT   NOT NULL,
    kind         TEXT   NOT NULL,
    state        TEXT   NOT NULL,             -- pending | sending | delivered | dead | silenced | below | summarized
    attempts     BIGINT NOT NULL DEFAULT 0,
    resends      BIGINT NOT NULL DEFAULT 0,   -- sent again after a lost answer
    next_attempt BIGINT NOT NULL,
    last_error   TEXT,
    ended_at     BIGINT,
    PRIMARY KEY (incident, revision, receiver)
);
CREATE INDEX deliveries_due ON deliveries (receiver, next_attempt) WHERE state IN ('pending', 'sending');

CREATE TABLE silences (
    id         TEXT PRIMARY KEY,
    matchers   TEXT   NOT NULL,               -- JSON: [{"label": "agent", "value": "support-*"}]
    author     TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    starts_at  BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE quarantine (
    id     TEXT PRIMARY KEY,
    place  TEXT   NOT NULL,                   -- object or message
    row    BIGINT,
    reason TEXT   NOT NULL,
    detail TEXT   NOT NULL,
    head   TEXT   NOT NULL,
    at     BIGINT NOT NULL
);
