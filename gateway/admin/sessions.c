/* sessions: who is talking with us, as Redis knows it. */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/cache/session.h"
#include "core/net/redis.h"
#include "gateway/admin/subjects.h"

#define COLUMNS 5

static const struct admin_field session_fields[] = {
    { "channel", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The account." },
    { "channel_user_id", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The platform's id of the person." },
    { "last_activity", ADMIN_TIME, ADMIN_REQUIRED, .help = "When they wrote last." },
    { "model", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "The one they chose." },
    { "user_id", ADMIN_UUID, ADMIN_REQUIRED, .help = "The person." },
    { "conversation_id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Where they are." },
    ADMIN_END,
};
static const struct admin_type session_type = { "Session", session_fields };

static void put_session(struct json_out *to, const struct redis_reply *r, size_t at)
{
    struct str user = redis_reply_str(r, at), channel = str_cut(&user, ':');
    struct str model = redis_reply_str(r, at + 3);
    char when[CLOCK_TEXT_MAX];
    clock_text(redis_reply_int(r, at + 4, 0), when);
    json_open(to, '{');
    json_field_str(to, "channel", channel);
    json_field_str(to, "channel_user_id", user);
    json_field_str(to, "last_activity", str_of(when));
    json_field_str_or_null(to, "model", model);
    json_field_str(to, "user_id", redis_reply_str(r, at + 1));
    json_field_str(to, "conversation_id", redis_reply_str(r, at + 2));
    json_close(to, '}');
}

static enum flow_rc list_run(struct admin_call *call)
{
    struct str after = STR("0");
    int64_t cursor = 0;
    json_get_str(call->given, "after", &after);
    if (!str_i64(after, &cursor) || cursor < 0)
        return admin_problem(call, 422, "after", "after: not from an earlier page");
    cache_session_scan(call->admin->app->redis, &call->flow.op, after, call->limit, &call->reply);
    return FLOW_WAIT;
}

static enum flow_rc list_ran(struct admin_call *call)
{
    const struct redis_reply *r = &call->reply;
    struct str next = redis_reply_str(r, 0);
    _cleanup_(buf_done) struct buf b = BUF_INIT(call->body.max);
    struct json_out to = JSON_OUT(&b);
    admin_page_open(&to);
    for (size_t at = 1; at + COLUMNS <= r->n; at += COLUMNS) put_session(&to, r, at);
    admin_page_close(&to, str_eq(next, STR("0")) ? STR_NONE : next);
    return admin_answer(call, 200, buf_str(&b));
}

const struct admin_op admin_sessions_ops[] = {
    { .id = "sessions.list",
      .method = "GET",
      .path = "/sessions",
      .scope = "sessions:read",
      .summary = "Who wrote in the last hour, in no order; a page may be empty though more follow.",
      .answer = &session_type,
      .flags = ADMIN_LIST,
      .run = list_run,
      .ran = list_ran },
    { .id = NULL },
};
