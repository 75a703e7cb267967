/*
 * json - reading through json-c (strict, valid UTF-8, depth 32), writing straight into a buf.
 *
 * Getters are lenient about what may be absent and strict about types: a getter that returns false
 * has left *ret as it was, so a default can be set before. Strings are views into the document:
 * they live until json_free.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/err.h"

struct json; /* a value inside a document; NULL is accepted by every getter and means "absent" */

/*
 * ERR_PROTO with the position on bad syntax, bad UTF-8, a lone surrogate, depth over 32 or bytes
 * after the end. U+0000 in a key is refused; in a string it comes out as a NUL byte inside the
 * view: utf8_clean before it leaves. Of keys that are there twice the last one wins. The text
 * `null` is a document that is NULL.
 */
enum err_kind json_parse(struct str text, struct json **ret, struct err *why);
/* The text of a JSON string without escapes, as most are: ret is what it says, a view. False: it is
 * something else, for json_parse. */
bool json_plain_string(struct str text, struct str *ret);
/*
 * JavaScript cuts strings between UTF-16 units, and writes the half of a character as "\ud83d",
 * which json_parse refuses. Append the text with each such half replaced. put      writes what
 * stands for the half, inside the quotes; NULL: \ufffd False: there is none, or `to` is full.
 */
bool json_mend_halves(struct str text, struct buf *to, void (*put)(struct buf *to, uint32_t unit));
void json_free(struct json *doc); /* NULL is fine; only for what json_parse returned */

struct json *json_get(struct json *obj, const char *key); /* NULL: absent, null or not an object */
bool json_get_str(struct json *obj, const char *key, struct str *ret);
bool json_get_i64(struct json *obj, const char *key,
                  int64_t *ret); /* an integer in range; no strings, no doubles */
bool json_get_f64(struct json *obj, const char *key, double *ret); /* finite; an integer will do */
bool json_get_bool(struct json *obj, const char *key, bool *ret);
bool json_is_object(struct json *v);
bool json_is_array(struct json *v);
bool json_str(struct json *v, struct str *ret); /* the value itself as a string */
bool json_i64(struct json *v, int64_t *ret);
bool json_f64(struct json *v, double *ret);
bool json_flag(struct json *v, bool *ret);
size_t json_length(struct json *arr);             /* 0 when not an array */
struct json *json_at(struct json *arr, size_t i); /* NULL: out of range or null */

/* The members of an object in their order: struct json_member m = { 0 }; while (json_next(o, &m))
 */
struct json_member {
    struct str key;     /* a view into the document */
    struct json *value; /* NULL: null */
    const void *at;     /* of json_next's own */
    bool begun;
};
bool json_next(struct json *obj, struct json_member *m); /* false: no more, or not an object */

/* Append the value as JSON text without white space; NULL: "null". False: `to` is full. */
bool json_write(struct json *v, struct buf *to);

/* Writing: commas and escapes are the writer's business. Errors stick in the buf (`full`). */
struct json_out {
    struct buf *to;
    uint32_t first; /* a bit a level: nothing written yet */
    unsigned depth; /* <= 31 */
    bool after_key;
};

#define JSON_OUT(buf_)           \
    {                            \
        .to = (buf_), .first = 1 \
    }

void json_open(struct json_out *o, char bracket);  /* '{' or '[' */
void json_close(struct json_out *o, char bracket); /* '}' or ']' */
void json_key(struct json_out *o, const char *key);
void json_put_str(struct json_out *o, struct str s); /* invalid UTF-8 and U+0000 become U+FFFD */
void json_put_i64(struct json_out *o, int64_t v);
void json_put_f64(struct json_out *o, double v); /* NaN and infinities become null */
void json_put_bool(struct json_out *o, bool v);
void json_put_null(struct json_out *o);
void json_put_raw(struct json_out *o, struct str json); /* already JSON */

/* key and value in one call */
void json_field_str(struct json_out *o, const char *key, struct str v);
void json_field_str_or_null(struct json_out *o, const char *key, struct str v); /* null: "" */
void json_field_i64(struct json_out *o, const char *key, int64_t v);
void json_field_bool(struct json_out *o, const char *key, bool v);
