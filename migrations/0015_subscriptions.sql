-- Webhooks out: who wants to hear of what, and what is to be sent to them. An event is written in the transaction of what
-- it tells of, so that none is lost and none is told of what did not happen.

CREATE TABLE webhook_subscriptions (
    id               uuid PRIMARY KEY,
    name             text NOT NULL UNIQUE,
    url              text NOT NULL,
    events           text[] NOT NULL,               -- 'message.answered', 'message.*', 'audit.*', '*'
    channels         text[],                        -- NULL: all, and what belongs to no channel
    include_text     boolean NOT NULL DEFAULT false, -- what people and models wrote is sent along
    secret           text NOT NULL,                 -- sealed by a key that is not in this database
    old_secret       text,                          -- signs as well until then
    old_secret_until timestamptz,
    is_active        boolean NOT NULL DEFAULT true,
    disabled_reason  text,
    failing_since    timestamptz,                   -- the first failure since the last success
    created_by       text NOT NULL,
    version          integer NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);

-- One row an event and subscription. Its id is the webhook-id, the same in every attempt. No foreign keys but one: to lock a
-- subscription's row in each message's transaction would put them all in one line.
CREATE TABLE webhook_deliveries (
    id              uuid PRIMARY KEY,
    subscription_id uuid NOT NULL,
    type            text NOT NULL,
    body            text NOT NULL,
    user_id         uuid, -- whom it speaks of: erased with them
    request_id      uuid REFERENCES requests ON DELETE CASCADE,
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sending', 'delivered', 'dead')),
    attempts        integer NOT NULL DEFAULT 0, -- the fence: an outcome names the attempt that it is of
    tries           integer NOT NULL DEFAULT 0, -- of them since it was made or replayed: how long to wait next
    next_attempt_at timestamptz NOT NULL DEFAULT now(), -- while sending: when its lease ends
    lease_owner     text,
    last_status     integer, -- of HTTP; NULL: there was no answer
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (subscription_id, next_attempt_at)
    WHERE status IN ('pending', 'sending');
CREATE INDEX webhook_deliveries_sending ON webhook_deliveries (subscription_id) WHERE status = 'sending';
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (subscription_id, id);
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (subscription_id, id) WHERE status = 'dead';
CREATE INDEX webhook_deliveries_delivered ON webhook_deliveries (finished_at) WHERE status = 'delivered';
CREATE INDEX webhook_deliveries_user ON webhook_deliveries (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX webhook_deliveries_request ON webhook_deliveries (request_id) WHERE request_id IS NOT NULL;

-- What is sent: https://www.standardwebhooks.com, "payload structure".
CREATE FUNCTION event_body(a_type text, a_data jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_build_object('type', a_type,
        'timestamp', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'data', a_data)::text
$$;

-- Something happened: a delivery for everybody who wants to hear of it. Call it in the transaction in which it happens.
--   a_type     'message.answered': a subject and what became of it
--   a_kind     what it is also known by to subscriptions: 'audit.*'; NULL = by its type and 'subject.*' only
--   a_channel  whose; NULL = it belongs to no channel
--   a_user, a_request  whom it speaks of; an erasure takes it along
--   a_texts    members of data that only those get who want texts
CREATE FUNCTION event_emit(a_type text, a_kind text, a_channel text, a_user uuid, a_request uuid, a_data jsonb, a_texts jsonb)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO webhook_deliveries (id, subscription_id, type, body, user_id, request_id)
    SELECT uuid_v7(), s.id, a_type,
           event_body(a_type, a_data || CASE WHEN s.include_text THEN coalesce(a_texts, '{}') ELSE '{}' END),
           a_user, a_request
    FROM webhook_subscriptions s
    WHERE s.is_active AND s.events && ARRAY['*', a_type, split_part(a_type, '.', 1) || '.*', a_kind]
      AND (s.channels IS NULL OR a_channel = ANY (s.channels))
$$;

-- The triggers below ask first whether anybody listens: while there is no subscription, that is all they do.

CREATE FUNCTION event_of_request() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    data  jsonb;
    texts jsonb;
    what  text := 'message.received';
    why   text := NEW.status_reason;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM webhook_subscriptions WHERE is_active) THEN
        RETURN NULL;
    END IF;
    data := jsonb_build_object('request', NEW.id, 'conversation', NEW.conversation_id, 'message', NEW.message_id,
                               'user', NEW.user_id, 'channel', NEW.channel, 'command', NEW.query ~ '^\s*/');
    -- Commands and what answers them may be codes and addresses that let somebody in: they stay here.
    texts := CASE WHEN NEW.query ~ '^\s*/' THEN '{}' ELSE jsonb_build_object('text', NEW.query) END;
    IF TG_OP = 'UPDATE' THEN
        what := CASE NEW.status WHEN 'answered' THEN 'message.answered' WHEN 'cancelled' THEN 'message.cancelled'
                ELSE 'message.failed' END;
        IF NEW.status <> 'cancelled' AND EXISTS (SELECT 1 FROM deliveries WHERE request_id = NEW.id AND status = 'dead') THEN
            what := 'message.failed';
            why := 'not delivered';
        END IF;
        data := data || jsonb_build_object(
            'status', NEW.status, 'reason', why, 'reply', NEW.reply_id, 'model', NEW.model_used,
            'prompt_tokens', NEW.prompt_tokens, 'completion_tokens', NEW.completion_tokens, 'cost', NEW.total_cost,
            'latency_ms', NEW.total_latency_ms);
        texts := texts || jsonb_build_object('answer',
            (SELECT content FROM messages WHERE id = NEW.reply_id AND role = 'assistant'));
    END IF;
    PERFORM event_emit(what, NULL, NEW.channel, NEW.user_id, NEW.id, data, texts);
    RETURN NULL;
END
$$;
CREATE TRIGGER event_received AFTER INSERT ON requests FOR EACH ROW EXECUTE FUNCTION event_of_request();
CREATE TRIGGER event_ended AFTER UPDATE OF status ON requests FOR EACH ROW
    WHEN (NEW.status IN ('answered', 'refused', 'cancelled', 'expired') AND OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION event_of_request();

CREATE FUNCTION event_of_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM webhook_subscriptions WHERE is_active) THEN
        PERFORM event_emit('delivery.dead', NULL, r.channel, r.user_id, r.id, jsonb_build_object(
                'delivery', NEW.id, 'part', NEW.part, 'status', NEW.status, 'attempts', NEW.attempts, 'error', NEW.last_error,
                'request', r.id, 'conversation', r.conversation_id, 'user', r.user_id, 'channel', r.channel),
            CASE WHEN NOT NEW.notice THEN jsonb_build_object('text', NEW.content) END)
        FROM requests r WHERE r.id = NEW.request_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER event_dead AFTER UPDATE OF status ON deliveries FOR EACH ROW
    WHEN (NEW.status IN ('dead', 'unknown') AND OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION event_of_delivery();

CREATE FUNCTION event_of_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM webhook_subscriptions WHERE is_active) THEN
        PERFORM event_emit(CASE WHEN NEW.is_active THEN 'conversation.started' ELSE 'conversation.ended' END, NULL, NEW.channel,
            NEW.user_id, NULL, jsonb_build_object(
                'conversation', NEW.id, 'user', NEW.user_id, 'channel', NEW.channel, 'channel_type', NEW.channel_type,
                'workspace', NEW.place_workspace, 'place', NEW.place_channel, 'thread', NEW.place_thread,
                'is_direct', NEW.is_direct, 'continues', NEW.continues, 'messages', NEW.message_count), NULL);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER event_started AFTER INSERT ON conversations FOR EACH ROW EXECUTE FUNCTION event_of_conversation();
CREATE TRIGGER event_ended AFTER UPDATE OF is_active ON conversations FOR EACH ROW
    WHEN (OLD.is_active AND NOT NEW.is_active) EXECUTE FUNCTION event_of_conversation();

CREATE FUNCTION event_of_vote() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v feedback := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    IF EXISTS (SELECT 1 FROM webhook_subscriptions WHERE is_active) THEN
        PERFORM event_emit('vote', NULL, r.channel, d.user_id, r.id, jsonb_build_object(
                'request', r.id, 'conversation', r.conversation_id, 'channel', r.channel, 'model', r.model_used,
                'vote', CASE WHEN TG_OP = 'DELETE' THEN 0 ELSE v.vote END, 'user', d.user_id), NULL)
        FROM requests r LEFT JOIN identities d ON d.channel_type = v.channel_type AND d.channel_user_id = v.channel_user_id
        WHERE r.id = v.request_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER event_vote AFTER INSERT OR UPDATE OR DELETE ON feedback FOR EACH ROW EXECUTE FUNCTION event_of_vote();

CREATE FUNCTION event_of_budget() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whose text := split_part(NEW.scope, ':', 1);
    name  text := nullif(substr(NEW.scope, length(whose) + 2), '');
BEGIN
    IF EXISTS (SELECT 1 FROM webhook_subscriptions WHERE is_active) THEN
        PERFORM event_emit('budget.alert', NULL, CASE WHEN whose = 'channel' THEN name END,
            CASE WHEN whose = 'person' THEN name::uuid END, NULL, jsonb_build_object(
                'for', whose, 'name', name, 'period', NEW.period, 'starts', NEW.starts, 'percent', NEW.alerted,
                'spent', NEW.spent), NULL);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER event_alert AFTER UPDATE OF alerted ON budgets FOR EACH ROW
    WHEN (NEW.alerted > OLD.alerted) EXECUTE FUNCTION event_of_budget();

-- Every action of an admin is an event by the name that it has in the record; but what ends a conversation is told of by
-- the conversation itself. What the record says of a person is not sent any more when they were erased.
CREATE FUNCTION event_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM webhook_subscriptions WHERE is_active) THEN
        PERFORM event_emit(
            CASE WHEN NEW.event_type = 'conversation.ended' THEN 'audit.conversation.ended' ELSE NEW.event_type END, 'audit.*', NULL,
            CASE WHEN NEW.resource_type = 'user' AND NEW.resource_id ~ '^[0-9a-f-]{36}$' THEN NEW.resource_id::uuid END, NULL,
            jsonb_build_object(
                'seq', NEW.seq, 'actor', NEW.actor, 'user', NEW.user_id, 'key', NEW.api_key_id,
                'resource_type', NEW.resource_type, 'resource', NEW.resource_id, 'old', NEW.old_values, 'new', NEW.new_values), NULL);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER event_audit AFTER INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION event_of_audit();

-- Who is erased: what waits to be sent about them goes, and those who were told things about them hear that they have to
-- forget, too.
CREATE FUNCTION event_of_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM webhook_deliveries WHERE user_id = OLD.id;
    PERFORM event_emit('person.forgotten', NULL, NULL, NULL, NULL, jsonb_build_object('user', OLD.id), NULL);
    RETURN NULL;
END
$$;
CREATE TRIGGER event_erasure AFTER DELETE ON users FOR EACH ROW
    WHEN (OLD.forget_at IS NOT NULL OR OLD.merged_into IS NOT NULL) EXECUTE FUNCTION event_of_erasure();

-- Take what is due, or whose process has died, for `a_lease_ms`: at most `a_most` rows, and of each subscription only so many
-- at once that one which never answers holds up nobody else; of one that fails, one. Two processes may together take some
-- more, which harms nobody; never the same row.
CREATE FUNCTION webhook_claim(a_owner text, a_lease_ms bigint, a_most bigint, a_each bigint)
RETURNS TABLE (id uuid, subscription uuid, attempt integer, tries integer, url text, body text, secret text, old_secret text)
LANGUAGE sql AS $$
    WITH due AS (
        SELECT q.id FROM webhook_subscriptions s
        CROSS JOIN LATERAL (SELECT count(*) AS n FROM webhook_deliveries b
            WHERE b.subscription_id = s.id AND b.status = 'sending' AND b.next_attempt_at > now()) busy
        CROSS JOIN LATERAL (SELECT d.id, d.next_attempt_at FROM webhook_deliveries d
            WHERE d.subscription_id = s.id AND d.status IN ('pending', 'sending') AND d.next_attempt_at <= now()
            ORDER BY d.next_attempt_at
            LIMIT greatest(CASE WHEN s.failing_since IS NULL THEN a_each ELSE 1 END - busy.n, 0)
            FOR UPDATE SKIP LOCKED) q
        WHERE s.is_active ORDER BY q.next_attempt_at LIMIT a_most)
    UPDATE webhook_deliveries d SET status = 'sending', attempts = d.attempts + 1, tries = d.tries + 1, lease_owner = a_owner,
        next_attempt_at = now() + a_lease_ms * interval '1 ms'
    FROM due, webhook_subscriptions s WHERE d.id = due.id AND s.id = d.subscription_id
    RETURNING d.id, s.id, d.attempts, d.tries, s.url, d.body, s.secret,
              CASE WHEN s.old_secret_until > now() THEN s.old_secret END
$$;

CREATE FUNCTION webhook_view(s webhook_subscriptions) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT to_jsonb(s) - 'secret' - 'old_secret'
$$;

-- We, not an admin, switch one off.
CREATE FUNCTION webhook_disable(a_id uuid, a_why text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    was webhook_subscriptions;
    s   webhook_subscriptions;
BEGIN
    SELECT * INTO was FROM webhook_subscriptions WHERE id = a_id AND is_active FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE webhook_subscriptions SET is_active = false, disabled_reason = a_why, version = version + 1, updated_at = now()
    WHERE id = a_id RETURNING * INTO s;
    PERFORM audit('{"name": "parley"}', 'webhook.disabled', 'webhook', was.name, webhook_view(was), webhook_view(s));
END
$$;

-- How an attempt ended: 'delivered', 'pending' (again in a_retry_ms), 'dead', 'gone' (410: the receiver wants no more).
-- Returns false when the attempt is not the running one any more. a_patience_ms: a subscription that failed all the time for
-- so long is switched off.
CREATE FUNCTION webhook_record(a_id uuid, a_attempt integer, a_outcome text, a_status integer, a_error text, a_retry_ms bigint,
                               a_patience_ms bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    whose uuid;
BEGIN
    UPDATE webhook_deliveries SET
        status = CASE a_outcome WHEN 'gone' THEN 'dead' ELSE a_outcome END, last_status = a_status, last_error = a_error,
        next_attempt_at = now() + a_retry_ms * interval '1 ms', lease_owner = NULL,
        finished_at = CASE WHEN a_outcome <> 'pending' THEN now() END
    WHERE id = a_id AND attempts = a_attempt AND status = 'sending' RETURNING subscription_id INTO whose;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF a_outcome = 'delivered' THEN
        UPDATE webhook_subscriptions SET failing_since = NULL WHERE id = whose AND failing_since IS NOT NULL;
        RETURN true;
    END IF;
    UPDATE webhook_subscriptions SET failing_since = now() WHERE id = whose AND failing_since IS NULL;
    IF a_outcome = 'gone' THEN
        PERFORM webhook_disable(whose, 'the receiver answered 410 Gone');
    ELSIF EXISTS (SELECT 1 FROM webhook_subscriptions WHERE id = whose
                  AND failing_since < now() - a_patience_ms * interval '1 ms') THEN
        PERFORM webhook_disable(whose, 'it failed for too long');
    END IF;
    RETURN true;
END
$$;

-- What was delivered goes after a week, and what was not after a month; some at a time.
CREATE FUNCTION webhook_purge() RETURNS void LANGUAGE sql AS $$
    DELETE FROM webhook_deliveries WHERE id IN (
        SELECT id FROM webhook_deliveries WHERE status = 'delivered' AND finished_at < now() - interval '7 days'
        ORDER BY finished_at LIMIT 1000 FOR UPDATE SKIP LOCKED);
    DELETE FROM webhook_deliveries WHERE id IN (
        SELECT id FROM webhook_deliveries WHERE id < uuid_v7_floor(now() - interval '30 days')
        ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED);
$$;

-- The admin API.

CREATE FUNCTION webhook_check(a_args jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    bad text;
BEGIN
    SELECT e INTO bad FROM jsonb_array_elements_text(a_args -> 'events') AS t (e) WHERE e !~ '^(\*|[a-z_]+(\.[a-z_]+)*(\.\*)?)$';
    IF bad IS NOT NULL THEN
        PERFORM admin_fail(422, 'events', format('"%s" is no name of an event', left(bad, 100)));
    END IF;
    IF a_args -> 'events' = '[]' THEN
        PERFORM admin_fail(422, 'events', 'name one at least');
    ELSIF a_args -> 'channels' = '[]' THEN
        PERFORM admin_fail(422, 'channels', 'name one at least, or null for all');
    ELSIF a_args ->> 'name' !~ '^[A-Za-z0-9_.-]+$' THEN
        PERFORM admin_fail(422, 'name', 'letters, digits, _ . and - only');
    END IF;
END
$$;

CREATE FUNCTION webhook_find(a_name text) RETURNS webhook_subscriptions LANGUAGE plpgsql AS $$
DECLARE
    s webhook_subscriptions;
BEGIN
    SELECT * INTO s FROM webhook_subscriptions WHERE name = a_name FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM admin_fail(404, 'name', 'there is no such subscription');
    END IF;
    RETURN s;
END
$$;

CREATE FUNCTION webhook_texts(a_list jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(t ORDER BY n) FROM jsonb_array_elements_text(CASE jsonb_typeof(a_list) WHEN 'array' THEN a_list ELSE '[]' END)
        WITH ORDINALITY AS x (t, n)
$$;

-- a_args: also "sealed", the secret, which the program makes.
CREATE FUNCTION admin_webhooks_create(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s webhook_subscriptions;
BEGIN
    PERFORM webhook_check(a_args);
    IF (SELECT count(*) FROM webhook_subscriptions) >= 100 THEN
        PERFORM admin_fail(409, '', 'there are 100 subscriptions already');
    END IF;
    INSERT INTO webhook_subscriptions (id, name, url, events, channels, include_text, secret, created_by)
    VALUES (uuid_v7(), a_args ->> 'name', a_args ->> 'url', webhook_texts(a_args -> 'events'),
            webhook_texts(a_args -> 'channels'), coalesce((a_args ->> 'include_text')::boolean, false), a_args ->> 'sealed',
            coalesce(a_actor ->> 'name', ''))
    ON CONFLICT (name) DO NOTHING RETURNING * INTO s;
    IF s.id IS NULL THEN
        PERFORM admin_fail(409, 'name', 'there is a subscription of that name');
    END IF;
    PERFORM audit(a_actor, 'webhook.created', 'webhook', s.name, NULL, webhook_view(s));
    RETURN webhook_view(s);
END
$$;

CREATE FUNCTION admin_webhooks_change(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    was webhook_subscriptions := webhook_find(a_args ->> 'name');
    s   webhook_subscriptions;
BEGIN
    PERFORM admin_match(a_args, was.version);
    PERFORM webhook_check(a_args);
    UPDATE webhook_subscriptions w SET
        url = coalesce(a_args ->> 'url', w.url),
        events = coalesce(webhook_texts(a_args -> 'events'), w.events),
        channels = CASE WHEN a_args ? 'channels' THEN webhook_texts(a_args -> 'channels') ELSE w.channels END,
        include_text = coalesce((a_args ->> 'include_text')::boolean, w.include_text),
        is_active = coalesce((a_args ->> 'is_active')::boolean, w.is_active),
        disabled_reason = CASE WHEN (a_args ->> 'is_active')::boolean THEN NULL ELSE w.disabled_reason END,
        failing_since = CASE WHEN a_args ? 'url' OR (a_args ->> 'is_active')::boolean THEN NULL ELSE w.failing_since END,
        version = w.version + 1, updated_at = now()
    WHERE w.id = was.id RETURNING * INTO s;
    PERFORM audit(a_actor, 'webhook.changed', 'webhook', s.name, webhook_view(was), webhook_view(s));
    RETURN webhook_view(s);
END
$$;

CREATE FUNCTION admin_webhooks_delete(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    was webhook_subscriptions := webhook_find(a_args ->> 'name');
BEGIN
    PERFORM admin_match(a_args, was.version);
    DELETE FROM webhook_subscriptions WHERE id = was.id;
    DELETE FROM webhook_deliveries WHERE subscription_id = was.id;
    PERFORM audit(a_actor, 'webhook.deleted', 'webhook', was.name, webhook_view(was), NULL);
    RETURN NULL;
END
$$;

-- a_args: also "sealed", the new secret. The one before it signs as well for `keep_s` seconds.
CREATE FUNCTION admin_webhooks_rotate(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    was webhook_subscriptions := webhook_find(a_args ->> 'name');
    s   webhook_subscriptions;
BEGIN
    PERFORM admin_match(a_args, was.version);
    UPDATE webhook_subscriptions w SET
        secret = a_args ->> 'sealed', old_secret = w.secret,
        old_secret_until = now() + coalesce((a_args ->> 'keep_s')::integer, 86400) * interval '1 s',
        version = w.version + 1, updated_at = now()
    WHERE w.id = was.id RETURNING * INTO s;
    PERFORM audit(a_actor, 'webhook.rotated', 'webhook', s.name, webhook_view(was), webhook_view(s));
    RETURN webhook_view(s);
END
$$;

CREATE FUNCTION webhook_delivery_view(d webhook_deliveries) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT to_jsonb(d) - 'body' - 'tries' - 'lease_owner' - 'request_id' - 'user_id' - 'subscription_id'
        || jsonb_build_object('subscription', (SELECT name FROM webhook_subscriptions WHERE id = d.subscription_id))
$$;

CREATE FUNCTION admin_webhooks_test(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s webhook_subscriptions := webhook_find(a_args ->> 'name');
    d webhook_deliveries;
BEGIN
    IF NOT s.is_active THEN
        PERFORM admin_fail(409, 'name', 'it is switched off');
    END IF;
    INSERT INTO webhook_deliveries (id, subscription_id, type, body)
    VALUES (uuid_v7(), s.id, 'webhook.test', event_body('webhook.test', jsonb_build_object('subscription', s.name)))
    RETURNING * INTO d;
    PERFORM audit(a_actor, 'webhook.tested', 'webhook', s.name, NULL, NULL);
    RETURN webhook_delivery_view(d);
END
$$;

-- One delivery anew, or all dead ones of a subscription.
CREATE FUNCTION admin_webhooks_replay(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s webhook_subscriptions := webhook_find(a_args ->> 'name');
    n bigint;
BEGIN
    UPDATE webhook_deliveries SET status = 'pending', tries = 0, next_attempt_at = now(), finished_at = NULL
    WHERE subscription_id = s.id AND CASE WHEN a_args ? 'delivery' THEN id = (a_args ->> 'delivery')::uuid AND status <> 'sending'
                                          ELSE status = 'dead' END;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n = 0 AND a_args ? 'delivery' THEN
        PERFORM admin_fail(404, 'delivery', 'there is no such delivery, or it is being sent');
    END IF;
    PERFORM audit(a_actor, 'webhook.replayed', 'webhook', s.name, NULL,
                  jsonb_build_object('delivery', a_args -> 'delivery', 'replayed', n));
    RETURN jsonb_build_object('replayed', n);
END
$$;
