-- A process may die between a model's answer and the commit. What it had set aside for a question that went out counts as
-- spent then, by its estimate; only what was set aside for a question that was never asked is given back.
ALTER TABLE budget_reservations
    ADD COLUMN asked_at   timestamptz, -- a model was asked
    ADD COLUMN request_id uuid,        -- by which request; it may be gone
    ADD COLUMN provider   text,
    ADD COLUMN model      text,        -- which one, the first of them
    ADD COLUMN assumed_at timestamptz; -- the amount is among what was spent, and has a cost record of the same id

CREATE FUNCTION budget_asked(a_id uuid, a_request uuid, a_provider text, a_model text) RETURNS void LANGUAGE sql AS $$
    UPDATE budget_reservations SET asked_at = now(), request_id = a_request, provider = a_provider, model = a_model
    WHERE id = a_id AND asked_at IS NULL AND settled_at IS NULL
$$;

-- Their budgets are locked, and what they held is given back.
CREATE FUNCTION budget_assume(a_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE budgets g SET spent = least(g.spent + n.amount, 999999) FROM (
        SELECT t.s, t.p, t.d, sum(r.amount) AS amount
        FROM budget_reservations r, unnest(r.scopes, r.periods, r.starts) AS t (s, p, d)
        WHERE r.id = ANY (a_ids) GROUP BY t.s, t.p, t.d) n
    WHERE g.scope = n.s AND g.period = n.p AND g.starts = n.d;
    INSERT INTO cost_records (id, request_id, conversation_id, user_id, channel, provider, model, prompt_tokens,
                              completion_tokens, cost, pricing_version, estimated)
    SELECT r.id, q.id, q.conversation_id, q.user_id, coalesce(q.channel, ''), r.provider, r.model, 0, 0, r.amount, 'assumed', true
    FROM budget_reservations r LEFT JOIN requests q ON q.id = r.request_id WHERE r.id = ANY (a_ids) ON CONFLICT DO NOTHING;
    UPDATE budget_reservations SET assumed_at = now() WHERE id = ANY (a_ids);
END
$$;

CREATE OR REPLACE FUNCTION budget_release() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    dead  uuid[];
    asked uuid[];
BEGIN
    SELECT array_agg(id), array_agg(id) FILTER (WHERE asked_at IS NOT NULL) INTO dead, asked FROM (
        SELECT id, asked_at FROM budget_reservations WHERE settled_at IS NULL AND released_at IS NULL AND lease_until < now()
        LIMIT 100 FOR UPDATE SKIP LOCKED) r;
    IF dead IS NOT NULL THEN
        PERFORM budget_give_back(dead);
    END IF;
    IF asked IS NOT NULL THEN
        PERFORM budget_assume(asked);
    END IF;
END
$$;

-- The process was only slow: it says what it cost, or sets aside anew.
CREATE FUNCTION budget_unassume(a_id uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r budget_reservations;
BEGIN
    SELECT * INTO r FROM budget_reservations WHERE id = a_id AND assumed_at IS NOT NULL AND settled_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM budget_lock(r);
    UPDATE budgets g SET spent = greatest(g.spent - r.amount, 0) FROM unnest(r.scopes, r.periods, r.starts) AS t (s, p, d)
    WHERE g.scope = t.s AND g.period = t.p AND g.starts = t.d;
    DELETE FROM cost_records WHERE id = a_id;
    UPDATE budget_reservations SET assumed_at = NULL WHERE id = a_id;
END
$$;

ALTER FUNCTION budget_reserve RENAME TO budget_reserve_rows;
CREATE FUNCTION budget_reserve(a_id uuid, a_scopes text[], a_periods text[], a_limits numeric[], a_amount numeric, a_lease_ms bigint)
RETURNS TABLE (scope text, period text, spent numeric, most numeric, left_ms bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM budget_unassume(a_id);
    RETURN QUERY SELECT * FROM budget_reserve_rows(a_id, a_scopes, a_periods, a_limits, a_amount, a_lease_ms);
END
$$;

ALTER FUNCTION budget_settle RENAME TO budget_settle_rows;
CREATE FUNCTION budget_settle(a_id uuid, a_cost numeric, a_scopes text[], a_periods text[], a_limits numeric[])
RETURNS TABLE (scope text, period text, spent numeric, most numeric, level integer) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM budget_unassume(a_id);
    RETURN QUERY SELECT * FROM budget_settle_rows(a_id, a_cost, a_scopes, a_periods, a_limits);
END
$$;
