/*
 * cli - the command line over the admin API: `parley keys create bot --role user`. Commands,
 * arguments, help, completion and manual come from the tables of operations (admin/op.h): the
 * operation "keys.create" is the command `parley keys create`.
 *
 * This is what its files share. Only cli.c and link.c do anything; the others are pure, apart from
 * the file that @FILE names.
 */
#pragma once
#include "core/base/arena.h"
#include "gateway/admin/op.h"

enum cli_status { CLI_WELL, CLI_REFUSED, CLI_WRONG, CLI_UNREACHED };

/* ---- words.c: between operations and words ---- */

#define CLI_WORDS_MAX 8   /* of a command */
#define CLI_TITLE_MAX 100 /* "flags rules set" */

/* The operation after `op`; NULL: from the first. NULL: there are no more. */
const struct admin_op *cli_op_next(const struct admin_op *op);
#define cli_each_op(op) \
    for (const struct admin_op *op = cli_op_next(NULL); op; op = cli_op_next(op))

/* '-' and '_' are the same. */
bool cli_same_word(struct str a, struct str b);
/* The id as words: "flags.rules.set" -> "flags rules set". */
void cli_title(const struct admin_op *op, char ret[CLI_TITLE_MAX]);
/* A name as it is written on the command line: "is_active" -> "is-active". */
void cli_name(const char *name, char ret[CLI_TITLE_MAX]);
/*
 * How many of the words are the beginning of the operation's id, in its order: "keys", "create",
 * "bot" -> 2. The first one may be a singular.
 */
size_t cli_begins(const struct admin_op *op, char *const *words, size_t n);
size_t cli_id_words(const struct admin_op *op);
/* The operation whose whole id the words begin with, the longest; NULL: none. */
const struct admin_op *cli_op_find(char *const *words, size_t n);
bool cli_is_subject(const char *word);

#define CLI_PLAIN_MAX 32
/*
 * The arguments that are words without a name: those of the path in its order, then what else is
 * required in the table's. Returns how many.
 */
size_t cli_plain_fields(const struct admin_op *op, const struct admin_field *ret[CLI_PLAIN_MAX]);
bool cli_is_plain(const struct admin_op *op, const struct admin_field *f);

/* ---- options.c: what every command takes besides its own arguments ---- */

enum cli_option_id {
    CLI_CONFIG,
    CLI_URL,
    CLI_KEY_FILE,
    CLI_JSON,
    CLI_HELP,
    CLI_LIMIT,
    CLI_AFTER,
    CLI_ALL,
    CLI_IF_MATCH,
    CLI_ONCE,
    CLI_OPTION_N,
};
struct cli_option {
    const char *name;
    const char *value; /* "FILE"; NULL: it takes none */
    const char *help;
};
extern const struct cli_option cli_options[CLI_OPTION_N];
/*
 * Does the operation take it? Not if it has an argument of that name: then the option stands
 * before the command. op NULL: is it one that can stand there?
 */
bool cli_option_fits(enum cli_option_id id, const struct admin_op *op);
/* The first one that fits and has this name; CLI_OPTION_N: none. */
enum cli_option_id cli_option_find(struct str name, const struct admin_op *op);
/* An argument of the operation that is no part of its path. */
const struct admin_field *cli_field_find(struct str name, const struct admin_op *op);

/* ---- args.c: from words to a request ---- */

struct cli_given {
    const struct admin_field *field;
    struct str text; /* as written */
};
struct cli_line {
    const struct admin_op *op; /* NULL: help, or the words are no command */
    char *const *words;        /* those that name it */
    size_t n_words;
    const char *common[CLI_OPTION_N]; /* NULL: not given; "" for those without a value */
    struct cli_given *given;
    size_t n_given;
};
/*
 * words    borrowed, with ret
 * ERR_CONF: what is wrong; *ret is filled as far as it was understood, for a line of usage.
 */
enum err_kind cli_line_read(struct arena *a, char *const *words, size_t n, struct cli_line *ret,
                            struct err *why);

/*
 * The request that the line means.
 * path     behind /admin/v1, with the query but for limit and after; body: JSON, "" = none
 * ERR_CONF: an argument is missing, or is not what its kind is written as
 */
enum err_kind cli_request_write(struct arena *a, const struct cli_line *line, struct buf *path,
                                struct buf *body, struct err *why);

/* ---- table.c: from an answer to text for people ---- */

#define CLI_COLUMNS_MAX 8

struct cli_view {
    size_t width; /* of the terminal; 0 = nothing is cut */
    int64_t now_ms;
};
/* An object, a line for each member; a text over several lines is indented. */
void cli_show_object(struct buf *to, const struct admin_type *type, struct json *row,
                     const struct cli_view *view);
/* Rows under a line of names; further pages go under the same columns. */
struct cli_table {
    const struct admin_type *type;
    struct cli_view view;
    const struct admin_field *columns[CLI_COLUMNS_MAX];
    size_t n_columns;
    size_t widths[CLI_COLUMNS_MAX];
    bool begun;
};
void cli_table_init(struct cli_table *t, const struct admin_type *type,
                    const struct cli_view *view);
void cli_table_add(struct cli_table *t, struct json *rows, struct buf *to);
/* Append the text with everything escaped that would move a terminal's cursor or turn its text. */
void cli_put_safe(struct buf *to, struct str s);

/* ---- help.c, man.c, pretty.c, completion.c: from the tables to text ---- */

/* "usage: parley keys create NAME ROLE [--permissions TEXT,...] ...", one line. */
void cli_usage_of(struct buf *to, const struct admin_op *op);
void cli_help_of(struct buf *to, const struct admin_op *op);
/* All commands that begin with these words; none: all. */
void cli_help_below(struct buf *to, char *const *words, size_t n);
/* An argument as help shows it: "NAME", "ROLE admin|user", "--count NUMBER", "--is-on". */
void cli_put_field_name(struct buf *to, const struct admin_op *op, const struct admin_field *f);

/* The subjects, a line each, with what can be done to them. */
void cli_subjects(struct buf *to);

/* The commands that are no operations, ended by one without a name: main's. */
struct cli_local {
    const char *name, *help;
};
extern const struct cli_local *cli_locals;
/* The manual of all commands, for man(1). */
void cli_man(struct buf *to);
/* JSON as it is, but for characters that a terminal obeys: those are escaped. */
void cli_put_json(struct buf *to, struct str json);
/* JSON with a line a member, as people compare it. */
void cli_put_pretty(struct buf *to, struct str json);
/* The function for the shell; NULL: no such shell. */
const char *cli_completion_script(const char *shell);
/*
 * What can stand for the last word, a line each: the word, a tab, what it is. A line ":files"
 * stands for the names of files.
 */
void cli_complete(struct buf *to, char *const *words, size_t n);

/* ---- cli.c ---- */

/* Whether the command line speaks of an operation. words: without the program's name. */
bool cli_takes(char *const *words, size_t n);
/* Do it. Returns the exit status. */
int cli_main(char *const *words, size_t n);
