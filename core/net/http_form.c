/* http_form: fields, one after the other. */
#include "core/net/http_form.h"

#include "core/net/http_server_impl.h"

static bool put_decoded(struct buf *to, struct str s)
{
    buf_clear(to);
    if (s.n == 0) return true;
    char *room = buf_room(to, s.n);
    if (!room) return false;
    size_t n = s.n;
    memcpy(room, s.p, n);
    bool good = http_decode(room, &n, true);
    buf_grew(to, good ? n : 0);
    return good;
}

bool http_form_next(struct str *form, struct buf *ret_key, struct buf *ret_value)
{
    struct str value = str_cut(form, '&'), key = str_cut(&value, '=');
    bool good = put_decoded(ret_key, key);
    return put_decoded(ret_value, value) && good;
}

void http_form_put(struct buf *to, struct str s)
{
    static const char plain[] = "-._~";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (word || (c && strchr(plain, c)))
            buf_add_char(to, (char)c);
        else
            buf_addf(to, "%%%02X", c);
    }
}
