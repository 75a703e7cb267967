/* Templates: what they make of JSON, what is escaped, and which are none. */
#include "core/base/utf8.h"
#include "core/hook/template.h"
#include <criterion/criterion.h>

static struct arena arena;
static struct buf out;
static struct err why;

static void setup(void)
{
    arena_init(&arena);
    buf_init(&out, 4096);
}

static void teardown(void)
{
    buf_done(&out);
    arena_done(&arena);
}

TestSuite(template, .init = setup, .fini = teardown);

static enum err_kind render_for(enum template_for whom, const char *text, const char *json)
{
    struct template *t;
    struct json *doc;
    buf_clear(&out);
    why = (struct err)ERR_INIT;
    if (template_parse(&arena, str_of(text), &t, &why)) return why.kind;
    cr_assert_eq(json_parse(str_of(json), &doc, NULL), ERR_NONE, "%s", json);
    enum err_kind kind = template_render(t, whom, doc, &out, &why);
    json_free(doc);
    return kind;
}

static void expect(const char *text, const char *json, const char *want)
{
    enum err_kind kind = render_for(TEMPLATE_MARKDOWN, text, json);
    cr_expect_eq(kind, ERR_NONE, "%s: %s", text, why.msg);
    cr_expect(str_eq(buf_str(&out), str_of(want)), "%s of %s\nis  %.*s\nnot %s", text, json,
              STR_ARG(buf_str(&out)), want);
}

static void expect_error(enum err_kind want, const char *text, const char *json, const char *says)
{
    enum err_kind kind = render_for(TEMPLATE_MARKDOWN, text, json);
    cr_expect_eq(kind, want, "%s: %d", text, kind);
    cr_expect_str_eq(why.msg, says);
}

#define PR                                                                                              \
    "{\"number\": 12, \"pull_request\": {\"title\": \"Add tests\", \"draft\": false, \"merged\": true," \
    " \"body\": null, \"labels\": [{\"name\": \"bug\"}, {\"name\": \"docs\"}, {\"name\": \"x\"}]},"     \
    " \"ratio\": 0.5, \"none\": [], \"empty\": \"\"}"

Test(template, fields)
{
    static const char *const cases[][2] = {
        { "", "" },
        { "plain *text*", "plain *text*" },
        { "#{{ number }}: {{pull_request.title}}", "#12: Add tests" },
        { "{{ pull_request.labels.1.name }}", "docs" },
        { "{{ pull_request.labels.length }}", "3" },
        { "{{ pull_request.merged }} {{pull_request.draft}} {{ratio}}", "true false 0.5" },
        { "[{{ pull_request.body }}]", "[]" },
        { "{{! nothing }}a{{!}}", "a" },
        { "{ {{number}} }", "{ 12 }" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect(cases[i][0], PR, cases[i][1]);
}

Test(template, filters)
{
    static const char *const cases[][3] = {
        { "{{ a | upper }} {{ a | lower }}", "{\"a\": \"Maße\"}", "MAßE maße" },
        { "{{ a | line }}", "{\"a\": \" first \\nsecond\"}", "first" },
        { "{{ a | truncate: 4 }}", "{\"a\": \"äöüß\"}", "äöüß" },
        { "{{ a | truncate: 4 }}", "{\"a\": \"äöüßx\"}", "äöüß…" },
        { "{{ a|line|truncate:2|upper }}", "{\"a\": \"abc\\nd\"}", "AB…" },
        { "{{ a | branch }}", "{\"a\": \"refs/heads/feature/x\"}", "feature/x" },
        { "{{ a | branch }}", "{\"a\": \"refs/tags/v1\"}", "v1" },
        { "{{ a | short: 2 }}", "{\"a\": \"äöü\"}", "äö" },
        { "{{ a | short: 9 }}", "{\"a\": \"äöü\"}", "äöü" },
        { "{{ a | branch }}", "{\"a\": \"main\"}", "main" },
        { "{{ a | count: \"commit\" }}", "{\"a\": 1}", "1 commit" },
        { "{{ a | count: \"commit\" }}", "{\"a\": 0}", "0 commits" },
        { "{{ a | count: \"entry\", \"entries\" }}", "{\"a\": [1, 2]}", "2 entries" },
        { "{{ a.length | count: \"entry\", \"entries\" }}", "{\"a\": [1]}", "1 entry" },
        { "{{ a | default: \"no **text** | at all\" }}", "{}", "no **text** | at all" },
        { "{{ a.b.c | default: \"-\" }}", "{\"a\": 1}", "-" },
        { "{{ a | default: \"-\" }}", "{\"a\": null}", "-" },
        { "{{ a | default: \"-\" }}", "{\"a\": \"\"}", "-" },
        { "{{ a | default: \"-\" }}", "{\"a\": false}", "false" },
        { "{{ a | default: \"\" }}", "{}", "" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect(cases[i][0], cases[i][1], cases[i][2]);
}

Test(template, sections)
{
    static const char *const cases[][2] = {
        { "{{#pull_request.labels}}{{name}}, {{/pull_request.labels}}", "bug, docs, x, " },
        { "{{#pull_request.labels | first: 2}}{{name}} {{number}} {{/pull_request.labels}}",
          "bug 12 docs 12 " },
        { "{{#pull_request}}{{title}}{{/pull_request}}", "Add tests" },
        { "{{#pull_request.merged}}merged{{/pull_request.merged}}", "merged" },
        { "{{#pull_request.draft}}draft{{/pull_request.draft}}", "" },
        { "{{^pull_request.draft}}ready{{/pull_request.draft}}", "ready" },
        { "{{#missing}}x{{/missing}}{{^missing}}none{{/missing}}", "none" },
        { "{{#pull_request.body}}x{{/pull_request.body}}", "" },
        { "{{#none}}x{{/none}}{{^none}}empty{{/none}}", "empty" },
        { "{{#empty}}x{{/empty}}{{^empty}}empty{{/empty}}", "empty" },
        { "{{#number}}{{.}}{{/number}}", "12" },
        /* a section alone in its line leaves none */
        { "Labels:\n{{#pull_request.labels}}\n- {{name}}\n{{/pull_request.labels}}\nend",
          "Labels:\n- bug\n- docs\n- x\nend" },
        { "{{#pull_request.merged}}\nyes\n{{/pull_request.merged}}\n", "yes\n" },
        { "a\n  {{! why }}  \nb", "a\nb" },
        { "a {{#number}}\nb{{/number}}\n", "a \nb\n" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect(cases[i][0], PR, cases[i][1]);
}

/* In the setting of a text: Markdown's own characters mean nothing in a value. */
Test(template, values_are_escaped)
{
    static const char *const cases[][3] = {
        { "{{a}}", "{\"a\": \"*b* _c_ `d` ~~e~~ [f](g) <h> | &amp; \\\\i\"}",
          "\\*b\\* \\_c\\_ \\`d\\` \\~\\~e\\~\\~ \\[f\\](g) \\<h\\> \\| \\&amp; \\\\i" },
        { "{{a}}", "{\"a\": \"# head\"}", "\\# head" },
        { "{{a}}", "{\"a\": \"x\\n# head\\n- item\\n+ item\\n=====\\n12. item\\n12) item\\n1.\"}",
          "x\n\\# head\n\\- item\n\\+ item\n\\=====\n12\\. item\n12\\) item\n1\\." },
        { "{{a}}", "{\"a\": \"x\\n      code?\\n\\n\\tcode?\"}", "x\ncode?\n\ncode?" },
        { "- {{a}}", "{\"a\": \"- b\"}", "- \\- b" },
        { "> 1. {{a}}", "{\"a\": \"2. b\"}", "> 1. 2\\. b" },
        { "v {{a}}", "{\"a\": \"3.5 # of - + =\"}", "v 3.5 # of - + =" },
        { "{{a}}", "{\"a\": \"3.5 # of - + =\"}", "3\\.5 # of - + =" },
        { "{{a}}", "{\"a\": \"@everyone, (@here) and a@b.example, a @\"}",
          "@\xe2\x80\x8b"
          "everyone, (@\xe2\x80\x8bhere) and a@b.example, a @" },
        { "{{a}}", "{\"a\": \"a\\u0007\\u0000\\u007f\\tb\\r\\n\"}", "a\xef\xbf\xbd\tb\n" },
        { "{{a}}", "{\"a\": \"\\u0001\\t \\u0002# b\\n\\u0003\\t- c\"}", "\\# b\n\\- c" },
        /* code */
        { "x{{a | code}}", "{\"a\": \"x_y *\"}", "x` x_y * `" },
        { "{{a | code}}", "{\"a\": \"`\\n\\n# b ``c\"}", "``` `  # b ``c ```" },
        { "{{a | code | default: \"-\"}}", "{\"a\": \"\"}", "-" },
        { "{{a | block}}x", "{\"a\": \"x_y\\n```\\nz\"}", "````\nx_y\n```\nz\n````\nx" },
        { "a {{a | line | block}}", "{\"a\": \"x_y\\n\"}", "a \n\n```\nx_y\n```\n" },
        { "`{{a}}` `{{a}}", "{\"a\": \"_`\"}", "`\\_\\`` `\\_\\`" },
        /* addresses */
        { "[{{a}}]({{b}})", "{\"a\": \"x]\", \"b\": \"https://a.example/b_c?d=e&f=(g)#h i\"}",
          "[x\\]](https://a.example/b\\_c?d=e\\&f=%28g%29#h%20i)" },
        { "[x]({{b}}) {{b}}", "{\"b\": \"javascript:alert(1)\"}", "[x]() javascript:alert(1)" },
        { "[x]({{b}})", "{\"b\": \"https://a.example/) @everyone [y](http://z\"}",
          "[x](https://a.example/%29%20%40everyone%20%5By%5D%28http://z)" },
        { "[x](https://a.example/{{b}}?c={{b}})", "{\"b\": \"d/../e?f&g\"}",
          "[x](https://a.example/d%2F..%2Fe%3Ff%26g?c=d%2F..%2Fe%3Ff%26g)" },
        { "[x](y) ({{b}})", "{\"b\": \"a_b\"}", "[x](y) (a\\_b)" },
        { "[x]({{b | default: \"https://d.example\"}})", "{}", "[x](https://d.example)" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect(cases[i][0], cases[i][1], cases[i][2]);
}

Test(template, a_model_gets_values_as_they_are)
{
    cr_expect_eq(render_for(TEMPLATE_PLAIN, "{{a}} [b]({{b}})",
                            "{\"a\": \"*b* @c\\n# d\\u0000\", \"b\": \"x y\"}"),
                 ERR_NONE);
    cr_expect_str_eq(out.p, "*b* @c\n# d\xef\xbf\xbd [b](x y)");
}

Test(template, what_cannot_be_made)
{
    expect_error(ERR_NOT_FOUND, "{{ a.b }}", "{\"a\": {}}", "a.b: missing");
    expect_error(ERR_NOT_FOUND, "{{ a.b | upper }}", "{\"a\": \"text\"}", "a.b: missing");
    expect_error(ERR_NOT_FOUND, "{{ a.3 }}", "{\"a\": [1, 2, 3]}", "a.3: missing");
    expect_error(ERR_NOT_FOUND, "{{#a}}{{b}}{{/a}}", "{\"a\": [1]}", "b: missing");
    expect_error(ERR_NOT_FOUND, "{{ a }}", "[]", "a: missing");
    expect_error(ERR_NOT_FOUND, "{{ a }}", "null", "a: missing");
    expect_error(ERR_PROTO, "{{ a }}", "{\"a\": []}", "a: a list, not a text");
    expect_error(ERR_PROTO, "{{ . }}", "{\"a\": []}", ".: an object, not a text");
}

Test(template, what_is_no_template)
{
    static const char *const cases[][2] = {
        { "a\n{{ b", "line 2: a tag is not closed by }}" },
        { "{{}}", "line 1: an empty tag" },
        { "{{ }}", "line 1: an empty tag" },
        { "{{ a b }}", "line 1: this is no name of a field: a b" },
        { "{{ a..b }}", "line 1: this is no name of a field: a..b" },
        { "{{ a. }}", "line 1: this is no name of a field: a." },
        { "{{ a.b.c.d.e.f.g.h.i.j.k.l.m }}",
          "line 1: this is no name of a field: a.b.c.d.e.f.g.h.i.j.k.l.m" },
        { "{{{ a }}}", "line 1: such a tag of Mustache is not known here: { a" },
        { "{{& a }}", "line 1: such a tag of Mustache is not known here: & a" },
        { "{{> a }}", "line 1: such a tag of Mustache is not known here: > a" },
        { "{{ a | shout }}", "line 1: there is no filter shout" },
        { "{{ a | }}", "line 1: there is no filter" },
        { "{{ a | default }}", "line 1: this filter is written otherwise: default" },
        { "{{ a | default: x }}", "line 1: this filter is written otherwise: default: x" },
        { "{{ a | default: \"x }}", "line 1: this filter is written otherwise: default: \"x" },
        { "{{ a | default: \"x\" y }}",
          "line 1: this filter is written otherwise: default: \"x\" y" },
        { "{{ a | default: \"x\", \"y\" }}",
          "line 1: this filter is written otherwise: default: \"x\", \"y\"" },
        { "{{ a | truncate: 0 }}", "line 1: this filter is written otherwise: truncate: 0" },
        { "{{ a | truncate: many }}", "line 1: this filter is written otherwise: truncate: many" },
        { "{{ a | upper: 1 }}", "line 1: this filter is written otherwise: upper: 1" },
        { "{{ a | first: 1 }}", "line 1: this filter does nothing here: first" },
        { "{{# a | upper }}{{/ a }}", "line 1: this filter does nothing here: upper" },
        { "{{a|upper|upper|upper|upper|upper|upper|upper}}", "line 1: too many filters" },
        { "\n\n{{#a}}", "line 3: a section is not ended: a" },
        { "{{/a}}", "line 1: no section is open here: a" },
        { "{{#a}}{{#b}}{{/a}}{{/b}}", "line 1: the open section is b" },
        { "{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}",
          "line 1: too many sections in one another" },
        { "\xff", "the template is no valid UTF-8" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect_error(ERR_PROTO, cases[i][0], "{}", cases[i][1]);
}

Test(template, bounds)
{
    struct template *t;
    struct buf text = BUF_INIT(1 << 20), json = BUF_INIT(1 << 20);
    for (int i = 0; i < TEMPLATE_TAGS_MAX; i++) buf_add_cstr(&text, "x{{n}}");
    buf_add_cstr(&text, "end");
    cr_expect_eq(template_parse(&arena, buf_str(&text), &t, &why), ERR_NONE, "%s", why.msg);
    buf_add_cstr(&text, "{{n}}");
    cr_expect_eq(template_parse(&arena, buf_str(&text), &t, &why), ERR_PROTO);
    cr_expect_str_eq(why.msg, "line 1: too many tags");
    buf_clear(&text);
    for (int i = 0; i <= TEMPLATE_MAX; i++) buf_add_char(&text, 'x');
    cr_expect_eq(template_parse(&arena, buf_str(&text), &t, &why), ERR_PROTO);

    /* A list in a list in a list is more than anybody wants to read. */
    buf_add_cstr(&json, "{\"a\": [0");
    for (int i = 0; i < 100; i++) buf_add_cstr(&json, ",0");
    buf_add_cstr(&json, "]}");
    expect_error(ERR_LIMIT, "{{#a}}{{#a}}{{#a}}{{^b}}{{/b}}{{/a}}{{/a}}{{/a}}", json.p,
                 "b: the lists are too long for this template");
    buf_done(&text);
    buf_done(&json);
}

Test(template, what_does_not_fit_is_left_out)
{
    for (size_t max = 0; max < 40; max++) {
        buf_done(&out);
        buf_init(&out, max);
        cr_expect_eq(render_for(TEMPLATE_MARKDOWN, "ä{{#a}}{{.}}ö{{/a}}",
                                "{\"a\": [\"€*@ü\", \"\\n12. x\", \"y\"]}"),
                     ERR_NONE);
        static const char whole[] = "ä€\\*@\xe2\x80\x8büö\n12\\. xöyö";
        cr_expect(utf8_valid(buf_str(&out)), "at %zu", max);
        cr_expect(str_starts(STR("ä€\\*@\xe2\x80\x8büö\n12\\. xöyö"), buf_str(&out)), "at %zu: %s",
                  max, out.p);
        cr_expect_eq(out.full, max < sizeof whole - 1, "at %zu", max);
    }
}
