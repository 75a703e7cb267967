/*
 * link - the way from the command line to a gateway: where it is, and with what key.
 *
 * With PARLEY_KEY or --key-file it is that key. Without, the configuration of the gateway says
 * where its PostgreSQL is, and a key of an admin is put there that works for a minute and is taken
 * away at the end: who may read the configuration may do everything anyhow.
 */
#pragma once
#include "gateway/app.h"
#include "gateway/cli/cli.h"

struct cli_link {
    struct app app;  /* settings, loop, client; PostgreSQL only for a key of ours */
    char url[600];   /* of the API: http://127.0.0.1:8080/admin/v1 */
    char *key;       /* "" = none */
    char key_id[40]; /* of the key that was made; "" = it was not */
    bool asked;
};

/*
 * line     its options config, url and key-file
 * why      ERR_CONF: the command line or the configuration is wrong. Else: PostgreSQL cannot be
 *          reached. Nothing is left open.
 */
enum err_kind cli_link_open(struct cli_link *link, const struct cli_line *line, struct err *why);
void cli_link_close(struct cli_link *link);

/*
 * One request, to its end.
 * ret      zero-initialised; http_reply_done
 * ERR_NONE with any status; else as http_request, or PostgreSQL when our key had to be renewed.
 */
enum err_kind cli_link_ask(struct cli_link *link, const struct cli_line *line, struct str path,
                           struct str body, struct http_reply *ret, struct err *why);

/*
 * Where the configuration says that its gateway listens, as it is reached from this machine. Pure.
 * ERR_CONF: it does not say
 */
enum err_kind cli_link_url(const struct http_server_conf *http, char *ret, size_t size,
                           struct err *why);
