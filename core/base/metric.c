/*
 * metric - the sorted list of all metrics in use, and its rendering.
 */
#include "core/base/metric.h"

#include <inttypes.h>
#include <math.h>

static const struct {
    double ms;
    const char *seconds;
} bounds[METRIC_BUCKETS] = {
    { 1, "0.001" },  { 2, "0.002" },  { 5, "0.005" },  { 10, "0.01" },       { 25, "0.025" },
    { 50, "0.05" },  { 100, "0.1" },  { 250, "0.25" }, { 500, "0.5" },       { 1000, "1" },
    { 2500, "2.5" }, { 10000, "10" }, { 60000, "60" }, { INFINITY, "+Inf" },
};

static struct metric *all; /* by name, then labels */
static struct metric_probe *probes;

static bool before(const struct metric *a, const struct metric *b)
{
    int order = strcmp(a->name, b->name);
    return order ? order < 0 : strcmp(a->labels, b->labels) < 0;
}

static void list_once(struct metric *m)
{
    if (m->listed) return;
    struct metric **at = &all;
    while (*at && before(*at, m)) at = &(*at)->next;
    m->next = *at;
    *at = m;
    m->listed = true;
}

static bool render_number(struct buf *to, double v)
{
    if (isnan(v)) return buf_add_cstr(to, "NaN\n");
    if (isinf(v)) return buf_add_cstr(to, v > 0 ? "+Inf\n" : "-Inf\n");
    return buf_addf(to, "%.15g\n", v);
}

/* name + suffix {labels} and a space. */
static bool render_name(struct buf *to, const struct metric *m, const char *suffix)
{
    bool bare = *m->labels == '\0';
    return buf_addf(to, "%s%s%s%s%s ", m->name, suffix, bare ? "" : "{", m->labels,
                    bare ? "" : "}");
}

static bool render_histogram(struct buf *to, const struct metric *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        sum += m->buckets[i];
        if (!buf_addf(to, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", m->name, m->labels,
                      *m->labels ? "," : "", bounds[i].seconds, sum))
            return false;
    }
    return render_name(to, m, "_sum") && render_number(to, m->sum_ms / 1000) &&
           render_name(to, m, "_count") && buf_addf(to, "%" PRIu64 "\n", m->count);
}

static bool render_one(struct buf *to, const struct metric *m)
{
    if (m->type == METRIC_HISTOGRAM) return render_histogram(to, m);
    return render_name(to, m, "") && render_number(to, m->value);
}

void metric_add(struct metric *m, double by)
{
    list_once(m);
    m->value += by;
}

void metric_set(struct metric *m, double value)
{
    list_once(m);
    m->value = value;
}

void metric_observe_ms(struct metric *m, double ms)
{
    list_once(m);
    size_t i = 0;
    while (i < METRIC_BUCKETS - 1 && ms > bounds[i].ms) i++;
    m->buckets[i]++;
    m->count++;
    m->sum_ms += ms;
}

void metric_probe_add(struct metric_probe *p)
{
    p->next = probes;
    probes = p;
}

void metric_probe_drop(struct metric_probe *p)
{
    for (struct metric_probe **at = &probes; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            return;
        }
    }
}

bool metric_render(struct buf *to)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    for (struct metric_probe *p = probes, *next; p; p = next) {
        next = p->next;
        p->update(p->ctx);
    }
    const char *name = "";
    for (const struct metric *m = all; m; m = m->next) {
        if (strcmp(name, m->name) != 0) {
            name = m->name;
            buf_addf(to, "# HELP %s %s\n# TYPE %s %s\n", name, m->help, name, types[m->type]);
        }
        if (!render_one(to, m)) break;
    }
    return !to->full;
}
