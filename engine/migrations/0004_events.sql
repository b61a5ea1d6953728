-- The events that were judged, within the horizon of exact deduplication: one row for each object and account.
CREATE TABLE seen_events (
    object  TEXT   NOT NULL,
    seen_at BIGINT NOT NULL,
    account TEXT   NOT NULL,
    uuids   BLOB   NOT NULL,                  -- 16 bytes each
    texts   TEXT   NOT NULL                   -- JSON: ids that are no lower-case UUIDs
);
CREATE INDEX seen_events_by_age ON seen_events (seen_at);

INSERT INTO seen_events (object, seen_at, account, uuids, texts)
SELECT '', seen_at, substr(id, 1, instr(id, ':') - 1), x'', json_group_array(substr(id, instr(id, ':') + 1))
FROM event_ids GROUP BY 2, 3;
DROP TABLE event_ids;
