-- One link that leads a person through several consents.
-- Times are microseconds since 1970, UTC.

-- A parent page. It allows nothing by itself: every consent on it is answered on its own page.
CREATE TABLE parent_pages (
    id          TEXT    NOT NULL PRIMARY KEY, -- par_…
    handle_hash BLOB    NOT NULL UNIQUE, -- SHA-256 of the link's handle
    tenant      TEXT    NOT NULL, -- for whom: tenant
    realm       TEXT    NOT NULL, -- for whom: realm
    subject     TEXT    NOT NULL, -- for whom: subject claim
    workload    TEXT    NOT NULL, -- who asked
    consents    TEXT    NOT NULL, -- what it leads through: cns_… in the order asked for, joined by single spaces
    created_at  INTEGER NOT NULL, -- when it was made
    expires_at  INTEGER NOT NULL, -- over at this time
    version     INTEGER NOT NULL, -- grows with every write
    mismatches  INTEGER NOT NULL, -- how often somebody else opened the link
    mac         BLOB    NOT NULL  -- row MAC over every column but handle_hash: 32-byte tag, then key id
) STRICT;

-- Open pages by person.
CREATE INDEX parent_pages_open ON parent_pages (tenant, realm, subject, expires_at);
