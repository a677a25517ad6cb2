-- `IN` with a list of words makes a table of them in memory for each row that is written: twice the time of a booking's own rows.
-- Comparisons one after another do not, and the words that come most are compared first.

CREATE TABLE hold_compared (
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
        CHECK (state = 'active' OR state = 'converted' OR state = 'expired' OR state = 'released' OR state = 'cancelled'
            OR state = 'paying' OR state = 'closing' OR state = 'refund_due'),
    at          INTEGER NOT NULL, -- active, paying, closing: until; else: since
    answers     BLOB NOT NULL, -- requests about it that had an effect: 16 bytes of key, 16 of body, 8 of the answer's id, each
    details     TEXT -- JSON: the order or the booking
) STRICT, WITHOUT ROWID;

INSERT INTO hold_compared SELECT * FROM hold;
DROP VIEW ended_hold;
DROP TABLE hold;
ALTER TABLE hold_compared RENAME TO hold;

-- Those that have no claim any more. Nothing is written to the index on the way to a booking. The view says the same as the index, word
-- for word: else it would not be found by it.
CREATE INDEX hold_that_ended ON hold (screening)
    WHERE state = 'expired' OR state = 'released' OR state = 'cancelled' OR state = 'refund_due';
CREATE VIEW ended_hold AS SELECT * FROM hold
    WHERE state = 'expired' OR state = 'released' OR state = 'cancelled' OR state = 'refund_due';
