/* main: the subcommands of `parley`. Those of the admin API are gateway/cli's. */
#include "gateway/cli/cli.h"
#include "gateway/commands.h"
#include "gateway/settings.h"
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const struct subcommand {
    const char *name, *help;
    int (*run)(const char *conf_path, char **args);
    int n_args_max;
} subcommands[] = {
    { "serve", "take messages and answer them, until SIGTERM", serve_main },
    { "migrate", "bring the database's tables up to date", migrate_main },
    { "check", "look whether everything that the configuration names works", check_main },
    { "conf", "print the example configuration: every key, default and help", conf_main },
    { "approve", "CODE [admin]: let in whoever was given the code", approve_main, 2 },
    { "embed", "[--model NAME] TEXT...: print a line of JSON for each text, with its vector",
      embed_main, INT_MAX },
    { "prices", "[list [PATTERN] | import FILE [force]]: see and set what models cost", prices_main,
      3 },
    { "tools", "[list [CHANNEL] | call NAME JSON]: see and try what models may call", tools_main,
      3 },
    { "openapi", "print the description of the admin API, OpenAPI 3.1", openapi_main },
    { "man", "print the manual, for man -l -", man_main },
    { "completion", "bash|zsh|fish: print the completion for that shell", completion_main,
      INT_MAX },
    { "steps", "print the named steps of all flows, as PARLEY_ABORT_AT takes them", steps_main },
};
#define N_SUBCOMMANDS (sizeof subcommands / sizeof *subcommands)

const char *command_model;

/* The same for gateway/cli. */
static struct cli_local locals[N_SUBCOMMANDS + 1];

static void usage(FILE *to)
{
    _cleanup_(buf_done) struct buf more = BUF_INIT(1 << 20);
    fprintf(to, "usage: parley COMMAND [--config FILE]\n\n"
                "FILE is var/parley.conf by default, if that is there.\n\n");
    for (size_t i = 0; i < N_SUBCOMMANDS; i++)
        fprintf(to, "  %-10s %s\n", subcommands[i].name, subcommands[i].help);
    cli_subjects(&more);
    fprintf(to, "\nThe admin API, each with --help:\n\n%.*s", STR_ARG(buf_str(&more)));
    fprintf(to, "\n  --version, --help\n");
}

static const struct option options[] = {
    { "config", required_argument, NULL, 'c' },
    { "help", no_argument, NULL, 'h' },
    { "model", required_argument, NULL, 'm' },
    { "version", no_argument, NULL, 'v' },
    { NULL, 0, NULL, 0 },
};

int main(int argc, char **argv)
{
    const char *conf_path = NULL;
    int opt;
    for (size_t i = 0; i < N_SUBCOMMANDS; i++)
        locals[i] = (struct cli_local){ subcommands[i].name, subcommands[i].help };
    cli_locals = locals;
    if (argc > 1 && strcmp(argv[1], "help") == 0) { /* "help keys" is "keys --help" */
        memmove(argv + 1, argv + 2, (size_t)(argc - 2) * sizeof *argv);
        argv[argc - 1] = "--help";
    }
    if (cli_takes(argv + 1, (size_t)argc - 1)) return cli_main(argv + 1, (size_t)argc - 1);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread */
    while ((opt = getopt_long(argc, argv, "c:hv", options, NULL)) != -1) {
        switch (opt) {
        case 'c': conf_path = optarg; break;
        case 'm': command_model = optarg; break;
        case 'h': usage(stdout); return 0;
        case 'v': puts("parley " PARLEY_VERSION); return 0;
        default: usage(stderr); return 2;
        }
    }
    int n_args = argc - optind - 1;
    for (size_t i = 0; n_args >= 0 && i < N_SUBCOMMANDS; i++) {
        const struct subcommand *c = &subcommands[i];
        if (strcmp(argv[optind], c->name) == 0 && n_args <= c->n_args_max)
            return c->run(settings_path(conf_path), argv + optind + 1);
    }
    if (n_args >= 0) fprintf(stderr, "parley: %s is no command\n\n", argv[optind]);
    usage(stderr);
    return 2;
}
