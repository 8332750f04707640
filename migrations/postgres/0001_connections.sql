-- Connections: stored credentials at providers, their sealed tokens, and who may use them.
-- Times are microseconds since 1970, UTC. '' in a NOT NULL text column means none. Text is compared byte by byte (COLLATE "C"): ids sort
-- as they do in the broker, and an operating system's new collation rules never corrupt an index.

-- The one clock of leases, expiries and signs of life. Belongs to the owner: the application role calls it and cannot replace it.
CREATE FUNCTION broker_clock() RETURNS BIGINT
    LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT;
COMMENT ON FUNCTION broker_clock() IS 'the time, microseconds since 1970, UTC';

-- A unique key over a text of any length. An index entry must stay below 2,700 bytes; a list of scopes may be longer.
CREATE FUNCTION text_sha256(text TEXT) RETURNS BYTEA
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN sha256(convert_to(text, 'UTF8'));
COMMENT ON FUNCTION text_sha256(TEXT) IS 'SHA-256 of the text in UTF-8';

CREATE TABLE connections (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    owner_kind TEXT COLLATE "C" NOT NULL,
    realm TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    account_label TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    born_epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    mac BYTEA NOT NULL,
    lease_owner TEXT COLLATE "C" NOT NULL DEFAULT '',
    lease_epoch BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT,
    cooldown_until BIGINT,
    last_error TEXT COLLATE "C" NOT NULL DEFAULT '',
    last_used_at BIGINT
);
COMMENT ON TABLE connections IS 'One stored credential, owned by one person or shared by a tenant';
COMMENT ON COLUMN connections.id IS 'con_…';
COMMENT ON COLUMN connections.tenant IS 'the tenant it lives in';
COMMENT ON COLUMN connections.owner_kind IS 'subject | tenant';
COMMENT ON COLUMN connections.realm IS 'the owner''s realm, '''' for a tenant''s own';
COMMENT ON COLUMN connections.subject IS 'the owner''s subject claim, '''' for a tenant''s own';
COMMENT ON COLUMN connections.provider IS 'the provider''s name';
COMMENT ON COLUMN connections.client_id IS 'the OAuth client that minted its tokens';
COMMENT ON COLUMN connections.account_id IS 'the provider''s stable id of the account';
COMMENT ON COLUMN connections.account_label IS 'what people call the account';
COMMENT ON COLUMN connections.state IS 'active | reauth_required | suspended | revoked';
COMMENT ON COLUMN connections.scopes IS 'what the provider granted, sorted, joined by single spaces';
COMMENT ON COLUMN connections.version IS 'grows with every write of a covered column';
COMMENT ON COLUMN connections.born_epoch IS 'revocation epoch at its birth: only later rules hit it';
COMMENT ON COLUMN connections.created_at IS 'when it was made';
COMMENT ON COLUMN connections.expires_at IS 'the provider''s grant is over then; NULL = no such limit';
COMMENT ON COLUMN connections.mac IS 'row MAC over every column above: 32-byte tag, then key id';
COMMENT ON COLUMN connections.lease_owner IS 'who refreshes it now, '''' = nobody; this and below are not covered by the MAC';
COMMENT ON COLUMN connections.lease_epoch IS 'fencing epoch: each taken lease adds one';
COMMENT ON COLUMN connections.lease_until IS 'until when the lease holds';
COMMENT ON COLUMN connections.cooldown_until IS 'not to be refreshed before this';
COMMENT ON COLUMN connections.last_error IS 'reason code of the last refresh failure';
COMMENT ON COLUMN connections.last_used_at IS 'when a grant was last issued from it, to the minute';

-- An owner has an account at a provider once; what was revoked may be made anew. Also serves the look-up by owner.
CREATE UNIQUE INDEX connections_account
    ON connections (tenant, owner_kind, realm, subject, provider, text_sha256(account_id)) WHERE state <> 'revoked';

-- The owner's whole list, revoked ones too.
CREATE INDEX connections_owner ON connections (tenant, owner_kind, realm, subject, created_at);

-- Pages of a tenant's connections.
CREATE INDEX connections_page ON connections (tenant, id);

CREATE TABLE connection_secrets (
    connection TEXT COLLATE "C" NOT NULL REFERENCES connections (id),
    kind TEXT COLLATE "C" NOT NULL,
    scope_key TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    envelope BYTEA NOT NULL,
    expires_at BIGINT,
    obtained_at BIGINT NOT NULL,
    mac BYTEA NOT NULL
);
COMMENT ON TABLE connection_secrets IS 'Sealed tokens. Each value has its own generation; a connection''s state never touches it';
COMMENT ON COLUMN connection_secrets.connection IS 'whose token';
COMMENT ON COLUMN connection_secrets.kind IS 'access | refresh';
COMMENT ON COLUMN connection_secrets.scope_key IS 'the scopes of an access token, '''' for a refresh token';
COMMENT ON COLUMN connection_secrets.scopes IS 'what the token can do, sorted, joined by single spaces';
COMMENT ON COLUMN connection_secrets.generation IS 'counted from 1; bound into the envelope';
COMMENT ON COLUMN connection_secrets.envelope IS 'ciphertext with its wrapped data key';
COMMENT ON COLUMN connection_secrets.expires_at IS 'when the provider stops honouring it; NULL = it does not say';
COMMENT ON COLUMN connection_secrets.obtained_at IS 'when it was obtained';
COMMENT ON COLUMN connection_secrets.mac IS 'row MAC: 32-byte tag, then key id';

-- One token per connection, kind and scopes.
CREATE UNIQUE INDEX connection_secrets_key ON connection_secrets (connection, kind, text_sha256(scope_key));

CREATE TABLE approvals (
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    tenant TEXT COLLATE "C" NOT NULL,
    connection TEXT COLLATE "C" NOT NULL REFERENCES connections (id),
    workload TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    approved_by TEXT COLLATE "C" NOT NULL,
    default_account BIGINT NOT NULL,
    withdrawn_at BIGINT,
    version BIGINT NOT NULL,
    born_epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (tenant, connection, workload)
);
COMMENT ON TABLE approvals IS 'The standing permission of one workload to use one connection';
COMMENT ON COLUMN approvals.id IS 'apr_…';
COMMENT ON COLUMN approvals.tenant IS 'the connection''s tenant';
COMMENT ON COLUMN approvals.connection IS 'which connection';
COMMENT ON COLUMN approvals.workload IS 'which workload';
COMMENT ON COLUMN approvals.scopes IS 'what the workload may at most be granted, sorted, joined by single spaces';
COMMENT ON COLUMN approvals.approved_by IS 'user | policy';
COMMENT ON COLUMN approvals.default_account IS '1 = the account the workload uses when it names none';
COMMENT ON COLUMN approvals.withdrawn_at IS 'when it was withdrawn; NULL while it stands';
COMMENT ON COLUMN approvals.version IS 'grows with every write';
COMMENT ON COLUMN approvals.born_epoch IS 'revocation epoch at its birth: only later rules hit it';
COMMENT ON COLUMN approvals.created_at IS 'when it was given';
COMMENT ON COLUMN approvals.mac IS 'row MAC over every column above: 32-byte tag, then key id';
