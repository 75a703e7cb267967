/*
 * ticket - a short JSON object, sealed.
 */
#include "channels/discord/ticket.h"

#include "channels/discord/interaction.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/net/sign.h"

bool discord_ticket_seal(const struct discord *d, const struct discord_ticket *ticket,
                         struct buf *to)
{
    _cleanup_(buf_done) struct buf plain = BUF_INIT(DISCORD_TOKEN_MAX + 200);
    struct json_out o = JSON_OUT(&plain);
    json_open(&o, '[');
    json_put_i64(&o, ticket->kind);
    json_put_i64(&o, (int64_t)ticket->interaction);
    json_put_str(&o, str_of(ticket->application));
    json_put_str(&o, str_of(ticket->token));
    json_close(&o, ']');
    return !plain.full && sign_seal(d->seal, buf_str(&plain), to);
}

static bool take_text(struct json *v, char *ret, size_t cap)
{
    struct str s;
    if (!json_str(v, &s) || s.n >= cap) return false;
    snprintf(ret, cap, "%.*s", STR_ARG(s));
    return true;
}

bool discord_ticket_open(const struct discord *d, struct str text, struct discord_ticket *ret)
{
    _cleanup_(buf_done) struct buf plain = BUF_INIT(TICKET_MAX);
    struct json *doc = NULL;
    int64_t kind = -1, id = 0;
    if (!sign_open(d->seal, text, &plain) || json_parse(buf_str(&plain), &doc, NULL)) return false;
    bool ok = json_i64(json_at(doc, 0), &kind) && json_i64(json_at(doc, 1), &id) &&
              take_text(json_at(doc, 2), ret->application, sizeof(ret->application)) &&
              take_text(json_at(doc, 3), ret->token, sizeof(ret->token));
    ret->kind = (enum discord_ticket_kind)kind;
    ret->interaction = (uint64_t)id;
    json_free(doc);
    return ok;
}

struct str discord_ticket_of(const struct discord *d, const struct discord_interaction *ia,
                             struct arena *a)
{
    struct discord_ticket t = { .kind = ia->ack == DISCORD_ACK_DEFER ? DISCORD_TICKET_COMMAND
                                                                     : DISCORD_TICKET_BUTTON };
    _cleanup_(buf_done) struct buf text = BUF_INIT(TICKET_MAX);
    if (ia->ack == DISCORD_ACK_MESSAGE) return STR_NONE;
    if (ia->token.n >= sizeof(t.token) || ia->application.n >= sizeof(t.application) ||
        !discord_id(ia->id, &t.interaction)) {
        log_warn(d->channel.name, "interaction without a usable token", "length=%zu", ia->token.n);
        return STR_NONE;
    }
    snprintf(t.token, sizeof(t.token), "%.*s", STR_ARG(ia->token));
    snprintf(t.application, sizeof(t.application), "%.*s", STR_ARG(ia->application));
    return discord_ticket_seal(d, &t, &text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
}
