#include "slack_text.h"

#include "core/chat/markdown.h"
#include "core/chat/split.h"

#include <criterion/criterion.h>

#define ZW SLACK_ENDS_WORD
#define WJ SLACK_IN_WORD

static const struct {
    const char *markdown, *slack; /* NULL: cannot be formatted */
} cases[] = {
    { "Hello", "Hello" },
    { "**b** *i* ~~s~~ `c` _i_ __b__", "*b* _i_ ~s~ `c` _i_ *b*" },
    { "***both***", "_*both*_" },
    { "**a **b** c**", "*a b c*" },
    { "**a***b*", "*a*" ZW "_b_" },
    { "un**frigging**able, 2*3*4", "un" ZW "*frigging*" ZW "able, 2" ZW "_3_" ZW "4" },
    { "**Note:** x, (**y**), **z**.", "*Note:* x, (*y*), *z*." },
    { "**![]()** x", "x" },
    { "**&nbsp;a&#32;** *&#32;b*", "*\xC2\xA0"
                                   "a*   _b_" },
    { "**`c`** `d`*e*", "*`c`* `d`" ZW "_e_" },
    { "one\ntwo  \nthree", "one\ntwo\nthree" },
    { "**one\ntwo**", "*one*\n*two*" },
    { "one\n\n\n\ntwo", "one\n\ntwo" },
    { "# T *i* **b**\n#### W\ntext", "*T _i_ b*\n\n*W*\n\ntext" },
    { "a\nb\n===", "*a*\n*b*" },
    { "#\n\nx", "x" },
    { "- # T", "• *T*" },
    { "```c\nif (a < b)\n    *x;\n```", "```\nif (a &lt; b)\n    *x;\n```" },
    { "```\nnever closed", "```\nnever closed\n```" },
    { "````\n```\nx\n```\n````", "```\n``" ZW "`\nx\n``" ZW "`\n```" },
    { "~~~\n`````\n~~~", "```\n``" ZW "``" ZW "`\n```" },
    { "```\n```", NULL },
    { "    indented\n", "```\nindented\n```" },
    { "`` a`b ``", "`a" WJ "`" WJ "b`" },
    { "`<!here>`", "`&lt;!here&gt;`" },
    { "[t](https://a.b/?x=1&y=2)", "<https://a.b/?x=1&amp;y=2|t>" },
    { "[**t** `c`](http://a.b)", "<http://a.b|t c>" },
    { "**[t](http://a.b)**", "*<http://a.b|t>*" },
    { "[t](<https://a.b/c d|e>)", "<https://a.b/c%20d%7Ce|t>" },
    { "[a|b > c](https://a.b)", "<https://a.b|a|b &gt; c>" },
    { "[t](https://a.b/x_(y)_z*)", "<https://a.b/x_(y)_z*|t>" },
    { "[t](https://a.b/&#10;&#62;)", "<https://a.b/%0A%3E|t>" },
    { "[a&#10;b](https://a.b)", "<https://a.b|a b>" },
    { "[t](javascript:alert)", "t (javascript:alert)" },
    { "[t](slack://channel?id=1) [u](https://)", "t (slack://channel?id=1) u (https://)" },
    { "[t](./rel/path)", "t (./rel/path)" },
    { "[](https://a.b)", "<https://a.b>" },
    { "[call](tel:+1-2) [mail](mailto:a@b.cd)", "<tel:+1-2|call> <mailto:a@b.cd|mail>" },
    { "[https://c.d](https://a.b)", "https://c.d (<https://a.b>)" },
    { "[Go to bank.com](https://evil.org)", "Go to bank.com (<https://evil.org>)" },
    { "[bank.com](https://bank.com.evil.org)", "bank.com (<https://bank.com.evil.org>)" },
    { "[bank.com](https://bank.com@evil.org)", "bank.com (<https://bank.com@evil.org>)" },
    { "[a@bank.com](mailto:a@evil.org)", "a@bank.com (<mailto:a@evil.org>)" },
    { "[www.a.org](https://a.org/x)", "<https://a.org/x|www.a.org>" },
    { "[see a.org/x.](https://www.a.org/x?y)", "<https://www.a.org/x?y|see a.org/x.>" },
    { "[src/main.py, e.g. 1.5](https://a.b/c)", "<https://a.b/c|src/main.py, e.g. 1.5>" },
    { "![alt](https://a.b/p_q_.png)", "<https://a.b/p_q_.png|alt>" },
    { "![](https://a.b/p.png)", "<https://a.b/p.png>" },
    { "![alt](data:x)", "alt (data:x)" },
    { "[![alt](https://a.b/p.png)](https://c.d)", "<https://c.d|alt>" },
    { "(https://a.b/c_d_).", "(<https://a.b/c_d>_)." },
    { "<https://a.b>", "<https://a.b>" },
    { "www.a.b/c", "<http://www.a.b/c|www.a.b/c>" },
    { "x@example.org", "<mailto:x@example.org|x@example.org>" },
    { "- a\n- b\n  - c\n    - d\n- e", "• a\n• b\n  ◦ c\n    ▪ d\n• e" },
    { "1. a\n2. b\n\n   more\n", "1. a\n\n2. b\n\n   more" },
    { "7) a\n8) b\n   - c", "7. a\n8. b\n   ◦ c" },
    { "Intro:\n- a\n\nEnd", "Intro:\n\n• a\n\nEnd" },
    { "- a\n  ```c\n  x\n  ```\n- b", "• a\n```\nx\n```\n• b" },
    { "- a\n  - b\n    ```\n    x\n    ```\n    c\n", "• a\n  ◦ b\n```\nx\n```\n    c" },
    { "- [ ] open\n- [x] *done*", "• ☐ open\n• ☑ _done_" },
    { "[ ] none", "[ ] none" },
    { "> a\n> b\n>\n> > c\n\nd", "> a\n> b\n> \n> c\n\nd" },
    { "> - a\n> - **b**", "> • a\n> • *b*" },
    { "> a\n>\n> ```\n> x\n>\n> y\n> ```\n>\n> b", "> a\n\n```\nx\n\ny\n```\n\n> b" },
    { "- a\n  > q\n- b", "• a\n>   q\n• b" },
    { "a\n\n---\n\nb", "a\n\n———\n\nb" },
    { "| a | bb |\n|---|---:|\n| 1 | 22222 |", "```\na |    bb\n--+------\n1 | 22222\n```" },
    { "|a|b|\n|-|-|\n|**x**<br>`y`|[l](https://a.b)|",
      "```\na   | b\n----+----------------\nx y | l (https://a.b)\n```" },
    { "|a|\n|-|\n|<!channel>|", "```\na\n----------\n&lt;!channel&gt;\n```" },
    { "<u>x</u> <script>", "&lt;u&gt;x&lt;/u&gt; &lt;script&gt;" },
    { "<div>\nblock\n</div>", "&lt;div&gt;\nblock\n&lt;/div&gt;" },
    { "a<br>b<br/>c", "a\nb\nc" },
    /* what is no markup */
    { "<!channel> <!here|x> <!date^1^{date}|x>",
      "&lt;!channel&gt; &lt;!here|x&gt; &lt;!date^1^{date}|x&gt;" },
    { "<@U1> <#C1|x> <!subteam^S1>", "&lt;@U1&gt; &lt;#C1|x&gt; &lt;!subteam^S1&gt;" },
    { "&lt;!channel&gt; &amp;lt;", "&lt;!channel&gt; &amp;lt;" },
    { "\\<!everyone\\> &#60;@U1>", "&lt;!everyone&gt; &lt;@U1&gt;" },
    { "@channel @here", "@channel @here" },
    { "snake_case a_b_c \\_x, y", "snake_case a_b_c _x, y" },
    { "2 * 3 * 4, 5\\*6\\*7", "2 * 3 * 4, 5*6*7" },
    { "~/a and ~/b, ~5", "~/a and ~/b, ~5" },
    { "it`s", "it`s" },
    { "/usr/lib/\\*.so \\*.c", "/usr/lib/*.so *.c" },
    { "\\*x\\*", WJ "*" WJ "x" WJ "*" WJ },
    { "\\_\\_init\\_\\_", WJ "_" WJ "_" WJ "init" WJ "_" WJ "_" WJ },
    { "\\~x\\~ \\`x\\`", WJ "~" WJ "x" WJ "~" WJ " " WJ "`" WJ "x" WJ "`" WJ },
    { "\\`\\`\\`x", WJ "`" WJ "`" WJ "`" WJ "x" },
    { "**a\\* b** c", "*a" WJ "*" WJ " b* c" },
    { "a \\* **b**", "a * *b*" },
    { "a\n\\> b > c", "a\n" WJ "&gt; b &gt; c" },
    { "> \f", NULL },
    { "a\n\n> \f", "a" },
    { "> \\> a", "> " WJ "&gt; a" },
    { "", NULL },
    { " \n\n ", NULL },
    { "[x]: https://a.b", NULL },
};

Test(slack_format, table)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);
        bool ok = slack_format(str_of(cases[i].markdown), &b);
        cr_expect_eq(ok, cases[i].slack != NULL, "%s", cases[i].markdown);
        if (!ok || !cases[i].slack) continue;
        cr_expect_str_eq(b.p, cases[i].slack, "%s\n got %s", cases[i].markdown, b.p);
        const char *problem = slack_problem(buf_str(&b));
        cr_expect_null(problem, "%s: %s", problem, b.p);
    }
}

Test(slack_format, appends_and_restores)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(12);
    buf_add_cstr(&b, "before");
    cr_assert(slack_format(STR("*x*"), &b));
    cr_expect_str_eq(b.p, "before_x_");
    cr_assert(!slack_format(STR(""), &b));
    cr_assert(!slack_format(STR("too long"), &b));
    cr_assert(!slack_escape(STR("<>"), &b));
    cr_assert(!slack_markdown(STR("<b><b>"), &b));
    cr_expect_str_eq(b.p, "before_x_");
    cr_expect(!b.full);
    cr_assert(slack_escape(STR("x"), &b));
    cr_assert(slack_markdown(STR("y"), &b));
    cr_expect_str_eq(b.p, "before_x_xy");
}

Test(slack_format, too_long)
{
    _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    for (int i = 0; i < 2000; i++) buf_add_cstr(&in, "\xF0\x9F\x98\x80");
    cr_expect(slack_format(buf_str(&in), &out));
    buf_add_char(&in, 'x');
    cr_expect(!slack_format(buf_str(&in), &out));
    cr_expect_eq(out.n, 8000);

    buf_clear(&in);
    for (int i = 0; i < 801; i++) buf_add_cstr(&in, "&"); /* as sent, each is five */
    cr_expect(!slack_format(buf_str(&in), &out));
    while (in.n < 100000) buf_add_cstr(&in, "word ");
    cr_expect(!slack_format(buf_str(&in), &out));
}

Test(slack_format, a_table_that_padding_would_blow_up_is_not_padded)
{
    _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    buf_add_cstr(&in, "|a|b|\n|-|-|\n|0123456789012345678901234567890123456789|x|\n");
    for (int i = 0; i < 120; i++) buf_addf(&in, "|%d|x|\n", i);
    cr_assert(slack_format(buf_str(&in), &out));
    cr_expect(str_find(buf_str(&out), STR("\n42 | x\n")) != SIZE_MAX);
    cr_expect_null(slack_problem(buf_str(&out)));
}

Test(slack_format, escape)
{
    _cleanup_(buf_done) struct buf out = BUF_INIT(1000);
    cr_assert(slack_escape(STR("a & <!channel> &lt; *b*"), &out));
    cr_expect_str_eq(out.p, "a &amp; &lt;!channel&gt; &amp;lt; *b*");
}

/* --- the Markdown of Slack's own --- */

static const struct {
    const char *markdown, *slack; /* NULL: nothing changes */
} sources[] = {
    { "[https://good.example](https://evil.example)",
      "[https://good.example]\xE2\x80\x8B(https://evil.example)" },
    { "a [good.example](https://evil.example/?q=good.example) b",
      "a [good.example]\xE2\x80\x8B(https://evil.example/?q=good.example) b" },
    { "[good.example](https://good.example/path) [text](https://a.example)", NULL },
    { "`[https://good.example](https://evil.example)`", NULL },
    { "# T\n\n**b** *i* ~~s~~ `c` [a](https://b.c)\n\n- [ ] x\n\n|a|b|\n|-|-|\n", NULL },
    { "a < b, c <= d, x <- y, 1 <2, <3 & &amp; &lt;", NULL },
    { "<https://a.b/c?d=e> <a@b.cd> <mailto:a@b.cd>", NULL },
    { "[a](<https://b.c/d e>) [a](<./x y> \"t\")", NULL },
    { "<!channel> <!here|x>", "&lt;!channel> &lt;!here|x>" },
    { "<@U1> <#C1|x> <!subteam^S1> <!date^1^x|y>",
      "&lt;@U1> &lt;#C1|x> &lt;!subteam^S1> &lt;!date^1^x|y>" },
    { "<https://evil.org|https://bank.com>", "&lt;https://evil.org|https://bank.com>" },
    { "[a](<!channel>) [a](<@U1>)", "[a](&lt;!channel>) [a](&lt;@U1>)" },
    { "<b>x</b> <!-- y --> <?z?>", "&lt;b>x&lt;/b> &lt;!-- y --> &lt;?z?>" },
    { "\\<!channel> \\\\<!here> \\< x", "&lt;!channel> \\\\&lt;!here> \\< x" },
    { "<&#33;channel> <\\!channel>", "&lt;&#33;channel> &lt;\\!channel>" },
    { "`<b>` ``<i> ` <u>`` `x", NULL },
    { "`<!channel>` `<@U1>`", "`<" WJ "!channel>` `<" WJ "@U1>`" },
    { "`a <b> \\` <i>`", "`a <b> \\` &lt;i>`" },
    { "\\`<b>\\`", "\\`&lt;b>\\`" },
    { "```html\n<b>\n<!DOCTYPE html>\n```\n<b>", "```html\n<b>\n<!DOCTYPE html>\n```\n&lt;b>" },
    { "```\n<!channel> <https://a.b|c>\n```", "```\n<" WJ "!channel> <" WJ "https://a.b|c>\n```" },
    { "~~~\n```\n<b>\n~~~\n<b>", "~~~\n```\n<b>\n~~~\n&lt;b>" },
    { "````\n```\n<b>\n````", NULL },
    { "``` `x`\n<b>", "``` `x`\n&lt;b>" },
    { "- a\n  ```\n  <b>\n  ```\n1. ```\n   <b>\n   ```\n2. <b>",
      "- a\n  ```\n  <b>\n  ```\n1. ```\n   <b>\n   ```\n2. &lt;b>" },
    { "> ```\n> <b>\n> ```\n> <b>", "> ```\n> <b>\n> ```\n> &lt;b>" },
    { "> ```\n> <b>\n<b>", "> ```\n> <b>\n&lt;b>" },
    { "x\n\n    <b>\n\n    <i>\nx\n    <u>", "x\n\n    <b>\n\n    <i>\nx\n    &lt;u>" },
    { "- a\n\n    <b>\n\nx\n\n    <i>", "- a\n\n    &lt;b>\n\nx\n\n    <i>" },
    { "\r\n<b>\r\n", "\r\n&lt;b>\r\n" },
    { "<", NULL },
    { "\\", NULL },
    { "", NULL },
};

Test(slack_markdown, table)
{
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        const char *wanted = sources[i].slack ? sources[i].slack : sources[i].markdown;
        _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);
        cr_assert(slack_markdown(str_of(sources[i].markdown), &b));
        cr_expect(str_eq(buf_str(&b), str_of(wanted)), "%s\n got %.*s", sources[i].markdown,
                  STR_ARG(buf_str(&b)));
    }
}

/* --- properties --- */

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

static const char *const pieces[] = {
    "*",
    "_",
    "**a",
    "`",
    "```",
    "~~",
    "__",
    "[",
    "![",
    "[a](",
    "](",
    ")",
    ">",
    "> ",
    "- ",
    "1. ",
    "# ",
    "<",
    "<@U1>",
    "<!channel>",
    "<!here|x>",
    "<#C1>",
    "<https://a.b|c>",
    "|",
    "&",
    "&lt;",
    "@here",
    "\n",
    "\n\n",
    "\n> ",
    "\n- ",
    "\n```c\n",
    "\n```\n",
    "\n~~~\n",
    "\n    x",
    "|a|b|\n",
    "|-|-|\n",
    "<br>",
    "<b>",
    "</b>",
    "<!--",
    "&#10;",
    "&#32;",
    "\\",
    "word ",
    "w",
    "\\*",
    "\\_",
    "\\`",
    "\\~",
    "\\>",
    "https://a.b/c_d ",
    "www.a.b ",
    "a@b.cd",
    "e\xCC\x81",
    "\xF0\x9F\x98\x80",
    "ä",
    "[a](https://b.c)",
    "![a](https://b.c)",
    "[x.com](https://b.c)",
    "[**a** b](https://b.c/d)",
    " ",
    "\t",
    "1",
    ".",
    "\n| a | `b` |\n|:-:|--:|\n| c | d |\n",
    "\n1. x\n   - y\n",
    "*i*",
    "**b**",
    "~~s~~",
    "`c`",
    "&nbsp;",
    "*a **b***",
    "[x] ",
    "\n* [ ] t",
    "\n#### h\n",
};

static void hard_text(struct buf *to, size_t n)
{
    while (to->n < n) {
        const char *piece = pieces[draw(sizeof(pieces) / sizeof(pieces[0]))];
        for (uint32_t k = draw(8) ? 1 : draw(20); k; k--) buf_add_cstr(to, piece);
        if (!draw(3)) buf_add_cstr(to, "Some words, as people write them. ");
    }
}

Test(slack_format, whatever_is_split_fits)
{
    const struct split_rule rule = { .max = 3500, .unit = TEXT_UTF16 };
    size_t n_formatted = 0, n_all = 0;
    for (int round = 0; round < 400; round++) {
        _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20);
        struct arena arena;
        struct text_part *parts;
        arena_init(&arena);
        hard_text(&in, 1 + draw(12000));
        size_t n = split_text(&arena, buf_str(&in), &rule, &parts);
        for (size_t i = 0; i < n; i++) {
            _cleanup_(buf_done) struct buf out = BUF_INIT(1 << 20);
            bool ok = slack_format(parts[i].text, &out);
            const char *problem = ok ? slack_problem(buf_str(&out)) : NULL;
            cr_assert_null(problem, "%d/%zu: %s\n%.*s\n---\n%s", round, i, problem,
                           STR_ARG(parts[i].text), out.p);
            cr_assert(ok || !out.n);
            n_formatted += ok;
        }
        n_all += n;
        arena_done(&arena);
    }
    cr_expect_gt(n_formatted * 4, n_all * 3, "%zu of %zu", n_formatted, n_all);
}

/* As a text of Markdown in which every sign is escaped; a line's blanks at its ends are none. */
static void plain_text(struct buf *plain, struct buf *in)
{
    static const char letters[] = "aB1 .,*_~|`<>#-[]()@:!/\\\n+=&*_~`";
    while (plain->n < 2 || draw(60)) {
        char c = letters[draw(sizeof(letters) - 1)];
        char last = plain->n ? plain->p[plain->n - 1] : '\n';
        if ((c == ' ' || c == '\n') && (last == ' ' || last == '\n')) continue;
        if (!draw(12)) buf_add_cstr(plain, draw(2) ? "<!here>" : "<@U1>");
        buf_add_char(plain, c);
    }
    for (size_t i = 0; i < plain->n; i++) {
        char c = plain->p[i];
        if (c == ' ' && (i + 1 == plain->n || plain->p[i + 1] == '\n')) c = '.', plain->p[i] = c;
        if (strchr("*_~|`<>#-[]()@:!/\\+=&.,", c)) buf_add_char(in, '\\');
        buf_add_char(in, c);
    }
}

Test(slack_format, plain_text_is_shown_as_it_was)
{
    for (int round = 0; round < 5000; round++) {
        _cleanup_(buf_done) struct buf plain = BUF_INIT(10000), in = BUF_INIT(40000),
                                       out = BUF_INIT(80000), shown = BUF_INIT(80000);
        struct slack_eyes eyes = { .shown = &shown };
        plain_text(&plain, &in);
        cr_assert(slack_format(buf_str(&in), &out), "%s", in.p);
        const char *problem = slack_read(buf_str(&out), &eyes);
        cr_assert_null(problem, "%s: %s -> %s", problem, in.p, out.p);
        cr_assert_eq(eyes.styles + eyes.codes + eyes.quotes + eyes.blocks, 0, "%s", out.p);
        cr_assert(str_eq(str_trim(buf_str(&shown)), str_trim(buf_str(&plain))),
                  "%s\n -> %s\n -> %s", plain.p, out.p, shown.p);
    }
}

static void add_letters(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
            buf_add_char(to, c);
    }
}

/* The letters and digits of the text that the Markdown means. */
static void text_letters(struct buf *to, struct str markdown)
{
    struct markdown *m;
    struct md_event e;
    cr_assert_eq(markdown_parse(markdown, &m, NULL), ERR_NONE);
    while (markdown_next(m, &e)) {
        bool done = str_starts(e.text, STR("[x] ")); /* shown as a box */
        if (!str_starts_nocase(e.text, STR("<br"))) add_letters(to, str_skip(e.text, done * 4u));
    }
    markdown_free(m);
}

Test(slack_format, no_text_is_lost)
{
    for (int round = 0; round < 3000; round++) {
        _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20),
                                       shown = BUF_INIT(1 << 20), letters = BUF_INIT(1 << 20);
        struct slack_eyes eyes = { .shown = &shown };
        hard_text(&in, 1 + draw(300));
        if (!slack_format(buf_str(&in), &out)) continue;
        cr_assert_null(slack_read(buf_str(&out), &eyes), "%s: %s\n%s", eyes.problem, in.p, out.p);
        text_letters(&letters, buf_str(&in));
        struct str rest = buf_str(&shown);
        for (size_t i = 0; i < letters.n; i++) {
            size_t at = str_find_char(rest, letters.p[i]);
            cr_assert_neq(at, SIZE_MAX, "%s\n -> %s\n lost: %s", in.p, out.p, letters.p + i);
            rest = str_skip(rest, at + 1);
        }
    }
}

Test(slack_markdown, nothing_in_it_acts_and_a_stream_grows)
{
    for (int round = 0; round < 2000; round++) {
        _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
        hard_text(&in, 1 + draw(600));
        cr_assert(slack_markdown(buf_str(&in), &out));
        const char *problem = slack_markdown_problem(buf_str(&out));
        cr_assert_null(problem, "%s: %s\n%s", problem, in.p, out.p);
        for (int cut = 0; cut < 4; cut++) {
            _cleanup_(buf_done) struct buf part = BUF_INIT(1 << 20);
            size_t n = draw((uint32_t)in.n + 1);
            cr_assert(slack_markdown(str_head(buf_str(&in), n), &part));
            while (part.n && part.p[part.n - 1] != '\n') buf_cut(&part, part.n - 1);
            cr_assert(str_starts(buf_str(&out), buf_str(&part)), "%zu of %s", n, in.p);
        }
    }
}
