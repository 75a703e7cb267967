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
