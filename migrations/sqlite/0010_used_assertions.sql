-- Assertions that are good for one use, once they were used.
-- Times are microseconds since 1970, UTC.

-- A used assertion: it was answered with a grant or a batch, in the commit that wrote its line here.
CREATE TABLE used_assertions (
    key        BLOB    NOT NULL PRIMARY KEY, -- SHA-256 over the assertion's issuer and its jti
    expires_at INTEGER NOT NULL -- when it is forgotten: kept until the assertion is refused for its age, and ten minutes for clocks that differ
) STRICT;

-- Used assertions to be forgotten.
CREATE INDEX used_assertions_expiry ON used_assertions (expires_at);
