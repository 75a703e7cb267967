-- People, conversations, messages, the queue of requests, the outbox, leases.
-- Ids are UUIDv7, made by the program: they sort by time, and a month of messages is a range of ids.

CREATE TABLE users (
    id              uuid PRIMARY KEY,
    username        text,
    email           text,
    role            text NOT NULL DEFAULT 'user' CHECK (role IN ('admin', 'manager', 'user', 'service')),
    preferred_model text,
    is_active       boolean NOT NULL DEFAULT true,
    github_username text,
    metadata        jsonb NOT NULL DEFAULT '{}',
    preferences     jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);

-- One person, many channels.
CREATE TABLE identities (
    id              uuid PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    channel_type    text NOT NULL,
    channel_user_id text NOT NULL,
    username        text,
    display_name    text,
    metadata        jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (channel_type, channel_user_id)
);
CREATE INDEX identities_user ON identities (user_id);

CREATE TABLE channel_configs (
    id              uuid PRIMARY KEY,
    channel_type    text NOT NULL UNIQUE,
    default_model   text,
    settings        jsonb NOT NULL DEFAULT '{}',
    rate_limits     jsonb NOT NULL DEFAULT '{}',
    credentials_ref text, -- env:NAME or file:PATH, never the secret itself
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE conversations (
    id                  uuid PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    channel_type        text NOT NULL,
    channel             text NOT NULL, -- the account's name in the configuration
    place_workspace     text NOT NULL DEFAULT '',
    place_channel       text NOT NULL,
    place_thread        text NOT NULL DEFAULT '',
    is_direct           boolean NOT NULL DEFAULT true, -- one person and us; else a group
    title               text,
    model_override      text,
    started_at          timestamptz NOT NULL DEFAULT now(),
    last_activity       timestamptz NOT NULL DEFAULT now(),
    is_active           boolean NOT NULL DEFAULT true,
    is_pinned           boolean NOT NULL DEFAULT false,
    is_hidden           boolean NOT NULL DEFAULT false,
    message_count       integer NOT NULL DEFAULT 0, -- messages of finished turns: what a cached context must agree with
    context_window_used integer NOT NULL DEFAULT 0,
    health_score        real CHECK (health_score BETWEEN 0 AND 100),
    metadata            jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70);
-- One active conversation a place: /new ends it, the next message begins another.
CREATE UNIQUE INDEX conversations_place ON conversations (channel, place_channel, place_thread, place_workspace)
    WHERE is_active;
CREATE INDEX conversations_user ON conversations (user_id, started_at DESC);
-- All conversations of a place, the ended ones too: what a person reads in the browser.
CREATE INDEX conversations_thread ON conversations (channel, place_channel, place_thread);

CREATE TABLE messages (
    id              uuid NOT NULL PRIMARY KEY,
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    user_id         uuid REFERENCES users ON DELETE CASCADE, -- who wrote it; NULL for the assistant
    role            text NOT NULL CHECK (role IN ('user', 'assistant', 'system', 'notice')),
    content         text NOT NULL,
    model_used      text,
    token_count     integer,
    quality_score   real CHECK (quality_score BETWEEN 0 AND 100),
    answers         uuid[], -- of an assistant's message: the person's messages it answers
    metadata        jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (id);
CREATE INDEX messages_conversation ON messages (conversation_id, id);

-- Where nothing else fits: a clock that is years off must not lose a message.
CREATE TABLE messages_default PARTITION OF messages DEFAULT;

-- The smallest UUIDv7 of an instant.
CREATE FUNCTION uuid_v7_floor(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;

-- Make the partitions of this month and of the `ahead` following ones.
CREATE FUNCTION messages_partitions_make(ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    name  text;
    made  integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('parley.partitions')); -- two processes may start at once
    FOR i IN 0..ahead LOOP
        month := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => i);
        name := 'messages_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF messages FOR VALUES FROM (%L) TO (%L)', name,
                               uuid_v7_floor(month), uuid_v7_floor(month + interval '1 month'));
                made := made + 1;
            EXCEPTION WHEN check_violation THEN
                NULL; -- a clock ran ahead and put messages of that month into the default partition: there it stays
            END;
        END IF;
    END LOOP;
    RETURN made;
END
$$;

-- Drop whole months of messages older than `keep` months, and the requests of that time; returns the names of the tables.
CREATE FUNCTION messages_partitions_drop(keep integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    oldest text := to_char((now() AT TIME ZONE 'UTC') - make_interval(months => keep), '"messages_"YYYY_MM');
    part   text;
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'messages'::regclass AND c.relname ~ '^messages_\d{4}_\d{2}$' AND c.relname < oldest
    LOOP
        EXECUTE format('DROP TABLE %I', part);
        RETURN NEXT part;
    END LOOP;
    DELETE FROM requests WHERE id < uuid_v7_floor(date_trunc('month', now()) - make_interval(months => keep))
        AND status NOT IN ('queued', 'running', 'sending');
END
$$;

-- One row a message of a person: the inbox (unique event), the queue (status, lease), the record of the turn.
CREATE TABLE requests (
    id                 uuid PRIMARY KEY,
    conversation_id    uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    user_id            uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    channel            text NOT NULL,
    event_id           text NOT NULL,
    message_id         uuid NOT NULL, -- the person's message; no foreign key: messages are dropped by month
    platform_message   text NOT NULL DEFAULT '', -- the platform's id of that message
    query              text NOT NULL,
    ip                 text NOT NULL DEFAULT '',
    urgent             boolean NOT NULL DEFAULT false, -- runs beside the conversation's turn: /stop
    status             text NOT NULL DEFAULT 'queued' CHECK (status IN
                       ('queued', 'running', 'sending', 'answered', 'refused', 'cancelled', 'expired', 'merged')),
    status_reason      text,
    outcome            text, -- what status becomes when the reply is delivered
    merged_into        uuid,
    lease_owner        text,
    lease_until        timestamptz,
    attempt            integer NOT NULL DEFAULT 0, -- the fence: every write of a turn carries it
    stop_wanted        boolean NOT NULL DEFAULT false,
    preview_message    text NOT NULL DEFAULT '', -- the platform's id of the message that shows the answer growing
    reply_id           uuid,
    model_used         text,
    prompt_tokens      integer,
    completion_tokens  integer,
    total_cost         numeric(14, 8),
    total_latency_ms   integer,
    consensus_decision text,
    agreement_level    real CHECK (agreement_level BETWEEN 0 AND 1),
    config_snapshot    jsonb NOT NULL DEFAULT '{}',
    created_at         timestamptz NOT NULL DEFAULT now(),
    completed_at       timestamptz,
    UNIQUE (channel, event_id)
) WITH (fillfactor = 60);
-- One running turn a conversation, across all processes.
CREATE UNIQUE INDEX requests_running ON requests (conversation_id)
    WHERE status IN ('running', 'sending') AND NOT urgent;
-- What the sweep and the claim look at: a handful of rows, however long the history.
CREATE INDEX requests_open ON requests (conversation_id, id)
    WHERE status IN ('queued', 'running', 'sending');

-- The outbox: parts of a reply to send. Dead letters are rows here.
CREATE TABLE deliveries (
    id               uuid PRIMARY KEY,
    request_id       uuid NOT NULL REFERENCES requests ON DELETE CASCADE,
    part             integer NOT NULL,
    n_parts          integer NOT NULL,
    content          text NOT NULL,
    notice           boolean NOT NULL DEFAULT false,
    status           text NOT NULL DEFAULT 'pending'
                     CHECK (status IN ('pending', 'sending', 'sent', 'unknown', 'dead')),
    platform_message text NOT NULL DEFAULT '',
    attempts         integer NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz,
    last_error       text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    sent_at          timestamptz,
    UNIQUE (request_id, part)
) WITH (fillfactor = 60);
CREATE INDEX deliveries_dead ON deliveries (id) WHERE status IN ('unknown', 'dead');

-- Who owns a bot's connection, and what the next owner needs to go on without a gap.
CREATE TABLE channel_leases (
    name        text PRIMARY KEY,
    owner       text NOT NULL,
    fence       bigint NOT NULL DEFAULT 1,
    lease_until timestamptz NOT NULL,
    state       jsonb NOT NULL DEFAULT '{}',
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- Take messages in, many at once: element i of every array is message i. Returns for each whether it is new, and the
-- ids under which it is kept. Safe to repeat: an event that is there already returns the ids of the first time.
CREATE FUNCTION accept_messages(
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

    INSERT INTO requests (id, conversation_id, user_id, channel, event_id, message_id, platform_message, query, ip, urgent)
    SELECT t.request, c.id, d.user_id, t.channel, t.event, t.message, t.platform_message, t.query, t.ip, t.urgent
    FROM unnest(a_request, a_message, a_channel_type, a_channel, a_event, a_workspace, a_place, a_thread, a_from,
                a_platform_message, a_query, a_ip, a_urgent)
         WITH ORDINALITY AS t (request, message, type, channel, event, workspace, place, thread, face,
                               platform_message, query, ip, urgent, n)
    JOIN identities d ON d.channel_type = t.type AND d.channel_user_id = t.face
    JOIN conversations c ON c.channel = t.channel AND c.place_channel = t.place AND c.place_thread = t.thread
         AND c.place_workspace = t.workspace AND c.is_active
    ORDER BY t.n
    ON CONFLICT ON CONSTRAINT requests_channel_event_id_key DO NOTHING;

    -- Only the requests that went in bring their message; a duplicate's id is not among them. The same call repeated,
    -- because the connection broke at its commit, finds its own.
    INSERT INTO messages (id, conversation_id, user_id, role, content, metadata)
    SELECT t.message, r.conversation_id, r.user_id, t.role, t.query, t.metadata
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

-- End a conversation. What already waits behind the request `behind` belongs to the next one: left in the old one, it
-- would be answered beside what comes next, out of order, and with the wrong history. Returns the new conversation, `next`,
-- if something waits.
CREATE FUNCTION end_conversation(a_conversation uuid, a_behind uuid, a_next uuid) RETURNS SETOF uuid
LANGUAGE plpgsql AS $$
DECLARE
    waiting uuid[];
BEGIN
    -- Waits for messages that are being taken in; those that come later wait for us.
    PERFORM 1 FROM conversations WHERE id = a_conversation AND is_active FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE conversations SET is_active = false, last_activity = now() WHERE id = a_conversation;
    SELECT array_agg(id) INTO waiting FROM requests
    WHERE conversation_id = a_conversation AND status = 'queued' AND NOT urgent AND id > a_behind;
    IF waiting IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO conversations (id, user_id, channel_type, channel, place_workspace, place_channel, place_thread, is_direct)
    SELECT a_next, user_id, channel_type, channel, place_workspace, place_channel, place_thread, is_direct
    FROM conversations WHERE id = a_conversation;
    UPDATE messages m SET conversation_id = a_next FROM requests r WHERE r.id = ANY (waiting) AND m.id = r.message_id;
    UPDATE requests SET conversation_id = a_next WHERE id = ANY (waiting);
    RETURN NEXT a_next;
END
$$;
