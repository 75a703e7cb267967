/*
 * Loops in an answer: which are seen, after how much, and what is none. Each text comes in pieces
 * of every length that matters.
 */
#include "core/base/buf.h"
#include "core/model/loops.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define NEVER SIZE_MAX

static struct buf text = BUF_INIT(4 << 20);

static void setup(void)
{
    buf_clear(&text);
}

static void teardown(void)
{
    buf_done(&text);
}

TestSuite(loops, .init = setup, .fini = teardown, .timeout = 60);

/* After how many bytes of the text it is caught, with pieces of so many bytes. */
static size_t caught_after(size_t piece)
{
    struct loops l = { 0 };
    for (size_t n = 0; n < text.n;) {
        struct str so_far = str_head(buf_str(&text), n),
                   next = str_head(str_skip(buf_str(&text), n), piece);
        loops_piece(&l, so_far, next);
        n += next.n;
        if (loops_caught(&l, str_head(buf_str(&text), n))) return n;
    }
    return NEVER;
}

static const size_t pieces[] = { 3, 7, 50, 1000, 20000 };
#define N_PIECES (sizeof pieces / sizeof *pieces)

static void expect_fine(const char *what)
{
    for (size_t i = 0; i < N_PIECES; i++) {
        size_t n = caught_after(pieces[i]);
        cr_expect_eq(n, NEVER, "%s in pieces of %zu: caught after %zu", what, pieces[i], n);
    }
}

static void repeat(const char *what, unsigned n)
{
    while (n--) buf_add_cstr(&text, what);
}

static void read_file(const char *path)
{
    char piece[4096];
    size_t n;
    FILE *f = fopen(path, "re");
    cr_assert(f, "%s", path);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) buf_add(&text, str_from(piece, n));
    fclose(f);
    cr_assert(!text.full);
}

/* ---- loops ---- */

#define WORDS_7 "and then he went to the sea "
#define WORDS_40                                                                               \
    "The committee has therefore decided to postpone the decision until the next meeting, at " \
    "which all of the members who could not be present today will be heard, so that nobody "   \
    "can say afterwards that the committee has decided without them. "
#define PARAGRAPH                                                                          \
    "## Summary\n\nThis function reads the file and returns what it has found.\n\n"        \
    "```c\nint read_all(const char *path);\n```\n\n- It opens the file.\n- It reads it.\n" \
    "- It closes the file again, also when something has failed before.\n\n"

Test(loops, of_any_length_are_caught)
{
    static const char *const loops[] = {
        "a",
        "no ",
        "\n",
        "very very much ",
        "Yes. No. ",
        WORDS_7,
        WORDS_40,
        WORDS_7 "\n",
        PARAGRAPH,
        "是的，",
        "Ja, natürlich! ",
        "да нет ",
        "🙂",
        "| --- ",
        "I am sorry.\n\n",
    };
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        buf_clear(&text);
        buf_add_cstr(&text, "Well, let me think about this for a moment.\n\n");
        size_t before = text.n, period = strlen(loops[i]);
        while (text.n < before + 20000) buf_add_cstr(&text, loops[i]);
        for (size_t k = 0; k < N_PIECES; k++) {
            size_t n = caught_after(pieces[k]), step = pieces[k] > 1024 ? pieces[k] : 1024;
            cr_expect_leq(n, before + 4096 + 10 * period + step + 1024,
                          "\"%s\" in pieces of %zu: %zu", loops[i], pieces[k], n);
            /* Unless the pieces are alike, too. */
            size_t least = 99 * pieces[k] < 4000 ? 99 * pieces[k] : 4000;
            cr_expect_geq(n, before + least, "\"%s\": %zu", loops[i], n);
        }
    }
}

/* A model that goes mad does so at the end of a good text. */
Test(loops, behind_a_good_answer)
{
    read_file(SOURCE_DIR "/README.md");
    buf_add_cstr(&text, "\n\n");
    size_t before = text.n;
    repeat(WORDS_7, 1000);
    for (size_t i = 0; i < N_PIECES; i++) {
        size_t n = caught_after(pieces[i]);
        cr_expect(n > before && n < before + 6000 + pieces[i], "%zu", n);
    }
}

Test(loops, the_same_piece_a_hundred_times)
{
    struct loops l = { 0 };
    unsigned n = 0;
    for (; n < 1000 && !loops_caught(&l, buf_str(&text)); n++) {
        loops_piece(&l, buf_str(&text), STR("hi "));
        buf_add_cstr(&text, "hi ");
    }
    cr_expect_eq(n, 101);
}

/* ---- no loops ---- */

Test(loops, what_people_and_models_write_is_none)
{
    static const char *const files[] = { "README.md",
                                         "core/README.md",
                                         "LICENSE",
                                         "conf/parley.conf.example",
                                         "conf/openapi.json",
                                         "core/model/anthropic.c",
                                         "core/chat/turn.c",
                                         "migrations/0001_core.sql",
                                         "tests/fakes/telegram_text.py" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        snprintf(path, sizeof path, SOURCE_DIR "/%s", files[i]);
        buf_clear(&text);
        read_file(path);
        expect_fine(files[i]);
    }
}

Test(loops, songs_and_poems_are_none)
{
    for (int n = 99; n > 0; n--)
        buf_addf(&text,
                 "%d bottles of beer on the wall, %d bottles of beer.\nTake one down and pass it "
                 "around, %d bottles of beer on the wall.\n\n",
                 n, n, n - 1);
    expect_fine("a song that counts");
    buf_clear(&text);
    static const char *const verses[] = {
        "The wind blew cold upon the hill,\nthe river it was deep;\n",
        "My love she stood beside the mill\nand could not go to sleep;\n",
        "A ship came in from the western sea\nwith silver in its hold;\n"
    };
    for (int n = 0; n < 60; n++) {
        buf_addf(&text, "%d.\n%s", n + 1, verses[n % 3]);
        repeat("Oh, roll the cotton down, my dear,\noh, roll the cotton down!\n", 4);
    }
    expect_fine("a ballad with a refrain");
}

Test(loops, a_hundred_times_the_same_line_is_what_some_ask_for)
{
    repeat("I will not talk in class again.\n", 100);
    expect_fine("a punishment");
}

Test(loops, lists_and_tables_may_be_alike)
{
    repeat("- [ ] fill me in\n", 2000);
    expect_fine("boxes to be filled in");
    buf_clear(&text);
    buf_add_cstr(&text, "| Monday | Tuesday |\n| --- | --- |\n");
    repeat("| free | free |\n", 1000);
    expect_fine("a table");
    buf_clear(&text);
    repeat("1. Breathe in.\n   Wait a little.\n1. Breathe out.\n   Wait.\n\n", 400);
    expect_fine("a list with longer items");
    buf_clear(&text);
    for (int n = 0; n < 2000; n++) buf_addf(&text, "%d. the same item\n", n);
    expect_fine("a list that counts");
}

Test(loops, code_may_be_alike)
{
    static const char *const fences[] = { "```", "~~~~", "  ```" };
    for (size_t i = 0; i < sizeof fences / sizeof *fences; i++) {
        buf_clear(&text);
        buf_addf(&text, "Here it is:\n\n%s c\n", fences[i]);
        repeat("0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,\n", 500);
        buf_addf(&text, "%s\n", fences[i]);
        expect_fine("zeros in a fence");
        size_t before = text.n;
        repeat("That is all. ", 1000);
        for (size_t k = 0; k < N_PIECES; k++) cr_expect_gt(caught_after(pieces[k]), before + 12);
        cr_expect_neq(caught_after(50), NEVER, "the fence has ended");
    }
    buf_clear(&text);
    repeat("    nop\n", 2000);
    expect_fine("code by indentation");
}
