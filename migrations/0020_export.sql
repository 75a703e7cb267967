-- A person gets what came to be kept about them since: answers that may be given again, the variants of experiments that
-- they have, what flags say about them by name, and their keys (never what opens them).

ALTER FUNCTION export_person RENAME TO export_rows;
CREATE FUNCTION export_person(a_user uuid, a_before uuid, a_limit integer) RETURNS json LANGUAGE sql STABLE AS $$
    WITH everybody AS (SELECT unnest(person_ids(a_user)) AS id)
    SELECT (export_rows(a_user, a_before, a_limit)::jsonb || jsonb_build_object(
        'cached_answers', (SELECT jsonb_agg(jsonb_build_object('at', c.created_at, 'model', c.model, 'text', c.content,
                                                               'until', c.expires_at) ORDER BY c.created_at)
                           FROM response_cache c WHERE c.user_id IN (SELECT id FROM everybody)),
        'experiments', (SELECT jsonb_agg(jsonb_build_object('experiment', a.experiment, 'variant', a.variant))
                        FROM experiment_assignments a LEFT JOIN conversations c ON c.id = a.conversation_id
                        WHERE a.user_id IN (SELECT id FROM everybody) OR c.user_id IN (SELECT id FROM everybody)),
        'flags', (SELECT jsonb_agg(jsonb_build_object('flag', r.flag, 'value', r.value))
                  FROM feature_flag_rules r WHERE r.person IN (SELECT id FROM everybody)),
        'api_keys', (SELECT jsonb_agg(key_json(k)) FROM api_keys k WHERE k.user_id IN (SELECT id FROM everybody))))::json
$$;
