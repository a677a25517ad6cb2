-- As in the SQLite store. The row of a line is locked by who works on it: turns are given out once, by however many processes.

CREATE TABLE queue (
    screening  bigint PRIMARY KEY REFERENCES screening (number),
    seed       bytea NOT NULL CHECK (length(seed) = 32),
    key        bytea NOT NULL CHECK (length(key) = 32),
    places     bigint NOT NULL,
    drawn_from bigint,
    next_turn  bigint,
    CHECK ((drawn_from IS NULL) = (next_turn IS NULL))
);

CREATE TABLE queue_place (
    screening bigint NOT NULL,
    owner     bytea NOT NULL CHECK (length(owner) = 32),
    network   bigint,
    came_at   bigint NOT NULL,
    turn      bigint,
    "left"    bigint NOT NULL CHECK ("left" IN (0, 1)),
    PRIMARY KEY (screening, owner)
);

CREATE INDEX queue_place_by_network ON queue_place (screening, network, turn);
