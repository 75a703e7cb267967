/* Configuration: what is read, what is refused with which words, the example file, the reload. */
#include "core/base/conf.h"
#include "core/base/log.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct chat_conf {
    bool typing;
    int64_t rate_limit, any_number, idle_ms, body_max;
    double temperature;
    const char *greeting, *token;
    int queue;
    struct conf_list languages;
};

static const char *const queue_words[] = { "wait", "merge", "interrupt", NULL };

#define AT(member) offsetof(struct chat_conf, member)
static const struct conf_field fields[] = {
    { "typing", CONF_BOOL, AT(typing), .def = "true", .help = "Show that an answer is coming." },
    { "rate_limit", CONF_INT, AT(rate_limit), .def = "60", .min = 1, .max = 10000,
      .flags = CONF_RELOADABLE, .help = "Messages a user may send in a minute." },
    { "any_number", CONF_INT, AT(any_number) },
    { "idle", CONF_DURATION, AT(idle_ms), .def = "90s", .min = 1000, .max = 604800000 },
    { "body_max", CONF_SIZE, AT(body_max), .def = "1MB", .min = 1024, .max = -1 },
    { "temperature", CONF_FLOAT, AT(temperature), .def = "0.7", .max = 2 },
    { "greeting", CONF_STR, AT(greeting), .def = "Say \"hi\" to C:\\" },
    { "token", CONF_SECRET, AT(token) },
    { "queue", CONF_ENUM, AT(queue), .def = "merge", .words = queue_words,
      .help = "What a message does that arrives during an answer." },
    { "languages", CONF_LIST, AT(languages), .def = "en, de" },
    CONF_END,
};
static const struct conf_field required_fields[] = {
    { "token", CONF_SECRET, AT(token), .flags = CONF_REQUIRED, .help = "From @BotFather." },
    { "greeting", CONF_STR, AT(greeting), .def = "", .help = "The first words." },
    CONF_END,
};
static const char *const also[] = { "type", NULL };
static const char *const sections[] = { "chat", "telegram", "channels", NULL };

/* Read "chat" by `table` from a text; the document must outlive the struct. */
static enum err_kind read_chat(const char *text, const struct conf_field *table,
                               struct conf_doc **doc, struct chat_conf *into, struct err *why)
{
    struct conf_group *g;

    *doc = NULL;
    if (conf_open_text(str_of(text), "parley.conf", doc, why)) return why->kind;
    if (conf_known(*doc, sections, why) || conf_section(*doc, "chat", &g, why)) return why->kind;
    return conf_read(*doc, g, "chat", table, also, into, why);
}

static struct conf_doc *read_good(const char *text, struct chat_conf *into)
{
    struct err why = ERR_INIT;
    struct conf_doc *doc;

    cr_assert_eq(read_chat(text, fields, &doc, into, &why), ERR_NONE, "%s: %s", text, why.msg);
    cr_assert_eq(why.kind, ERR_NONE, "why is set only on failure");
    return doc;
}

static void assert_defaults(const struct chat_conf *c)
{
    cr_assert(c->typing);
    cr_assert_eq(c->rate_limit, 60);
    cr_assert_eq(c->any_number, 0);
    cr_assert_eq(c->idle_ms, 90000);
    cr_assert_eq(c->body_max, 1048576);
    cr_assert_float_eq(c->temperature, 0.7, 1e-9);
    cr_assert_str_eq(c->greeting, "Say \"hi\" to C:\\");
    cr_assert_str_eq(c->token, "");
    cr_assert_eq(c->queue, 1);
    cr_assert_eq(c->languages.n, 2);
    cr_assert_str_eq(c->languages.v[0], "en");
    cr_assert_str_eq(c->languages.v[1], "de");
}

Test(conf, absent_means_defaults)
{
    static const char *const texts[] = { "", "# nothing\n", "chat = {};",
                                         "chat: { type = \"x\" }" };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct chat_conf c;
        memset(&c, 0xa5, sizeof(c));
        struct conf_doc *doc = read_good(texts[i], &c);
        assert_defaults(&c);
        conf_close(doc);
    }
}

Test(conf, an_empty_document_has_no_file)
{
    struct err why = ERR_INIT;
    struct conf_doc *doc;
    struct conf_group *g;
    struct chat_conf c;

    cr_assert_eq(conf_open(NULL, &doc, &why), ERR_NONE);
    cr_assert_eq(conf_section(doc, "chat", &g, &why), ERR_NONE);
    cr_assert_null(g);
    cr_assert_eq(conf_groups(doc, "channels"), 0);
    cr_assert_null(conf_group_at(doc, "channels", 0));
    cr_assert_str_eq(conf_peek(NULL, "type"), "");
    cr_assert_eq(conf_read(doc, g, "chat", fields, NULL, &c, &why), ERR_NONE);
    assert_defaults(&c);
    cr_assert_eq(conf_read(doc, g, "telegram", required_fields, NULL, &c, &why), ERR_CONF);
    cr_assert_str_eq(why.msg, "telegram.token: is required, but not set");
    conf_close(doc);
}

Test(conf, every_type_is_read)
{
    struct chat_conf c;
    setenv("CHAT_TOKEN", "s3cr3t-from-env", 1);
    struct conf_doc *doc = read_good("chat = {\n"
                                     "  typing = false;\n"
                                     "  rate_limit = 10000;\n"
                                     "  any_number = -5;\n"
                                     "  idle = \"5m\";\n"
                                     "  body_max = \"64KB\";\n"
                                     "  temperature = 2.0;\n"
                                     "  greeting = \"h\xc3\xa9, \" \"you\";\n"
                                     "  token = \"env:CHAT_TOKEN\";\n"
                                     "  queue = \"interrupt\";\n"
                                     "  languages = [ \"fr\" ];\n"
                                     "};\n",
                                     &c);

    cr_assert(!c.typing);
    cr_assert_eq(c.rate_limit, 10000);
    cr_assert_eq(c.any_number, -5);
    cr_assert_eq(c.idle_ms, 300000);
    cr_assert_eq(c.body_max, 65536);
    cr_assert_float_eq(c.temperature, 2.0, 1e-9);
    cr_assert_str_eq(c.greeting, "h\xc3\xa9, you");
    cr_assert_str_eq(c.token, "s3cr3t-from-env");
    cr_assert_eq(c.queue, 2);
    cr_assert_eq(c.languages.n, 1);
    cr_assert_str_eq(c.languages.v[0], "fr");
    conf_close(doc);
}

Test(conf, durations_and_sizes)
{
    static const struct {
        const char *text;
        int64_t idle_ms, body_max;
    } cases[] = {
        { "chat = { idle = \"1500ms\"; body_max = \"1024B\"; };", 1500, 1024 },
        { "chat = { idle = \"2h\"; body_max = \"3MB\"; };", 7200000, 3145728 },
        { "chat = { idle = \"7d\"; body_max = \"2GB\"; };", 604800000, 2147483648 },
        { "chat = { idle = 30; body_max = 5000000000; };", 30000, 5000000000 },
        { "chat = { idle = \"30\"; body_max = \"2048\"; };", 30000, 2048 },
        { "chat = { idle = 30L; body_max = 5000000000L; };", 30000, 5000000000 },
        { "chat = { idle = 0x1E; body_max = 0x100000000; };", 30000, 4294967296 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct chat_conf c;
        struct conf_doc *doc = read_good(cases[i].text, &c);
        cr_assert_eq(c.idle_ms, cases[i].idle_ms, "%s: %ld", cases[i].text, (long)c.idle_ms);
        cr_assert_eq(c.body_max, cases[i].body_max, "%s: %ld", cases[i].text, (long)c.body_max);
        conf_close(doc);
    }
}

/* What looks like a long number, but is in a string, a comment or a name. */
Test(conf, long_numbers_are_only_marked_where_they_are_numbers)
{
    struct chat_conf c;
    struct conf_doc *doc = read_good("# 5000000000\n// 5000000000\n/* 5000000000 \" */\n"
                                     "chat = { greeting = \"5000000000 \\\" 5000000000\";\n"
                                     "  any_number = -5000000000; temperature = 1.0000000001; };",
                                     &c);

    cr_assert_str_eq(c.greeting, "5000000000 \" 5000000000");
    cr_assert_eq(c.any_number, -5000000000);
    cr_assert_float_eq(c.temperature, 1.0, 1e-6);
    conf_close(doc);
}

#define DURATION "must be a duration: \"500ms\", \"30s\", \"5m\", \"1h\", \"7d\" or seconds"
#define STRINGS  "must be a list of strings: [ \"a\", \"b\" ]"
#define GROUPS   "must be a group { ... } or a list of groups ( { ... }, ... )"

static const struct {
    const char *text, *why;
} bad[] = {
    /* keys */
    { "chat = {\n  rate_limt = 5;\n};",
      "parley.conf:2: chat.rate_limt: unknown key (did you mean rate_limit?)" },
    { "\n\nchat = {\n  rate_limit = 5;\n  zzz = 5;\n};", "parley.conf:5: chat.zzz: unknown key" },
    { "chat = { tpye = \"x\"; };", "parley.conf:1: chat.tpye: unknown key (did you mean type?)" },
    { "chats = {};", "parley.conf:1: chats: unknown key (did you mean chat?)" },
    { "chat = {};\nport = 80;", "parley.conf:2: port: unknown key" },
    { "chat = { rate_limit = 1;\nrate_limit = 2; };", "parley.conf:2: duplicate setting name" },
    { "chat = 5;", "parley.conf:1: chat: " GROUPS },
    { "\nchat = ( {} );", "parley.conf:2: chat: must be a group { ... }" },
    { "channels = ( {}, 5 );", "parley.conf:1: channels: " GROUPS },
    { "channels = [ 1 ];", "parley.conf:1: channels: " GROUPS },
    /* syntax */
    { "chat = {\n  rate_limit = ;\n};", "parley.conf:2: syntax error" },
    { "chat = {\n  rate_limit = 5\n", "parley.conf:3: syntax error" },
    { "chat = {\n  greeting = \"open\n};\n", "parley.conf:4: syntax error" },
    { "@include \"/nonexistent/x.conf\"\n", "parley.conf:1: cannot open include file" },
    /* types */
    { "chat = { typing = 1; };", "parley.conf:1: chat.typing: must be true or false" },
    { "chat = { typing = \"true\"; };", "parley.conf:1: chat.typing: must be true or false" },
    { "chat = { rate_limit = \"5\"; };", "parley.conf:1: chat.rate_limit: must be a whole number" },
    { "chat = { rate_limit = 5.5; };", "parley.conf:1: chat.rate_limit: must be a whole number" },
    { "chat = { rate_limit = { a = 1; }; };",
      "parley.conf:1: chat.rate_limit: must be a whole number" },
    { "chat = { temperature = true; };", "parley.conf:1: chat.temperature: must be a number" },
    { "chat = { temperature = 1e999; };", "parley.conf:1: chat.temperature: must be a number" },
    { "chat = { greeting = 5; };", "parley.conf:1: chat.greeting: must be a string in quotes" },
    { "chat = { greeting = \"\xff\"; };", "parley.conf:1: chat.greeting: must be valid UTF-8" },
    { "chat = { idle = \"soon\"; };", "parley.conf:1: chat.idle: " DURATION },
    { "chat = { idle = \"5 m\"; };", "parley.conf:1: chat.idle: " DURATION },
    { "chat = { idle = \"\"; };", "parley.conf:1: chat.idle: " DURATION },
    { "chat = { idle = -5; };", "parley.conf:1: chat.idle: " DURATION },
    { "chat = { idle = \"99999999999999999d\"; };", "parley.conf:1: chat.idle: " DURATION },
    { "chat = { idle = 9223372036854775807; };", "parley.conf:1: chat.idle: " DURATION },
    { "chat = { body_max = \"5XB\"; };",
      "parley.conf:1: chat.body_max: must be a size: \"64KB\", \"1MB\" or bytes" },
    { "chat = { body_max = true; };",
      "parley.conf:1: chat.body_max: must be a size: \"64KB\", \"1MB\" or bytes" },
    { "chat = { queue = \"marge\"; };",
      "parley.conf:1: chat.queue: must be one of wait, merge, interrupt (did you mean merge?)" },
    { "chat = { queue = \"\"; };",
      "parley.conf:1: chat.queue: must be one of wait, merge, interrupt" },
    { "chat = { queue = 1; };",
      "parley.conf:1: chat.queue: must be one of wait, merge, interrupt" },
    { "chat = { languages = \"en\"; };", "parley.conf:1: chat.languages: " STRINGS },
    { "chat = { languages = [ 1, 2 ]; };", "parley.conf:1: chat.languages: " STRINGS },
    { "chat = { languages = ( \"a\", { b = 1; } ); };", "parley.conf:1: chat.languages: " STRINGS },
    /* bounds */
    { "chat = {\n\n rate_limit = 0; };",
      "parley.conf:3: chat.rate_limit: 0 is out of bounds (1 to 10000)" },
    { "chat = { rate_limit = 10001; };",
      "parley.conf:1: chat.rate_limit: 10001 is out of bounds (1 to 10000)" },
    { "chat = { rate_limit = 4294967297; };",
      "parley.conf:1: chat.rate_limit: 4294967297 is out of bounds (1 to 10000)" },
    { "chat = { rate_limit = 99999999999999999999999; };",
      "parley.conf:1: chat.rate_limit: 9223372036854775807 is out of bounds (1 to 10000)" },
    { "chat = { idle = \"999ms\"; };",
      "parley.conf:1: chat.idle: 999ms is out of bounds (1s to 7d)" },
    { "chat = { idle = 0; };", "parley.conf:1: chat.idle: 0 is out of bounds (1s to 7d)" },
    { "chat = { idle = \"169h\"; };",
      "parley.conf:1: chat.idle: 169h is out of bounds (1s to 7d)" },
    { "chat = { body_max = 512; };",
      "parley.conf:1: chat.body_max: 512B is out of bounds (at least 1KB)" },
    { "chat = { temperature = 2.5; };",
      "parley.conf:1: chat.temperature: 2.5 is out of bounds (0 to 2)" },
    { "chat = { temperature = -1; };",
      "parley.conf:1: chat.temperature: -1 is out of bounds (0 to 2)" },
    /* secrets */
    { "chat = {\n token = \"env:NOT_SET_TOKEN\"; };",
      "parley.conf:2: chat.token: environment variable NOT_SET_TOKEN is not set" },
    { "chat = { token = \"env:EMPTY_TOKEN\"; };",
      "parley.conf:1: chat.token: environment variable EMPTY_TOKEN is empty" },
    { "chat = { token = \"file:/nonexistent/token\"; };",
      "parley.conf:1: chat.token: file /nonexistent/token cannot be read: No such file or "
      "directory" },
    { "chat = { token = \"file:/dev/null\"; };",
      "parley.conf:1: chat.token: file /dev/null is empty" },
    { "chat = { token = \"file:/\"; };",
      "parley.conf:1: chat.token: file / cannot be read: Is a directory" },
    { "chat = { token = \"file:/dev/zero\"; };",
      "parley.conf:1: chat.token: file /dev/zero is larger than 64 KB" },
    { "chat = { token = \"123456:literal\"; };",
      "parley.conf:1: chat.token: a secret does not belong here: put it into an "
      "environment variable or a file, and write \"env:NAME\" or \"file:PATH\" here" },
    { "chat = { token = 5; };",
      "parley.conf:1: chat.token: must be \"env:NAME\" or \"file:PATH\"" },
};

Test(conf, bad_input_is_refused_with_place_and_key)
{
    setenv("EMPTY_TOKEN", "", 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err why = ERR_INIT;
        struct conf_doc *doc;
        struct chat_conf c;

        cr_expect_eq(read_chat(bad[i].text, fields, &doc, &c, &why), ERR_CONF, "%s", bad[i].text);
        cr_expect_str_eq(why.msg, bad[i].why, "%s\n  is: %s", bad[i].text, why.msg);
        cr_expect_eq(why.kind, ERR_CONF);
        conf_close(doc);
    }
}

Test(conf, nobody_has_to_ask_why)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct conf_doc *doc = NULL;
        struct conf_group *g;
        struct chat_conf c;
        if (conf_open_text(str_of(bad[i].text), "x", &doc, NULL)) continue;
        if (!conf_known(doc, sections, NULL) && !conf_section(doc, "chat", &g, NULL))
            conf_read(doc, g, "chat", fields, also, &c, NULL);
        conf_close(doc);
    }
}

Test(conf, a_required_key)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "", "parley.conf: chat.token: is required, but not set" },
        { "\nchat = { greeting = \"x\"; };",
          "parley.conf:2: chat.token: is required, but not set" },
        { "chat = { tokn = \"env:X\"; };",
          "parley.conf:1: chat.tokn: unknown key (did you mean token?)" },
        { "chat = { token = \"\"; };", "parley.conf:1: chat.token: is required, but empty" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err why = ERR_INIT;
        struct conf_doc *doc;
        struct chat_conf c;

        cr_expect_eq(read_chat(cases[i].text, required_fields, &doc, &c, &why), ERR_CONF);
        cr_expect_str_eq(why.msg, cases[i].why, "%s", why.msg);
        conf_close(doc);
    }
}

static char path[64];

static void write_file(const char *content, size_t n)
{
    strcpy(path, "/tmp/test_conf_XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, content, n), (ssize_t)n);
    close(fd);
}

static char logged[256];

static void on_line(struct str line, void *ctx)
{
    (void)ctx;
    snprintf(logged, sizeof(logged), "%.*s", STR_ARG(line));
}

Test(conf, a_secret_file_loses_its_line_end_and_is_never_logged)
{
    static const char *const contents[] = { "file-secret", "file-secret\n", "file-secret\r\n" };

    for (size_t i = 0; i < 3; i++) {
        char text[128];
        struct chat_conf c;
        write_file(contents[i], strlen(contents[i]));
        snprintf(text, sizeof(text), "chat = { token = \"file:%s\"; };", path);
        struct conf_doc *doc = read_good(text, &c);
        cr_assert_str_eq(c.token, "file-secret");
        unlink(path);
        log_sink(on_line, NULL);
        log_error("test", "told", "token=%s", c.token);
        log_sink(NULL, NULL);
        cr_assert_null(strstr(logged, "file-secret"), "%s", logged);
        cr_assert_not_null(strstr(logged, "token=***"), "%s", logged);
        conf_close(doc);
    }
}

Test(conf, a_secret_by_default)
{
    static const struct conf_field by_default[] = {
        { "token", CONF_SECRET, AT(token), .def = "env:DEFAULT_TOKEN" },
        CONF_END,
    };
    struct err why = ERR_INIT;
    struct conf_doc *doc;
    struct chat_conf c;

    unsetenv("DEFAULT_TOKEN");
    cr_assert_eq(read_chat("", by_default, &doc, &c, &why), ERR_NONE);
    cr_assert_str_eq(c.token, "");
    conf_close(doc);
    setenv("DEFAULT_TOKEN", "abcdefg", 1);
    cr_assert_eq(read_chat("", by_default, &doc, &c, &why), ERR_NONE);
    cr_assert_str_eq(c.token, "abcdefg");
    conf_close(doc);
}

static const char example[] = "# How conversations are answered.\n"
                              "chat = {\n"
                              "    # Show that an answer is coming.\n"
                              "    # typing = true;\n"
                              "\n"
                              "    # Messages a user may send in a minute. (1 to 10000) SIGHUP "
                              "applies it.\n"
                              "    # rate_limit = 60;\n";
static const char example_item[] = "#     # A bot.\n"
                                   "#     {\n"
                                   "#         type = \"telegram\";\n"
                                   "#\n"
                                   "#         # From @BotFather. Required.\n"
                                   "#         token = \"env:TELEGRAM_TOKEN\";\n"
                                   "#\n"
                                   "#         # The first words.\n"
                                   "#         greeting = \"\";\n"
                                   "#     },\n";

/* `from` without `mark` where a line begins with it. */
static void uncomment(const char *from, const char *mark, struct buf *ret)
{
    for (struct str text = str_of(from); text.n;) {
        struct str line = str_cut(&text, '\n');
        buf_add(ret, str_starts(line, str_of(mark)) ? str_skip(line, strlen(mark)) : line);
        buf_add_char(ret, '\n');
    }
}

Test(conf, the_example_reads_well_and_is_true)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(65536), active = BUF_INIT(65536);
    struct chat_conf c;

    conf_example(&text, "chat", "How conversations are answered.", fields);
    cr_assert_eq(strncmp(text.p, example, strlen(example)), 0, "%s", text.p);
    struct conf_doc *doc = read_good(text.p, &c);
    assert_defaults(&c);
    conf_close(doc);

    buf_add_cstr(&active, "chat = {\n");
    for (const struct conf_field *f = fields; f->key; f++) {
        char mark[64];
        snprintf(mark, sizeof(mark), "    # %s = ", f->key);
        const char *line = strstr(text.p, mark);
        cr_assert_not_null(line, "%s", f->key);
        buf_add(&active, str_from(line + 6, strcspn(line + 6, "\n") + 1));
    }
    buf_add_cstr(&active, "};\n");
    setenv("CHAT_TOKEN", "example-token", 1);
    doc = read_good(active.p, &c);
    cr_assert_str_eq(c.token, "example-token");
    c.token = "";
    assert_defaults(&c);
    conf_close(doc);
}

Test(conf, the_example_of_a_list)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(65536), active = BUF_INIT(65536);
    struct err why = ERR_INIT;
    struct conf_doc *doc;
    struct chat_conf c;

    buf_add_cstr(&text, "# channels = (\n");
    conf_example_item(&text, "telegram", "A bot.", required_fields, false);
    conf_example_item(&text, "web", "", fields, true);
    buf_add_cstr(&text, "# );\n");
    cr_assert_not_null(strstr(text.p, example_item), "%s", text.p);
    cr_assert_eq(conf_open_text(buf_str(&text), "x", &doc, &why), ERR_NONE);
    cr_assert_eq(conf_groups(doc, "channels"), 0, "all of it is a comment");
    conf_close(doc);

    setenv("TELEGRAM_TOKEN", "example-token", 1);
    uncomment(text.p, "#", &active);
    cr_assert_eq(conf_open_text(buf_str(&active), "x", &doc, &why), ERR_NONE, "%s\n%s", why.msg,
                 active.p);
    cr_assert_eq(conf_groups(doc, "channels"), 2);
    struct conf_group *g = conf_group_at(doc, "channels", 0);
    cr_assert_eq(conf_read(doc, g, "channels[0]", required_fields, also, &c, &why), ERR_NONE);
    cr_assert_str_eq(c.token, "example-token");
    conf_close(doc);
}

Test(conf, long_help_is_wrapped)
{
    static const struct conf_field wordy[] = {
        { "greeting", CONF_STR, AT(greeting),
          .help =
              "One two three four five six seven eight nine ten eleven twelve thirteen fourteen "
              "fifteen sixteen seventeen eighteen nineteen twenty." },
        CONF_END,
    };
    _cleanup_(buf_done) struct buf text = BUF_INIT(65536);

    conf_example(&text, "chat", "", wordy);
    for (struct str rest = buf_str(&text); rest.n;) cr_assert_leq(str_cut(&rest, '\n').n, 96);
    cr_assert_not_null(strstr(text.p, " twenty.\n"), "%s", text.p);
}

Test(conf, a_full_buffer_is_no_accident)
{
    size_t enough = 0;
    for (size_t max = 2000; max <= 2000; max -= 3) {
        _cleanup_(buf_done) struct buf text = BUF_INIT(max);
        conf_example(&text, "chat", "How conversations are answered.", fields);
        conf_example_item(&text, "telegram", "A bot.", required_fields, true);
        if (!text.full) enough = text.n;
        cr_assert_eq(text.full, max < enough);
    }
    cr_assert_gt(enough, 0);
}

Test(conf, example_of_groups_without_a_type)
{
    static const struct conf_field one[] = {
        { "token", CONF_SECRET, 0, .help = "The token." },
        CONF_END,
    };
    _cleanup_(buf_done) struct buf text = BUF_INIT(1000);
    conf_example_item(&text, NULL, "One.", one, true);
    cr_assert_str_eq(text.p, "#     # One.\n#     {\n#         # The token.\n"
                             "#         token = \"env:TOKEN\";\n#     }\n");
}

Test(conf, lists_of_words)
{
    const char *words[] = { "a", "bc" };
    const struct conf_list list = { 2, words };
    cr_expect(conf_list_has(&list, STR("bc")));
    cr_expect(!conf_list_has(&list, STR("b")));
    cr_expect(!conf_list_has(&(struct conf_list){ 0, NULL }, STR("")));
}

Test(conf, a_reload_finds_what_needs_a_restart)
{
    static const char was[] = "chat = { rate_limit = 5; greeting = \"a\"; };";
    static const struct {
        const char *text, *key;
    } cases[] = {
        { was, NULL },
        { "chat = { rate_limit = 6; greeting = \"a\"; };", NULL },
        { "chat = { rate_limit = 5; greeting = \"b\"; };", "greeting" },
        { "chat = { greeting = \"a\"; typing = false; };", "typing" },
        { "chat = { greeting = \"a\"; any_number = 1; };", "any_number" },
        { "chat = { greeting = \"a\"; idle = 10; };", "idle" },
        { "chat = { greeting = \"a\"; body_max = 4096; };", "body_max" },
        { "chat = { greeting = \"a\"; temperature = 1; };", "temperature" },
        { "chat = { greeting = \"a\"; token = \"env:RELOAD_TOKEN\"; };", "token" },
        { "chat = { greeting = \"a\"; queue = \"wait\"; };", "queue" },
        { "chat = { greeting = \"a\"; languages = [ \"en\", \"fr\" ]; };", "languages" },
        { "chat = { greeting = \"a\"; languages = [ \"en\" ]; };", "languages" },
    };
    struct chat_conf a, b;
    struct conf_doc *before = read_good(was, &a);

    setenv("RELOAD_TOKEN", "new-token", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *key = NULL;
        struct conf_doc *doc = read_good(cases[i].text, &b);
        cr_expect_eq(conf_differs(fields, &a, &b, &key), cases[i].key != NULL, "%s", cases[i].text);
        if (cases[i].key) cr_expect_str_eq(key, cases[i].key);
        conf_close(doc);
    }
    conf_close(before);
}
