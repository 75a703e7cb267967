-- Webhooks in: what other programs post to /hooks/NAME, said in a place or asked of a model.

CREATE TABLE hooks (
    id               uuid PRIMARY KEY,
    name             text NOT NULL UNIQUE,
    kind             text NOT NULL CHECK (kind IN ('github', 'standard', 'key')),
    secret           text NOT NULL DEFAULT '', -- sealed by admin.secret; '' where an API key opens it
    old_secret       text NOT NULL DEFAULT '', -- good until old_secret_until, so that senders can be changed one by one
    old_secret_until timestamptz,
    user_id          uuid NOT NULL REFERENCES users ON DELETE CASCADE, -- role service: budgets and messages are its
    channel          text NOT NULL, -- the account's name in the configuration
    workspace        text NOT NULL DEFAULT '',
    place            text NOT NULL,
    thread           text NOT NULL DEFAULT '',
    template         text NOT NULL DEFAULT '', -- '' = the ready ones of GitHub's events
    events           jsonb NOT NULL DEFAULT '[]', -- those that are taken; none = all
    mode             text NOT NULL CHECK (mode IN ('say', 'ask')),
    model            text NOT NULL DEFAULT '', -- '' = the place's
    is_active        boolean NOT NULL DEFAULT true,
    version          integer NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);

-- {"name": ..., "say": TEXT} or {"name": ..., "model": ...}: not a person's, and how it is answered. NULL = a person's.
ALTER TABLE requests ADD COLUMN hook jsonb;

-- Take one in, as accept_messages does with what people write. Safe to repeat. daily: the event is a hash of the body, for
-- the sender gives no id: the same again within a day is the same.
CREATE FUNCTION accept_hook(
    a_request uuid, a_message uuid, a_user uuid, a_channel_type text, a_channel text, a_event text, a_daily boolean,
    a_workspace text, a_place text, a_thread text, a_query text, a_ip text, a_key uuid, a_hook jsonb
) RETURNS TABLE (ord bigint, fresh boolean, request uuid, conversation uuid, message uuid, person uuid)
LANGUAGE plpgsql AS $$
DECLARE
    event text := a_event;
    today timestamp := now() AT TIME ZONE 'UTC';
    goal  uuid;
BEGIN
    IF a_daily THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(a_channel || ' ' || a_event, 0)); -- two of them at midnight
        SELECT r.event_id INTO event FROM requests r
        WHERE r.channel = a_channel AND r.event_id = a_event || ':' || to_char(today - interval '1 day', 'YYYYMMDD')
          AND r.created_at > now() - interval '1 day';
        event := coalesce(event, a_event || ':' || to_char(today, 'YYYYMMDD'));
    END IF;

    LOOP
        -- Waits for an end_conversation() under way, and then finds what began instead.
        SELECT c.id INTO goal FROM conversations c
        WHERE c.channel = a_channel AND c.place_channel = a_place AND c.place_thread = a_thread
          AND c.place_workspace = a_workspace AND c.is_active FOR KEY SHARE;
        EXIT WHEN FOUND;
        -- Whose it is, and whether others read it, an earlier one of the place knows.
        INSERT INTO conversations (id, user_id, channel_type, channel, place_workspace, place_channel, place_thread, is_direct)
        SELECT uuid_v7(), CASE WHEN l.is_direct THEN l.user_id ELSE a_user END, a_channel_type, a_channel, a_workspace,
               a_place, a_thread, coalesce(l.is_direct, false)
        FROM (SELECT) one LEFT JOIN LATERAL (
            SELECT c.user_id, c.is_direct FROM conversations c
            WHERE c.channel = a_channel AND c.place_channel = a_place AND c.place_thread = a_thread
              AND c.place_workspace = a_workspace ORDER BY c.started_at DESC LIMIT 1) l ON true
        ON CONFLICT DO NOTHING;
    END LOOP;

    INSERT INTO requests (id, conversation_id, user_id, channel, event_id, message_id, query, ip, api_key_id, hook)
    VALUES (a_request, goal, a_user, a_channel, event, a_message, a_query, a_ip, a_key, a_hook)
    ON CONFLICT ON CONSTRAINT requests_channel_event_id_key DO NOTHING;
    INSERT INTO messages (id, conversation_id, user_id, role, content, metadata)
    SELECT a_message, r.conversation_id, a_user, 'user', a_query, jsonb_build_object('hook', a_hook -> 'name')
    FROM requests r WHERE r.id = a_request
    ON CONFLICT DO NOTHING;

    RETURN QUERY SELECT 1::bigint, r.id = a_request, r.id, r.conversation_id, r.message_id, r.user_id
    FROM requests r WHERE r.channel = a_channel AND r.event_id = event;
END
$$;

-- Where people talk about a message in a thread of its own, the thread's conversation goes on with that message's.
CREATE FUNCTION thread_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT c.id, c.message_count INTO NEW.continues, NEW.message_count
    FROM deliveries d JOIN requests r ON r.id = d.request_id JOIN conversations c ON c.id = r.conversation_id
    WHERE d.platform_message IN (nullif(NEW.place_thread, ''), NEW.place_channel)
      AND r.hook IS NOT NULL AND r.channel = NEW.channel AND c.place_workspace = NEW.place_workspace
      -- a thread of the same place; or one that is a place of its own, as in Discord
      AND (d.platform_message = NEW.place_thread AND c.place_channel = NEW.place_channel
           OR d.platform_message = NEW.place_channel AND NEW.place_workspace <> '')
    LIMIT 1;
    NEW.message_count := coalesce(NEW.message_count, 0);
    RETURN NEW;
END
$$;
CREATE TRIGGER thread_goes_on BEFORE INSERT ON conversations FOR EACH ROW
    WHEN (NEW.continues IS NULL AND (NEW.place_thread <> '' OR NEW.place_workspace <> '')) EXECUTE FUNCTION thread_goes_on();

-- All of it but the secrets.
CREATE FUNCTION hook_json(h hooks) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('name', h.name, 'kind', h.kind, 'channel', h.channel, 'workspace', h.workspace,
        'place', h.place, 'thread', h.thread, 'template', h.template, 'events', h.events, 'mode', h.mode, 'model', h.model,
        'is_active', h.is_active, 'path', '/hooks/' || h.name, 'user_id', h.user_id,
        'old_secret_until', CASE WHEN h.old_secret_until > now() THEN h.old_secret_until END,
        'version', h.version, 'created_at', h.created_at, 'updated_at', h.updated_at)
$$;

CREATE FUNCTION hook_find(a_args jsonb) RETURNS hooks LANGUAGE plpgsql AS $$
DECLARE
    h hooks;
BEGIN
    SELECT * INTO h FROM hooks WHERE name = a_args ->> 'name' FOR UPDATE;
    IF h.id IS NULL THEN
        PERFORM admin_fail(404, 'name', 'there is no such hook');
    END IF;
    PERFORM admin_match(a_args, h.version);
    RETURN h;
END
$$;

-- What a table cannot say of a hook.
CREATE FUNCTION hook_check(h hooks) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF h.template = '' AND h.kind <> 'github' THEN
        PERFORM admin_fail(422, 'template', 'ready templates are there for the kind github only: write one');
    END IF;
END
$$;

CREATE FUNCTION admin_hooks_create(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    h    hooks;
    who  uuid;
    face text := a_args ->> 'name';
BEGIN
    IF EXISTS (SELECT 1 FROM hooks WHERE name = face) THEN
        PERFORM admin_fail(409, 'name', 'there is a hook of this name');
    END IF;
    -- One of the same name that was deleted has left its user.
    SELECT user_id INTO who FROM identities WHERE channel_type = 'hook' AND channel_user_id = face;
    IF who IS NULL THEN
        INSERT INTO users (id, username, role) VALUES (uuid_v7(), face, 'service') RETURNING id INTO who;
        INSERT INTO identities (id, user_id, channel_type, channel_user_id, username) VALUES (uuid_v7(), who, 'hook', face, face);
    END IF;
    INSERT INTO hooks (id, name, kind, secret, user_id, channel, workspace, place, thread, template, events, mode, model, is_active)
    VALUES (uuid_v7(), face, a_args ->> 'kind', coalesce(a_args ->> 'sealed', ''), who, a_args ->> 'channel',
            coalesce(a_args ->> 'workspace', ''), a_args ->> 'place', coalesce(a_args ->> 'thread', ''),
            coalesce(a_args ->> 'template', ''), coalesce(a_args -> 'events', '[]'), coalesce(a_args ->> 'mode', 'say'),
            coalesce(a_args ->> 'model', ''), coalesce((a_args ->> 'is_active')::boolean, true))
    RETURNING * INTO h;
    PERFORM hook_check(h);
    PERFORM audit(a_actor, 'hook.created', 'hook', h.name, NULL, hook_json(h));
    RETURN hook_json(h);
END
$$;

CREATE FUNCTION admin_hooks_change(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    h   hooks := hook_find(a_args);
    old jsonb := hook_json(h);
BEGIN
    UPDATE hooks SET
        channel = coalesce(a_args ->> 'channel', channel), workspace = coalesce(a_args ->> 'workspace', workspace),
        place = coalesce(a_args ->> 'place', place), thread = coalesce(a_args ->> 'thread', thread),
        template = coalesce(a_args ->> 'template', template), events = coalesce(a_args -> 'events', events),
        mode = coalesce(a_args ->> 'mode', mode), model = coalesce(a_args ->> 'model', model),
        is_active = coalesce((a_args ->> 'is_active')::boolean, is_active), version = version + 1, updated_at = now()
    WHERE id = h.id RETURNING * INTO h;
    PERFORM hook_check(h);
    PERFORM audit(a_actor, 'hook.changed', 'hook', h.name, old, hook_json(h));
    RETURN hook_json(h);
END
$$;

CREATE FUNCTION admin_hooks_rotate(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    h   hooks := hook_find(a_args);
    old jsonb := hook_json(h);
BEGIN
    IF h.kind = 'key' THEN
        PERFORM admin_fail(422, 'name', 'this hook is opened by API keys: it has no secret of its own');
    ELSIF h.kind = 'standard' AND NOT (a_args ->> 'fits_standard')::boolean THEN
        PERFORM admin_fail(422, 'secret', 'a secret like whsec_BASE64 of 24 to 64 bytes');
    END IF;
    UPDATE hooks SET secret = a_args ->> 'sealed', old_secret = secret,
        old_secret_until = now() + coalesce((a_args ->> 'overlap_hours')::integer, 24) * interval '1 hour',
        version = version + 1, updated_at = now()
    WHERE id = h.id RETURNING * INTO h;
    PERFORM audit(a_actor, 'hook.rotated', 'hook', h.name, old, hook_json(h));
    RETURN hook_json(h);
END
$$;

CREATE FUNCTION admin_hooks_delete(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    h hooks := hook_find(a_args);
BEGIN
    DELETE FROM hooks WHERE id = h.id; -- what it said stays, and so does its user
    PERFORM audit(a_actor, 'hook.deleted', 'hook', h.name, hook_json(h), NULL);
    RETURN hook_json(h);
END
$$;
