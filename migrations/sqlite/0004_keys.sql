-- Wrapped keys. What wraps a tenant key is outside this database. Times are microseconds since 1970, UTC.

-- Tenant keys, wrapped by the root key; tenant '' is the broker's own system key.
CREATE TABLE tenant_keys (
    id         TEXT    NOT NULL PRIMARY KEY, -- the key's id
    tenant     TEXT    NOT NULL, -- whose, '' = the broker's own
    wrapped_by TEXT    NOT NULL, -- id of the key that wraps it
    wrapped    BLOB    NOT NULL, -- nonce and ciphertext
    created_at INTEGER NOT NULL  -- when it was made
) STRICT;

-- A tenant's keys, newest first.
CREATE INDEX tenant_keys_newest ON tenant_keys (tenant, created_at);

-- Subject keys, wrapped by a tenant key: they seal the personal fields of audit events. Destroying one erases the person from the log.
CREATE TABLE subject_keys (
    id         TEXT    NOT NULL UNIQUE, -- the key's id
    tenant     TEXT    NOT NULL, -- the person's tenant
    subject    TEXT    NOT NULL, -- the person's pseudonym
    wrapped_by TEXT    NOT NULL, -- id of the key that wraps it
    wrapped    BLOB    NOT NULL, -- nonce and ciphertext
    created_at INTEGER NOT NULL, -- when it was made
    PRIMARY KEY (tenant, subject)
) STRICT;
