-- Who works here, what they may do, and what they did.

CREATE TABLE staff (
    login    TEXT PRIMARY KEY CHECK (length(login) BETWEEN 1 AND 64),
    name     TEXT NOT NULL,
    role     TEXT NOT NULL CHECK (role IN ('door', 'box_office', 'programme', 'manager', 'admin')),
    password TEXT NOT NULL, -- Argon2id, PHC string
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    login      TEXT NOT NULL REFERENCES staff (login),
    csrf       TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What staff did, besides what is in the houses' log. Rows are only ever added.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    by      TEXT NOT NULL,
    did     TEXT NOT NULL,
    subject TEXT NOT NULL
) STRICT;
