/* problem: every no of the admin API, as application/problem+json (RFC 9457). */
#include "gateway/admin/call.h"
#include <stdarg.h>
#include <stdio.h>

static const struct {
    int status;
    const char *title;
} titles[] = {
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 409, "Conflict" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 422, "Unprocessable Content" },
    { 429, "Too Many Requests" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 507, "Insufficient Storage" },
};

static const char *title_of(int status)
{
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (titles[i].status == status) return titles[i].title;
    return "Error";
}

enum flow_rc admin_problem(struct admin_call *call, int status, const char *field, const char *fmt,
                           ...)
{
    char text[ERR_MSG_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;

    struct json_out to = JSON_OUT(&call->body);
    buf_clear(&call->body);
    json_open(&to, '{');
    json_field_str(&to, "type", STR("about:blank"));
    json_field_str(&to, "title", str_of(title_of(status)));
    json_field_i64(&to, "status", status);
    json_field_str(&to, "detail", str_from(text, len));
    if (*field) json_field_str(&to, "field", str_of(field));
    json_close(&to, '}');
    call->status = status;
    call->content_type = "application/problem+json";
    return FLOW_STOP;
}

/* What SQLSTATEs of constraints mean to somebody who asked for a change. */
static const struct {
    const char *sqlstate;
    int status;
    const char *text;
} meanings[] = {
    { "23505", 409, "there is one already" },
    { "23503", 422, "it speaks of something that is not there" },
    { "23514", 422, "a value is not allowed" },
    { "22", 422, "a value cannot be read" },
};

enum flow_rc admin_problem_of(struct admin_call *call, const struct err *why)
{
    struct str text = str_of(why->msg);
    size_t at = str_find(text, STR("SQLSTATE "));
    struct str state = at == SIZE_MAX ? STR_NONE : str_skip(text, at + 9);
    int64_t status;
    if (str_starts(state, STR("PA")) && str_i64(str_from(state.p + 2, 3), &status)) {
        struct str said = str_skip(state, 6), field = str_cut(&said, ':');
        return admin_problem(call, (int)status, arena_cstr(&call->arena, field), "%.*s",
                             STR_ARG(str_trim(said)));
    }
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (str_starts(state, str_of(meanings[i].sqlstate)))
            return admin_problem(call, meanings[i].status, "", "%s", meanings[i].text);
    if (why->kind == ERR_REFUSED || why->kind == ERR_BUG)
        return admin_problem(call, 500, "", "%s", why->msg);
    call->retry_after_s = 1;
    return admin_problem(call, 503, "", "the database does not answer, try again: %s",
                         err_rule(why->kind)->name);
}
