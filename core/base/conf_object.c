/* conf_object: see conf_object.h. */
#include "core/base/conf_object.h"
#include "core/base/json.h"

#define DEPTH_MAX 16

static bool put_value(struct json_out *o, const config_setting_t *s, unsigned depth);

static bool put_members(struct json_out *o, const config_setting_t *s, unsigned depth)
{
    bool group = config_setting_is_group(s);
    if (depth == DEPTH_MAX) return false;
    json_open(o, group ? '{' : '[');
    for (int i = 0; i < config_setting_length(s); i++) {
        const config_setting_t *v = config_setting_get_elem(s, (unsigned)i);
        if (group) json_key(o, config_setting_name(v));
        if (!put_value(o, v, depth + 1)) return false;
    }
    json_close(o, group ? '}' : ']');
    return true;
}

/* False: it is nested too deeply. */
static bool put_value(struct json_out *o, const config_setting_t *s, unsigned depth)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT: json_put_i64(o, config_setting_get_int(s)); return true;
    case CONFIG_TYPE_INT64: json_put_i64(o, config_setting_get_int64(s)); return true;
    case CONFIG_TYPE_FLOAT: json_put_f64(o, config_setting_get_float(s)); return true;
    case CONFIG_TYPE_BOOL: json_put_bool(o, config_setting_get_bool(s)); return true;
    case CONFIG_TYPE_STRING: json_put_str(o, str_of(config_setting_get_string(s))); return true;
    default: return put_members(o, s, depth);
    }
}

static enum err_kind put_text(struct buf *to, struct str text, struct err *why)
{
    struct json *doc = NULL;
    struct err bad = ERR_INIT;
    if (json_parse(text, &doc, &bad) != ERR_NONE)
        return err_set(why, ERR_CONF, "must be a JSON object: %s", bad.msg);
    bool object = json_is_object(doc);
    if (object) json_write(doc, to);
    json_free(doc);
    return object ? ERR_NONE : err_set(why, ERR_CONF, "must be a JSON object");
}

enum err_kind conf_object_write(const config_setting_t *s, struct buf *to, struct err *why)
{
    struct json_out o = JSON_OUT(to);
    enum err_kind kind = ERR_NONE;
    if (config_setting_is_group(s)) {
        if (!put_value(&o, s, 0)) kind = err_set(why, ERR_CONF, "is nested too deeply");
    } else if (config_setting_type(s) == CONFIG_TYPE_STRING) {
        kind = put_text(to, str_of(config_setting_get_string(s)), why);
    } else {
        kind = err_set(why, ERR_CONF, "must be a group { ... }, or a JSON object in quotes");
    }
    if (kind == ERR_NONE && to->full) kind = err_set(why, ERR_CONF, "is too large");
    return kind;
}
