-- The key that says when the identity key changes (F2), and the number of its last word.
ALTER TABLE server ADD COLUMN recovery TEXT;
ALTER TABLE server ADD COLUMN succession INTEGER NOT NULL DEFAULT 0;

-- Servers that came with other keys than the known ones, without a word of their recovery key: with which, and since when.
CREATE TABLE quarantine (
    origin   TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    recovery TEXT NOT NULL,
    since    INTEGER NOT NULL -- ms since 1970; 0 where the operator has said that they are right
) STRICT, WITHOUT ROWID;
