-- What admins do about people, conversations and what could not be sent; and searching messages.

ALTER TABLE users ADD COLUMN version integer NOT NULL DEFAULT 1;         -- counts the changes of admins
ALTER TABLE conversations ADD COLUMN version integer NOT NULL DEFAULT 1;

-- A person's own limits, US dollars. NULL: as configured; 0: only what is free.
ALTER TABLE users
    ADD COLUMN budget_day   numeric(14, 8) CHECK (budget_day >= 0),
    ADD COLUMN budget_month numeric(14, 8) CHECK (budget_month >= 0);
ALTER TABLE requests ADD COLUMN api_key_id uuid REFERENCES api_keys ON DELETE SET NULL; -- by which it came in, if by one
CREATE INDEX requests_key ON requests (api_key_id) WHERE api_key_id IS NOT NULL;

-- In billionths of a dollar, as the program counts: 0 = none of their own.
CREATE FUNCTION own_limit(a_dollars numeric) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN a_dollars IS NULL THEN 0 ELSE greatest(1, (a_dollars * 1000000000)::bigint) END
$$;

-- Words as they are written, whatever the language.
CREATE INDEX messages_search ON messages USING gin (to_tsvector('simple', content));

-- An admin has given up on it.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_status_check;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_status_check
    CHECK (status IN ('pending', 'sending', 'sent', 'unknown', 'dead', 'dropped'));

CREATE FUNCTION user_json(u users) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', u.id, 'username', u.username, 'role', u.role, 'is_active', u.is_active,
        'email', u.email, 'github_username', u.github_username, 'preferred_model', u.preferred_model,
        'budget_day', u.budget_day::text, 'budget_month', u.budget_month::text,
        'approved_at', u.approved_at, 'forget_at', u.forget_at, 'merged_into', u.merged_into, 'version', u.version,
        'created_at', u.created_at, 'metadata', u.metadata,
        'identities', coalesce((SELECT jsonb_agg(jsonb_build_object('channel_type', d.channel_type,
            'channel_user_id', d.channel_user_id, 'username', d.username, 'display_name', d.display_name) ORDER BY d.id)
            FROM identities d WHERE d.user_id = u.id), '[]'),
        'spent', (SELECT coalesce(jsonb_object_agg(b.period, b.spent::text), '{}') FROM budgets b
            WHERE b.scope = 'person:' || u.id AND b.starts = period_start(b.period)))
$$;

CREATE FUNCTION user_find(a_args jsonb) RETURNS users LANGUAGE plpgsql AS $$
DECLARE
    u users;
BEGIN
    SELECT * INTO u FROM users WHERE id = (a_args ->> 'id')::uuid FOR UPDATE;
    IF u.id IS NULL THEN
        PERFORM admin_fail(404, 'id', 'there is no such person');
    END IF;
    PERFORM admin_match(a_args, u.version);
    RETURN u;
END
$$;

-- What of a person may stand in the record, which outlives them: no names, no addresses.
CREATE FUNCTION user_facts(u users) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('role', u.role, 'is_active', u.is_active, 'preferred_model', u.preferred_model,
                              'budget_day', u.budget_day::text, 'budget_month', u.budget_month::text, 'approved_at', u.approved_at, 'version', u.version)
$$;

-- Who is made an admin by somebody must be made so by an admin.
CREATE FUNCTION admin_users_change(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    u   users := user_find(a_args);
    old jsonb := user_facts(u);
BEGIN
    IF a_args ->> 'role' = 'admin' AND u.role <> 'admin' AND a_actor ->> 'role' <> 'admin' THEN
        PERFORM admin_fail(403, 'role', 'only an admin makes admins');
    END IF;
    UPDATE users SET
        role = coalesce(a_args ->> 'role', role),
        is_active = coalesce((a_args ->> 'is_active')::boolean, is_active),
        username = CASE WHEN a_args ? 'username' THEN a_args ->> 'username' ELSE username END,
        email = CASE WHEN a_args ? 'email' THEN a_args ->> 'email' ELSE email END,
        github_username = CASE WHEN a_args ? 'github_username' THEN a_args ->> 'github_username' ELSE github_username END,
        preferred_model = CASE WHEN a_args ? 'preferred_model' THEN a_args ->> 'preferred_model' ELSE preferred_model END,
        budget_day = CASE WHEN a_args ? 'budget_day' THEN (a_args ->> 'budget_day')::numeric ELSE budget_day END,
        budget_month = CASE WHEN a_args ? 'budget_month' THEN (a_args ->> 'budget_month')::numeric ELSE budget_month END,
        approved_at = CASE (a_args ->> 'approved')::boolean WHEN true THEN coalesce(approved_at, now())
                      WHEN false THEN NULL ELSE approved_at END,
        metadata = coalesce(a_args -> 'metadata', metadata),
        version = version + 1, updated_at = now()
    WHERE id = u.id RETURNING * INTO u;
    PERFORM audit(a_actor, 'user.changed', 'user', u.id::text, old, user_facts(u));
    RETURN user_json(u);
END
$$;

-- As /forget does: erased once nothing of theirs is under way. The record says that, not what was erased.
CREATE FUNCTION admin_users_forget(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    u users := user_find(a_args);
BEGIN
    UPDATE users SET forget_at = now(), version = version + 1 WHERE id = u.id RETURNING * INTO u;
    PERFORM audit(a_actor, 'user.forgotten', 'user', u.id::text, NULL, NULL);
    RETURN user_json(u);
END
$$;

-- Two are one person: what the first is goes to the second, as after /link.
CREATE FUNCTION admin_users_link(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    u    users := user_find(a_args);
    whom users;
BEGIN
    SELECT * INTO whom FROM users WHERE id = (a_args ->> 'into')::uuid AND merged_into IS NULL AND id <> u.id FOR UPDATE;
    IF whom.id IS NULL OR u.merged_into IS NOT NULL THEN
        PERFORM admin_fail(409, 'into', 'these two cannot become one');
    END IF;
    UPDATE identities SET user_id = whom.id WHERE user_id = u.id;
    UPDATE conversations SET user_id = whom.id WHERE user_id = u.id;
    UPDATE users SET merged_into = whom.id, is_active = false, updated_at = now(), version = version + 1 WHERE id = u.id;
    PERFORM audit(a_actor, 'user.linked', 'user', u.id::text, NULL, jsonb_build_object('into', whom.id));
    SELECT * INTO whom FROM users WHERE id = whom.id;
    RETURN user_json(whom);
END
$$;

CREATE FUNCTION admin_users_unlink(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    u     users := user_find(a_args);
    fresh uuid := uuid_v7();
    alone users;
BEGIN
    PERFORM 1 FROM identities WHERE user_id = u.id AND channel_type = a_args ->> 'channel_type'
        AND channel_user_id = a_args ->> 'channel_user_id';
    IF NOT FOUND THEN
        PERFORM admin_fail(404, 'channel_user_id', 'this person has no such identity');
    END IF;
    IF NOT unlink_identity(u.id, a_args ->> 'channel_type', a_args ->> 'channel_user_id', fresh) THEN
        PERFORM admin_fail(409, 'channel_user_id', 'it is this person''s only identity');
    END IF;
    PERFORM audit(a_actor, 'user.unlinked', 'user', u.id::text, NULL, jsonb_build_object('becomes', fresh));
    SELECT * INTO alone FROM users WHERE id = fresh;
    RETURN user_json(alone);
END
$$;

CREATE FUNCTION conversation_json(c conversations) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', c.id, 'channel', c.channel, 'place_channel', c.place_channel,
        'message_count', c.message_count, 'is_active', c.is_active, 'last_activity', c.last_activity, 'title', c.title,
        'user_id', c.user_id, 'channel_type', c.channel_type, 'place_workspace', c.place_workspace,
        'place_thread', c.place_thread, 'is_direct', c.is_direct, 'is_pinned', c.is_pinned, 'is_hidden', c.is_hidden,
        'model_override', c.model_override, 'context_window_used', c.context_window_used, 'started_at', c.started_at,
        'continues', c.continues, 'version', c.version)
$$;

CREATE FUNCTION conversation_find(a_args jsonb) RETURNS conversations LANGUAGE plpgsql AS $$
DECLARE
    c conversations;
BEGIN
    SELECT * INTO c FROM conversations WHERE id = (a_args ->> 'id')::uuid FOR UPDATE;
    IF c.id IS NULL THEN
        PERFORM admin_fail(404, 'id', 'there is no such conversation');
    END IF;
    PERFORM admin_match(a_args, c.version);
    RETURN c;
END
$$;

CREATE FUNCTION admin_conversations_change(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    c   conversations := conversation_find(a_args);
    old jsonb := conversation_json(c) - 'title';
BEGIN
    UPDATE conversations SET
        title = CASE WHEN a_args ? 'title' THEN a_args ->> 'title' ELSE title END,
        is_pinned = coalesce((a_args ->> 'is_pinned')::boolean, is_pinned),
        is_hidden = coalesce((a_args ->> 'is_hidden')::boolean, is_hidden),
        model_override = CASE WHEN a_args ? 'model_override' THEN a_args ->> 'model_override' ELSE model_override END,
        version = version + 1
    WHERE id = c.id RETURNING * INTO c;
    PERFORM audit(a_actor, 'conversation.changed', 'conversation', c.id::text, old, conversation_json(c) - 'title');
    RETURN conversation_json(c);
END
$$;

-- As /new: what comes next begins another one. What waits unanswered goes along.
CREATE FUNCTION admin_conversations_end(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    c conversations := conversation_find(a_args);
BEGIN
    IF NOT c.is_active THEN
        PERFORM admin_fail(409, 'id', 'it has ended already');
    END IF;
    PERFORM end_conversation(c.id, '00000000-0000-0000-0000-000000000000', uuid_v7());
    UPDATE conversations SET version = version + 1 WHERE id = c.id RETURNING * INTO c;
    PERFORM audit(a_actor, 'conversation.ended', 'conversation', c.id::text, NULL, NULL);
    RETURN conversation_json(c);
END
$$;

CREATE FUNCTION admin_conversations_delete(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    c conversations := conversation_find(a_args);
BEGIN
    PERFORM 1 FROM requests WHERE conversation_id = c.id AND status IN ('queued', 'running', 'sending');
    IF FOUND THEN
        PERFORM admin_fail(409, 'id', 'an answer is under way in it: wait, or end it first');
    END IF;
    INSERT INTO erasures (key) VALUES ('context:conv:' || c.id);
    DELETE FROM conversations WHERE id = c.id;
    PERFORM audit(a_actor, 'conversation.deleted', 'conversation', c.id::text, NULL, NULL);
    RETURN NULL;
END
$$;

CREATE FUNCTION delivery_json(d deliveries, r requests) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', d.id, 'status', d.status, 'channel', r.channel, 'part', d.part, 'n_parts', d.n_parts,
        'attempts', d.attempts, 'last_error', d.last_error, 'created_at', d.created_at, 'request_id', d.request_id,
        'conversation_id', r.conversation_id, 'platform_message', d.platform_message, 'sent_at', d.sent_at,
        'next_attempt_at', d.next_attempt_at, 'notice', d.notice)
$$;

-- A dead letter, or one of which nobody knows whether it arrived, locked with its request.
CREATE FUNCTION dead_letter(a_args jsonb) RETURNS deliveries LANGUAGE plpgsql AS $$
DECLARE
    d deliveries;
BEGIN
    SELECT * INTO d FROM deliveries WHERE id = (a_args ->> 'id')::uuid;
    PERFORM 1 FROM requests WHERE id = d.request_id FOR UPDATE;
    SELECT * INTO d FROM deliveries WHERE id = d.id FOR UPDATE;
    IF d.id IS NULL THEN
        PERFORM admin_fail(404, 'id', 'there is no such delivery');
    ELSIF d.status NOT IN ('dead', 'unknown') THEN
        PERFORM admin_fail(409, 'id', format('it is %s: only what is dead or unknown can be treated', d.status));
    END IF;
    RETURN d;
END
$$;

-- Its request is taken up where it stopped; of one that is unknown, the person may see it twice.
CREATE FUNCTION admin_deliveries_retry(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    d deliveries := dead_letter(a_args);
    r requests;
BEGIN
    UPDATE deliveries SET status = 'pending', attempts = 0, next_attempt_at = NULL WHERE id = d.id RETURNING * INTO d;
    BEGIN
        UPDATE requests SET status = 'sending', lease_owner = NULL, lease_until = now() - interval '1 ms',
            outcome = coalesce(outcome, status)
        WHERE id = d.request_id AND status <> 'sending';
    EXCEPTION WHEN unique_violation THEN
        PERFORM admin_fail(409, 'id', 'an answer is under way in this conversation: try again when it is through');
    END;
    SELECT * INTO r FROM requests WHERE id = d.request_id;
    PERFORM audit(a_actor, 'delivery.retried', 'delivery', d.id::text, NULL, NULL);
    RETURN delivery_json(d, r);
END
$$;

CREATE FUNCTION admin_deliveries_drop(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    d deliveries := dead_letter(a_args);
    r requests;
BEGIN
    UPDATE deliveries SET status = 'dropped' WHERE id = d.id RETURNING * INTO d;
    SELECT * INTO r FROM requests WHERE id = d.request_id;
    PERFORM audit(a_actor, 'delivery.dropped', 'delivery', d.id::text, NULL, NULL);
    RETURN delivery_json(d, r);
END
$$;

-- Whoever holds it finds that it is gone at its next renewal; another process takes over.
CREATE FUNCTION admin_leases_drop(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    l channel_leases;
BEGIN
    SELECT * INTO l FROM channel_leases WHERE name = a_args ->> 'name' FOR UPDATE;
    IF l.name IS NULL THEN
        PERFORM admin_fail(404, 'name', 'there is no such lease');
    END IF;
    UPDATE channel_leases SET owner = '', lease_until = now(), fence = fence + 1 WHERE name = l.name;
    PERFORM audit(a_actor, 'lease.dropped', 'lease', l.name, jsonb_build_object('owner', l.owner), NULL);
    RETURN NULL;
END
$$;

-- The last hours in figures.
CREATE FUNCTION metrics_summary(a_hours integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
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
        'by_model', (SELECT coalesce(jsonb_object_agg(model, jsonb_build_object('questions', n, 'cost', c::text,
            'prompt_tokens', i, 'completion_tokens', o)), '{}') FROM (
            SELECT model, count(*) AS n, coalesce(sum(cost), 0) AS c, sum(prompt_tokens) AS i, sum(completion_tokens) AS o
            FROM costs GROUP BY model) t),
        'votes', (SELECT jsonb_build_object('up', count(*) FILTER (WHERE vote > 0), 'down', count(*) FILTER (WHERE vote < 0))
            FROM feedback f JOIN lately l ON l.id = f.request_id
            WHERE f.request_id >= uuid_v7_floor(now() - a_hours * interval '1 hour')))
$$;

-- What admins did, as sentences.
CREATE VIEW activity_feed AS
    SELECT seq, created_at, user_id, actor, resource_type, resource_id,
           actor || ' ' || replace(split_part(event_type, '.', 2), '_', ' ') || ' the ' || resource_type || ' ' || resource_id AS text
    FROM audit_logs;
