-- Four seats side by side of some show, in one serializable transaction: look, book, take, commit.
\set show random(1, :shows)
\set first random(1, :seats - 3)
\set last :first + 3
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) = 4 AS free FROM seat WHERE show = :show AND number BETWEEN :first AND :last AND booking IS NULL \gset
\if :free
INSERT INTO booking (show, seats)
    SELECT :show::int, array_agg(n) FROM generate_series(:first::int, :last::int) n RETURNING id \gset
UPDATE seat SET booking = :id WHERE show = :show AND number BETWEEN :first AND :last;
COMMIT;
\else
ROLLBACK;
\endif
