-- Changes of policies that the log showed: grants are the exports and these.
CREATE TABLE policy_changes (
    time     BIGINT NOT NULL,
    event_id TEXT   NOT NULL,
    session  BIGINT NOT NULL,                 -- 1: about one session alone, forgotten once that is over
    seen_at  BIGINT NOT NULL,
    body     TEXT   NOT NULL,                 -- the change as JSON
    PRIMARY KEY (event_id, time)
);

-- How far answers can be trusted, by day, measure and answer.
CREATE TABLE measures (
    day     BIGINT NOT NULL,
    measure TEXT   NOT NULL,                  -- scope | grant | agreement
    answer  TEXT   NOT NULL,
    count   BIGINT NOT NULL,
    PRIMARY KEY (day, measure, answer)
);

-- What is needed to judge an object again when a policy change arrives late; kept for a day.
ALTER TABLE objects ADD COLUMN again    BIGINT NOT NULL DEFAULT 0;   -- 1: to be judged again, 2: it could not be
CREATE TABLE origins (
    object     TEXT PRIMARY KEY REFERENCES objects (id),
    source     TEXT   NOT NULL,
    bucket     TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    version    TEXT   NOT NULL,
    left_out   TEXT   NOT NULL,               -- JSON: rows that were duplicates
    last_event BIGINT NOT NULL,
    measures   TEXT   NOT NULL,               -- JSON: what the object added to the measures
    done_at    BIGINT NOT NULL
);
CREATE INDEX origins_by_age ON origins (done_at);
CREATE TABLE callers (
    object    TEXT NOT NULL REFERENCES origins (object) ON DELETE CASCADE,
    principal TEXT NOT NULL,
    PRIMARY KEY (principal, object)
);
CREATE INDEX callers_by_object ON callers (object);

-- What each object adds to a finding. The object '' stands for what can no longer be taken apart.
CREATE TABLE finding_parts (
    finding TEXT   NOT NULL REFERENCES findings (id),
    object  TEXT   NOT NULL,
    body    TEXT   NOT NULL,                  -- the part as a finding, JSON
    PRIMARY KEY (finding, object)
);
CREATE INDEX finding_parts_by_object ON finding_parts (object);
