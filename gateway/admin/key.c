/* key: pure. */
#include "gateway/admin/key.h"
#include "core/net/sign.h"
#include <stdio.h>

#define PREFIX_HEX 8
#define SECRET_HEX 64

void key_text(const uint8_t secret[32], char ret[KEY_TEXT_MAX])
{
    char hex[SECRET_HEX + 1], name[SECRET_HEX + 1];
    uint8_t hash[32];
    sign_hex(secret, 32, hex);
    sign_sha256(str_of(hex), hash); /* so that a key's name says nothing about it */
    sign_hex(hash, 32, name);
    snprintf(ret, KEY_TEXT_MAX, "parley_%.*s_%s", PREFIX_HEX, name, hex);
}

void key_hash(struct str admin_secret, struct str key, char ret[KEY_HASH_MAX])
{
    uint8_t hash[32];
    sign_hmac_sha256(admin_secret, key, hash);
    sign_hex(hash, sizeof hash, ret);
}

void key_parts(struct arena *a, const struct admin *admin, struct str key, struct key_parts *ret)
{
    char hex[KEY_HASH_MAX];
    uint8_t ignored[PREFIX_HEX / 2];
    struct str rest = key, word = str_cut(&rest, '_'), prefix = str_cut(&rest, '_');
    bool ours = str_eq(word, STR("parley")) && rest.n == SECRET_HEX &&
                sign_unhex(prefix, ignored, sizeof ignored);
    key_hash(str_of(admin->app->settings->admin.secret), key, hex);
    ret->prefix = ours ? arena_dup(a, prefix) : STR_NONE;
    ret->hash = arena_dup(a, str_of(hex));
}
