-- Configurations that admins change at run time: models, routes, budgets, chat. Each change is a version; the active one of
-- a type stands over what the file says of it, in all processes. None active: the file decides.

CREATE TABLE configurations (
    id           uuid PRIMARY KEY,
    config_type  text NOT NULL CHECK (config_type ~ '^[a-z][a-z_]*$'),
    version      integer NOT NULL CHECK (version > 0), -- counts a type's
    content      jsonb NOT NULL,      -- what stands in the file under the type's name; secrets are references
    note         text NOT NULL DEFAULT '',
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    activated_at timestamptz,         -- the last time; NULL: never
    is_active    boolean NOT NULL DEFAULT false,
    UNIQUE (config_type, version)
);
CREATE UNIQUE INDEX configurations_active ON configurations (config_type) WHERE is_active;

-- The history is what happened: a version never becomes another one.
CREATE FUNCTION configurations_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a version of a configuration does not change: make another one'
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER configurations_refuse BEFORE UPDATE OF id, config_type, version, content, created_by, created_at
    ON configurations FOR EACH ROW EXECUTE FUNCTION configurations_refuse();
CREATE TRIGGER configurations_keep BEFORE DELETE OR TRUNCATE
    ON configurations FOR EACH STATEMENT EXECUTE FUNCTION configurations_refuse();

CREATE FUNCTION config_json(c configurations) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('type', c.config_type, 'version', c.version, 'is_active', c.is_active, 'note', c.note,
        'created_by', c.created_by, 'created_at', c.created_at, 'activated_at', c.activated_at, 'content', c.content,
        'id', c.id)
$$;

-- One at a time, a type.
CREATE FUNCTION config_lock(a_type text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtext('parley.configurations'), hashtext(a_type))
$$;

CREATE FUNCTION config_active(a_type text) RETURNS configurations LANGUAGE sql STABLE AS $$
    SELECT * FROM configurations WHERE config_type = a_type AND is_active
$$;

-- A version by its number, or the one that is "active".
CREATE FUNCTION config_find(a_type text, a_version text) RETURNS configurations LANGUAGE sql STABLE AS $$
    SELECT * FROM configurations
    WHERE config_type = a_type AND (version::text = a_version OR (a_version = 'active' AND is_active))
$$;

-- What a roll back goes to: the newest version before the active one that was in force once.
CREATE FUNCTION config_before(a_type text) RETURNS configurations LANGUAGE sql STABLE AS $$
    SELECT c.* FROM configurations c, config_active(a_type) a
    WHERE c.config_type = a_type AND c.version < a.version AND c.activated_at IS NOT NULL
    ORDER BY c.version DESC LIMIT 1
$$;

-- Version a_version of the type is in force; 0: the file. If-Match names the version that was in force until now, or 0.
CREATE FUNCTION config_switch(a_actor jsonb, a_args jsonb, a_type text, a_version integer) RETURNS configurations
LANGUAGE plpgsql AS $$
DECLARE
    old   configurations := config_active(a_type);
    fresh configurations;
BEGIN
    PERFORM admin_match(a_args, coalesce(old.version, 0));
    IF coalesce(old.version, 0) = a_version THEN
        RETURN old;
    END IF;
    UPDATE configurations SET is_active = false WHERE config_type = a_type AND is_active;
    UPDATE configurations SET is_active = true, activated_at = clock_timestamp()
    WHERE config_type = a_type AND version = a_version RETURNING * INTO fresh;
    IF fresh.id IS NULL AND a_version > 0 THEN
        PERFORM admin_fail(404, 'version', format('%s has no version %s', a_type, a_version));
    END IF;
    PERFORM audit(a_actor, CASE WHEN a_version > 0 THEN 'config.activated' ELSE 'config.deactivated' END, 'config', a_type,
        CASE WHEN old.id IS NOT NULL THEN jsonb_build_object('version', old.version, 'content', old.content) END,
        CASE WHEN fresh.id IS NOT NULL THEN jsonb_build_object('version', fresh.version, 'content', fresh.content) END);
    RETURN fresh;
END
$$;

CREATE FUNCTION admin_configs_create(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    c configurations;
    t text := a_args ->> 'type';
BEGIN
    PERFORM config_lock(t);
    INSERT INTO configurations (id, config_type, version, content, note, created_by)
    SELECT uuid_v7(), t, coalesce(max(version), 0) + 1, a_args -> 'content', coalesce(a_args ->> 'note', ''),
           coalesce(a_actor ->> 'name', '')
    FROM configurations WHERE config_type = t
    RETURNING * INTO c;
    PERFORM audit(a_actor, 'config.created', 'config', t, NULL,
        jsonb_build_object('version', c.version, 'content', c.content, 'note', c.note));
    IF (a_args ->> 'activate')::boolean THEN
        c := config_switch(a_actor, a_args, t, c.version);
    END IF;
    RETURN config_json(c);
END
$$;

CREATE FUNCTION admin_configs_activate(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    PERFORM config_lock(a_args ->> 'type');
    RETURN config_json(config_switch(a_actor, a_args, a_args ->> 'type', (a_args ->> 'version')::integer));
END
$$;

CREATE FUNCTION admin_configs_rollback(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    c configurations;
BEGIN
    PERFORM config_lock(a_args ->> 'type');
    c := config_before(a_args ->> 'type');
    IF c.id IS NULL THEN
        PERFORM admin_fail(409, '', 'no older version was ever active: deactivate goes back to the file');
    END IF;
    RETURN config_json(config_switch(a_actor, a_args, a_args ->> 'type', c.version));
END
$$;

CREATE FUNCTION admin_configs_deactivate(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    PERFORM config_lock(a_args ->> 'type');
    PERFORM config_switch(a_actor, a_args, a_args ->> 'type', 0);
    RETURN NULL;
END
$$;

-- A content as its single settings: "gpt.base_url" of an entry with a name, "#2.day" of one without; which entry is first,
-- for that is what answers by default.
CREATE FUNCTION config_settings(a_content jsonb) RETURNS TABLE (setting text, value jsonb) LANGUAGE sql IMMUTABLE AS $$
    SELECT o.key, o.value FROM jsonb_each(CASE jsonb_typeof(a_content) WHEN 'object' THEN a_content END) o
    UNION ALL
    SELECT coalesce(nullif(e.entry ->> 'name', ''), '#' || e.n) || '.' || s.key, s.value
    FROM jsonb_array_elements(CASE jsonb_typeof(a_content) WHEN 'array' THEN a_content END)
         WITH ORDINALITY AS e (entry, n),
         jsonb_each(CASE jsonb_typeof(e.entry) WHEN 'object' THEN e.entry END) s
    UNION ALL
    SELECT '(first)', a_content -> 0 -> 'name'
    WHERE jsonb_typeof(a_content) = 'array' AND a_content -> 0 ? 'name'
$$;

-- Setting by setting, what differs. NULL: it is not there.
CREATE FUNCTION config_diff(a_old jsonb, a_new jsonb) RETURNS TABLE (setting text, old jsonb, new jsonb)
LANGUAGE sql IMMUTABLE AS $$
    SELECT setting, o.value, n.value
    FROM config_settings(a_old) o FULL JOIN config_settings(a_new) n USING (setting)
    WHERE o.value IS DISTINCT FROM n.value
$$;
