/*
 * ws_impl - between ws_upgrade.c, which knows HTTP, and ws.c, which knows libwebsockets.
 */
#pragma once
#include "core/net/ws.h"

struct ws_server;
/* gone: the last callback, some turns after ws_server_close. */
struct ws_server *ws_server_open(struct loop *loop, void (*gone)(void *owner), void *owner);
void ws_server_close(struct ws_server *w);
bool ws_server_works(const struct ws_server *w);
size_t ws_connections_max(const struct ws_route *route);

/* From here on `closed` is due. */
struct ws_conn *ws_conn_new(struct ws_server *w, struct ws_route *route, void *user);
void ws_conn_drop(struct ws_conn *c); /* it came to nothing */
/* fd: libwebsockets closes it; handshake: what it is to read first. May call `open` inside. */
void ws_conn_adopt(struct ws_conn *c, int fd, struct str handshake);
