/*
 * child - see child.h. The record lives until the process has ended and libuv has closed every
 * handle: child_close only makes it silent.
 *
 * We fork by ourselves, as uv_spawn lets nothing be done between fork and exec: limits that come a
 * moment later do not bind what the program has started by then.
 */
#include "core/loop/child.h"
#include "core/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOTE_MAX     1000
#define READ_SIZE    65536
#define DRAIN_MS     200 /* after its end: for what is left in the pipes */
#define FILES_MAX    1024
#define ENV_MAX      64
#define ENV_TEXT_MAX (64 * 1024)

enum { CHILD_IN, CHILD_OUT, CHILD_NOTES, N_PIPES };

/* Of one of its outputs: the line that has not ended yet. */
struct lines {
    struct buf held;
    bool skipping; /* its beginning was handed on, its end has not come */
};

struct child {
    struct loop *loop;
    struct child_conf conf;
    uv_signal_t ending;     /* of any child: was it ours? */
    char own_directory[32]; /* "" = the one of the configuration */
    uv_pipe_t pipes[N_PIPES];
    uv_timer_t timer;
    struct lines out, notes;
    size_t unsent;
    int64_t status;
    int signal, pid;
    unsigned n_open; /* handles, of N_PIPES + 2 */
    bool silent;     /* nobody hears of it any more */
    bool input_open, ended, closing, terminated;
};

struct child_write {
    uv_write_t req;
    struct child *child;
    size_t n;
    char bytes[];
};

/* ---- the end ---- */

static void on_closed(uv_handle_t *h)
{
    struct child *c = h->data;
    if (--c->n_open) return;
    if (*c->own_directory) rmdir(c->own_directory); /* what it left in it is not ours to remove */
    buf_done(&c->out.held);
    buf_done(&c->notes.held);
    free(c);
}

static void close_input(struct child *c)
{
    if (!c->input_open) return;
    c->input_open = false;
    uv_close((uv_handle_t *)&c->pipes[CHILD_IN], on_closed);
}

/* The process is no more, or never was. What it left running goes with it. */
static void child_end(struct child *c)
{
    if (c->closing) return;
    c->closing = true;
    if (c->pid) kill(-c->pid, SIGKILL);
    close_input(c);
    uv_close((uv_handle_t *)&c->pipes[CHILD_OUT], on_closed);
    uv_close((uv_handle_t *)&c->pipes[CHILD_NOTES], on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
    uv_close((uv_handle_t *)&c->ending, on_closed);
    if (c->silent) return;
    c->silent = true;
    c->conf.on_exit(c->conf.ctx, c->status, c->signal);
}

static void on_drained(uv_timer_t *t)
{
    child_end(t->data);
}

static void on_ended(uv_signal_t *sig, int number)
{
    struct child *c = sig->data;
    int status = 0;
    (void)number;
    if (c->ended || waitpid(c->pid, &status, WNOHANG) == 0) return;
    uv_signal_stop(sig);
    c->ended = true;
    c->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    c->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool read_all = !uv_is_active((uv_handle_t *)&c->pipes[CHILD_OUT]) &&
                    !uv_is_active((uv_handle_t *)&c->pipes[CHILD_NOTES]);
    if (c->silent || read_all)
        child_end(c);
    else
        uv_timer_start(&c->timer, on_drained, DRAIN_MS, 0);
}

static void on_grace_over(uv_timer_t *t)
{
    struct child *c = t->data;
    kill(-c->pid, c->terminated ? SIGKILL : SIGTERM);
    if (!c->terminated) uv_timer_start(t, on_grace_over, c->conf.grace_ms, 0);
    c->terminated = true;
}

/* ---- its output ---- */

static void hand_on(struct child *c, const struct lines *l, struct str line, bool cut)
{
    if (str_ends(line, STR("\r"))) line.n--;
    if (c->silent || (!line.n && !cut)) return;
    if (l == &c->out)
        c->conf.on_line(c->conf.ctx, line, cut);
    else
        c->conf.on_note(c->conf.ctx, line);
}

/* `piece` is part of a line, up to its end if `whole`. */
static void take_piece(struct child *c, struct lines *l, struct str piece, bool whole)
{
    bool cut = piece.n > l->held.max - l->held.n;
    if (!l->skipping) buf_add(&l->held, str_head(piece, l->held.max - l->held.n));
    if (!l->skipping && (whole || cut)) {
        hand_on(c, l, buf_str(&l->held), cut);
        buf_clear(&l->held);
        l->skipping = true;
    }
    if (whole) l->skipping = false;
}

static void take_bytes(struct child *c, struct lines *l, struct str bytes)
{
    for (size_t n; (n = str_find_char(bytes, '\n')) != SIZE_MAX; bytes = str_skip(bytes, n + 1))
        take_piece(c, l, str_head(bytes, n), true);
    if (bytes.n) take_piece(c, l, bytes, false);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *ret)
{
    static char room[READ_SIZE]; /* what is read is handed on before the next read */
    (void)h, (void)n;
    *ret = uv_buf_init(room, sizeof(room));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct child *c = s->data;
    struct lines *l = s == (uv_stream_t *)&c->pipes[CHILD_OUT] ? &c->out : &c->notes;
    if (n > 0) {
        take_bytes(c, l, str_from(b->base, (size_t)n));
        return;
    }
    if (n == 0) return;
    uv_read_stop(s);
    if (l->held.n) take_piece(c, l, STR_NONE, true);
    if (c->ended && !uv_is_active((uv_handle_t *)&c->pipes[CHILD_OUT]) &&
        !uv_is_active((uv_handle_t *)&c->pipes[CHILD_NOTES]))
        child_end(c);
}

/* ---- its input ---- */

static void on_written(uv_write_t *req, int status)
{
    struct child_write *w = container_of(req, struct child_write, req);
    w->child->unsent -= w->n;
    if (status < 0) close_input(w->child);
    free(w);
}

enum err_kind child_write(struct child *c, struct str bytes, struct err *why)
{
    if (!c->input_open || c->ended)
        return err_set(why, ERR_IO, "the program takes no input any more");
    if (bytes.n > c->conf.unsent_max - c->unsent)
        return err_set(why, ERR_LIMIT, "the program does not read what it is sent");
    struct child_write *w = mem_alloc(sizeof(*w) + bytes.n);
    w->child = c;
    w->n = bytes.n;
    memcpy(w->bytes, bytes.p, bytes.n);
    uv_buf_t b = uv_buf_init(w->bytes, (unsigned)bytes.n);
    c->unsent += bytes.n;
    int rc = uv_write(&w->req, (uv_stream_t *)&c->pipes[CHILD_IN], &b, 1, on_written);
    if (rc == 0) return ERR_NONE;
    c->unsent -= w->n;
    free(w);
    return err_set(why, ERR_IO, "the program has closed its input");
}

/* ---- the beginning ---- */

struct env {
    char *v[ENV_MAX + 1];
    size_t n;
    struct buf text;
};

/* A variable that is there already stays as it is: what is configured comes first. */
static void env_add(struct env *e, struct str name, struct str value)
{
    for (size_t i = 0; i < e->n; i++) {
        struct str other = str_of(e->v[i]);
        if (str_eq(str_cut(&other, '='), name)) return;
    }
    size_t bytes = name.n + value.n + 2;
    if (e->n == ENV_MAX || !buf_room(&e->text, bytes)) return;
    e->v[e->n++] = e->text.p + e->text.n;
    buf_add(&e->text, name);
    buf_add_char(&e->text, '=');
    buf_add(&e->text, value);
    buf_add_char(&e->text, '\0');
}

static void env_inherit(struct env *e, const char *name)
{
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): nobody changes it */
    if (value) env_add(e, str_of(name), str_of(value));
}

static void env_make(struct env *e, const char *const *more)
{
    static const char *const needed[] = { "PATH", "HOME", "LANG" };
    *e = (struct env){ .n = 0 };
    buf_init(&e->text, ENV_TEXT_MAX);
    buf_room(&e->text, ENV_TEXT_MAX); /* nothing moves: v points into it */
    for (; more && *more; more++) {
        struct str value = str_of(*more), name = str_cut(&value, '=');
        if (strchr(*more, '='))
            env_add(e, name, value);
        else
            env_inherit(e, *more);
    }
    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) env_inherit(e, needed[i]);
}

static struct child *child_new(struct loop *loop, const struct child_conf *conf)
{
    struct child *c = mem_new(struct child);
    *c = (struct child){ .loop = loop, .conf = *conf, .n_open = N_PIPES + 2, .input_open = true };
    buf_init(&c->out.held, conf->line_max);
    buf_init(&c->notes.held, NOTE_MAX);
    for (int i = 0; i < N_PIPES; i++) {
        uv_pipe_init(&loop->uv, &c->pipes[i], 0);
        c->pipes[i].data = c;
    }
    uv_timer_init(&loop->uv, &c->timer);
    uv_signal_init(&loop->uv, &c->ending);
    c->timer.data = c->ending.data = c;
    return c;
}

/* What the child's end of the pipes is, and where it says why it could not become the program. */
struct ends {
    int std[N_PIPES], tell;
};

/* Bounds that we have ourselves are not exceeded. */
static void limit(int what, int64_t most)
{
    struct rlimit r;
    if (most < 0 || getrlimit((__rlimit_resource_t)what, &r) != 0) return;
    if ((rlim_t)most < r.rlim_max) r.rlim_max = (rlim_t)most;
    r.rlim_cur = r.rlim_max;
    setrlimit((__rlimit_resource_t)what, &r);
}

/* RLIMIT_DATA, not RLIMIT_AS: Node and Go reserve much more address space than they use. */
static void set_limits(const struct child_limits *l)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, FILES_MAX);
    limit(RLIMIT_DATA, l->memory ? l->memory : -1);
    limit(RLIMIT_CPU, l->cpu_ms ? (l->cpu_ms + 999) / 1000 : -1);
    limit(RLIMIT_NPROC, l->processes ? l->processes : -1);
}

/* Between fork and exec, where nothing but system calls is safe. */
static _Noreturn void become(const struct child *c, const char *directory, char **env,
                             struct ends *ends)
{
    sigset_t none;
    sigemptyset(&none);
    for (int n = 1; n < NSIG; n++) signal(n, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL); /* NOLINT(concurrency-mt-unsafe): one thread is left */
    setsid();                              /* a group of its own, all of which can be ended */
    /* Above those that are put in place now: one of ours may have been closed when we began. */
    for (int i = 0; i < N_PIPES; i++) ends->std[i] = fcntl(ends->std[i], F_DUPFD_CLOEXEC, N_PIPES);
    ends->tell = fcntl(ends->tell, F_DUPFD_CLOEXEC, N_PIPES);
    for (int i = 0; i < N_PIPES; i++) dup2(ends->std[i], i);
    bool well = close_range(N_PIPES, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0 &&
                prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && chdir(directory) == 0;
    set_limits(&c->conf.limits);
    if (well) execvpe(c->conf.argv[0], (char **)(uintptr_t)c->conf.argv, env);
    int why = errno;
    if (write(ends->tell, &why, sizeof(why)) < 0) _exit(126);
    _exit(127);
}

/* Returns 0 when the program runs, else errno. */
static int fork_exec(struct child *c, const char *directory, struct ends *ends, int heard)
{
    struct env env;
    sigset_t all, before;
    int why = 0;
    env_make(&env, c->conf.env);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* none of our handlers runs in the child */
    c->pid = fork();
    if (c->pid == 0) become(c, directory, env.v, ends);
    if (c->pid < 0) why = errno;
    close(ends->tell);
    if (c->pid > 0 && read(heard, &why, sizeof(why)) > 0) waitpid(c->pid, NULL, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (why) c->pid = 0;
    buf_done(&env.text);
    return why;
}

/* Ours are opened in `c`. Returns 0, or libuv's negative error. */
static int make_pipes(struct child *c, struct ends *ret, int *ret_heard)
{
    int fds[2], rc = 0;
    for (int i = 0; i < N_PIPES && rc == 0; i++) {
        bool in = i == CHILD_IN;
        rc = uv_pipe(fds, in ? 0 : UV_NONBLOCK_PIPE, in ? UV_NONBLOCK_PIPE : 0);
        if (rc != 0) break;
        ret->std[i] = fds[in ? 0 : 1];
        rc = uv_pipe_open(&c->pipes[i], fds[in ? 1 : 0]);
        if (rc != 0) close(fds[in ? 1 : 0]);
    }
    if (rc == 0) rc = uv_pipe(fds, 0, 0);
    if (rc != 0) return rc;
    *ret_heard = fds[0];
    ret->tell = fds[1];
    return 0;
}

static int spawn(struct child *c)
{
    struct ends ends = { .std = { -1, -1, -1 }, .tell = -1 };
    const char *directory = c->conf.directory;
    int heard = -1, rc = 0;
    if (!directory) {
        snprintf(c->own_directory, sizeof(c->own_directory), "/tmp/parley.XXXXXX");
        directory = mkdtemp(c->own_directory);
        if (!directory) rc = -errno;
    }
    if (rc == 0) rc = uv_signal_start(&c->ending, on_ended, SIGCHLD); /* not to miss it */
    if (rc == 0) rc = make_pipes(c, &ends, &heard);
    if (rc == 0) rc = -fork_exec(c, directory, &ends, heard);
    if (heard >= 0) close(heard);
    for (int i = 0; i < N_PIPES; i++)
        if (ends.std[i] >= 0) close(ends.std[i]);
    return rc;
}

enum err_kind child_open(struct loop *loop, const struct child_conf *conf, struct child **ret,
                         struct err *why)
{
    struct child *c = child_new(loop, conf);
    int rc = spawn(c);
    c->conf.argv = c->conf.env = NULL;
    c->conf.directory = NULL;
    if (rc != 0) {
        c->silent = true;
        child_end(c);
        return err_set(why, ERR_CONF, "%s: cannot be started: %s", conf->argv[0], uv_strerror(rc));
    }
    uv_read_start((uv_stream_t *)&c->pipes[CHILD_OUT], on_alloc, on_read);
    uv_read_start((uv_stream_t *)&c->pipes[CHILD_NOTES], on_alloc, on_read);
    *ret = c;
    return ERR_NONE;
}

int child_pid(const struct child *c)
{
    return c->pid;
}

void child_close(struct child *c)
{
    if (!c || c->silent) return;
    c->silent = true;
    close_input(c);
    if (c->ended)
        child_end(c);
    else
        uv_timer_start(&c->timer, on_grace_over, c->conf.grace_ms, 0);
}
