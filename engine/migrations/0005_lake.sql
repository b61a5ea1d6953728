-- Whose sequence numbers the lake holds, and the next of them.
CREATE TABLE lake_shard (
    id            BIGINT PRIMARY KEY CHECK (id = 1),
    shard         TEXT   NOT NULL,
    next_sequence BIGINT NOT NULL
);

-- Rows that are durable beside the store and not yet in the lake.
CREATE TABLE lake_pending (
    sequence BIGINT PRIMARY KEY,
    file     TEXT   NOT NULL,
    rows     BIGINT NOT NULL,
    bytes    BIGINT NOT NULL,
    left_out TEXT   NOT NULL,                 -- pieces of the file that lost a race: `from-to` with commas, to excluded
    added_at BIGINT NOT NULL
);

-- Files that are being written into the lake: what is here and in no version of the table is deleted at the next start.
CREATE TABLE lake_writes (
    path TEXT PRIMARY KEY
);
