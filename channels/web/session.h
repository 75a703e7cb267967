/*
 * session - cookies, identities, origins and the invite key of the web channel. Pure.
 *
 * A browser has a random token in a cookie; what the database knows of it is a hash, so that nobody
 * who reads the database can come back as somebody else. Whoever came by the invite link has a
 * second cookie, signed with the key: another key makes all of them worthless.
 */
#pragma once
#include "core/base/conf.h"
#include "core/base/str.h"

#define SESSION_TOKEN_MAX    65 /* 256 bits in hex, and a NUL */
#define SESSION_IDENTITY_MAX 33
#define SESSION_ACCESS_MAX   98 /* 16 random bytes, a dot, HMAC-SHA256 */

/* The value of a cookie in a Cookie header; "" = not there. */
struct str session_cookie(struct str header, const char *name);

void session_token_make(char ret[SESSION_TOKEN_MAX]);
/* Who has this token; false: it is none of ours. */
bool session_identity(struct str token, char ret[SESSION_IDENTITY_MAX]);

void session_access_make(struct str key, char ret[SESSION_ACCESS_MAX]);
bool session_access_valid(struct str key, struct str access); /* constant time in the key */
bool session_key_right(struct str key, struct str guess);     /* constant time */

/* A page of `origin` may speak for itself: its host and port are those it calls, or it is listed.
 */
bool session_origin_fits(struct str origin, struct str host, const struct conf_list *also);
bool session_host_local(struct str host); /* of a Host header: means this machine, everywhere */

enum origin_kind {
    ORIGIN_BAD,   /* not "http://host[:port]" or "https://host[:port]" */
    ORIGIN_LOCAL, /* a page of this machine */
    ORIGIN_OTHER,
};
enum origin_kind session_origin_kind(struct str origin);
bool session_address_local(const char *address); /* an IP that only this machine reaches */
