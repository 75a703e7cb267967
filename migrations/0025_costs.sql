-- Every question to a model has a record, also one that failed before its first piece: it cost nothing, but says how often
-- that happens.
ALTER TABLE cost_records
    ADD COLUMN written_tokens bigint NOT NULL DEFAULT 0, -- of the prompt, into the provider's cache; dearer than others
    ADD COLUMN failed         text;                      -- the kind of its failure; NULL: it answered

-- The last hours in figures: of each model also how many questions failed.
CREATE OR REPLACE FUNCTION metrics_summary(a_hours integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    WITH lately AS (
        SELECT * FROM requests WHERE id >= uuid_v7_floor(now() - a_hours * interval '1 hour')
    ), costs AS (
        SELECT * FROM cost_records WHERE created_at >= now() - a_hours * interval '1 hour'
    )
    SELECT jsonb_build_object(
        'hours', a_hours,
        'requests', (SELECT count(*) FROM lately),
        'active_users', (SELECT count(DISTINCT user_id) FROM lately),
        'unanswered', (SELECT count(*) FROM requests WHERE status IN ('queued', 'running', 'sending')),
        'dead_letters', (SELECT count(*) FROM deliveries WHERE status IN ('unknown', 'dead')),
        'cost', (SELECT coalesce(sum(cost), 0)::text FROM costs),
        'latency_ms', (SELECT jsonb_build_object('p50', p[1]::bigint, 'p95', p[2]::bigint, 'p99', p[3]::bigint) FROM (
            SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY total_latency_ms) AS p
            FROM lately WHERE total_latency_ms IS NOT NULL) t),
        'by_status', (SELECT coalesce(jsonb_object_agg(status, n), '{}') FROM (
            SELECT status, count(*) AS n FROM lately GROUP BY status) t),
        'by_channel', (SELECT coalesce(jsonb_object_agg(channel, n), '{}') FROM (
            SELECT channel, count(*) AS n FROM lately GROUP BY channel) t),
        'by_model', (SELECT coalesce(jsonb_object_agg(model, jsonb_build_object('questions', n, 'failed', f, 'cost', c::text,
            'prompt_tokens', i, 'completion_tokens', o)), '{}') FROM (
            SELECT model, count(*) AS n, count(failed) AS f, coalesce(sum(cost), 0) AS c, sum(prompt_tokens) AS i, sum(completion_tokens) AS o
            FROM costs GROUP BY model) t),
        'votes', (SELECT jsonb_build_object('up', count(*) FILTER (WHERE vote > 0), 'down', count(*) FILTER (WHERE vote < 0))
            FROM feedback f JOIN lately l ON l.id = f.request_id
            WHERE f.request_id >= uuid_v7_floor(now() - a_hours * interval '1 hour')))
$$;
