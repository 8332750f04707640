-- What is known of a refresh whose holder died, and which tokens end soon.

ALTER TABLE connections ADD COLUMN attempt_generation BIGINT;
ALTER TABLE connections ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
COMMENT ON COLUMN connections.attempt_generation IS 'generation of the refresh token that was sent under a lease not given back; not covered by the MAC';
COMMENT ON COLUMN connections.attempts IS 'how many leases were taken to send it and not given back; not covered by the MAC';

-- Tokens that end soon, to be refreshed ahead of that.
CREATE INDEX connection_secrets_ending ON connection_secrets (expires_at) WHERE expires_at IS NOT NULL;
