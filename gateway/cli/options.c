/* options: what every command takes besides its own arguments. Pure. */
#include "gateway/cli/cli.h"

const struct cli_option cli_options[CLI_OPTION_N] = {
    [CLI_CONFIG] = { "config", "FILE",
                     "The gateway's configuration. By default var/parley.conf, if it is there." },
    [CLI_URL] = { "url", "URL", "Where the gateway is, instead of PARLEY_URL." },
    [CLI_KEY_FILE] = { "key-file", "FILE", "A file that holds a key, instead of PARLEY_KEY." },
    [CLI_JSON] = { "json", NULL, "Print the answer as it is; with --all a line of JSON a row." },
    [CLI_HELP] = { "help", NULL, "What this command does and takes." },
    [CLI_LIMIT] = { "limit", "NUMBER", "Rows of a page, up to 200." },
    [CLI_AFTER] = { "after", "TEXT", "Go on where the page before ended." },
    [CLI_ALL] = { "all", NULL, "All pages." },
    [CLI_IF_MATCH] = { "if-match", "VERSION", "Only if this is still its version." },
    [CLI_ONCE] = { "idempotency-key", "TEXT",
                   "The same command with the same text is done once a day." },
};

bool cli_option_fits(enum cli_option_id id, const struct admin_op *op)
{
    if (!op) return id <= CLI_HELP;
    if (cli_field_find(str_of(cli_options[id].name), op)) return false;
    switch (id) {
    case CLI_LIMIT:
    case CLI_AFTER:
    case CLI_ALL: return op->flags & ADMIN_LIST;
    case CLI_IF_MATCH: return strcmp(op->method, "GET") != 0;
    case CLI_ONCE: return strcmp(op->method, "POST") == 0;
    default: return true;
    }
}

enum cli_option_id cli_option_find(struct str name, const struct admin_op *op)
{
    for (enum cli_option_id id = 0; id < CLI_OPTION_N; id++)
        if (cli_same_word(str_of(cli_options[id].name), name) && cli_option_fits(id, op)) return id;
    return CLI_OPTION_N;
}

const struct admin_field *cli_field_find(struct str name, const struct admin_op *op)
{
    for (const struct admin_field *f = op->args; f && f->name; f++)
        if (cli_same_word(str_of(f->name), name) && !admin_in_path(op, f->name)) return f;
    return NULL;
}
