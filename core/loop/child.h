/*
 * child - a program that we start and talk to in lines, over its standard input and output. It runs
 * without a shell, in a session of its own, with no more of our environment than it needs, none of
 * our descriptors, no core dumps, no more rights than we have (set-user-ID programs give it none),
 * and within limits.
 *
 * Time is libuv's, not the virtual clock's: another process knows nothing of that.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/loop/loop.h"

struct child;
/* For each of its processes; 0 = no more than we have ourselves. */
struct child_limits {
    int64_t memory; /* bytes of data: heap, stacks, what it maps and may write to */
    int64_t cpu_ms; /* of computing, rounded up to a second, in its whole life; then it is killed */
    int64_t
        processes; /* and threads, all that our user has: also those that are not the program's */
};
struct child_conf {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH if it has no slash */
    /*
     * NULL-terminated: "NAME=value", or "NAME" for what our own environment says. Besides these it
     * gets PATH, HOME and LANG. NULL = no more.
     */
    const char *const *env;
    const char *directory; /* where it starts; NULL = an empty one, removed if it still is so */
    struct child_limits limits;
    size_t line_max;   /* bytes of a line of its output; of a longer one the beginning comes */
    size_t unsent_max; /* bytes that wait until it reads them */
    uint32_t grace_ms; /* at the end: for each of input closed, SIGTERM; then SIGKILL */
    /* Called from the loop. A line comes without its end. `cut`: there was more of it. */
    void (*on_line)(void *ctx, struct str line, bool cut);
    void (*on_note)(void *ctx, struct str line); /* of its standard error, cut at 1000 bytes */
    /* Once, unless child_close came before: it has ended by itself, and `c` is gone. */
    void (*on_exit)(void *ctx, int64_t status, int signal);
    void *ctx;
};

/*
 * The process ignores SIGPIPE.
 * conf     borrowed for the call
 * ERR_CONF: it cannot be started (there is no such program, or no right to run it).
 */
enum err_kind child_open(struct loop *loop, const struct child_conf *conf, struct child **ret,
                         struct err *why);
int child_pid(const struct child *c);
/* The bytes are copied. ERR_LIMIT: it does not read. ERR_IO: it has closed its input. */
enum err_kind child_write(struct child *c, struct str bytes, struct err *why);
/*
 * No callback from now on. Its input is closed; if it does not end by itself, it is told to and
 * then made to, with all its own children. That goes on while the loop runs, up to twice the grace.
 * Allowed in on_line and on_note; NULL is fine.
 */
void child_close(struct child *c);
