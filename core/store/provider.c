/* provider: see provider.h. */
#include "core/store/provider.h"

static const struct pg_stmt health_stmt = {
    "provider_health",
    "INSERT INTO provider_health AS h (id, provider, status, disabled_reason, calls, failures, latency_ms, last_failure_at)"
    " VALUES ($1, $2, $3, nullif($4, ''), $5, $6, $7, CASE WHEN $6 > 0 THEN now() END)"
    " ON CONFLICT (id) DO UPDATE SET provider = excluded.provider, status = excluded.status,"
    " disabled_reason = excluded.disabled_reason, calls = h.calls + excluded.calls,"
    " failures = h.failures + excluded.failures, latency_ms = h.latency_ms + excluded.latency_ms,"
    " last_failure_at = coalesce(excluded.last_failure_at, h.last_failure_at), updated_at = now()"
};

void store_provider_health(struct store *s, struct op *op, struct str id, struct str provider,
                           struct str status, struct str reason, const struct provider_calls *calls)
{
    const struct pg_value v[] = { pg_text(id),      pg_text(provider), pg_text(status),
                                  pg_text(reason),  pg_int(calls->n),  pg_int(calls->failed),
                                  pg_int(calls->ms) };
    pg_query(s->pg, op, &health_stmt, v, 7, NULL);
}
