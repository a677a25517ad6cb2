-- What is to leave has an address, and what goes to a webhook is taken by who brings it there: it is due again until it is gone.
ALTER TABLE outbox ADD COLUMN way TEXT NOT NULL DEFAULT 'mail' CHECK (way = 'mail' OR way = 'webhook');
ALTER TABLE outbox ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN origin TEXT;
ALTER TABLE outbox ADD COLUMN about BLOB; -- the hold or waitlist entry: who is forgotten is not written to
ALTER TABLE outbox ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
UPDATE outbox SET address = body ->> '$.to', body = json_remove(body, '$.to') WHERE body ->> '$.to' IS NOT NULL;
CREATE INDEX outbox_to_webhooks ON outbox (due) WHERE way = 'webhook';

CREATE INDEX outbox_by_webhook ON outbox (address) WHERE way = 'webhook';
CREATE INDEX outbox_by_subject ON outbox (about);

-- Webhooks that were asked whether they want to hear of anything, and when they said so.
CREATE TABLE webhook (
    url    TEXT PRIMARY KEY,
    origin TEXT NOT NULL,
    asked  INTEGER NOT NULL,
    proven INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_of_origin ON webhook (origin);
