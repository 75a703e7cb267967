/*
 * redis_server - a private redis-server for one test: in a new directory, on a unix socket and on a
 * free port of 127.0.0.1. Dies with the test's process.
 */
#pragma once
#include <sys/types.h>

struct redis_server {
    pid_t pid; /* 0: not running */
    int port;
    char dir[64];
    char unix_url[96], tcp_url[64];
};

/* Start and wait until it answers; aborts when it does not within 10 s. After redis_server_kill it
 * starts again at the same addresses, without data. */
void redis_server_start(struct redis_server *s);
void redis_server_stop(struct redis_server *s); /* end it and remove its directory */
void redis_server_kill(struct redis_server *s); /* SIGKILL */
void redis_server_freeze(struct redis_server *s);
void redis_server_thaw(struct redis_server *s);
/* Run `redis-cli ARGS` against it and return what it printed, without the last newline; the buffer
 * is static. Blocks: do not call while the server is frozen. */
const char *redis_server_cli(struct redis_server *s, const char *args);
