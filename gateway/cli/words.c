/* words: between the ids of operations and the words of a command line. Pure. */
#include "gateway/cli/cli.h"
#include <stdio.h>

const struct admin_op *cli_op_next(const struct admin_op *op)
{
    const struct admin_op *const *table = admin_ops;
    if (op && op[1].id) return op + 1;
    for (; op && *table; table++) { /* the table that ends behind op */
        const struct admin_op *last = *table;
        while (last->id && last != op) last++;
        if (last != op) continue;
        table++;
        break;
    }
    while (*table && !(*table)->id) table++;
    return *table;
}

bool cli_same_word(struct str a, struct str b)
{
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++) {
        char x = a.p[i] == '_' ? '-' : a.p[i], y = b.p[i] == '_' ? '-' : b.p[i];
        if (x != y) return false;
    }
    return true;
}

static void copy(const char *from, char ret[CLI_TITLE_MAX])
{
    snprintf(ret, CLI_TITLE_MAX, "%s", from);
    for (char *p = ret; *p; p++)
        if (*p == '_') *p = '-';
}

void cli_title(const struct admin_op *op, char ret[CLI_TITLE_MAX])
{
    copy(op->id, ret);
    for (char *p = ret; *p; p++)
        if (*p == '.') *p = ' ';
}

void cli_name(const char *name, char ret[CLI_TITLE_MAX])
{
    copy(name, ret);
}

/* "flag" is as good as "flags". */
static bool same_subject(struct str subject, struct str word)
{
    return cli_same_word(subject, word) ||
           (str_ends(subject, STR("s")) && cli_same_word(str_head(subject, subject.n - 1), word));
}

size_t cli_begins(const struct admin_op *op, char *const *words, size_t n)
{
    struct str id = str_of(op->id);
    size_t i = 0;
    while (i < n && id.n) {
        struct str part = str_cut(&id, '.'), word = str_of(words[i]);
        if (i == 0 ? !same_subject(part, word) : !cli_same_word(part, word)) break;
        i++;
    }
    return i;
}

size_t cli_id_words(const struct admin_op *op)
{
    size_t n = 1;
    for (const char *p = op->id; *p; p++) n += *p == '.';
    return n;
}

const struct admin_op *cli_op_find(char *const *words, size_t n)
{
    const struct admin_op *best = NULL;
    cli_each_op(op)
    {
        if (cli_begins(op, words, n) < cli_id_words(op)) continue;
        if (!best || cli_id_words(op) > cli_id_words(best)) best = op;
    }
    return best;
}

bool cli_is_subject(const char *word)
{
    char *words[] = { (char *)word };
    cli_each_op(op) if (cli_begins(op, words, 1)) return true;
    return false;
}

bool cli_is_plain(const struct admin_op *op, const struct admin_field *f)
{
    return (f->flags & ADMIN_REQUIRED) || admin_in_path(op, f->name);
}

size_t cli_plain_fields(const struct admin_op *op, const struct admin_field *ret[CLI_PLAIN_MAX])
{
    struct str path = str_of(op->path);
    size_t n = 0;
    while (path.n) {
        struct str part = str_cut(&path, '/');
        if (!str_starts(part, STR("{"))) continue;
        for (const struct admin_field *f = op->args; f && f->name && n < CLI_PLAIN_MAX; f++)
            if (str_eq(str_of(f->name), str_from(part.p + 1, part.n - 2))) ret[n++] = f;
    }
    for (const struct admin_field *f = op->args; f && f->name && n < CLI_PLAIN_MAX; f++)
        if ((f->flags & ADMIN_REQUIRED) && !admin_in_path(op, f->name)) ret[n++] = f;
    return n;
}
