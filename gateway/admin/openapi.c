/* openapi: the tables of operations as an OpenAPI 3.1 description. Pure. */
#include "gateway/admin/admin.h"
#include "gateway/admin/op.h"
#include "gateway/admin/subjects.h"

static void field_is(struct json_out *to, const char *key, const char *value)
{
    json_field_str(to, key, str_of(value));
}

/* {"KEY": ...}: the closing brace is the caller's. */
static void open_at(struct json_out *to, const char *key, char bracket)
{
    json_key(to, key);
    json_open(to, bracket);
}

static const struct {
    const char *type, *format;
} kinds[] = {
    [ADMIN_TEXT] = { "string", NULL },   [ADMIN_INT] = { "integer", NULL },
    [ADMIN_NUMBER] = { "number", NULL }, [ADMIN_BOOL] = { "boolean", NULL },
    [ADMIN_UUID] = { "string", "uuid" }, [ADMIN_TIME] = { "string", "date-time" },
    [ADMIN_WORD] = { "string", NULL },   [ADMIN_TEXTS] = { "array", NULL },
    [ADMIN_OBJECT] = { "object", NULL }, [ADMIN_ANY] = { NULL, NULL },
};

static void put_type(struct json_out *to, const struct admin_field *f)
{
    const char *type = kinds[f->kind].type;
    if (!type) return;
    if (!(f->flags & ADMIN_NULLABLE)) {
        field_is(to, "type", type);
        return;
    }
    open_at(to, "type", '[');
    json_put_str(to, str_of(type));
    json_put_str(to, STR("null"));
    json_close(to, ']');
}

static void put_bounds(struct json_out *to, const struct admin_field *f)
{
    bool text = f->kind == ADMIN_TEXT, number = f->kind == ADMIN_INT || f->kind == ADMIN_NUMBER;
    if (!f->min && !f->max) return;
    if (text || number) {
        json_field_i64(to, text ? "minLength" : "minimum", f->min);
        json_field_i64(to, text ? "maxLength" : "maximum", f->max);
    } else if (f->kind == ADMIN_TEXTS) {
        json_field_i64(to, "maxItems", f->max);
    }
}

static void put_words(struct json_out *to, const struct admin_field *f)
{
    open_at(to, "enum", '[');
    for (size_t i = 0; f->words[i]; i++) json_put_str(to, str_of(f->words[i]));
    if (f->flags & ADMIN_NULLABLE) json_put_null(to);
    json_close(to, ']');
}

static void put_schema(struct json_out *to, const struct admin_field *f)
{
    json_open(to, '{');
    put_type(to, f);
    if (kinds[f->kind].format) field_is(to, "format", kinds[f->kind].format);
    if (f->help) field_is(to, "description", f->help);
    if (f->words) put_words(to, f);
    put_bounds(to, f);
    if (f->kind == ADMIN_TEXTS) {
        open_at(to, "items", '{');
        field_is(to, "type", "string");
        json_close(to, '}');
    }
    json_close(to, '}');
}

/* An object of those fields for which `wanted` is true. */
static void put_object(struct json_out *to, const struct admin_field *fields,
                       bool (*wanted)(const struct admin_op *op, const struct admin_field *f),
                       const struct admin_op *op)
{
    json_open(to, '{');
    field_is(to, "type", "object");
    open_at(to, "properties", '{');
    for (const struct admin_field *f = fields; f && f->name; f++) {
        if (wanted && !wanted(op, f)) continue;
        json_key(to, f->name);
        put_schema(to, f);
    }
    json_close(to, '}');
    if (fields) json_field_bool(to, "additionalProperties", false);
    bool some = false;
    for (const struct admin_field *f = fields; f && f->name; f++)
        some |= (f->flags & ADMIN_REQUIRED) && (!wanted || wanted(op, f));
    if (some) open_at(to, "required", '[');
    for (const struct admin_field *f = fields; some && f->name; f++)
        if ((f->flags & ADMIN_REQUIRED) && (!wanted || wanted(op, f)))
            json_put_str(to, str_of(f->name));
    if (some) json_close(to, ']');
    json_close(to, '}');
}

static bool in_body(const struct admin_op *op, const struct admin_field *f)
{
    return admin_takes_body(op) && !admin_in_path(op, f->name);
}

static void put_parameter(struct json_out *to, const struct admin_field *f, const char *in)
{
    json_open(to, '{');
    field_is(to, "name", f->name);
    field_is(to, "in", in);
    json_field_bool(to, "required", (f->flags & ADMIN_REQUIRED) != 0);
    json_key(to, "schema");
    put_schema(to, f);
    json_close(to, '}');
}

static const struct admin_field if_match = { "If-Match", ADMIN_TEXT,
                                             .help = "The ETag of what you have seen: 412 if "
                                                     "somebody has changed it since." };
static const struct admin_field once = { "Idempotency-Key", ADMIN_TEXT, .min = 1, .max = 200,
                                         .help = "A repeated request with the same key does "
                                                 "nothing and gets the same answer, for a day." };

static void put_parameters(struct json_out *to, const struct admin_op *op)
{
    open_at(to, "parameters", '[');
    for (const struct admin_field *f = op->args; f && f->name; f++) {
        if (admin_in_path(op, f->name))
            put_parameter(to, f, "path");
        else if (!admin_takes_body(op))
            put_parameter(to, f, "query");
    }
    for (const struct admin_field *f = admin_page_args; (op->flags & ADMIN_LIST) && f->name; f++)
        put_parameter(to, f, "query");
    if (strcmp(op->method, "GET") != 0) put_parameter(to, &if_match, "header");
    if (strcmp(op->method, "POST") == 0) put_parameter(to, &once, "header");
    json_close(to, ']');
}

static void put_body(struct json_out *to, const struct admin_op *op)
{
    bool some = false, required = false;
    for (const struct admin_field *f = op->args; f && f->name; f++) {
        some |= in_body(op, f);
        required |= in_body(op, f) && (f->flags & ADMIN_REQUIRED);
    }
    if (!some) return;
    open_at(to, "requestBody", '{');
    json_field_bool(to, "required", required);
    open_at(to, "content", '{');
    open_at(to, "application/json", '{');
    json_key(to, "schema");
    put_object(to, op->args, in_body, op);
    json_close(to, '}');
    json_close(to, '}');
    json_close(to, '}');
}

static void put_ref(struct json_out *to, const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "#/components/schemas/%s", name);
    json_open(to, '{');
    field_is(to, "$ref", path);
    json_close(to, '}');
}

static void put_page(struct json_out *to, const char *name)
{
    json_open(to, '{');
    field_is(to, "type", "object");
    open_at(to, "properties", '{');
    open_at(to, "items", '{');
    field_is(to, "type", "array");
    json_key(to, "items");
    put_ref(to, name);
    json_close(to, '}');
    json_key(to, "next");
    json_put_raw(to,
                 STR("{\"type\":[\"string\",\"null\"],\"description\":\"For `after`; null: this is "
                     "the last page.\"}"));
    json_close(to, '}');
    json_key(to, "required");
    json_put_raw(to, STR("[\"items\",\"next\"]"));
    json_close(to, '}');
}

static void put_answers(struct json_out *to, const struct admin_op *op)
{
    open_at(to, "responses", '{');
    open_at(to, !op->answer ? "204" : op->flags & ADMIN_CREATES ? "201" : "200", '{');
    field_is(to, "description", op->answer ? op->answer->name : "Done.");
    if (op->answer) {
        open_at(to, "content", '{');
        open_at(to, "application/json", '{');
        json_key(to, "schema");
        if (op->flags & ADMIN_LIST)
            put_page(to, op->answer->name);
        else
            put_ref(to, op->answer->name);
        json_close(to, '}');
        json_close(to, '}');
    }
    json_close(to, '}');
    json_key(to, "default");
    json_put_raw(
        to, STR("{\"description\":\"A no, and why.\",\"content\":{\"application/problem+json\":"
                "{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}"));
    json_close(to, '}');
}

static void put_op(struct json_out *to, const struct admin_op *op)
{
    struct str tag = str_of(op->id);
    char method[8];
    size_t n = strlen(op->method);
    for (size_t i = 0; i <= n; i++) method[i] = (char)(op->method[i] | (i < n ? 0x20 : 0));
    open_at(to, method, '{');
    field_is(to, "operationId", op->id);
    field_is(to, "summary", op->summary);
    open_at(to, "tags", '[');
    json_put_str(to, str_cut(&tag, '.'));
    json_close(to, ']');
    json_key(to, "security");
    json_open(to, '[');
    if (op->scope) {
        json_open(to, '{');
        open_at(to, "key", '[');
        json_put_str(to, str_of(op->scope));
        json_close(to, ']');
        json_close(to, '}');
    }
    json_close(to, ']');
    put_parameters(to, op);
    put_body(to, op);
    put_answers(to, op);
    json_close(to, '}');
}

/* Has an earlier operation the same path (or, for types, the same answer)? */
static bool seen(const struct admin_op *op,
                 bool (*same)(const struct admin_op *, const struct admin_op *))
{
    for (const struct admin_op *const *t = admin_ops; *t; t++)
        for (const struct admin_op *o = *t; o->id; o++) {
            if (o == op) return false;
            if (same(o, op)) return true;
        }
    return false;
}

static bool same_path(const struct admin_op *a, const struct admin_op *b)
{
    return strcmp(a->path, b->path) == 0;
}

static bool same_type(const struct admin_op *a, const struct admin_op *b)
{
    return a->answer == b->answer;
}

static void put_path(struct json_out *to, const struct admin_op *first)
{
    open_at(to, first->path, '{');
    for (const struct admin_op *const *t = admin_ops; *t; t++)
        for (const struct admin_op *o = *t; o->id; o++)
            if (same_path(o, first)) put_op(to, o);
    json_close(to, '}');
}

static void put_components(struct json_out *to)
{
    open_at(to, "components", '{');
    open_at(to, "securitySchemes", '{');
    json_key(to, "key");
    json_put_raw(
        to, STR("{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":\"A key made by `parley "
                "keys create`; an operation lists the scope that it needs.\"}"));
    json_close(to, '}');
    open_at(to, "schemas", '{');
    json_key(to, "Problem");
    json_put_raw(
        to, STR("{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},\"title\":"
                "{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":"
                "\"string\"},\"field\":{\"type\":\"string\"}},\"required\":[\"type\",\"title\","
                "\"status\",\"detail\"]}"));
    for (const struct admin_op *const *t = admin_ops; *t; t++)
        for (const struct admin_op *o = *t; o->id; o++) {
            if (!o->answer || seen(o, same_type)) continue;
            json_key(to, o->answer->name);
            put_object(to, o->answer->fields, NULL, o);
        }
    json_close(to, '}');
    json_close(to, '}');
}

bool admin_openapi(struct buf *text)
{
    struct json_out to = JSON_OUT(text);
    json_open(&to, '{');
    field_is(&to, "openapi", "3.1.0");
    json_key(&to, "info");
    json_put_raw(&to, STR("{\"title\":\"Parley admin API\",\"version\":\"1\",\"license\":{\"name\":"
                          "\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}}"));
    json_key(&to, "servers");
    json_put_raw(&to, STR("[{\"url\":\"" ADMIN_PATH "\"}]"));
    open_at(&to, "paths", '{');
    for (const struct admin_op *const *t = admin_ops; *t; t++)
        for (const struct admin_op *o = *t; o->id; o++)
            if (!seen(o, same_path)) put_path(&to, o);
    json_close(&to, '}');
    put_components(&to);
    json_close(&to, '}');
    return !text->full;
}

/* ---- the description as an operation of its own ---- */

static enum flow_rc describe(struct admin_call *call)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(call->body.max);
    admin_openapi(&text);
    return admin_answer(call, 200, buf_str(&text));
}

static const struct admin_type openapi_type = { "OpenAPI", NULL };

const struct admin_op admin_openapi_ops[] = {
    { .id = "openapi.get",
      .method = "GET",
      .path = "/openapi.json",
      .summary = "This description.",
      .answer = &openapi_type,
      .run = describe },
    { .id = NULL },
};
