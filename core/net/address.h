/*
 * address - which IP addresses are of the public internet. Pure.
 *
 * Who fetches what a stranger names (a tool server, a picture) must not be led to what only this
 * machine or its network can reach: other services, routers, the cloud's metadata.
 */
#pragma once
#include "core/base/conf.h"
#include <stdbool.h>
#include <sys/socket.h>

/*
 * False: loopback, private, link-local (169.254.169.254 among them), shared (100.64.0.0/10),
 * multicast, reserved or documentation addresses by IANA's special-purpose registries; IPv6
 * addresses that hold such an IPv4 address (mapped, translated, 6to4, Teredo); any other family.
 * As http_request.guard.
 */
bool address_is_public(const struct sockaddr *a);
/* 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104. */
bool address_is_loopback(const struct sockaddr *a);

/* "host:port" of a URL, as it is written, a user name before it included; "" = there is none. */
struct str address_authority(struct str url);

/*
 * Whether the host of a URL, with its port if it names one, is in a list of the configuration: one
 * that may be private, or without TLS. A URL with a user name in it never is.
 */
bool address_host_listed(struct str url, const struct conf_list *hosts);
