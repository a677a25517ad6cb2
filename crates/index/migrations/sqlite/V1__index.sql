CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Servers that were verified once. The manifest is kept as it came, to be passed on unchanged.
CREATE TABLE server (
    origin      TEXT PRIMARY KEY,
    manifest    TEXT NOT NULL CHECK (json_valid(manifest)),
    identity    TEXT NOT NULL, -- the key that must not change (F2)
    serial      INTEGER NOT NULL,
    verified_at INTEGER NOT NULL, -- ms since 1970
    programme   TEXT NOT NULL CHECK (json_valid(programme)) -- films and screenings as last seen
) STRICT, WITHOUT ROWID;

CREATE TABLE listing (
    id          TEXT PRIMARY KEY,
    origin      TEXT REFERENCES server (origin),
    data        TEXT NOT NULL CHECK (json_valid(data)),
    merged_into TEXT -- the listing that speaks for this one; cleared, it is shown again
) STRICT, WITHOUT ROWID;

-- The last look at each server: why it is listed or not.
CREATE TABLE look (
    origin TEXT PRIMARY KEY,
    at     INTEGER NOT NULL,
    data   TEXT NOT NULL CHECK (json_valid(data))
) STRICT, WITHOUT ROWID;
