/*
 * target - where webhooks may be sent: to the public internet by TLS, and to the hosts that the
 * configuration names. Pure; what a name resolves to is looked at for each connection by
 * target_guard.
 */
#pragma once
#include "core/base/conf.h"
#include "core/base/err.h"
#include <sys/socket.h>

#define TARGET_URL_MAX 2000

/*
 * Whether an address may be kept. ERR_REFUSED, and a sentence without any part of the URL: not
 * https (but for the hosts of the configuration), a user name or a fragment in it, no host, one
 * that means this machine, or a number (also decimal, octal and hexadecimal ones, as inet_aton
 * reads them) that is no public address. hosts    "host" or "host:port", exempt from TLS and from
 * being public
 */
enum err_kind target_check(struct str url, const struct conf_list *hosts, struct err *why);

/* For http_request.guard: NULL when any address will do. */
bool (*target_guard(struct str url, const struct conf_list *hosts))(const struct sockaddr *to);
