/* rpc - see rpc.h. */
#include "core/tool/rpc.h"
#include "core/base/utf8.h"
#include "core/tool/visible.h"

#define META           "io.modelcontextprotocol/"
#define BASE64_HEAD    "=?base64?"
#define BASE64_TAIL    "?="
#define ERROR_TEXT_MAX 180

static const struct {
    const char *text;
    enum rpc_era era;
} versions[] = {
    /* the newest first */
    { RPC_MODERN_VERSION, RPC_ERA_MODERN }, { RPC_LEGACY_VERSION, RPC_ERA_LEGACY },
    { "2025-06-18", RPC_ERA_LEGACY },       { "2025-03-26", RPC_ERA_LEGACY },
    { "2024-11-05", RPC_ERA_LEGACY },
};
#define N_VERSIONS (sizeof(versions) / sizeof(*versions))

const char *rpc_version_find(struct str text, enum rpc_era *ret)
{
    for (size_t i = 0; i < N_VERSIONS; i++) {
        if (!str_eq(text, str_of(versions[i].text))) continue;
        *ret = versions[i].era;
        return versions[i].text;
    }
    return NULL;
}

static bool list_has(struct json *list, const char *text)
{
    struct str one;
    for (size_t i = 0; i < json_length(list); i++)
        if (json_str(json_at(list, i), &one) && str_eq(one, str_of(text))) return true;
    return false;
}

const char *rpc_version_best(struct json *list, enum rpc_era *ret)
{
    for (size_t i = 0; i < N_VERSIONS; i++) {
        if (!list_has(list, versions[i].text)) continue;
        *ret = versions[i].era;
        return versions[i].text;
    }
    return NULL;
}

/* ---- out ---- */

static void put_client_info(struct json_out *o, const char *key)
{
    json_key(o, key);
    json_open(o, '{');
    json_field_str(o, "name", STR("parley"));
    json_field_str(o, "version", STR(PARLEY_VERSION));
    json_close(o, '}');
}

static void put_empty(struct json_out *o, const char *key)
{
    json_key(o, key);
    json_open(o, '{');
    json_close(o, '}');
}

static void put_meta(struct json_out *o, const char *version)
{
    if (!version) return;
    json_key(o, "_meta");
    json_open(o, '{');
    json_field_str(o, META "protocolVersion", str_of(version));
    put_client_info(o, META "clientInfo");
    put_empty(o, META "clientCapabilities");
    json_close(o, '}');
}

/* Up to the params, which stay open. id 0: a notification. */
static void begin(struct json_out *o, int64_t id, const char *method)
{
    json_open(o, '{');
    json_field_str(o, "jsonrpc", STR("2.0"));
    if (id) json_field_i64(o, "id", id);
    json_field_str(o, "method", str_of(method));
    json_key(o, "params");
    json_open(o, '{');
}

static void end(struct json_out *o)
{
    json_close(o, '}');
    json_close(o, '}');
}

void rpc_put_discover(struct buf *to, int64_t id, const char *version)
{
    struct json_out o = JSON_OUT(to);
    begin(&o, id, "server/discover");
    put_meta(&o, version);
    end(&o);
}

void rpc_put_initialize(struct buf *to, int64_t id)
{
    struct json_out o = JSON_OUT(to);
    begin(&o, id, "initialize");
    json_field_str(&o, "protocolVersion", STR(RPC_LEGACY_VERSION));
    put_empty(&o, "capabilities");
    put_client_info(&o, "clientInfo");
    end(&o);
}

void rpc_put_initialized(struct buf *to)
{
    struct json_out o = JSON_OUT(to);
    json_open(&o, '{');
    json_field_str(&o, "jsonrpc", STR("2.0"));
    json_field_str(&o, "method", STR("notifications/initialized"));
    json_close(&o, '}');
}

void rpc_put_list(struct buf *to, int64_t id, struct str cursor, const char *version)
{
    struct json_out o = JSON_OUT(to);
    begin(&o, id, "tools/list");
    if (cursor.n) json_field_str(&o, "cursor", cursor);
    put_meta(&o, version);
    end(&o);
}

void rpc_put_call(struct buf *to, int64_t id, struct str name, struct json *arguments,
                  const char *version)
{
    struct json_out o = JSON_OUT(to);
    begin(&o, id, "tools/call");
    json_field_str(&o, "name", name);
    json_key(&o, "arguments");
    json_put_raw(&o, STR_NONE);
    json_write(arguments, to);
    put_meta(&o, version);
    end(&o);
}

void rpc_put_cancelled(struct buf *to, int64_t id, const char *reason)
{
    struct json_out o = JSON_OUT(to);
    begin(&o, 0, "notifications/cancelled");
    json_field_i64(&o, "requestId", id);
    json_field_str(&o, "reason", str_of(reason));
    end(&o);
}

void rpc_put_reply(struct buf *to, struct json *id, struct str method)
{
    struct json_out o = JSON_OUT(to);
    json_open(&o, '{');
    json_field_str(&o, "jsonrpc", STR("2.0"));
    json_key(&o, "id");
    json_put_raw(&o, STR_NONE);
    json_write(id, to);
    if (str_eq(method, STR("ping"))) {
        put_empty(&o, "result");
    } else {
        json_key(&o, "error");
        json_open(&o, '{');
        json_field_i64(&o, "code", -32601);
        json_field_str(&o, "message", STR("this client does nothing for servers"));
        json_close(&o, '}');
    }
    json_close(&o, '}');
}

/* ---- in ---- */

static enum err_kind no_message(struct rpc_message *m, const char *what, struct err *why)
{
    json_free(m->doc);
    *m = (struct rpc_message){ 0 };
    return err_set(why, ERR_PROTO, "no message of the protocol: %s", what);
}

static bool take_answer(struct rpc_message *m)
{
    struct json *error = json_get(m->doc, "error");
    m->body = json_get(m->doc, "result");
    m->what = RPC_RESULT;
    if (json_is_object(m->body)) return true;
    if (!json_is_object(error)) return false;
    m->what = RPC_ERROR;
    m->body = json_get(error, "data");
    json_get_i64(error, "code", &m->code);
    json_get_str(error, "message", &m->text);
    return true;
}

enum err_kind rpc_parse(struct str text, struct rpc_message *ret, struct err *why)
{
    struct rpc_message m = { .text = STR_NONE, .method = STR_NONE };
    struct str version = STR_NONE;
    if (json_parse(text, &m.doc, why) != ERR_NONE) return ERR_PROTO;
    if (!json_is_object(m.doc)) return no_message(&m, "not an object", why);
    if (!json_get_str(m.doc, "jsonrpc", &version) || !str_eq(version, STR("2.0")))
        return no_message(&m, "jsonrpc is not 2.0", why);
    m.raw_id = json_get(m.doc, "id");
    if (json_i64(m.raw_id, &m.id) && m.id < 0) m.id = 0;
    if (json_get_str(m.doc, "method", &m.method)) {
        m.what = m.raw_id ? RPC_REQUEST : RPC_NOTE;
        m.body = json_get(m.doc, "params");
    } else if (!take_answer(&m)) {
        return no_message(&m, "neither method nor result nor error", why);
    }
    *ret = m;
    return ERR_NONE;
}

void rpc_message_done(struct rpc_message *m)
{
    json_free(m->doc);
    *m = (struct rpc_message){ 0 };
}

enum err_kind rpc_refusal(const struct rpc_message *m, struct err *why)
{
    _cleanup_(buf_done) struct buf clean = BUF_INIT(4 * ERROR_TEXT_MAX);
    struct str head = str_head(m->text, ERROR_TEXT_MAX);
    visible_add(&clean, str_head(head, head.n - utf8_partial_tail(head)));
    for (size_t i = 0; i < clean.n; i++)
        if (clean.p[i] == '\n' || clean.p[i] == '\t') clean.p[i] = ' ';
    return err_set(why, ERR_REFUSED, "the server says: %.*s (%lld)", STR_ARG(buf_str(&clean)),
                   (long long)m->code);
}

bool rpc_is_modern_error(const struct rpc_message *m)
{
    return m->what == RPC_ERROR && m->code <= RPC_HEADER_MISMATCH &&
           m->code >= RPC_UNSUPPORTED_VERSION;
}

/* ---- header values ---- */

static bool is_plain(struct str s)
{
    if (s.n && (s.p[0] <= ' ' || s.p[s.n - 1] <= ' ')) return false;
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] > '~') return false;
    return !(str_starts(s, STR(BASE64_HEAD)) && str_ends(s, STR(BASE64_TAIL)));
}

static void add_base64(struct buf *to, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        unsigned char in[3] = { 0 };
        size_t n = s.n - i < 3 ? s.n - i : 3;
        memcpy(in, s.p + i, n);
        unsigned v = (unsigned)in[0] << 16 | (unsigned)in[1] << 8 | in[2];
        for (unsigned k = 0; k < 4; k++)
            buf_add_char(to, k > n ? '=' : digits[v >> (18 - 6 * k) & 63]);
    }
}

struct str rpc_header_value(struct arena *a, struct str text)
{
    if (is_plain(text)) return text;
    _cleanup_(buf_done) struct buf coded = BUF_INIT(text.n * 2 + 32);
    buf_add_cstr(&coded, BASE64_HEAD);
    add_base64(&coded, text);
    buf_add_cstr(&coded, BASE64_TAIL);
    return arena_dup(a, buf_str(&coded));
}
