/*
 * out - webhooks to those who subscribed to events, as https://www.standardwebhooks.com has it.
 *
 * What is to be sent stands in webhook_deliveries. Each process takes what is due, under a lease,
 * posts it, and records how it went; a process that dies in between leaves it to another one. So an
 * event arrives at least once, under the same webhook-id each time, and in no promised order.
 */
#pragma once
#include "core/base/conf.h"
#include "core/loop/flow.h"
#include "core/net/http_client.h"
#include "core/store/store.h"

struct hooks_out_conf {
    struct conf_list hosts; /* "host" or "host:port": may be private, and without TLS */
    struct conf_list retry; /* durations: waits between attempts; then it is a dead letter */
    int64_t timeout_ms;     /* of one attempt */
    int64_t patience_ms;    /* a subscription that only failed for so long is switched off */
};
extern const struct conf_field hooks_out_conf_fields[];
/* ERR_CONF: an entry of `retry` is no duration, or there are too many. */
enum err_kind hooks_out_conf_check(const struct hooks_out_conf *conf, struct err *why);

/*
 * The key under which the secrets of subscriptions are sealed in the database (net/sign.h).
 * secret   the configuration's admin.secret, not empty
 */
void hooks_out_key(struct str secret, uint8_t ret[32]);

struct hooks_out;
/*
 * conf     borrowed, and checked by hooks_out_conf_check
 * key      of hooks_out_key, copied
 * owner    this process's unique name, borrowed
 */
struct hooks_out *hooks_out_open(struct store *store, struct http_client *http,
                                 const struct hooks_out_conf *conf, const uint8_t key[32],
                                 const char *owner);
void hooks_out_start(struct hooks_out *h); /* the tables are there */
void hooks_out_drain(struct hooks_out *h); /* take nothing new */
bool hooks_out_idle(const struct hooks_out *h);
/* What is on its way is given up: when its lease ends it is sent again. NULL is fine. */
void hooks_out_close(struct hooks_out *h);
