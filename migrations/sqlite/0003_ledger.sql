-- The ledger: rules that reduce authority, and the audit log. Insert-only; the triggers below refuse everything else.
-- Times are microseconds since 1970, UTC. '' in a NOT NULL text column means none.

-- Rules that reduce authority. A rule hits what was born at or before its epoch.
CREATE TABLE revocations (
    epoch         INTEGER NOT NULL PRIMARY KEY, -- contiguous, from 1
    kind          TEXT    NOT NULL, -- revoke | block | lift
    target_kind   TEXT    NOT NULL, -- subject | tenant | issuer | workload | provider | connection | approval
    target_name   TEXT    NOT NULL, -- the thing's name; for a person the subject claim
    target_tenant TEXT    NOT NULL, -- a person's tenant, else ''
    target_realm  TEXT    NOT NULL, -- a person's realm, else ''
    at            INTEGER NOT NULL, -- when
    mac           BLOB    NOT NULL  -- row MAC over every column above: 32-byte tag, then key id
) STRICT;

-- A BEFORE INSERT trigger also stops INSERT OR REPLACE, which deletes without firing a delete trigger.
CREATE TRIGGER revocations_contiguous BEFORE INSERT ON revocations
WHEN NEW.epoch <> (SELECT coalesce(max(epoch), 0) + 1 FROM revocations)
BEGIN
    SELECT RAISE(ABORT, 'revocations: the epoch is not the next one');
END;

CREATE TRIGGER revocations_no_update BEFORE UPDATE ON revocations
BEGIN
    SELECT RAISE(ABORT, 'revocations is insert-only');
END;

CREATE TRIGGER revocations_no_delete BEFORE DELETE ON revocations
BEGIN
    SELECT RAISE(ABORT, 'revocations is insert-only');
END;

-- One writer's ordered events.
CREATE TABLE audit_streams (
    stream       TEXT    NOT NULL PRIMARY KEY, -- str_…; begins with its opening time, so ids sort by age
    seq          INTEGER NOT NULL, -- number of the last event, 0 = none yet; only grows
    hash         BLOB    NOT NULL, -- hash of the last event, zeros = none yet
    mac          BLOB    NOT NULL, -- MAC over stream, seq, hash and open
    open         INTEGER NOT NULL, -- 1 = its writer may append
    opened_at    INTEGER NOT NULL, -- when it was opened
    heartbeat_at INTEGER NOT NULL  -- the writer's last sign of life
) STRICT;

CREATE TRIGGER audit_streams_no_replace BEFORE INSERT ON audit_streams
WHEN EXISTS (SELECT 1 FROM audit_streams WHERE stream = NEW.stream)
BEGIN
    SELECT RAISE(ABORT, 'audit_streams: the stream exists');
END;

-- The number only grows, a closed stream stays as it is, and nothing but the head changes.
CREATE TRIGGER audit_streams_only_grow BEFORE UPDATE ON audit_streams
WHEN NEW.stream <> OLD.stream OR NEW.opened_at <> OLD.opened_at OR NEW.seq < OLD.seq OR OLD.open = 0
    OR (NEW.seq = OLD.seq AND NEW.hash <> OLD.hash)
BEGIN
    SELECT RAISE(ABORT, 'audit_streams: a head only moves forward');
END;

CREATE TRIGGER audit_streams_no_delete BEFORE DELETE ON audit_streams
BEGIN
    SELECT RAISE(ABORT, 'audit_streams: a stream is never removed');
END;

-- Every decision and change. The body is what is hashed; the columns after it are for people to filter on and are compared with the body by verify.
CREATE TABLE audit_events (
    stream        TEXT    NOT NULL REFERENCES audit_streams (stream), -- the stream
    seq           INTEGER NOT NULL, -- contiguous in the stream, from 1
    previous_hash BLOB    NOT NULL, -- hash of the event before it, zeros for the first
    hash          BLOB    NOT NULL, -- SHA-256 over tag, previous hash and body
    mac_key       TEXT    NOT NULL, -- id of the audit MAC key
    mac           BLOB    NOT NULL, -- HMAC-SHA-256 of hash
    body          BLOB    NOT NULL, -- the canonical bytes, as first written
    id            TEXT    NOT NULL UNIQUE, -- evt_…; a grant's id is that of its event
    time          INTEGER NOT NULL, -- when
    tenant        TEXT    NOT NULL, -- tenant
    subject       TEXT    NOT NULL, -- the person's pseudonym
    workload      TEXT    NOT NULL, -- workload
    provider      TEXT    NOT NULL, -- provider
    kind          TEXT    NOT NULL, -- what happened, e.g. grant.issue
    outcome       TEXT    NOT NULL, -- allowed | denied | consent_required | failed
    reason        TEXT    NOT NULL, -- reason code
    PRIMARY KEY (stream, seq)
) STRICT;

CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE stream = NEW.stream AND seq = NEW.seq)
    OR EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'audit_events is insert-only');
END;

CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events is insert-only');
END;

CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events is insert-only');
END;
