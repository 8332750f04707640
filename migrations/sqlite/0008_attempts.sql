-- What is known of a refresh whose holder died, and which tokens end soon.

ALTER TABLE connections ADD COLUMN attempt_generation INTEGER -- generation of the refresh token that was sent under a lease not given back; not covered by the MAC
    DEFAULT NULL;
ALTER TABLE connections ADD COLUMN attempts INTEGER NOT NULL -- how many leases were taken to send it and not given back; not covered by the MAC
    DEFAULT 0;

-- Tokens that end soon, to be refreshed ahead of that.
CREATE INDEX connection_secrets_ending ON connection_secrets (expires_at) WHERE expires_at IS NOT NULL;
