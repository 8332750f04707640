-- Connections: stored credentials at providers, their sealed tokens, and who may use them.
-- Times are microseconds since 1970, UTC. '' in a NOT NULL text column means none.

-- One stored credential, owned by one person or shared by a tenant.
CREATE TABLE connections (
    id             TEXT    NOT NULL PRIMARY KEY, -- con_…
    tenant         TEXT    NOT NULL,             -- the tenant it lives in
    owner_kind     TEXT    NOT NULL,             -- subject | tenant
    realm          TEXT    NOT NULL,             -- the owner's realm, '' for a tenant's own
    subject        TEXT    NOT NULL,             -- the owner's subject claim, '' for a tenant's own
    provider       TEXT    NOT NULL,             -- the provider's name
    client_id      TEXT    NOT NULL,             -- the OAuth client that minted its tokens
    account_id     TEXT    NOT NULL,             -- the provider's stable id of the account
    account_label  TEXT    NOT NULL,             -- what people call the account
    state          TEXT    NOT NULL,             -- active | reauth_required | suspended | revoked
    scopes         TEXT    NOT NULL,             -- what the provider granted, sorted, joined by single spaces
    version        INTEGER NOT NULL,             -- grows with every write of a covered column
    born_epoch     INTEGER NOT NULL,             -- revocation epoch at its birth: only later rules hit it
    created_at     INTEGER NOT NULL,             -- when it was made
    expires_at     INTEGER,                      -- the provider's grant is over then; NULL = no such limit
    mac            BLOB    NOT NULL,             -- row MAC over every column above: 32-byte tag, then key id
    lease_owner    TEXT    NOT NULL DEFAULT '',  -- who refreshes it now, '' = nobody; this and below are not covered by the MAC
    lease_epoch    INTEGER NOT NULL DEFAULT 0,   -- fencing epoch: each taken lease adds one
    lease_until    INTEGER,                      -- until when the lease holds
    cooldown_until INTEGER,                      -- not to be refreshed before this
    last_error     TEXT    NOT NULL DEFAULT '',  -- reason code of the last refresh failure
    last_used_at   INTEGER                       -- when a grant was last issued from it, to the minute
) STRICT;

-- An owner has an account at a provider once; what was revoked may be made anew. Also serves the look-up by owner.
CREATE UNIQUE INDEX connections_account
    ON connections (tenant, owner_kind, realm, subject, provider, account_id) WHERE state <> 'revoked';

-- The owner's whole list, revoked ones too.
CREATE INDEX connections_owner ON connections (tenant, owner_kind, realm, subject, created_at);

-- Pages of a tenant's connections.
CREATE INDEX connections_page ON connections (tenant, id);

-- Sealed tokens. Each value has its own generation; a connection's state never touches it.
CREATE TABLE connection_secrets (
    connection  TEXT    NOT NULL REFERENCES connections (id), -- whose token
    kind        TEXT    NOT NULL, -- access | refresh
    scope_key   TEXT    NOT NULL, -- the scopes of an access token, '' for a refresh token
    scopes      TEXT    NOT NULL, -- what the token can do, sorted, joined by single spaces
    generation  INTEGER NOT NULL, -- counted from 1; bound into the envelope
    envelope    BLOB    NOT NULL, -- ciphertext with its wrapped data key
    expires_at  INTEGER,          -- when the provider stops honouring it; NULL = it does not say
    obtained_at INTEGER NOT NULL, -- when it was obtained
    mac         BLOB    NOT NULL, -- row MAC: 32-byte tag, then key id
    PRIMARY KEY (connection, kind, scope_key)
) STRICT;

-- The standing permission of one workload to use one connection.
CREATE TABLE approvals (
    id              TEXT    NOT NULL UNIQUE, -- apr_…
    tenant          TEXT    NOT NULL, -- the connection's tenant
    connection      TEXT    NOT NULL REFERENCES connections (id), -- which connection
    workload        TEXT    NOT NULL, -- which workload
    scopes          TEXT    NOT NULL, -- what the workload may at most be granted, sorted, joined by single spaces
    approved_by     TEXT    NOT NULL, -- user | policy
    default_account INTEGER NOT NULL, -- 1 = the account the workload uses when it names none
    withdrawn_at    INTEGER,          -- when it was withdrawn; NULL while it stands
    version         INTEGER NOT NULL, -- grows with every write
    born_epoch      INTEGER NOT NULL, -- revocation epoch at its birth: only later rules hit it
    created_at      INTEGER NOT NULL, -- when it was given
    mac             BLOB    NOT NULL, -- row MAC over every column above: 32-byte tag, then key id
    PRIMARY KEY (tenant, connection, workload)
) STRICT;

-- The queue of revocations still to be done at the provider.
CREATE TABLE provider_revocations (
    connection TEXT    NOT NULL PRIMARY KEY REFERENCES connections (id), -- whose tokens are to be revoked
    tenant     TEXT    NOT NULL, -- the connection's tenant
    attempts   INTEGER NOT NULL, -- attempts so far
    due_at     INTEGER NOT NULL  -- next attempt not before this
) STRICT;

-- What is due, oldest first.
CREATE INDEX provider_revocations_due ON provider_revocations (due_at);
