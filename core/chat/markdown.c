/*
 * markdown - cmark-gfm behind a walk of our own: the only file that knows the library.
 */
#include "core/chat/markdown.h"

#include "core/base/mem.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>

struct markdown {
    cmark_parser *parser; /* owns the list of extensions, which rendering nodes point to */
    cmark_node *root;
    cmark_iter *walk;
};

/* The table comes first: it is left out where it would cost too much. */
static const char *const extension_names[] = { "table", "strikethrough", "autolink" };
#define N_EXTENSIONS (sizeof(extension_names) / sizeof(extension_names[0]))

/* Columns of a table, and cells of a text: more are shown as they were written. */
#define COLUMNS_MAX 128
#define CELLS_MAX   16384

/* The library's own registry lives as long as the process. */
static cmark_syntax_extension *const *extensions(void)
{
    static cmark_syntax_extension *found[N_EXTENSIONS];
    if (!found[0]) {
        cmark_gfm_core_extensions_ensure_registered();
        for (size_t i = 0; i < N_EXTENSIONS; i++)
            found[i] = cmark_find_syntax_extension(extension_names[i]);
    }
    return found;
}

/*
 * The parser fills up short rows, so a wide first line above many short ones takes the product of
 * both in time and memory: 4 KB can become half a million cells.
 */
static bool tables_are_cheap(struct str text)
{
    size_t columns = 0, lines = 0;
    while (text.n) {
        struct str line = str_cut(&text, '\n');
        size_t n = 1;
        for (size_t i = 0; i < line.n; i++) n += line.p[i] == '|';
        if (n > columns) columns = n;
        lines += n > 1;
    }
    return columns <= COLUMNS_MAX && columns * lines <= CELLS_MAX;
}

/* Node types of extensions get their numbers at run time and have no public names but these. */
static enum md_type extension_type(cmark_node *node)
{
    static const struct {
        const char *name;
        enum md_type type;
    } types[] = {
        { "table", MD_TABLE },     { "table_header", MD_ROW },     { "table_row", MD_ROW },
        { "table_cell", MD_CELL }, { "strikethrough", MD_STRIKE },
    };
    struct str name = str_of(cmark_node_get_type_string(node));
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (str_eq(name, str_of(types[i].name))) return types[i].type;
    return MD_DOCUMENT; /* an unknown container: its children are what counts */
}

static enum md_type type_of(cmark_node *node)
{
    switch ((unsigned)cmark_node_get_type(node)) {
    case CMARK_NODE_DOCUMENT: return MD_DOCUMENT;
    case CMARK_NODE_BLOCK_QUOTE: return MD_QUOTE;
    case CMARK_NODE_LIST: return MD_LIST;
    case CMARK_NODE_ITEM: return MD_ITEM;
    case CMARK_NODE_CODE_BLOCK: return MD_CODE_BLOCK;
    case CMARK_NODE_HTML_BLOCK: return MD_HTML_BLOCK;
    case CMARK_NODE_PARAGRAPH: return MD_PARAGRAPH;
    case CMARK_NODE_HEADING: return MD_HEADING;
    case CMARK_NODE_THEMATIC_BREAK: return MD_RULE;
    case CMARK_NODE_TEXT: return MD_TEXT;
    case CMARK_NODE_SOFTBREAK: return MD_SOFT_BREAK;
    case CMARK_NODE_LINEBREAK: return MD_HARD_BREAK;
    case CMARK_NODE_CODE: return MD_CODE;
    case CMARK_NODE_HTML_INLINE: return MD_HTML;
    case CMARK_NODE_EMPH: return MD_EMPH;
    case CMARK_NODE_STRONG: return MD_STRONG;
    case CMARK_NODE_LINK: return MD_LINK;
    case CMARK_NODE_IMAGE: return MD_IMAGE;
    default: return extension_type(node);
    }
}

/* Children are numbered as they come by: the next number waits in their parent. */
static int64_t next_number(cmark_node *parent)
{
    intptr_t number = (intptr_t)cmark_node_get_user_data(parent);
    cmark_node_set_user_data(parent, (void *)(number + 1));
    return number;
}

static void list_describe(cmark_node *list, struct md_event *e)
{
    e->ordered = cmark_node_get_list_type(list) == CMARK_ORDERED_LIST;
    e->tight = cmark_node_get_list_tight(list);
    e->number = cmark_node_get_list_start(list);
}

static enum md_align cell_align(cmark_node *row)
{
    cmark_node *table = cmark_node_parent(row);
    int64_t column = next_number(row);
    const uint8_t *aligns = cmark_gfm_extensions_get_table_alignments(table);
    if (!aligns || column >= cmark_gfm_extensions_get_table_columns(table)) return MD_ALIGN_NONE;
    switch (aligns[column]) {
    case 'l': return MD_ALIGN_LEFT;
    case 'c': return MD_ALIGN_CENTER;
    case 'r': return MD_ALIGN_RIGHT;
    default: return MD_ALIGN_NONE;
    }
}

static void item_describe(cmark_node *list, struct md_event *e)
{
    list_describe(list, e);
    if (e->enter) e->number = next_number(list);
}

static void describe(cmark_node *node, struct md_event *e)
{
    cmark_node *parent = cmark_node_parent(node);
    switch (e->type) {
    case MD_LIST:
        list_describe(node, e);
        if (e->enter) cmark_node_set_user_data(node, (void *)(intptr_t)e->number);
        break;
    case MD_ITEM: item_describe(parent, e); break;
    case MD_PARAGRAPH:
        if (type_of(parent) == MD_ITEM)
            e->tight = cmark_node_get_list_tight(cmark_node_parent(parent));
        break;
    case MD_CODE_BLOCK: e->info = str_of(cmark_node_get_fence_info(node)); /* fall through */
    case MD_HTML_BLOCK:
    case MD_TEXT:
    case MD_CODE:
    case MD_HTML: e->text = str_of(cmark_node_get_literal(node)); break;
    case MD_HEADING: e->level = cmark_node_get_heading_level(node); break;
    case MD_LINK:
    case MD_IMAGE: e->url = str_of(cmark_node_get_url(node)); break;
    case MD_TABLE: e->columns = cmark_gfm_extensions_get_table_columns(node); break;
    case MD_ROW: e->header = cmark_gfm_extensions_get_table_row_is_header(node); break;
    case MD_CELL:
        if (e->enter) e->align = cell_align(parent);
        break;
    default: break;
    }
}

enum err_kind markdown_parse(struct str text, struct markdown **ret, struct err *why)
{
    if (text.n > MARKDOWN_MAX)
        return err_set(why, ERR_LIMIT, "Markdown of %zu bytes is too long", text.n);

    struct markdown *m = mem_new(struct markdown);
    cmark_syntax_extension *const *found = extensions();
    /* One tilde is an "about", two strike. */
    m->parser = cmark_parser_new(CMARK_OPT_DEFAULT | CMARK_OPT_STRIKETHROUGH_DOUBLE_TILDE);
    for (size_t i = tables_are_cheap(text) ? 0 : 1; i < N_EXTENSIONS; i++)
        if (found[i]) cmark_parser_attach_syntax_extension(m->parser, found[i]);
    cmark_parser_feed(m->parser, text.p, text.n);
    m->root = cmark_parser_finish(m->parser);
    m->walk = cmark_iter_new(m->root);
    *ret = m;
    return ERR_NONE;
}

void markdown_free(struct markdown *m)
{
    if (!m) return;
    cmark_iter_free(m->walk);
    cmark_node_free(m->root);
    cmark_parser_free(m->parser);
    free(m);
}

void markdown_free_p(struct markdown **m)
{
    markdown_free(*m);
}

bool markdown_next(struct markdown *m, struct md_event *ret)
{
    cmark_event_type step = cmark_iter_next(m->walk);
    if (step == CMARK_EVENT_DONE) return false;
    cmark_node *node = cmark_iter_get_node(m->walk);
    *ret = (struct md_event){ .type = type_of(node), .enter = step == CMARK_EVENT_ENTER };
    describe(node, ret);
    return true;
}
