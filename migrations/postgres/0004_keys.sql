-- Wrapped keys. What wraps a tenant key is outside this database. Times are microseconds since 1970, UTC.

CREATE TABLE tenant_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    wrapped_by TEXT COLLATE "C" NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    serial BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY
);
COMMENT ON TABLE tenant_keys IS 'Tenant keys, wrapped by the root key; tenant '''' is the broker''s own system key';
COMMENT ON COLUMN tenant_keys.id IS 'the key''s id';
COMMENT ON COLUMN tenant_keys.tenant IS 'whose, '''' = the broker''s own';
COMMENT ON COLUMN tenant_keys.wrapped_by IS 'id of the key that wraps it';
COMMENT ON COLUMN tenant_keys.wrapped IS 'nonce and ciphertext';
COMMENT ON COLUMN tenant_keys.created_at IS 'when it was made';
COMMENT ON COLUMN tenant_keys.serial IS 'tells two keys of one microsecond apart';

-- A tenant's keys, newest first.
CREATE INDEX tenant_keys_newest ON tenant_keys (tenant, created_at);

CREATE TABLE subject_keys (
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    tenant TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    wrapped_by TEXT COLLATE "C" NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, subject)
);
COMMENT ON TABLE subject_keys IS 'Subject keys, wrapped by a tenant key: they seal the personal fields of audit events. Destroying one erases the person from the log';
COMMENT ON COLUMN subject_keys.id IS 'the key''s id';
COMMENT ON COLUMN subject_keys.tenant IS 'the person''s tenant';
COMMENT ON COLUMN subject_keys.subject IS 'the person''s pseudonym';
COMMENT ON COLUMN subject_keys.wrapped_by IS 'id of the key that wraps it';
COMMENT ON COLUMN subject_keys.wrapped IS 'nonce and ciphertext';
COMMENT ON COLUMN subject_keys.created_at IS 'when it was made';
