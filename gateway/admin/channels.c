/* channels: accounts of platforms, their state in this process, and which process has their
 * connections. */
#include "core/base/clock.h"
#include "gateway/admin/subjects.h"

static const struct admin_field state_fields[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The account in the configuration." },
    { "type", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The platform." },
    { "up", ADMIN_BOOL, ADMIN_REQUIRED, .help = "It works, as this process sees it." },
    { "reason", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Why it does not." },
    { "last_event_s", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Seconds since the platform was heard." },
    { "model", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Its default; null: the gateway's." },
    { "access", ADMIN_TEXT, ADMIN_REQUIRED, .help = "open, or pairing." },
    { "queue", ADMIN_TEXT, ADMIN_REQUIRED,
      .help = "What a message does that comes during an answer." },
    ADMIN_END,
};
static const struct admin_type channel_type = { "Channel", state_fields };

static const char *down_reason(const struct channel *ch)
{
    if (ch->up) return "";
    return ch->down_why.kind ? ch->down_why.msg : "starting";
}

static void put_channel(struct json_out *to, const struct chat *chat, const struct channel *ch)
{
    json_open(to, '{');
    json_field_str(to, "name", str_of(ch->name));
    json_field_str(to, "type", str_of(ch->type->name));
    json_field_bool(to, "up", ch->up);
    json_field_str_or_null(to, "reason", str_of(down_reason(ch)));
    json_key(to, "last_event_s");
    if (ch->last_event_ms)
        json_put_i64(to, ((int64_t)clock_ms() - ch->last_event_ms) / 1000);
    else
        json_put_null(to);
    json_field_str_or_null(to, "model", str_of(ch->model ? ch->model : ""));
    json_field_str(to, "access", ch->access == ACCESS_PAIRING ? STR("pairing") : STR("open"));
    json_field_str(to, "queue", str_of(queue_mode_words[channel_queue(chat, ch)]));
    json_close(to, '}');
}

static enum flow_rc channels_run(struct admin_call *call)
{
    const struct chat *chat = &call->admin->app->chat;
    _cleanup_(buf_done) struct buf b = BUF_INIT(call->body.max);
    struct json_out to = JSON_OUT(&b);
    admin_page_open(&to);
    list_each (it, next, &chat->channels)
        put_channel(&to, chat, container_of(it, struct channel, link));
    admin_page_close(&to, STR_NONE);
    return admin_answer(call, 200, buf_str(&b));
}

/* ---- leases ---- */

static const struct admin_field lease_fields[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED,
      .help = "Of the bot's connection: a hash, never a token." },
    { "owner", ADMIN_TEXT, ADMIN_REQUIRED, .min = 0, .max = 200,
      .help = "The process that has it." },
    { "held", ADMIN_BOOL, ADMIN_REQUIRED, .help = "False: it has run out." },
    { "lease_until", ADMIN_TIME, ADMIN_REQUIRED, .help = "Until when." },
    { "fence", ADMIN_INT, ADMIN_REQUIRED, .help = "Grows with every change of owner." },
    ADMIN_END,
};
static const struct admin_type lease_type = { "Lease", lease_fields };

const struct admin_op admin_channels_ops[] = {
    { .id = "channels.list",
      .method = "GET",
      .path = "/channels",
      .scope = "channels:read",
      .summary = "Channels and their state, as this process sees them.",
      .answer = &channel_type,
      .flags = ADMIN_LIST,
      .run = channels_run },
    { .id = "leases.list",
      .method = "GET",
      .path = "/leases",
      .scope = "channels:read",
      .summary = "Which process has which bot's connection.",
      .answer = &lease_type,
      .flags = ADMIN_LIST,
      .cursor = "name",
      .read = { "admin_leases_list",
                "SELECT jsonb_build_object('name', l.name, 'owner', l.owner, 'held', l.lease_until > now(),"
                " 'lease_until', l.lease_until, 'fence', l.fence) FROM channel_leases l"
                " WHERE l.name > coalesce($2->>'after', '') ORDER BY l.name LIMIT ($2->>'limit')::integer" } },
    { .id = "leases.drop",
      .method = "DELETE",
      .path = "/leases/{name}",
      .scope = "channels:write",
      .summary = "Take it from its process: whoever comes first has it next.",
      .args = admin_name_args },
    { .id = NULL },
};
