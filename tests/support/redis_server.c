/*
 * Runs redis-server as a child. Uses nothing of the driver under test.
 */
#include "tests/support/redis_server.h"

#include "tests/support/port.h"
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARG_TEXT 96

static void die(const char *what)
{
    perror(what);
    abort();
}

static void run_server(const struct redis_server *s, pid_t parent)
{
    char port[16], path[ARG_TEXT];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    snprintf(port, sizeof(port), "%d", s->port);
    snprintf(path, sizeof(path), "%s/redis.sock", s->dir);
    if (!freopen("/dev/null", "w", stdout)) _exit(1);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket",
           path, "--dir", s->dir, "--save", "", "--appendonly", "no", "--daemonize", "no",
           "--databases", "16", (char *)NULL);
    perror("redis-server");
    _exit(127);
}

static void wait_until_it_answers(struct redis_server *s)
{
    for (int i = 0; i < 500; i++) {
        if (strcmp(redis_server_cli(s, "ping"), "PONG") == 0) return;
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) break;
        usleep(20000);
    }
    fprintf(stderr, "redis-server in %s does not answer\n", s->dir);
    abort();
}

void redis_server_start(struct redis_server *s)
{
    pid_t parent = getpid();

    if (!*s->dir) {
        snprintf(s->dir, sizeof(s->dir), "/tmp/parley-redis-XXXXXX");
        if (!mkdtemp(s->dir)) die("mkdtemp");
        s->port = port_free();
        snprintf(s->unix_url, sizeof(s->unix_url), "unix://%s/redis.sock", s->dir);
        snprintf(s->tcp_url, sizeof(s->tcp_url), "redis://127.0.0.1:%d", s->port);
    }
    s->pid = fork();
    if (s->pid < 0) die("fork");
    if (s->pid == 0) run_server(s, parent);
    wait_until_it_answers(s);
}

void redis_server_kill(struct redis_server *s)
{
    if (!s->pid) return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void redis_server_stop(struct redis_server *s)
{
    char path[ARG_TEXT];

    redis_server_kill(s);
    snprintf(path, sizeof(path), "%s/redis.sock", s->dir);
    unlink(path);
    rmdir(s->dir);
    *s = (struct redis_server){ .pid = 0 };
}

void redis_server_freeze(struct redis_server *s)
{
    /* Stopped is what waitpid reports, not what kill began. */
    kill(s->pid, SIGSTOP);
    waitpid(s->pid, NULL, WUNTRACED);
}

void redis_server_thaw(struct redis_server *s)
{
    kill(s->pid, SIGCONT);
}

const char *redis_server_cli(struct redis_server *s, const char *args)
{
    static char out[4096];
    char command[1024];

    snprintf(command, sizeof(command), "redis-cli -s %s/redis.sock %s 2>/dev/null", s->dir, args);
    FILE *f = popen(command, "r");
    if (!f) die("popen");
    size_t n = fread(out, 1, sizeof(out) - 1, f);
    pclose(f);
    if (n && out[n - 1] == '\n') n--;
    out[n] = '\0';
    return out;
}
