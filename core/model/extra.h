/*
 * extra - more members of a request, as they are configured: what a server knows and we do not.
 */
#pragma once
#include "core/model/remote.h"

/* ERR_CONF: it has a member that every request has from us, or is for a model that makes vectors.
 * As model_type.check. */
enum err_kind extra_check(const struct model *m, struct err *why);
/*
 * Write the members into the object that is open.
 * group    NULL = the request itself, without m->type->extra_group; else that one
 */
void extra_put(struct json_out *o, const struct model *m, const char *group, struct arena *arena);
/* Is there anything to be written into that group? */
bool extra_has(const struct model *m, const char *group);
