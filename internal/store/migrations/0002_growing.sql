-- Typings of accepted logins that templates grow by: those that wait for the
-- next login to confirm them, and those that joined.
CREATE TABLE grown (
    id     INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    taken  INTEGER NOT NULL,
    joined INTEGER,          -- NULL while it waits
    body   TEXT    NOT NULL CHECK (octet_length(body) <= 131072)
) STRICT;

CREATE INDEX grown_of_person ON grown (person);

-- Old entries are looked for by their age.
CREATE INDEX audit_by_age ON audit (at);
