-- Feature flags: what an admin switches while the program runs.

-- What flags there are, as the newest program knows them: written by each process at its start. Flags are never taken
-- out, because an older process may still look at them.
CREATE TABLE flag_registry (
    name       text PRIMARY KEY,
    type       text NOT NULL CHECK (type IN ('boolean', 'number', 'text')),
    def        jsonb, -- NULL: as configured
    help       text NOT NULL,
    words      jsonb, -- a text is one of these; NULL: any
    min        bigint,
    max        bigint, -- of a number, or bytes of a text
    reach      text NOT NULL CHECK (reach IN ('anybody', 'place', 'global')), -- what rules it may have
    program    text NOT NULL, -- the version that wrote the row
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION flags_register(a_list jsonb, a_program text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO flag_registry AS r (name, type, def, help, words, min, max, reach, program)
    SELECT name, type, def, help, words, min, max, reach, a_program
    FROM jsonb_to_recordset(a_list) AS f (name text, type text, def jsonb, help text, words jsonb, min bigint, max bigint,
                                          reach text)
    ORDER BY name
    ON CONFLICT (name) DO UPDATE SET type = excluded.type, def = excluded.def, help = excluded.help, words = excluded.words,
        min = excluded.min, max = excluded.max, reach = excluded.reach, program = excluded.program, updated_at = now()
    WHERE string_to_array(excluded.program, '.')::int[] >= string_to_array(r.program, '.')::int[]
      AND (r.type, r.def, r.help, r.words, r.min, r.max, r.reach, r.program) IS DISTINCT FROM
          (excluded.type, excluded.def, excluded.help, excluded.words, excluded.min, excluded.max, excluded.reach,
           excluded.program)
$$;

-- Those that somebody has touched. A row stays for ever, so that a version is never used twice.
CREATE TABLE feature_flags (
    name       text PRIMARY KEY,
    value      jsonb, -- for everybody whom no rule is about; NULL: the default
    is_killed  boolean NOT NULL DEFAULT false,
    version    integer NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL DEFAULT ''
);

-- A rule holds where all that it names is so. The most specific one decides: person, thread, place, workspace, channel,
-- type of channel, everybody.
CREATE TABLE feature_flag_rules (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    flag         text NOT NULL REFERENCES feature_flags ON DELETE CASCADE,
    person       uuid REFERENCES users ON DELETE CASCADE,
    channel_type text CHECK (channel_type <> ''), -- NULL: any
    channel      text CHECK (channel <> ''),      -- its name in the configuration
    workspace    text CHECK (workspace <> ''),
    place        text CHECK (place <> ''),
    thread       text CHECK (thread <> ''),
    value        jsonb NOT NULL,
    percent      numeric(5, 2) NOT NULL DEFAULT 100 CHECK (percent BETWEEN 0 AND 100),
    unit         text NOT NULL DEFAULT 'person' CHECK (unit IN ('person', 'place')), -- what the percentage is of
    starts_at    timestamptz,
    ends_at      timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (ends_at > starts_at)
);
CREATE INDEX feature_flag_rules_flag ON feature_flag_rules (flag, id);
CREATE INDEX feature_flag_rules_person ON feature_flag_rules (person) WHERE person IS NOT NULL;

-- Grows with each change, and is never used twice, also not after a restore: processes compare it.
CREATE TABLE flags_state (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    revision bigint NOT NULL
);
INSERT INTO flags_state (revision) VALUES (1);

CREATE FUNCTION flags_touch() RETURNS void LANGUAGE sql AS $$
    UPDATE flags_state SET revision = greatest(revision + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
$$;

-- Who is linked with another person takes their rules along; the older ones come first.
CREATE FUNCTION keep_flag_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE feature_flag_rules SET person = NEW.merged_into WHERE person = NEW.id;
    IF FOUND THEN
        PERFORM flags_touch();
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_flag_rules AFTER UPDATE OF merged_into ON users FOR EACH ROW
    WHEN (NEW.merged_into IS NOT NULL) EXECUTE FUNCTION keep_flag_rules();

-- ---- for the processes ----

CREATE FUNCTION flag_ms(a timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (extract(epoch FROM a) * 1000)::bigint
$$;

-- All flags as core/flag/rule.c reads them.
CREATE FUNCTION flags_document() RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(f.name, jsonb_strip_nulls(jsonb_build_object(
        'killed', f.is_killed, 'value', f.value, 'rules', (
            SELECT jsonb_agg(jsonb_build_object('id', r.id, 'person', r.person, 'channel_type', r.channel_type,
                'channel', r.channel, 'workspace', r.workspace, 'place', r.place, 'thread', r.thread, 'value', r.value,
                'share', (r.percent * 100)::int, 'by_place', r.unit = 'place', 'from_ms', flag_ms(r.starts_at),
                'until_ms', flag_ms(r.ends_at)) ORDER BY r.id)
            FROM feature_flag_rules r WHERE r.flag = f.name)))), '{}')
    FROM feature_flags f
$$;

-- ---- for admins ----

-- A flag as the admin API answers it; NULL: there is none of this name.
CREATE FUNCTION flag_row(a_name text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('name', g.name, 'type', g.type, 'value', f.value, 'default', g.def,
        'is_killed', coalesce(f.is_killed, false), 'rules', coalesce((
            SELECT jsonb_agg(jsonb_build_object('id', r.id, 'person', r.person, 'channel_type', r.channel_type,
                'channel', r.channel, 'workspace', r.workspace, 'place', r.place, 'thread', r.thread, 'value', r.value,
                'percent', r.percent, 'unit', r.unit, 'starts_at', r.starts_at, 'ends_at', r.ends_at,
                'created_at', r.created_at) ORDER BY r.id)
            FROM feature_flag_rules r WHERE r.flag = g.name), '[]'),
        'help', g.help, 'words', g.words, 'min', g.min, 'max', g.max, 'reach', g.reach,
        'version', coalesce(f.version, 0), 'updated_at', f.updated_at, 'updated_by', coalesce(f.updated_by, ''))
    FROM flag_registry g LEFT JOIN feature_flags f ON f.name = g.name WHERE g.name = a_name
$$;

-- What a change is about goes into the record without the registry's words.
CREATE FUNCTION flag_record(a_row jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('value', a_row -> 'value', 'is_killed', a_row -> 'is_killed', 'rules', a_row -> 'rules')
$$;

-- Begin a change: refuse unknown names and lost updates, and let nobody else change flags meanwhile.
CREATE FUNCTION flag_begin(a_args jsonb) RETURNS flag_registry LANGUAGE plpgsql AS $$
DECLARE
    reg  flag_registry;
    seen integer;
BEGIN
    SELECT * INTO reg FROM flag_registry WHERE name = a_args ->> 'name';
    IF NOT FOUND THEN
        PERFORM admin_fail(404, 'name', format('there is no flag named %s', a_args ->> 'name'));
    END IF;
    PERFORM flags_touch();
    INSERT INTO feature_flags (name) VALUES (reg.name) ON CONFLICT DO NOTHING;
    SELECT version INTO seen FROM feature_flags WHERE name = reg.name FOR UPDATE;
    PERFORM admin_match(a_args, seen);
    RETURN reg;
END
$$;

-- End it: the new version, and its line in the record.
CREATE FUNCTION flag_end(a_actor jsonb, a_event text, a_name text, a_before jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    after jsonb;
BEGIN
    UPDATE feature_flags SET version = version + 1, updated_at = now(), updated_by = coalesce(a_actor ->> 'name', '')
    WHERE name = a_name;
    after := flag_row(a_name);
    PERFORM audit(a_actor, a_event, 'flag', a_name, flag_record(a_before), flag_record(after));
    RETURN after;
END
$$;

-- The value as it is kept: 5.0 is 5.
CREATE FUNCTION flag_check_value(a_flag flag_registry, a_value jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    n numeric;
BEGIN
    IF jsonb_typeof(a_value) IS DISTINCT FROM replace(a_flag.type, 'text', 'string') THEN
        PERFORM admin_fail(422, 'value', format('%s is a %s', a_flag.name, a_flag.type));
    END IF;
    IF a_flag.type = 'number' THEN
        n := a_value::text::numeric;
        IF n <> trunc(n) OR n < a_flag.min OR n > a_flag.max THEN
            PERFORM admin_fail(422, 'value', format('%s is a whole number from %s to %s', a_flag.name, a_flag.min,
                                                    a_flag.max));
        END IF;
        RETURN to_jsonb(n::bigint);
    ELSIF a_flag.type = 'text' AND a_flag.words IS NOT NULL THEN
        IF NOT a_flag.words ? (a_value #>> '{}') THEN
            PERFORM admin_fail(422, 'value', format('%s is one of %s', a_flag.name,
                (SELECT string_agg(w, ', ') FROM jsonb_array_elements_text(a_flag.words) AS t (w))));
        END IF;
    ELSIF a_flag.type = 'text' AND octet_length(a_value #>> '{}') NOT BETWEEN a_flag.min AND a_flag.max THEN
        PERFORM admin_fail(422, 'value', format('%s has %s to %s bytes', a_flag.name, a_flag.min, a_flag.max));
    END IF;
    RETURN a_value;
END
$$;

-- args: name, value (null: the default again)
CREATE FUNCTION admin_flags_set(actor jsonb, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    reg    flag_registry := flag_begin(args);
    before jsonb := flag_row(reg.name);
    v      jsonb := nullif(args -> 'value', 'null');
BEGIN
    IF NOT args ? 'value' THEN
        PERFORM admin_fail(422, 'value', 'value is missing');
    END IF;
    IF v IS NOT NULL THEN
        v := flag_check_value(reg, v);
    END IF;
    UPDATE feature_flags SET value = v WHERE name = reg.name;
    RETURN flag_end(actor, 'flag.changed', reg.name, before);
END
$$;

-- Off for everyone, at once, whatever the rules say; they stay for when it is over. args: name
CREATE FUNCTION admin_flags_kill(actor jsonb, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    reg    flag_registry := flag_begin(args);
    before jsonb := flag_row(reg.name);
BEGIN
    UPDATE feature_flags SET is_killed = true WHERE name = reg.name;
    RETURN flag_end(actor, 'flag.killed', reg.name, before);
END
$$;

CREATE FUNCTION admin_flags_revive(actor jsonb, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    reg    flag_registry := flag_begin(args);
    before jsonb := flag_row(reg.name);
BEGIN
    UPDATE feature_flags SET is_killed = false WHERE name = reg.name;
    RETURN flag_end(actor, 'flag.revived', reg.name, before);
END
$$;

-- As if nobody had ever touched it. args: name
CREATE FUNCTION admin_flags_reset(actor jsonb, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    reg    flag_registry := flag_begin(args);
    before jsonb := flag_row(reg.name);
BEGIN
    DELETE FROM feature_flag_rules r WHERE r.flag = reg.name;
    UPDATE feature_flags SET value = NULL, is_killed = false WHERE name = reg.name;
    RETURN flag_end(actor, 'flag.reset', reg.name, before);
END
$$;

-- What a rule may say, whatever it is about.
CREATE FUNCTION flag_check_rule(a_flag flag_registry, a_rule feature_flag_rules) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF a_flag.reach = 'global' THEN
        PERFORM admin_fail(422, 'name', format('%s is the same for everybody: it has no rules', a_flag.name));
    END IF;
    IF a_flag.reach = 'place' AND a_rule.person IS NOT NULL THEN
        PERFORM admin_fail(422, 'person', format('%s is the same for everybody in a place', a_flag.name));
    END IF;
    IF a_flag.reach = 'place' AND a_rule.unit = 'person' AND a_rule.percent < 100 THEN
        PERFORM admin_fail(422, 'unit', format('%s is the same for everybody in a place: roll it out by place', a_flag.name));
    END IF;
    IF a_rule.thread IS NOT NULL AND a_rule.place IS NULL THEN
        PERFORM admin_fail(422, 'place', 'a thread is in a place: name both');
    END IF;
    IF a_rule.ends_at <= a_rule.starts_at THEN
        PERFORM admin_fail(422, 'ends_at', 'it ends before it starts');
    END IF;
    IF a_rule.person IS NOT NULL AND NOT EXISTS (SELECT 1 FROM users WHERE id = a_rule.person) THEN
        PERFORM admin_fail(422, 'person', 'there is no such person');
    END IF;
END
$$;

CREATE FUNCTION flag_percent(a_args jsonb, a_otherwise numeric) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    p numeric := coalesce((a_args ->> 'percent')::numeric, a_otherwise);
BEGIN
    IF p NOT BETWEEN 0 AND 100 OR p <> round(p, 2) THEN
        PERFORM admin_fail(422, 'percent', 'a percentage is from 0 to 100, in steps of 0.01');
    END IF;
    RETURN p;
END
$$;

-- args: name, value, and what the rule is about: person, channel_type, channel, workspace, place, thread; percent, unit,
-- starts_at, ends_at
CREATE FUNCTION admin_flags_rules_add(actor jsonb, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    reg    flag_registry := flag_begin(args);
    before jsonb := flag_row(reg.name);
    rule   feature_flag_rules;
BEGIN
    rule := jsonb_populate_record(NULL::feature_flag_rules, jsonb_strip_nulls(args) - 'id' - 'percent');
    rule.flag := reg.name;
    rule.percent := flag_percent(args, 100);
    rule.unit := coalesce(rule.unit, CASE reg.reach WHEN 'place' THEN 'place' ELSE 'person' END);
    rule.person := coalesce((SELECT merged_into FROM users WHERE id = rule.person), rule.person);
    rule.value := flag_check_value(reg, rule.value);
    PERFORM flag_check_rule(reg, rule);
    IF (SELECT count(*) >= 2000 FROM feature_flag_rules r WHERE r.flag = reg.name) THEN
        PERFORM admin_fail(409, 'name', format('%s has 2000 rules, and no room for another', reg.name));
    END IF;
    INSERT INTO feature_flag_rules (flag, person, channel_type, channel, workspace, place, thread, value, percent, unit,
                                    starts_at, ends_at)
    VALUES (rule.flag, rule.person, rule.channel_type, rule.channel, rule.workspace, rule.place, rule.thread, rule.value,
            rule.percent, rule.unit, rule.starts_at, rule.ends_at);
    RETURN flag_end(actor, 'flag.rule_added', reg.name, before);
END
$$;

CREATE FUNCTION flag_find_rule(a_args jsonb) RETURNS feature_flag_rules LANGUAGE plpgsql AS $$
DECLARE
    rule feature_flag_rules;
BEGIN
    SELECT * INTO rule FROM feature_flag_rules WHERE id = (a_args ->> 'rule')::bigint AND flag = a_args ->> 'name';
    IF NOT FOUND THEN
        PERFORM admin_fail(404, 'rule', format('%s has no rule %s', a_args ->> 'name', a_args ->> 'rule'));
    END IF;
    RETURN rule;
END
$$;

-- args: name, rule, and what changes: value, percent, unit, starts_at, ends_at (null: none). Growing the percentage keeps
-- those who were in.
CREATE FUNCTION admin_flags_rules_change(actor jsonb, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    reg    flag_registry := flag_begin(args);
    before jsonb := flag_row(reg.name);
    rule   feature_flag_rules := flag_find_rule(args);
BEGIN
    rule.value := coalesce(nullif(args -> 'value', 'null'), rule.value);
    rule.percent := flag_percent(args, rule.percent);
    rule.unit := coalesce(args ->> 'unit', rule.unit);
    IF args ? 'starts_at' THEN
        rule.starts_at := (args ->> 'starts_at')::timestamptz;
    END IF;
    IF args ? 'ends_at' THEN
        rule.ends_at := (args ->> 'ends_at')::timestamptz;
    END IF;
    rule.value := flag_check_value(reg, rule.value);
    PERFORM flag_check_rule(reg, rule);
    UPDATE feature_flag_rules r SET value = rule.value, percent = rule.percent, unit = rule.unit,
        starts_at = rule.starts_at, ends_at = rule.ends_at WHERE r.id = rule.id;
    RETURN flag_end(actor, 'flag.rule_changed', reg.name, before);
END
$$;

-- args: name, rule
CREATE FUNCTION admin_flags_rules_drop(actor jsonb, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    reg    flag_registry := flag_begin(args);
    before jsonb := flag_row(reg.name);
    rule   feature_flag_rules := flag_find_rule(args);
BEGIN
    DELETE FROM feature_flag_rules r WHERE r.id = rule.id;
    RETURN flag_end(actor, 'flag.rule_dropped', reg.name, before);
END
$$;
