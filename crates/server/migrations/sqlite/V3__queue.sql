-- Who is let in before others where many come at once (capability `queue`). Turns are microseconds since 1970.

CREATE TABLE queue (
    screening  INTEGER PRIMARY KEY REFERENCES screening (number),
    seed       BLOB NOT NULL CHECK (length(seed) = 32), -- of the draw: shown after it
    key        BLOB NOT NULL CHECK (length(key) = 32), -- makes passes
    places     INTEGER NOT NULL,
    drawn_from INTEGER, -- the first turn; none before the draw
    next_turn  INTEGER, -- the first that nobody has
    CHECK ((drawn_from IS NULL) = (next_turn IS NULL))
) STRICT;

CREATE TABLE queue_place (
    screening INTEGER NOT NULL,
    owner     BLOB NOT NULL CHECK (length(owner) = 32),
    network   INTEGER,
    came_at   INTEGER NOT NULL, -- ms
    turn      INTEGER, -- as it was given out
    "left"    INTEGER NOT NULL CHECK ("left" IN (0, 1)), -- who gave it up
    PRIMARY KEY (screening, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX queue_place_by_network ON queue_place (screening, network, turn);
