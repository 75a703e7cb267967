/*
 * batch - parse all, accept all, keep what failed. An update that can never be stored counts as
 * dealt with: holding the offset for it would stop the bot for ever.
 */
#include "channels/telegram/batch.h"

#include "channels/telegram/send.h"

#include "core/base/log.h"
#include "core/chat/chat.h"

#define ACCEPT_MS 90000 /* chat_accept has a deadline of its own, and it is shorter */

struct telegram_item {
    int64_t id;
    struct inbound in;
};

static void batch_add(struct telegram_batch *b, const struct telegram_update *u)
{
    const char *who = b->bot->channel.name;
    switch (u->verdict) {
    case TELEGRAM_TAKE:
        b->items[b->n_open++] = (struct telegram_item){ u->id, u->in };
        telegram_noticed_press(b->bot, u);
        break;
    case TELEGRAM_SKIP:
        log_debug(who, "update is not for us", "update=%lld why=%s", (long long)u->id, u->reason);
        telegram_noticed_press(b->bot, u);
        break;
    case TELEGRAM_LATER: /* polling begins when we know our name */
    case TELEGRAM_BROKEN:
        log_warn(who, "update cannot be understood, dropped", "update=%lld why=%s",
                 (long long)u->id, log_quote(str_of(u->reason)));
        break;
    }
}

enum err_kind telegram_batch_read(struct telegram_batch *b, struct telegram *t, struct json *result,
                                  int64_t offset, struct err *why)
{
    size_t n = json_length(result), n_ids = 0;
    if (!json_is_array(result)) return err_set(why, ERR_PROTO, "getUpdates: no array came");

    struct telegram_reader reader = telegram_reader(t);
    telegram_batch_done(b);
    b->open = true;
    b->bot = t;
    b->next_offset = offset;
    b->items = arena_new_array(&b->arena, struct telegram_item, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct telegram_update u;
        struct err bad = ERR_INIT;
        if (telegram_parse(&reader, json_at(result, i), &b->arena, &u, &bad)) {
            log_warn(t->channel.name, "update cannot be understood, dropped", "why=%s",
                     log_quote(str_of(bad.msg)));
            continue;
        }
        /* Ids ascend, but start anew now and then: a lower one than before is as good. */
        if (!__builtin_add_overflow(u.id, (int64_t)1, &b->next_offset)) n_ids++;
        batch_add(b, &u);
    }
    if (!n || n_ids) return ERR_NONE;
    telegram_batch_done(b);
    return err_set(why, ERR_PROTO, "getUpdates: no update has an id");
}

static void begin_one(size_t i, struct op *child, void *ctx)
{
    struct telegram_batch *b = ctx;
    struct channel *ch = &b->bot->channel;
    chat_accept(ch->host->chat, child, ch, &b->items[i].in, NULL);
}

void telegram_batch_accept(struct telegram_batch *b, struct op *op)
{
    if (!b->ops) b->ops = arena_new_array(&b->arena, struct op, b->n_open);
    op_join(op, &b->join, b->ops, b->n_open, begin_one, b, ACCEPT_MS);
}

enum err_kind telegram_batch_settle(struct telegram_batch *b, struct err *why)
{
    size_t n_left = 0;
    for (size_t i = 0; i < b->n_open; i++) {
        const struct err *err = &b->ops[i].err;
        if (err->kind == ERR_PROTO)
            log_error(b->bot->channel.name, "update cannot be stored, dropped",
                      "update=%lld why=%s", (long long)b->items[i].id, log_quote(str_of(err->msg)));
        if (err->kind == ERR_NONE || err->kind == ERR_PROTO) continue;
        if (!n_left) *why = *err;
        b->items[n_left++] = b->items[i];
    }
    b->n_open = n_left;
    return n_left ? why->kind : ERR_NONE;
}

void telegram_batch_done(struct telegram_batch *b)
{
    arena_done(&b->arena);
    *b = (struct telegram_batch){ .open = false };
    arena_init(&b->arena);
}
