/*
 * verify: has anybody touched the record? Each line's hash is made anew here, from what PostgreSQL
 * gives out, not by its functions: whoever can edit rows can edit those as well.
 */
#include "core/net/sign.h"
#include "gateway/admin/subjects.h"
#include <inttypes.h>

#define PAGE_ROWS 500
#define TEXT_MAX  (4u << 20)

enum { SEQ, USER, KEY, ACTOR, EVENT, TYPE, ID, OLD, NEW, IP, AGENT, AT, PREVIOUS, N_HASHED };
enum { HASH = N_HASHED, HEAD_SEQ, HEAD_HASH };

static const struct pg_stmt page_stmt = {
    "audit_verify",
    "SELECT l.seq, l.user_id, l.api_key_id, l.actor, l.event_type, l.resource_type, l.resource_id,"
    "  l.old_values::text, l.new_values::text, l.ip_address, l.user_agent,"
    "  l.created_at::text, l.previous_hash, l.hash, h.seq, h.hash"
    " FROM audit_head h LEFT JOIN LATERAL (SELECT * FROM audit_logs WHERE seq > $1 AND seq <= h.seq + 1"
    "  ORDER BY seq LIMIT $2) l ON true"
};

struct verify {
    int64_t seq;   /* the last line that was looked at */
    char hash[65]; /* its */
};

static const struct admin_field verify_fields[] = {
    { "valid", ADMIN_BOOL, ADMIN_REQUIRED, .help = "Nobody has touched it." },
    { "lines", ADMIN_INT, ADMIN_REQUIRED, .help = "That are as they were written." },
    { "head", ADMIN_TEXT, ADMIN_REQUIRED,
      .help = "The last of these lines' hash: note it elsewhere." },
    { "wrong_seq", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "The first line that is not; null: none, or the head." },
    { "reason", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "What is wrong with it." },
    ADMIN_END,
};
const struct admin_type admin_verify_type = { "Verification", verify_fields, "valid" };

static enum flow_rc ask_page(struct admin_call *call)
{
    const struct verify *v = call->mine;
    pg_rows_done(&call->rows);
    call->values[0] = pg_int(v->seq);
    call->values[1] = pg_int(PAGE_ROWS);
    pg_query(call->admin->app->pg, &call->flow.op, &page_stmt, call->values, 2, &call->rows);
    return FLOW_WAIT;
}

enum flow_rc admin_verify_run(struct admin_call *call)
{
    struct verify *v = arena_new(&call->arena, struct verify);
    memset(v->hash, '0', sizeof v->hash - 1);
    call->mine = v;
    return ask_page(call);
}

static enum flow_rc tell(struct admin_call *call, int64_t wrong, const char *reason)
{
    const struct verify *v = call->mine;
    _cleanup_(buf_done) struct buf b = BUF_INIT(1000);
    struct json_out to = JSON_OUT(&b);
    json_open(&to, '{');
    json_field_bool(&to, "valid", !reason);
    json_field_i64(&to, "lines", v->seq);
    json_field_str(&to, "head", str_of(v->hash));
    json_key(&to, "wrong_seq");
    if (wrong)
        json_put_i64(&to, wrong);
    else
        json_put_null(&to);
    json_field_str_or_null(&to, "reason", str_of(reason ? reason : ""));
    json_close(&to, '}');
    return admin_answer(call, 200, buf_str(&b));
}

static void hash_of(const struct pg_rows *r, int row, char ret[65])
{
    uint8_t hash[32];
    _cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
    for (int col = 0; col < N_HASHED; col++) {
        struct str s = pg_rows_str(r, row, col);
        if (col) buf_add_char(&text, ',');
        if (pg_rows_null(r, row, col))
            buf_add_char(&text, '-');
        else
            buf_addf(&text, "%zu:%.*s", s.n, STR_ARG(s));
    }
    sign_sha256(buf_str(&text), hash);
    sign_hex(hash, sizeof hash, ret);
}

/* NULL: the line follows on the one before, and is as it was written. */
static const char *wrong_with(const struct verify *v, const struct pg_rows *r, int row,
                              char hash[65])
{
    int64_t seq = pg_rows_i64(r, row, SEQ);
    hash_of(r, row, hash);
    if (seq != v->seq + 1) return "a line is missing";
    if (!str_eq(pg_rows_str(r, row, PREVIOUS), str_of(v->hash)))
        return "it does not follow on the line before: one was removed, replaced or reordered";
    if (!str_eq(pg_rows_str(r, row, HASH), str_of(hash))) return "its content was changed";
    return NULL;
}

enum flow_rc admin_verify_ran(struct admin_call *call)
{
    struct verify *v = call->mine;
    const struct pg_rows *r = &call->rows;
    if (r->n == 0) return tell(call, 0, "the head of the record is missing");
    bool some = !pg_rows_null(r, 0, SEQ);
    for (int row = 0; some && row < r->n; row++) {
        char hash[65];
        const char *reason = wrong_with(v, r, row, hash);
        if (reason) return tell(call, v->seq + 1, reason);
        v->seq++;
        memcpy(v->hash, hash, sizeof v->hash);
    }
    if (some && r->n == PAGE_ROWS) return ask_page(call);
    /* The page is a snapshot of its own: head and lines are of one moment. */
    if (pg_rows_i64(r, 0, HEAD_SEQ) != v->seq)
        return tell(call, v->seq + 1, "the newest lines are missing");
    if (!str_eq(pg_rows_str(r, 0, HEAD_HASH), str_of(v->hash)))
        return tell(call, v->seq, "the head of the record tells of another line");
    return tell(call, 0, NULL);
}
