-- Texts that were made up for a person and asked for, the newest of each
-- person: none is asked for twice.
CREATE TABLE texts (
    id     INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    hash   INTEGER NOT NULL, -- the first 8 bytes of its SHA-256, big-endian
    UNIQUE (person, hash)
) STRICT;
