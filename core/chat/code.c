/* code: eight random digits of Crockford's base 32. */
#include "core/chat/code.h"

#include "core/base/rand.h"
#include "core/net/sign.h"

void code_make(char ret[CODE_CHARS + 1])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (size_t i = 0; i < CODE_CHARS; i++) ret[i] = digits[rand_below(32)];
    ret[CODE_CHARS] = '\0';
}

struct str code_hash(struct arena *a, struct str code)
{
    char plain[CODE_CHARS];
    uint8_t hash[32];
    size_t n = 0;
    for (size_t i = 0; i < code.n && n < CODE_CHARS; i++) {
        char c = code.p[i];
        if (c != '-' && c != ' ') plain[n++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    char *hex = arena_alloc(a, 2 * sizeof hash + 1);
    sign_sha256(str_from(plain, n), hash);
    sign_hex(hash, sizeof hash, hex);
    return str_of(hex);
}
