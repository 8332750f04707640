-- What people do in the browser: consents and signed-in sessions; and the request ids of callers.
-- Times are microseconds since 1970, UTC. '' in a NOT NULL text column means none.

CREATE TABLE consents (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    handle_hash BYTEA NOT NULL UNIQUE,
    tenant TEXT COLLATE "C" NOT NULL,
    realm TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    workload TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    connection TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    provider_scopes TEXT COLLATE "C" NOT NULL,
    tool TEXT COLLATE "C" NOT NULL,
    purpose TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    born_epoch BIGINT NOT NULL,
    mismatches BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    state_hash BYTEA UNIQUE,
    browser_hash BYTEA,
    pkce_verifier BYTEA,
    obtained_account_id TEXT COLLATE "C",
    obtained_account_label TEXT COLLATE "C",
    obtained_scopes TEXT COLLATE "C",
    obtained_refresh BYTEA,
    obtained_access BYTEA,
    obtained_access_expires_at BIGINT,
    result_connection TEXT COLLATE "C" NOT NULL,
    failure TEXT COLLATE "C" NOT NULL,
    mac BYTEA NOT NULL
);
COMMENT ON TABLE consents IS 'One attempt of a person to create or widen a connection or an approval. Columns that a state does not have are NULL or ''''';
COMMENT ON COLUMN consents.id IS 'cns_…';
COMMENT ON COLUMN consents.handle_hash IS 'SHA-256 of the link''s handle';
COMMENT ON COLUMN consents.tenant IS 'for whom: tenant';
COMMENT ON COLUMN consents.realm IS 'for whom: realm';
COMMENT ON COLUMN consents.subject IS 'for whom: subject claim';
COMMENT ON COLUMN consents.workload IS 'who asked';
COMMENT ON COLUMN consents.provider IS 'where';
COMMENT ON COLUMN consents.connection IS 'the connection it widens or approves, '''' = a new one';
COMMENT ON COLUMN consents.reason IS 'NOT_CONNECTED, SCOPES_MISSING, …';
COMMENT ON COLUMN consents.scopes IS 'what the workload asked for, sorted, joined by single spaces';
COMMENT ON COLUMN consents.provider_scopes IS 'what the provider is asked for, same form';
COMMENT ON COLUMN consents.tool IS 'the tool, in the server''s words';
COMMENT ON COLUMN consents.purpose IS 'the purpose, in the server''s words';
COMMENT ON COLUMN consents.created_at IS 'when it was made';
COMMENT ON COLUMN consents.expires_at IS 'over at this time';
COMMENT ON COLUMN consents.version IS 'grows with every write';
COMMENT ON COLUMN consents.born_epoch IS 'revocation epoch at its birth';
COMMENT ON COLUMN consents.mismatches IS 'how often somebody else opened the link';
COMMENT ON COLUMN consents.state IS 'pending | approved | exchanging | awaiting_confirmation | completed | declined | expired | failed';
COMMENT ON COLUMN consents.state_hash IS 'SHA-256 of the OAuth state parameter, from approved on';
COMMENT ON COLUMN consents.browser_hash IS 'SHA-256 of the browser-binding cookie, while one counts';
COMMENT ON COLUMN consents.pkce_verifier IS 'approved: the sealed PKCE verifier';
COMMENT ON COLUMN consents.obtained_account_id IS 'awaiting_confirmation: the account that granted';
COMMENT ON COLUMN consents.obtained_account_label IS 'awaiting_confirmation: what people call it';
COMMENT ON COLUMN consents.obtained_scopes IS 'awaiting_confirmation: what was granted';
COMMENT ON COLUMN consents.obtained_refresh IS 'awaiting_confirmation: the sealed refresh token, NULL = none given';
COMMENT ON COLUMN consents.obtained_access IS 'awaiting_confirmation: the sealed access token';
COMMENT ON COLUMN consents.obtained_access_expires_at IS 'awaiting_confirmation: when the access token ends, NULL = not said';
COMMENT ON COLUMN consents.result_connection IS 'completed: the connection that came of it';
COMMENT ON COLUMN consents.failure IS 'failed: reason code';
COMMENT ON COLUMN consents.mac IS 'row MAC over every column but handle_hash: 32-byte tag, then key id';

-- Open consents by need (an equal need has one link) and by person.
CREATE INDEX consents_open ON consents (tenant, realm, subject, workload, provider)
    WHERE state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation');

-- Open consents whose time is over.
CREATE INDEX consents_overdue ON consents (expires_at)
    WHERE state IN ('pending', 'approved', 'exchanging', 'awaiting_confirmation');

CREATE TABLE web_sessions (
    id_hash BYTEA NOT NULL PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    realm TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    label TEXT COLLATE "C" NOT NULL,
    issuer TEXT COLLATE "C" NOT NULL,
    sid TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    mac BYTEA NOT NULL
);
COMMENT ON TABLE web_sessions IS 'One signed-in browser on the pages';
COMMENT ON COLUMN web_sessions.id_hash IS 'SHA-256 of the session cookie''s value';
COMMENT ON COLUMN web_sessions.tenant IS 'who signed in: tenant';
COMMENT ON COLUMN web_sessions.realm IS 'who signed in: realm';
COMMENT ON COLUMN web_sessions.subject IS 'who signed in: subject claim';
COMMENT ON COLUMN web_sessions.label IS 'what the pages call them';
COMMENT ON COLUMN web_sessions.issuer IS 'the issuer that vouched';
COMMENT ON COLUMN web_sessions.sid IS 'the identity provider''s session id, '''' = none given';
COMMENT ON COLUMN web_sessions.created_at IS 'when they signed in';
COMMENT ON COLUMN web_sessions.expires_at IS 'over at this time whatever happens';
COMMENT ON COLUMN web_sessions.version IS 'grows with every write of a covered column';
COMMENT ON COLUMN web_sessions.ended IS '1 = signed out';
COMMENT ON COLUMN web_sessions.last_seen_at IS 'last request; not covered by the MAC, it only shortens the session''s life';
COMMENT ON COLUMN web_sessions.mac IS 'row MAC over every other column: 32-byte tag, then key id';

-- Sessions that are over.
CREATE INDEX web_sessions_expiry ON web_sessions (expires_at);

-- Live sessions by what an identity provider calls them when it ends them, and by person.
CREATE INDEX web_sessions_sid ON web_sessions (tenant, realm, issuer, sid) WHERE ended = 0;
CREATE INDEX web_sessions_person ON web_sessions (tenant, realm, subject) WHERE ended = 0;

CREATE TABLE logouts (
    tenant TEXT COLLATE "C" NOT NULL,
    realm TEXT COLLATE "C" NOT NULL,
    issuer TEXT COLLATE "C" NOT NULL,
    sid TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, realm, issuer, sid, subject)
);
-- No MAC: a row only takes away. One that is forged refuses a sign-in for a few minutes, which whoever writes here can do in simpler
-- ways; removing one helps only who has a login under way at that moment, within the minutes until it would be over.
COMMENT ON TABLE logouts IS 'What identity providers have ended, remembered for the logins that are under way: one that was begun before the logout begins no session after it';
COMMENT ON COLUMN logouts.tenant IS 'whose: tenant';
COMMENT ON COLUMN logouts.realm IS 'whose: realm';
COMMENT ON COLUMN logouts.issuer IS 'the issuer that said so';
COMMENT ON COLUMN logouts.sid IS 'the identity provider''s session id, '''' = every session of the subject';
COMMENT ON COLUMN logouts.subject IS 'the subject claim, '''' = whoever''s session it is';
COMMENT ON COLUMN logouts.until IS 'logins begun at or before this begin no session';
COMMENT ON COLUMN logouts.expires_at IS 'when no login from before it can be under way any more';

-- Logouts to be forgotten.
CREATE INDEX logouts_expiry ON logouts (expires_at);

CREATE TABLE requests (
    key BYTEA NOT NULL PRIMARY KEY,
    fingerprint BYTEA NOT NULL,
    grant_id TEXT COLLATE "C" NOT NULL,
    connection TEXT COLLATE "C" NOT NULL,
    scope_key TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    grant_expires_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
COMMENT ON TABLE requests IS 'Request ids taken by callers, so that a retry gets the same grant';
COMMENT ON COLUMN requests.key IS 'SHA-256 over tenant, workload, subject and request id';
COMMENT ON COLUMN requests.fingerprint IS 'MAC over every field of the request and of this row';
COMMENT ON COLUMN requests.grant_id IS 'the grant that answers it: evt_…';
COMMENT ON COLUMN requests.connection IS 'the connection whose token answers it';
COMMENT ON COLUMN requests.scope_key IS 'the token''s scope key';
COMMENT ON COLUMN requests.generation IS 'the token''s generation';
COMMENT ON COLUMN requests.grant_expires_at IS 'when the grant ends';
COMMENT ON COLUMN requests.expires_at IS 'when the request id is forgotten';

-- Request ids to be forgotten.
CREATE INDEX requests_expiry ON requests (expires_at);

CREATE TABLE provider_revocations (
    holder TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL
);
COMMENT ON TABLE provider_revocations IS 'The queue of revocations still to be done at the provider';
COMMENT ON COLUMN provider_revocations.holder IS 'whose tokens are to be revoked: con_… or cns_…';
COMMENT ON COLUMN provider_revocations.tenant IS 'the holder''s tenant';
COMMENT ON COLUMN provider_revocations.attempts IS 'attempts so far';
COMMENT ON COLUMN provider_revocations.due_at IS 'next attempt not before this';

-- What is due, oldest first.
CREATE INDEX provider_revocations_due ON provider_revocations (due_at);
