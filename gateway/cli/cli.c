/* cli: a command of the admin API from its words to the exit status. */
#include "gateway/cli/cli.h"
#include "core/base/clock.h"
#include "core/net/http_form.h"
#include "gateway/cli/link.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PATH_MAX_BYTES 8192
#define BODY_MAX       (5u << 20)
#define TEXT_MAX       (64u << 20)

static const struct cli_local no_locals[] = { { .name = NULL } };
const struct cli_local *cli_locals = no_locals;

struct run {
    struct arena arena;
    struct cli_line line;
    struct cli_link link;
    struct cli_table table;
    struct cli_view view;
    struct buf path, body;
    struct buf out;
};

static void print(struct buf *text, FILE *to)
{
    fwrite(buf_str(text).p, 1, text->n, to);
    (void)fflush(to); /* both streams may be the same terminal */
    buf_clear(text);
}

/* What is wrong came from somewhere: made safe for the terminal. */
static void complain(const char *msg)
{
    _cleanup_(buf_done) struct buf safe = BUF_INIT(TEXT_MAX);
    cli_put_safe(&safe, str_of(msg));
    fprintf(stderr, "parley: %.*s\n", STR_ARG(buf_str(&safe)));
}

static int wrong(const struct cli_line *line, const struct err *why)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
    complain(why->msg);
    if (line->op)
        cli_usage_of(&text, line->op);
    else
        cli_help_below(&text, line->words, line->n_words);
    print(&text, stderr);
    return CLI_WRONG;
}

static size_t terminal_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size)) return 0;
    return size.ws_col;
}

/* ---- answers ---- */

static int unknown_answer(struct run *r, int status)
{
    fprintf(stderr, "parley: what answers at %s is no gateway: status %d\n", r->link.url, status);
    return CLI_UNREACHED;
}

/* application/problem+json, RFC 9457. */
static int refused(struct run *r, const struct http_reply *reply)
{
    struct json *doc = NULL;
    struct err why;
    struct str detail, field = STR_NONE;
    bool well =
        !json_parse(buf_str(&reply->body), &doc, &why) && json_get_str(doc, "detail", &detail);
    json_get_str(doc, "field", &field);
    if (!well) {
        json_free(doc);
        return unknown_answer(r, reply->status);
    }
    bool named = !field.n || str_starts(detail, field); /* "name: a text of 1 to 200 bytes" */
    buf_add_cstr(&r->out, "parley: ");
    if (!named) {
        cli_put_safe(&r->out, field);
        buf_add_cstr(&r->out, ": ");
    }
    cli_put_safe(&r->out, detail);
    if (*reply->retry_after) {
        buf_add_cstr(&r->out, " (again in ");
        cli_put_safe(&r->out, str_of(reply->retry_after));
        buf_add_cstr(&r->out, " s)");
    }
    buf_add_char(&r->out, '\n');
    print(&r->out, stderr);
    json_free(doc);
    return CLI_REFUSED;
}

static void tell_secrets(const struct admin_type *type, struct json *row)
{
    struct str s;
    for (const struct admin_field *f = type->fields; f && f->name; f++)
        if ((f->flags & ADMIN_ONCE) && json_get_str(row, f->name, &s))
            fprintf(stderr, "\nKeep the %s: it is shown this once and never again.\n", f->name);
}

static void show_object(struct run *r, struct json *doc, struct str text)
{
    const struct admin_type *type = r->line.op->answer;
    bool plain = type && type->fields && json_is_object(doc);
    if (r->line.common[CLI_JSON]) {
        cli_put_json(&r->out, text);
        buf_add_char(&r->out, '\n');
    } else if (plain) {
        cli_show_object(&r->out, type, doc, &r->view);
    } else {
        struct buf safe = BUF_INIT(TEXT_MAX);
        cli_put_json(&safe, text);
        cli_put_pretty(&r->out, buf_str(&safe));
        buf_done(&safe);
    }
    print(&r->out, stdout);
    if (type) tell_secrets(type, doc);
}

static void show_rows(struct run *r, struct json *rows, struct str text)
{
    bool all = r->line.common[CLI_ALL] != NULL;
    _cleanup_(buf_done) struct buf row = BUF_INIT(TEXT_MAX);
    if (!r->line.common[CLI_JSON]) {
        if (json_length(rows)) cli_table_add(&r->table, rows, &r->out);
    } else if (!all) {
        cli_put_json(&r->out, text);
        buf_add_char(&r->out, '\n');
    } else {
        for (size_t i = 0; i < json_length(rows); i++) {
            buf_clear(&row);
            json_write(json_at(rows, i), &row);
            cli_put_json(&r->out, buf_str(&row));
            buf_add_char(&r->out, '\n');
        }
    }
    print(&r->out, stdout);
}

/* A page. *next: where the following one begins; "" = there is none, or nobody wants it. */
static void show_page(struct run *r, struct json *doc, struct str text, struct str *next)
{
    struct str after = STR_NONE;
    bool json = r->line.common[CLI_JSON] != NULL, first = !r->table.begun;
    struct json *rows = json_get(doc, "items");
    json_get_str(doc, "next", &after);
    show_rows(r, rows, text);
    if (!json && first && !json_length(rows)) fprintf(stderr, "none\n");
    *next = STR_NONE;
    if (!after.n) return;
    if (r->line.common[CLI_ALL]) {
        *next = arena_dup(&r->arena, after);
    } else if (!json) {
        buf_add_cstr(&r->out, "There are more: --after ");
        cli_put_safe(&r->out, after);
        buf_add_cstr(&r->out, ", or --all\n");
        print(&r->out, stderr);
    }
}

static int show(struct run *r, const struct http_reply *reply, struct str *next)
{
    struct json *doc = NULL;
    struct err why;
    struct str text = buf_str(&reply->body);
    *next = STR_NONE;
    if (reply->status >= 400) return refused(r, reply);
    if (reply->status == 204) {
        if (!r->line.common[CLI_JSON]) buf_add_cstr(&r->out, "done\n");
        print(&r->out, stdout);
        return CLI_WELL;
    }
    if (reply->status >= 300 || json_parse(text, &doc, &why))
        return unknown_answer(r, reply->status);
    if (r->line.op->flags & ADMIN_LIST)
        show_page(r, doc, text, next);
    else
        show_object(r, doc, text);
    bool well = true;
    const struct admin_type *type = r->line.op->answer;
    if (type && type->verdict) json_get_bool(doc, type->verdict, &well);
    json_free(doc);
    return well ? CLI_WELL : CLI_REFUSED;
}

/* ---- requests ---- */

static void add_page(struct buf *path, const struct cli_line *line, struct str after)
{
    const char *limit = line->common[CLI_LIMIT];
    char sign = memchr(path->p, '?', path->n) ? '&' : '?';
    if (!limit && line->common[CLI_ALL]) limit = "200";
    if (limit) buf_addf(path, "%climit=", sign);
    http_form_put(path, str_of(limit));
    if (limit) sign = '&';
    if (after.n) buf_addf(path, "%cafter=", sign);
    http_form_put(path, after);
}

/* Not the user's fault, but for ERR_CONF. */
static int failed(struct run *r, const struct err *why)
{
    if (why->kind == ERR_CONF) return wrong(&r->line, why);
    _cleanup_(buf_done) struct buf text = BUF_INIT(1000);
    buf_addf(&text, "%s: %s%s", r->link.url, why->msg,
             why->kind == ERR_UNKNOWN ? ": it may or may not be done" : "");
    complain(buf_str(&text).p);
    return CLI_UNREACHED;
}

static int ask(struct run *r)
{
    struct str after = str_of(r->line.common[CLI_AFTER]);
    size_t bare = r->path.n;
    int status;
    do {
        struct http_reply reply = { 0 };
        struct err why;
        buf_cut(&r->path, bare);
        if (r->line.op->flags & ADMIN_LIST) add_page(&r->path, &r->line, after);
        if (cli_link_ask(&r->link, &r->line, buf_str(&r->path), buf_str(&r->body), &reply, &why))
            status = failed(r, &why);
        else
            status = show(r, &reply, &after);
        http_reply_done(&reply);
    } while (status == CLI_WELL && after.n && !ferror(stdout));
    if (!ferror(stdout)) return status;
    if (errno != EPIPE) complain("what it says cannot be written");
    return CLI_REFUSED;
}

static int help(const struct cli_line *line)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
    if (line->op)
        cli_help_of(&text, line->op);
    else
        cli_help_below(&text, line->words, line->n_words);
    print(&text, stdout);
    return CLI_WELL;
}

static int run(struct run *r, char *const *words, size_t n)
{
    struct err why;
    if (cli_line_read(&r->arena, words, n, &r->line, &why)) return wrong(&r->line, &why);
    if (r->line.common[CLI_HELP]) return help(&r->line);
    if (cli_request_write(&r->arena, &r->line, &r->path, &r->body, &why))
        return wrong(&r->line, &why);
    if (cli_link_open(&r->link, &r->line, &why)) {
        complain(why.msg);
        return why.kind == ERR_CONF || why.kind == ERR_REFUSED ? CLI_WRONG : CLI_UNREACHED;
    }
    r->view = (struct cli_view){ terminal_width(), clock_wall_ms() };
    if (r->line.op->answer && r->line.op->answer->fields)
        cli_table_init(&r->table, r->line.op->answer, &r->view);
    int status = ask(r);
    cli_link_close(&r->link);
    return status;
}

int cli_main(char *const *words, size_t n)
{
    struct run r = { .path = BUF_INIT(PATH_MAX_BYTES),
                     .body = BUF_INIT(BODY_MAX),
                     .out = BUF_INIT(TEXT_MAX) };
    arena_init(&r.arena);
    int status = run(&r, words, n);
    buf_done(&r.path);
    buf_done(&r.body);
    buf_done(&r.out);
    arena_done(&r.arena);
    return status;
}

bool cli_takes(char *const *words, size_t n)
{
    size_t at = 0;
    for (; at < n && words[at][0] == '-'; at++) { /* "--config FILE keys list" */
        struct str name = str_of(words[at]);
        name = str_starts(name, STR("--")) ? str_skip(name, 2) : STR_NONE;
        enum cli_option_id id = cli_option_find(name, NULL);
        if (strcmp(words[at], "-c") == 0) id = CLI_CONFIG;
        if (id < CLI_OPTION_N && cli_options[id].value) at++;
    }
    if (at >= n || !cli_is_subject(words[at])) return false;
    for (const struct cli_local *l = cli_locals; l->name; l++) /* `parley openapi` is a local one */
        if (strcmp(l->name, words[at]) == 0) return cli_op_find(words + at, n - at) != NULL;
    return true;
}
