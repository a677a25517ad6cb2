-- The textbook design: a row for every seat of every show.
CREATE TABLE booking (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    show      int NOT NULL,
    seats     int[] NOT NULL,
    booked_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE seat (
    show    int,
    number  int,
    booking bigint,
    PRIMARY KEY (show, number)
);
INSERT INTO seat (show, number) SELECT show, number FROM generate_series(1, :shows) show, generate_series(1, :seats) number;
VACUUM ANALYZE seat;
CHECKPOINT;
