-- One link that leads a person through several consents.
-- Times are microseconds since 1970, UTC.

CREATE TABLE parent_pages (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    handle_hash BYTEA NOT NULL UNIQUE,
    tenant TEXT COLLATE "C" NOT NULL,
    realm TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    workload TEXT COLLATE "C" NOT NULL,
    consents TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    mismatches BIGINT NOT NULL,
    mac BYTEA NOT NULL
);
COMMENT ON TABLE parent_pages IS 'One link that leads a person through several consents. It allows nothing by itself: every consent on it is answered on its own page';
COMMENT ON COLUMN parent_pages.id IS 'par_…';
COMMENT ON COLUMN parent_pages.handle_hash IS 'SHA-256 of the link''s handle';
COMMENT ON COLUMN parent_pages.tenant IS 'for whom: tenant';
COMMENT ON COLUMN parent_pages.realm IS 'for whom: realm';
COMMENT ON COLUMN parent_pages.subject IS 'for whom: subject claim';
COMMENT ON COLUMN parent_pages.workload IS 'who asked';
COMMENT ON COLUMN parent_pages.consents IS 'what it leads through: cns_… in the order asked for, joined by single spaces';
COMMENT ON COLUMN parent_pages.created_at IS 'when it was made';
COMMENT ON COLUMN parent_pages.expires_at IS 'over at this time';
COMMENT ON COLUMN parent_pages.version IS 'grows with every write';
COMMENT ON COLUMN parent_pages.mismatches IS 'how often somebody else opened the link';
COMMENT ON COLUMN parent_pages.mac IS 'row MAC over every column but handle_hash: 32-byte tag, then key id';

-- Open pages by person.
CREATE INDEX parent_pages_open ON parent_pages (tenant, realm, subject, expires_at);

-- What the serving broker's role may do: exactly this, and from now on the new table too.
CREATE OR REPLACE FUNCTION grant_application(role TEXT) RETURNS VOID
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I', role);
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM %I', role);
    EXECUTE format('REVOKE ALL ON SCHEMA public FROM %I', role);
    -- No table of its own, not even a temporary one that hides a real one.
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM %I', current_database(), role);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
    -- State. Rows of people and their connections are never removed by the broker.
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON public.connections, public.approvals, public.consents, '
        'public.parent_pages, public.tenant_keys, public.subject_keys TO %I', role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON public.connection_secrets, public.provider_revocations, '
        'public.web_sessions, public.logouts, public.requests TO %I', role);
    -- The ledger: written once. Partitions are reached through the parent alone.
    EXECUTE format('GRANT SELECT, INSERT ON public.revocations, public.audit_events, public.audit_streams TO %I', role);
    EXECUTE format('GRANT UPDATE (seq, hash, mac, open, heartbeat_at) ON public.audit_streams TO %I', role);
    EXECUTE format('GRANT SELECT ON public.schema_migrations TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION public.broker_clock(), public.text_sha256(TEXT), '
        'public.audit_partitions_ahead(INTEGER) TO %I', role);
END;
$$;
