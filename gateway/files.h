/*
 * files - how many files the process may have open: its connections, for the most part. The shell's
 * or the service manager's first word is often 1024, and thousands of people need more.
 */
#pragma once
#include "gateway/app.h"

struct files {
    uint64_t needed;  /* at most, by the configuration: all connections that it allows at once */
    uint64_t allowed; /* to this process from now on */
};

/*
 * Raise the soft limit to what is needed, or as near to it as the hard limit lets us; never lower
 * it. No more than that: libwebsockets has a table as long as the limit, made with the first
 * WebSocket, so call this before any. Channels are loaded.
 */
struct files files_raise(const struct app *app);
