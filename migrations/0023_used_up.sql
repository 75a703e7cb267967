-- A budget is used up when it is nearly spent and a question does not fit into what is left: what might cost more than the limit
-- is never asked, so that the last cents stay. Whoever listens to budget.alert hears of it, once a period.

CREATE OR REPLACE FUNCTION budget_reserve_rows(a_id uuid, a_scopes text[], a_periods text[], a_limits numeric[], a_amount numeric, a_lease_ms bigint)
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
            UPDATE budgets g SET alerted = 100
            WHERE g.scope = b.s AND g.period = b.p AND g.starts = b.starts AND g.alerted < 100 AND g.spent >= b.l * 0.8;
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
