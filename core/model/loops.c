/* loops: see loops.h. */
#include "core/model/loops.h"

#define SAME_MAX   100
#define PERIOD_MAX ((size_t)1024)
#define REPEATS    10
#define RUN_MIN    ((size_t)4096) /* to write a line a hundred times is what some people ask for */
#define LOOK_EVERY 1024           /* bytes */
#define FENCE_MIN  3

void loops_piece(struct loops *l, struct str text, struct str piece)
{
    l->n_same = str_eq(str_skip(text, l->last_at), piece) ? l->n_same + 1 : 0;
    l->last_at = text.n;
}

/* ---- code ---- */

static size_t count_marks(struct str s, char mark)
{
    size_t n = 0;
    while (n < s.n && s.p[n] == mark) n++;
    return n;
}

/* A fence opens with three marks or more, and closes with as many and nothing behind them. However
 * far it is indented: that is a list's business. */
static void read_line(struct loops *l, struct str line)
{
    line = str_trim(line);
    char mark = l->fence || !line.n ? l->mark : line.p[0];
    size_t n = mark == '`' || mark == '~' ? count_marks(line, mark) : 0;
    if (l->fence) {
        if (n >= l->fence && n == line.n) l->fence = 0;
    } else if (n >= FENCE_MIN) {
        l->fence = n;
        l->mark = mark;
    }
}

static void read_lines(struct loops *l, struct str text)
{
    struct str rest = str_skip(text, l->line);
    for (size_t n; (n = str_find_char(rest, '\n')) != SIZE_MAX; rest = str_skip(rest, n + 1))
        read_line(l, str_head(rest, n));
    l->line = text.n - rest.n;
}

/* ---- repetitions ---- */

/* Of how many bytes the end of the text is made that come again and again; 0: of none. */
static size_t period_of(struct str text)
{
    for (size_t period = 1; period <= PERIOD_MAX; period++) {
        size_t run = period * REPEATS > RUN_MIN ? period * REPEATS : RUN_MIN;
        if (run > text.n) break;
        const char *tail = text.p + text.n - run;
        if (memcmp(tail, tail + period, run - period) == 0) return period;
    }
    return 0;
}

/* Of a list, its indented lines included, or of a table. */
static bool is_item(struct str line)
{
    size_t digits = 0;
    if (str_starts(line, STR("  ")) || str_starts(line, STR("\t")) || str_starts(line, STR("|")))
        return true;
    while (digits < line.n && line.p[digits] >= '0' && line.p[digits] <= '9') digits++;
    struct str mark = str_head(str_skip(line, digits), 2);
    if (digits) return str_eq(mark, STR(". ")) || str_eq(mark, STR(") "));
    return str_eq(mark, STR("- ")) || str_eq(mark, STR("* ")) || str_eq(mark, STR("+ "));
}

/* All lines of what is repeated: twice its length has each of them whole. */
static bool has_only_items(struct str text, size_t period)
{
    struct str rest = str_skip(text, text.n - 2 * period);
    size_t n_items = 0;
    str_cut(&rest, '\n');
    while (str_find_char(rest, '\n') != SIZE_MAX) {
        struct str line = str_cut(&rest, '\n');
        if (str_trim(line).n && !is_item(line)) return false;
        n_items += str_trim(line).n > 0;
    }
    return n_items > 0;
}

bool loops_caught(struct loops *l, struct str text)
{
    if (l->n_same >= SAME_MAX) return true;
    if (text.n < l->looked + LOOK_EVERY) return false;
    l->looked = text.n;
    read_lines(l, text);
    if (l->fence) return false;
    size_t period = period_of(text);
    return period && !has_only_items(text, period);
}
