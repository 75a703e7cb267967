-- Keys of the admin API, and the record of what is done with them.

CREATE TABLE api_keys (
    id                  uuid PRIMARY KEY,
    key_hash            text NOT NULL UNIQUE, -- HMAC by admin.secret, which is not in this database
    key_prefix          text NOT NULL UNIQUE,
    name                text NOT NULL,
    user_id             uuid REFERENCES users ON DELETE CASCADE, -- whose it is; NULL: nobody's in a chat
    role                text NOT NULL CHECK (role IN ('admin', 'manager', 'user', 'service')),
    permissions         jsonb NOT NULL DEFAULT '[]', -- scopes: "flags:read", "flags:*", "*"
    rate_limit_override integer CHECK (rate_limit_override > 0), -- requests a minute
    budget_day          numeric(14, 8) CHECK (budget_day >= 0), -- US dollars; NULL: no limit of its own
    budget_month        numeric(14, 8) CHECK (budget_month >= 0),
    is_active           boolean NOT NULL DEFAULT true,
    expires_at          timestamptz,
    last_used_at        timestamptz,
    metadata            jsonb NOT NULL DEFAULT '{}',
    version             integer NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_key_audit_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    api_key_id uuid REFERENCES api_keys ON DELETE SET NULL,
    action     text NOT NULL, -- used, refused, created, changed, revoked
    endpoint   text NOT NULL DEFAULT '',
    ip_address text NOT NULL DEFAULT '',
    user_agent text NOT NULL DEFAULT '',
    request_id text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_key_audit_log_key ON api_key_audit_log (api_key_id, id);
CREATE INDEX api_key_audit_log_age ON api_key_audit_log (created_at);

-- Who guesses keys: an address, or a key's prefix.
CREATE TABLE key_guesses (
    who        text PRIMARY KEY,
    tries      integer NOT NULL,
    until      timestamptz NOT NULL -- then it is forgotten
);

-- An id for rows that are made here: sorts by time, like the program's.
CREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT (left(replace(uuid_v7_floor(clock_timestamp())::text, '-', ''), 13) || right(replace(gen_random_uuid()::text, '-', ''), 19))::uuid
$$;

-- What happened, by whom: only ever longer. Each row's hash is over its content and the hash before it.
CREATE TABLE audit_logs (
    seq           bigint PRIMARY KEY, -- without gaps
    user_id       uuid,               -- no foreign keys: a row outlives what it speaks of
    api_key_id    uuid,
    actor         text NOT NULL,
    event_type    text NOT NULL,
    resource_type text NOT NULL,
    resource_id   text NOT NULL,
    old_values    jsonb,
    new_values    jsonb,
    ip_address    text NOT NULL,
    user_agent    text NOT NULL,
    created_at    timestamptz NOT NULL,
    previous_hash text NOT NULL,
    hash          text NOT NULL
);
CREATE INDEX audit_logs_resource ON audit_logs (resource_type, resource_id, seq);
CREATE INDEX audit_logs_event ON audit_logs (event_type, seq);

-- How many there are and the last one's hash: without it nobody would see that the newest rows were taken away.
CREATE TABLE audit_head (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    seq      bigint NOT NULL,
    hash     text NOT NULL
);
INSERT INTO audit_head (seq, hash) VALUES (0, repeat('0', 64));

-- The bytes that are hashed. Whoever verifies builds the same from the row: each column as PostgreSQL prints it, with its
-- length before it, so that nothing can move from one column to the next.
CREATE FUNCTION audit_text(l audit_logs) RETURNS text LANGUAGE sql STABLE SET timezone = 'UTC' AS $$
    SELECT string_agg(coalesce(octet_length(v) || ':' || v, '-'), ',' ORDER BY n)
    FROM unnest(ARRAY[l.seq::text, l.user_id::text, l.api_key_id::text, l.actor, l.event_type, l.resource_type,
        l.resource_id, l.old_values::text, l.new_values::text, l.ip_address, l.user_agent, l.created_at::text,
        l.previous_hash]) WITH ORDINALITY AS t (v, n)
$$;

CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head audit_head;
BEGIN
    SELECT * INTO head FROM audit_head FOR UPDATE; -- one at a time, also across processes
    NEW.seq := head.seq + 1;
    NEW.created_at := clock_timestamp();
    NEW.previous_hash := head.hash;
    NEW.hash := encode(sha256(convert_to(audit_text(NEW), 'UTF8')), 'hex');
    UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash;
    RETURN NEW;
END
$$;
CREATE TRIGGER audit_chain BEFORE INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION audit_chain();

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_logs only grows' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- One line of the record. actor: what gateway/admin gives to every function: key, user, role, name, ip, user_agent.
CREATE FUNCTION audit(a_actor jsonb, a_event text, a_type text, a_id text, a_old jsonb, a_new jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO audit_logs (user_id, api_key_id, actor, event_type, resource_type, resource_id, old_values, new_values,
                            ip_address, user_agent)
    VALUES ((a_actor ->> 'user')::uuid, (a_actor ->> 'key')::uuid, coalesce(a_actor ->> 'name', ''), a_event, a_type,
            coalesce(a_id, ''), a_old, a_new, coalesce(a_actor ->> 'ip', ''), coalesce(a_actor ->> 'user_agent', ''))
$$;

-- Ends the operation with a status of HTTP: 404, 409, 422 ... field: which argument was wrong, or ''.
CREATE FUNCTION admin_fail(a_status integer, a_field text, a_text text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'PA' || a_status, MESSAGE = a_text, COLUMN = a_field;
END
$$;

-- If-Match: nobody overwrites what they have not seen.
CREATE FUNCTION admin_match(a_args jsonb, a_version integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF a_args ->> 'if_match' NOT IN ('*', a_version::text) THEN
        PERFORM admin_fail(412, 'if_match', format('it is at version %s now: look at it again', a_version));
    END IF;
END
$$;

-- POST with an Idempotency-Key: the same key gives the same answer, for a day.
CREATE TABLE admin_answers (
    api_key_id  uuid NOT NULL REFERENCES api_keys ON DELETE CASCADE,
    name        text NOT NULL,
    fingerprint text NOT NULL, -- of operation and arguments
    answer      jsonb,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (api_key_id, name)
);
CREATE INDEX admin_answers_age ON admin_answers (created_at);

-- Run admin_<operation>, once a name.
CREATE FUNCTION admin_write(a_actor jsonb, a_function text, a_args jsonb, a_name text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    print  text := encode(sha256(convert_to(a_function || ' ' || a_args::text, 'UTF8')), 'hex');
    known  admin_answers;
    result jsonb;
BEGIN
    IF a_name IS NOT NULL THEN
        DELETE FROM admin_answers WHERE created_at < now() - interval '1 day';
        INSERT INTO admin_answers (api_key_id, name, fingerprint) VALUES ((a_actor ->> 'key')::uuid, a_name, print)
        ON CONFLICT DO NOTHING; -- waits for one under way
        IF NOT FOUND THEN
            SELECT * INTO known FROM admin_answers WHERE api_key_id = (a_actor ->> 'key')::uuid AND name = a_name;
            IF known.fingerprint <> print THEN
                PERFORM admin_fail(422, 'Idempotency-Key', 'this key was used for another request');
            END IF;
            RETURN known.answer;
        END IF;
    END IF;
    EXECUTE format('SELECT %I($1, $2)', a_function) INTO result USING a_actor, a_args;
    UPDATE admin_answers SET answer = result WHERE api_key_id = (a_actor ->> 'key')::uuid AND name = a_name;
    RETURN result;
END
$$;

-- May this key do that? Each use is noted. A right key from a locked address has to wait as well; a right key whose prefix
-- others guess at does not: else anybody who has seen a prefix could lock its owner out.
CREATE FUNCTION api_key_enter(a_hash text, a_prefix text, a_scope text, a_endpoint text, a_ip text, a_user_agent text)
RETURNS TABLE (verdict text, actor jsonb, per_minute integer, wait_s integer) LANGUAGE plpgsql AS $$
DECLARE
    k     api_keys;
    guess text;
    tried key_guesses;
BEGIN
    wait_s := 0;
    SELECT * INTO tried FROM key_guesses g WHERE g.who = 'ip:' || a_ip AND g.until > now();
    SELECT * INTO k FROM api_keys WHERE key_hash = a_hash;
    IF tried.tries >= 10 THEN
        verdict := 'locked';
        wait_s := ceil(extract(epoch FROM tried.until - now()));
    ELSIF k.id IS NULL THEN
        verdict := 'unknown';
        DELETE FROM key_guesses g WHERE g.until < now();
        FOREACH guess IN ARRAY ARRAY['ip:' || a_ip, 'key:' || a_prefix] LOOP
            CONTINUE WHEN guess = 'key:' AND a_prefix = '';
            INSERT INTO key_guesses AS g (who, tries, until) VALUES (guess, 1, now() + interval '15 minutes')
            ON CONFLICT (who) DO UPDATE SET tries = g.tries + 1, until = excluded.until
            RETURNING * INTO tried;
            IF tried.tries >= 10 THEN
                verdict := 'locked';
                wait_s := 900;
            END IF;
            IF tried.tries = 10 AND guess LIKE 'key:_%' THEN
                PERFORM audit(jsonb_build_object('name', 'somebody', 'ip', a_ip, 'user_agent', a_user_agent),
                              'key.guessed', 'key', a_prefix, NULL, NULL);
            END IF;
        END LOOP;
    ELSIF NOT k.is_active THEN
        verdict := 'revoked';
    ELSIF k.expires_at <= now() THEN
        verdict := 'expired';
    ELSIF NOT k.permissions ?| ARRAY['*', a_scope, split_part(a_scope, ':', 1) || ':*'] THEN
        verdict := 'scope';
    ELSE
        verdict := 'ok';
        -- To the minute: else all that one key does would queue on its row.
        UPDATE api_keys SET last_used_at = now()
        WHERE id = k.id AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');
    END IF;
    per_minute := coalesce(k.rate_limit_override, 0);
    actor := jsonb_build_object('key', k.id, 'user', k.user_id, 'role', k.role, 'name', k.name, 'ip', a_ip,
                                'user_agent', a_user_agent, 'permissions', k.permissions);
    INSERT INTO api_key_audit_log (api_key_id, action, endpoint, ip_address, user_agent)
    VALUES (k.id, CASE verdict WHEN 'ok' THEN 'used' ELSE 'refused: ' || verdict END, a_endpoint, a_ip, a_user_agent);
    RETURN NEXT;
END
$$;

-- What a role may, unless the key says otherwise.
CREATE FUNCTION role_permissions(a_role text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE a_role
        WHEN 'admin' THEN '["*"]'
        WHEN 'manager' THEN '["flags:*", "experiments:*", "channels:*", "conversations:*", "deliveries:*", "hooks:read",
                              "webhooks:read", "people:read", "models:read", "metrics:read", "configs:read", "audit:read",
                              "sessions:read", "budgets:read"]'
        ELSE '[]'
    END::jsonb
$$;

CREATE FUNCTION key_json(k api_keys) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', k.id, 'prefix', k.key_prefix, 'name', k.name, 'role', k.role,
        'permissions', k.permissions, 'is_active', k.is_active, 'expires_at', k.expires_at,
        'last_used_at', k.last_used_at, 'rate_limit_override', k.rate_limit_override,
        'budget_day', k.budget_day::text, 'budget_month', k.budget_month::text, 'user_id', k.user_id,
        'metadata', k.metadata, 'version', k.version, 'created_at', k.created_at)
$$;

CREATE FUNCTION key_note(a_actor jsonb, a_key uuid, a_action text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO api_key_audit_log (api_key_id, action, endpoint, ip_address, user_agent)
    VALUES (a_key, a_action, coalesce(a_actor ->> 'name', ''), coalesce(a_actor ->> 'ip', ''),
            coalesce(a_actor ->> 'user_agent', ''))
$$;

-- Nobody hands out what they may not do themselves. Without permissions in the actor it is the owner of the database.
CREATE FUNCTION key_covers(a_actor jsonb, a_wanted jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    scope text;
BEGIN
    IF jsonb_typeof(a_wanted) <> 'array' THEN
        PERFORM admin_fail(422, 'permissions', 'a list of scopes');
    END IF;
    FOR scope IN SELECT jsonb_array_elements_text(a_wanted) LOOP
        IF scope !~ '^([a-z_]+:([a-z_]+|\*)|\*)$' THEN
            PERFORM admin_fail(422, 'permissions', format('"%s" is no scope: like flags:read, flags:* or *', left(scope, 60)));
        END IF;
        IF a_actor ? 'permissions'
           AND NOT a_actor -> 'permissions' ?| ARRAY['*', scope, split_part(scope, ':', 1) || ':*'] THEN
            PERFORM admin_fail(403, 'permissions', format('your key has not got %s itself', scope));
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION admin_keys_create(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    k api_keys;
BEGIN
    k.permissions := coalesce(a_args -> 'permissions', role_permissions(a_args ->> 'role'));
    PERFORM key_covers(a_actor, k.permissions);
    IF (a_args ->> 'expires_at')::timestamptz <= now() THEN
        PERFORM admin_fail(422, 'expires_at', 'this time is over');
    END IF;
    IF a_args ? 'user_id' AND NOT EXISTS (SELECT 1 FROM users WHERE id = (a_args ->> 'user_id')::uuid) THEN
        PERFORM admin_fail(422, 'user_id', 'there is no such person');
    END IF;
    INSERT INTO api_keys (id, key_hash, key_prefix, name, user_id, role, permissions, rate_limit_override, budget_day,
                          budget_month, expires_at, metadata)
    VALUES (uuid_v7(), a_args ->> 'key_hash', a_args ->> 'key_prefix', a_args ->> 'name',
            (a_args ->> 'user_id')::uuid, a_args ->> 'role', k.permissions, (a_args ->> 'rate_limit_override')::integer,
            (a_args ->> 'budget_day')::numeric, (a_args ->> 'budget_month')::numeric, (a_args ->> 'expires_at')::timestamptz, coalesce(a_args -> 'metadata', '{}'))
    RETURNING * INTO k;
    PERFORM key_note(a_actor, k.id, 'created');
    PERFORM audit(a_actor, 'key.created', 'key', k.id::text, NULL, key_json(k));
    RETURN key_json(k);
END
$$;

CREATE FUNCTION key_find(a_args jsonb) RETURNS api_keys LANGUAGE plpgsql AS $$
DECLARE
    k api_keys;
BEGIN
    SELECT * INTO k FROM api_keys WHERE id::text = a_args ->> 'id' OR key_prefix = a_args ->> 'id' FOR UPDATE;
    IF k.id IS NULL THEN
        PERFORM admin_fail(404, 'id', 'there is no such key');
    END IF;
    PERFORM admin_match(a_args, k.version);
    RETURN k;
END
$$;

CREATE FUNCTION admin_keys_change(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    k   api_keys := key_find(a_args);
    old jsonb := key_json(k);
BEGIN
    IF a_args ? 'permissions' THEN
        PERFORM key_covers(a_actor, a_args -> 'permissions');
    END IF;
    UPDATE api_keys SET
        name = coalesce(a_args ->> 'name', name),
        permissions = coalesce(a_args -> 'permissions', permissions),
        expires_at = CASE WHEN a_args ? 'expires_at' THEN (a_args ->> 'expires_at')::timestamptz ELSE expires_at END,
        rate_limit_override = CASE WHEN a_args ? 'rate_limit_override' THEN (a_args ->> 'rate_limit_override')::integer
                              ELSE rate_limit_override END,
        budget_day = CASE WHEN a_args ? 'budget_day' THEN (a_args ->> 'budget_day')::numeric ELSE budget_day END,
        budget_month = CASE WHEN a_args ? 'budget_month' THEN (a_args ->> 'budget_month')::numeric ELSE budget_month END,
        metadata = coalesce(a_args -> 'metadata', metadata),
        version = version + 1
    WHERE id = k.id RETURNING * INTO k;
    PERFORM key_note(a_actor, k.id, 'changed');
    PERFORM audit(a_actor, 'key.changed', 'key', k.id::text, old, key_json(k));
    RETURN key_json(k);
END
$$;

CREATE FUNCTION admin_keys_revoke(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    k   api_keys := key_find(a_args);
    old jsonb := key_json(k);
BEGIN
    UPDATE api_keys SET is_active = false, version = version + 1 WHERE id = k.id RETURNING * INTO k;
    PERFORM key_note(a_actor, k.id, 'revoked');
    PERFORM audit(a_actor, 'key.revoked', 'key', k.id::text, old, key_json(k));
    RETURN key_json(k);
END
$$;

-- Looking is planned anew each time, with what is asked for in sight and all ways open. The sessions of the program are set up
-- for statements that touch a few rows by their index and are planned once: lists with optional filters and searches are not.
CREATE FUNCTION admin_read(a_sql text, a_actor jsonb, a_args jsonb) RETURNS SETOF jsonb LANGUAGE plpgsql
SET enable_bitmapscan = on SET enable_material = on SET enable_hashjoin = on SET enable_mergejoin = on
SET plan_cache_mode = auto AS $$
BEGIN
    RETURN QUERY EXECUTE a_sql USING a_actor, a_args;
END
$$;
