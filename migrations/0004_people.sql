-- One person, many channels: taking apart what was linked, going on elsewhere, giving and erasing what is kept; and who
-- may talk to us at all.

ALTER TABLE users
    ADD COLUMN approved_at timestamptz, -- an admin has let them in, where a channel asks for that
    ADD COLUMN forget_at   timestamptz; -- they want everything erased: as soon as nothing of theirs is under way

-- What this one goes on with: its messages up to the moment when this one began are history here, too.
ALTER TABLE conversations ADD COLUMN continues uuid REFERENCES conversations ON DELETE SET NULL;
CREATE INDEX conversations_continues ON conversations (continues) WHERE continues IS NOT NULL;
CREATE INDEX requests_user ON requests (user_id);
CREATE INDEX messages_user ON messages (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX users_merged ON users (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX users_forget ON users (forget_at) WHERE forget_at IS NOT NULL;

-- One-time codes, of which only the hash is kept: to be let in, and to confirm an erasure.
CREATE TABLE person_codes (
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose    text NOT NULL CHECK (purpose IN ('approve', 'forget')),
    code_hash  text NOT NULL,
    tries      integer NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, purpose)
);
CREATE INDEX person_codes_hash ON person_codes (code_hash);

-- Addresses under which a person gets what is kept about them, for an hour.
CREATE TABLE export_tokens (
    token_hash text PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

-- Keys of Redis that are to go after an erasure; the rows go with them.
CREATE TABLE erasures (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key    text NOT NULL,
    member text NOT NULL DEFAULT '' -- of a sorted set; '' = the whole key
);

-- A person with all that they were before they linked.
CREATE FUNCTION person_ids(a_user uuid) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    WITH RECURSIVE p (id) AS (
        SELECT a_user UNION SELECT u.id FROM users u JOIN p ON u.merged_into = p.id
    ) SELECT array_agg(id) FROM p
$$;

-- Who was let in stays so when they turn out to be somebody else.
CREATE FUNCTION keep_approval() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE users SET approved_at = coalesce(approved_at, NEW.approved_at) WHERE id = NEW.merged_into;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_approval AFTER UPDATE OF merged_into ON users FOR EACH ROW
    WHEN (NEW.merged_into IS NOT NULL AND NEW.approved_at IS NOT NULL) EXECUTE FUNCTION keep_approval();

-- This app's identity becomes a person of its own, with what was written in that app. False: it is one already.
CREATE FUNCTION unlink_identity(a_user uuid, a_channel_type text, a_face text, a_new uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    everybody uuid[] := person_ids(a_user);
BEGIN
    PERFORM 1 FROM identities WHERE user_id = a_user AND NOT (channel_type = a_channel_type AND channel_user_id = a_face);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO users (id, username, preferred_model, preferences, approved_at)
    SELECT a_new, d.username, u.preferred_model, u.preferences, u.approved_at FROM users u, identities d
    WHERE u.id = a_user AND d.channel_type = a_channel_type AND d.channel_user_id = a_face;
    UPDATE identities SET user_id = a_new WHERE channel_type = a_channel_type AND channel_user_id = a_face;
    UPDATE conversations SET user_id = a_new WHERE user_id = a_user AND is_direct AND channel_type = a_channel_type;
    UPDATE messages m SET user_id = a_new FROM conversations c
    WHERE c.id = m.conversation_id AND c.user_id = a_new AND m.user_id = ANY (everybody);
    UPDATE requests r SET user_id = a_new FROM conversations c
    WHERE c.id = r.conversation_id AND c.user_id = a_new AND r.user_id = ANY (everybody);
    RETURN true;
END
$$;

-- End a place's conversation as /new does, and begin one there that goes on with another of the same person. Returns the
-- new one; nothing when there is nothing to go on with.
CREATE FUNCTION continue_conversation(a_conversation uuid, a_behind uuid, a_next uuid, a_from uuid) RETURNS SETOF uuid
LANGUAGE plpgsql AS $$
DECLARE
    waiting uuid[];
BEGIN
    PERFORM 1 FROM conversations f JOIN conversations c ON c.id = a_conversation
    WHERE f.id = a_from AND f.is_direct AND f.user_id = c.user_id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM 1 FROM conversations WHERE id = a_conversation AND is_active FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE conversations SET is_active = false, last_activity = now() WHERE id = a_conversation;
    INSERT INTO conversations (id, user_id, channel_type, channel, place_workspace, place_channel, place_thread, is_direct,
                               title, model_override, message_count, continues)
    SELECT a_next, c.user_id, c.channel_type, c.channel, c.place_workspace, c.place_channel, c.place_thread, c.is_direct,
           f.title, f.model_override, f.message_count, f.id
    FROM conversations c, conversations f WHERE c.id = a_conversation AND f.id = a_from;
    SELECT array_agg(id) INTO waiting FROM requests
    WHERE conversation_id = a_conversation AND status = 'queued' AND NOT urgent AND id > a_behind;
    UPDATE messages m SET conversation_id = a_next FROM requests r WHERE r.id = ANY (waiting) AND m.id = r.message_id;
    UPDATE requests SET conversation_id = a_next WHERE id = ANY (waiting);
    RETURN NEXT a_next;
END
$$;

-- Somebody typed the code that confirms an erasure: 'begun', 'unknown' (never was, too old, another) or 'tries'.
CREATE FUNCTION forget_begin(a_user uuid, a_code_hash text, a_tries_max integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    code person_codes;
BEGIN
    UPDATE person_codes SET tries = tries + 1 WHERE user_id = a_user AND purpose = 'forget' AND expires_at > now()
    RETURNING * INTO code;
    IF code.user_id IS NULL THEN
        RETURN 'unknown';
    ELSIF code.tries > a_tries_max THEN
        RETURN 'tries';
    ELSIF code.code_hash <> a_code_hash THEN
        RETURN 'unknown';
    END IF;
    DELETE FROM person_codes WHERE user_id = a_user AND purpose = 'forget';
    UPDATE users SET forget_at = now() WHERE id = a_user;
    RETURN 'begun';
END
$$;

-- Everything of one person goes, but for the keys of Redis, which are listed in `erasures`.
CREATE FUNCTION forget_person(a_user uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    everybody uuid[] := person_ids(a_user);
    touched   uuid[]; -- conversations that lose messages
BEGIN
    SELECT array_agg(DISTINCT id) INTO touched FROM (
        SELECT id FROM conversations WHERE user_id = ANY (everybody)
        UNION SELECT conversation_id FROM messages WHERE user_id = ANY (everybody)
        UNION SELECT conversation_id FROM requests WHERE user_id = ANY (everybody)) t;
    INSERT INTO erasures (key, member)
    SELECT 'context:conv:' || id, '' FROM unnest(touched) AS t (id)
    UNION SELECT 'rate:user:' || id || ':chat', '' FROM unnest(everybody) AS t (id)
    UNION SELECT 'session:' || c.channel || ':' || d.channel_user_id, '' FROM conversations c, identities d
    WHERE c.id = ANY (touched) AND d.user_id = ANY (everybody) AND d.channel_type = c.channel_type
    UNION SELECT 'active:' || c.channel, u.id::text FROM conversations c, unnest(everybody) AS u (id)
    WHERE c.id = ANY (touched)
    UNION SELECT 'rate:ip:' || ip || ':chat', '' FROM requests WHERE user_id = ANY (everybody) AND ip <> '';

    DELETE FROM feedback f USING identities d
    WHERE d.user_id = ANY (everybody) AND f.channel_type = d.channel_type AND f.channel_user_id = d.channel_user_id;
    -- In a group: what they wrote, and what answered them. The group's conversation becomes another member's.
    DELETE FROM messages a USING messages q
    WHERE a.conversation_id = q.conversation_id AND q.conversation_id = ANY (touched) AND q.user_id = ANY (everybody)
      AND a.answers @> ARRAY[q.id];
    DELETE FROM messages WHERE user_id = ANY (everybody);
    -- An answer to a command of theirs names no message: it is known by its request.
    DELETE FROM messages m USING requests r WHERE r.user_id = ANY (everybody) AND m.id = r.reply_id
      AND m.conversation_id = r.conversation_id;
    DELETE FROM requests WHERE user_id = ANY (everybody);
    UPDATE conversations c SET user_id = (
        SELECT r.user_id FROM requests r WHERE r.conversation_id = c.id ORDER BY r.id LIMIT 1), title = NULL
    WHERE c.user_id = ANY (everybody) AND NOT c.is_direct
      AND EXISTS (SELECT 1 FROM requests r WHERE r.conversation_id = c.id);
    DELETE FROM conversations WHERE user_id = ANY (everybody);
    DELETE FROM users WHERE id = ANY (everybody);
END
$$;

-- Erase one person who wants it and of whom nothing is under way. Returns how many keys of Redis are to go.
CREATE FUNCTION forget_next() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    who uuid;
    n   bigint;
BEGIN
    SELECT u.id INTO who FROM users u
    WHERE u.forget_at < now() - interval '2 s' AND NOT EXISTS (
        SELECT 1 FROM requests r WHERE r.user_id = ANY (person_ids(u.id)) AND r.status IN ('queued', 'running', 'sending'))
    LIMIT 1 FOR UPDATE OF u SKIP LOCKED;
    IF who IS NOT NULL THEN
        PERFORM forget_person(who);
    END IF;
    SELECT count(*) INTO n FROM erasures;
    RETURN n;
END
$$;

-- All that is kept about a person, as one document.
CREATE FUNCTION export_person(a_user uuid) RETURNS json LANGUAGE sql STABLE AS $$
    WITH everybody AS (SELECT unnest(person_ids(a_user)) AS id)
    SELECT json_build_object(
        'exported_at', now(),
        'people', (SELECT json_agg(to_jsonb(u)) FROM users u WHERE u.id IN (SELECT id FROM everybody)),
        'identities', (SELECT json_agg(to_jsonb(d)) FROM identities d WHERE d.user_id IN (SELECT id FROM everybody)),
        'conversations', (SELECT json_agg(to_jsonb(c) ORDER BY c.id) FROM conversations c
                          WHERE c.user_id IN (SELECT id FROM everybody)),
        'messages', (SELECT json_agg(json_build_object('conversation', m.conversation_id, 'at', m.created_at, 'role', m.role,
                                                       'text', m.content, 'model', m.model_used, 'metadata', m.metadata) ORDER BY m.id)
                     FROM messages m JOIN conversations c ON c.id = m.conversation_id
                     WHERE m.user_id IN (SELECT id FROM everybody)
                        OR (c.is_direct AND c.user_id IN (SELECT id FROM everybody))
                        OR m.id IN (SELECT r.reply_id FROM requests r WHERE r.user_id IN (SELECT id FROM everybody))),
        'requests', (SELECT json_agg(json_build_object('id', r.id, 'channel', r.channel, 'at', r.created_at, 'status', r.status,
                                                       'reason', r.status_reason, 'model', r.model_used, 'ip', r.ip,
                                                       'prompt_tokens', r.prompt_tokens, 'completion_tokens', r.completion_tokens,
                                                       'cost', r.total_cost) ORDER BY r.id)
                     FROM requests r WHERE r.user_id IN (SELECT id FROM everybody)),
        'votes', (SELECT json_agg(json_build_object('request', f.request_id, 'vote', f.vote, 'at', f.updated_at))
                  FROM feedback f JOIN identities d ON d.channel_type = f.channel_type AND d.channel_user_id = f.channel_user_id
                  WHERE d.user_id IN (SELECT id FROM everybody)))
$$;
