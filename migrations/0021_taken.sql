-- Taking a message in and beginning to answer it are one commit: the request that finds its conversation idle goes in as
-- claimed by the process that took it, and brings back what a turn needs, as the claim does. What stands here puts the messages
-- first in every plan, by LATERAL and LIMIT: a plan made while a table was small must not go through all of it later.
-- accept_messages stays for processes of the version before, which go on while others are replaced.

-- What a turn needs to know about its request.
CREATE TYPE turn_row AS (
    request uuid, conversation uuid, person uuid, message uuid, attempt integer, sending boolean, urgent boolean,
    stop_wanted boolean, message_count integer, age_ms bigint, channel_type text, channel text, workspace text, place text,
    thread text, query text, platform_message text, preview_message text, ip text, model_override text, preferred_model text,
    outcome text, direct boolean, ticket text, late_ms bigint, pictures jsonb, face text, approved boolean, summary text,
    summary_until bigint, summary_off boolean, blocked boolean, person_day bigint, person_month bigint, key uuid, key_day bigint,
    key_month bigint, hook jsonb, variants json
);

CREATE FUNCTION turn_rows(r requests) RETURNS SETOF turn_row LANGUAGE sql STABLE AS $$
    SELECT r.id, r.conversation_id, r.user_id, r.message_id, r.attempt, r.status = 'sending', r.urgent,
        r.stop_wanted, c.message_count, (extract(epoch FROM now() - r.created_at) * 1000)::bigint, c.channel_type, c.channel,
        c.place_workspace, c.place_channel, c.place_thread, r.query, r.platform_message, r.preview_message, r.ip,
        c.model_override, u.preferred_model, r.outcome, c.is_direct, r.ticket, r.late_ms::bigint, r.pictures,
        (SELECT d.channel_user_id FROM identities d WHERE d.user_id = r.user_id
           AND d.channel_type = c.channel_type ORDER BY d.id DESC LIMIT 1),
        u.approved_at IS NOT NULL, c.summary, c.summary_until::bigint, c.summary_off, NOT u.is_active AND u.merged_into IS NULL,
        own_limit(u.budget_day), own_limit(u.budget_month), r.api_key_id, own_limit(k.budget_day), own_limit(k.budget_month),
        r.hook,
        -- Two look-ups: an OR over two indexes is a bitmap, or the whole table.
        (SELECT json_object_agg(a.experiment, a.variant) FROM (
           SELECT experiment, variant FROM experiment_assignments WHERE conversation_id = r.conversation_id
           UNION ALL SELECT experiment, variant FROM experiment_assignments WHERE user_id = r.user_id) a
         JOIN experiments e ON e.name = a.experiment AND e.status = 'running')
    FROM conversations c JOIN users u ON u.id = r.user_id LEFT JOIN api_keys k ON k.id = r.api_key_id
    WHERE c.id = r.conversation_id
$$;

-- People we have not met, and places without an active conversation. Rare, so one by one; whoever loses a race adopts the
-- winner's row.
CREATE FUNCTION meet_people(
    a_user uuid[], a_channel_type text[], a_from text[], a_username text[], a_display_name text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    i integer;
    new boolean;
BEGIN
    FOR i IN
        SELECT min(t.n) FROM unnest(a_channel_type, a_from) WITH ORDINALITY AS t (type, face, n)
        WHERE (SELECT true FROM identities d WHERE d.channel_type = t.type AND d.channel_user_id = t.face LIMIT 1) IS NULL
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
        SELECT count(*) > 0 INTO new FROM face;
        IF NOT new THEN
            DELETE FROM users WHERE id = a_user[i];
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION open_conversations(
    a_conversation uuid[], a_channel_type text[], a_channel text[], a_workspace text[], a_place text[], a_thread text[],
    a_from text[], a_metadata jsonb[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    i integer;
BEGIN
    FOR i IN
        SELECT min(t.n) FROM unnest(a_channel, a_place, a_thread, a_workspace) WITH ORDINALITY AS t (channel, place, thread, workspace, n)
        WHERE (SELECT true FROM conversations c WHERE c.channel = t.channel AND c.place_channel = t.place
                 AND c.place_thread = t.thread AND c.place_workspace = t.workspace AND c.is_active LIMIT 1) IS NULL
        GROUP BY t.channel, t.place, t.thread, t.workspace ORDER BY t.channel, t.place, t.thread, t.workspace
    LOOP
        INSERT INTO conversations (id, user_id, channel_type, channel, place_workspace, place_channel, place_thread, is_direct)
        SELECT a_conversation[i], d.user_id, a_channel_type[i], a_channel[i], a_workspace[i], a_place[i], a_thread[i],
               coalesce((a_metadata[i] ->> 'direct')::boolean, true)
        FROM identities d WHERE d.channel_type = a_channel_type[i] AND d.channel_user_id = a_from[i]
        ON CONFLICT DO NOTHING;
    END LOOP;
END
$$;

-- Take messages in, many at once: element i of every array is message i. Returns for each whether it is new, the ids under
-- which it is kept, and the turn that the caller may begin at once (NULL: its turn comes by a claim). a_owner: '' = it is not to
-- be claimed. Safe to repeat: an event that is there already returns the ids of the first time.
CREATE FUNCTION take_messages(
    a_request uuid[], a_message uuid[], a_user uuid[], a_conversation uuid[],
    a_channel_type text[], a_channel text[], a_event text[],
    a_workspace text[], a_place text[], a_thread text[],
    a_from text[], a_username text[], a_display_name text[],
    a_platform_message text[], a_query text[], a_role text[], a_ip text[], a_urgent boolean[], a_metadata jsonb[],
    a_owner text[], a_lease_ms bigint[]
) RETURNS TABLE (ord bigint, fresh boolean, request uuid, conversation uuid, message uuid, person uuid, turn turn_row)
LANGUAGE plpgsql AS $$
DECLARE
    people uuid[];
    places uuid[];
    idle   boolean[]; -- nobody else takes a message into this conversation at this moment
    at     bigint[];  -- places of those that are not forgotten
BEGIN
    IF EXISTS (SELECT 1 FROM forgotten_events) THEN
        SELECT array_agg(t.n ORDER BY t.n) INTO at FROM unnest(a_channel, a_event) WITH ORDINALITY AS t (channel, event, n)
        WHERE NOT EXISTS (SELECT 1 FROM forgotten_events f WHERE f.hash = event_hash(t.channel, t.event));
        -- Forgotten events are answered as duplicates are, and the others go in by themselves.
        IF coalesce(cardinality(at), 0) < cardinality(a_event) THEN
            RETURN QUERY
            SELECT t.n, false, nil.id, nil.id, nil.id, nil.id, NULL::turn_row
            FROM generate_series(1::bigint, cardinality(a_event)) AS t (n), (SELECT '00000000-0000-0000-0000-000000000000'::uuid AS id) nil
            WHERE at IS NULL OR NOT t.n = ANY (at);
            IF at IS NOT NULL THEN
                RETURN QUERY SELECT at[n.ord], n.fresh, n.request, n.conversation, n.message, n.person, n.turn FROM take_messages(
                    picked(a_request, at), picked(a_message, at), picked(a_user, at), picked(a_conversation, at),
                    picked(a_channel_type, at), picked(a_channel, at), picked(a_event, at), picked(a_workspace, at), picked(a_place, at),
                    picked(a_thread, at), picked(a_from, at), picked(a_username, at), picked(a_display_name, at),
                    picked(a_platform_message, at), picked(a_query, at), picked(a_role, at), picked(a_ip, at), picked(a_urgent, at),
                    picked(a_metadata, at), picked(a_owner, at), picked(a_lease_ms, at)) n;
            END IF;
            RETURN;
        END IF;
    END IF;

    LOOP
        -- Waits for an end_conversation() under way, and then, the next time round, finds what began instead.
        SELECT array_agg(x.person ORDER BY x.n), array_agg(x.place ORDER BY x.n), array_agg(x.idle ORDER BY x.n)
        INTO people, places, idle FROM (
            SELECT t.n, d.user_id AS person, c.id AS place,
                   t.owner <> '' AND pg_try_advisory_xact_lock(hashtextextended('take ' || c.id, 0)) AS idle
            FROM unnest(a_channel_type, a_channel, a_workspace, a_place, a_thread, a_from, a_owner)
                 WITH ORDINALITY AS t (type, channel, workspace, place, thread, face, owner, n)
            CROSS JOIN LATERAL (
                SELECT d.user_id FROM identities d WHERE d.channel_type = t.type AND d.channel_user_id = t.face LIMIT 1) d
            CROSS JOIN LATERAL (
                SELECT c.id FROM conversations c
                WHERE c.channel = t.channel AND c.place_channel = t.place AND c.place_thread = t.thread
                  AND c.place_workspace = t.workspace AND c.is_active LIMIT 1 FOR KEY SHARE) c) x;
        EXIT WHEN cardinality(people) = cardinality(a_request);
        PERFORM meet_people(a_user, a_channel_type, a_from, a_username, a_display_name);
        PERFORM open_conversations(a_conversation, a_channel_type, a_channel, a_workspace, a_place, a_thread, a_from, a_metadata);
    END LOOP;

    -- A statement of its own: it sees all that was taken in before the lock was ours. Of a conversation that nobody is busy
    -- with, the first one here is claimed.
    INSERT INTO requests (id, conversation_id, user_id, channel, event_id, message_id, platform_message, query, ip, urgent,
                          ticket, late_ms, pictures, status, lease_owner, lease_until, attempt)
    SELECT t.request, t.place, t.person, t.channel, t.event, t.message, t.platform_message, t.query, t.ip, t.urgent,
           coalesce(t.metadata ->> 'ticket', ''), coalesce((t.metadata ->> 'late_ms')::bigint, 0), t.metadata -> 'pictures',
           CASE WHEN x.claimed THEN 'running' ELSE 'queued' END, CASE WHEN x.claimed THEN t.owner END,
           CASE WHEN x.claimed THEN now() + t.lease_ms * interval '1 ms' END, CASE WHEN x.claimed THEN 1 ELSE 0 END
    FROM unnest(a_request, places, people, a_channel, a_event, a_message, a_platform_message, a_query, a_ip, a_urgent, a_metadata,
                idle, a_owner, a_lease_ms)
         WITH ORDINALITY AS t (request, place, person, channel, event, message, platform_message, query, ip, urgent, metadata,
                               idle, owner, lease_ms, n)
    CROSS JOIN LATERAL (SELECT t.idle AND (t.urgent OR array_position(places, t.place) = t.n AND (
        SELECT true FROM requests o WHERE o.conversation_id = t.place AND o.status IN ('queued', 'running', 'sending')
          AND NOT o.urgent LIMIT 1) IS NULL) AS claimed OFFSET 0) x -- looked up once, not at each use
    ORDER BY t.n
    ON CONFLICT ON CONSTRAINT requests_channel_event_id_key DO NOTHING;

    -- Only the requests that went in bring their message; a duplicate's id is not among them. The same call repeated,
    -- because the connection broke at its commit, finds its own.
    INSERT INTO messages (id, conversation_id, user_id, role, content, metadata)
    SELECT t.message, r.conversation_id, r.user_id, t.role, t.query, t.metadata - 'ticket'
    FROM unnest(a_request, a_message, a_role, a_query, a_metadata) AS t (request, message, role, query, metadata)
    CROSS JOIN LATERAL (SELECT * FROM requests r WHERE r.id = t.request LIMIT 1) r
    ON CONFLICT DO NOTHING;

    RETURN QUERY
    SELECT t.n, r.id = t.request, r.id, r.conversation_id, r.message_id, r.user_id,
           CASE WHEN r.id = t.request AND r.lease_owner = t.owner AND r.attempt = 1 AND r.status = 'running'
                THEN (SELECT w FROM turn_rows(r.v) w) END
    FROM unnest(a_request, a_channel, a_event, a_owner) WITH ORDINALITY AS t (request, channel, event, owner, n)
    CROSS JOIN LATERAL (
        SELECT q.*, q AS v FROM requests q WHERE q.channel = t.channel AND q.event_id = t.event LIMIT 1) r
    ORDER BY t.n;
END
$$;

-- A thread under what a webhook said goes on from there. Asked for each new conversation, so one look-up after the other.
CREATE OR REPLACE FUNCTION thread_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT c.id, c.message_count INTO NEW.continues, NEW.message_count
    FROM (SELECT * FROM deliveries d WHERE d.platform_message IN (nullif(NEW.place_thread, ''), NEW.place_channel)
            AND d.platform_message <> '' OFFSET 0) d
    CROSS JOIN LATERAL (SELECT * FROM requests r WHERE r.id = d.request_id LIMIT 1) r
    CROSS JOIN LATERAL (SELECT * FROM conversations c WHERE c.id = r.conversation_id LIMIT 1) c
    WHERE r.hook IS NOT NULL AND r.channel = NEW.channel AND c.place_workspace = NEW.place_workspace
      -- a thread of the same place; or one that is a place of its own, as in Discord
      AND (d.platform_message = NEW.place_thread AND c.place_channel = NEW.place_channel
           OR d.platform_message = NEW.place_channel AND NEW.place_workspace <> '')
    LIMIT 1;
    NEW.message_count := coalesce(NEW.message_count, 0);
    RETURN NEW;
END
$$;

-- A GIN index keeps what is new in a list, and whoever makes that too long puts it in its place: some hundred milliseconds in
-- the middle of an answer's commit. So somebody else does it before, every second; one of all processes. It is for the index's
-- owner to do: who migrates, and need not be who serves.
CREATE FUNCTION search_catch_up() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF pg_try_advisory_xact_lock(hashtextextended('search_catch_up', 0)) THEN
        PERFORM gin_clean_pending_list(p.relid)
        FROM pg_partition_tree('messages_search') p JOIN pg_class c ON c.oid = p.relid
        WHERE p.isleaf AND pg_has_role(c.relowner, 'USAGE');
    END IF;
END
$$;
