-- What answers cost, and what they may cost.

-- The price list: one entry a model, as it was imported.
CREATE TABLE prices (
    model       text PRIMARY KEY,
    provider    text NOT NULL DEFAULT '',
    entry       jsonb NOT NULL,
    version     text NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT now()
);

-- Every question to a model. Of who is erased, only the sum stays.
CREATE TABLE cost_records (
    id                uuid PRIMARY KEY,
    request_id        uuid REFERENCES requests ON DELETE SET NULL,
    conversation_id   uuid REFERENCES conversations ON DELETE SET NULL,
    user_id           uuid REFERENCES users ON DELETE SET NULL,
    channel           text NOT NULL,
    provider          text NOT NULL,
    model             text NOT NULL,
    prompt_tokens     bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cached_tokens     bigint NOT NULL DEFAULT 0,
    reasoning_tokens  bigint NOT NULL DEFAULT 0,
    cost              numeric(14, 8), -- NULL: the model has no price
    pricing_version   text,
    estimated         boolean NOT NULL, -- the tokens are: the backend did not say
    created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX cost_records_request ON cost_records (request_id);
CREATE INDEX cost_records_conversation ON cost_records (conversation_id);
CREATE INDEX cost_records_user ON cost_records (user_id, created_at);
CREATE INDEX cost_records_age ON cost_records (created_at);

-- What was spent and is reserved in a period, by days and months of UTC. The limits stand in the configuration.
CREATE TABLE budgets (
    scope    text NOT NULL, -- 'person:ID', 'channel:NAME', 'all'
    period   text NOT NULL CHECK (period IN ('day', 'month')),
    starts   date NOT NULL,
    spent    numeric(14, 8) NOT NULL DEFAULT 0,
    reserved numeric(14, 8) NOT NULL DEFAULT 0,
    alerted  integer NOT NULL DEFAULT 0, -- 80, 100: told so
    PRIMARY KEY (scope, period, starts)
);

-- Money set aside for a question that is being asked. Settled once; released when its process died.
CREATE TABLE budget_reservations (
    id          uuid PRIMARY KEY,
    scopes      text[] NOT NULL,
    periods     text[] NOT NULL,
    starts      date[] NOT NULL,
    amount      numeric(14, 8) NOT NULL,
    lease_until timestamptz NOT NULL,
    released_at timestamptz,
    settled_at  timestamptz
);
CREATE INDEX budget_reservations_open ON budget_reservations (lease_until) WHERE settled_at IS NULL AND released_at IS NULL;
CREATE INDEX budget_reservations_done ON budget_reservations (lease_until) WHERE settled_at IS NOT NULL OR released_at IS NOT NULL;

CREATE FUNCTION period_start(a_period text) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT date_trunc(a_period, now() AT TIME ZONE 'UTC')::date
$$;
CREATE FUNCTION period_left_ms(a_period text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (extract(epoch FROM date_trunc(a_period, now() AT TIME ZONE 'UTC') + ('1 ' || a_period)::interval
                    - (now() AT TIME ZONE 'UTC')) * 1000)::bigint
$$;

-- Set an amount aside in several budgets, or say which one it does not fit into. The rows are locked in one order, so
-- whoever comes second sees what the first one took. Repeating it changes nothing; a larger amount under the same id adds
-- the difference, if that fits: a question that is asked anew.
CREATE FUNCTION budget_reserve(a_id uuid, a_scopes text[], a_periods text[], a_limits numeric[], a_amount numeric, a_lease_ms bigint)
RETURNS TABLE (scope text, period text, spent numeric, most numeric, left_ms bigint) LANGUAGE plpgsql AS $$
DECLARE
    r    budget_reservations;
    b    record;
    held budgets;
    more numeric;
BEGIN
    SELECT * INTO r FROM budget_reservations WHERE id = a_id FOR UPDATE;
    more := a_amount - CASE WHEN r.released_at IS NULL THEN coalesce(r.amount, 0) ELSE 0 END;
    IF r.settled_at IS NOT NULL OR more <= 0 THEN
        RETURN;
    END IF;
    FOR b IN SELECT t.s, t.p, t.l, coalesce(u.d, period_start(t.p)) AS starts FROM unnest(a_scopes, a_periods, a_limits) AS t (s, p, l)
             LEFT JOIN unnest(r.scopes, r.periods, r.starts) AS u (s, p, d) ON u.s = t.s AND u.p = t.p ORDER BY t.s, t.p
    LOOP
        INSERT INTO budgets (scope, period, starts) VALUES (b.s, b.p, b.starts) ON CONFLICT DO NOTHING;
        SELECT * INTO held FROM budgets g WHERE g.scope = b.s AND g.period = b.p AND g.starts = b.starts FOR UPDATE;
        IF held.spent + held.reserved + more > b.l THEN
            RETURN QUERY SELECT b.s, b.p, held.spent, b.l, period_left_ms(b.p);
            RETURN;
        END IF;
    END LOOP;
    INSERT INTO budget_reservations AS o (id, scopes, periods, starts, amount, lease_until)
    VALUES (a_id, a_scopes, a_periods, (SELECT array_agg(period_start(t.p) ORDER BY t.n) FROM unnest(a_periods) WITH ORDINALITY AS t (p, n)),
            a_amount, now() + a_lease_ms * interval '1 ms')
    ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, lease_until = excluded.lease_until, released_at = NULL
    RETURNING * INTO r;
    UPDATE budgets g SET reserved = g.reserved + more FROM unnest(r.scopes, r.periods, r.starts) AS t (s, p, d)
    WHERE g.scope = t.s AND g.period = t.p AND g.starts = t.d;
END
$$;

CREATE FUNCTION budget_lock(a_reservation budget_reservations) RETURNS void LANGUAGE sql AS $$
    SELECT 1 FROM (SELECT 1 FROM budgets g, unnest(a_reservation.scopes, a_reservation.periods, a_reservation.starts) AS t (s, p, d)
                   WHERE g.scope = t.s AND g.period = t.p AND g.starts = t.d ORDER BY g.scope, g.period FOR UPDATE OF g) locked
$$;

-- The question was asked: what it cost takes the place of what was set aside, once. Returns the budgets that passed 80 or
-- 100 percent by it, each once a period.
CREATE FUNCTION budget_settle(a_id uuid, a_cost numeric, a_scopes text[], a_periods text[], a_limits numeric[])
RETURNS TABLE (scope text, period text, spent numeric, most numeric, level integer) LANGUAGE plpgsql AS $$
DECLARE
    r budget_reservations;
BEGIN
    SELECT * INTO r FROM budget_reservations WHERE id = a_id AND settled_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM budget_lock(r);
    UPDATE budget_reservations SET settled_at = now() WHERE id = a_id;
    UPDATE budgets g SET spent = least(g.spent + a_cost, 999999),
                         reserved = CASE WHEN r.released_at IS NULL THEN greatest(g.reserved - r.amount, 0) ELSE g.reserved END
    FROM unnest(r.scopes, r.periods, r.starts) AS t (s, p, d) WHERE g.scope = t.s AND g.period = t.p AND g.starts = t.d;
    RETURN QUERY
    UPDATE budgets g SET alerted = n.level FROM (
        SELECT b.scope, b.period, b.starts, t.l AS most,
               CASE WHEN b.spent >= t.l THEN 100 WHEN b.spent >= t.l * 0.8 THEN 80 ELSE 0 END AS level
        FROM budgets b JOIN unnest(a_scopes, a_periods, a_limits) AS t (s, p, l) ON b.scope = t.s AND b.period = t.p
        JOIN unnest(r.scopes, r.periods, r.starts) AS u (s, p, d) ON b.scope = u.s AND b.period = u.p AND b.starts = u.d) n
    WHERE g.scope = n.scope AND g.period = n.period AND g.starts = n.starts AND n.level > g.alerted
    RETURNING g.scope, g.period, g.spent, n.most, n.level;
END
$$;

-- Give back what these reservations hold. All their budgets are locked in the order of budget_reserve before the first is
-- changed: one after the other, they would be held in another order.
CREATE FUNCTION budget_give_back(a_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM budgets g
    WHERE EXISTS (SELECT 1 FROM budget_reservations r, unnest(r.scopes, r.periods, r.starts) AS t (s, p, d)
                  WHERE r.id = ANY (a_ids) AND g.scope = t.s AND g.period = t.p AND g.starts = t.d)
    ORDER BY g.scope, g.period, g.starts FOR UPDATE;
    UPDATE budgets g SET reserved = greatest(g.reserved - n.amount, 0) FROM (
        SELECT t.s, t.p, t.d, sum(r.amount) AS amount
        FROM budget_reservations r, unnest(r.scopes, r.periods, r.starts) AS t (s, p, d)
        WHERE r.id = ANY (a_ids) GROUP BY t.s, t.p, t.d) n
    WHERE g.scope = n.s AND g.period = n.p AND g.starts = n.d;
    UPDATE budget_reservations SET released_at = now() WHERE id = ANY (a_ids);
END
$$;

-- Of processes that died while they asked.
CREATE FUNCTION budget_release() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    dead uuid[];
BEGIN
    SELECT array_agg(id) INTO dead FROM (
        SELECT id FROM budget_reservations WHERE settled_at IS NULL AND released_at IS NULL AND lease_until < now()
        LIMIT 100 FOR UPDATE SKIP LOCKED) r;
    IF dead IS NOT NULL THEN
        PERFORM budget_give_back(dead);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION drop_outdated() RETURNS void LANGUAGE sql AS $$
    DELETE FROM forgotten_events WHERE forgotten_at < now() - interval '7 days';
    DELETE FROM attachments WHERE sent_at IS NULL AND created_at < now() - interval '1 day';
    SELECT budget_release();
    DELETE FROM budget_reservations WHERE (settled_at IS NOT NULL OR released_at IS NOT NULL) AND lease_until < now() - interval '1 day';
$$;

CREATE OR REPLACE FUNCTION forget_person(a_user uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    everybody uuid[] := person_ids(a_user);
    theirs    text[] := (SELECT array_agg('person:' || id) FROM unnest(everybody) AS t (id));
BEGIN
    INSERT INTO forgotten_events (hash) SELECT event_hash(channel, event_id) FROM requests
    WHERE user_id = ANY (everybody) AND created_at > now() - interval '7 days' ON CONFLICT DO NOTHING;
    DELETE FROM attachments a USING identities d WHERE d.user_id = ANY (everybody) AND a.face = d.channel_user_id;
    -- What a process that died had set aside for them is others', too.
    PERFORM budget_give_back(array_agg(id)) FROM (
        SELECT r.id FROM budget_reservations r
        WHERE r.scopes && theirs AND r.settled_at IS NULL AND r.released_at IS NULL FOR UPDATE) held;
    DELETE FROM budgets WHERE scope = ANY (theirs);
    DELETE FROM budget_reservations r WHERE r.scopes && theirs;
    -- A group's conversation outlives them.
    UPDATE cost_records SET conversation_id = NULL WHERE user_id = ANY (everybody);
    PERFORM forget_rows(a_user);
END
$$;

-- Whose budget is used up does not get another one by linking, nor by taking apart what was linked: the larger sum counts.
CREATE FUNCTION budget_copy(a_from uuid, a_to uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO budgets AS g (scope, period, starts, spent, alerted)
    SELECT 'person:' || a_to, period, starts, spent, alerted FROM budgets WHERE scope = 'person:' || a_from ORDER BY period
    ON CONFLICT (scope, period, starts) DO UPDATE
        SET spent = greatest(g.spent, excluded.spent), alerted = greatest(g.alerted, excluded.alerted)
$$;
CREATE FUNCTION keep_budget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM budget_copy(NEW.id, NEW.merged_into);
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_budget AFTER UPDATE OF merged_into ON users FOR EACH ROW
    WHEN (NEW.merged_into IS NOT NULL) EXECUTE FUNCTION keep_budget();

ALTER FUNCTION unlink_identity RENAME TO unlink_rows;
CREATE FUNCTION unlink_identity(a_user uuid, a_channel_type text, a_face text, a_new uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT unlink_rows(a_user, a_channel_type, a_face, a_new) THEN
        RETURN false;
    END IF;
    UPDATE cost_records k SET user_id = a_new FROM conversations c
    WHERE c.id = k.conversation_id AND c.user_id = a_new AND k.user_id = ANY (person_ids(a_user));
    PERFORM budget_copy(a_user, a_new);
    RETURN true;
END
$$;

-- As before, with what answers cost.
CREATE OR REPLACE FUNCTION export_person(a_user uuid, a_before uuid, a_limit integer) RETURNS json LANGUAGE sql STABLE AS $$
    WITH everybody AS (SELECT unnest(person_ids(a_user)) AS id),
    written AS (
        SELECT m.* FROM messages m JOIN conversations c ON c.id = m.conversation_id
        WHERE m.id < a_before AND (m.user_id IN (SELECT id FROM everybody)
           OR (c.is_direct AND c.user_id IN (SELECT id FROM everybody))
           OR m.id IN (SELECT r.reply_id FROM requests r WHERE r.user_id IN (SELECT id FROM everybody)))
        ORDER BY m.id DESC LIMIT a_limit),
    bounds AS (
        SELECT CASE WHEN count(*) = a_limit THEN (array_agg(id ORDER BY id))[1] END AS oldest FROM written)
    SELECT json_build_object(
        'exported_at', now(),
        'older', (SELECT '?before=' || oldest FROM bounds),
        'people', (SELECT json_agg(to_jsonb(u)) FROM users u WHERE u.id IN (SELECT id FROM everybody)),
        'identities', (SELECT json_agg(to_jsonb(d)) FROM identities d WHERE d.user_id IN (SELECT id FROM everybody)),
        'conversations', (SELECT json_agg(to_jsonb(c) ORDER BY c.id) FROM conversations c
                          WHERE c.user_id IN (SELECT id FROM everybody)),
        'messages', (SELECT json_agg(json_build_object('conversation', m.conversation_id, 'at', m.created_at, 'role', m.role,
                                                       'text', m.content, 'model', m.model_used, 'metadata', m.metadata) ORDER BY m.id)
                     FROM written m),
        'requests', (SELECT json_agg(json_build_object('id', r.id, 'channel', r.channel, 'at', r.created_at, 'status', r.status,
                                                       'reason', r.status_reason, 'model', r.model_used, 'ip', r.ip,
                                                       'prompt_tokens', r.prompt_tokens, 'completion_tokens', r.completion_tokens,
                                                       'cost', r.total_cost) ORDER BY r.id)
                     FROM requests r, bounds b WHERE r.user_id IN (SELECT id FROM everybody) AND r.id < a_before
                       AND (b.oldest IS NULL OR r.id >= b.oldest)),
        'costs', (SELECT json_agg(json_build_object('request', k.request_id, 'at', k.created_at, 'provider', k.provider,
                                                    'model', k.model, 'prompt_tokens', k.prompt_tokens,
                                                    'completion_tokens', k.completion_tokens, 'cost', k.cost::text,
                                                    'estimated', k.estimated) ORDER BY k.id)
                  FROM cost_records k, bounds b WHERE k.user_id IN (SELECT id FROM everybody) AND k.id < a_before
                    AND (b.oldest IS NULL OR k.id >= b.oldest)),
        'attachments', (SELECT json_agg(json_build_object('id', a.id, 'name', a.name, 'type', a.mime, 'at', a.created_at,
                                                          'bytes', length(a.data)))
                        FROM attachments a JOIN identities d ON d.channel_user_id = a.face
                        WHERE d.user_id IN (SELECT id FROM everybody)),
        'votes', (SELECT json_agg(json_build_object('request', f.request_id, 'vote', f.vote, 'at', f.updated_at))
                  FROM feedback f JOIN identities d ON d.channel_type = f.channel_type AND d.channel_user_id = f.channel_user_id
                  WHERE d.user_id IN (SELECT id FROM everybody)))
$$;
