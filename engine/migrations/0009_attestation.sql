-- Which objects a finding rests on, for as long as the finding is kept: parts go when nothing is judged again.
CREATE TABLE finding_objects (
    finding TEXT NOT NULL,
    object  TEXT NOT NULL,
    PRIMARY KEY (finding, object)
) WITHOUT ROWID;
CREATE INDEX finding_objects_by_object ON finding_objects (object);
INSERT INTO finding_objects (finding, object) SELECT finding, object FROM finding_parts WHERE object <> '';
