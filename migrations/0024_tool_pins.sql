-- What tools are said to do, as it was first seen or has been accepted since. Another definition is kept beside it and withheld
-- from models until an admin accepts it.
CREATE TABLE tool_pins (
    server          text NOT NULL,  -- its name in the configuration
    tool            text NOT NULL,  -- what the server calls it
    definition_hash text NOT NULL,  -- core/tool/catalog.c says of what
    definition      jsonb NOT NULL, -- description and schema, both texts, as models see them
    first_seen_at   timestamptz NOT NULL DEFAULT now(),
    offered_hash    text,           -- of what the server says now; NULL: nothing else
    offered         jsonb,
    offered_at      timestamptz,
    accepted_at     timestamptz,    -- NULL: as it was first seen
    accepted_by     text NOT NULL DEFAULT '',
    version         integer NOT NULL DEFAULT 1,
    PRIMARY KEY (server, tool)
);

-- Grows with each change, and is never used twice, also not after a restore: processes compare it.
CREATE TABLE tool_pins_state (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    revision bigint NOT NULL
);
INSERT INTO tool_pins_state (revision) VALUES (1);

-- The row is also the lock: who changes pins does it alone.
CREATE FUNCTION tool_pins_touch() RETURNS void LANGUAGE sql AS $$
    UPDATE tool_pins_state SET revision = greatest(revision + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
$$;

-- ---- for the processes ----

CREATE FUNCTION tools_told(a_tools jsonb) RETURNS TABLE (tool text, hash text, definition jsonb) LANGUAGE sql IMMUTABLE AS $$
    SELECT t.name, t.hash, jsonb_build_object('description', t.description, 'schema', t.schema)
    FROM jsonb_to_recordset(a_tools) AS t (name text, hash text, description text, schema text)
$$;

-- A server says what its tools are: [{name, hash, description, schema}]. What nobody has seen is kept, what differs is noted, what
-- is again as it was is no longer offered. A server that invents names for ever gets no more than 1024.
CREATE FUNCTION tools_seen(a_server text, a_tools jsonb) RETURNS SETOF tool_pins LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tool_pins_touch();
    INSERT INTO tool_pins (server, tool, definition_hash, definition)
    SELECT a_server, t.tool, t.hash, t.definition FROM tools_told(a_tools) t
    WHERE NOT EXISTS (SELECT 1 FROM tool_pins p WHERE p.server = a_server AND p.tool = t.tool)
    ORDER BY t.tool LIMIT greatest(0, 1024 - (SELECT count(*) FROM tool_pins p WHERE p.server = a_server));
    UPDATE tool_pins p SET offered_hash = t.hash, offered = t.definition, offered_at = now(), version = version + 1
    FROM tools_told(a_tools) t
    WHERE p.server = a_server AND p.tool = t.tool AND t.hash NOT IN (p.definition_hash, coalesce(p.offered_hash, ''));
    UPDATE tool_pins p SET offered_hash = NULL, offered = NULL, offered_at = NULL, version = version + 1
    FROM tools_told(a_tools) t
    WHERE p.server = a_server AND p.tool = t.tool AND t.hash = p.definition_hash AND p.offered_hash IS NOT NULL;
    RETURN QUERY SELECT p.* FROM tool_pins p JOIN tools_told(a_tools) t ON p.tool = t.tool WHERE p.server = a_server;
END
$$;

-- ---- for admins ----

CREATE FUNCTION tool_pin_json(p tool_pins) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('name', p.server || '/' || p.tool, 'server', p.server, 'tool', p.tool,
        'is_changed', p.offered_hash IS NOT NULL, 'definition', p.definition, 'offered', p.offered,
        'first_seen_at', p.first_seen_at, 'offered_at', p.offered_at, 'accepted_at', p.accepted_at,
        'accepted_by', p.accepted_by, 'version', p.version)
$$;

-- What a server says now is what its tools are, from now on. args: server, tool (absent: all of its tools that changed)
CREATE FUNCTION admin_tools_accept(actor jsonb, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    named text := args ->> 'tool';
    p     tool_pins;
    names jsonb := '[]';
BEGIN
    PERFORM tool_pins_touch();
    IF NOT EXISTS (SELECT 1 FROM tool_pins t WHERE t.server = args ->> 'server' AND t.tool = coalesce(named, t.tool)) THEN
        PERFORM admin_fail(404, CASE WHEN named IS NULL THEN 'server' ELSE 'tool' END, 'no such tool was ever seen');
    END IF;
    FOR p IN SELECT * FROM tool_pins t WHERE t.server = args ->> 'server' AND t.tool = coalesce(named, t.tool)
        AND t.offered_hash IS NOT NULL ORDER BY t.tool
    LOOP
        IF named IS NOT NULL THEN
            PERFORM admin_match(args, p.version);
        END IF;
        UPDATE tool_pins t SET definition_hash = p.offered_hash, definition = p.offered, accepted_at = now(),
            accepted_by = coalesce(actor ->> 'name', ''), offered_hash = NULL, offered = NULL, offered_at = NULL,
            version = p.version + 1
        WHERE t.server = p.server AND t.tool = p.tool;
        PERFORM audit(actor, 'tool.accepted', 'tool', p.server || '/' || p.tool, p.definition, p.offered);
        names := names || to_jsonb(p.tool);
    END LOOP;
    IF names = '[]' THEN
        PERFORM admin_fail(409, '', 'nothing of it has changed');
    END IF;
    RETURN jsonb_build_object('server', args ->> 'server', 'accepted', names);
END
$$;
