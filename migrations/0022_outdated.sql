-- What nobody looks at any more goes.

-- By them messages were taken in two versions ago.
DROP FUNCTION accept_messages;
DROP FUNCTION accept_new_messages;

-- A row for each person and day adds up. What was spent before the last month stands in cost_records.
CREATE INDEX budgets_age ON budgets (starts);
CREATE OR REPLACE FUNCTION drop_outdated() RETURNS void LANGUAGE sql AS $$
    SELECT drop_outdated_rows();
    DELETE FROM response_cache WHERE cache_key IN (
        SELECT cache_key FROM response_cache WHERE expires_at < now() LIMIT 1000 FOR UPDATE SKIP LOCKED);
    DELETE FROM budgets WHERE (scope, period, starts) IN (
        SELECT scope, period, starts FROM budgets
        WHERE starts < period_start('month') - interval '1 month' LIMIT 1000 FOR UPDATE SKIP LOCKED);
$$;
