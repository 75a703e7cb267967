-- Experiments: variants of how questions are answered, who got which, and how each fared.

CREATE TABLE experiments (
    name        text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9_.-]{0,59}$'),
    description text NOT NULL DEFAULT '',
    status      text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'running', 'stopped')),
    unit        text NOT NULL CHECK (unit IN ('conversation', 'person')),
    -- [{"name", "weight", "model", "prompt", "flags": {}}]. The first one is the control: it has a weight and changes
    -- nothing, so that everybody gets it when nothing runs.
    variants    jsonb NOT NULL,
    salt        text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
    stop_rule   jsonb NOT NULL, -- {"guards": {metric: margin}, "min_units", "alpha"}; see experiment_verdict
    winner      text,
    reason      text NOT NULL DEFAULT '', -- why it was stopped, when Parley did it
    outcome     jsonb, -- the results as they were when it was stopped
    looked_at   timestamptz, -- by the stop rule
    look_ms     integer NOT NULL DEFAULT 0, -- how long that took
    version     integer NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    started_at  timestamptz,
    ended_at    timestamptz
);

-- Who got which variant first: they keep it, also when the weights change.
CREATE TABLE experiment_assignments (
    experiment      text NOT NULL REFERENCES experiments,
    variant         text NOT NULL,
    conversation_id uuid REFERENCES conversations ON DELETE CASCADE,
    user_id         uuid REFERENCES users ON DELETE CASCADE,
    first_seen      timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(conversation_id, user_id) = 1)
);
CREATE UNIQUE INDEX experiment_assignments_conversation ON experiment_assignments (conversation_id, experiment)
    WHERE conversation_id IS NOT NULL;
CREATE UNIQUE INDEX experiment_assignments_user ON experiment_assignments (user_id, experiment) WHERE user_id IS NOT NULL;

-- What was really used for an answer, and what came of it. Written in the commit of the reply.
CREATE TABLE experiment_exposures (
    request_id     uuid NOT NULL REFERENCES requests ON DELETE CASCADE,
    experiment     text NOT NULL REFERENCES experiments,
    variant        text NOT NULL,
    unit_id        uuid NOT NULL,
    failed         boolean NOT NULL, -- no answer, or a cut one
    stopped        boolean NOT NULL, -- by the person, before its end
    cost           numeric(14, 8),   -- NULL: unknown
    latency_ms     bigint,
    first_token_ms bigint,           -- NULL: unknown
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, experiment)
);
CREATE INDEX experiment_exposures_experiment ON experiment_exposures (experiment);

-- ---- statistics ----

-- The 0.975 quantile of Student's t: Cornish-Fisher expansion, Abramowitz and Stegun, Handbook of Mathematical Functions,
-- 26.7.5; within 0.005 from 3 degrees of freedom on. Fewer count as 3.
CREATE FUNCTION stat_t975(df float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT z + (z^3 + z) / (4 * d) + (5 * z^5 + 16 * z^3 + 3 * z) / (96 * d^2)
           + (3 * z^7 + 19 * z^5 + 17 * z^3 - 15 * z) / (384 * d^3)
           + (79 * z^9 + 776 * z^7 + 1482 * z^5 - 1920 * z^3 - 945 * z) / (92160 * d^4)
    FROM (SELECT 1.959963984540054::float8 AS z, greatest(df, 3) AS d) AS x
$$;

-- Wilson's score interval, 95 %, of a share p of n: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927).
CREATE FUNCTION stat_wilson(p float8, n float8, OUT low float8, OUT high float8) LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(0, middle - half), least(1, middle + half)
    FROM (SELECT (p + z2 / (2 * n)) / (1 + z2 / n) AS middle,
                 sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n) AS half
          FROM (SELECT 3.841458820694124::float8 AS z2) AS z) AS x
$$;

-- The interval of the difference of two shares, p1 - p2, 95 %: R. G. Newcombe, Statistics in Medicine 17 (1998) 873,
-- method 10.
CREATE FUNCTION stat_wilson_difference(p1 float8, n1 float8, p2 float8, n2 float8, OUT low float8, OUT high float8)
LANGUAGE sql IMMUTABLE AS $$
    SELECT p1 - p2 - sqrt((p1 - a.low)^2 + (b.high - p2)^2), p1 - p2 + sqrt((a.high - p1)^2 + (p2 - b.low)^2)
    FROM stat_wilson(p1, n1) AS a, stat_wilson(p2, n2) AS b
$$;

-- The interval of the difference of two means, 95 %, by their variances (of the means) and numbers of units:
-- B. L. Welch, Biometrika 34 (1947).
CREATE FUNCTION stat_welch(m1 float8, v1 float8, n1 float8, m2 float8, v2 float8, n2 float8, OUT low float8, OUT high float8)
LANGUAGE sql IMMUTABLE AS $$
    SELECT m1 - m2 - half, m1 - m2 + half
    FROM (SELECT sqrt(v1 + v2) * stat_t975((v1 + v2)^2 / nullif(v1^2 / (n1 - 1) + v2^2 / (n2 - 1), 0)) AS half) AS x
$$;

-- How much the data speak for "the difference is not 0", given its variance so far: the logarithm of the mixture
-- likelihood ratio of a sequential test with a normal prior of spread tau. One may look after every observation and act
-- when it passes ln(1 / alpha): the chance that it ever does without a difference is below alpha. R. Johari, P. Koomen,
-- L. Pekelis, D. Walsh, Always Valid Inference: Continuous Monitoring of A/B Tests, Operations Research 70 (2022).
CREATE FUNCTION stat_evidence(difference float8, variance float8, tau float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT 0.5 * ln(v / (v + tau^2)) + tau^2 * difference^2 / (2 * v * (v + tau^2))
    FROM (SELECT greatest(variance, tau^2 * 1e-6) AS v) AS x
$$;

-- ---- outcomes ----

-- What each answer counts for. a_all: also what has to be looked for in what followed.
--   failures   no answer, or a cut one
--   votes_up, votes_down   somebody voted so
--   re_asked   the next that a person wrote was /regenerate or /again
--   abandoned  the person stopped it; or it stood there for an hour, and neither a message nor a vote followed
CREATE FUNCTION experiment_answers(a_experiment text, a_all boolean)
RETURNS TABLE (variant text, unit uuid, metric text, y float8) LANGUAGE sql STABLE AS $$
    SELECT e.variant, e.unit_id, o.metric, o.y
    FROM experiment_exposures e
    LEFT JOIN (SELECT f.request_id, bool_or(f.vote > 0) AS up, bool_or(f.vote < 0) AS down
               FROM feedback f JOIN experiment_exposures x ON x.request_id = f.request_id AND x.experiment = a_experiment
               GROUP BY f.request_id) v ON v.request_id = e.request_id
    LEFT JOIN LATERAL (
        SELECT r.completed_at, n.content
        FROM requests r LEFT JOIN LATERAL (
            SELECT m.content FROM messages m
            WHERE m.conversation_id = r.conversation_id AND m.id > r.reply_id AND m.user_id IS NOT NULL
            ORDER BY m.id LIMIT 1) n ON true
        WHERE r.id = e.request_id) l ON a_all
    CROSS JOIN LATERAL (VALUES
        ('failures', e.failed::integer::float8),
        ('votes_up', coalesce(v.up, false)::integer),
        ('votes_down', coalesce(v.down, false)::integer),
        ('re_asked', CASE WHEN a_all AND NOT e.failed
                     THEN coalesce(l.content ~* '^\s*/(regenerate|again)\M', false)::integer END),
        ('abandoned', CASE WHEN NOT a_all OR e.failed THEN NULL WHEN e.stopped THEN 1
                      WHEN l.completed_at < now() - interval '1 hour' THEN (l.content IS NULL AND v.up IS NULL)::integer END),
        ('cost', e.cost),
        ('latency_ms', CASE WHEN NOT e.failed THEN e.latency_ms END),
        ('first_token_ms', e.first_token_ms)) AS o (metric, y)
    WHERE e.experiment = a_experiment AND o.y IS NOT NULL
$$;

-- Of each variant and metric: the mean over answers, and its variance. What was given by lot is a unit, and its answers
-- resemble each other: the variance is that of a ratio of sums over units (A. Deng, U. Knoblich, J. Lu, Applying the Delta
-- Method in Metric Analytics, KDD 2018). With one answer a unit it is the usual s²/n.
CREATE FUNCTION experiment_means(a_experiment text, a_all boolean)
RETURNS TABLE (variant text, metric text, n bigint, units bigint, mean float8, variance float8) LANGUAGE sql STABLE AS $$
    WITH unit AS (
        SELECT a.variant, a.metric, a.unit, count(*) AS m, sum(a.y) AS y FROM experiment_answers(a_experiment, a_all) a
        GROUP BY a.variant, a.metric, a.unit
    ), arm AS (
        SELECT u.variant, u.metric, sum(u.m)::bigint AS n, count(*) AS units, sum(u.y) / sum(u.m)::float8 AS mean
        FROM unit u GROUP BY u.variant, u.metric
    )
    SELECT a.variant, a.metric, a.n, a.units, a.mean,
           CASE WHEN a.units > 1 THEN a.units / (a.units - 1.0) * sum((u.y - a.mean * u.m)^2) / a.n::float8^2 END
    FROM arm a JOIN unit u ON u.variant = a.variant AND u.metric = a.metric
    GROUP BY a.variant, a.metric, a.n, a.units, a.mean
$$;

CREATE FUNCTION experiment_is_rate(a_metric text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT a_metric NOT IN ('cost', 'latency_ms', 'first_token_ms')
$$;

-- To which number of independent answers these are worth, when they resemble each other within a unit: for Wilson.
CREATE FUNCTION stat_worth(p float8, n bigint, variance float8, units bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT least(n, coalesce(p * (1 - p) / nullif(variance * (units - 1) / units, 0), n))
$$;

-- [{"variant", "control", "answers", "units", "metrics": {name: {"n", "value", "low", "high", "difference", "difference_low",
-- "difference_high"}}}]: intervals of 95 %, differences to the control. Unknown ones are left out.
CREATE FUNCTION experiment_results(a_experiment text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    WITH arms AS (
        SELECT v ->> 'name' AS variant, n FROM experiments e, jsonb_array_elements(e.variants) WITH ORDINALITY AS t (v, n)
        WHERE e.name = a_experiment
    ), means AS (
        SELECT m.*, r.rate, CASE WHEN r.rate THEN m.mean END AS share, stat_worth(m.mean, m.n, m.variance, m.units) AS worth
        FROM experiment_means(a_experiment, true) m, experiment_is_rate(m.metric) AS r (rate)
    ), seen AS (
        SELECT x.variant, count(*) AS answers, count(DISTINCT x.unit_id) AS units FROM experiment_exposures x
        WHERE x.experiment = a_experiment GROUP BY x.variant
    ), told AS (
        SELECT m.variant, m.metric, jsonb_strip_nulls(jsonb_build_object('n', m.n, 'value', m.mean,
            'low', CASE WHEN m.rate THEN w.low ELSE m.mean - half END, 'high', CASE WHEN m.rate THEN w.high ELSE m.mean + half END,
            'difference', m.mean - c.mean, 'difference_low', CASE WHEN m.rate THEN d.low ELSE t.low END,
            'difference_high', CASE WHEN m.rate THEN d.high ELSE t.high END)) AS line
        FROM means m
        JOIN arms a ON a.variant = m.variant
        LEFT JOIN means c ON a.n > 1 AND c.metric = m.metric AND c.variant = (SELECT variant FROM arms WHERE n = 1)
        CROSS JOIN LATERAL (SELECT sqrt(m.variance) * stat_t975(m.units - 1) AS half) k
        CROSS JOIN LATERAL stat_wilson(m.share, m.worth) w
        CROSS JOIN LATERAL stat_wilson_difference(m.share, m.worth, c.share, c.worth) d
        CROSS JOIN LATERAL stat_welch(m.mean, m.variance, m.units, c.mean, c.variance, c.units) t
    )
    SELECT jsonb_agg(jsonb_build_object('variant', a.variant, 'control', a.n = 1, 'answers', coalesce(s.answers, 0),
        'units', coalesce(s.units, 0),
        'metrics', coalesce((SELECT jsonb_object_agg(t.metric, t.line) FROM told t WHERE t.variant = a.variant), '{}')) ORDER BY a.n)
    FROM arms a LEFT JOIN seen s ON s.variant = a.variant
$$;

-- ---- the stop rule ----

-- Why an experiment is to be stopped; no row: it is not. A variant is clearly worse when, on one of its guards, the
-- evidence that it lies above the control by more than the margin passes ln(guards * variants / alpha): the sum over all of
-- them stays below alpha (Bonferroni), however often one looks. Margins are shares: of answers for rates, of the control's
-- mean for means. Nothing is said before each side has min_units; the variance of a rate is not less than that of (k + 1) of
-- (n + 2) units, since with none or all of a few it would be nothing.
CREATE FUNCTION experiment_verdict(a_experiment text, a_control text, a_others integer, a_rule jsonb)
RETURNS TABLE (variant text, reason text) LANGUAGE sql STABLE AS $$
    WITH guard AS (
        SELECT key AS metric, value::float8 AS margin FROM jsonb_each_text(a_rule -> 'guards')
    ), arm AS (
        SELECT m.variant, m.metric, m.units, m.mean, g.margin, rate,
               CASE WHEN rate THEN greatest(m.variance, p * (1 - p) / m.units) ELSE m.variance END AS variance
        FROM experiment_means(a_experiment, false) m JOIN guard g ON g.metric = m.metric
        CROSS JOIN LATERAL (SELECT experiment_is_rate(m.metric) AS rate, (m.mean * m.units + 1) / (m.units + 2) AS p) k
        WHERE m.units >= (a_rule ->> 'min_units')::integer
    ), compared AS (
        SELECT t.variant, t.metric, t.mean, c.mean AS control_mean, t.units, c.units AS control_units,
               CASE WHEN t.rate THEN t.mean - c.mean - t.margin ELSE t.mean - c.mean * (1 + t.margin) END AS excess,
               CASE WHEN t.rate THEN t.variance + c.variance ELSE t.variance + c.variance * (1 + t.margin)^2 END AS variance,
               CASE WHEN t.rate THEN 0.1 ELSE (t.mean + c.mean) / 8 END AS tau
        FROM arm t JOIN arm c ON c.metric = t.metric AND c.variant = a_control AND t.variant <> a_control
    )
    SELECT c.variant, format('%s: %s of %s against %s of the control, after %s and %s units', c.metric,
                             round(c.mean::numeric, 4), c.variant, round(c.control_mean::numeric, 4), c.units, c.control_units)
    FROM compared c
    WHERE c.excess > 0 AND c.tau > 0 AND stat_evidence(c.excess, c.variance, c.tau)
          > ln((SELECT count(*) FROM guard) * a_others / (a_rule ->> 'alpha')::float8)
    ORDER BY stat_evidence(c.excess, c.variance, c.tau) DESC LIMIT 1
$$;

-- ---- what admins do ----

CREATE FUNCTION experiment_json(e experiments) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT to_jsonb(e) - ARRAY['outcome', 'looked_at', 'look_ms']
$$;

-- From here on everybody gets the control.
CREATE FUNCTION experiment_end(a_actor jsonb, e experiments, a_winner text, a_reason text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    was jsonb := experiment_json(e);
BEGIN
    UPDATE experiments SET status = 'stopped', ended_at = now(), winner = a_winner, reason = a_reason,
        outcome = experiment_results(e.name), version = version + 1 WHERE name = e.name RETURNING * INTO e;
    PERFORM audit(a_actor, 'experiment.stopped', 'experiment', e.name, was, experiment_json(e));
    RETURN experiment_json(e);
END
$$;

-- Look at all that run, and end those with a variant that is clearly worse. Safe to call often and from many processes:
-- one at a time looks, and looking takes at most a twentieth of the time.
CREATE FUNCTION experiments_guard() RETURNS TABLE (experiment text, variant text, reason text) LANGUAGE plpgsql AS $$
DECLARE
    e     experiments;
    v     record;
    began timestamptz;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('parley.experiments')) THEN
        RETURN;
    END IF;
    FOR e IN SELECT * FROM experiments x WHERE x.status = 'running'
        AND (x.looked_at IS NULL OR x.looked_at < now() - x.look_ms * interval '20 ms') FOR UPDATE SKIP LOCKED
    LOOP
        began := clock_timestamp();
        SELECT * INTO v FROM experiment_verdict(e.name, e.variants -> 0 ->> 'name', jsonb_array_length(e.variants) - 1,
                                                e.stop_rule);
        IF FOUND THEN
            PERFORM experiment_end('{"name": "parley"}', e, e.variants -> 0 ->> 'name', v.reason);
            RETURN QUERY SELECT e.name, v.variant, v.reason;
        END IF;
        UPDATE experiments x SET looked_at = now(),
            look_ms = extract(milliseconds FROM clock_timestamp() - began)::integer WHERE x.name = e.name;
    END LOOP;
END
$$;

-- A number of the stop rule, in bounds.
CREATE FUNCTION experiment_rule_number(a_value jsonb, a_what text, a_min numeric, a_max numeric) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_typeof(a_value) IS DISTINCT FROM 'number' OR a_value::numeric NOT BETWEEN a_min AND a_max THEN
        PERFORM admin_fail(422, 'stop_rule', format('%s is a number from %s to %s', a_what, a_min, a_max));
    END IF;
END
$$;

-- The stop rule that was given, with defaults for what was not.
CREATE FUNCTION experiment_rule(a_rule jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    rule jsonb := '{"guards": {"failures": 0, "votes_down": 0, "cost": 0.5}, "min_units": 30, "alpha": 0.01}'
                  || coalesce(a_rule, '{}');
    word text;
BEGIN
    SELECT key INTO word FROM jsonb_object_keys(rule) AS t (key) WHERE key NOT IN ('guards', 'min_units', 'alpha') LIMIT 1;
    IF FOUND THEN
        PERFORM admin_fail(422, 'stop_rule', format('there is no "%s" in a stop rule', left(word, 60)));
    ELSIF jsonb_typeof(rule -> 'guards') <> 'object' THEN
        PERFORM admin_fail(422, 'stop_rule', 'guards is an object: metric and margin');
    END IF;
    SELECT key INTO word FROM jsonb_object_keys(rule -> 'guards') AS t (key)
    WHERE key NOT IN ('failures', 'votes_down', 'cost') LIMIT 1;
    IF FOUND THEN
        PERFORM admin_fail(422, 'stop_rule', format('guards are failures, votes_down and cost, not "%s"', left(word, 60)));
    END IF;
    PERFORM experiment_rule_number(value, key, 0, 10) FROM jsonb_each(rule -> 'guards');
    PERFORM experiment_rule_number(rule -> 'min_units', 'min_units', 5, 1000000);
    PERFORM experiment_rule_number(rule -> 'alpha', 'alpha', 0.000001, 0.2);
    IF (rule -> 'min_units')::numeric % 1 <> 0 THEN
        PERFORM admin_fail(422, 'stop_rule', 'min_units is a whole number');
    END IF;
    RETURN rule;
END
$$;

-- The flags that a variant sets: a model and a prompt are flags, too.
CREATE FUNCTION experiment_flags(v jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(v -> 'flags', '{}')
           || CASE WHEN v ? 'model' THEN jsonb_build_object('model', v -> 'model') ELSE '{}' END
           || CASE WHEN v ? 'prompt' THEN jsonb_build_object('system_prompt', v -> 'prompt') ELSE '{}' END
$$;

-- [{"name", "weight", "flags"}] for the processes.
CREATE FUNCTION experiment_variants(a_variants jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_agg(jsonb_build_object('name', v -> 'name', 'weight', v -> 'weight', 'flags', experiment_flags(v)) ORDER BY n)
    FROM jsonb_array_elements(a_variants) WITH ORDINALITY AS t (v, n)
$$;

-- What is wrong with a flag's value, or NULL. An experiment decides when the person is known.
CREATE FUNCTION experiment_flag_fault(a_flag text, a_value jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    reg flag_registry;
BEGIN
    SELECT * INTO reg FROM flag_registry WHERE name = a_flag;
    IF NOT FOUND THEN
        RETURN format('there is no flag named %s', left(a_flag, 60));
    ELSIF reg.reach <> 'anybody' THEN
        RETURN format('%s is not decided for each person, and cannot be tried on some', a_flag);
    END IF;
    PERFORM flag_check_value(reg, a_value);
    RETURN NULL;
EXCEPTION WHEN SQLSTATE 'PA422' THEN
    RETURN SQLERRM;
END
$$;

-- What is wrong with one variant, or NULL. Whether its model is known only the program can tell.
CREATE FUNCTION experiment_variant_fault(v jsonb, is_control boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text := v ->> 'name';
    word text;
BEGIN
    IF jsonb_typeof(v) <> 'object' THEN
        RETURN 'each variant is an object';
    ELSIF jsonb_typeof(v -> 'name') IS DISTINCT FROM 'string' OR name !~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$' THEN
        RETURN 'each variant has a name of up to 60 letters, digits, and _ . - inside';
    END IF;
    SELECT key INTO word FROM jsonb_object_keys(v) AS t (key)
    WHERE key NOT IN ('name', 'weight', 'model', 'prompt', 'flags') LIMIT 1;
    IF FOUND THEN
        RETURN format('variant %s: there is no "%s"', name, left(word, 60));
    ELSIF jsonb_typeof(v -> 'weight') IS DISTINCT FROM 'number' OR (v -> 'weight')::numeric NOT BETWEEN 1 AND 10000
          OR (v -> 'weight')::numeric % 1 <> 0 THEN
        RETURN format('variant %s: weight is a whole number from 1 to 10000', name);
    ELSIF coalesce(jsonb_typeof(v -> 'flags'), 'object') <> 'object' THEN
        RETURN format('variant %s: flags is an object: name and value', name);
    ELSIF (v ? 'model' AND v -> 'flags' ? 'model') OR (v ? 'prompt' AND v -> 'flags' ? 'system_prompt') THEN
        RETURN format('variant %s: it says twice what its model or its prompt is', name);
    ELSIF is_control AND experiment_flags(v) <> '{}' THEN
        RETURN format('variant %s: the first one is the control, and changes nothing', name);
    ELSIF NOT is_control AND experiment_flags(v) = '{}' THEN
        RETURN format('variant %s: it changes neither model nor prompt nor a flag', name);
    END IF;
    SELECT f INTO word FROM jsonb_each(experiment_flags(v)), experiment_flag_fault(key, value) AS f
    WHERE f IS NOT NULL LIMIT 1;
    RETURN 'variant ' || name || ': ' || word;
END
$$;

CREATE FUNCTION experiment_check(a_variants jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    fault text;
BEGIN
    IF jsonb_typeof(a_variants) IS DISTINCT FROM 'array' OR jsonb_array_length(a_variants) NOT BETWEEN 2 AND 10 THEN
        PERFORM admin_fail(422, 'variants', 'an experiment has 2 to 10 variants');
    END IF;
    SELECT f INTO fault FROM jsonb_array_elements(a_variants) WITH ORDINALITY AS t (v, n),
        experiment_variant_fault(v, n = 1) AS f WHERE f IS NOT NULL ORDER BY n LIMIT 1;
    IF fault IS NOT NULL THEN
        PERFORM admin_fail(422, 'variants', fault);
    ELSIF (SELECT count(DISTINCT v ->> 'name') < count(*) FROM jsonb_array_elements(a_variants) AS t (v)) THEN
        PERFORM admin_fail(422, 'variants', 'two variants have the same name');
    END IF;
END
$$;

-- All but the weights.
CREATE FUNCTION experiment_contents(a_variants jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_agg(v - 'weight' ORDER BY n) FROM jsonb_array_elements(a_variants) WITH ORDINALITY AS t (v, n)
$$;

-- The flags that its variants set.
CREATE FUNCTION experiment_touches(a_variants jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT jsonb_object_keys(experiment_flags(v)) FROM jsonb_array_elements(a_variants) AS t (v)
$$;

-- The one that an operation is about, locked: nobody else changes it meanwhile.
CREATE FUNCTION experiment_take(a_args jsonb) RETURNS experiments LANGUAGE plpgsql AS $$
DECLARE
    e experiments;
BEGIN
    SELECT * INTO e FROM experiments WHERE name = a_args ->> 'name' FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM admin_fail(404, 'name', 'there is no such experiment');
    END IF;
    PERFORM admin_match(a_args, e.version);
    RETURN e;
END
$$;

CREATE FUNCTION admin_experiments_create(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    e experiments;
BEGIN
    PERFORM experiment_check(a_args -> 'variants');
    IF a_args ->> 'name' !~ '^[a-z0-9][a-z0-9_.-]{0,59}$' THEN
        PERFORM admin_fail(422, 'name', 'a name has up to 60 of a-z 0-9, and _ . - inside');
    END IF;
    INSERT INTO experiments (name, description, unit, variants, stop_rule)
    VALUES (a_args ->> 'name', coalesce(a_args ->> 'description', ''), coalesce(a_args ->> 'unit', 'conversation'),
            a_args -> 'variants', experiment_rule(a_args -> 'stop_rule'))
    ON CONFLICT DO NOTHING RETURNING * INTO e;
    IF NOT FOUND THEN
        PERFORM admin_fail(409, 'name', 'there is an experiment of this name');
    END IF;
    PERFORM audit(a_actor, 'experiment.created', 'experiment', e.name, NULL, experiment_json(e));
    RETURN experiment_json(e);
END
$$;

-- A draft may change in everything; one that runs in its weights, which hold for who comes from now on.
CREATE FUNCTION admin_experiments_change(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    e   experiments := experiment_take(a_args);
    was jsonb := experiment_json(e);
BEGIN
    IF a_args ? 'variants' THEN
        PERFORM experiment_check(a_args -> 'variants');
    END IF;
    IF e.status = 'stopped' THEN
        PERFORM admin_fail(409, 'name', 'it is over: make another one');
    ELSIF e.status = 'running' AND (coalesce(a_args ->> 'unit', e.unit) <> e.unit
          OR (a_args ? 'stop_rule' AND e.stop_rule <> experiment_rule(a_args -> 'stop_rule'))
          OR experiment_contents(coalesce(a_args -> 'variants', e.variants)) <> experiment_contents(e.variants)) THEN
        PERFORM admin_fail(409, 'name', 'it is running: only weights and description may change');
    END IF;
    UPDATE experiments SET description = coalesce(a_args ->> 'description', description),
        unit = coalesce(a_args ->> 'unit', unit), variants = coalesce(a_args -> 'variants', variants),
        stop_rule = CASE WHEN a_args ? 'stop_rule' THEN experiment_rule(a_args -> 'stop_rule') ELSE stop_rule END,
        version = version + 1 WHERE name = e.name RETURNING * INTO e;
    PERFORM audit(a_actor, 'experiment.changed', 'experiment', e.name, was, experiment_json(e));
    RETURN experiment_json(e);
END
$$;

-- Two that set the same flag would undo each other.
CREATE FUNCTION admin_experiments_start(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    e     experiments;
    was   jsonb;
    other record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('parley.experiments.start')); -- two at once must see each other
    e := experiment_take(a_args);
    was := experiment_json(e);
    IF e.status <> 'draft' THEN
        PERFORM admin_fail(409, 'name', 'it is ' || e.status || ', and starts once');
    END IF;
    SELECT x.name, flag INTO other FROM experiments x, experiment_touches(x.variants) AS flag
    WHERE x.status = 'running' AND flag IN (SELECT experiment_touches(e.variants)) LIMIT 1;
    IF FOUND THEN
        PERFORM admin_fail(409, 'name', format('%s is running and sets %s, too', other.name, other.flag));
    ELSIF (SELECT count(*) >= 16 FROM experiments WHERE status = 'running') THEN
        PERFORM admin_fail(409, 'name', '16 experiments are running: end one first');
    END IF;
    UPDATE experiments SET status = 'running', started_at = now(), version = version + 1 WHERE name = e.name RETURNING * INTO e;
    PERFORM audit(a_actor, 'experiment.started', 'experiment', e.name, was, experiment_json(e));
    RETURN experiment_json(e);
END
$$;

-- "winner" is only noted: to give it to everybody is for the configuration, or a flag.
CREATE FUNCTION admin_experiments_stop(a_actor jsonb, a_args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    e experiments := experiment_take(a_args);
BEGIN
    IF e.status <> 'running' THEN
        PERFORM admin_fail(409, 'name', 'it is ' || e.status || ', not running');
    ELSIF a_args ->> 'winner' NOT IN (SELECT v ->> 'name' FROM jsonb_array_elements(e.variants) AS t (v)) THEN
        PERFORM admin_fail(422, 'winner', 'there is no such variant');
    END IF;
    RETURN experiment_end(a_actor, e, a_args ->> 'winner', '');
END
$$;
