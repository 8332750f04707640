-- Assertions that are good for one use, once they were used.
-- Times are microseconds since 1970, UTC.

CREATE TABLE used_assertions (
    key BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
COMMENT ON TABLE used_assertions IS 'Assertions that are good for one use, once they were used: each was answered with a grant or a batch, in the commit that wrote its line here';
COMMENT ON COLUMN used_assertions.key IS 'SHA-256 over the assertion''s issuer and its jti';
COMMENT ON COLUMN used_assertions.expires_at IS 'when it is forgotten: kept until the assertion is refused for its age, and ten minutes for clocks that differ';

-- Used assertions to be forgotten.
CREATE INDEX used_assertions_expiry ON used_assertions (expires_at);

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
    -- What was used stays used until it is forgotten.
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON public.used_assertions TO %I', role);
    -- The ledger: written once. Partitions are reached through the parent alone.
    EXECUTE format('GRANT SELECT, INSERT ON public.revocations, public.audit_events, public.audit_streams TO %I', role);
    EXECUTE format('GRANT UPDATE (seq, hash, mac, open, heartbeat_at) ON public.audit_streams TO %I', role);
    EXECUTE format('GRANT SELECT ON public.schema_migrations TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION public.broker_clock(), public.text_sha256(TEXT), '
        'public.audit_partitions_ahead(INTEGER) TO %I', role);
END;
$$;
