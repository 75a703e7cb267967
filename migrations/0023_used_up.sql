-- A budget is used up when it is nearly spent and a question does not fit into what is left: what might cost more than the limit
-- is never asked, so that the last cents stay. Whoever listens to budget.alert hears of it, once a period.

CREATE OR REPLACE FUNCTION budget_reserve(a_id uuid, a_scopes text[], a_periods text[], a_limits numeric[], a_amount numeric, a_lease_ms bigint)
RETURNS TABLE (scope text, period text, spent numeric, most numeric, left_ms bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM budget_unassume(a_id);
    FOR scope, period, spent, most, left_ms IN
        SELECT * FROM budget_reserve_rows(a_id, a_scopes, a_periods, a_limits, a_amount, a_lease_ms)
    LOOP
        UPDATE budgets g SET alerted = 100
        WHERE g.scope = budget_reserve.scope AND g.period = budget_reserve.period AND g.starts = period_start(g.period)
          AND g.alerted < 100 AND g.spent >= most * 0.8;
        RETURN NEXT;
    END LOOP;
END
$$;
