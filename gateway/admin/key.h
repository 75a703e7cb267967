/*
 * key - API keys: how they look, and what of them is kept.
 *
 * parley_PREFIX_SECRET: eight and sixty-four hex digits. PostgreSQL has the prefix, to name it by,
 * and a hash that needs admin.secret to be made: whoever reads the database cannot make keys, nor
 * try them out.
 */
#pragma once
#include "core/base/arena.h"
#include "gateway/admin/admin.h"

#define KEY_TEXT_MAX 96
#define KEY_HASH_MAX 65

struct key_parts {
    struct str prefix; /* "": this is not what our keys look like */
    struct str hash;   /* HMAC-SHA256 of the whole key, as hex */
};
/* Of any text; what ret points to is the arena's. */
void key_parts(struct arena *a, const struct admin *admin, struct str key, struct key_parts *ret);

/* The text of a key from 32 secret bytes. */
void key_text(const uint8_t secret[32], char ret[KEY_TEXT_MAX]);

/* What is kept of a key: HMAC-SHA256 of the whole of it by admin.secret, as hex. */
void key_hash(struct str admin_secret, struct str key, char ret[KEY_HASH_MAX]);
