/* man: the manual, parley(1), from the tables; man(7) macros. */
#include "gateway/cli/cli.h"
#include "gateway/commands.h"
#include <stdio.h>

#define MAN_DATE "2026-11-27" /* of the texts that stand here */
#define MAN_MAX  (4u << 20)

/* Text as roff shows it: nothing of it is a request or an escape. */
static void put_text(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool begins = to->n == 0 || to->p[to->n - 1] == '\n';
        if (begins && (s.p[i] == '.' || s.p[i] == '\'')) buf_add_cstr(to, "\\&");
        if (s.p[i] == '\\')
            buf_add_cstr(to, "\\e");
        else if (s.p[i] == '-')
            buf_add_cstr(to, "\\-");
        else
            buf_add_char(to, s.p[i]);
    }
}

static void put_line(struct buf *to, const char *text)
{
    put_text(to, str_of(text ? text : ""));
    buf_add_char(to, '\n');
}

/* A paragraph of which the first line stands out. */
static void put_entry(struct buf *to, struct str head, const char *text)
{
    buf_add_cstr(to, ".TP\n\\fB");
    put_text(to, head);
    buf_add_cstr(to, "\\fR\n");
    if (text && *text)
        put_line(to, text);
    else
        buf_add_cstr(to, "\\&\n");
}

static void put_section(struct buf *to, const char *name)
{
    buf_addf(to, ".SH %s\n", name);
}

/* ---- the operations ---- */

static void put_field(struct buf *to, const struct admin_op *op, const struct admin_field *f)
{
    _cleanup_(buf_done) struct buf head = BUF_INIT(MAN_MAX);
    cli_put_field_name(&head, op, f);
    put_entry(to, buf_str(&head), f->help);
}

static void put_op(struct buf *to, const struct admin_op *op)
{
    const struct admin_field *plain[CLI_PLAIN_MAX];
    _cleanup_(buf_done) struct buf head = BUF_INIT(MAN_MAX);
    size_t n = cli_plain_fields(op, plain);
    cli_usage_of(&head, op);
    struct str usage = str_skip(buf_str(&head), sizeof "usage: " - 1);
    put_entry(to, str_trim(str_cut(&usage, '[')), op->summary);
    if (op->scope || (op->args && op->args->name)) buf_add_cstr(to, ".RS\n");
    for (size_t i = 0; i < n; i++) put_field(to, op, plain[i]);
    for (const struct admin_field *f = op->args; f && f->name; f++)
        if (!cli_is_plain(op, f)) put_field(to, op, f);
    if (op->scope) buf_addf(to, ".PP\nScope: %s\n", op->scope);
    if (op->scope || (op->args && op->args->name)) buf_add_cstr(to, ".RE\n");
}

static void put_ops(struct buf *to)
{
    struct str before = STR_NONE;
    cli_each_op(op)
    {
        struct str id = str_of(op->id), subject = str_cut(&id, '.');
        if (!str_eq(subject, before)) buf_addf(to, ".SS %.*s\n", STR_ARG(subject));
        before = subject;
        put_op(to, op);
    }
}

/* ---- the rest ---- */

static void put_options(struct buf *to)
{
    for (enum cli_option_id id = 0; id < CLI_OPTION_N; id++) {
        const struct cli_option *o = &cli_options[id];
        char head[80];
        int n = snprintf(head, sizeof head, "--%s%s%s", o->name, o->value ? " " : "",
                         o->value ? o->value : "");
        put_entry(to, str_from(head, (size_t)n), o->help);
    }
}

static void put_paragraphs(struct buf *to, const char *const *texts)
{
    for (size_t i = 0; texts[i]; i++) {
        if (i) buf_add_cstr(to, ".PP\n");
        put_line(to, texts[i]);
    }
}

static const char *const about_values[] = {
    "Words without a name are, in this order, what the command is about and what else it needs; the "
    "latter can be given by name as well: parley keys create bot --role user.",
    "Of texts and JSON, @FILE is what a file holds, - is standard input, and @@TEXT is @TEXT. A list is "
    "written with commas, or as a JSON list. null is none, where that is a value of its own. What "
    "is no JSON where any JSON will do is a text.",
    "Where a command has an argument with the name of one of the options below, that option stands "
    "before the command: parley --url URL webhooks create --url ADDRESS.",
    NULL,
};

static const char *const about_keys[] = {
    "On the gateway's own machine its configuration is enough: with it, a key of an admin is put into "
    "the gateway's PostgreSQL, is used for this one command, and is removed; should that fail, it "
    "works for a minute at most. admin.secret must be set. The record of changes names whoever did "
    "it as cli USER@HOST. From elsewhere, PARLEY_URL and PARLEY_KEY say where and who; a key is never "
    "an argument, since others on the machine can see those.",
    NULL,
};

static const struct {
    const char *head, *text;
} environment[] = { { "PARLEY_URL", "Where the gateway is: https://chat.example.org" },
                    { "PARLEY_KEY", "The key, as parley keys create has shown it." } },
  statuses[] = { { "0", "Done." },
                 { "1", "The gateway said no, or a local command failed." },
                 { "2", "The command line or the configuration is wrong. Nothing was done." },
                 { "3", "The gateway, or its PostgreSQL, cannot be reached." } },
  files[] = { { "var/parley.conf", "The configuration, when nothing else names one." } },
  examples[] = {
      { "parley keys create me --role admin --config var/parley.conf", "The first key." },
      { "parley keys list --json --all | jq -r .name", "Names of all keys, a line each." },
      { "PARLEY_URL=https://chat.example.org parley audit list --key-file ~/.parley",
        "From another machine." },
      { "eval \"$(parley completion bash)\"", "Completion, for this shell." },
  };
#define PUT_ENTRIES(to, table)                                   \
    for (size_t i = 0; i < sizeof(table) / sizeof *(table); i++) \
    put_entry(to, str_of((table)[i].head), (table)[i].text)

void cli_man(struct buf *to)
{
    buf_add_cstr(to, ".\\\" Made by `parley man`.\n.TH PARLEY 1 \"" MAN_DATE
                     "\" \"parley " PARLEY_VERSION "\"\n");
    put_section(to, "NAME");
    buf_add_cstr(to, "parley \\- a chat gateway to language models\n");
    put_section(to, "SYNOPSIS");
    buf_add_cstr(to,
                 ".B parley\n.I COMMAND\n.RI [ ARGUMENT ...]\n.RB [ \\-\\-config\n.IR FILE ]\n");
    put_section(to, "DESCRIPTION");
    put_line(to,
             "People talk to it from a web page, Telegram, Discord or Slack, and language models "
             "answer. One program serves, looks after its database, and is the command line of "
             "the admin API of a gateway that runs, here or elsewhere.");
    put_section(to, "LOCAL COMMANDS");
    for (const struct cli_local *l = cli_locals; l->name; l++)
        put_entry(to, str_of(l->name), l->help);
    put_section(to, "COMMANDS OF THE ADMIN API");
    put_paragraphs(to, about_values);
    put_ops(to);
    put_section(to, "OPTIONS OF THE ADMIN API");
    put_options(to);
    put_section(to, "KEYS");
    put_paragraphs(to, about_keys);
    put_section(to, "ENVIRONMENT");
    PUT_ENTRIES(to, environment);
    put_section(to, "FILES");
    PUT_ENTRIES(to, files);
    put_section(to, "EXIT STATUS");
    PUT_ENTRIES(to, statuses);
    put_section(to, "EXAMPLES");
    PUT_ENTRIES(to, examples);
}

int man_main(const char *conf_path, char **args)
{
    (void)conf_path, (void)args;
    _cleanup_(buf_done) struct buf text = BUF_INIT(MAN_MAX);
    cli_man(&text);
    fwrite(text.p, 1, text.n, stdout);
    return text.full;
}
