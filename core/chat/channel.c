/* channel: what all adapters share: common fields, state changes, the list of those that are open.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/chat/chat.h"

const char *const queue_mode_words[] = { "wait", "merge", "interrupt", "default", NULL };

static const char *const access_words[] = { "open", "pairing", NULL };

const struct conf_field channel_fields[] = {
    { .key = "name",
      .type = CONF_STR,
      .offset = offsetof(struct channel, name),
      .flags = CONF_REQUIRED,
      .help =
          "The account's name: part of addresses, keys and log lines. Do not change it once it is in use." },
    { .key = "model",
      .type = CONF_STR,
      .offset = offsetof(struct channel, model),
      .flags = CONF_RELOADABLE,
      .help = "The model that answers here unless somebody chooses another; empty = chat.model." },
    { .key = "queue",
      .type = CONF_ENUM,
      .offset = offsetof(struct channel, queue),
      .def = "default",
      .words = queue_mode_words,
      .flags = CONF_RELOADABLE,
      .help =
          "What happens to a message that arrives while an answer is being written: wait, merge with what else "
          "waits, interrupt the answer; default = chat.queue." },
    { .key = "rate_per_minute",
      .type = CONF_INT,
      .offset = offsetof(struct channel, rate_per_minute),
      .max = 100000,
      .flags = CONF_RELOADABLE,
      .help = "Messages a minute a person may write here; 0 = chat.rate_per_minute." },
    { .key = "access",
      .type = CONF_ENUM,
      .offset = offsetof(struct channel, access),
      .def = "open",
      .words = access_words,
      .flags = CONF_RELOADABLE,
      .help =
          "Who is answered: open = whoever writes; pairing = an unknown person gets a code, which an admin enters "
          "with `parley approve CODE`." },
    CONF_END,
};

void channel_up(struct channel *ch)
{
    if (!ch->up) log_info(ch->name, "channel is up", "type=%s", ch->type->name);
    ch->up = true;
    channel_heard(ch);
}

void channel_down(struct channel *ch, const struct err *why)
{
    if (ch->up || ch->down_why.kind != why->kind)
        log_warn(ch->name, "channel is down, trying again", "type=%s kind=%s text=%s",
                 ch->type->name, err_rule(why->kind)->name, log_quote(str_of(why->msg)));
    ch->up = false;
    ch->down_why = *why;
}

void channel_heard(struct channel *ch)
{
    ch->last_event_ms = (int64_t)clock_ms();
}

void chat_channel_add(struct chat *chat, struct channel *ch)
{
    list_push(&chat->channels, &ch->link);
}

struct channel *chat_channel(const struct chat *chat, struct str name)
{
    list_each (it, next, &chat->channels) {
        struct channel *ch = container_of(it, struct channel, link);
        if (str_eq(str_of(ch->name), name)) return ch;
    }
    return NULL;
}

int channel_queue(const struct chat *chat, const struct channel *ch)
{
    return ch->queue == QUEUE_DEFAULT ? chat->conf.queue : ch->queue;
}
