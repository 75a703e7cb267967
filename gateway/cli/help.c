/* help: lines of usage and lists of commands, from the tables. Pure. */
#include "gateway/cli/cli.h"
#include <stdio.h>

#define LEFT 28 /* columns before the explanation */

static void put_upper(struct buf *to, const char *name)
{
    for (; *name; name++)
        buf_add_char(to, *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name);
}

static void put_option_name(struct buf *to, const char *name)
{
    char option[CLI_TITLE_MAX];
    cli_name(name, option);
    buf_addf(to, "--%s", option);
}

static void put_value_name(struct buf *to, const struct admin_field *f)
{
    static const char *const names[] = {
        [ADMIN_TEXT] = "TEXT", [ADMIN_INT] = "NUMBER",     [ADMIN_NUMBER] = "NUMBER",
        [ADMIN_BOOL] = "true", [ADMIN_UUID] = "ID",        [ADMIN_TIME] = "TIME",
        [ADMIN_WORD] = "WORD", [ADMIN_TEXTS] = "TEXT,...", [ADMIN_OBJECT] = "JSON",
        [ADMIN_ANY] = "JSON",
    };
    if (!f->words) {
        buf_add_cstr(to, names[f->kind]);
        return;
    }
    for (size_t i = 0; f->words[i]; i++) buf_addf(to, "%s%s", i ? "|" : "", f->words[i]);
}

/* "--name VALUE"; of a switch only its name. */
static void put_option(struct buf *to, const struct admin_field *f)
{
    put_option_name(to, f->name);
    if (f->kind == ADMIN_BOOL) return;
    buf_add_char(to, ' ');
    put_value_name(to, f);
}

void cli_usage_of(struct buf *to, const struct admin_op *op)
{
    char title[CLI_TITLE_MAX];
    const struct admin_field *plain[CLI_PLAIN_MAX];
    size_t n = cli_plain_fields(op, plain);
    cli_title(op, title);
    buf_addf(to, "usage: parley %s", title);
    for (size_t i = 0; i < n; i++) {
        buf_add_char(to, ' ');
        put_upper(to, plain[i]->name);
    }
    for (const struct admin_field *f = op->args; f && f->name; f++) {
        if (cli_is_plain(op, f)) continue;
        buf_add_cstr(to, " [");
        put_option(to, f);
        buf_add_char(to, ']');
    }
    buf_add_char(to, '\n');
}

/* The name is there already: on to the column of explanations. */
static void put_help(struct buf *to, size_t begun_at, const char *help)
{
    size_t n = to->n - begun_at;
    if (n + 2 > LEFT) {
        buf_add_char(to, '\n');
        n = 0;
    }
    buf_addf(to, "%*s%s\n", (int)(LEFT - n), "", help ? help : "");
}

void cli_put_field_name(struct buf *to, const struct admin_op *op, const struct admin_field *f)
{
    if (!cli_is_plain(op, f)) {
        put_option(to, f);
        return;
    }
    put_upper(to, f->name);
    if (!f->words) return;
    buf_add_char(to, ' ');
    put_value_name(to, f);
}

static void put_field_help(struct buf *to, const struct admin_op *op, const struct admin_field *f)
{
    size_t at = to->n;
    buf_add_cstr(to, "  ");
    cli_put_field_name(to, op, f);
    put_help(to, at, f->help);
}

static void put_common(struct buf *to, const struct admin_op *op)
{
    for (enum cli_option_id id = 0; id < CLI_OPTION_N; id++) {
        const struct cli_option *o = &cli_options[id];
        size_t at = to->n;
        if (!cli_option_fits(id, op)) continue;
        buf_addf(to, "  --%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        put_help(to, at, o->help);
    }
}

void cli_help_of(struct buf *to, const struct admin_op *op)
{
    const struct admin_field *plain[CLI_PLAIN_MAX];
    size_t n = cli_plain_fields(op, plain);
    bool some = false;
    cli_usage_of(to, op);
    buf_addf(to, "\n%s\n\n", op->summary);
    for (size_t i = 0; i < n; i++) put_field_help(to, op, plain[i]);
    for (const struct admin_field *f = op->args; f && f->name; f++) {
        some |= !admin_in_path(op, f->name) && (f->kind >= ADMIN_TEXTS || f->kind == ADMIN_TEXT);
        if (!cli_is_plain(op, f)) put_field_help(to, op, f);
    }
    put_common(to, op);
    if (some)
        buf_add_cstr(to,
                     "\nTexts and JSON: @FILE is what the file holds, - standard input, @@TEXT is "
                     "@TEXT.\n");
    if (op->scope) buf_addf(to, "\nThe key needs the scope %s.\n", op->scope);
}

static bool same_subject(const struct admin_op *a, const struct admin_op *b)
{
    struct str x = str_of(a->id), y = str_of(b->id);
    return str_eq(str_cut(&x, '.'), str_cut(&y, '.'));
}

static bool is_first(const struct admin_op *op)
{
    cli_each_op(o) if (same_subject(o, op)) return o == op;
    return false;
}

void cli_subjects(struct buf *to)
{
    cli_each_op(first)
    {
        char title[CLI_TITLE_MAX];
        size_t n = 0;
        if (!is_first(first)) continue;
        cli_title(first, title);
        struct str rest = str_of(title), subject = str_cut(&rest, ' ');
        buf_addf(to, "  %-13.*s ", STR_ARG(subject));
        cli_each_op(op)
        {
            if (!same_subject(op, first)) continue;
            cli_title(op, title);
            buf_addf(to, "%s%s", n++ ? ", " : "", title + subject.n + 1);
        }
        buf_add_char(to, '\n');
    }
}

void cli_help_below(struct buf *to, char *const *words, size_t n)
{
    size_t most = 0;
    cli_each_op(op)
    {
        size_t begins = cli_begins(op, words, n);
        if (begins > most) most = begins;
    }
    buf_add_cstr(to, "usage: parley COMMAND ... [--json] [--config FILE | --url URL]\n\n");
    cli_each_op(op)
    {
        char title[CLI_TITLE_MAX];
        size_t at = to->n;
        if (cli_begins(op, words, most) < most) continue;
        cli_title(op, title);
        buf_addf(to, "  %s", title);
        put_help(to, at, op->summary);
    }
    buf_add_cstr(to, "\nparley COMMAND --help tells what it takes.\n");
}
