-- As in the SQLite store.
ALTER TABLE outbox ADD COLUMN way text NOT NULL DEFAULT 'mail' CHECK (way = 'mail' OR way = 'webhook');
ALTER TABLE outbox ADD COLUMN address text NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN origin text;
ALTER TABLE outbox ADD COLUMN about bytea;
ALTER TABLE outbox ADD COLUMN tries bigint NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN due bigint NOT NULL DEFAULT 0;
UPDATE outbox SET address = body::json ->> 'to', body = (body::jsonb - 'to')::text WHERE body::json ->> 'to' IS NOT NULL;
CREATE INDEX outbox_to_webhooks ON outbox (due) WHERE way = 'webhook';

CREATE INDEX outbox_by_webhook ON outbox (address) WHERE way = 'webhook';
CREATE INDEX outbox_by_subject ON outbox (about);

CREATE TABLE webhook (
    url    text PRIMARY KEY,
    origin text NOT NULL,
    asked  bigint NOT NULL,
    proven bigint
);
CREATE INDEX webhook_of_origin ON webhook (origin);
