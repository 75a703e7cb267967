/* flag: looking one up, by its type. */
#include "core/flag/rule.h"

const struct flag_value *flag_find(const struct flags *f, enum flag_id id,
                                   const struct flag_who *who, struct flag_why *why)
{
    return flag_table_find(f ? f->table : NULL, id, who, why);
}

bool flag_bool(const struct flags *f, enum flag_id id, const struct flag_who *who)
{
    return flag_bool_or(f, id, who, false);
}

bool flag_bool_or(const struct flags *f, enum flag_id id, const struct flag_who *who,
                  bool configured)
{
    const struct flag_value *v = flag_find(f, id, who, NULL);
    return v->set ? v->number != 0 : configured;
}

int64_t flag_int(const struct flags *f, enum flag_id id, const struct flag_who *who)
{
    return flag_int_or(f, id, who, 0);
}

int64_t flag_int_or(const struct flags *f, enum flag_id id, const struct flag_who *who,
                    int64_t configured)
{
    const struct flag_value *v = flag_find(f, id, who, NULL);
    return v->set ? v->number : configured;
}

const char *flag_text(const struct flags *f, enum flag_id id, const struct flag_who *who)
{
    return flag_find(f, id, who, NULL)->text;
}
