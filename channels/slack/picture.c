/*
 * picture - whose token, then the file. The token goes to Slack's own hosts only, whatever address
 * the event held.
 */
#include "channels/slack/picture.h"

#include "channels/slack/team.h"
#include "core/base/mem.h"
#include "core/chat/chat.h"
#include "core/chat/fetch.h"
#include "core/net/address.h"

#define REF_MAX 4096

struct getting {
    struct op inner, *outer;
    struct slack *bot;
    struct http_header header;
    struct buf text, bearer, *ret;
    struct str team, url; /* in text */
};

static void getting_free(struct getting *g)
{
    op_cancel(&g->inner);
    buf_done(&g->text);
    buf_done(&g->bearer);
    free(g);
}

static void getting_drop(struct op *op)
{
    getting_free(op->impl);
}

static const struct op_kind getting_kind = { "slack.picture", getting_drop };

static void on_fetched(struct op *inner)
{
    struct getting *g = container_of(inner, struct getting, inner);
    if (inner->err.kind)
        op_fail(g->outer, &inner->err);
    else
        op_finish(g->outer);
    getting_free(g);
}

/* "https://files.slack.com" of "https://files.slack.com/x". */
static struct str origin_of(struct str url)
{
    size_t from = str_find(url, STR("://"));
    if (from == SIZE_MAX) return STR_NONE;
    size_t n = from + 3;
    while (n < url.n && !strchr("/?#\\", url.p[n])) n++;
    return str_head(url, n);
}

static bool is_of_slack(struct str origin)
{
    if (!str_starts(origin, STR("https://"))) return false;
    struct str host = str_skip(origin, sizeof("https://") - 1);
    for (size_t i = 0; i < host.n; i++) /* neither a user nor a port */
        if (strchr("@:%", host.p[i])) return false;
    return str_ends(host, STR(".slack.com"));
}

static void on_found(struct op *inner)
{
    struct getting *g = container_of(inner, struct getting, inner);
    const struct slack_team *team = inner->err.kind ? NULL : slack_team(g->bot, g->team);
    struct str origin = origin_of(g->url);
    bool ours = origin.n && str_eq(origin, origin_of(str_of(g->bot->api_url)));
    if (!team || !(ours || is_of_slack(origin))) {
        op_failf(g->outer, ERR_REFUSED, "Slack does not hand it out");
        getting_free(g);
        return;
    }
    buf_addf(&g->bearer, "Bearer %s", team->token);
    g->header = (struct http_header){ STR("Authorization"), buf_str(&g->bearer) };
    const struct fetch f = { .url = g->url,
                             .headers = &g->header,
                             .n_headers = 1,
                             .bytes_max = (size_t)g->bot->channel.host->chat->conf.picture_max,
                             .guard = ours ? NULL : address_is_public };
    op_init(&g->inner, g->outer->loop, on_fetched);
    fetch_file(g->bot->channel.host->http, &g->inner, &f, g->ret);
}

void slack_picture(struct channel *ch, struct op *op, struct str ref, struct buf *ret)
{
    struct getting *g = mem_new(struct getting);
    g->outer = op;
    g->bot = slack_of(ch);
    g->ret = ret;
    g->text = (struct buf)BUF_INIT(REF_MAX);
    g->bearer = (struct buf)BUF_INIT(REF_MAX);
    buf_add(&g->text, ref);
    g->url = buf_str(&g->text);
    g->team = str_cut(&g->url, ' ');
    op_init(&g->inner, op->loop, on_found);
    op_begin(op, &getting_kind, g, 4 * FETCH_MS);
    slack_teams_find(g->bot, &g->inner, g->team);
}
