/*
 * server_impl - a server from the inside: for server*.c only.
 */
#pragma once
#include "core/loop/flow.h"
#include "core/tool/server.h"

#define SERVER_CALLS_MAX 64

/* Its wire is of no use any more: the next one who needs it begins anew. */
void server_drop_wire(struct server *s);
/* The list is to be asked for before the next use. */
void server_stale(struct server *s);
/* Begin connecting; s->waiters hear of the end. */
void server_open(struct server *s);
/* Connected or not: tell the waiters. why NULL: all is well. */
void server_opened(struct server *s, const struct err *why);
/* The wire, made if there is none. */
enum err_kind server_wire(struct server *s, struct err *why);
/* A complete list, whose definitions are compared: use it from now on. */
void server_take_catalog(struct server *s, struct catalog *fresh);
/* Who speaks in the log: "mcp/NAME"; a static buffer. */
const char *server_who(const struct server *s);
void server_stop_opening(struct server *s); /* if it connects; the waiters hear nothing */
void server_stop_calls(struct server *s);   /* those under way fail as ERR_CANCELLED */
