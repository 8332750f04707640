-- Consents too hold tokens that are to be revoked: the queue names a holder, a connection or a consent.
-- Times are microseconds since 1970, UTC.

-- The queue of revocations still to be done at the provider.
CREATE TABLE token_holders (
    holder   TEXT    NOT NULL PRIMARY KEY, -- whose tokens are to be revoked: con_… or cns_…
    tenant   TEXT    NOT NULL, -- the holder's tenant
    attempts INTEGER NOT NULL, -- attempts so far
    due_at   INTEGER NOT NULL  -- next attempt not before this
) STRICT;

INSERT INTO token_holders (holder, tenant, attempts, due_at)
SELECT connection, tenant, attempts, due_at FROM provider_revocations;

DROP TABLE provider_revocations;

ALTER TABLE token_holders RENAME TO provider_revocations;

-- What is due, oldest first.
CREATE INDEX provider_revocations_due ON provider_revocations (due_at);
