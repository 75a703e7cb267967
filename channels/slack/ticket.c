/*
 * ticket - a short JSON array, sealed.
 */
#include "channels/slack/ticket.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/net/sign.h"

#define WORKS_MS (29 * 60 * 1000)

bool slack_is_slacks(const struct slack *s, struct str url)
{
    struct str base = str_of(s->api_url);
    size_t host = str_find(base, STR("://"));
    size_t path = host == SIZE_MAX ? SIZE_MAX : str_find_char(str_skip(base, host + 3), '/');
    struct str origin = path == SIZE_MAX ? base : str_head(base, host + 3 + path);
    if (str_starts(url, STR("https://hooks.slack.com/"))) return true;
    return str_starts(url, origin) && str_starts(str_skip(url, origin.n), STR("/"));
}

struct str slack_ticket_of(const struct slack *s, struct str url, enum slack_kind kind,
                           struct arena *a)
{
    _cleanup_(buf_done) struct buf plain = BUF_INIT(SLACK_URL_MAX + 100);
    _cleanup_(buf_done) struct buf text = BUF_INIT(TICKET_MAX);
    struct json_out o = JSON_OUT(&plain);
    if (!url.n) return STR_NONE;
    if (url.n >= SLACK_URL_MAX || !slack_is_slacks(s, url)) {
        log_warn(s->channel.name, "response_url is no address of Slack's, not used", "length=%zu",
                 url.n);
        return STR_NONE;
    }
    json_open(&o, '[');
    json_put_i64(&o, kind);
    json_put_i64(&o, clock_wall_ms());
    json_put_str(&o, url);
    json_close(&o, ']');
    bool ok = !plain.full && sign_seal(s->seal, buf_str(&plain), &text);
    return ok ? arena_dup(a, buf_str(&text)) : STR_NONE;
}

bool slack_ticket_open(const struct slack *s, struct str text, struct slack_ticket *ret)
{
    _cleanup_(buf_done) struct buf plain = BUF_INIT(TICKET_MAX);
    struct json *doc = NULL;
    struct str url = STR_NONE;
    int64_t kind = -1;
    if (!sign_open(s->seal, text, &plain) || json_parse(buf_str(&plain), &doc, NULL)) return false;
    bool ok = json_i64(json_at(doc, 0), &kind) && json_i64(json_at(doc, 1), &ret->made_ms) &&
              json_str(json_at(doc, 2), &url) && url.n < sizeof(ret->url);
    ret->kind = kind == SLACK_ACTION ? SLACK_ACTION : SLACK_COMMAND;
    snprintf(ret->url, sizeof(ret->url), "%.*s", STR_ARG(url));
    json_free(doc);
    return ok && clock_wall_ms() - ret->made_ms < WORKS_MS;
}
