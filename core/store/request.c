/*
 * request: the SQL of the queue. Each statement says in its WHERE what makes it safe to lose or to
 * repeat.
 *
 * A status beside an id is a CASE: to the planner a plain comparison is a reason to go through all
 * open requests, of which there are none by statistics that were taken at a quiet time.
 */
#include "core/store/request.h"

/* What a turn needs comes first in the rows of both, accept and claim: store_claimed reads either.
 */
enum { TURN_COLUMNS = 39, ACCEPTED_AT = 1 + TURN_COLUMNS };

static const enum pg_type accept_types[] = {
    PG_UUID, PG_UUID, PG_UUID, PG_UUID, PG_TEXT, PG_TEXT, PG_TEXT,
    PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT,
    PG_TEXT, PG_TEXT, PG_TEXT, PG_BOOL, PG_JSON, PG_TEXT, PG_INT,
};

const struct pg_batch_kind store_accept_kind = {
    .stmt = { "accept",
              "SELECT ord, (turn).*, fresh, request, conversation, message, person "
              "FROM take_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
              "$15, $16, $17, $18, $19, $20, $21)" },
    .n_columns = 21,
    .types = accept_types,
    .rows_max = 256,
};

void store_accept(struct store *s, struct op *op, const struct request_new *rq,
                  struct pg_rows *rows)
{
    const struct pg_value row[] = {
        pg_uuid(rq->request),      pg_uuid(rq->message),
        pg_uuid(rq->user),         pg_uuid(rq->conversation),
        pg_text(rq->channel_type), pg_text(rq->channel),
        pg_text(rq->event),        pg_text(rq->workspace),
        pg_text(rq->place),        pg_text(rq->thread),
        pg_text(rq->from),         pg_text(rq->username),
        pg_text(rq->display_name), pg_text(rq->platform_message),
        pg_text(rq->query),        pg_text(rq->command ? STR("notice") : STR("user")),
        pg_text(rq->ip),           pg_bool(rq->urgent),
        pg_json(rq->metadata),     pg_text(rq->owner),
        pg_int(rq->lease_ms),
    };
    pg_batch_add(s->accept, op, row, rows);
}

/* Of unique indexes only requests_running can refuse it: the event's is asked for its conflicts. */
bool store_accept_outrun(const struct err *e)
{
    return pg_err_is(e, "23505");
}

bool store_accepted(const struct pg_rows *rows, struct request_ids *ret)
{
    if (rows->n == 0) return false;
    ret->fresh = pg_rows_bool(rows, 0, ACCEPTED_AT);
    ret->request = pg_rows_uuid(rows, 0, ACCEPTED_AT + 1);
    ret->conversation = pg_rows_uuid(rows, 0, ACCEPTED_AT + 2);
    ret->message = pg_rows_uuid(rows, 0, ACCEPTED_AT + 3);
    ret->user = pg_rows_uuid(rows, 0, ACCEPTED_AT + 4);
    return true;
}

/*
 * The update repeats the pick's conditions, so that of two processes that picked the same row the
 * second finds it taken; should they pick different rows of one conversation, the index
 * requests_running refuses one of them.
 */
static const enum pg_type claim_types[] = { PG_UUID, PG_UUID, PG_TEXT, PG_INT };

const struct pg_batch_kind store_claim_kind = {
    .stmt = { "claim",
              "WITH input AS ("
              "  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int8[])"
              "    WITH ORDINALITY AS t (conversation, urgent, owner, lease_ms, ord)"
              "), pick AS ("
              "  SELECT i.*, q.id FROM input i CROSS JOIN LATERAL ("
              "    SELECT r.id FROM requests r"
              "    WHERE r.conversation_id = i.conversation AND r.status IN ('queued', 'running', 'sending')"
              "      AND CASE WHEN i.urgent IS NULL THEN NOT r.urgent ELSE r.id = i.urgent END"
              "    ORDER BY r.status = 'queued', r.id LIMIT 1) q"
              "), claimed AS ("
              "  UPDATE requests r SET"
              "    status = CASE r.status WHEN 'sending' THEN 'sending' ELSE 'running' END,"
              "    lease_owner = p.owner, lease_until = now() + p.lease_ms * interval '1 ms',"
              "    attempt = r.attempt + 1"
              "  FROM pick p WHERE r.id = p.id AND CASE r.status WHEN 'queued' THEN true"
              "    ELSE r.status IN ('running', 'sending') AND (r.lease_until < now() OR r.lease_owner = p.owner) END"
              "  RETURNING p.ord, r"
              ") SELECT c.ord, t.* FROM claimed c CROSS JOIN LATERAL turn_rows(c.r) t ORDER BY c.ord" },
    .n_columns = 4,
    .types = claim_types,
    .rows_max = 256,
};

void store_claim(struct store *s, struct op *op, struct uuid conversation, struct uuid urgent,
                 struct str owner, int64_t lease_ms, struct pg_rows *rows)
{
    const struct pg_value row[] = {
        pg_uuid(conversation),
        uuid_is_nil(&urgent) ? pg_null(PG_UUID) : pg_uuid(urgent),
        pg_text(owner),
        pg_int(lease_ms),
    };
    pg_batch_add(s->claim, op, row, rows);
}

bool store_claimed(const struct pg_rows *rows, struct claimed *ret)
{
    if (rows->n == 0 || pg_rows_null(rows, 0, 1)) return false;
    *ret = (struct claimed){
        .request = pg_rows_uuid(rows, 0, 1),
        .conversation = pg_rows_uuid(rows, 0, 2),
        .user = pg_rows_uuid(rows, 0, 3),
        .message = pg_rows_uuid(rows, 0, 4),
        .attempt = (int)pg_rows_i64(rows, 0, 5),
        .sending = pg_rows_bool(rows, 0, 6),
        .urgent = pg_rows_bool(rows, 0, 7),
        .stop_wanted = pg_rows_bool(rows, 0, 8),
        .message_count = (int)pg_rows_i64(rows, 0, 9),
        .age_ms = pg_rows_i64(rows, 0, 10),
        .channel_type = pg_rows_str(rows, 0, 11),
        .channel = pg_rows_str(rows, 0, 12),
        .workspace = pg_rows_str(rows, 0, 13),
        .place = pg_rows_str(rows, 0, 14),
        .thread = pg_rows_str(rows, 0, 15),
        .query = pg_rows_str(rows, 0, 16),
        .platform_message = pg_rows_str(rows, 0, 17),
        .preview_message = pg_rows_str(rows, 0, 18),
        .ip = pg_rows_str(rows, 0, 19),
        .model_override = pg_rows_str(rows, 0, 20),
        .preferred_model = pg_rows_str(rows, 0, 21),
        .outcome = pg_rows_str(rows, 0, 22),
        .direct = pg_rows_bool(rows, 0, 23),
        .ticket = pg_rows_str(rows, 0, 24),
        .late_ms = pg_rows_i64(rows, 0, 25),
        .pictures = pg_rows_str(rows, 0, 26),
        .from = pg_rows_str(rows, 0, 27),
        .approved = pg_rows_bool(rows, 0, 28),
        .summary = pg_rows_str(rows, 0, 29),
        .summary_until = pg_rows_i64(rows, 0, 30),
        .summary_off = pg_rows_bool(rows, 0, 31),
        .blocked = pg_rows_bool(rows, 0, 32),
        .person_limits = { pg_rows_i64(rows, 0, 33), pg_rows_i64(rows, 0, 34) },
        .key = pg_rows_uuid(rows, 0, 35),
        .key_limits = { pg_rows_i64(rows, 0, 36), pg_rows_i64(rows, 0, 37) },
        .news = pg_rows_str(rows, 0, 38),
        .variants = pg_rows_str(rows, 0, 39),
    };
    return true;
}

/*
 * Up to the next command or webhook: that is not part of a question, and what follows it comes
 * after it. The rows merged just now are not visible to the outer SELECT, hence the UNION; one
 * merged before is not twice.
 */
static const struct pg_stmt merge_stmt = {
    "merge",
    "WITH now_merged AS ("
    "  UPDATE requests r SET status = 'merged', merged_into = $1, completed_at = now()"
    "  WHERE conversation_id = $2 AND status = 'queued' AND NOT urgent AND id > $1"
    "    AND EXISTS (SELECT 1 FROM requests WHERE id = $1 AND CASE status WHEN 'running' THEN attempt = $3 END)"
    "    AND NOT EXISTS (SELECT 1 FROM requests c WHERE c.conversation_id = $2 AND c.status = 'queued'"
    "      AND NOT c.urgent AND c.id > $1 AND c.id <= r.id"
    "      AND (c.query ~ '^\\s*/' OR c.ticket <> '' OR c.hook IS NOT NULL))"
    "  RETURNING id, query, message_id, pictures"
    "), all_merged AS ("
    "  SELECT id, query, message_id, pictures FROM now_merged UNION"
    "  SELECT id, query, message_id, pictures FROM requests WHERE conversation_id = $2 AND merged_into = $1"
    ") SELECT query, message_id, pictures FROM all_merged ORDER BY id"
};

void store_merge(struct store *s, struct op *op, const struct claimed *c, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(c->request), pg_uuid(c->conversation),
                                  pg_int(c->attempt) };
    pg_query(s->pg, op, &merge_stmt, v, 3, rows);
}

/*
 * A row that a group is writing at this moment is left for the next time: to wait for many rows of
 * others while holding many is how deadlocks come about.
 */
#define OURS                                                       \
    "SELECT r.id, r.stop_wanted FROM requests r WHERE r.id = t.id" \
    "  AND CASE WHEN r.status IN ('running', 'sending') THEN r.lease_owner = $2 END LIMIT 1"

static const struct pg_stmt renew_stmt = {
    "renew",
    "WITH turns AS ("
    "  SELECT unnest($1::text::uuid[]) AS id"
    "), free AS ("
    "  SELECT r.id FROM turns t CROSS JOIN LATERAL (" OURS " FOR NO KEY UPDATE SKIP LOCKED) r"
    "), renewed AS ("
    "  UPDATE requests r SET lease_until = now() + $3 * interval '1 ms' FROM free f WHERE r.id = f.id"
    ") SELECT t.id, r.id IS NULL FROM turns t LEFT JOIN LATERAL (" OURS ") r ON true "
    "WHERE r.id IS NULL OR r.stop_wanted"
};

void store_renew(struct store *s, struct op *op, struct str requests, struct str owner,
                 int64_t lease_ms, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(requests), pg_text(owner), pg_int(lease_ms) };
    pg_query(s->pg, op, &renew_stmt, v, 3, rows);
}

static const struct pg_stmt requeue_stmt = {
    "requeue",
    "UPDATE requests SET status = CASE status WHEN 'running' THEN 'queued' ELSE status END,"
    " lease_owner = NULL, lease_until = now() - interval '1 ms' "
    "WHERE id = $1 AND CASE WHEN status IN ('running', 'sending') THEN attempt = $2 END"
};

void store_requeue(struct store *s, struct op *op, struct uuid request, int attempt)
{
    const struct pg_value v[] = { pg_uuid(request), pg_int(attempt) };
    pg_query(s->pg, op, &requeue_stmt, v, 2, NULL);
}

static const enum pg_type keep_types[] = {
    PG_UUID, PG_UUID, PG_INT, PG_TEXT, PG_TEXT, PG_TEXT, PG_BOOL, PG_TEXT, PG_TEXT, PG_TEXT,
    PG_INT,  PG_INT,  PG_INT, PG_JSON, PG_INT,  PG_JSON, PG_JSON, PG_JSON, PG_INT,
};

/*
 * Invariant 4: everything about a reply commits here, at once, before its final text is sent; its
 * first part is marked with it. An urgent request may be kept together with the answer that it
 * stopped: hence the sum for each conversation.
 */
const struct pg_batch_kind store_keep_kind = {
    .stmt = { "keep",
              "WITH input AS ("
              "  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::text[], $5::text[], $6::text[],"
              "    $7::bool[], $8::text[], $9::text[], $10::text[], $11::int8[], $12::int8[], $13::int8[],"
              "    $14::jsonb[], $15::int8[], $16::jsonb[], $17::jsonb[], $18::jsonb[], $19::int8[]) WITH ORDINALITY AS t (request, reply, attempt, query, answers, content,"
              "    notice, outcome, reason, model, prompt_tokens, completion_tokens, latency_ms, parts, n_parts, receipt, costs, exposures,"
              "    lease_ms, ord)"
              "), kept AS ("
              "  UPDATE requests r SET"
              "    status = CASE WHEN i.n_parts > 0 THEN 'sending' ELSE i.outcome END, outcome = i.outcome,"
              "    status_reason = nullif(i.reason, ''), reply_id = CASE WHEN i.n_parts > 0 THEN i.reply END,"
              "    query = i.query, model_used = nullif(i.model, ''), prompt_tokens = nullif(i.prompt_tokens, -1),"
              "    completion_tokens = nullif(i.completion_tokens, -1), total_latency_ms = i.latency_ms,"
              "    total_cost = (SELECT CASE WHEN sum(x.cost) > 999999 THEN 999999 ELSE sum(x.cost) END"
              "      FROM jsonb_to_recordset(i.costs) AS x (cost numeric, failed text) WHERE x.failed IS NULL),"
              "    completed_at = CASE WHEN i.n_parts > 0 THEN NULL ELSE now() END,"
              "    config_snapshot = coalesce(i.receipt -> 'configured', '{}'), lease_until = now() + i.lease_ms * interval '1 ms'"
              "  FROM input i WHERE r.id = i.request AND CASE r.status WHEN 'running' THEN r.attempt = i.attempt END"
              "  RETURNING r.conversation_id, r.user_id, r.channel, r.total_cost, i.*"
              "), said AS ("
              "  INSERT INTO messages (id, conversation_id, role, content, model_used, token_count, answers, metadata)"
              "  SELECT k.reply, k.conversation_id, CASE WHEN k.notice THEN 'notice' ELSE 'assistant' END, k.content,"
              "    nullif(k.model, ''), nullif(k.completion_tokens, -1), k.answers::uuid[],"
              "    CASE WHEN k.receipt = '{}' THEN k.receipt ELSE jsonb_build_object('receipt', k.receipt) END"
              "  FROM kept k WHERE k.n_parts > 0"
              "), billed AS ("
              "  INSERT INTO cost_records (id, request_id, conversation_id, user_id, channel, provider, model, prompt_tokens,"
              "    completion_tokens, cached_tokens, written_tokens, reasoning_tokens, cost, pricing_version, estimated, failed)"
              "  SELECT x.id, k.request, k.conversation_id, k.user_id, k.channel, x.provider, x.model, x.prompt, x.completion,"
              "    x.cached, x.written, x.reasoning, x.cost, x.version, x.estimated, x.failed"
              "  FROM kept k, jsonb_to_recordset(k.costs) AS x (id uuid, provider text, model text, prompt bigint,"
              "    completion bigint, cached bigint, written bigint, reasoning bigint, cost numeric, version text,"
              "    estimated boolean, failed text)"
              "  ON CONFLICT DO NOTHING"
              "), exposed AS ("
              "  INSERT INTO experiment_exposures (request_id, experiment, variant, unit_id, failed, stopped, cost, latency_ms,"
              "    first_token_ms)"
              "  SELECT k.request, x.experiment, x.variant, CASE WHEN x.person THEN k.user_id ELSE k.conversation_id END,"
              "    x.failed, x.stopped, k.total_cost, k.latency_ms, nullif(x.first_token_ms, 0)"
              "  FROM kept k, jsonb_to_recordset(k.exposures) AS x (experiment text, variant text, person boolean, failed boolean,"
              "    stopped boolean, first_token_ms bigint)"
              "  ON CONFLICT DO NOTHING"
              "), assigned AS ("
              "  INSERT INTO experiment_assignments (experiment, variant, conversation_id, user_id)"
              "  SELECT x.experiment, x.variant, CASE WHEN NOT x.person THEN k.conversation_id END,"
              "    CASE WHEN x.person THEN k.user_id END"
              "  FROM kept k, jsonb_to_recordset(k.exposures) AS x (experiment text, variant text, person boolean, fresh boolean)"
              "  WHERE x.fresh ORDER BY x.experiment, k.user_id, k.conversation_id"
              "  ON CONFLICT DO NOTHING"
              "), parted AS ("
              "  INSERT INTO deliveries (id, request_id, part, n_parts, content, notice, status, attempts)"
              "  SELECT d.id, k.request, d.part, k.n_parts, d.text, k.notice,"
              "    CASE d.part WHEN 0 THEN 'sending' ELSE 'pending' END, CASE d.part WHEN 0 THEN 1 ELSE 0 END"
              "  FROM kept k, jsonb_to_recordset(k.parts) AS d (id uuid, part int, text text)"
              "), counted AS ("
              "  UPDATE conversations c SET last_activity = now(),"
              "    message_count = c.message_count + k.n_messages,"
              "    context_window_used = coalesce(k.tokens, c.context_window_used)"
              "  FROM (SELECT conversation_id, sum(CASE WHEN notice THEN 0 ELSE 2 END) AS n_messages,"
              "      max(prompt_tokens + greatest(completion_tokens, 0)) FILTER (WHERE prompt_tokens >= 0) AS tokens"
              "    FROM kept WHERE n_parts > 0 GROUP BY conversation_id) k WHERE c.id = k.conversation_id"
              "  RETURNING c.id, c.message_count"
              ") SELECT k.ord, c.message_count FROM kept k LEFT JOIN counted c ON c.id = k.conversation_id "
              "UNION ALL "
              "SELECT i.ord, c.message_count FROM input i CROSS JOIN LATERAL ("
              "  SELECT r.conversation_id FROM requests r WHERE r.id = i.request"
              "    AND CASE r.status WHEN 'sending' THEN r.attempt = i.attempt AND r.reply_id = i.reply END LIMIT 1) r "
              "CROSS JOIN LATERAL (SELECT c.message_count FROM conversations c WHERE c.id = r.conversation_id LIMIT 1) c "
              "ORDER BY 1" },
    .n_columns = 19,
    .types = keep_types,
    .rows_max = 128,
};

void store_keep(struct store *s, struct op *op, const struct reply_row *r, struct pg_rows *rows)
{
    const struct pg_value row[] = {
        pg_uuid(r->request),
        pg_uuid(r->reply),
        pg_int(r->attempt),
        pg_text(r->query),
        pg_text(r->answers),
        pg_text(r->content),
        pg_bool(r->notice),
        pg_text(r->outcome),
        pg_text(r->reason),
        pg_text(r->model),
        pg_int(r->prompt_tokens),
        pg_int(r->completion_tokens),
        pg_int(r->latency_ms),
        pg_json(r->parts),
        pg_int(r->n_parts),
        pg_json(r->receipt.n ? r->receipt : STR("{}")),
        pg_json(r->costs.n ? r->costs : STR("[]")),
        pg_json(r->exposures.n ? r->exposures : STR("[]")),
        pg_int(r->lease_ms),
    };
    pg_batch_add(s->keep, op, row, rows);
}

static const struct pg_stmt preview_stmt = {
    "preview", "UPDATE requests SET preview_message = $3 "
               "WHERE id = $1 AND CASE WHEN status IN ('running', 'sending') THEN attempt = $2 END"
};

void store_preview(struct store *s, struct op *op, struct uuid request, int attempt,
                   struct str platform_message)
{
    const struct pg_value v[] = { pg_uuid(request), pg_int(attempt), pg_text(platform_message) };
    pg_query(s->pg, op, &preview_stmt, v, 3, NULL);
}

static const struct pg_stmt stop_stmt = {
    "stop", "UPDATE requests SET stop_wanted = true "
            "WHERE conversation_id = $1 AND status = 'running' AND NOT urgent RETURNING id"
};

void store_stop(struct store *s, struct op *op, struct uuid conversation, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(conversation) };
    pg_query(s->pg, op, &stop_stmt, v, 1, rows);
}

/* A conversation that somebody is busy with is left alone, whatever waits behind. */
static const struct pg_stmt sweep_stmt = {
    "sweep",
    "SELECT DISTINCT ON (r.conversation_id, CASE WHEN r.urgent THEN r.id END)"
    "  r.conversation_id, r.id, r.urgent "
    "FROM requests r WHERE r.status IN ('queued', 'running', 'sending')"
    "  AND r.channel = ANY ($3::text::text[]) AND CASE r.status"
    "  WHEN 'queued' THEN r.created_at < now() - $1 * interval '1 ms' AND (r.urgent OR NOT EXISTS ("
    "    SELECT 1 FROM requests b WHERE b.conversation_id = r.conversation_id AND NOT b.urgent"
    "      AND b.status IN ('running', 'sending') AND b.lease_until >= now()))"
    "  ELSE r.lease_until < now() END LIMIT $2"
};

void store_sweep(struct store *s, struct op *op, struct str channels, int64_t idle_ms,
                 int64_t limit, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_int(idle_ms), pg_int(limit), pg_text(channels) };
    pg_query(s->pg, op, &sweep_stmt, v, 3, rows);
}

static const struct pg_stmt backlog_stmt = {
    "backlog",
    "SELECT count(*), coalesce((extract(epoch FROM now() - min(created_at)) * 1000)::bigint, 0) "
    "FROM requests WHERE status IN ('queued', 'running', 'sending')"
};

void store_backlog(struct store *s, struct op *op, struct pg_rows *rows)
{
    pg_query(s->pg, op, &backlog_stmt, NULL, 0, rows);
}
