/*
 * Interactions after Discord's documentation, with what we must make of them; and the commands
 * that it is told.
 */
#include "discord_fixture.h"

#include "channels/discord/interaction.h"
#include "core/base/utf8.h"
#include "core/chat/command.h"

#define LONG_HELP                                                            \
    "0123456789012345678901234567890123456789012345678901234567890123456789" \
    "01234567890123456789012345678äöü"

/* Ours is as long as the turn behind it; the parser only looks at the words. */
const struct command commands[] = {
    { .name = "help", .args = "", .help = "shows this" },
    { .name = "new", .args = "", .help = LONG_HELP },
    { .name = "model", .args = "[name]", .help = "shows or chooses the model" },
    { .name = "stop", .args = "", .help = "stops the answer" },
    { .name = "regenerate", .args = "", .help = "answers anew" },
    { .name = "link", .args = "[code]", .help = "makes you the same person" },
    { .name = NULL },
};

/* --- interactions --- */

static const char *ack_word(enum discord_ack ack)
{
    switch (ack) {
    case DISCORD_ACK_PONG: return "pong";
    case DISCORD_ACK_MESSAGE: return "message";
    case DISCORD_ACK_DEFER: return "defer";
    case DISCORD_ACK_DEFER_UPDATE: return "defer update";
    }
    return "?";
}

static void expect_interaction(const char *name, struct json *c,
                               const struct discord_interaction *ia)
{
    expect_str(name, "ack", c, str_of(ack_word(ia->ack)));
    if (ia->ack == DISCORD_ACK_PONG) {
        cr_expect_eq(ia->in.event_id.n, 0, "%s: an event", name);
        return;
    }
    expect_event(name, json_get(c, "event"), &ia->in);
    expect_str(name, "id", json_get(c, "data"), ia->id);
    expect_str(name, "token", json_get(c, "data"), ia->token);
    expect_str(name, "application_id", json_get(c, "data"), ia->application);
}

static void check_case(struct json *c)
{
    const char *name = get(c, "name").p;
    struct lists lists;
    struct discord_reader reader = reader_of(json_get(c, "reader"), &lists);
    struct discord_interaction ia;
    struct arena arena;
    arena_init(&arena);
    discord_interaction_parse(&reader, json_get(c, "data"), &arena, &ia);
    size_t verdict = index_of(get(c, "verdict"), verdicts);
    cr_expect_eq((size_t)ia.verdict, verdict, "%s: %s, %s", name, verdicts[ia.verdict], ia.reason);
    cr_assert(ia.say && ia.reason, "%s", name);
    expect_str(name, "say", c, str_of(ia.say));
    if (get(c, "reason").n) expect_str(name, "reason", c, str_of(ia.reason));
    if (ia.verdict == DISCORD_TAKE && verdict == DISCORD_TAKE)
        expect_interaction(name, c, &ia);
    else
        cr_expect_neq(ia.ack, DISCORD_ACK_PONG, "%s", name);
    arena_done(&arena);
}

Test(discord_interaction, all_kinds)
{
    struct json *doc = fixture("interactions.json");
    for (size_t i = 0; i < json_length(doc); i++) check_case(json_at(doc, i));
    json_free(doc);
}

/* --- commands --- */

static struct json *body(void)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 16);
    struct json *doc = NULL;
    struct err why = ERR_INIT;
    discord_commands_body(&b);
    cr_assert(!b.full);
    cr_assert_eq(json_parse(buf_str(&b), &doc, &why), ERR_NONE, "%s", why.msg);
    return doc;
}

static struct json *find(struct json *list, const char *name)
{
    for (size_t i = 0; i < json_length(list); i++)
        if (str_eq(get(json_at(list, i), "name"), str_of(name))) return json_at(list, i);
    return NULL;
}

static void expect_limits(struct json *described)
{
    struct str name = get(described, "name"), help = get(described, "description");
    cr_expect(name.n > 0 && name.n <= 32, "%.*s", STR_ARG(name));
    cr_expect(help.n && utf8_valid(help) && utf8_points(help) <= 100, "%.*s", STR_ARG(name));
}

Test(discord_commands, all_of_the_core_and_chat)
{
    struct json *doc = body();
    cr_expect_eq(json_length(doc), 7);
    for (size_t i = 0; i < json_length(doc); i++) {
        struct json *c = json_at(doc, i), *options = json_get(c, "options");
        int64_t server = -1, bot = -1;
        expect_limits(c);
        for (size_t j = 0; j < json_length(options); j++) expect_limits(json_at(options, j));
        json_i64(json_at(json_get(c, "contexts"), 0), &server);
        json_i64(json_at(json_get(c, "contexts"), 1), &bot);
        cr_expect(server == 0 && bot == 1 && json_length(json_get(c, "contexts")) == 2);
    }
    for (const struct command *c = commands; c->name; c++)
        cr_expect_not_null(find(doc, c->name), "%s", c->name);
    cr_expect_eq(utf8_points(get(find(doc, "new"), "description")), 100);
    json_free(doc);
}

static void expect_option(struct json *doc, const char *command, const char *name, bool required)
{
    struct json *options = json_get(find(doc, command), "options"), *option = json_at(options, 0);
    bool is_required = false;
    int64_t type = 0;
    json_get_bool(option, "required", &is_required);
    json_get_i64(option, "type", &type);
    cr_expect_eq(json_length(options), 1, "%s", command);
    cr_expect(str_eq(get(option, "name"), str_of(name)), "%s", command);
    cr_expect_eq(is_required, required, "%s", command);
    cr_expect_eq(type, 3, "%s", command);
}

Test(discord_commands, options)
{
    struct json *doc = body();
    int64_t length_max = 0;
    expect_option(doc, "chat", "text", true);
    expect_option(doc, "model", "name", false);
    expect_option(doc, "link", "code", false);
    cr_expect_eq(json_length(json_get(find(doc, "new"), "options")), 0);
    json_get_i64(json_at(json_get(find(doc, "chat"), "options"), 0), "max_length", &length_max);
    cr_expect_eq(length_max, 6000);
    json_free(doc);
}

/* As Discord lists them: in its own order, with its own fields, without what is its default. */
#define LISTED(name, help, more)                                                           \
    "{\"id\":\"1\",\"application_id\":\"2\",\"version\":\"3\",\"type\":1,\"name\":\"" name \
    "\",\"name_localizations\":null,\"description\":\"" help                               \
    "\",\"description_localizations\":null,\"default_member_permissions\":null,"           \
    "\"nsfw\":false,\"dm_permission\":true,\"integration_types\":[0]," more "}"
#define CONTEXTS "\"contexts\":[0,1]"
#define OPTION(name, more)                                                             \
    CONTEXTS ",\"options\":[{\"type\":3,\"name\":\"" name "\",\"description\":\"" name \
             "\",\"name_localizations\":null" more "}]"

static const char *const listed[] = {
    LISTED("stop", "stops the answer", "\"contexts\":[1,0]"),
    LISTED("new",
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789"
           "0123456789012345678ä",
           CONTEXTS),
    LISTED("help", "shows this", CONTEXTS ",\"options\":null"),
    LISTED("regenerate", "answers anew", CONTEXTS ",\"options\":[]"),
    LISTED("chat", "asks me something",
           CONTEXTS ",\"options\":[{\"type\":3,\"name\":\"text\",\"description\":\"what you want "
                    "to say\",\"required\":true,\"max_length\":6000}]"),
    LISTED("model", "shows or chooses the model", OPTION("name", "")),
    LISTED("link", "makes you the same person", OPTION("code", ",\"required\":false")),
};
#define N_LISTED (sizeof(listed) / sizeof(listed[0]))

/* Discord's list, with the i-th command replaced (NULL: left out). */
static bool same_with(size_t i, const char *command)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 16);
    struct json *doc = NULL;
    const char *comma = "";
    buf_add_char(&b, '[');
    for (size_t j = 0; j < N_LISTED; j++) {
        const char *text = j == i ? command : listed[j];
        if (!text) continue;
        buf_addf(&b, "%s%s", comma, text);
        comma = ",";
    }
    buf_add_char(&b, ']');
    cr_assert_eq(json_parse(buf_str(&b), &doc, NULL), ERR_NONE, "%s", b.p);
    bool same = discord_commands_same(doc);
    json_free(doc);
    return same;
}

Test(discord_commands, what_we_send_is_the_same)
{
    struct json *doc = body();
    cr_expect(discord_commands_same(doc));
    json_free(doc);
}

Test(discord_commands, what_discord_fills_in_makes_no_difference)
{
    cr_expect(same_with(SIZE_MAX, NULL));
}

Test(discord_commands, differences)
{
    const char *const stops[] = {
        NULL,
        LISTED("stops", "stops the answer", CONTEXTS),
        LISTED("stop", "stops the answers", CONTEXTS),
        LISTED("stop", "stops the answer", "\"contexts\":[0]"),
        LISTED("stop", "stops the answer", "\"contexts\":[0,0]"),
        LISTED("stop", "stops the answer", "\"contexts\":[0,1,2]"),
        LISTED("stop", "stops the answer", "\"contexts\":null"),
        LISTED("stop", "stops the answer", CONTEXTS ",\"type\":2"),
        LISTED("stop", "stops the answer", CONTEXTS ",\"nsfw\":true"),
        LISTED("stop", "stops the answer", CONTEXTS ",\"default_member_permissions\":\"0\""),
        LISTED("stop", "stops the answer", OPTION("name", "")),
        LISTED("help", "shows this", CONTEXTS),
        "{}",
        "1",
        "null",
    };
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
        cr_expect(!same_with(0, stops[i]), "%s", stops[i]);
    const char *const models[] = {
        LISTED("model", "shows or chooses the model", CONTEXTS),
        LISTED("model", "shows or chooses the model", OPTION("nam", "")),
        LISTED("model", "shows or chooses the model", OPTION("name", ",\"required\":true")),
        LISTED("model", "shows or chooses the model", OPTION("name", ",\"autocomplete\":true")),
        LISTED("model", "shows or chooses the model", OPTION("name", ",\"max_length\":5")),
        LISTED("model", "shows or chooses the model", OPTION("name", ",\"min_length\":5")),
        LISTED("model", "shows or chooses the model", OPTION("name", ",\"type\":4")),
        LISTED("model", "shows or chooses the model",
               OPTION("name", ",\"choices\":[{\"name\":\"a\",\"value\":\"a\"}]")),
        LISTED("model", "shows or chooses the model", OPTION("name", "},{\"name\":\"b\"")),
    };
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        cr_expect(!same_with(5, models[i]), "%s", models[i]);
    cr_expect(!same_with(0, LISTED("stop", "stops the answer",
                                   CONTEXTS) "," LISTED("old", "is not ours any more", CONTEXTS)));
}

Test(discord_commands, no_list_is_not_the_same)
{
    struct json *doc = NULL;
    cr_expect(!discord_commands_same(NULL));
    cr_assert_eq(json_parse(STR("{\"message\":\"401: Unauthorized\"}"), &doc, NULL), ERR_NONE);
    cr_expect(!discord_commands_same(doc));
    json_free(doc);
}
