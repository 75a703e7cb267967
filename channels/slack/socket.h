/*
 * socket - one connection of Socket Mode, from its address to its end
 * (docs.slack.dev/apis/events-api/using-socket-mode).
 *
 * Each envelope is acknowledged when what is in it is stored; what is not, Slack delivers again, by
 * this connection or another.
 */
#pragma once
#include "channels/slack/bot.h"

struct slack_socket;

enum slack_leave {
    SLACK_LEAVE_REFRESH,  /* the connection ends soon: have another one first */
    SLACK_LEAVE_TOO_MANY, /* Slack counts more than ten connections */
    SLACK_LEAVE_DISABLED, /* Socket Mode was switched off */
};

/* From the loop. Inside each, the socket may be retired or dropped. */
struct slack_socket_handler {
    void (*live)(void *user, struct slack_socket *k); /* hello: events may come */
    void (*leave)(void *user, struct slack_socket *k, enum slack_leave why);
    /* Exactly once, unless it was retired or dropped before; `k` is gone, and only a name. */
    void (*over)(void *user, const struct slack_socket *k, const struct err *why);
};

/* handler  alive as long as the socket. Calls nobody back inside. */
struct slack_socket *slack_socket_open(struct slack *s, const struct slack_socket_handler *handler,
                                       void *user);
bool slack_socket_is_live(const struct slack_socket *k);
/* Acknowledge what is on its way, for a few seconds, then close. Nobody is called back any more. */
void slack_socket_retire(struct slack_socket *k);
void slack_socket_drop(struct slack_socket *k); /* at once */

/* For close: also those that were retired. */
void slack_sockets_drop(struct slack *s);
