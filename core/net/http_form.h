/*
 * http_form - reading application/x-www-form-urlencoded
 * (url.spec.whatwg.org/#application/x-www-form-urlencoded).
 */
#pragma once
#include "core/base/buf.h"

/*
 * Cut the first field off *form (which must not be empty) and write it, decoded, into the buffers,
 * whose earlier content is replaced. False: a broken escape, U+0000, no UTF-8, or over a buffer's
 * maximum; *form has moved on all the same.
 */
bool http_form_next(struct str *form, struct buf *ret_key, struct buf *ret_value);

/* Append `s` as it stands for a value in a form or a query. */
void http_form_put(struct buf *to, struct str s);
