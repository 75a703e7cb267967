/* command: the table of what a person can say with a slash. */
#include "core/chat/command.h"
#include "core/base/clock.h"
#include "core/chat/budget.h"
#include "core/chat/compact.h"
#include "core/chat/keeper.h"
#include "core/chat/link.h"
#include "core/chat/permit.h"
#include "core/chat/person.h"
#include "core/chat/receipt.h"
#include "core/chat/turn.h"
#include "core/store/conversation.h"

#define WHY_MAX 10000
#define ALWAYS  " always"

static const struct command unknown_command;

static enum flow_rc help_run(struct turn *t, struct str args)
{
    (void)args;
    _cleanup_(buf_done) struct buf b = BUF_INIT(4096);
    buf_add_cstr(&b, "Write to me, and a language model answers. I also understand:\n\n");
    bool all = switch_on(t, FLAG_SLASH_COMMANDS);
    for (const struct command *c = commands; c->name; c++)
        if (all || command_is_kept(c))
            buf_addf(&b, "- `/%s%s%s` %s\n", c->name, *c->args ? " " : "", c->args, c->help);
    turn_say(t, "%.*s", STR_ARG(buf_str(&b)));
    return FLOW_NEXT;
}

static enum flow_rc new_run(struct turn *t, struct str args)
{
    (void)args;
    store_end_conversation(t->chat->store, &t->flow.op, &t->request, uuid_v7(), &t->rows);
    return FLOW_WAIT;
}

static enum flow_rc new_done(struct turn *t)
{
    if (t->rows.n > 0) t->next = pg_rows_uuid(&t->rows, 0, 0);
    turn_say(
        t, "A new conversation begins. What was said before is kept, but I no longer look at it.");
    return FLOW_NEXT;
}

static void list_route(struct buf *b, const struct route *r, const struct route *now)
{
    buf_addf(b, "- `%s`%s%s", r->name, *r->help ? ": " : "", r->help);
    for (size_t i = 0; i < r->n && r->n > 1; i++)
        buf_addf(b, "%s`%s`", i ? ", then " : *r->help ? "; asks " : " asks ", r->v[i]->name);
    buf_addf(b, "%s\n", r == now ? " – answers here" : "");
}

static enum flow_rc models_run(struct turn *t, struct str args)
{
    (void)args;
    struct models *models = t->models;
    _cleanup_(buf_done) struct buf b = BUF_INIT(16 * 1024);
    for (size_t i = 0; i < routes_count(models); i++)
        list_route(&b, routes_at(models, i), turn_route(t));
    for (size_t i = 0; i < models_count(models); i++)
        list_route(&b, routes_find(models, str_of(models_at(models, i)->name)), turn_route(t));
    turn_say(t, "The models that I can ask:\n\n%.*s\nChoose with `/model NAME`.",
             STR_ARG(buf_str(&b)));
    return FLOW_NEXT;
}

static enum flow_rc model_run(struct turn *t, struct str args)
{
    if (args.n == 0) {
        turn_say(
            t,
            "The model here is `%s`. `/models` lists all, `/model NAME` chooses for this conversation, `/model "
            "NAME always` for all of yours, and `default` as the name goes back.",
            turn_route(t)->name);
        return FLOW_NEXT;
    }
    bool always = str_ends(args, STR(ALWAYS));
    if (always) args = str_trim(str_head(args, args.n - STR(ALWAYS).n));
    bool back = str_eq_nocase(args, STR("default"));
    const struct route *r = back ? NULL : routes_find(t->models, args);
    if (!back && !r) {
        turn_say(t, "I know no model `%.*s`. `/models` lists those that I know.",
                 STR_ARG(str_head(args, 64)));
        return FLOW_NEXT;
    }
    struct str name = r ? str_of(r->name) : STR_NONE;
    t->request.model_override = always ? STR_NONE : name;
    if (always) {
        t->request.preferred_model = name;
        store_prefer_model(t->chat->store, &t->flow.op, &t->request, name);
    } else {
        store_set_model(t->chat->store, &t->flow.op, t->request.conversation, name);
    }
    return FLOW_WAIT;
}

static enum flow_rc model_done(struct turn *t)
{
    bool always = str_ends(t->query, STR(ALWAYS));
    turn_say(t, "From now on `%s` answers %s.", turn_route(t)->name,
             always ? "you, in every conversation that has no other choice"
                    : "in this conversation");
    return FLOW_NEXT;
}

static enum flow_rc budget_run(struct turn *t, struct str args)
{
    (void)args;
    return budget_view(t);
}

static enum flow_rc budget_done(struct turn *t)
{
    budget_tell(t);
    return FLOW_NEXT;
}

static enum flow_rc why_run(struct turn *t, struct str args)
{
    int64_t n = 1;
    if (args.n && (!str_i64(args, &n) || n < 1 || n > WHY_MAX)) {
        turn_say(t, "`/why` is about my last answer, `/why 2` about the one before it, and so on.");
        return FLOW_NEXT;
    }
    store_receipt(t->chat->store, &t->flow.op, t->request.conversation, n, &t->rows);
    return FLOW_WAIT;
}

/* What it is about, when that is not plain. */
static void add_words(struct buf *to, struct str words)
{
    buf_add_cstr(to, "About “");
    for (size_t i = 0; i < words.n; i++) buf_add_char(to, words.p[i] == '\n' ? ' ' : words.p[i]);
    buf_add_cstr(to, "…”: ");
}

static enum flow_rc why_done(struct turn *t)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(16 * 1024);
    struct json *receipt = NULL;
    if (t->rows.n == 0) {
        turn_say(t, "There is no such answer in this conversation.");
        return FLOW_NEXT;
    }
    if (str_find(t->query, STR(" ")) != SIZE_MAX) add_words(&b, pg_rows_str(&t->rows, 0, 1));
    json_parse(pg_rows_str(&t->rows, 0, 0), &receipt, NULL);
    bool known = receipt_tell(receipt, pg_rows_i64(&t->rows, 0, 2), &b);
    json_free(receipt);
    turn_say(t, "%s", known ? b.p : "That answer is from before I kept receipts.");
    return FLOW_NEXT;
}

static enum flow_rc status_run(struct turn *t, struct str args)
{
    (void)args;
    store_backlog(t->chat->store, &t->flow.op, &t->rows);
    return FLOW_WAIT;
}

static enum flow_rc status_done(struct turn *t)
{
    char oldest[CLOCK_SPAN_MAX];
    clock_span((uint64_t)pg_rows_i64(&t->rows, 0, 1), oldest);
    turn_say(
        t,
        "- model: `%s`\n- messages in this conversation: %d\n- answers being written in this process: %zu\n"
        "- messages waiting or being answered everywhere: %lld (the oldest since %s)\n- version: %s",
        turn_route(t)->name, t->request.message_count, t->chat->n_running,
        (long long)pg_rows_i64(&t->rows, 0, 0), oldest, PARLEY_VERSION);
    return FLOW_NEXT;
}

static enum flow_rc stop_run(struct turn *t, struct str args)
{
    (void)args;
    struct turn *running = lane_running(t->chat, t->request.conversation);
    if (running && turn_stop(running)) {
        turn_say(t, "Stopped.");
        return FLOW_NEXT;
    }
    store_stop(t->chat->store, &t->flow.op, t->request.conversation,
               &t->rows); /* perhaps another process */
    return FLOW_WAIT;
}

static enum flow_rc stop_done(struct turn *t)
{
    if (t->rows.n > 0) {
        keeper_publish_stop(t->chat, t->request.conversation);
        turn_say(t, "Stopping.");
    } else {
        turn_say(t, "There is nothing to stop: no answer is being written here.");
    }
    return FLOW_NEXT;
}

static enum flow_rc again_run(struct turn *t, struct str args)
{
    (void)args;
    store_last_reply(t->chat->store, &t->flow.op, t->request.conversation, &t->rows);
    return FLOW_WAIT;
}

static enum flow_rc again_done(struct turn *t)
{
    if (t->rows.n > 0)
        turn_say(t, "%.*s", STR_ARG(pg_rows_str(&t->rows, 0, 0)));
    else
        turn_say(t, "There is no answer yet that I could repeat.");
    return FLOW_NEXT;
}

static enum flow_rc regenerate_done(struct turn *t)
{
    const struct pg_rows *rows = &t->rows;
    if (rows->n > 0 && pg_rows_str(rows, 0, 1).n > 0)
        turn_ask_anew(t, pg_rows_str(rows, 0, 1), pg_rows_str(rows, 0, 2), pg_rows_str(rows, 0, 3));
    else
        turn_say(t, "There is no question yet that I could answer anew.");
    return FLOW_NEXT;
}

static enum flow_rc unknown_run(struct turn *t, struct str args)
{
    (void)args;
    turn_say(t, "I do not know this command. /help lists those that I know.");
    return FLOW_NEXT;
}

const struct command commands[] = {
    { "help", "", "shows this", false, help_run, NULL },
    { "new", "", "begins a new conversation", false, new_run, new_done },
    { "model", "[name]",
      "shows or chooses the model; `NAME always` is for all of your conversations", false,
      model_run, model_done },
    { "why", "[number]", "tells how my last answer came about, or an earlier one", false, why_run,
      why_done },
    { "budget", "", "tells what was spent, and what may be", false, budget_run, budget_done },
    { "compact", "", "allows summaries of long conversations, after /undo compaction", false,
      compact_run, compact_done },
    { "undo", "[what]", "takes back: `compaction` is the summary of this conversation", false,
      undo_run, undo_done },
    { "models", "", "lists the models", false, models_run, NULL },
    { "status", "", "shows how things are", false, status_run, status_done },
    { "stop", "", "stops the answer that is being written", true, stop_run, stop_done },
    { "again", "", "repeats the last answer", false, again_run, again_done },
    { "regenerate", "", "answers your last question anew", false, again_run, regenerate_done },
    { "tool", "answer", "yes or no: may I call the tool that I asked about?", false, permit_run,
      permit_done },
    { "link", "[code]", "makes you the same person in two apps", false, link_run, link_done },
    { "unlink", "", "makes you two persons again", false, unlink_run, unlink_done },
    { "continue", "[number]", "goes on here with a conversation from elsewhere", false,
      continue_run, continue_done },
    { "export", "", "gives you all that I keep about you", false, export_run, export_done },
    { "forget", "[code]", "erases all that I keep about you", false, forget_run, forget_done },
    { "approve", "[code]", "for admins: lets somebody in", false, approve_run, approve_done },
    { .name = NULL },
};

static const struct command unknown_command = { "", "", "", false, unknown_run, NULL };

/* The word after the slash; "/etc/hosts is ..." and "/ 2" are no commands. "/start" is what
 * Telegram sends first. */
static struct str command_word(struct str text)
{
    struct str rest = str_skip(str_trim(text), 1);
    size_t n = 0;
    while (n < rest.n && ((rest.p[n] >= 'a' && rest.p[n] <= 'z') ||
                          (rest.p[n] >= 'A' && rest.p[n] <= 'Z') || rest.p[n] == '_'))
        n++;
    bool ends = n == rest.n || rest.p[n] == ' ' || rest.p[n] == '\n' || rest.p[n] == '\t' ||
                rest.p[n] == '@';
    return n > 0 && n <= 32 && ends ? str_head(rest, n) : STR_NONE;
}

const struct command *command_find(struct str text)
{
    struct str word = str_starts(str_trim(text), STR("/")) ? command_word(text) : STR_NONE;
    if (word.n == 0) return NULL;
    if (str_eq_nocase(word, STR("start"))) word = STR("help");
    for (const struct command *c = commands; c->name; c++)
        if (str_eq_nocase(word, str_of(c->name))) return c;
    return &unknown_command;
}

bool command_is_kept(const struct command *c)
{
    static const char *const kept[] = { "help",       "new",  "stop",   "again",
                                        "regenerate", "tool", "export", "forget" };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (strcmp(c->name, kept[i]) == 0) return true;
    return false;
}

struct str command_args(struct str text)
{
    struct str rest = str_trim(text);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '\n' && rest.p[n] != '\t') n++;
    return str_trim(str_skip(rest, n));
}
