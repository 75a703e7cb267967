-- What is kept about a person, again: files they sent along, an export in parts, and nothing that comes back after an erasure.

-- Files sent on the web page. Other platforms keep theirs.
CREATE TABLE attachments (
    id         uuid PRIMARY KEY,
    channel    text NOT NULL,
    face       text NOT NULL, -- whose: the platform's id of the person
    name       text NOT NULL,
    mime       text NOT NULL,
    data       bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at    timestamptz -- with a message; those that never were go after a day
);
CREATE INDEX attachments_face ON attachments (face);
CREATE INDEX attachments_unsent ON attachments (created_at) WHERE sent_at IS NULL;

-- Events of erased people, so that one which a platform repeats is not taken for a new one. Salted hashes, kept no longer
-- than any platform repeats.
CREATE TABLE forgotten_events (
    hash         bytea PRIMARY KEY,
    forgotten_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX forgotten_events_age ON forgotten_events (forgotten_at);
CREATE TABLE forgotten_salt (salt text NOT NULL);
INSERT INTO forgotten_salt VALUES (gen_random_uuid()::text || gen_random_uuid()::text);

CREATE FUNCTION event_hash(a_channel text, a_event text) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(salt || ' ' || a_channel || ' ' || a_event, 'UTF8')) FROM forgotten_salt
$$;

CREATE FUNCTION picked(a_from anyarray, a_at bigint[]) RETURNS anyarray LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(a_from[t.at] ORDER BY t.n) FROM unnest(a_at) WITH ORDINALITY AS t (at, n)
$$;

-- What is left of a group of messages when forgotten events are taken out goes in; those are answered as duplicates are.
ALTER FUNCTION accept_messages RENAME TO accept_new_messages;
CREATE FUNCTION accept_messages(
    a_request uuid[], a_message uuid[], a_user uuid[], a_conversation uuid[],
    a_channel_type text[], a_channel text[], a_event text[],
    a_workspace text[], a_place text[], a_thread text[],
    a_from text[], a_username text[], a_display_name text[],
    a_platform_message text[], a_query text[], a_role text[], a_ip text[], a_urgent boolean[], a_metadata jsonb[]
) RETURNS TABLE (ord bigint, fresh boolean, request uuid, conversation uuid, message uuid, person uuid)
LANGUAGE plpgsql AS $$
DECLARE
    at bigint[]; -- places of the others
BEGIN
    IF EXISTS (SELECT 1 FROM forgotten_events) THEN
        SELECT array_agg(t.n ORDER BY t.n) INTO at FROM unnest(a_channel, a_event) WITH ORDINALITY AS t (channel, event, n)
        WHERE NOT EXISTS (SELECT 1 FROM forgotten_events f WHERE f.hash = event_hash(t.channel, t.event));
        RETURN QUERY
        SELECT t.n, false, nil.id, nil.id, nil.id, nil.id
        FROM generate_series(1::bigint, cardinality(a_event)) AS t (n), (SELECT '00000000-0000-0000-0000-000000000000'::uuid AS id) nil
        WHERE at IS NULL OR NOT t.n = ANY (at);
    END IF;
    IF at IS NULL AND FOUND THEN
        RETURN; -- all of them
    ELSIF at IS NULL OR cardinality(at) = cardinality(a_event) THEN
        RETURN QUERY SELECT * FROM accept_new_messages(
            a_request, a_message, a_user, a_conversation, a_channel_type, a_channel, a_event, a_workspace, a_place, a_thread, a_from,
            a_username, a_display_name, a_platform_message, a_query, a_role, a_ip, a_urgent, a_metadata);
    ELSE
        RETURN QUERY SELECT at[n.ord], n.fresh, n.request, n.conversation, n.message, n.person FROM accept_new_messages(
            picked(a_request, at), picked(a_message, at), picked(a_user, at), picked(a_conversation, at),
            picked(a_channel_type, at), picked(a_channel, at), picked(a_event, at), picked(a_workspace, at), picked(a_place, at),
            picked(a_thread, at), picked(a_from, at), picked(a_username, at), picked(a_display_name, at),
            picked(a_platform_message, at), picked(a_query, at), picked(a_role, at), picked(a_ip, at), picked(a_urgent, at),
            picked(a_metadata, at)) n;
    END IF;
END
$$;

ALTER FUNCTION forget_person RENAME TO forget_rows;
CREATE FUNCTION forget_person(a_user uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    everybody uuid[] := person_ids(a_user);
BEGIN
    INSERT INTO forgotten_events (hash) SELECT event_hash(channel, event_id) FROM requests
    WHERE user_id = ANY (everybody) AND created_at > now() - interval '7 days' ON CONFLICT DO NOTHING;
    DELETE FROM attachments a USING identities d WHERE d.user_id = ANY (everybody) AND a.face = d.channel_user_id;
    PERFORM forget_rows(a_user);
END
$$;

-- What is kept for a while only.
CREATE FUNCTION drop_outdated() RETURNS void LANGUAGE sql AS $$
    DELETE FROM forgotten_events WHERE forgotten_at < now() - interval '7 days';
    DELETE FROM attachments WHERE sent_at IS NULL AND created_at < now() - interval '1 day';
$$;

-- One part of all that is kept about a person: their newest messages, or those before one. `older` leads to the next part.
DROP FUNCTION export_person;
CREATE FUNCTION export_person(a_user uuid, a_before uuid, a_limit integer) RETURNS json LANGUAGE sql STABLE AS $$
    WITH everybody AS (SELECT unnest(person_ids(a_user)) AS id),
    written AS (
        SELECT m.* FROM messages m JOIN conversations c ON c.id = m.conversation_id
        WHERE m.id < a_before AND (m.user_id IN (SELECT id FROM everybody)
           OR (c.is_direct AND c.user_id IN (SELECT id FROM everybody))
           OR m.id IN (SELECT r.reply_id FROM requests r WHERE r.user_id IN (SELECT id FROM everybody)))
        ORDER BY m.id DESC LIMIT a_limit),
    bounds AS (
        SELECT CASE WHEN count(*) = a_limit THEN (array_agg(id ORDER BY id))[1] END AS oldest FROM written)
    SELECT json_build_object(
        'exported_at', now(),
        'older', (SELECT '?before=' || oldest FROM bounds),
        'people', (SELECT json_agg(to_jsonb(u)) FROM users u WHERE u.id IN (SELECT id FROM everybody)),
        'identities', (SELECT json_agg(to_jsonb(d)) FROM identities d WHERE d.user_id IN (SELECT id FROM everybody)),
        'conversations', (SELECT json_agg(to_jsonb(c) ORDER BY c.id) FROM conversations c
                          WHERE c.user_id IN (SELECT id FROM everybody)),
        'messages', (SELECT json_agg(json_build_object('conversation', m.conversation_id, 'at', m.created_at, 'role', m.role,
                                                       'text', m.content, 'model', m.model_used, 'metadata', m.metadata) ORDER BY m.id)
                     FROM written m),
        'requests', (SELECT json_agg(json_build_object('id', r.id, 'channel', r.channel, 'at', r.created_at, 'status', r.status,
                                                       'reason', r.status_reason, 'model', r.model_used, 'ip', r.ip,
                                                       'prompt_tokens', r.prompt_tokens, 'completion_tokens', r.completion_tokens,
                                                       'cost', r.total_cost) ORDER BY r.id)
                     FROM requests r, bounds b WHERE r.user_id IN (SELECT id FROM everybody) AND r.id < a_before
                       AND (b.oldest IS NULL OR r.id >= b.oldest)),
        'attachments', (SELECT json_agg(json_build_object('id', a.id, 'name', a.name, 'type', a.mime, 'at', a.created_at,
                                                          'bytes', length(a.data)))
                        FROM attachments a JOIN identities d ON d.channel_user_id = a.face
                        WHERE d.user_id IN (SELECT id FROM everybody)),
        'votes', (SELECT json_agg(json_build_object('request', f.request_id, 'vote', f.vote, 'at', f.updated_at))
                  FROM feedback f JOIN identities d ON d.channel_type = f.channel_type AND d.channel_user_id = f.channel_user_id
                  WHERE d.user_id IN (SELECT id FROM everybody)))
$$;
