/* command_fits: apart from the table of commands, so that parsers do not link all that they do. */
#include "core/chat/command.h"

bool command_fits(const struct command *c, struct str args)
{
    size_t n_digits = 0, n_spaces = 0;
    for (size_t i = 0; i < args.n; i++) {
        n_digits += args.p[i] >= '0' && args.p[i] <= '9';
        n_spaces += (unsigned char)args.p[i] <= ' ';
    }
    if (!*c->args) return args.n == 0;
    if (strcmp(c->args, "[number]") == 0) return n_digits == args.n;
    return n_spaces <= 1 && !str_ends(args, STR("?"));
}
