-- Where what could not be read can be had again, how often it was seen, and what became of it.
ALTER TABLE quarantine ADD COLUMN object    TEXT;                         -- its id; none where a message names no object
ALTER TABLE quarantine ADD COLUMN source    TEXT   NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN bucket    TEXT;
ALTER TABLE quarantine ADD COLUMN key       TEXT;
ALTER TABLE quarantine ADD COLUMN version   TEXT;
ALTER TABLE quarantine ADD COLUMN records   BIGINT NOT NULL DEFAULT 1;    -- more: only their number and reason are kept
ALTER TABLE quarantine ADD COLUMN is_rest   BIGINT NOT NULL DEFAULT 0;    -- 1: records beyond those kept one by one
ALTER TABLE quarantine ADD COLUMN seen      BIGINT NOT NULL DEFAULT 1;
ALTER TABLE quarantine ADD COLUMN last_seen BIGINT NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN state     TEXT   NOT NULL DEFAULT 'waiting'; -- waiting | wanted | replayed | resolved
ALTER TABLE quarantine ADD COLUMN outcome   TEXT   NOT NULL DEFAULT '';   -- what became of it
ALTER TABLE quarantine ADD COLUMN ended_at  BIGINT;

-- What was kept before knows its object by name only: enough to count it, not to fetch it again.
CREATE INDEX objects_by_place ON objects (place);
UPDATE quarantine SET last_seen = at,
    object = (SELECT id FROM objects WHERE objects.place = quarantine.place AND objects.quarantined > 0
              ORDER BY done_at, id LIMIT 1);
DROP INDEX objects_by_place;
CREATE INDEX quarantine_by_object ON quarantine (object);
CREATE INDEX quarantine_wanted ON quarantine (source) WHERE state = 'wanted';
CREATE INDEX quarantine_by_age ON quarantine (at);

-- Records read again count as an object of their own: the one that they are of.
ALTER TABLE objects ADD COLUMN replay_of TEXT;
CREATE INDEX objects_by_original ON objects (replay_of) WHERE replay_of IS NOT NULL;

-- What remit knows of its own health, by name: the canary's last day, above all.
CREATE TABLE watch (
    name   TEXT PRIMARY KEY,
    at     BIGINT NOT NULL,
    detail TEXT   NOT NULL
);
