-- What people do in the browser: consents and signed-in sessions; and the request ids of callers.
-- Times are microseconds since 1970, UTC. '' in a NOT NULL text column means none.

-- One attempt of a person to create or widen a connection or an approval. Columns that a state does not have are NULL or ''.
CREATE TABLE consents (
    id                         TEXT    NOT NULL PRIMARY KEY, -- cns_…
    handle_hash                BLOB    NOT NULL UNIQUE, -- SHA-256 of the link's handle
    tenant                     TEXT    NOT NULL, -- for whom: tenant
    realm                      TEXT    NOT NULL, -- for whom: realm
    subject                    TEXT    NOT NULL, -- for whom: subject claim
    workload                   TEXT    NOT NULL, -- who asked
    provider                   TEXT    NOT NULL, -- where
    connection                 TEXT    NOT NULL, -- the connection it widens or approves, '' = a new one
    reason                     TEXT    NOT NULL, -- NOT_CONNECTED, SCOPES_MISSING, …
    scopes                     TEXT    NOT NULL, -- what the workload asked for, sorted, joined by single spaces
    provider_scopes            TEXT    NOT NULL, -- what the provider is asked for, same form
    tool                       TEXT    NOT NULL, -- the tool, in the server's words
    purpose                    TEXT    NOT NULL, -- the purpose, in the server's words
    created_at                 INTEGER NOT NULL, -- when it was made
    expires_at                 INTEGER NOT NULL, -- over at this time
    version                    INTEGER NOT NULL, -- grows with every write
    born_epoch                 INTEGER NOT NULL, -- revocation epoch at its birth
    mismatches                 INTEGER NOT NULL, -- how often somebody else opened the link
    state                      TEXT    NOT NULL, -- pending | approved | exchanging | awaiting_confirmation | completed | declined | expired | failed
    state_hash                 BLOB    UNIQUE,   -- SHA-256 of the OAuth state parameter, from approved on
    browser_hash               BLOB,             -- SHA-256 of the browser-binding cookie, while one counts
    pkce_verifier              BLOB,             -- approved: the sealed PKCE verifier
    obtained_account_id        TEXT,             -- awaiting_confirmation: the account that granted
    obtained_account_label     TEXT,             -- awaiting_confirmation: what people call it
    obtained_scopes            TEXT,             -- awaiting_confirmation: what was granted
    obtained_refresh           BLOB,             -- awaiting_confirmation: the sealed refresh token, NULL = none given
    obtained_access            BLOB,             -- awaiting_confirmation: the sealed access token
    obtained_access_expires_at INTEGER,          -- awaiting_confirmation: when the access token ends, NULL = not said
    result_connection          TEXT    NOT NULL, -- completed: the connection that came of it
    failure                    TEXT    NOT NULL, -- failed: reason code
    mac                        BLOB    NOT NULL  -- row MAC over every column but handle_hash: 32-byte tag, then key id
) STRICT;

-- Open consents by need (an equal need has one link) and by person.
CREATE INDEX consents_open ON consents (tenant, realm, subject, workload, provider, scopes)
    WHERE state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation');

-- Open consents whose time is over.
CREATE INDEX consents_overdue ON consents (expires_at)
    WHERE state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation');

-- One signed-in browser on the pages.
CREATE TABLE web_sessions (
    id_hash      BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the session cookie's value
    tenant       TEXT    NOT NULL, -- who signed in: tenant
    realm        TEXT    NOT NULL, -- who signed in: realm
    subject      TEXT    NOT NULL, -- who signed in: subject claim
    label        TEXT    NOT NULL, -- what the pages call them
    issuer       TEXT    NOT NULL, -- the issuer that vouched
    sid          TEXT    NOT NULL, -- the identity provider's session id, '' = none given
    created_at   INTEGER NOT NULL, -- when they signed in
    expires_at   INTEGER NOT NULL, -- over at this time whatever happens
    version      INTEGER NOT NULL, -- grows with every write of a covered column
    ended        INTEGER NOT NULL, -- 1 = signed out
    last_seen_at INTEGER NOT NULL, -- last request; not covered by the MAC, it only shortens the session's life
    mac          BLOB    NOT NULL  -- row MAC over every other column: 32-byte tag, then key id
) STRICT;

-- Sessions that are over.
CREATE INDEX web_sessions_expiry ON web_sessions (expires_at);

-- Live sessions by what an identity provider calls them when it ends them, and by person.
CREATE INDEX web_sessions_sid ON web_sessions (tenant, realm, issuer, sid) WHERE ended = 0;
CREATE INDEX web_sessions_person ON web_sessions (tenant, realm, subject) WHERE ended = 0;

-- What identity providers have ended, remembered for the logins that are under way: one that was begun before the logout begins no
-- session after it. No MAC: a row only takes away. One that is forged refuses a sign-in for a few minutes, which whoever writes here
-- can do in simpler ways; removing one helps only who has a login under way at that moment, within the minutes until it would be over.
CREATE TABLE logouts (
    tenant     TEXT    NOT NULL, -- whose: tenant
    realm      TEXT    NOT NULL, -- whose: realm
    issuer     TEXT    NOT NULL, -- the issuer that said so
    sid        TEXT    NOT NULL, -- the identity provider's session id, '' = every session of the subject
    subject    TEXT    NOT NULL, -- the subject claim, '' = whoever's session it is
    until      INTEGER NOT NULL, -- logins begun at or before this begin no session
    expires_at INTEGER NOT NULL, -- when no login from before it can be under way any more
    PRIMARY KEY (tenant, realm, issuer, sid, subject)
) STRICT;

-- Logouts to be forgotten.
CREATE INDEX logouts_expiry ON logouts (expires_at);

-- Request ids taken by callers, so that a retry gets the same grant.
CREATE TABLE requests (
    key              BLOB    NOT NULL PRIMARY KEY, -- SHA-256 over tenant, workload, subject and request id
    fingerprint      BLOB    NOT NULL, -- MAC over every field of the request and of this row
    grant_id         TEXT    NOT NULL, -- the grant that answers it: evt_…
    connection       TEXT    NOT NULL, -- the connection whose token answers it
    scope_key        TEXT    NOT NULL, -- the token's scope key
    generation       INTEGER NOT NULL, -- the token's generation
    grant_expires_at INTEGER NOT NULL, -- when the grant ends
    expires_at       INTEGER NOT NULL  -- when the request id is forgotten
) STRICT;

-- Request ids to be forgotten.
CREATE INDEX requests_expiry ON requests (expires_at);
