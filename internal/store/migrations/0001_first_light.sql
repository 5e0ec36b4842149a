-- Times are microseconds since 1970, UTC. Bodies are keystroke.Sample as JSON.

CREATE TABLE people (
    id      INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 256),
    uid     INTEGER NOT NULL, -- of the account at its first enrolment, -1 if unknown
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE sittings (
    id      INTEGER PRIMARY KEY,
    person  INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    channel TEXT    NOT NULL,
    opened  INTEGER NOT NULL,
    closed  INTEGER           -- NULL while the sitting is open
) STRICT;

CREATE INDEX sittings_of_person ON sittings (person);

-- A sitting that broke off is resumed, so there is one to find.
CREATE UNIQUE INDEX open_sitting ON sittings (person, channel) WHERE closed IS NULL;

CREATE TABLE samples (
    sitting INTEGER NOT NULL REFERENCES sittings (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL, -- 0, 1, … in the order typed
    phrase  TEXT    NOT NULL,
    warmup  INTEGER NOT NULL CHECK (warmup IN (0, 1)),
    taken   INTEGER NOT NULL,
    body    TEXT    NOT NULL CHECK (octet_length(body) <= 131072),
    PRIMARY KEY (sitting, ordinal)
) STRICT, WITHOUT ROWID;

-- Samples that were accepted at a login, the newest of each person.
CREATE TABLE probes (
    id     INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    taken  INTEGER NOT NULL,
    body   TEXT    NOT NULL CHECK (octet_length(body) <= 131072)
) STRICT;

CREATE INDEX probes_of_person ON probes (person);

CREATE TABLE lockouts (
    subject  TEXT PRIMARY KEY CHECK (length(subject) BETWEEN 1 AND 256),
    failures INTEGER NOT NULL,
    last     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Decisions stay when the person they were about is deleted: no reference.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    event   TEXT    NOT NULL,
    user    TEXT    NOT NULL,
    actor   TEXT    NOT NULL,
    service TEXT    NOT NULL,
    source  TEXT    NOT NULL,
    outcome TEXT    NOT NULL,
    score   REAL,             -- natural log of a likelihood ratio, if there was one
    model   TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_of_user ON audit (user);
