#include "discord_text.h"

#include "core/chat/split.h"

#include <criterion/criterion.h>

#define ZW "\xE2\x80\x8B"

static const struct {
    const char *markdown, *discord; /* NULL: must go as it is */
} cases[] = {
    { "Hello", "Hello" },
    { "**b** *i* ~~s~~ `c` _i_ __b__", "**b** *i* ~~s~~ `c` *i* **b**" },
    { "***both***", "***both***" },
    { "**a **b** c**", "**a b c**" },
    { "**a***b*", "**a**" ZW "*b*" },
    { "**![]()** x", "x" },
    { "one\ntwo  \nthree", "one\ntwo\nthree" },
    { "one\n\n\n\ntwo", "one\n\ntwo" },
    { "# T *i*\n## U\n### V\n#### W\ntext", "# T *i*\n\n## U\n\n### V\n\n**W**\n\ntext" },
    { "a\nb\n===", "# a b" },
    { "#\n\nx", "x" },
    { "- # T", "- **T**" },
    { "```c\nif (a < b)\n    *x;\n```", "```c\nif (a < b)\n    *x;\n```" },
    { "```c title=x\nx\n```", "```c\nx\n```" },
    { "```<b>\nx\n```", "```\nx\n```" },
    { "```\nnever closed", "```\nnever closed\n```" },
    { "````\n```\nx\n```\n````", "```\n``" ZW "`\nx\n``" ZW "`\n```" },
    { "```\n```", NULL },
    { "    indented\n", "```\nindented\n```" },
    { "`` a`b ``", "``a`b``" },
    { "`` `a ``", "`` `a``" },
    { "``` a``b ```", "``a`" ZW "`b``" },
    { "[t](https://a.b/?x=1&y=2)", "[t](https://a.b/?x=1&y=2)" },
    { "[**t** `c`](http://a.b)", "[**t** `c`](http://a.b)" },
    { "[t](<https://a.b/c d>)", "[t](https://a.b/c%20d)" },
    { "[t](https://a.b/x_(y))", "[t](https://a.b/x_(y))" },
    { "[t](https://a.b/x_((y)))", "[t](https://a.b/x_%28%28y%29%29)" },
    { "[t](javascript:alert)", "t (javascript:alert)" },
    { "[t](./rel/path)", "t (./rel/path)" },
    { "[](https://a.b)", "https://a.b" },
    { "[https://c.d](https://a.b)", "https://c.d (https://a.b)" },
    { "![alt](https://a.b/p_q_.png)", "https://a.b/p_q_.png" },
    { "x![*alt*](https://a.b/p.png)y", "x https://a.b/p.png y" },
    { "![alt](data:x)", "alt (data:x)" },
    { "[![alt](https://a.b/p.png)](https://c.d)", "[alt](https://c.d)" },
    { "https://a.b/c_d_?e=*f", "https://a.b/c_d_?e=%2Af" },
    { "(https://a.b/c_d_).", "(https://a.b/c_d_)." },
    { "<https://a.b>", "https://a.b" },
    { "www.a.b/c", "http://www.a.b/c" },
    { "x_@example.org", "x\\_@example.org" },
    { "- a\n- b\n  - c\n    - d\n- e", "- a\n- b\n  - c\n    - d\n- e" },
    { "1. a\n2. b\n\n   more\n", "1. a\n\n2. b\n\n   more" },
    { "7) a\n8) b\n   - c", "7. a\n8. b\n   - c" },
    { "* a\n* b", "- a\n- b" },
    { "Intro:\n- a\n\nEnd", "Intro:\n\n- a\n\nEnd" },
    { "- a\n  ```c\n  x\n  ```\n- b", "- a\n```c\nx\n```\n- b" },
    { "- one\n  two", "- one\n  two" },
    { "- [ ] open\n- [x] *done*", "- ☐ open\n- ☑ *done*" },
    { "[ ] none", "[ ] none" },
    { "> a\n> b\n>\n> > c\n\nd", "> a\n> b\n> \n> c\n\nd" },
    { "> - a\n> - **b**", "> - a\n> - **b**" },
    { "> ```\n> x\n>\n> y\n> ```", "> ```\n> x\n> \n> y\n> ```" },
    { "x\n\n> a", "x\n\n> a" },
    { "- a\n  > q\n- b", "- a\n> q\n- b" },
    { "a\n\n---\n\nb", "a\n\n———\n\nb" },
    { "| a | bb |\n|---|---:|\n| 1 | 22222 |", "```\na |    bb\n--+------\n1 | 22222\n```" },
    { "|a|b|\n|-|-|\n|**x**<br>`y`|[l](https://a.b)|",
      "```\na   | b\n----+----------------\nx y | l (https://a.b)\n```" },
    { "<u>x</u> <script>", "<u>x\\</u> <script>" },
    { "<div>\nblock\n</div>", "<div>\nblock\n\\</div>" },
    { "<a href=\"https://a.b/c_d_\">x", "<a href=\"https://a.b/c_d_\" >x" },
    { "a<br>b<br/>c", "a\nb\nc" },
    /* what is no markup */
    { "snake_case and __init__.py and a_b_ c", "snake_case and **init**.py and a_b\\_ c" },
    { "\\_\\_x\\_\\_", "\\_\\_x\\_\\_" },
    { "a\\_\\_b", "a\\_\\_b" },
    { "2 * 3 * 4, 5\\*6\\*7", "2 * 3 * 4, 5\\*6\\*7" },
    { "~5 ~ 6, \\~\\~x\\~\\~", "~5 ~ 6, \\~\\~x\\~\\~" },
    { "a | b, ||spoiler||", "a | b, \\|\\|spoiler\\|\\|" },
    { "C:\\dir\\\\x \\\\", "C:\\dir\\x \\\\" },
    { "\\`x\\`", "\\`x\\`" },
    { "\\# a\n#tag\n\\## b #c # d", "\\# a\n#tag\n\\## b #c # d" },
    { "\\- a\n-1 - 2\n-# small", "\\- a\n-1 - 2\n\\-# small" },
    { "a\n\\> b > c", "a\n\\> b > c" },
    { "1\\. a\n2. b 3. c\n1.5", "1\\. a\n2\\. b 3. c\n1.5" },
    { "a \\[b](https://c.d) [e] (f)", "a [b]\\(https://c.d) [e] (f)" },
    { "[a \\[b\\]](https://c.d)", "[a \\[b\\]](https://c.d)" },
    { "a < b && c > d \"q\" <b>", "a < b && c > d \"q\" <b>" },
    { "<@1> <@&1> <#1> <:x:1> <a:x:1> <t:1:R>",
      "\\<@1> \\<@&1> \\<#1> \\<:x:1> \\<a:x:1> \\<t:1:R>" },
    { "</cmd:1> \\<id:guide>", "\\</cmd:1> \\<id:guide>" },
    { "@everyone @here `@everyone` @someone",
      "@" ZW "everyone @" ZW "here `@" ZW "everyone` @someone" },
    { "```\n@here\n```", "```\n@" ZW "here\n```" },
    { "@[everyone](x)", "@" ZW "everyone (x)" },
    { "https://a.b/@everyone", "https://a.b/%40everyone" },
    { "|@here|\n|-|\n|x|", "```\n@" ZW "here\n-----\nx\n```" },
    { "", NULL },
    { " \n\n ", NULL },
    { "[x]: https://a.b", NULL },
};

Test(discord_format, table)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);
        bool ok = discord_format(str_of(cases[i].markdown), &b);
        cr_expect_eq(ok, cases[i].discord != NULL, "%s", cases[i].markdown);
        if (!ok || !cases[i].discord) continue;
        cr_expect_str_eq(b.p, cases[i].discord, "%s\n got %s", cases[i].markdown, b.p);
        const char *problem = discord_problem(buf_str(&b));
        cr_expect_null(problem, "%s: %s", problem, b.p);
    }
}

Test(discord_format, appends_and_restores)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(12);
    buf_add_cstr(&b, "before");
    cr_assert(discord_format(STR("*x*"), &b));
    cr_expect_str_eq(b.p, "before*x*");
    cr_assert(!discord_format(STR(""), &b));
    cr_assert(!discord_format(STR("too long"), &b));
    cr_expect_str_eq(b.p, "before*x*");
    cr_expect(!b.full);
}

Test(discord_format, too_long)
{
    _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    for (int i = 0; i < 1000; i++) buf_add_cstr(&in, "\xF0\x9F\x98\x80");
    cr_expect(discord_format(buf_str(&in), &out));
    buf_add_char(&in, 'x');
    cr_expect(!discord_format(buf_str(&in), &out));
    cr_expect_eq(out.n, 4000);

    buf_clear(&in);
    for (int i = 0; i < 1001; i++) buf_add_cstr(&in, "\\|"); /* as long as it was, then longer */
    cr_expect(!discord_format(buf_str(&in), &out));
    while (in.n < 100000) buf_add_cstr(&in, "word ");
    cr_expect(!discord_format(buf_str(&in), &out));
}

Test(discord_format, a_table_that_padding_would_blow_up_is_not_padded)
{
    _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    buf_add_cstr(&in, "|a|b|\n|-|-|\n|0123456789012345678901234567890123456789|x|\n");
    for (int i = 0; i < 60; i++) buf_addf(&in, "|%d|x|\n", i);
    cr_assert(discord_format(buf_str(&in), &out));
    cr_expect(str_find(buf_str(&out), STR("\n42 | x\n")) != SIZE_MAX);
    cr_expect_null(discord_problem(buf_str(&out)));
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
    "||",
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
    "-# ",
    "<",
    "<@1>",
    "<t:1>",
    "@",
    "@everyone",
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
    "\\",
    "word ",
    "w",
    "https://a.b/c_d ",
    "https://x.y",
    "www.a.b ",
    "a@b.cd",
    "e\xCC\x81",
    "\xF0\x9F\x98\x80",
    "ä",
    "[a](https://b.c)",
    "![a](https://b.c)",
    "[**a** b](https://b.c/d)",
    " ",
    "\t",
    "everyone",
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

static size_t count(struct str s, struct str what)
{
    size_t n = 0;
    for (size_t at; (at = str_find(s, what)) != SIZE_MAX; n++) s = str_skip(s, at + what.n);
    return n;
}

Test(discord_format, whatever_is_split_fits)
{
    const struct split_rule rule = { .max = 1900, .unit = TEXT_UTF16 };
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
            bool ok = discord_format(parts[i].text, &out);
            const char *problem = ok ? discord_problem(buf_str(&out)) : NULL;
            cr_assert_null(problem, "%d/%zu: %s\n%s\n---\n%s", round, i, problem, parts[i].text.p,
                           out.p);
            cr_assert(ok || !out.n);
            cr_assert_leq(utf8_utf16_units(parts[i].text), rule.max);
            n_formatted += ok;
        }
        n_all += n;
        arena_done(&arena);
    }
    cr_expect_gt(n_formatted * 4, n_all * 3, "%zu of %zu", n_formatted, n_all);
}

Test(discord_format, a_fence_that_is_cut_is_whole_in_each_part)
{
    const struct split_rule rule = { .max = 1900, .unit = TEXT_UTF16 };
    _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20);
    struct arena arena;
    struct text_part *parts;
    arena_init(&arena);
    buf_add_cstr(&in, "Look:\n```c\n");
    for (int i = 0; i < 400; i++) buf_addf(&in, "    call_%d(*a, &b); /* @here */\n", i);
    buf_add_cstr(&in, "```\nEnd.");
    size_t n = split_text(&arena, buf_str(&in), &rule, &parts);
    cr_assert_gt(n, 6);
    for (size_t i = 0; i < n; i++) {
        _cleanup_(buf_done) struct buf out = BUF_INIT(1 << 20);
        cr_expect_eq(parts[i].head, i ? strlen("```c\n") : 0);
        cr_expect_leq(utf8_utf16_units(parts[i].text), rule.max);
        /* The blank behind each @ may make it too long: it goes as it is then. */
        if (!discord_format(parts[i].text, &out)) continue;
        cr_expect_null(discord_problem(buf_str(&out)));
        cr_expect_eq(count(buf_str(&out), STR("```")), 2);
        cr_expect_eq(count(buf_str(&out), STR("```c\n    call_")), 1);
    }
    arena_done(&arena);
}

/* Take away what Discord does not show. */
static void unescape(struct str s, struct buf *to)
{
    for (size_t i = 0; i < s.n; i++) {
        char next = i + 1 < s.n ? s.p[i + 1] : 'x';
        bool alnum = (next >= '0' && next <= '9') || ((next | 32) >= 'a' && (next | 32) <= 'z');
        if (s.p[i] == '\\' && !alnum && !strchr(" \n", next)) i++;
        if (str_starts(str_skip(s, i), STR(ZW))) i += 3;
        if (i < s.n) buf_add_char(to, s.p[i]);
    }
}

Test(discord_format, plain_text_is_shown_as_it_was)
{
    static const char letters[] = "aB1 .,*_~|`<>#-[]()@:!/\\\n+=&";
    for (int round = 0; round < 3000; round++) {
        _cleanup_(buf_done) struct buf plain = BUF_INIT(1000), in = BUF_INIT(4000),
                                       out = BUF_INIT(8000), shown = BUF_INIT(8000);
        for (uint32_t n = 1 + draw(60); n; n--) {
            char c = letters[draw(sizeof(letters) - 1)];
            char before = plain.n ? plain.p[plain.n - 1] : '\n';
            if ((c == ' ' || c == '\n') && (before == ' ' || before == '\n')) continue;
            if (!draw(12)) buf_add_cstr(&plain, draw(2) ? "@everyone" : "<@1>");
            buf_add_char(&plain, c);
        }
        struct str text = str_trim(buf_str(&plain));
        for (size_t i = 0; i < text.n; i++) { /* each as an escape of Markdown's */
            if (text.p[i] == '\n') /* a blank before it is no part of the text for Markdown */
                while (in.n && in.p[in.n - 1] == ' ') buf_cut(&in, in.n - 1);
            if (strchr("*_~|`<>#-[]()@:!/\\+=&.,", text.p[i])) buf_add_char(&in, '\\');
            buf_add_char(&in, text.p[i]);
        }
        if (!text.n) continue;
        cr_assert(discord_format(buf_str(&in), &out), "%s", in.p);
        const char *problem = discord_problem(buf_str(&out));
        cr_assert_null(problem, "%s: %s -> %s", problem, in.p, out.p);
        unescape(buf_str(&out), &shown);
        buf_clear(&plain);
        for (size_t i = 0; i < in.n; i++) {
            if (in.p[i] == '\\') i++;
            buf_add_char(&plain, in.p[i]);
        }
        cr_assert(str_eq(buf_str(&shown), buf_str(&plain)), "%s\n -> %s\n -> %s", plain.p, out.p,
                  shown.p);
    }
}
