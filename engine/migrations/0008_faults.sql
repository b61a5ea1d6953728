-- Whether another version of the same object was judged.
CREATE INDEX objects_by_place ON objects (place);

-- One row while it is tried whether there is room again.
CREATE TABLE probe (
    id     BIGINT PRIMARY KEY,
    filler BLOB   NOT NULL
);

-- The time up to which upkeep forgets: it moves with what really passed, not with a clock that jumps.
CREATE TABLE upkeep (
    id   BIGINT PRIMARY KEY,
    upto BIGINT NOT NULL
);
