/*
 * in - a webhook that comes in: whose is it, is it signed, what does it say, take it. One flow a
 * request; it answers it, too.
 *
 *   202 {"request": ID}                      taken, and committed
 *   200 {"request": ID, "duplicate": true}   it was here before
 *   200 {"dropped": WHY}                     well received, but no news
 *   400 no JSON · 401 signed too long ago, or no such API key · 403 the key may not, or the hook is
 * off 404 there is no such hook, or it is not signed by its secret: which of them, a stranger does
 * not learn 413 too large · 422 the template does not fit · 429 · 503 not now
 */
#pragma once
#include "core/chat/chat.h"
#include "core/net/http_server.h"

#define HOOK_BODY_MAX  ((size_t)1 << 20)
#define HOOK_NAME_MAX  64
#define HOOK_KEY_SCOPE "hooks:post"

/* What they have in common. */
struct hook_door {
    struct chat *chat;
    int64_t rate_per_minute; /* of an API key without a limit of its own; 0 = none */
    uint8_t seal[32];
    struct buf nobody; /* a sealed secret that nobody knows: for hooks that do not exist */
    struct list posts; /* struct hook_post.flow.link */
};

/* secret: admin.secret, not empty. */
void hook_door_open(struct hook_door *door, struct chat *chat, struct str secret);
void hook_door_close(struct hook_door *door); /* answers all that are under way with 503 */

/* The key that secrets of hooks are sealed with. */
void hook_seal_key(struct str secret, uint8_t ret[32]);

/* A..Z are not: an address should not differ by them. */
bool hook_name_is_good(struct str name);

/*
 * Take `in` and answer it.
 * name               of the hook, from the path
 * key_hash, _prefix  of the API key that it came with, as migrations/0012_admin.sql wants them;
 *                    "" = none. All copied.
 */
void hook_in_begin(struct hook_door *door, struct http_in *in, struct str name, struct str key_hash,
                   struct str key_prefix);
extern const struct flow_kind hook_in_flow;
