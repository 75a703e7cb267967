/*
 * reply - errors by status, then by what the description says.
 */
#include "channels/telegram/reply.h"

/* When a 429 does not say how long: Telegram's limit for a chat is one message a second. */
#define RETRY_DEFAULT_S 3
#define RETRY_MAX_S     3600

void telegram_reply_done(struct telegram_reply *r)
{
    json_free(r->doc);
    *r = (struct telegram_reply){ .problem = TELEGRAM_FINE };
}

static const struct {
    const char
        *text; /* in the description of a 400, in lower case or upper as Telegram writes it */
    enum telegram_problem problem;
    enum err_kind kind;
} bad_requests[] = {
    { "message is not modified", TELEGRAM_NOT_MODIFIED, ERR_NONE },
    { "can't parse entities", TELEGRAM_UNPARSABLE, ERR_REFUSED },
    { "message to edit not found", TELEGRAM_OTHER, ERR_NOT_FOUND },
    { "message can't be edited", TELEGRAM_OTHER, ERR_NOT_FOUND },
    { "MESSAGE_ID_INVALID", TELEGRAM_OTHER, ERR_NOT_FOUND },
};

static enum err_kind read_bad_request(struct str text, struct telegram_reply *ret, struct err *why)
{
    for (size_t i = 0; i < sizeof(bad_requests) / sizeof(bad_requests[0]); i++) {
        if (str_find(text, str_of(bad_requests[i].text)) == SIZE_MAX) continue;
        ret->problem = bad_requests[i].problem;
        if (bad_requests[i].kind == ERR_NONE) return ERR_NONE;
        return err_set(why, bad_requests[i].kind, "%.*s", STR_ARG(text));
    }
    return err_set(why, ERR_REFUSED, "%.*s", STR_ARG(text));
}

static enum err_kind read_limit(struct json *parameters, struct str text, struct err *why)
{
    int64_t seconds = 0;
    json_get_i64(parameters, "retry_after", &seconds);
    if (seconds <= 0) seconds = RETRY_DEFAULT_S;
    if (seconds > RETRY_MAX_S) seconds = RETRY_MAX_S;
    err_set(why, ERR_LIMIT, "%.*s", STR_ARG(text));
    if (why) why->retry_after_ms = (uint32_t)seconds * 1000;
    return ERR_LIMIT;
}

static enum err_kind read_conflict(struct str text, struct telegram_reply *ret, struct err *why)
{
    bool hooked = str_find(text, STR("webhook is active")) != SIZE_MAX;
    ret->problem = hooked ? TELEGRAM_HOOKED : TELEGRAM_CONFLICT;
    return err_set(why, ERR_IO, "%.*s", STR_ARG(text));
}

static enum err_kind read_error(int64_t code, struct telegram_reply *ret, struct err *why)
{
    struct str text = STR("no description");
    json_get_str(ret->doc, "description", &text);
    struct json *parameters = json_get(ret->doc, "parameters");
    ret->problem = TELEGRAM_OTHER;
    if (json_get_i64(parameters, "migrate_to_chat_id", &ret->migrate_to)) {
        ret->problem = TELEGRAM_MIGRATED;
        return err_set(why, ERR_REFUSED, "%.*s", STR_ARG(text));
    }
    switch (code) {
    case 400: return read_bad_request(text, ret, why);
    case 401: /* fall through: a token without a colon makes a path that is not there */
    case 404: return err_set(why, ERR_AUTH, "%.*s: is the token right?", STR_ARG(text));
    case 409: return read_conflict(text, ret, why);
    case 429: return read_limit(parameters, text, why);
    default: break;
    }
    return err_set(why, code >= 500 ? ERR_IO : ERR_REFUSED, "%.*s", STR_ARG(text));
}

enum err_kind telegram_reply_read(int status, struct json *doc, struct telegram_reply *ret,
                                  struct err *why)
{
    bool ok;
    *ret = (struct telegram_reply){ .doc = doc };
    if (!json_get_bool(doc, "ok", &ok)) {
        ret->problem = TELEGRAM_OTHER;
        return err_set(why,
                       status == 401   ? ERR_AUTH
                       : status == 503 ? ERR_IO
                                       : ERR_UNKNOWN,
                       "HTTP %d and no answer of Telegram's", status);
    }
    ret->result = json_get(doc, "result");
    if (ok) {
        json_get_i64(ret->result, "message_id", &ret->message_id);
        return ERR_NONE;
    }
    int64_t code = status;
    json_get_i64(doc, "error_code", &code);
    return read_error(code, ret, why);
}

/* A whole number at the start of `s`, with something of JSON behind it. */
static bool leading_number(struct str s, int64_t *ret)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') n++;
    return n < s.n && (s.p[n] == ',' || s.p[n] == '}') && str_i64(str_head(s, n), ret);
}

int64_t telegram_reply_unreadable_id(struct str body)
{
    const struct str key = STR("\"update_id\":");
    int64_t id = 0;
    size_t at = str_find(body, key);
    if (str_starts(body, STR("{\"ok\":true")) && at != SIZE_MAX)
        leading_number(str_skip(body, at + key.n), &id);
    return id;
}

bool telegram_reply_message_id(struct str body, int64_t *ret)
{
    const struct str start = STR("{\"ok\":true,\"result\":{\"message_id\":");
    return str_starts(body, start) && leading_number(str_skip(body, start.n), ret);
}
