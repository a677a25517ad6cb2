-- What is shown and sold. `data` is the wire form of the thing: what the API answers is what is stored.

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Layouts and price tables, as the bytes that their names are made of. Never changed, never deleted: holds and bookings
-- are pinned to them.
CREATE TABLE document (
    name  BLOB PRIMARY KEY CHECK (length(name) = 32),
    kind  TEXT NOT NULL CHECK (kind IN ('layout', 'price_table')),
    bytes BLOB NOT NULL,
    called TEXT, -- what a programme file calls it: the next file may name it so
    UNIQUE (kind, called)
) STRICT, WITHOUT ROWID;

CREATE TABLE cinema (
    id   TEXT PRIMARY KEY,
    data TEXT NOT NULL CHECK (json_valid(data))
) STRICT, WITHOUT ROWID;

CREATE TABLE film (
    id   TEXT PRIMARY KEY,
    data TEXT NOT NULL CHECK (json_valid(data))
) STRICT, WITHOUT ROWID;

-- `number` names the screening in every table that grows: eight bytes are fewer than sixty-four.
CREATE TABLE screening (
    number     INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    cinema     TEXT NOT NULL REFERENCES cinema (id),
    starts_at  INTEGER NOT NULL, -- ms since 1970
    changed    INTEGER NOT NULL UNIQUE, -- its place in the feed
    changed_at INTEGER NOT NULL,
    removed    INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1)),
    data       TEXT NOT NULL CHECK (json_valid(data))
) STRICT;

CREATE TABLE device (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- The houses.

-- A house's version is the highest of those at its holds, and of those here: of changes that touched no hold, such as a block or
-- a scan. So a hold and its booking write no row that is far away from the others of their commit.
CREATE TABLE house (
    screening INTEGER PRIMARY KEY REFERENCES screening (number),
    version   INTEGER NOT NULL
) STRICT;

-- Every place that is not free, and who has it. The key is what forbids a double sale (S2). A claim is not rewritten when
-- its hold is booked.
CREATE TABLE claim (
    screening INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    hold      BLOB CHECK (length(hold) = 16),
    block     TEXT,
    until     INTEGER, -- when a block ends by itself
    PRIMARY KEY (screening, place),
    CHECK ((hold IS NULL) <> (block IS NULL))
) STRICT, WITHOUT ROWID;

-- A hold, and the booking that came of it, in one row. Keys sort by time: what is written together lies together, whatever the
-- screening, and a commit touches few pages. Those of a screening are found by its claims, and by the index below.
CREATE TABLE hold (
    hold        BLOB PRIMARY KEY CHECK (length(hold) = 16),
    screening   INTEGER NOT NULL,
    owner       BLOB NOT NULL CHECK (length(owner) = 32),
    network     INTEGER,
    places      TEXT NOT NULL, -- JSON: [[place, ticket type], ...]
    price_table BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    seq         INTEGER NOT NULL, -- the house's version that first had it
    version     INTEGER NOT NULL, -- the house's version that last changed it
    state       TEXT NOT NULL
        CHECK (state IN ('active', 'paying', 'closing', 'converted', 'cancelled', 'released', 'expired', 'refund_due')),
    at          INTEGER NOT NULL, -- active, paying, closing: until; else: since
    answers     BLOB NOT NULL, -- requests about it that had an effect: 16 bytes of key, 16 of body, 8 of the answer's id, each
    details     TEXT -- JSON: the order or the booking
) STRICT, WITHOUT ROWID;

-- Those that have no claim any more. Nothing is written to the index on the way to a booking.
CREATE INDEX hold_that_ended ON hold (screening) WHERE state IN ('cancelled', 'released', 'expired', 'refund_due');
CREATE VIEW ended_hold AS SELECT * FROM hold WHERE state IN ('cancelled', 'released', 'expired', 'refund_due');

-- What a request with an effect was answered. Rows are only ever added; after a day they may be dropped: the key stays with its hold,
-- and still blocks.
CREATE TABLE answer (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    status INTEGER NOT NULL,
    body   BLOB NOT NULL
) STRICT;

-- Who waits for seats, and what became of them.
CREATE TABLE waitlist_entry (
    entry       BLOB PRIMARY KEY CHECK (length(entry) = 16),
    screening   INTEGER NOT NULL,
    owner       BLOB NOT NULL CHECK (length(owner) = 32),
    network     INTEGER,
    best        TEXT NOT NULL CHECK (json_valid(best)), -- who comes, and where they want to sit
    buyer       TEXT,
    created_at  INTEGER NOT NULL,
    turn        INTEGER NOT NULL, -- its place in line
    lapses      INTEGER NOT NULL,
    passed_over INTEGER NOT NULL,
    passed_at   INTEGER,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'offered', 'taken', 'declined', 'gone')),
    hold        BLOB, -- its offer
    answers     BLOB NOT NULL, -- as at a hold
    UNIQUE (screening, owner), -- one entry a secret (W7)
    CHECK ((hold IS NULL) = (state IN ('waiting', 'gone')))
) STRICT, WITHOUT ROWID;

CREATE TABLE scan (
    screening  INTEGER NOT NULL,
    device     TEXT NOT NULL,
    id         TEXT NOT NULL,
    kind       TEXT NOT NULL,
    undoes     TEXT,
    hold       BLOB,
    line       INTEGER,
    generation INTEGER,
    at         INTEGER NOT NULL,
    admitted   INTEGER NOT NULL CHECK (admitted IN (0, 1)),
    offline    INTEGER NOT NULL CHECK (offline IN (0, 1)),
    verdict    TEXT NOT NULL,
    PRIMARY KEY (screening, device, id)
) STRICT, WITHOUT ROWID;

-- The audit trail: one row for each saved version of a house. Rows are only ever added.
CREATE TABLE log (
    id        INTEGER PRIMARY KEY,
    screening INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    entries   TEXT NOT NULL -- JSON: who did what to which places
) STRICT;

-- Money that went over the counter, in the transaction that says so of the booking. Rows are only ever added.
CREATE TABLE till (
    id        INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    by        TEXT NOT NULL, -- whose till: the login
    screening INTEGER NOT NULL,
    hold      BLOB NOT NULL CHECK (length(hold) = 16),
    amount    INTEGER NOT NULL CHECK (amount <> 0), -- in the smallest unit; what was given back is below zero
    currency  TEXT NOT NULL
) STRICT;
CREATE INDEX till_by_time ON till (at);

-- What is to leave, in the transaction that causes it (D4).
CREATE TABLE outbox (
    id   INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL CHECK (json_valid(body))
) STRICT;
