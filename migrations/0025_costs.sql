-- Every question to a model has a record, also one that failed before its first piece: it cost nothing, but says how often
-- that happens.
ALTER TABLE cost_records
    ADD COLUMN written_tokens bigint NOT NULL DEFAULT 0, -- of the prompt, into the provider's cache; dearer than others
    ADD COLUMN failed         text;                      -- the kind of its failure; NULL: it answered

ALTER FUNCTION metrics_summary(integer) RENAME TO metrics_summary_rows;
CREATE FUNCTION metrics_summary(a_hours integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT metrics_summary_rows(a_hours) || jsonb_build_object(
        'by_model', (SELECT coalesce(jsonb_object_agg(model, jsonb_build_object('questions', n, 'failed', f, 'cost', c::text,
            'prompt_tokens', i, 'completion_tokens', o)), '{}') FROM (
            SELECT model, count(*) AS n, count(failed) AS f, coalesce(sum(cost), 0) AS c, sum(prompt_tokens) AS i,
                   sum(completion_tokens) AS o
            FROM cost_records WHERE created_at >= now() - a_hours * interval '1 hour' GROUP BY model) t))
$$;
