#include "core/chat/split.h"

#include "core/base/grapheme.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct arena arena;
static struct text_part *parts;

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_done(&arena);
}

TestSuite(split, .init = setup, .fini = teardown);

static size_t split(struct str text, size_t max)
{
    struct split_rule rule = { .max = max, .unit = TEXT_UTF16 };
    return split_text(&arena, text, &rule, &parts);
}

/* `n` times `piece`, with its number for %d. */
static struct str repeat(struct buf *b, const char *fmt, int n)
{
    for (int i = 0; i < n; i++) buf_addf(b, fmt, i);
    return buf_str(b);
}

#define TEXT(name) _cleanup_(buf_done) struct buf name = BUF_INIT(1 << 20)

Test(split, what_fits_is_one_view)
{
    struct str text = STR("Hello.\n\n```c\nint x;\n```");
    cr_assert_eq(split(text, 512), 1);
    cr_expect_eq(parts[0].text.p, text.p);
    cr_expect_eq(parts[0].text.n, text.n);
    cr_expect_eq(split(STR(""), 512), 0);
    cr_expect_eq(split(STR(" \n\t\r\n  "), 512), 0);
}

Test(split, prefers_paragraphs)
{
    TEXT(b);
    repeat(&b, "Line %d of a paragraph.\n", 15);
    buf_add_cstr(&b, "\n\n\n");
    size_t first = b.n;
    repeat(&b, "Word%d. ", 60);
    cr_assert_geq(split(buf_str(&b), 512), 2);
    cr_expect_eq(parts[0].text.n, first - 4);
    cr_expect_eq(parts[1].gap.n, 4);
    cr_expect(str_starts(parts[1].text, STR("Word0.")));
}

Test(split, then_lines_sentences_words)
{
    TEXT(lines);
    repeat(&lines, "one line of text number %d\n", 40);
    split(buf_str(&lines), 512);
    cr_expect(str_starts(parts[1].text, STR("one line")), "%.*s", STR_ARG(parts[1].text));

    TEXT(sentences);
    repeat(&sentences, "This is sentence %d and no more! ", 40);
    split(buf_str(&sentences), 512);
    cr_expect(str_ends(parts[0].text, STR("!")));
    cr_expect(str_starts(parts[1].text, STR("This")));

    TEXT(words);
    repeat(&words, "word%d ", 200);
    split(buf_str(&words), 512);
    cr_expect(str_starts(parts[1].text, STR("word")));
    cr_expect(!str_ends(parts[0].text, STR(" ")));

    TEXT(chinese);
    repeat(&chinese, "\xE4\xBD\xA0\xE5\xA5\xBD\xE5\x90\x97\xE3\x80\x82", 300);
    split(buf_str(&chinese), 512);
    cr_expect(str_ends(parts[0].text, STR("\xE3\x80\x82")));
}

Test(split, a_link_is_not_cut_while_there_is_a_better_place)
{
    TEXT(b);
    repeat(&b, "word%d ", 66);
    buf_add_cstr(&b, "[a text with blanks in it, rather long](https://example.com/a/b/c) ");
    repeat(&b, "word%d ", 50);
    split(buf_str(&b), 512);
    cr_expect(str_starts(parts[1].text, STR("[a text")), "%.*s", STR_ARG(parts[1].text));
}

Test(split, a_cut_fence_is_closed_and_opened_again)
{
    TEXT(b);
    buf_add_cstr(&b, "Look:\n\n~~~~python title\n");
    repeat(&b, "print(%d)\n", 200);
    buf_add_cstr(&b, "~~~~\nDone.");
    size_t n = split(buf_str(&b), 512);
    cr_assert_geq(n, 4);
    for (size_t i = 0; i < n; i++) {
        cr_expect_leq(utf8_utf16_units(parts[i].text), 512);
        cr_expect_eq(parts[i].head, i ? sizeof("~~~~python\n") - 1 : 0);
        if (i) cr_expect(str_starts(parts[i].text, STR("~~~~python\nprint(")));
        if (i + 1 < n) cr_expect(str_ends(parts[i].text, STR(")\n~~~~")));
    }
    cr_expect(str_ends(parts[n - 1].text, STR("\n~~~~\nDone.")));
}

Test(split, a_fence_moves_whole_when_it_can)
{
    TEXT(b);
    repeat(&b, "Some words %d.\n", 20);
    size_t before = b.n;
    buf_add_cstr(&b, "```c\n");
    repeat(&b, "int x%d;\n", 30);
    buf_add_cstr(&b, "```\n");
    cr_assert_eq(split(buf_str(&b), 512), 2);
    cr_expect_eq(parts[0].text.n, before - 1);
    cr_expect(str_starts(parts[1].text, STR("```c\nint x0;")));
    cr_expect_eq(parts[1].head, 0);
}

Test(split, quoted_and_listed_fences)
{
    TEXT(quote);
    buf_add_cstr(&quote, "> ```sh\n");
    repeat(&quote, "> echo %d\n", 100);
    buf_add_cstr(&quote, "> ```\n");
    split(buf_str(&quote), 512);
    cr_expect(str_ends(parts[0].text, STR("\n> ```")));
    cr_expect(str_starts(parts[1].text, STR("> ```sh\n> echo")));

    TEXT(list);
    buf_add_cstr(&list, "1. Do\n   ```sh\n");
    repeat(&list, "   echo %d\n", 100);
    buf_add_cstr(&list, "   ```\n2. Then\n");
    size_t n = split(buf_str(&list), 512);
    cr_expect(str_starts(parts[1].text, STR("   ```sh\n   echo")));
    cr_expect(str_ends(parts[n - 1].text, STR("   ```\n2. Then")));
}

Test(split, the_rest_is_cut_off_with_a_mark)
{
    TEXT(b);
    buf_add_cstr(&b, "```\n");
    repeat(&b, "code %d\n", 500);
    struct split_rule rule = { 512, TEXT_POINTS, 3, STR("\n\n(cut)") };
    cr_assert_eq(split_text(&arena, buf_str(&b), &rule, &parts), 3);
    cr_expect(str_ends(parts[2].text, STR("\n```\n\n(cut)")));
    cr_expect_leq(utf8_points(parts[2].text), 512);
    TEXT(joined);
    split_join(&joined, parts, 3);
    cr_expect(str_starts(buf_str(&b), buf_str(&joined)));

    struct split_rule enough = { 512, TEXT_POINTS, 1, STR("(cut)") };
    cr_assert_eq(split_text(&arena, STR("short"), &enough, &parts), 1);
    cr_expect(str_eq(parts[0].text, STR("short")));
}

/* Texts made to be hard: each must come to an end, in bounds. */
Test(split, nasty)
{
    static const char *const pieces[] = {
        "a",
        " ",
        "\n",
        "`",
        "```\n",
        "```",
        "~~~x\n",
        "\t",
        "> ```\n> x\n",
        "\xF0\x9F\x91\x8D",
        "\xF0\x9F\x91\xA9\xE2\x80\x8D",
        "e\xCC\x81",
        "\xCC\x81",
        "- ```\n",
        "[a](",
        "**",
        "\r\n",
        ">",
        "```c\n\n```\n",
        "1. ",
        "|a|b|\n|-|-|\n",
        "\xE3\x80\x82",
    };
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        TEXT(b);
        buf_add_cstr(&b, "x ```\n");
        for (int k = 0; k < 3000; k++) buf_add_cstr(&b, pieces[i]);
        buf_add_cstr(&b, "end");
        size_t n = split(buf_str(&b), 512);
        for (size_t k = 0; k < n; k++)
            cr_expect_leq(utf8_utf16_units(parts[k].text), 512, "%zu", i);
    }
}

static unsigned seed;
static unsigned pick(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % n;
}

static void random_line(struct buf *b)
{
    static const char *const words[] = {
        "word",
        "a",
        "verylongwordindeed",
        "**bold**",
        "`code`",
        "[link](https://example.com)",
        "\xF0\x9F\x98\x80",
        "e\xCC\x81",
        "\xE6\x97\xA5\xE6\x9C\xAC",
        "end.",
        "why?",
        "_it_",
        "1.",
        "https://example.com/a/rather/long/path?with=query",
        "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA",
    };
    for (unsigned n = pick(30); n; n--) {
        buf_add_cstr(b, words[pick(sizeof(words) / sizeof(words[0]))]);
        if (pick(9)) buf_add_cstr(b, pick(9) ? " " : "   ");
    }
    buf_add_char(b, '\n');
}

static void random_block(struct buf *b)
{
    static const char *const fences[] = { "```", "~~~", "````", "  ```" };
    const char *fence = fences[pick(4)];
    switch (pick(8)) {
    case 0:
        buf_addf(b, "%s%s\n", fence, pick(2) ? "python" : "");
        for (unsigned n = pick(60); n; n--) buf_addf(b, "%*scode(%u)\n", (int)pick(9), "", n);
        if (pick(8)) buf_addf(b, "%s\n", fence);
        break;
    case 1:
        for (unsigned n = pick(12); n; n--) {
            buf_add_cstr(b, pick(3) ? "- " : "   1. ");
            random_line(b);
        }
        break;
    case 2: buf_addf(b, "|a|b|\n|-|-|\n|%u|x|\n", pick(99)); break;
    case 3:
        for (unsigned n = pick(400); n; n--) buf_add_char(b, pick(40) ? 'x' : '\n');
        break;
    case 4: buf_addf(b, "## Title %u\n", pick(9)); break;
    default:
        for (unsigned n = pick(5); n; n--) random_line(b);
    }
    for (unsigned n = pick(4); n; n--) buf_add_cstr(b, pick(5) ? "\n" : "  \t\n");
}

static void check(struct str text, const struct split_rule *rule)
{
    size_t n = split_text(&arena, text, rule, &parts);
    TEXT(joined);
    split_join(&joined, parts, n);
    for (size_t i = 0; i < n; i++) {
        struct str t = parts[i].text;
        cr_assert_leq(utf8_length(t, rule->unit), rule->max, "seed part %zu of %zu", i, n);
        cr_assert(utf8_valid(t));
        cr_assert(str_trim(t).n, "blank part");
        cr_assert(parts[i].head == 0 || strchr(" >`~", t.p[0]));
    }
    while (text.n && strchr(" \t\r\n", text.p[text.n - 1])) text.n--;
    struct str got = buf_str(&joined);
    cr_assert(str_ends(text, got), "joined is not the text");
    cr_assert(!str_trim(str_head(text, text.n - got.n)).n, "lost: %zu bytes", text.n - got.n);
}

Test(split, join_of_parts_is_the_text, .timeout = 100)
{
    for (unsigned round = 0; round < 1500; round++) {
        seed = round;
        TEXT(b);
        for (unsigned n = 1 + pick(12); n; n--) random_block(&b);
        struct split_rule rule = { .max = 512 + pick(3) * pick(1500) };
        for (int unit = TEXT_BYTES; unit <= TEXT_UTF16; unit++) {
            rule.unit = (enum text_unit)unit;
            check(buf_str(&b), &rule);
        }
        arena_done(&arena);
    }
}
