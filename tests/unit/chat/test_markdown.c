#include "core/chat/markdown.h"

#include "core/base/buf.h"

#include <criterion/criterion.h>

static const char *const names[] = {
    "doc",  "quote", "list",   "item",   "codeblock", "htmlblock", "p",    "h",
    "hr",   "table", "row",    "cell",   "text",      "soft",      "hard", "code",
    "html", "emph",  "strong", "strike", "link",      "image",
};

/* The whole walk on one line: "(p text:Hi )". */
static struct str walk(struct str text, struct buf *to)
{
    _cleanup_(markdown_free_p) struct markdown *m = NULL;
    struct md_event e;
    cr_assert_eq(markdown_parse(text, &m, NULL), ERR_NONE);
    while (markdown_next(m, &e)) {
        bool leaf = e.text.n || (e.type >= MD_TEXT && e.type <= MD_HTML) || e.type == MD_RULE ||
                    e.type == MD_CODE_BLOCK || e.type == MD_HTML_BLOCK;
        if (!e.enter) {
            buf_add_char(to, ')');
            continue;
        }
        if (!leaf) buf_add_char(to, '(');
        buf_add_cstr(to, names[e.type]);
        if (e.text.n) buf_addf(to, ":%.*s", STR_ARG(e.text));
        if (e.info.n) buf_addf(to, "{%.*s}", STR_ARG(e.info));
        if (e.url.n) buf_addf(to, "<%.*s>", STR_ARG(e.url));
        if (e.level) buf_addf(to, "%d", e.level);
        if (e.type == MD_LIST) buf_add_cstr(to, e.tight ? "=tight" : "=loose");
        if (e.ordered) buf_addf(to, "#%lld", (long long)e.number);
        if (e.header) buf_add_cstr(to, "=header");
        if (e.columns) buf_addf(to, "x%d", e.columns);
        if (e.align) buf_addf(to, "%c", "?lcr"[e.align]);
        buf_add_char(to, ' ');
    }
    return buf_str(to);
}

static const struct {
    const char *markdown, *walk;
} cases[] = {
    { "", "(doc )" },
    { "Hi **you** ~~x~~ ~y~",
      "(doc (p text:Hi  (strong text:you )text:  (strike text:x )text: ~y~ ))" },
    { "## T\n***\na\nb\\\nc", "(doc (h2 text:T )hr (p text:a soft text:b hard text:c ))" },
    { "```c x\nint;\n```", "(doc codeblock:int;\n{c x} )" },
    { "<p>\n", "(doc htmlblock:<p>\n )" },
    { "> *a* <u>`b`", "(doc (quote (p (emph text:a )text:  html:<u> code:b )))" },
    { "3. a\n4. b", "(doc (list=tight#3 (item#3 (p text:a ))(item#4 (p text:b ))))" },
    { "- a\n\n- b", "(doc (list=loose (item (p text:a ))(item (p text:b ))))" },
    { "1. a\n   - b\n2. c",
      "(doc (list=tight#1 (item#1 (p text:a )(list=tight (item (p text:b ))))(item#2 (p text:c ))))" },
    { "|a|b|c|\n|:-|-:|:-:|\n|1|2|",
      "(doc (tablex3 (row=header (celll text:a )(cellr text:b )(cellc text:c ))"
      "(row (celll text:1 )(cellr text:2 )(cellc ))))" },
    { "[t](u:v) ![i](w) www.a.bc",
      "(doc (p (link<u:v> text:t )text:  (image<w> text:i )text:  (link<http://www.a.bc> text:www.a.bc )))" },
};

Test(markdown, table)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 16);
        _cleanup_(buf_done) struct buf squeezed = BUF_INIT(1 << 16);
        struct str got = walk(str_of(cases[i].markdown), &b);
        for (size_t k = 0; k < got.n; k++) /* a blank behind a leaf at the end of its parent */
            if (!(got.p[k] == ' ' && k + 1 < got.n && got.p[k + 1] == ')' && got.p[k - 1] == ')'))
                buf_add_char(&squeezed, got.p[k]);
        cr_expect_str_eq(squeezed.p, cases[i].walk, "%s\n got %s", cases[i].markdown, squeezed.p);
    }
}

Test(markdown, too_long)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(MARKDOWN_MAX + 1);
    struct markdown *m;
    struct err why = ERR_INIT;
    memset(buf_room(&b, MARKDOWN_MAX + 1), 'x', MARKDOWN_MAX + 1);
    buf_grew(&b, MARKDOWN_MAX + 1);
    cr_expect_eq(markdown_parse(buf_str(&b), &m, &why), ERR_LIMIT);
    buf_cut(&b, MARKDOWN_MAX);
    cr_assert_eq(markdown_parse(buf_str(&b), &m, &why), ERR_NONE);
    markdown_free(m);
    markdown_free(NULL);
}

/* A wide head over many short rows is no table: filling it up would take hundreds of megabytes. */
Test(markdown, a_table_that_explodes_is_text)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 16);
    _cleanup_(markdown_free_p) struct markdown *m = NULL;
    for (int i = 0; i < 120; i++) buf_add_cstr(&b, "|a");
    buf_add_cstr(&b, "|\n");
    for (int i = 0; i < 120; i++) buf_add_cstr(&b, "|-");
    buf_add_cstr(&b, "|\n");
    for (int i = 0; i < 1000; i++) buf_add_cstr(&b, "|x\n");
    cr_assert_eq(markdown_parse(buf_str(&b), &m, NULL), ERR_NONE);
    struct md_event e;
    while (markdown_next(m, &e)) cr_assert_neq(e.type, MD_TABLE);
}
