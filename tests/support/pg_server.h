/*
 * pg_server - a private PostgreSQL for one test: its own cluster in a new directory, on a unix
 * socket only, without fsync. Dies with the test's process. As root it runs as user postgres.
 *
 * The empty cluster is made once by initdb and kept for the next test; so is what a test names. It
 * has the database "postgres" and no other, templates neither: quicker to copy.
 */
#pragma once
#include <signal.h>
#include <sys/types.h>

struct pg_server {
    pid_t pid; /* 0: not running */
    char dir[64];
    char url[128]; /* of user postgres, database postgres */
    /* Further command line arguments of the server, or NULL: "-c max_connections=5". No quotes. */
    const char *args;
};

/* Start and wait until it takes connections; aborts when it does not within 20 s. After
 * pg_server_shut it starts again with its data and address. */
void pg_server_start(struct pg_server *s);
/* The same, from a copy of the cluster that was kept under this name. 0: none was, it is empty. */
int pg_server_start_kept(struct pg_server *s, const char *name);
/* Keep a copy of its data, as the server is shut, for tests to come. name: says what is in it. */
void pg_server_keep(const struct pg_server *s, const char *name);
/* SIGINT: "fast", sessions are told; SIGQUIT: "immediate", like a crash. Waits for its end. */
void pg_server_shut(struct pg_server *s, int sig);
void pg_server_stop(struct pg_server *s);   /* end it and remove its directory */
void pg_server_freeze(struct pg_server *s); /* with all its processes */
void pg_server_thaw(struct pg_server *s);
/* Run SQL by psql and return what it printed, unaligned, without the last newline; the buffer is
 * static. Blocks; aborts when psql fails. */
const char *pg_server_sql(struct pg_server *s, const char *sql);
