-- What should be there, by three feeds, and what became of it. Facts merge by min and max, so their order is nothing;
-- verdicts follow from facts and are computed anew where `stale` says so.
CREATE TABLE ledger_files (
    bucket      TEXT   NOT NULL,
    key         TEXT   NOT NULL,
    source      TEXT   NOT NULL,
    level       BIGINT NOT NULL,              -- 0: a digest; 1: listed = stored; 2: signed
    account     TEXT   NOT NULL,
    region      TEXT   NOT NULL,
    hour        BIGINT NOT NULL,              -- of its delivery, as its name says; 0: it does not say
    announced_at BIGINT,
    listed_at   BIGINT,
    attested_at BIGINT,
    ingested_at BIGINT,
    gone_at     BIGINT,                       -- it was looked for and not there
    expected    TEXT,                         -- SHA-256 of its content as signed
    digest      TEXT,
    conflict    BIGINT NOT NULL DEFAULT 0,    -- 1: two digests say two things
    foreign_to  TEXT,                         -- the digest is of another account or region
    content     TEXT,                         -- SHA-256 of its content as it was parsed
    sha256      TEXT,                         -- of its bytes as stored
    records     BIGINT NOT NULL DEFAULT 0,
    overwritten BIGINT NOT NULL DEFAULT 0,    -- 1: read twice with two contents
    damage      TEXT,                         -- the content is not what CloudTrail writes
    trouble     TEXT,                         -- it could not be read for another reason
    note        TEXT,                         -- why no digest lists it; none where that was not asked yet
    tries       BIGINT NOT NULL DEFAULT 0,
    next_try    BIGINT NOT NULL DEFAULT 0,
    verdict     TEXT   NOT NULL DEFAULT 'pending',
    stale       BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (bucket, key)
);
CREATE INDEX ledger_files_stale ON ledger_files (bucket, key) WHERE stale = 1;
CREATE INDEX ledger_files_by_hour ON ledger_files (account, region, hour);
CREATE INDEX ledger_files_wanted ON ledger_files (next_try) WHERE ingested_at IS NULL;
CREATE INDEX ledger_files_unhashed ON ledger_files (next_try) WHERE content IS NULL AND expected IS NOT NULL AND ingested_at IS NOT NULL;
CREATE INDEX ledger_files_unlisted ON ledger_files (account, region) WHERE expected IS NULL AND ingested_at IS NOT NULL AND note IS NULL;
CREATE INDEX ledger_files_told ON ledger_files (verdict) WHERE verdict NOT IN ('verified', 'pending');
CREATE INDEX ledger_files_due ON ledger_files (note) WHERE note = 'log_unattested' AND verdict = 'pending';

-- What is left of hours whose files are no longer kept one by one.
CREATE TABLE ledger_hours (
    source   TEXT   NOT NULL,
    level    BIGINT NOT NULL,
    account  TEXT   NOT NULL,
    region   TEXT   NOT NULL,
    hour     BIGINT NOT NULL,
    expected BIGINT NOT NULL,
    stored   BIGINT NOT NULL,
    verified BIGINT NOT NULL,
    pending  BIGINT NOT NULL,
    records  BIGINT NOT NULL,
    PRIMARY KEY (source, level, account, region, hour)
);

CREATE TABLE ledger_digests (
    bucket     TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    sha256     TEXT   NOT NULL,               -- of its bytes as stored
    id         TEXT   NOT NULL,               -- bucket/key
    source     TEXT   NOT NULL,
    trail      TEXT   NOT NULL,               -- account/region/trail/home region: what is linked together
    chain      TEXT   NOT NULL,
    account    TEXT   NOT NULL,
    region     TEXT   NOT NULL,
    backfill   BIGINT NOT NULL DEFAULT 0,
    start_at   BIGINT NOT NULL,
    end_at     BIGINT NOT NULL,
    state      TEXT   NOT NULL,               -- new | valid | invalid
    linked     BIGINT NOT NULL DEFAULT -1,    -- -1: not asked since it came; 1: its links hold
    raw        BLOB,                          -- until it is verified
    metadata   TEXT,
    body       TEXT,                          -- the verified digest without its log files, JSON
    content    TEXT,                          -- SHA-256 of its inflated bytes
    logs       BIGINT NOT NULL DEFAULT 0,
    code       TEXT,
    text       TEXT,
    detail     TEXT,
    signed_for TEXT,                          -- the place that it was signed for, JSON, where that is another
    stray_trail TEXT,
    first_at   BIGINT NOT NULL,
    PRIMARY KEY (bucket, key, sha256)
);
CREATE INDEX ledger_digests_new ON ledger_digests (end_at) WHERE state = 'new';
CREATE INDEX ledger_digests_by_id ON ledger_digests (id);
CREATE INDEX ledger_digests_by_trail ON ledger_digests (trail, end_at);
CREATE INDEX ledger_digests_by_shelf ON ledger_digests (account, region, linked);
CREATE INDEX ledger_digests_unlinked ON ledger_digests (trail) WHERE linked = -1;

-- What verified digests list.
CREATE TABLE ledger_listed (
    digest     TEXT   NOT NULL,               -- bucket/key
    bucket     TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    sha256     TEXT   NOT NULL,
    account    TEXT   NOT NULL,
    region     TEXT   NOT NULL,
    hour       BIGINT NOT NULL,
    foreign_to TEXT,
    PRIMARY KEY (digest, bucket, key)
);
CREATE INDEX ledger_listed_by_place ON ledger_listed (bucket, key);

CREATE TABLE ledger_problems (
    trail    TEXT   NOT NULL,
    place    TEXT   NOT NULL,
    code     TEXT   NOT NULL,
    text     TEXT   NOT NULL,
    detail   TEXT,
    account  TEXT   NOT NULL,
    region   TEXT   NOT NULL,
    end_at   BIGINT NOT NULL,                 -- of its hour, as its name says; 0: it does not say
    first_at BIGINT NOT NULL,
    PRIMARY KEY (trail, place, code)
);

CREATE TABLE ledger_gaps (
    trail      TEXT   NOT NULL,
    chain      TEXT   NOT NULL,
    account    TEXT   NOT NULL,
    region     TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    from_at    BIGINT,
    to_at      BIGINT NOT NULL,
    after      TEXT,
    before     TEXT,
    backfilled BIGINT NOT NULL,
    first_at   BIGINT NOT NULL,
    PRIMARY KEY (chain, kind, to_at)
);

-- They are needed for years: what they signed can be checked as long as they are known.
CREATE TABLE ledger_keys (
    region      TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    der         BLOB   NOT NULL,
    from_at     BIGINT NOT NULL,
    until_at    BIGINT NOT NULL,
    PRIMARY KEY (region, fingerprint)
);

CREATE TABLE ledger_sweeps (
    source   TEXT PRIMARY KEY,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    objects  BIGINT NOT NULL,
    problem  TEXT
);
