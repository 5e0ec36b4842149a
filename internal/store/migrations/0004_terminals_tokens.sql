-- Terminal types at which nothing answered when they were asked for releases,
-- the newest of each person: they are not asked again for a while.
CREATE TABLE silent (
    person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    term   TEXT    NOT NULL CHECK (length(term) BETWEEN 1 AND 64),
    at     INTEGER NOT NULL,
    PRIMARY KEY (person, term)
) STRICT, WITHOUT ROWID;

-- One-time tokens that are open. A person need not be enrolled to have one, so
-- there is no reference; the uid is the account's when the token was made.
CREATE TABLE tokens (
    id      INTEGER PRIMARY KEY,
    user    TEXT    NOT NULL CHECK (length(user) BETWEEN 1 AND 256),
    uid     INTEGER NOT NULL,
    hash    BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the token
    made    INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE INDEX tokens_of_user ON tokens (user);
