/*
 * team - a map by workspace. What the database says is believed for a while only: the workspace may
 * have installed the app anew through another process.
 */
#include "channels/slack/team.h"

#include "channels/slack/api.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/retry.h"
#include "core/net/sign.h"
#include "core/store/installation.h"

#define BELIEVE_MS 60000
#define NONE_MS    10000 /* nobody asks the database about a stranger more often */
#define FIND_MS    15000
#define TEAMS_MAX  20000

static const struct retry backoff = { 1000, 60000 };

struct slack_teams {
    struct slack *bot;
    struct map map; /* struct slack_team; with token "" = known to be none of ours */
    struct list finds;
    struct op greet; /* auth.test, or the rest before the next one */
    bool greeting, greeted;
    unsigned attempt;
    struct slack_reply reply;
    struct list drops; /* struct forget */
};

/* --- the map --- */

static struct slack_team *entry(const struct slack *s, struct str id)
{
    struct map_node *n = s->teams ? map_get(&s->teams->map, id) : NULL;
    return n ? container_of(n, struct slack_team, node) : NULL;
}

const struct slack_team *slack_team(const struct slack *s, struct str id)
{
    const struct slack_team *t = entry(s, id);
    return t && t->token[0] ? t : NULL;
}

static void entry_free(struct slack_teams *teams, struct slack_team *t)
{
    map_drop(&teams->map, &t->node);
    free(t);
}

void slack_team_put(struct slack *s, const struct slack_team *team)
{
    struct slack_team *t = entry(s, str_of(team->id));
    if (!t) {
        struct map_node *any = s->teams->map.n < TEAMS_MAX ? NULL : map_any(&s->teams->map);
        if (any) entry_free(s->teams, container_of(any, struct slack_team, node));
        t = mem_new(struct slack_team);
        snprintf(t->id, sizeof(t->id), "%s", team->id);
        map_put(&s->teams->map, &t->node, str_of(t->id));
    }
    const struct map_node node = t->node;
    *t = *team;
    t->node = node;
    t->known_ms = clock_ms();
    if (t->token[0]) log_secret(str_of(t->token));
}

static void copy(char *ret, size_t cap, struct str s)
{
    snprintf(ret, cap, "%.*s", STR_ARG(s));
}

/* --- the token of the configuration --- */

static void greet_again(struct slack_teams *teams, const struct err *why)
{
    teams->greeting = false;
    channel_down(&teams->bot->channel, why);
    op_sleep(&teams->greet, retry_delay_ms(&backoff, ++teams->attempt, why->retry_after_ms));
}

static void ask_who(struct slack_teams *teams)
{
    struct slack *s = teams->bot;
    const struct slack_call call = { .method = "auth.test",
                                     .token = str_of(s->bot_token),
                                     .body = STR("{}") };
    teams->greeting = true;
    slack_reply_done(&teams->reply);
    slack_call(s, &teams->greet, &call, &teams->reply);
}

static bool read_who(const struct slack *s, struct json *doc, struct slack_team *ret)
{
    struct str id = STR_NONE, user = STR_NONE, bot = STR_NONE, title = STR_NONE;
    json_get_str(doc, "team_id", &id);
    json_get_str(doc, "user_id", &user);
    json_get_str(doc, "bot_id", &bot);
    json_get_str(doc, "team", &title);
    *ret = (struct slack_team){ .known_ms = 0 };
    copy(ret->id, sizeof(ret->id), id);
    copy(ret->user, sizeof(ret->user), user);
    copy(ret->bot, sizeof(ret->bot), bot);
    copy(ret->title, sizeof(ret->title), title);
    copy(ret->token, sizeof(ret->token), str_of(s->bot_token));
    return id.n > 0 && user.n > 0;
}

static void on_greet(struct op *op)
{
    struct slack_teams *teams = container_of(op, struct slack_teams, greet);
    struct slack_team team;
    struct err why = op->err;
    if (!teams->greeting) {
        ask_who(teams);
        return;
    }
    if (!why.kind && !read_who(teams->bot, teams->reply.doc, &team))
        err_set(&why, ERR_PROTO, "auth.test: team_id or user_id is missing");
    if (why.kind) {
        greet_again(teams, &why);
        return;
    }
    slack_team_put(teams->bot, &team);
    slack_reply_done(&teams->reply);
    teams->greeted = true;
    log_info(teams->bot->channel.name, "Slack knows us", "workspace=%s user=%s", team.id,
             team.user);
    if (teams->bot->transport == SLACK_EVENTS) channel_up(&teams->bot->channel);
}

void slack_teams_greet(struct slack *s)
{
    if (*s->bot_token) ask_who(s->teams);
}

/* --- finding --- */

struct find {
    struct list link;
    struct slack *bot;
    struct op inner, *outer;
    struct str id;
    struct pg_rows rows;
};

static void find_free(struct find *f)
{
    op_cancel(&f->inner);
    list_drop(&f->link);
    pg_rows_done(&f->rows);
    free(f);
}

static void find_drop(struct op *op)
{
    find_free(op->impl);
}

static const struct op_kind find_kind = { "slack.team", find_drop };

static void find_end(struct find *f, enum err_kind kind, const char *text)
{
    if (kind)
        op_failf(f->outer, kind, "%s", text);
    else
        op_finish(f->outer);
    find_free(f);
}

static bool read_row(const struct find *f, struct slack_team *ret)
{
    _cleanup_(buf_done) struct buf token = BUF_INIT(sizeof(ret->token) - 1);
    if (!slack_token_open(f->bot, pg_rows_str(&f->rows, 0, 4), &token)) return false;
    copy(ret->title, sizeof(ret->title), pg_rows_str(&f->rows, 0, 1));
    copy(ret->user, sizeof(ret->user), pg_rows_str(&f->rows, 0, 2));
    copy(ret->bot, sizeof(ret->bot), pg_rows_str(&f->rows, 0, 3));
    copy(ret->token, sizeof(ret->token), buf_str(&token));
    return true;
}

static void on_found(struct op *inner)
{
    struct find *f = container_of(inner, struct find, inner);
    struct slack_team team = { .known_ms = 0 };
    if (inner->err.kind) {
        op_fail(f->outer, &inner->err);
        find_free(f);
        return;
    }
    copy(team.id, sizeof(team.id), f->id);
    bool row = f->rows.n > 0, readable = row && read_row(f, &team);
    if (row && !readable)
        log_error(f->bot->channel.name,
                  "the token of a workspace cannot be opened: was seal_secret changed?",
                  "workspace=%s", team.id);
    slack_team_put(f->bot, &team); /* also that there is none */
    find_end(f, readable ? ERR_NONE : ERR_NOT_FOUND, "the app is not installed in this workspace");
}

static bool is_fresh(const struct slack *s, const struct slack_team *t)
{
    if (t && t->token[0] && *s->bot_token && strcmp(t->token, s->bot_token) == 0) return true;
    return t && clock_ms() - t->known_ms < (t->token[0] ? BELIEVE_MS : NONE_MS);
}

void slack_teams_find(struct slack *s, struct op *op, struct str id)
{
    struct find *f = mem_new(struct find);
    const struct slack_team *t = entry(s, id);
    f->bot = s;
    f->outer = op;
    f->id = id;
    list_push(&s->teams->finds, &f->link);
    op_init(&f->inner, op->loop, on_found);
    op_begin(op, &find_kind, f, FIND_MS);
    if (is_fresh(s, t))
        find_end(f, t->token[0] ? ERR_NONE : ERR_NOT_FOUND,
                 "the app is not installed in this workspace");
    else if (*s->client_id)
        store_installation_get(s->channel.host->store, &f->inner, str_of(s->channel.name), f->id,
                               &f->rows);
    else
        find_end(f, s->teams->greeted ? ERR_NOT_FOUND : ERR_IO,
                 s->teams->greeted ? "bot_token is of another workspace"
                                   : "Slack has not said yet who we are");
}

/* --- forgetting --- */

struct forget {
    struct list link;
    struct op op;
    char id[SLACK_ID_MAX];
};

static void on_forgotten(struct op *op)
{
    struct forget *f = container_of(op, struct forget, op);
    if (op->err.kind)
        log_warn("slack", "a workspace that is gone could not be forgotten", "why=%s",
                 log_quote(str_of(op->err.msg)));
    list_drop(&f->link);
    free(f);
}

void slack_team_drop(struct slack *s, struct str id)
{
    struct slack_team *t = entry(s, id);
    if (t) t->token[0] = '\0';
    if (!*s->client_id) return;
    struct forget *f = mem_new(struct forget);
    copy(f->id, sizeof(f->id), id);
    list_push(&s->teams->drops, &f->link);
    op_init(&f->op, s->channel.host->loop, on_forgotten);
    store_installation_drop(s->channel.host->store, &f->op, str_of(s->channel.name), str_of(f->id));
}

/* --- sealing --- */

static void seal_key(const struct slack *s, uint8_t ret[32])
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(8192);
    buf_addf(&b, "parley slack token %s", s->seal_secret);
    sign_sha256(buf_str(&b), ret);
}

bool slack_token_seal(const struct slack *s, struct str token, struct buf *to)
{
    uint8_t key[32];
    seal_key(s, key);
    return sign_seal(key, token, to);
}

bool slack_token_open(const struct slack *s, struct str sealed, struct buf *to)
{
    uint8_t key[32];
    seal_key(s, key);
    return sign_open(key, sealed, to);
}

/* --- life --- */

void slack_teams_open(struct slack *s)
{
    struct slack_teams *teams = mem_new(struct slack_teams);
    teams->bot = s;
    map_init(&teams->map);
    list_init(&teams->finds);
    list_init(&teams->drops);
    op_init(&teams->greet, s->channel.host->loop, on_greet);
    s->teams = teams;
}

void slack_teams_close(struct slack *s)
{
    struct slack_teams *teams = s->teams;
    if (!teams) return;
    op_cancel(&teams->greet);
    slack_reply_done(&teams->reply);
    while (!list_empty(&teams->finds))
        op_cancel(list_first(&teams->finds, struct find, link)->outer);
    list_each (it, next, &teams->drops) {
        struct forget *f = container_of(it, struct forget, link);
        op_cancel(&f->op);
        list_drop(&f->link);
        free(f);
    }
    for (struct map_node *n; (n = map_any(&teams->map));)
        entry_free(teams, container_of(n, struct slack_team, node));
    map_done(&teams->map);
    free(teams);
    s->teams = NULL;
}
