/* From the words of a command line to the request. */
#include "cli_ops.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define WORDS_MAX 24

/* "a|b c|d" as words. */
static size_t split(char *line, char *words[WORDS_MAX])
{
    size_t n = 0;
    for (char *p = line; p && *p; n++) {
        char *bar = strchr(p, '|');
        if (bar) *bar = '\0';
        words[n] = p;
        p = bar ? bar + 1 : NULL;
    }
    return n;
}

static void expect(const char *line, const char *path, const char *body, const char *error)
{
    char text[600], *words[WORDS_MAX];
    struct cli_line read;
    struct err why = ERR_INIT;
    struct arena a;
    _cleanup_(buf_done) struct buf got_path = BUF_INIT(4096), got_body = BUF_INIT(4096);
    arena_init(&a);
    snprintf(text, sizeof text, "%s", line);
    size_t n = split(text, words);
    bool well = !cli_line_read(&a, words, n, &read, &why) &&
                !cli_request_write(&a, &read, &got_path, &got_body, &why);
    if (error) {
        cr_expect(!well, "%s: should be refused", line);
        cr_expect(why.kind == ERR_CONF && strstr(why.msg, error), "%s: %s", line, why.msg);
    } else {
        cr_expect(well, "%s: %s", line, why.msg);
        cr_expect_str_eq(buf_str(&got_path).p, path, "%s: %s", line, buf_str(&got_path).p);
        cr_expect_str_eq(buf_str(&got_body).p, body, "%s: %s", line, buf_str(&got_body).p);
    }
    arena_done(&a);
}

#define SET_PATH "/things/n/of/o"

Test(cli_args, requests)
{
    static const char *const cases[][3] = {
        { "things|list", "/things", "" },
        { "thing|list", "/things", "" },
        { "things|list|--query|a&b=ü", "/things?query=a%26b%3D%C3%BC", "" },
        { "things|list|--query=|--is-on", "/things?query=&is_on=true", "" },
        { "--json|things|list|--is_on=false|--all", "/things?is_on=false", "" },
        { "things|set|n|o|v", SET_PATH, "{\"value\":\"v\"}" },
        { "things|set|a b|../c|--value|5", "/things/a%20b/of/..%2Fc", "{\"value\":5}" },
        { "things|set|n|--value=[1]|o", SET_PATH, "{\"value\":[1]}" },
        { "things|set|n|o|null", SET_PATH, "{\"value\":null}" },
        { "things|set|n|o|nul", SET_PATH, "{\"value\":\"nul\"}" },
        { "things|set|n|o|-5", SET_PATH, "{\"value\":-5}" },
        { "things|set|n|o|--|--v", SET_PATH, "{\"value\":\"--v\"}" },
        { "things|set|n|o|@@v", SET_PATH, "{\"value\":\"@v\"}" },
        { "things|set|n|o|1|--count|7|--share|0.10|--mood|sad", SET_PATH,
          "{\"value\":1,\"mood\":\"sad\",\"count\":7,\"share\":0.10}" },
        { "things|set|n|o|1|--count|null|--is-on|null|--tags|null", SET_PATH,
          "{\"value\":1,\"count\":null,\"is_on\":null,\"tags\":null}" },
        { "things|set|--is-on|n|o|1", SET_PATH, "{\"value\":1,\"is_on\":true}" },
        { "things|set|--is-on|false|n|o|1", SET_PATH, "{\"value\":1,\"is_on\":false}" },
        { "things|set|n|o|1|--tags|a, b|--tags|[\"c,d\"]|--tags=", SET_PATH,
          "{\"value\":1,\"tags\":[\"a\",\"b\",\"c,d\"]}" },
        { "things|set|n|o|1|--more|{\"a\": 1}|--url|u", SET_PATH,
          "{\"value\":1,\"more\":{\"a\": 1},\"url\":\"u\"}" },
        { "things|rules|set-all|n", "/things/n/rules", "{}" },
        { "things|rules|set_all|n", "/things/n/rules", "{}" },
        { "others|drop|n", "/others/n", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i][0], cases[i][1], cases[i][2], NULL);
}

Test(cli_args, refusals)
{
    static const char *const cases[][2] = {
        { "", "no command" },
        { "things", "what shall be done with things" },
        { "things|rules", "what shall be done with things" },
        { "things|rules|no", "things no is no command" },
        { "nothing", "nothing is no command" },
        { "things|set", "owner is missing: Whose." },
        { "things|set|n|o", "value is missing" },
        { "things|set|n|o|1|2", "one word too many: 2" },
        { "things|set|n|o|1|--value|2", "one word too many: 1" },
        { "things|set|n|o|1|--name|2", "no such option: --name" },
        { "things|set|n|o|1|-x", "no such option: -x" },
        { "things|set|n|o|1|--count|1.5", "--count: a whole number" },
        { "things|set|n|o|1|--share|much", "--share: a number" },
        { "things|set|n|o|1|--is-on=maybe", "--is-on: true or false" },
        { "things|set|n|o|1|--more|[]", "--more: a JSON object" },
        { "things|set|n|o|1|--more|{", "--more: a JSON object is needed: " },
        { "things|set|n|o|1|--tags|[", "--tags: this list is no JSON" },
        { "things|set|n|o|1|--url|\xff", "--url: this is no UTF-8" },
        { "things|set|n|o|\xff", "value: this is no UTF-8" },
        { "things|set|n|o|1|--url|a|--url|b", "--url is there twice" },
        { "things|set|n|o|1|--url", "--url needs a value" },
        { "things|set|..|o|1", "name: this cannot stand in an address" },
        { "things|list|--all=1", "--all takes no value" },
        { "things|list|--limit", "--limit needs a value: NUMBER" },
        { "others|drop|n|--limit|1", "no such option: --limit" },
        { "--limit|1|things|list", "no such option: --limit" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i][0], NULL, NULL, cases[i][1]);
}

/* An argument of the same name goes before a common option, which then stands before the command.
 */
Test(cli_args, an_argument_named_like_an_option)
{
    char *words[] = { "--url", "http://here", "things", "set", "n", "o", "1", "--url", "there" };
    struct cli_line line;
    struct err why;
    struct arena a;
    arena_init(&a);
    cr_assert(!cli_line_read(&a, words, 9, &line, &why));
    cr_expect_str_eq(line.common[CLI_URL], "http://here");
    cr_expect(!cli_option_fits(CLI_URL, &things[1]));
    cr_expect_str_eq(line.given[0].field->name, "url");
    arena_done(&a);
}

Test(cli_args, files)
{
    char path[] = "/tmp/cli_args_XXXXXX", word[64], *words[] = { "things", "set", "n", "o", word };
    struct cli_line line;
    struct err why;
    struct arena a;
    _cleanup_(buf_done) struct buf to = BUF_INIT(100), body = BUF_INIT(1000);
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fputs("{\"a\": \"two\\nlines\"}\n", file);
    fclose(file);
    snprintf(word, sizeof word, "@%s", path);
    arena_init(&a);
    cr_assert(!cli_line_read(&a, words, 5, &line, &why));
    cr_assert(!cli_request_write(&a, &line, &to, &body, &why), "%s", why.msg);
    cr_expect_str_eq(body.p, "{\"value\":{\"a\": \"two\\nlines\"}}");
    arena_done(&a);
    remove(path);
}

Test(cli_args, who_takes_it)
{
    static const struct cli_local locals[] = { { "others", "" }, { "serve", "" }, { NULL } };
    static const struct {
        const char *line;
        bool takes;
    } cases[] = {
        { "things", true },
        { "thing|list", true },
        { "--config|f|things", true },
        { "-c|f|things|list", true },
        { "--config=f|things", true },
        { "--config|things", false },
        { "serve", false },
        { "--help", false },
        { "", false },
        { "others", false },
        { "others|--help", false },
        { "others|drop|n", true },
        { "thin", false },
    };
    cli_locals = locals;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100], *words[WORDS_MAX];
        snprintf(text, sizeof text, "%s", cases[i].line);
        size_t n = split(text, words);
        cr_expect_eq(cli_takes(words, n), cases[i].takes, "%s", cases[i].line);
    }
}
