/* What can come next on a command line. */
#include "cli_ops.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define WORDS_MAX 12

static const struct cli_local locals[] = { { "serve", "Serve." },
                                           { "completion", "Complete." },
                                           { NULL } };

/* line: words with | between them, the last one is completed; want: the candidates. */
static const char *const cases[][2] = {
    { "", "serve completion help things others" },
    { "s", "serve" },
    { "thi", "things" },
    { "help|o", "others" },
    { "completion|", "bash zsh fish" },
    { "completion|z", "zsh" },
    { "thing|", "list set rules" },
    { "things|rules|", "set-all" },
    { "no|", "" },
    { "things|set|-",
      "--value --mood --count --share --is-on --tags --more --url --config --key-file "
      "--json --help --if-match" },
    { "things|list|--a", "--after --all" },
    { "--", "--config --url --key-file --json --help" },
    { "--config|", ":files" },
    { "things|list|--key-file|x", ":files" },
    { "--config|f|th", "things" },
    { "--config=f|th", "things" },
    { "serve|--", "--config" },
    { "things|set|--mood|", "glad sad" },
    { "things|set|--mood|s", "sad" },
    { "things|set|--mood=", "--mood=glad --mood=sad" },
    { "things|set|--mood=g", "--mood=glad" },
    { "things|set|--mood|=", "glad sad" }, /* as bash cuts them */
    { "things|set|--mood|=|s", "sad" },
    { "things|set|--is-on|=|f", "false" },
    { "things|set|--is-on|--m", "--mood --more" },
    { "things|set|--mood|sad|--mo", "--mood --more" },
    { "things|set|n|o|@", ":files" },
    { "things|set|n|o|--more|@x", ":files" },
    { "things|set|n|o|x", "" },
    { "things|set|n|o|v|x", "" },
};

Test(cli_completion, table)
{
    cli_locals = locals;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200], *words[WORDS_MAX], *p = text;
        size_t n = 0;
        _cleanup_(buf_done) struct buf lines = BUF_INIT(10000), got = BUF_INIT(10000);
        snprintf(text, sizeof text, "%s", cases[i][0]);
        for (char *bar = p; bar; p = bar ? bar + 1 : NULL) {
            bar = strchr(p, '|');
            if (bar) *bar = '\0';
            words[n++] = p;
        }
        cli_complete(&lines, words, n);
        struct str rest = buf_str(&lines);
        while (rest.n) {
            struct str line = str_cut(&rest, '\n'), word = str_cut(&line, '\t');
            buf_addf(&got, "%s%.*s", got.n ? " " : "", STR_ARG(word));
        }
        cr_expect_str_eq(buf_str(&got).p, cases[i][1], "%s: %s", cases[i][0], buf_str(&got).p);
    }
}
