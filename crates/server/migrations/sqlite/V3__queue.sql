-- Who is let in before others where many come at once (capability `queue`). Turns are microseconds since 1970.

CREATE TABLE queue (
    screening INTEGER PRIMARY KEY REFERENCES screening (number),
    seed      BLOB NOT NULL CHECK (length(seed) = 32), -- of the draw: shown after it
    key       BLOB NOT NULL CHECK (length(key) = 32), -- makes passes
    places    INTEGER NOT NULL,
    next_turn INTEGER -- the first that nobody has; none before the draw
) STRICT;

CREATE TABLE queue_place (
    screening INTEGER NOT NULL,
    owner     BLOB NOT NULL CHECK (length(owner) = 32),
    network   INTEGER,
    came_at   INTEGER NOT NULL, -- ms
    turn      INTEGER,
    PRIMARY KEY (screening, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX queue_place_by_network ON queue_place (screening, network);
