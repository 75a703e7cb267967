/* secret: what is made for whoever asked, shown once, and kept so that only we can use it. */
#include "core/base/rand.h"
#include "core/hook/signature.h"
#include "core/net/sign.h"
#include "gateway/admin/call.h"

#define SECRET_MAX 200

void admin_secret_new(const struct admin_call *call, const char *purpose, uint8_t ret[32])
{
    if (!call->once.n) {
        rand_bytes(ret, 32);
        return;
    }
    _cleanup_(buf_done) struct buf text = BUF_INIT(4096);
    buf_addf(&text, "%s\n%s\n%.*s\n%.*s", purpose, call->op->id, STR_ARG(call->values[0].text),
             STR_ARG(call->once));
    sign_hmac_sha256(str_of(call->admin->app->settings->admin.secret), buf_str(&text), ret);
}

void admin_secret_show(struct admin_call *call, const char *name, struct str text)
{
    call->shown_name = name;
    call->shown = arena_dup(&call->arena, text);
}

struct str admin_secret_seal(struct admin_call *call, const char *purpose, const uint8_t key[32],
                             struct str given, struct json_out *more)
{
    uint8_t bytes[32];
    _cleanup_(buf_done) struct buf text = BUF_INIT(SECRET_MAX);
    _cleanup_(buf_done) struct buf sealed = BUF_INIT(3 * SECRET_MAX);
    if (given.n) {
        buf_add(&text, given);
    } else {
        admin_secret_new(call, purpose, bytes);
        signature_secret(bytes, sizeof bytes, &text);
        admin_secret_show(call, "secret", buf_str(&text));
    }
    sign_seal_same(key, buf_str(&text), &sealed); /* an Idempotency-Key compares the arguments */
    json_field_str(more, "sealed", buf_str(&sealed));
    return arena_dup(&call->arena, buf_str(&text));
}
