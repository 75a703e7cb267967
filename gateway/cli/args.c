/*
 * args: the words of a command line, sorted: which operation, which of its arguments, which common
 * options. What the gateway checks better (bounds, words, forms) is left to it: it may be newer.
 */
#include "gateway/cli/cli.h"

struct reader {
    struct arena *arena;
    char *const *words;
    size_t n, at;
    struct cli_line *line;
    char **plain; /* words that are no options, behind those of the command */
    size_t n_plain;
    bool only_plain; /* "--" was seen */
    struct err *why;
};

/* "-5" and "-" are values. */
static bool is_option(const struct reader *r, const char *word)
{
    return !r->only_plain && word[0] == '-' && word[1] && !(word[1] >= '0' && word[1] <= '9');
}

static void give(struct reader *r, const struct admin_field *f, struct str text)
{
    r->line->given[r->line->n_given++] = (struct cli_given){ f, text };
}

static bool is_given(const struct cli_line *line, const struct admin_field *f)
{
    for (size_t i = 0; i < line->n_given; i++)
        if (line->given[i].field == f) return true;
    return false;
}

/* ---- options ---- */

/* What follows "--name": behind its '=', or the next word. NULL: nothing. */
static const char *value_take(struct reader *r, const char *behind)
{
    if (behind) return behind;
    return r->at < r->n ? r->words[r->at++] : NULL;
}

static bool is_flag_word(const char *word)
{
    return strcmp(word, "true") == 0 || strcmp(word, "false") == 0 || strcmp(word, "null") == 0;
}

static enum err_kind read_field(struct reader *r, const struct admin_field *f, const char *behind)
{
    char name[CLI_TITLE_MAX];
    if (f->kind == ADMIN_BOOL && !behind) {
        bool said = r->at < r->n && is_flag_word(r->words[r->at]);
        give(r, f, str_of(said ? r->words[r->at++] : "true"));
        return ERR_NONE;
    }
    const char *value = value_take(r, behind);
    cli_name(f->name, name);
    if (!value) return err_set(r->why, ERR_CONF, "--%s needs a value", name);
    if (f->kind != ADMIN_TEXTS && is_given(r->line, f))
        return err_set(r->why, ERR_CONF, "--%s is there twice", name);
    give(r, f, str_of(value));
    return ERR_NONE;
}

static enum err_kind read_common(struct reader *r, enum cli_option_id id, const char *behind)
{
    const struct cli_option *o = &cli_options[id];
    if (!o->value && behind) return err_set(r->why, ERR_CONF, "--%s takes no value", o->name);
    const char *value = o->value ? value_take(r, behind) : "";
    if (!value) return err_set(r->why, ERR_CONF, "--%s needs a value: %s", o->name, o->value);
    r->line->common[id] = value;
    return ERR_NONE;
}

static enum err_kind read_option(struct reader *r)
{
    const char *word = r->words[r->at++];
    if (strcmp(word, "-h") == 0) word = "--help";
    if (strcmp(word, "-c") == 0) word = "--config";
    if (strcmp(word, "--") == 0) {
        r->only_plain = true;
        return ERR_NONE;
    }
    const char *equals = strchr(word, '=');
    struct str name = equals ? str_from(word, (size_t)(equals - word)) : str_of(word);
    struct str bare = str_starts(name, STR("--")) ? str_skip(name, 2) : STR_NONE;
    const struct admin_op *op = r->line->op;
    const struct admin_field *f = op ? cli_field_find(bare, op) : NULL;
    enum cli_option_id id = cli_option_find(bare, op);
    if (f) return read_field(r, f, equals ? equals + 1 : NULL);
    if (id < CLI_OPTION_N) return read_common(r, id, equals ? equals + 1 : NULL);
    return err_set(r->why, ERR_CONF, "no such option: %.*s", STR_ARG(str_head(name, 60)));
}

/* ---- which command ---- */

static enum err_kind read_command(struct reader *r)
{
    struct cli_line *line = r->line;
    while (r->at < r->n && is_option(r, r->words[r->at]))
        if (read_option(r)) return r->why->kind;
    line->words = r->words + r->at;
    while (r->at < r->n && line->n_words < CLI_WORDS_MAX && !is_option(r, r->words[r->at])) {
        line->n_words++;
        r->at++;
    }
    line->op = cli_op_find(line->words, line->n_words);
    if (!line->op) return ERR_NONE;
    r->at -= line->n_words - cli_id_words(line->op);
    line->n_words = cli_id_words(line->op);
    return ERR_NONE;
}

static enum err_kind refuse_command(struct reader *r)
{
    const struct cli_line *line = r->line;
    size_t most = 0;
    if (!line->n_words) return err_set(r->why, ERR_CONF, "no command");
    cli_each_op(op)
    {
        size_t n = cli_begins(op, line->words, line->n_words);
        if (n > most) most = n;
    }
    if (most == line->n_words)
        return err_set(r->why, ERR_CONF, "what shall be done with %s?", line->words[0]);
    return err_set(r->why, ERR_CONF, "%s%s%.60s is no command", most ? line->words[0] : "",
                   most ? " " : "", line->words[most]);
}

/* ---- the plain words ---- */

static enum err_kind give_plain(struct reader *r)
{
    const struct admin_field *fields[CLI_PLAIN_MAX];
    size_t n_fields = cli_plain_fields(r->line->op, fields), n = 0;
    for (size_t i = 0; i < n_fields && n < r->n_plain; i++)
        if (!is_given(r->line, fields[i])) give(r, fields[i], str_of(r->plain[n++]));
    if (n == r->n_plain) return ERR_NONE;
    return err_set(r->why, ERR_CONF, "one word too many: %.60s", r->plain[n]);
}

enum err_kind cli_line_read(struct arena *a, char *const *words, size_t n, struct cli_line *ret,
                            struct err *why)
{
    struct reader r = { .arena = a, .words = words, .n = n, .line = ret, .why = why };
    *ret = (struct cli_line){ .given = arena_new_array(a, struct cli_given, n + 1) };
    r.plain = arena_new_array(a, char *, n + 1);
    if (read_command(&r)) return why->kind;
    while (r.at < n) {
        if (!is_option(&r, words[r.at]))
            r.plain[r.n_plain++] = words[r.at++];
        else if (read_option(&r))
            return why->kind;
    }
    if (ret->common[CLI_HELP]) return ERR_NONE;
    return ret->op ? give_plain(&r) : refuse_command(&r);
}
