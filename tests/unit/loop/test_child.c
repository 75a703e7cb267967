/*
 * Children: lines in any size, the environment they get, and every way to an end.
 */
#include "core/base/mem.h"
#include "core/loop/child.h"
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define LINE_MAX_BYTES 64
#define UNSENT_MAX     (256 * 1024)

static struct loop loop;
static struct child *child;
static struct buf lines, notes; /* each behind a |; one that was cut has a + */
static unsigned n_lines, n_ends;
static int64_t end_status;
static int end_signal;
static bool close_at_line;
static uint32_t grace_ms = 100;
static struct child_limits limits;
static const char *directory;

static void on_line(void *ctx, struct str line, bool cut)
{
    cr_assert_eq(ctx, &loop);
    buf_addf(&lines, "%.*s%s|", STR_ARG(line), cut ? "+" : "");
    n_lines++;
    if (close_at_line) child_close(child);
}

static void on_note(void *ctx, struct str line)
{
    (void)ctx;
    buf_addf(&notes, "%.*s|", STR_ARG(line));
}

static void on_exit_of(void *ctx, int64_t status, int number)
{
    (void)ctx;
    n_ends++;
    end_status = status;
    end_signal = number;
}

static enum err_kind try_open(const char *const *argv, const char *const *env, struct err *why)
{
    const struct child_conf conf = { .argv = argv,
                                     .env = env,
                                     .directory = directory,
                                     .limits = limits,
                                     .line_max = LINE_MAX_BYTES,
                                     .unsent_max = UNSENT_MAX,
                                     .grace_ms = grace_ms,
                                     .on_line = on_line,
                                     .on_note = on_note,
                                     .on_exit = on_exit_of,
                                     .ctx = &loop };
    return child_open(&loop, &conf, &child, why);
}

static void sh(const char *script)
{
    const char *const argv[] = { "sh", "-c", script, NULL };
    struct err why = ERR_INIT;
    cr_assert_eq(try_open(argv, NULL, &why), ERR_NONE, "%s", why.msg);
}

#define UNTIL(cond) \
    for (int i_ = 0; !(cond) && i_ < 5000; i_++) loop_run_for(&loop, 2)

static bool is_alive(int pid)
{
    return kill(pid, 0) == 0;
}

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    loop_open(&loop);
    buf_init(&lines, 1 << 20);
    buf_init(&notes, 1 << 20);
}

static void teardown(void)
{
    loop_close(&loop);
    buf_done(&lines);
    buf_done(&notes);
}

TestSuite(child, .init = setup, .fini = teardown, .timeout = 30);

Test(child, talks_in_lines)
{
    struct err why = ERR_INIT;
    sh("cat; echo bye; exit 3");
    cr_expect_eq(child_write(child, STR("one\ntw"), &why), ERR_NONE);
    cr_expect_eq(child_write(child, STR("o\r\n\nlast, without an end"), &why), ERR_NONE);
    UNTIL(n_lines == 2);
    cr_expect_str_eq(lines.p, "one|two|");
    child_close(child);
    loop_run_for(&loop, 300);
    cr_expect_eq(n_lines, 2, "silent once it is closed");
    cr_expect_eq(n_ends, 0);
}

Test(child, all_it_said_comes_before_its_end)
{
    sh("echo a; echo n >&2; printf b; exit 3");
    UNTIL(n_ends);
    cr_expect_str_eq(lines.p, "a|b|");
    cr_expect_str_eq(notes.p, "n|");
    cr_expect_eq(n_ends, 1);
    cr_expect_eq(end_status, 3);
    cr_expect_eq(end_signal, 0);
}

Test(child, a_signal_is_told)
{
    sh("kill -9 $$");
    UNTIL(n_ends);
    cr_expect_eq(end_signal, SIGKILL);
}

Test(child, long_lines_are_cut)
{
    sh("head -c 64 /dev/zero | tr '\\0' a; echo; head -c 200000 /dev/zero | tr '\\0' b; echo; echo c;"
       "head -c 2000 /dev/zero | tr '\\0' d >&2; echo >&2");
    UNTIL(n_ends);
    cr_assert_eq(n_lines, 3);
    cr_expect_eq(lines.n, (size_t)(64 + 1 + 64 + 2 + 2), "%zu: %s", lines.n, lines.p);
    cr_expect(str_find(buf_str(&lines), STR("aaaa|bbbb")) != SIZE_MAX);
    cr_expect(str_ends(buf_str(&lines), STR("bb+|c|")));
    cr_expect_eq(notes.n, (size_t)1001);
}

Test(child, gets_little_of_our_environment)
{
    const char *const argv[] = { "env", NULL };
    const char *const env[] = { "GIVEN=a=b", "LANG=xx", "INHERITED", "NOT_THERE", NULL };
    struct err why = ERR_INIT;
    setenv("INHERITED", "yes", 1);
    setenv("SECRET_TOKEN", "no", 1);
    cr_assert_eq(try_open(argv, env, &why), ERR_NONE, "%s", why.msg);
    UNTIL(n_ends);
    struct str got = buf_str(&lines);
    cr_expect(str_starts(got, STR("GIVEN=a=b|LANG=xx|INHERITED=yes|PATH=")), "%s", lines.p);
    cr_expect(str_find(got, STR("SECRET")) == SIZE_MAX, "%s", lines.p);
    cr_expect(str_find(got, STR("NOT_THERE")) == SIZE_MAX);
    size_t n = 0;
    while (got.n) n += str_cut(&got, '|').n > 0;
    cr_expect_leq(n, 5u, "%s", lines.p);
}

/* What it has from its first instruction on, and what all that it starts has, too. */
Test(child, is_held_within_limits)
{
    limits = (struct child_limits){ .memory = 256 << 20, .cpu_ms = 2500, .processes = 4000 };
    sh("for i in c n d t p; do ulimit -H$i; done; grep NoNewPrivs /proc/self/status");
    UNTIL(n_ends);
    cr_expect_str_eq(lines.p, "0|1024|262144|3|4000|NoNewPrivs:\t1|");
}

Test(child, has_no_limits_but_those_that_are_given)
{
    struct rlimit had;
    char text[32];
    getrlimit(RLIMIT_DATA, &had);
    snprintf(text, sizeof(text), had.rlim_max == RLIM_INFINITY ? "unlimited|" : "%llu|",
             (unsigned long long)had.rlim_max / 1024);
    sh("ulimit -Hd");
    UNTIL(n_ends);
    cr_expect_str_eq(lines.p, text);
}

Test(child, is_ended_when_it_computes_too_much)
{
    limits.cpu_ms = 1000;
    sh("(while :; do :; done) & wait $!; echo $?");
    UNTIL(n_ends);
    cr_expect_str_eq(lines.p, "137|", "also what it started: by SIGKILL");
}

Test(child, gets_no_more_memory_than_it_may)
{
    limits.memory = 64 << 20;
    sh("head -c 200m /dev/zero | tail -c 200m | wc -c");
    UNTIL(n_ends);
    cr_expect_str_eq(lines.p, "0|", "tail keeps all of it");
    cr_expect(strstr(notes.p, "memory exhausted"), "%s", notes.p);
}

Test(child, has_none_of_our_descriptors)
{
    cr_assert_geq(dup(STDIN_FILENO), 0);
    cr_assert_geq(dup2(STDIN_FILENO, 700), 0);
    sh("cd /proc/self/fd; echo [0-9]*");
    UNTIL(n_ends);
    cr_expect(str_starts(buf_str(&lines), STR("0 1 2|")) ||
                  str_starts(buf_str(&lines), STR("0 1 2 3|")),
              "%s", lines.p); /* 3 is where the shell reads the folder */
}

Test(child, starts_in_an_empty_directory)
{
    char path[64];
    sh("pwd; ls -A | wc -l; stat -c %a .");
    UNTIL(n_ends);
    struct str rest = buf_str(&lines), at = str_cut(&rest, '|');
    cr_expect(str_starts(at, STR("/tmp/parley.")), "%s", lines.p);
    cr_expect(str_eq(rest, STR("0|700|")), "%s", lines.p);
    snprintf(path, sizeof(path), "%.*s", STR_ARG(at));
    UNTIL(access(path, F_OK) != 0);
    cr_expect_neq(access(path, F_OK), 0, "it is removed");
}

Test(child, starts_where_it_is_told)
{
    struct err why = ERR_INIT;
    const char *const argv[] = { "pwd", NULL };
    directory = "/usr/bin";
    sh("pwd");
    UNTIL(n_ends);
    cr_expect_str_eq(lines.p, "/usr/bin|");
    directory = "/no/such/place";
    cr_expect_eq(try_open(argv, NULL, &why), ERR_CONF);
    cr_expect_eq(access("/usr/bin", F_OK), 0, "which is not ours");
}

Test(child, no_such_program)
{
    const char *const argv[] = { "no-such-program-here", NULL };
    struct err why = ERR_INIT;
    cr_expect_eq(try_open(argv, NULL, &why), ERR_CONF);
    cr_expect(strstr(why.msg, "no-such-program-here: cannot be started"), "%s", why.msg);
    cr_expect_eq(n_ends, 0);
}

Test(child, one_that_does_not_read_is_refused)
{
    struct err why = ERR_INIT;
    static char much[200 * 1024];
    sh("exec sleep 60");
    memset(much, 'x', sizeof(much));
    enum err_kind kind = ERR_NONE;
    int n = 0;
    for (; kind == ERR_NONE && n < 10; n++)
        kind = child_write(child, str_from(much, sizeof(much)), &why);
    cr_expect_eq(kind, ERR_LIMIT, "%s", why.msg);
    cr_expect_leq(n, 3);
    child_close(child);
}

Test(child, is_ended_gently)
{
    grace_ms = 5000; /* a busy machine is not that slow */
    sh("echo up; cat >/dev/null; exit 0");
    UNTIL(n_lines);
    int pid = child_pid(child);
    uint64_t began = uv_hrtime();
    child_close(child);
    UNTIL(!is_alive(pid));
    cr_expect_lt((uv_hrtime() - began) / 1000000, 4500u, "the end of its input was enough");
}

Test(child, is_terminated)
{
    sh("trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done");
    UNTIL(n_lines);
    int pid = child_pid(child);
    uint64_t began = uv_hrtime();
    child_close(child);
    UNTIL(!is_alive(pid));
    uint64_t took = (uv_hrtime() - began) / 1000000;
    cr_expect_geq(took, 95u, "%u ms", (unsigned)took);
}

Test(child, is_killed_with_its_own_children)
{
    sh("trap '' TERM; (trap '' TERM; echo $BASHPID; exec sleep 1000) & echo up $!; while :; do sleep 0.01; "
       "done");
    UNTIL(n_lines >= 1 && strstr(lines.p, "up "));
    int grandchild = atoi(strstr(lines.p, "up ") + 3);
    int pid = child_pid(child);
    cr_assert(is_alive(pid) && is_alive(grandchild));
    child_close(child);
    UNTIL(!is_alive(pid));
    cr_expect(!is_alive(pid));
    /* Nobody may be there to bury it: a zombie counts as alive. */
    char path[64], state[512] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", grandchild);
    for (int i = 0; i < 500; i++) {
        FILE *f = fopen(path, "r");
        if (!f) break;
        size_t n = fread(state, 1, sizeof(state) - 1, f);
        state[n] = '\0';
        fclose(f);
        if (strstr(state, ") Z ")) break;
        loop_run_for(&loop, 2);
    }
    cr_expect(!is_alive(grandchild) || strstr(state, ") Z "), "%s", state);
}

Test(child, an_end_that_leaves_others_behind_is_an_end)
{
    sh("sleep 1000 & echo up");
    UNTIL(n_ends);
    cr_expect_eq(n_ends, 1, "although somebody holds the other end of the pipe");
    cr_expect_str_eq(lines.p, "up|");
}

Test(child, may_be_closed_by_its_own_line)
{
    close_at_line = true;
    sh("echo a; echo b; exec sleep 60");
    UNTIL(n_lines);
    loop_run_for(&loop, 50);
    cr_expect_str_eq(lines.p, "a|");
}

Test(child, writing_to_one_that_closed_its_input)
{
    struct err why = ERR_INIT;
    sh("exec 0<&-; echo up; exec sleep 60");
    UNTIL(n_lines);
    enum err_kind kind = ERR_NONE;
    for (int i = 0; i < 20 && kind == ERR_NONE; i++) {
        kind = child_write(child, STR("x\n"), &why);
        loop_run_for(&loop, 5);
    }
    child_close(child);
    cr_expect_eq(kind, ERR_IO, "%s", why.msg);
}
