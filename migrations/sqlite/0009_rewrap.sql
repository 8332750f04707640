-- Sealed values are found by the tenant key that wraps them: the first 32 bytes of an envelope are its format, the length of the key's id, and
-- the id.

-- Tokens by key, in the order in which they are wrapped anew.
CREATE INDEX connection_secrets_wrapped ON connection_secrets (substr(envelope, 1, 32), connection, kind, scope_key);

-- Consents in which something is sealed.
CREATE INDEX consents_sealed ON consents (id)
    WHERE pkce_verifier IS NOT NULL OR obtained_refresh IS NOT NULL OR obtained_access IS NOT NULL;

-- People's keys by the key that wraps them.
CREATE INDEX subject_keys_wrapped ON subject_keys (wrapped_by, id);
