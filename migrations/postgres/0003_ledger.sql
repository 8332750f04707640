-- The ledger: rules that reduce authority, and the audit log. Insert-only; the triggers below refuse everything else.
-- Times are microseconds since 1970, UTC. '' in a NOT NULL text column means none.

CREATE TABLE revocations (
    epoch BIGINT NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    target_kind TEXT COLLATE "C" NOT NULL,
    target_name TEXT COLLATE "C" NOT NULL,
    target_tenant TEXT COLLATE "C" NOT NULL,
    target_realm TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    mac BYTEA NOT NULL
);
COMMENT ON TABLE revocations IS 'Rules that reduce authority. A rule hits what was born at or before its epoch';
COMMENT ON COLUMN revocations.epoch IS 'contiguous, from 1';
COMMENT ON COLUMN revocations.kind IS 'revoke | block | lift';
COMMENT ON COLUMN revocations.target_kind IS 'subject | tenant | issuer | workload | provider | connection | approval';
COMMENT ON COLUMN revocations.target_name IS 'the thing''s name; for a person the subject claim';
COMMENT ON COLUMN revocations.target_tenant IS 'a person''s tenant, else ''''';
COMMENT ON COLUMN revocations.target_realm IS 'a person''s realm, else ''''';
COMMENT ON COLUMN revocations.at IS 'when';
COMMENT ON COLUMN revocations.mac IS 'row MAC over every column above: 32-byte tag, then key id';

-- Refuses whatever statement it is a trigger of.
CREATE FUNCTION refuse_change() RETURNS TRIGGER LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END;
$$;
COMMENT ON FUNCTION refuse_change() IS 'trigger function: refuses UPDATE, DELETE and TRUNCATE';

CREATE FUNCTION revocations_contiguous() RETURNS TRIGGER LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.epoch <> (SELECT coalesce(max(epoch), 0) + 1 FROM public.revocations) THEN
        RAISE EXCEPTION 'revocations: the epoch is not the next one' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END;
$$;
COMMENT ON FUNCTION revocations_contiguous() IS 'trigger function: epochs have no gap';

CREATE TRIGGER revocations_contiguous BEFORE INSERT ON revocations
    FOR EACH ROW EXECUTE FUNCTION revocations_contiguous();
CREATE TRIGGER revocations_no_update BEFORE UPDATE ON revocations
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER revocations_no_delete BEFORE DELETE ON revocations
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER revocations_no_truncate BEFORE TRUNCATE ON revocations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE audit_streams (
    stream TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    mac BYTEA NOT NULL,
    open BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL
);
COMMENT ON TABLE audit_streams IS 'One writer''s ordered events';
COMMENT ON COLUMN audit_streams.stream IS 'str_…; begins with its opening time, so ids sort by age';
COMMENT ON COLUMN audit_streams.seq IS 'number of the last event, 0 = none yet; only grows';
COMMENT ON COLUMN audit_streams.hash IS 'hash of the last event, zeros = none yet';
COMMENT ON COLUMN audit_streams.mac IS 'MAC over stream, seq, hash and open';
COMMENT ON COLUMN audit_streams.open IS '1 = its writer may append';
COMMENT ON COLUMN audit_streams.opened_at IS 'when it was opened';
COMMENT ON COLUMN audit_streams.heartbeat_at IS 'the writer''s last sign of life';

-- The number only grows, a closed stream stays as it is, and nothing but the head changes.
CREATE FUNCTION audit_streams_only_grow() RETURNS TRIGGER LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.stream <> OLD.stream OR NEW.opened_at <> OLD.opened_at OR NEW.seq < OLD.seq OR OLD.open = 0
        OR (NEW.seq = OLD.seq AND NEW.hash <> OLD.hash) THEN
        RAISE EXCEPTION 'audit_streams: a head only moves forward' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END;
$$;
COMMENT ON FUNCTION audit_streams_only_grow() IS 'trigger function: a head only moves forward';

CREATE FUNCTION audit_streams_stay() RETURNS TRIGGER LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'audit_streams: a stream is never removed' USING ERRCODE = 'restrict_violation';
END;
$$;
COMMENT ON FUNCTION audit_streams_stay() IS 'trigger function: refuses DELETE and TRUNCATE';

CREATE TRIGGER audit_streams_only_grow BEFORE UPDATE ON audit_streams
    FOR EACH ROW EXECUTE FUNCTION audit_streams_only_grow();
CREATE TRIGGER audit_streams_no_delete BEFORE DELETE ON audit_streams
    FOR EACH ROW EXECUTE FUNCTION audit_streams_stay();
CREATE TRIGGER audit_streams_no_truncate BEFORE TRUNCATE ON audit_streams
    FOR EACH STATEMENT EXECUTE FUNCTION audit_streams_stay();

-- Partitioned by stream, which begins with its opening time: a partition holds the streams that were opened in one month. Rows come only
-- with their stream's head in one statement, so there is no reference to check for every row.
CREATE TABLE audit_events (
    stream TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    mac_key TEXT COLLATE "C" NOT NULL,
    mac BYTEA NOT NULL,
    body BYTEA NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    time BIGINT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    workload TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (stream, seq)
) PARTITION BY RANGE (stream);
COMMENT ON TABLE audit_events IS 'Every decision and change. The body is what is hashed; the columns after it are for people to filter on and are compared with the body by verify';
COMMENT ON COLUMN audit_events.stream IS 'the stream';
COMMENT ON COLUMN audit_events.seq IS 'contiguous in the stream, from 1';
COMMENT ON COLUMN audit_events.previous_hash IS 'hash of the event before it, zeros for the first';
COMMENT ON COLUMN audit_events.hash IS 'SHA-256 over tag, previous hash and body';
COMMENT ON COLUMN audit_events.mac_key IS 'id of the audit MAC key';
COMMENT ON COLUMN audit_events.mac IS 'HMAC-SHA-256 of hash';
COMMENT ON COLUMN audit_events.body IS 'the canonical bytes, as first written';
COMMENT ON COLUMN audit_events.id IS 'evt_…; a grant''s id is that of its event';
COMMENT ON COLUMN audit_events.time IS 'when';
COMMENT ON COLUMN audit_events.tenant IS 'tenant';
COMMENT ON COLUMN audit_events.subject IS 'the person''s pseudonym';
COMMENT ON COLUMN audit_events.workload IS 'workload';
COMMENT ON COLUMN audit_events.provider IS 'provider';
COMMENT ON COLUMN audit_events.kind IS 'what happened, e.g. grant.issue';
COMMENT ON COLUMN audit_events.outcome IS 'allowed | denied | consent_required | failed';
COMMENT ON COLUMN audit_events.reason IS 'reason code';

-- One event by its id, which a writer writes once: its own unique key has to have the stream in it, for that is what partitions go by.
-- Across streams nothing more than 128 random bits keeps two ids apart, and nothing more is needed.
CREATE UNIQUE INDEX audit_events_id ON audit_events (id, stream);

-- On the parent they also stand on every partition, present and future, and cannot be dropped there alone.
CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Catches what has no partition of its own, so that writing never stops for want of one.
CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT;
COMMENT ON TABLE audit_events_default IS 'Events of streams whose month has no partition';
-- A TRUNCATE trigger is not handed down: each partition has its own.
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events_default
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION audit_stream_bound(opened_at TIMESTAMPTZ) RETURNS TEXT
    LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    micros BIGINT := (extract(epoch FROM opened_at) * 1000000)::BIGINT;
    digits CONSTANT TEXT := '0123456789abcdefghijklmnopqrstuv';
    bound TEXT := 'str_';
BEGIN
    FOR place IN 1..12 LOOP
        bound := bound || substr(digits, ((micros >> (64 - 5 * place)) & 31)::INTEGER + 1, 1);
    END LOOP;
    -- The last four bits of the time and the first of the random part, which is 0.
    RETURN bound || substr(digits, (((micros & 15) << 1))::INTEGER + 1, 1);
END;
$$;
COMMENT ON FUNCTION audit_stream_bound(TIMESTAMPTZ) IS 'sorts before every stream opened at that time or later, and after those opened earlier';

-- Makes the partitions of this month and of those after it that are missing. A month whose streams are in the default partition already
-- keeps them there. Runs with its owner's rights, so that a serving broker keeps partitions ahead without the right to create tables.
CREATE FUNCTION audit_partitions_ahead(months INTEGER) RETURNS INTEGER
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' SET timezone = 'UTC' AS $$
DECLARE
    first_month CONSTANT TIMESTAMPTZ := date_trunc('month', to_timestamp(public.broker_clock() / 1000000));
    month TIMESTAMPTZ;
    partition TEXT;
    lower_bound TEXT;
    upper_bound TEXT;
    made INTEGER := 0;
BEGIN
    -- One maker at a time; the number is the broker's own.
    PERFORM pg_advisory_xact_lock(7233108, 2);
    FOR ahead IN 0..least(greatest(months, 0), 24) LOOP
        month := first_month + make_interval(months => ahead);
        partition := 'audit_events_' || to_char(month, 'YYYY_MM');
        lower_bound := public.audit_stream_bound(month);
        upper_bound := public.audit_stream_bound(month + INTERVAL '1 month');
        CONTINUE WHEN to_regclass('public.' || partition) IS NOT NULL;
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM public.audit_events_default WHERE stream >= lower_bound AND stream < upper_bound);
        EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_events INCLUDING DEFAULTS INCLUDING COMMENTS)', partition);
        EXECUTE format('COMMENT ON TABLE public.%I IS %L', partition,
            'Events of streams opened in ' || to_char(month, 'YYYY-MM'));
        EXECUTE format('CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON public.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()', partition);
        -- Attached, not created in place: that would lock the parent against everybody.
        EXECUTE format('ALTER TABLE public.audit_events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
            partition, lower_bound, upper_bound);
        made := made + 1;
    END LOOP;
    RETURN made;
END;
$$;
COMMENT ON FUNCTION audit_partitions_ahead(INTEGER) IS 'makes the missing partitions of this month and so many after it; says how many it made';
REVOKE ALL ON FUNCTION audit_partitions_ahead(INTEGER) FROM PUBLIC;

SELECT audit_partitions_ahead(3);
