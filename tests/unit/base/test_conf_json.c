/* Configurations that come as JSON, and one over the other. */
#include "core/base/conf.h"
#include "core/base/json.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct thing {
    const char *name, *key;
    int64_t n, wait_ms;
    double f;
    bool on;
    struct conf_list words;
    const char *more;
};
#define FIELD(m) .key = #m, .offset = offsetof(struct thing, m)
static const struct conf_field fields[] = {
    { FIELD(name), .type = CONF_STR },
    { FIELD(key), .type = CONF_SECRET },
    { FIELD(n), .type = CONF_INT, .def = "7", .max = 1000000000000 },
    { .key = "wait", .offset = offsetof(struct thing, wait_ms), .type = CONF_DURATION },
    { FIELD(f), .type = CONF_FLOAT },
    { FIELD(on), .type = CONF_BOOL },
    { FIELD(words), .type = CONF_LIST },
    { FIELD(more), .type = CONF_OBJECT },
    CONF_END,
};

static enum err_kind open_json(const char *text, struct conf_doc **ret, struct err *why)
{
    struct json *v = NULL;
    cr_assert_eq(json_parse(str_of(text), &v, NULL), ERR_NONE, "%s", text);
    enum err_kind kind = conf_open_json(v, "things", "things", ret, why);
    json_free(v);
    return kind;
}

static enum err_kind read_at(struct conf_doc *doc, size_t i, struct thing *ret, struct err *why)
{
    return conf_read(doc, conf_group_at(doc, "things", i), "things", fields, NULL, ret, why);
}

Test(conf_json, is_read_like_the_file)
{
    struct conf_doc *doc = NULL;
    struct thing t;
    struct err why = ERR_INIT;
    cr_assert_eq(
        open_json(
            "[{\"name\":\"a \\\"b\\\" \\\\ \\n ü\",\"n\":123456789012,\"wait\":\"5m\",\"f\":0.5,"
            "\"on\":true,\"words\":[\"x\",\"y\"]},{\"name\":\"second\",\"wait\":3,\"f\":2}]",
            &doc, &why),
        ERR_NONE, "%s", why.msg);
    cr_expect_eq(conf_groups(doc, "things"), 2);
    cr_assert_eq(read_at(doc, 0, &t, &why), ERR_NONE, "%s", why.msg);
    cr_expect_str_eq(t.name, "a \"b\" \\ \n ü");
    cr_expect_eq(t.n, 123456789012);
    cr_expect_eq(t.wait_ms, 300000);
    cr_expect_eq(t.f, 0.5);
    cr_expect(t.on);
    cr_assert_eq(t.words.n, 2);
    cr_expect_str_eq(t.words.v[1], "y");
    cr_assert_eq(read_at(doc, 1, &t, &why), ERR_NONE, "%s", why.msg);
    cr_expect_eq(t.n, 7);
    cr_expect_eq(t.wait_ms, 3000);
    cr_expect_eq(t.f, 2);
    cr_expect_str_eq(t.more, "");
    conf_close(doc);
}

/* As a group of the file, as JSON, and as JSON in quotes: what comes out is the same. */
Test(conf_json, objects_are_json_however_they_are_written)
{
    static const char want[] =
        "{\"a\":[{\"b\":true},[1,\"x\\\"\"],[]],\"n\":-123456789012,\"f\":0.5,\"o\":{}}";
    static const char file[] =
        "things = ( { more = { a = ( { b = true; }, ( 1, \"x\\\"\" ), ( ) ); n = -123456789012; "
        "f = 0.5; o = { }; }; } );";
    char text[400];
    struct conf_doc *docs[3];
    struct thing t;
    struct err why = ERR_INIT;
    _cleanup_(buf_done) struct buf quoted = BUF_INIT(400);
    struct json_out o = JSON_OUT(&quoted);
    json_put_str(&o, str_of(want));
    cr_assert_eq(conf_open_text(str_of(file), "f", &docs[0], &why), ERR_NONE, "%s", why.msg);
    snprintf(text, sizeof text, "[{\"more\":%s}]", want);
    cr_assert_eq(open_json(text, &docs[1], &why), ERR_NONE, "%s", why.msg);
    snprintf(text, sizeof text, "[{\"more\":%s}]", quoted.p);
    cr_assert_eq(open_json(text, &docs[2], &why), ERR_NONE, "%s", why.msg);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(read_at(docs[i], 0, &t, &why), ERR_NONE, "%zu: %s", i, why.msg);
        cr_expect_str_eq(t.more, want, "%zu: %s", i, t.more);
        conf_close(docs[i]);
    }
}

static const struct {
    const char *text, *why;
} bad[] = {
    { "[{\"name\":\"a\"},{\"nmae\":\"b\"}]",
      "things:2: things.nmae: unknown key (did you mean name?)" },
    { "[{\"n\":\"many\"}]", "things:1: things.n: must be a whole number" },
    { "[{\"n\":-1}]", "things:1: things.n: -1 is out of bounds (0 to 1000000000000)" },
    { "[{\"n\":null}]", "things:1: n: no setting has such a value" },
    { "[{\"n\":{\"a\":1}}]", "things:1: things.n: must be a whole number" },
    { "[{\"n\":{\"a\":null}}]", "things:1: n: a: no setting has such a value" },
    { "[{\"n\":{\"a b\":1}}]", "things:1: n: a key that no setting has" },
    { "[{\"words\":[[\"a\"]]}]",
      "things:1: things.words: must be a list of strings: [ \"a\", \"b\" ]" },
    { "[{\"words\":[1]}]", "things:1: things.words: must be a list of strings: [ \"a\", \"b\" ]" },
    { "[{\"more\":7}]",
      "things:1: things.more: must be a group { ... }, or a JSON object in quotes" },
    { "[{\"more\":[1]}]",
      "things:1: things.more: must be a group { ... }, or a JSON object in quotes" },
    { "[{\"more\":\"[1]\"}]", "things:1: things.more: must be a JSON object" },
    { "[{\"more\":{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}]",
      "things:1: things.more: is nested too deeply" },
    { "[{\"name\":\"a\\u0000b\"}]", "things:1: name: no setting has such a value" },
    { "[{\"a b = 1; c\":1}]", "things:1: a key that no setting has" },
    { "[{\"@include\":\"x\"}]", "things:1: a key that no setting has" },
    { "[{\"\":1}]", "things:1: a key that no setting has" },
    { "[7]", "things:1: each entry must be an object" },
    { "7", "things: must be an object or an array of objects" },
    { "[{\"key\":\"sk-literal\"}]",
      "things:1: things.key: a secret does not belong here: put it into an environment variable or "
      "a file, and write \"env:NAME\" or \"file:PATH\" here" },
};

Test(conf_json, bad_content_is_refused_with_its_place)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct conf_doc *doc = NULL;
        struct thing t;
        struct err why = ERR_INIT;
        enum err_kind kind = open_json(bad[i].text, &doc, &why);
        for (size_t k = 0; kind == ERR_NONE && k < conf_groups(doc, "things"); k++)
            kind = read_at(doc, k, &t, &why);
        cr_expect_eq(kind, ERR_CONF, "%s", bad[i].text);
        cr_expect_str_eq(why.msg, bad[i].why, "%s\n is %s", bad[i].text, why.msg);
        conf_close(doc);
    }
}

Test(conf_json, only_secrets_that_are_allowed)
{
    static const char *const words[] = { "env:*_KEY", "file:/etc/parley/*.key" };
    const struct conf_list allow = { 2, (const char **)words };
    static const struct {
        const char *text;
        bool ok;
    } asked[] = {
        { "[{\"key\":\"env:SOME_KEY\"}]", true },       { "[{\"key\":\"\"}]", true },
        { "[{\"key\":\"env:SOME_PASSWORD\"}]", false }, { "[{\"key\":\"env:KEY\"}]", false },
        { "[{\"key\":\"file:/etc/passwd\"}]", false },
    };
    setenv("SOME_KEY", "value-of-the-key", 1);
    setenv("SOME_PASSWORD", "value-of-the-password", 1);
    for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
        struct conf_doc *doc = NULL;
        struct thing t;
        struct err why = ERR_INIT;
        cr_assert_eq(open_json(asked[i].text, &doc, &why), ERR_NONE);
        conf_allow_secrets(doc, &allow);
        cr_expect_eq(read_at(doc, 0, &t, &why) == ERR_NONE, asked[i].ok, "%s: %s", asked[i].text,
                     why.msg);
        cr_expect(asked[i].ok || strstr(why.msg, "may not be used here"), "%s", why.msg);
        conf_close(doc);
    }
}

Test(conf_json, overlay_leaves_what_is_not_said)
{
    struct conf_doc *doc = NULL;
    struct thing t = { .name = "old", .n = 1, .f = 3, .on = true };
    struct err why = ERR_INIT;
    cr_assert_eq(open_json("{\"n\":2,\"on\":false}", &doc, &why), ERR_NONE);
    cr_assert_eq(conf_overlay(doc, conf_group_at(doc, "things", 0), "things", fields, &t, &why),
                 ERR_NONE);
    cr_expect_str_eq(t.name, "old");
    cr_expect_eq(t.n, 2);
    cr_expect_eq(t.f, 3);
    cr_expect_not(t.on);
    conf_close(doc);
}

Test(conf_json, strings_outlive_the_document)
{
    struct conf_doc *doc = NULL;
    struct thing t;
    struct arena strings;
    struct err why = ERR_INIT;
    setenv("SOME_KEY", "value-of-the-key", 1);
    arena_init(&strings);
    cr_assert_eq(
        open_json("[{\"name\":\"a\",\"key\":\"env:SOME_KEY\",\"words\":[\"w\"]}]", &doc, &why),
        ERR_NONE);
    conf_strings_to(doc, &strings);
    cr_assert_eq(read_at(doc, 0, &t, &why), ERR_NONE, "%s", why.msg);
    conf_close(doc);
    cr_expect_str_eq(t.name, "a");
    cr_expect_str_eq(t.key, "value-of-the-key");
    cr_expect_str_eq(t.words.v[0], "w");
    arena_done(&strings);
}

Test(conf_json, layers_replace_by_name_and_add)
{
    struct conf_doc *docs[3] = { NULL };
    struct conf_item items[8];
    const char *const texts[] = { "[{\"name\":\"a\",\"n\":1},{\"name\":\"b\",\"n\":2}]",
                                  "[{\"name\":\"new\",\"n\":3},{\"name\":\"B\",\"n\":4}]",
                                  "[{\"name\":\"new\",\"n\":5}]" };
    const int64_t expected[] = { 1, 4, 5 };
    for (size_t i = 0; i < 3; i++) open_json(texts[i], &docs[i], NULL);
    cr_assert_eq(conf_layers(docs, 3, "things", items, 8), 3);
    for (size_t i = 0; i < 3; i++) {
        struct thing t;
        conf_read(items[i].doc, items[i].group, "things", fields, NULL, &t, NULL);
        cr_expect_eq(t.n, expected[i], "%zu", i);
    }
    cr_expect_eq(conf_layers(docs, 1, "things", items, 8), 2);
    cr_expect_eq(conf_layers(docs, 3, "nothings", items, 8), 0);
    cr_expect_eq(conf_layers(docs, 3, "things", items, 1), 3, "how many there would be");
    for (size_t i = 0; i < 3; i++) conf_close(docs[i]);
}
