/*
 * An event of Discord's, however it looks, becomes valid text and ids, or nothing.
 */
#include "channels/discord/interaction.h"
#include "core/base/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const types[] = {
    "MESSAGE_CREATE",      "MESSAGE_UPDATE",       "MESSAGE_DELETE",
    "MESSAGE_DELETE_BULK", "MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE",
};

static void check_id(struct str s, bool required)
{
    uint64_t id;
    if ((s.n || required) && !discord_id(s, &id)) abort();
}

static void check_event(const struct inbound *in)
{
    bool valid = utf8_valid(in->text) && utf8_valid(in->event_id) &&
                 utf8_valid(in->from.username) && utf8_valid(in->from.display_name);
    if (!valid || !in->event_id.n || in->direct != !in->where.workspace.n) abort();
    check_id(in->where.channel, true);
    check_id(in->where.workspace, false);
    check_id(in->from.id, in->kind != INBOUND_DELETE);
    check_id(in->message_id, in->kind != INBOUND_MESSAGE);
    if ((in->kind == INBOUND_VOTE) != (in->vote == 1 || in->vote == -1)) abort();
    for (size_t i = 0; i < in->n_attachments; i++) {
        const struct attachment *a = &in->attachments[i];
        if (!utf8_valid(a->name) || !utf8_valid(a->mime) || !utf8_valid(a->ref)) abort();
        if (!a->kind.n || !utf8_valid(a->url) || a->bytes < 0) abort();
    }
}

static void check_interaction(const struct discord_reader *reader, struct json *doc,
                              struct arena *a)
{
    struct discord_interaction ia;
    discord_interaction_parse(reader, doc, a, &ia);
    if (!ia.say || !ia.reason) abort();
    if (ia.verdict == DISCORD_TAKE && ia.ack != DISCORD_ACK_PONG) check_event(&ia.in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *ids[] = { "2", "@ann" };
    struct discord_reader reader = { .user = STR("1"), .groups = (int)(n % 3) };
    struct json *doc = NULL;
    struct arena arena;
    arena_init(&arena);
    if (n & 4) reader.channels = (struct conf_list){ 1, ids };
    if (n & 8) reader.allow = (struct conf_list){ 2, ids };
    if (n & 16) reader.parent = STR("2");
    json_parse(str_from((const char *)data, n), &doc, NULL);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct discord_event e;
        discord_parse(&reader, str_of(types[i]), doc, n % 3, &arena, &e);
        if (!e.reason) abort();
        if (e.verdict == DISCORD_TAKE) check_event(&e.in);
        if (e.verdict == DISCORD_PARENT && e.in.event_id.n) abort();
        if (e.verdict == DISCORD_PARENT) check_id(e.in.where.channel, true);
    }
    check_interaction(&reader, doc, &arena);
    discord_commands_same(doc);
    json_free(doc);
    arena_done(&arena);
    return 0;
}
