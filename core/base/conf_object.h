/*
 * conf_object - a value that is a JSON object: written as a group, or as its text in quotes, which
 * alone has room for null and for keys that no group can have.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/err.h"
#include <libconfig.h>

#define CONF_OBJECT_MAX ((size_t)64 * 1024) /* bytes of JSON */

/*
 * Append the object, without white space.
 * s      of any type. ERR_CONF: "must be ...", which goes behind the place and the key
 */
enum err_kind conf_object_write(const config_setting_t *s, struct buf *to, struct err *why);
