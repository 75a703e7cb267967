/*
 * tools - all tools that models may call: what is configured, which channel may use it, what needs
 * a person's yes. How one server is talked to is server.c's.
 */
#pragma once
#include "core/base/conf.h"
#include "core/model/model.h"

#define MCP_PARALLEL_MAX 16

/* The section "mcp". */
struct mcp_conf {
    bool security;             /* enable_mcp_security */
    struct conf_list commands; /* programs that may be named without a path */
    int64_t rounds_max;        /* questions to the model with calls in their answers, a message */
    int64_t approval_ms;       /* how long a person's yes is waited for */
    int64_t parallel_max;      /* calls of one answer that are made at once; MCP_PARALLEL_MAX */
};
extern const struct conf_field mcp_conf_fields[];

struct flags;
struct pins;
struct tools;
/*
 * Read the list "tools". Nothing is connected to yet.
 * conf, doc, pins  outlive the tools
 * ERR_CONF names file, line and key.
 */
enum err_kind tools_open(struct loop *loop, struct http_client *http, const struct mcp_conf *conf,
                         struct conf_doc *doc, struct pins *pins, struct tools **ret,
                         struct err *why);
/* What is under way ends with ERR_CANCELLED. Then run the loop until it drains: programs may take
 * two seconds to end. */
void tools_close(struct tools *t);
/* Obey the flag enable_mcp_security. flags: alive as long as `t`. */
void tools_obey(struct tools *t, const struct flags *flags);
size_t tools_servers(const struct tools *t); /* how many are configured */

/*
 * Have the channel's servers connected and their tools listed; from then on tools_list says them.
 * Never fails; what cannot be reached within wait_ms is done without (and goes on in the
 * background). Finishes on the next turn when all is ready, which it mostly is.
 * channel  its name; NULL = all there are
 */
void tools_ready(struct tools *t, const char *channel, uint32_t wait_ms, struct op *op);
/*
 * The tools that a channel's models may call, as far as they are known, in `arena`.
 * ret_n  how many; at most TOOLS_MAX
 */
#define TOOLS_MAX 128
const struct model_tool *tools_list(const struct tools *t, const char *channel, struct arena *arena,
                                    size_t *ret_n);

struct tool_answer {
    struct buf text; /* for the model, also when it failed; bounded by the server's result_max */
    bool failed;     /* by the tool, or on the way there */
    uint32_t ms;     /* it took */
};
void tool_answer_done(struct tool_answer *a); /* frees its text; it is empty then */
/*
 * Make one call of a model's.
 * call     borrowed for the call; its arguments are checked
 * ret      zero-initialised, alive until the op ends
 * op       always succeeds: whatever goes wrong is a failed result, in words that help the model on
 *          (and `op->err` stays empty). Only a deadline of our own is ERR_TIMEOUT.
 * Cancel is silent, immediate, and told to the server.
 */
void tools_call(struct tools *t, struct op *op, const char *channel, const struct model_call *call,
                struct tool_answer *ret);

/* A person has to agree before this tool is called. Also for a tool that nobody knows. */
bool tools_needs_approval(const struct tools *t, struct str name);
/* For that person: which server and tool, and with which input. Plain text, bounded. */
void tools_describe(const struct tools *t, const struct model_call *call, struct buf *to);

/* The state of server i < tools_servers, for people: one line without its end. False: it cannot be
 * used, or some of its tools are withheld. */
bool tools_report(const struct tools *t, size_t i, struct buf *to);
/* What server i runs here, exactly: its program and arguments, and the names, never the values, of
 * the variables it gets. One line without its end. False: it is none that runs here. */
bool tools_runs(const struct tools *t, size_t i, struct buf *to);
/* End all sessions: a second at most, never fails. Then tools_close. */
void tools_end(struct tools *t, struct op *op);
/* The list "tools" of the example configuration. */
void tools_example(struct buf *to);
