/*
 * reply - statuses, error codes and X-RateLimit headers.
 */
#include "channels/discord/reply.h"

#include "channels/discord/parse.h"

#include <math.h>
#include <stdlib.h>

#define OVERLOADED_MS 5000
#define LIMIT_MS      1000  /* when a 429 does not say */
#define ADDRESS_MS    60000 /* ... and when it is Cloudflare's, which bans for longer */
#define WAIT_MAX_MS   86400000.0

enum {
    CODE_BAD_TOKEN = 40001,
    CODE_BAD_TOKEN_TOO = 50014,
    CODE_DEAD_TOKEN = 50027,
    CODE_OVERLOADED = 130000
};

/* The first of the form's errors, with the field it is about: errors.content._errors[0].message. */
static struct str first_error(struct json *errors, struct str *field)
{
    static const char *const fields[] = { "content",          "components", "message_reference",
                                          "allowed_mentions", "nonce",      "message_id" };
    struct str text = STR_NONE;
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        struct json *list = json_get(json_get(errors, fields[i]), "_errors");
        if (!json_get_str(json_at(list, 0), "message", &text)) continue;
        *field = str_of(fields[i]);
        return text;
    }
    return text;
}

static enum err_kind kind_of(int status, int64_t code)
{
    if (code == CODE_DEAD_TOKEN || (code >= 10000 && code < 11000)) return ERR_NOT_FOUND;
    if (status == 401 || code == CODE_BAD_TOKEN || code == CODE_BAD_TOKEN_TOO) return ERR_AUTH;
    if (status == 404) return ERR_NOT_FOUND;
    if (status == 429 || code == CODE_OVERLOADED) return ERR_LIMIT;
    return status >= 500 || status < 300 ? ERR_UNKNOWN : ERR_REFUSED;
}

static void describe(const struct discord_reply *r, enum err_kind kind, struct err *why)
{
    struct str text = STR_NONE, field = STR_NONE, detail;
    json_get_str(r->doc, "message", &text);
    detail = first_error(json_get(r->doc, "errors"), &field);
    if (kind == ERR_AUTH)
        err_set(why, kind,
                "Discord refuses the token (HTTP status %d): make a new one in the developer "
                "portal, Bot, Reset Token",
                r->status);
    else if (!text.n)
        err_set(why, kind, "HTTP status %d and no answer of Discord's", r->status);
    else if (detail.n)
        err_set(why, kind, "Discord: %.*s (code %lld): %.*s: %.*s", STR_ARG(text),
                (long long)r->code, STR_ARG(field), STR_ARG(detail));
    else
        err_set(why, kind, "Discord: %.*s (code %lld)", STR_ARG(text), (long long)r->code);
}

void discord_reply_read(int status, struct json *doc, struct discord_reply *ret, struct err *why)
{
    struct str id;
    *ret = (struct discord_reply){ .status = status, .doc = doc };
    *why = (struct err)ERR_INIT;
    if (json_get_str(doc, "id", &id)) discord_id(id, &ret->message);
    if (status / 100 == 2) return;
    json_get_i64(doc, "code", &ret->code);
    enum err_kind kind = kind_of(status, ret->code);
    describe(ret, kind, why);
    if (ret->code == CODE_OVERLOADED) why->retry_after_ms = OVERLOADED_MS;
}

void discord_reply_done(struct discord_reply *r)
{
    json_free(r->doc);
    *r = (struct discord_reply){ 0 };
}

/* Seconds with a fraction, as milliseconds. 0: none, or nonsense. */
static uint32_t ms_of(double seconds)
{
    double ms = ceil(seconds * 1000);
    return ms > 0 && ms < WAIT_MAX_MS ? (uint32_t)ms : 0; /* NaN is neither */
}

static uint32_t header_ms(const struct http_reply *http, const char *name)
{
    struct str value = http_reply_header(http, name);
    char text[32];
    if (!value.n || value.n >= sizeof(text)) return 0;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    return ms_of(strtod(text, NULL));
}

static enum discord_scope scope_of(const struct http_reply *http, struct json *doc)
{
    bool global = false;
    json_get_bool(doc, "global", &global);
    /* Answers of Discord itself come through Google's proxy, which says so. */
    if (!json_get(doc, "message") || !http_reply_header(http, "Via").n)
        return DISCORD_SCOPE_ADDRESS;
    if (global || http_reply_header(http, "X-RateLimit-Global").n) return DISCORD_SCOPE_GLOBAL;
    bool shared = str_eq_nocase(http_reply_header(http, "X-RateLimit-Scope"), STR("shared"));
    return shared ? DISCORD_SCOPE_SHARED : DISCORD_SCOPE_ROUTE;
}

/* Header and body have been seen to differ by a factor of a thousand: the longer wait is safe. */
static void refusal_read(const struct http_reply *http, struct json *doc, struct discord_limit *ret)
{
    double seconds = 0;
    json_get_f64(doc, "retry_after", &seconds);
    uint32_t body_ms = ms_of(seconds), head_ms = http_retry_hint_ms(http);
    uint32_t least_ms = ret->scope == DISCORD_SCOPE_ADDRESS ? ADDRESS_MS : 1;
    ret->retry_after_ms = body_ms > head_ms ? body_ms : head_ms;
    if (!ret->retry_after_ms) ret->retry_after_ms = LIMIT_MS;
    if (ret->retry_after_ms < least_ms) ret->retry_after_ms = least_ms;
}

void discord_limit_read(const struct http_reply *http, struct json *doc, struct discord_limit *ret)
{
    *ret = (struct discord_limit){ .bucket = http_reply_header(http, "X-RateLimit-Bucket") };
    ret->reset_after_ms = header_ms(http, "X-RateLimit-Reset-After");
    if (!str_i64(http_reply_header(http, "X-RateLimit-Remaining"), &ret->remaining))
        ret->bucket = STR_NONE;
    bool page = http->status == 403 && !json_get(doc, "message"); /* of Cloudflare's */
    if (http->status != 429 && !page) return;
    ret->scope = scope_of(http, doc);
    refusal_read(http, doc, ret);
}
