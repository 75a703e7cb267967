-- Answers that are given again to the same question, when the configuration wants that (chat.cache).
CREATE TABLE response_cache (
    cache_key  text PRIMARY KEY, -- SHA-256 of everything that decides the answer, and of whom it is for
    query_hash text NOT NULL,    -- of the question alone
    content    text NOT NULL,
    model      text NOT NULL,    -- which wrote it
    usage      jsonb NOT NULL DEFAULT '{}',
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE, -- who asked: an erasure takes it along
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    hit_count  bigint NOT NULL DEFAULT 0
);
CREATE INDEX response_cache_expired ON response_cache (expires_at);
CREATE INDEX response_cache_user ON response_cache (user_id);

-- Each process does this every second: what another one is deleting is left to it.
ALTER FUNCTION drop_outdated RENAME TO drop_outdated_rows;
CREATE FUNCTION drop_outdated() RETURNS void LANGUAGE sql AS $$
    SELECT drop_outdated_rows();
    DELETE FROM response_cache WHERE cache_key IN (
        SELECT cache_key FROM response_cache WHERE expires_at < now() LIMIT 1000 FOR UPDATE SKIP LOCKED);
$$;
