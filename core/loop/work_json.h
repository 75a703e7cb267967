/*
 * work_json - a long JSON text, parsed on another thread: json-c takes 9 ms for a megabyte.
 */
#pragma once
#include "core/base/json.h"
#include "core/loop/op.h"

#define WORK_JSON_BYTES ((size_t)256 * 1024) /* shorter ones are parsed where they are */

/*
 * text     its content is taken, and given back when the op ends, but for cancel and ERR_TIMEOUT
 * ret      set on success; free with json_free
 * op       fails as json_parse, or with ERR_TIMEOUT after a minute
 */
void work_json_parse(struct op *op, struct buf *text, struct json **ret);
