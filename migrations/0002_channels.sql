-- What channels with commands, buttons and gaps need: how a message is answered, what people think of an answer, who is
-- who on several channels.

ALTER TABLE requests
    ADD COLUMN ticket   text NOT NULL DEFAULT '', -- the adapter's own, to answer this message and no other; secrets are sealed
    ADD COLUMN late_ms  bigint NOT NULL DEFAULT 0, -- found so long after it was written, when a gap was filled
    ADD COLUMN pictures jsonb; -- addresses of what a model that sees may look at; NULL = none

-- Votes name the platform's message.
CREATE INDEX deliveries_message ON deliveries (platform_message) WHERE platform_message <> '';

-- What people think of an answer, by buttons and reactions. Whoever votes need never have written.
CREATE TABLE feedback (
    request_id      uuid NOT NULL REFERENCES requests ON DELETE CASCADE,
    channel_type    text NOT NULL,
    channel_user_id text NOT NULL,
    vote            smallint NOT NULL CHECK (vote IN (-1, 1)),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, channel_type, channel_user_id)
);

-- A person who was found to be another one. What they wrote stays under the old id; their identities, conversations and
-- all that comes go to the new one.
ALTER TABLE users ADD COLUMN merged_into uuid REFERENCES users ON DELETE CASCADE;

-- One-time codes of /link: only their hash, and not for long.
CREATE TABLE link_codes (
    code_hash  text PRIMARY KEY,
    user_id    uuid NOT NULL UNIQUE REFERENCES users ON DELETE CASCADE, -- a new code replaces the old one
    expires_at timestamptz NOT NULL
);
CREATE TABLE link_tries (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    n       integer NOT NULL DEFAULT 1,
    since   timestamptz NOT NULL DEFAULT now()
);

-- Somebody typed a code: 'linked', 'same' (their own), 'unknown' (never was, used, or too old), 'tries' (guessing).
CREATE FUNCTION link_people(a_code_hash text, a_user uuid, a_tries_max integer, a_window interval) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    tries  integer;
    target uuid;
BEGIN
    INSERT INTO link_tries AS t (user_id) VALUES (a_user)
    ON CONFLICT (user_id) DO UPDATE SET
        n = CASE WHEN t.since < now() - a_window THEN 1 ELSE t.n + 1 END,
        since = CASE WHEN t.since < now() - a_window THEN now() ELSE t.since END
    RETURNING n INTO tries;
    IF tries > a_tries_max THEN
        RETURN 'tries';
    END IF;
    DELETE FROM link_codes WHERE code_hash = a_code_hash AND expires_at > now() AND user_id <> a_user
    RETURNING user_id INTO target;
    IF target IS NULL THEN
        PERFORM 1 FROM link_codes WHERE code_hash = a_code_hash AND user_id = a_user;
        RETURN CASE WHEN FOUND THEN 'same' ELSE 'unknown' END;
    END IF;
    UPDATE identities SET user_id = target WHERE user_id = a_user;
    UPDATE conversations SET user_id = target WHERE user_id = a_user;
    UPDATE users SET merged_into = target, is_active = false, updated_at = now() WHERE id = a_user;
    DELETE FROM link_tries WHERE user_id IN (a_user, target);
    DELETE FROM link_codes WHERE user_id = a_user;
    RETURN 'linked';
END
$$;

-- As before, and the request keeps its ticket, lateness and pictures. Take messages in, many at once: element i of every array is message i. Returns for each whether it is new, and the
-- ids under which it is kept. Safe to repeat: an event that is there already returns the ids of the first time.
CREATE OR REPLACE FUNCTION accept_messages(
    a_request uuid[], a_message uuid[], a_user uuid[], a_conversation uuid[],
    a_channel_type text[], a_channel text[], a_event text[],
    a_workspace text[], a_place text[], a_thread text[],
    a_from text[], a_username text[], a_display_name text[],
    a_platform_message text[], a_query text[], a_role text[], a_ip text[], a_urgent boolean[], a_metadata jsonb[]
) RETURNS TABLE (ord bigint, fresh boolean, request uuid, conversation uuid, message uuid, person uuid)
LANGUAGE plpgsql AS $$
DECLARE
    i integer;
BEGIN
    -- People we have not met. Rare, so one by one; whoever loses a race adopts the winner's row.
    FOR i IN
        SELECT min(t.n) FROM unnest(a_channel_type, a_from) WITH ORDINALITY AS t (type, face, n)
        WHERE NOT EXISTS (SELECT 1 FROM identities d WHERE d.channel_type = t.type AND d.channel_user_id = t.face)
        GROUP BY t.type, t.face ORDER BY t.type, t.face
    LOOP
        WITH made AS (
            INSERT INTO users (id, username) VALUES (a_user[i], nullif(a_username[i], '')) RETURNING id
        ), face AS (
            INSERT INTO identities (id, user_id, channel_type, channel_user_id, username, display_name)
            SELECT a_user[i], id, a_channel_type[i], a_from[i], nullif(a_username[i], ''), nullif(a_display_name[i], '')
            FROM made
            ON CONFLICT (channel_type, channel_user_id) DO NOTHING RETURNING user_id
        )
        SELECT count(*) = 0 INTO fresh FROM face;
        IF fresh THEN
            DELETE FROM users WHERE id = a_user[i];
        END IF;
    END LOOP;

    -- Places without an active conversation.
    FOR i IN
        SELECT min(t.n) FROM unnest(a_channel, a_place, a_thread, a_workspace) WITH ORDINALITY AS t (channel, place, thread, workspace, n)
        WHERE NOT EXISTS (
            SELECT 1 FROM conversations c
            WHERE c.channel = t.channel AND c.place_channel = t.place AND c.place_thread = t.thread
              AND c.place_workspace = t.workspace AND c.is_active)
        GROUP BY t.channel, t.place, t.thread, t.workspace ORDER BY t.channel, t.place, t.thread, t.workspace
    LOOP
        INSERT INTO conversations (id, user_id, channel_type, channel, place_workspace, place_channel, place_thread, is_direct)
        SELECT a_conversation[i], d.user_id, a_channel_type[i], a_channel[i], a_workspace[i], a_place[i], a_thread[i],
               coalesce((a_metadata[i] ->> 'direct')::boolean, true)
        FROM identities d WHERE d.channel_type = a_channel_type[i] AND d.channel_user_id = a_from[i]
        ON CONFLICT DO NOTHING;
    END LOOP;

    INSERT INTO requests (id, conversation_id, user_id, channel, event_id, message_id, platform_message, query, ip, urgent,
                          ticket, late_ms, pictures)
    SELECT t.request, c.id, d.user_id, t.channel, t.event, t.message, t.platform_message, t.query, t.ip, t.urgent,
           coalesce(t.metadata ->> 'ticket', ''), coalesce((t.metadata ->> 'late_ms')::bigint, 0), t.metadata -> 'pictures'
    FROM unnest(a_request, a_message, a_channel_type, a_channel, a_event, a_workspace, a_place, a_thread, a_from,
                a_platform_message, a_query, a_ip, a_urgent, a_metadata)
         WITH ORDINALITY AS t (request, message, type, channel, event, workspace, place, thread, face,
                               platform_message, query, ip, urgent, metadata, n)
    JOIN identities d ON d.channel_type = t.type AND d.channel_user_id = t.face
    JOIN conversations c ON c.channel = t.channel AND c.place_channel = t.place AND c.place_thread = t.thread
         AND c.place_workspace = t.workspace AND c.is_active
    ORDER BY t.n
    ON CONFLICT ON CONSTRAINT requests_channel_event_id_key DO NOTHING;

    -- Only the requests that went in bring their message; a duplicate's id is not among them. The same call repeated,
    -- because the connection broke at its commit, finds its own.
    INSERT INTO messages (id, conversation_id, user_id, role, content, metadata)
    SELECT t.message, r.conversation_id, r.user_id, t.role, t.query, t.metadata - 'ticket'
    FROM unnest(a_request, a_message, a_role, a_query, a_metadata) AS t (request, message, role, query, metadata)
    JOIN requests r ON r.id = t.request
    ON CONFLICT DO NOTHING;

    -- The insert waits for an end_conversation() under way, by the lock of its foreign key; what was seen active before is
    -- ended then. Our caller repeats the whole, and finds what began instead.
    PERFORM 1 FROM unnest(a_request) AS t (request)
    JOIN requests r ON r.id = t.request JOIN conversations c ON c.id = r.conversation_id WHERE NOT c.is_active;
    IF FOUND THEN
        RAISE EXCEPTION 'the conversation ended in this moment' USING ERRCODE = 'serialization_failure';
    END IF;

    RETURN QUERY
    SELECT t.n, r.id = t.request, r.id, r.conversation_id, r.message_id, r.user_id
    FROM unnest(a_request, a_channel, a_event) WITH ORDINALITY AS t (request, channel, event, n)
    JOIN requests r ON r.channel = t.channel AND r.event_id = t.event
    ORDER BY t.n;
END
$$;
