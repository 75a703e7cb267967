/* tools - see tools.h. */
#include "core/tool/tools.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/tool/admit.h"
#include "core/tool/server.h"
#include "core/tool/visible.h"

#define SERVERS_MAX   32
#define ANSWER_EXTRA  4096 /* the fence and the marks around a result */
#define DESCRIBED_MAX 2000 /* bytes of arguments that a person is shown */
#define END_MS        1500
#define CALL_MAX_MS   (2 * SERVER_TIMEOUT_MAX_MS + 120000)

struct tools {
    struct loop *loop;
    struct server servers[SERVERS_MAX];
    size_t n;
};

const struct conf_field mcp_conf_fields[] = {
    { "enable_mcp_security", CONF_BOOL, offsetof(struct mcp_conf, security), .def = "true",
      .help = "Refuse plain http and private addresses, programs that are not listed, and tools "
              "whose definition changed; mark results as untrusted. Switch it off only where every "
              "server is your own." },
    { "commands", CONF_LIST, offsetof(struct mcp_conf, commands),
      .def = "npx, uvx, python3, python, node, docker, deno",
      .help = "Programs that a server's command may name without an absolute path." },
    { "rounds_max", CONF_INT, offsetof(struct mcp_conf, rounds_max), .def = "8", .min = 1,
      .max = 100, .help = "How often a model may call tools before it has to answer." },
    { "approval", CONF_DURATION, offsetof(struct mcp_conf, approval_ms), .def = "10m", .min = 1000,
      .max = 86400000, .help = "How long a person's yes to a call is waited for." },
    { "parallel_max", CONF_INT, offsetof(struct mcp_conf, parallel_max), .def = "4", .min = 1,
      .max = MCP_PARALLEL_MAX,
      .help = "How many calls of one answer are made at once; those that need a yes never are." },
    CONF_END,
};

static const struct conf_field server_fields[] = {
    { "name", CONF_STR, offsetof(struct server_conf, name), .flags = CONF_REQUIRED,
      .help = "Part of its tools' names: NAME__tool." },
    { "url", CONF_STR, offsetof(struct server_conf, url),
      .help = "Address of a server behind HTTP, e.g. https://tools.example/mcp." },
    { "command", CONF_LIST, offsetof(struct server_conf, command),
      .help = "Instead of url: a program and its arguments, talked to over its standard input and "
              "output. No shell is involved." },
    { "env", CONF_LIST, offsetof(struct server_conf, env),
      .help = "What the program's environment has besides PATH, HOME and LANG: \"NAME=value\", or "
              "\"NAME\" to hand on ours (so for secrets)." },
    { "directory", CONF_STR, offsetof(struct server_conf, directory),
      .help = "Where the program starts; by default an empty directory of its own." },
    { "memory_max", CONF_SIZE, offsetof(struct server_conf, memory_max), .def = "4096MB",
      .max = INT64_C(1) << 50,
      .help = "Data that each process of the program may have in memory; 0 = no bound." },
    { "cpu_max", CONF_DURATION, offsetof(struct server_conf, cpu_max_ms), .def = "0s",
      .max = INT64_C(86400000) * 365,
      .help = "Time that each may compute before it is killed, and begun anew; 0 = no bound." },
    { "processes_max", CONF_INT, offsetof(struct server_conf, processes_max), .def = "0",
      .max = 1000000,
      .help = "How many processes and threads our user may have, all others included, before the "
              "program gets no more; 0 = no bound, and none for root." },
    { "token", CONF_SECRET, offsetof(struct server_conf, token),
      .help = "Sent to the url as a bearer token, as env:NAME or file:PATH." },
    { "headers", CONF_LIST, offsetof(struct server_conf, headers),
      .help = "More headers for the url, each as \"Name: value\"." },
    { "allow", CONF_LIST, offsetof(struct server_conf, allow),
      .help = "Which of its tools models may call, by the server's own names; empty = all." },
    { "approve", CONF_LIST, offsetof(struct server_conf, approve),
      .help = "Which of them need a person's yes each time; \"*\" = all." },
    { "channels", CONF_LIST, offsetof(struct server_conf, channels),
      .help = "Channels whose models may call them; empty = all." },
    { "timeout", CONF_DURATION, offsetof(struct server_conf, timeout_ms), .def = "60s", .min = 100,
      .max = SERVER_TIMEOUT_MAX_MS, .help = "For one call." },
    { "list_timeout", CONF_DURATION, offsetof(struct server_conf, list_timeout_ms), .def = "30s",
      .min = 100, .max = 60000, .help = "For each step of connecting and listing its tools." },
    { "result_max", CONF_SIZE, offsetof(struct server_conf, result_max), .def = "32KB", .min = 256,
      .max = 1048576, .help = "A longer result is cut here." },
    { "tools_max", CONF_INT, offsetof(struct server_conf, tools_max), .def = "64", .min = 1,
      .max = 256, .help = "More tools of it than that are left out." },
    CONF_END,
};

/* ---- reading the configuration ---- */

static enum err_kind check_place(const struct server_conf *c, const struct mcp_conf *conf,
                                 const char **ret_key, struct err *why)
{
    *ret_key = "url";
    if (!*c->url == !c->command.n)
        return err_set(why, ERR_CONF, "give it either a url or a command");
    if (*c->url) return admit_url(str_of(c->url), conf->security, why);
    *ret_key = "command";
    return admit_command(str_of(c->command.v[0]), &conf->commands, conf->security, why);
}

static enum err_kind check_lists(const struct server_conf *c, const char **ret_key, struct err *why)
{
    *ret_key = "headers";
    for (size_t i = 0; i < c->headers.n; i++)
        if (admit_header(str_of(c->headers.v[i]), why) != ERR_NONE) return ERR_CONF;
    *ret_key = "env";
    for (size_t i = 0; i < c->env.n; i++)
        if (admit_env(str_of(c->env.v[i]), why) != ERR_NONE) return ERR_CONF;
    return ERR_NONE;
}

static struct server *find_by_name(const struct tools *t, struct str name)
{
    for (size_t i = 0; i < t->n; i++)
        if (str_eq_nocase(str_of(t->servers[i].conf.name), name))
            return (struct server *)(uintptr_t)&t->servers[i];
    return NULL;
}

static enum err_kind check(const struct tools *t, const struct server_conf *c,
                           const struct mcp_conf *conf, const char **ret_key, struct err *why)
{
    *ret_key = "name";
    if (admit_name(str_of(c->name), why) != ERR_NONE) return ERR_CONF;
    if (find_by_name(t, str_of(c->name)))
        return err_set(why, ERR_CONF, "another server is named \"%s\"", c->name);
    if (check_place(c, conf, ret_key, why) != ERR_NONE) return ERR_CONF;
    return check_lists(c, ret_key, why);
}

static bool insists(struct conf_doc *doc)
{
    struct conf_group *mcp = NULL;
    return conf_section(doc, "mcp", &mcp, NULL) == ERR_NONE && conf_has(mcp, "enable_mcp_security");
}

static enum err_kind add_server(struct tools *t, struct http_client *http,
                                const struct mcp_conf *conf, struct conf_doc *doc,
                                struct conf_group *g, struct pins *pins, struct err *why)
{
    struct server_conf c = { .secure = conf->security,
                             .insists = conf->security && insists(doc),
                             .commands = &conf->commands,
                             .pins = pins };
    const char *key;
    if (conf_read(doc, g, "tools", server_fields, NULL, &c, why) != ERR_NONE) return ERR_CONF;
    if (check(t, &c, conf, &key, why) != ERR_NONE) {
        err_add(why, "tools.%s: ", key);
        return conf_blame(doc, g, key, why);
    }
    server_init(&t->servers[t->n++], t->loop, http, &c);
    return ERR_NONE;
}

enum err_kind tools_open(struct loop *loop, struct http_client *http, const struct mcp_conf *conf,
                         struct conf_doc *doc, struct pins *pins, struct tools **ret,
                         struct err *why)
{
    size_t n = conf_groups(doc, "tools");
    if (n > SERVERS_MAX) return err_set(why, ERR_CONF, "tools: more than %d", SERVERS_MAX);
    struct tools *t = mem_new(struct tools);
    t->loop = loop;
    for (size_t i = 0; i < n; i++) {
        struct conf_group *g = conf_group_at(doc, "tools", i);
        if (add_server(t, http, conf, doc, g, pins, why) == ERR_NONE) continue;
        tools_close(t);
        return ERR_CONF;
    }
    *ret = t;
    return ERR_NONE;
}

void tools_close(struct tools *t)
{
    for (size_t i = 0; i < t->n; i++) server_done(&t->servers[i]);
    free(t);
}

void tools_obey(struct tools *t, const struct flags *flags)
{
    for (size_t i = 0; i < t->n; i++) t->servers[i].conf.flags = flags;
}

size_t tools_servers(const struct tools *t)
{
    return t->n;
}

void tools_example(struct buf *to)
{
    buf_add_cstr(to, "# Servers of the Model Context Protocol, whose tools models may call.\n"
                     "# tools = (\n");
    conf_example_item(to, NULL, "One server.", server_fields, true);
    buf_add_cstr(to, "# );\n\n");
}

/* ---- who may use what ---- */

static bool serves(const struct server *s, const char *channel)
{
    return !channel || !s->conf.channels.n || conf_list_has(&s->conf.channels, str_of(channel));
}

/* The server that a tool's name names. */
static struct server *server_of(const struct tools *t, struct str name)
{
    size_t at = str_find(name, STR("__"));
    return at == SIZE_MAX ? NULL : find_by_name(t, str_head(name, at));
}

/* NULL: unknown as yet, or not for this channel. */
static const struct tool *find(const struct tools *t, struct str name)
{
    const struct server *s = server_of(t, name);
    return s ? catalog_find(&s->catalog, name) : NULL;
}

static void list_server(const struct server *s, struct model_tool *list, struct arena *arena,
                        size_t *n)
{
    for (size_t i = 0; i < s->catalog.n && *n < TOOLS_MAX; i++) {
        const struct tool *t = &s->catalog.tools[i];
        if (!server_allows(s, t) || server_withholds(s, t)) continue;
        list[(*n)++] = (struct model_tool){ arena_dup(arena, t->shown.name),
                                            arena_dup(arena, t->shown.description),
                                            arena_dup(arena, t->shown.schema) };
    }
}

const struct model_tool *tools_list(const struct tools *t, const char *channel, struct arena *arena,
                                    size_t *ret_n)
{
    struct model_tool *list = arena_new_array(arena, struct model_tool, TOOLS_MAX);
    *ret_n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (serves(&t->servers[i], channel) && t->servers[i].listed &&
            !server_is_shut_out(&t->servers[i]))
            list_server(&t->servers[i], list, arena, ret_n);
    return list;
}

bool tools_needs_approval(const struct tools *t, struct str name)
{
    const struct server *s = server_of(t, name);
    const struct tool *tool = find(t, name);
    if (!s || !tool) return true;
    return conf_list_has(&s->conf.approve, STR("*")) || conf_list_has(&s->conf.approve, tool->name);
}

/* On one line: line ends could push out of sight what is asked for. */
static void add_shown(struct buf *to, struct str text)
{
    _cleanup_(buf_done) struct buf clean = BUF_INIT(text.n * 3 + 1);
    visible_add(&clean, text);
    struct str s = buf_str(&clean);
    size_t n = utf8_prefix(s, DESCRIBED_MAX, TEXT_BYTES);
    for (size_t i = 0; i < n; i++)
        if (clean.p[i] == '\n' || clean.p[i] == '\t') clean.p[i] = ' ';
    buf_add(to, str_head(s, n));
    if (n < s.n) buf_addf(to, " … (%zu more bytes)", s.n - n);
}

void tools_describe(const struct tools *t, const struct model_call *call, struct buf *to)
{
    const struct server *s = server_of(t, call->name);
    const struct tool *tool = find(t, call->name);
    if (s && tool)
        buf_addf(to, "%.*s of %s, with ", STR_ARG(tool->name), s->conf.name);
    else
        buf_addf(to, "%.*s, which is unknown, with ", STR_ARG(str_head(call->name, 100)));
    add_shown(to, call->arguments.n ? call->arguments : STR("{}"));
}

/* Those that changed. Returns how many there are. */
static size_t add_withheld(const struct server *s, struct buf *to)
{
    size_t n = 0;
    for (size_t i = 0; i < s->catalog.n; i++) {
        const struct tool *tool = &s->catalog.tools[i];
        if (!server_allows(s, tool) || !server_withholds(s, tool)) continue;
        buf_add_cstr(to, n++ ? ", " : "; withheld, as they changed: ");
        add_shown(to, tool->name);
    }
    if (n)
        buf_addf(to, " (see parley tools definitions, then parley tools accept %s)", s->conf.name);
    return n;
}

bool tools_report(const struct tools *t, size_t i, struct buf *to)
{
    const struct server *s = &t->servers[i];
    if (s->listed)
        buf_addf(to, "%s: %zu tools, %s, version %s", s->conf.name, s->catalog.n,
                 *s->conf.url ? "HTTP" : "a program", s->version);
    else if (s->n_failed)
        buf_add_cstr(to, s->last.msg);
    else
        buf_addf(to, "%s: not connected", s->conf.name);
    return s->listed && add_withheld(s, to) == 0;
}

/* As bash would have to be told it: where a word ends, and what cannot be seen, is seen. */
static void add_word(struct buf *to, struct str word)
{
    static const char others[] = "_-./:=@%+,";
    bool plain = word.n > 0;
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z', digit = c >= '0' && c <= '9';
        plain = plain && (letter || digit || strchr(others, c));
    }
    if (!plain) buf_add_cstr(to, "$'");
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];
        if (c < ' ' || c > '~')
            buf_addf(to, "\\x%02x", (unsigned char)c);
        else
            buf_addf(to, "%s%c", c == '\'' || c == '\\' ? "\\" : "", c);
    }
    if (!plain) buf_add_char(to, '\'');
}

bool tools_runs(const struct tools *t, size_t i, struct buf *to)
{
    const struct server_conf *c = &t->servers[i].conf;
    buf_addf(to, "%s runs", c->name);
    for (size_t k = 0; k < c->command.n; k++) {
        buf_add_char(to, ' ');
        add_word(to, str_of(c->command.v[k]));
    }
    buf_add_cstr(to, "; its environment: PATH HOME LANG");
    for (size_t k = 0; k < c->env.n; k++) {
        struct str rest = str_of(c->env.v[k]), name = str_cut(&rest, '=');
        buf_addf(to, " %.*s", STR_ARG(name));
    }
    return c->command.n > 0;
}

/* ---- all of them: ready, end ---- */

/* An op for several servers; what each comes to does not matter. */
struct all {
    struct op *op; /* NULL: not waited for any longer */
    struct op_join join;
    struct op parent, children[SERVERS_MAX];
    struct server *servers[SERVERS_MAX];
    size_t n;
    void (*begin)(struct server *s, struct op *op);
};

static void begin_child(size_t i, struct op *child, void *ctx)
{
    struct all *a = ctx;
    a->begin(a->servers[i], child);
}

static void all_done(struct op *parent)
{
    struct all *a = container_of(parent, struct all, parent);
    op_finish(a->op);
    free(a);
}

static void all_drop(struct op *op)
{
    struct all *a = op->impl;
    op_cancel(&a->parent);
    free(a);
}

static const struct op_kind all_kind = { "mcp.all", all_drop };

static void for_all(struct tools *t, const char *channel, struct op *op,
                    void (*begin)(struct server *s, struct op *op), uint32_t wait_ms)
{
    struct all *a = mem_new(struct all);
    a->op = op;
    a->begin = begin;
    for (size_t i = 0; i < t->n; i++)
        if (serves(&t->servers[i], channel)) a->servers[a->n++] = &t->servers[i];
    op_begin(op, &all_kind, a, (uint64_t)wait_ms + 1000);
    op_init(&a->parent, t->loop, all_done);
    op_join(&a->parent, &a->join, a->children, a->n, begin_child, a, wait_ms);
}

void tools_ready(struct tools *t, const char *channel, uint32_t wait_ms, struct op *op)
{
    for_all(t, channel, op, server_ready, wait_ms);
}

void tools_end(struct tools *t, struct op *op)
{
    for_all(t, NULL, op, server_end, END_MS);
}

/* ---- a call ---- */

struct tool_call {
    struct op *op;
    struct op call;
    struct tool_answer *answer;
    uint64_t began_ms;
};

static void say(struct tool_answer *a, const char *text)
{
    a->failed = true;
    buf_clear(&a->text);
    buf_addf(&a->text, "The tool could not be called: %s.", text);
}

/* A model can go on with words better than with nothing. */
static void explain(struct tool_answer *a, const struct err *err)
{
    if (err->kind == ERR_UNKNOWN || err->kind == ERR_TIMEOUT) {
        say(a, err->msg);
        buf_add_cstr(&a->text, " It may have been carried out all the same.");
    } else {
        say(a, err->msg);
    }
}

static void on_called(struct op *op)
{
    struct tool_call *c = container_of(op, struct tool_call, call);
    if (op->err.kind != ERR_NONE) explain(c->answer, &op->err);
    c->answer->ms = (uint32_t)(clock_ms() - c->began_ms);
    op_finish(c->op);
    free(c);
}

static void call_drop(struct op *op)
{
    struct tool_call *c = op->impl;
    op_cancel(&c->call);
    free(c);
}

static const struct op_kind call_kind = { "tools.call", call_drop };

void tool_answer_done(struct tool_answer *a)
{
    buf_done(&a->text);
}

static void refuse(struct op *op, struct tool_answer *ret, const char *text)
{
    buf_init(&ret->text, ANSWER_EXTRA);
    say(ret, text);
    op_sleep(op, 0);
}

void tools_call(struct tools *t, struct op *op, const char *channel, const struct model_call *call,
                struct tool_answer *ret)
{
    struct server *s = server_of(t, call->name);
    if (!s || !serves(s, channel)) {
        refuse(op, ret, "there is no tool of that name");
        return;
    }
    struct tool_call *c = mem_new(struct tool_call);
    *c = (struct tool_call){ .op = op, .answer = ret, .began_ms = clock_ms() };
    op_init(&c->call, t->loop, on_called);
    buf_init(&ret->text, (size_t)s->conf.result_max + ANSWER_EXTRA);
    op_begin(op, &call_kind, c, CALL_MAX_MS);
    server_call(s, &c->call, call->name, call->arguments, &ret->text, &ret->failed);
}
