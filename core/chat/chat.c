/* chat: the conf table, and opening, draining and closing what the other files of this floor do. */
#include "core/chat/chat.h"
#include "core/cache/rate.h"
#include "core/chat/eraser.h"
#include "core/chat/keeper.h"
#include "core/chat/lane.h"
#include "core/chat/turn.h"

static const char *const unknown_words[] = { "notice", "resend", "hold", NULL };

#define FIELD(name) \
    .key = #name, .offset = offsetof(struct chat_conf, name), .flags = CONF_RELOADABLE
#define FIELD_MS(name) \
    .key = #name, .offset = offsetof(struct chat_conf, name##_ms), .flags = CONF_RELOADABLE

const struct conf_field chat_conf_fields[] = {
    { FIELD(model), .type = CONF_STR,
      .help = "The model that answers unless somebody chooses another; empty = the first." },
    { FIELD(system_prompt), .type = CONF_STR,
      .def =
          "You are a helpful assistant in a chat. Answer briefly and clearly, in the language of the question.",
      .help = "What every model is told first." },
    { FIELD(queue), .type = CONF_ENUM, .def = "wait", .words = queue_mode_words,
      .help =
          "What happens to a message that arrives while an answer is being written: wait, merge with what else "
          "waits, interrupt the answer." },
    { FIELD_MS(merge), .type = CONF_DURATION, .def = "1500ms", .max = 60000,
      .help = "How long merge waits for more." },
    { FIELD(rate_per_minute), .type = CONF_INT, .def = "60", .max = 100000,
      .help = "Messages a minute a person may write; 0 = no limit." },
    { FIELD(rate_ip_per_minute), .type = CONF_INT, .def = "120", .max = 100000,
      .help = "Messages a minute from one address, where the channel knows it; 0 = no limit." },
    { FIELD(history_messages), .type = CONF_INT, .def = "20", .min = 0, .max = 200,
      .help = "How many messages of the conversation a model sees, at most." },
    { FIELD(history_tokens), .type = CONF_INT, .def = "6000", .min = 0, .max = 1000000,
      .help = "How many tokens of them, at most, by Parley's own estimate." },
    { FIELD(compact), .type = CONF_BOOL, .def = "false",
      .help = "When a conversation outgrows that, its model summarises the older half, which costs "
              "a question more; people are told, and can take it back." },
    { FIELD(message_max), .type = CONF_SIZE, .def = "64KB", .min = 256, .max = 1 << 20,
      .help = "A longer message is cut here, and the model is told." },
    { FIELD(picture_max), .type = CONF_SIZE, .def = "4MB", .min = 1024, .max = 20 << 20,
      .help = "A larger picture is not fetched for models that see." },
    { FIELD(pictures_max), .type = CONF_INT, .def = "8", .max = 100,
      .help = "How many pictures of one question are fetched for models that see; 0 = none." },
    { FIELD(picture_hosts), .type = CONF_LIST,
      .help =
          "Hosts (or host:port) whose pictures may be fetched although they are in a private network or have no TLS. "
          "Everywhere else, only public addresses with https:// are asked." },
    { FIELD(turns_max), .type = CONF_INT, .def = "1000", .min = 1, .max = 100000,
      .help = "Answers being written at once in one process; more wait." },
    { FIELD_MS(lease), .type = CONF_DURATION, .def = "30s", .min = 1000, .max = 600000,
      .help = "After this time without a sign of life another process takes over an answer." },
    { FIELD_MS(expire), .type = CONF_DURATION, .def = "1d", .min = 1000, .max = INT64_C(2592000000),
      .help = "A message that waited longer is not answered; the person is told." },
    { FIELD_MS(preview_after), .type = CONF_DURATION, .def = "1s", .max = 60000,
      .help = "When the growing answer is shown for the first time." },
    { FIELD(send_attempts), .type = CONF_INT, .def = "8", .min = 1, .max = 100,
      .help = "Tries to send one part of a reply before it becomes a dead letter." },
    { FIELD(cache), .type = CONF_ENUM, .def = "off", .words = reuse_scope_words,
      .help =
          "Whether the same question, with the same history to the same model, gets the answer that was kept the "
          "last time: off, person = who asked it before, channel = whoever writes there, also other people." },
    { FIELD_MS(cache_ttl), .type = CONF_DURATION, .def = "1h", .min = 1000,
      .max = INT64_C(2592000000), .help = "How long such an answer is kept." },
    { FIELD(unknown_outcome), .type = CONF_ENUM, .def = "notice", .words = unknown_words,
      .help =
          "When a platform without idempotency keys may or may not have taken a message: notice = say so and offer "
          "/again, resend = risk that it is seen twice, hold = keep it for an admin." },
    CONF_END,
};

void chat_open(struct chat *chat, struct loop *loop, struct store *store, struct redis *redis,
               struct models *models, const struct chat_conf *conf, const char *owner)
{
    *chat = (struct chat){ .loop = loop,
                           .store = store,
                           .redis = redis,
                           .models_now = models,
                           .conf = *conf,
                           .owner = owner };
    list_init(&chat->channels);
    list_init(&chat->ready);
    list_init(&chat->turns);
    list_init(&chat->intakes);
    map_init(&chat->lanes);
    chat->rate = cache_rate_new(redis);
    keeper_open(chat);
    eraser_open(chat);
}

void chat_start(struct chat *chat)
{
    keeper_start(chat);
}

void chat_reload(struct chat *chat, const struct chat_conf *conf)
{
    chat->conf = *conf;
    keeper_reload(chat);
}

void chat_drain(struct chat *chat)
{
    chat->draining = true;
}

bool chat_idle(const struct chat *chat)
{
    return list_empty(&chat->turns) && list_empty(&chat->intakes) && !keeper_busy(chat);
}

static void stop_all(struct list *flows, const char *why)
{
    while (!list_empty(flows)) flow_stop(list_first(flows, struct flow, link), ERR_CANCELLED, why);
}

void chat_hand_over(struct chat *chat)
{
    chat->draining = true;
    stop_all(&chat->turns, "handed over");
}

void chat_close(struct chat *chat)
{
    chat->draining = true;
    stop_all(&chat->intakes, "closing");
    stop_all(&chat->turns, "closing");
    lane_free_all(chat);
    map_done(&chat->lanes);
    eraser_close(chat);
    keeper_close(chat);
    cache_rate_free(chat->rate);
}
