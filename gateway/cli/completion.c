/*
 * completion: what can come next on a command line. The shells' own scripts are short: they ask
 * `parley completion words`, so that they never know less than the program.
 */
#include "gateway/cli/cli.h"
#include "gateway/commands.h"
#include <stdio.h>

#define TEXT_MAX (1u << 20)

static const struct {
    const char *shell, *script;
} scripts[] = {
    { "bash", "# eval \"$(parley completion bash)\"\n"
              "_parley() {\n"
              "    local word=${COMP_WORDS[COMP_CWORD]} line at=\n"
              "    [[ $word == = ]] && word=\n"
              "    [[ $word == @* ]] && at=@\n"
              "    COMPREPLY=()\n"
              "    while IFS= read -r line; do\n"
              "        if [[ $line == :files ]]; then\n"
              "            compopt -o filenames 2>/dev/null\n"
              "            while IFS= read -r line; do\n"
              "                COMPREPLY+=(\"$at$line\")\n"
              "            done < <(compgen -f -- \"${word#@}\")\n"
              "        else\n"
              "            COMPREPLY+=(\"${line%%$'\\t'*}\")\n"
              "        fi\n"
              "    done < <(\"${COMP_WORDS[0]}\" completion words -- "
              "\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
              "}\n"
              "complete -F _parley parley\n" },
    { "zsh", "#compdef parley\n"
             "# eval \"$(parley completion zsh)\", or as the file _parley in a folder of $fpath\n"
             "_parley() {\n"
             "    local line\n"
             "    local -a found\n"
             "    for line in \"${(@f)$(\"${words[1]}\" completion words -- "
             "\"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}\"; do\n"
             "        case $line in\n"
             "        :files) compset -P @; _files ;;\n"
             "        ?*) found+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
             "        esac\n"
             "    done\n"
             "    (( ! $#found )) || _describe parley found\n"
             "}\n"
             "if [[ ${funcstack[1]} == _parley ]]; then\n"
             "    _parley \"$@\"\n"
             "else\n"
             "    compdef _parley parley\n"
             "fi\n" },
    { "fish", "# parley completion fish | source\n"
              "function __parley_words\n"
              "    set -l word (commandline -ct)\n"
              "    set -l words (commandline -opc) \"$word\"\n"
              "    for line in ($words[1] completion words -- $words[2..-1] 2>/dev/null)\n"
              "        if test \"$line\" != :files\n"
              "            echo $line\n"
              "        else if string match -q '@*' -- $word\n"
              "            for file in (__fish_complete_path (string sub -s 2 -- $word))\n"
              "                echo @$file\n"
              "            end\n"
              "        else\n"
              "            __fish_complete_path $word\n"
              "        end\n"
              "    end\n"
              "end\n"
              "complete -c parley -f -a '(__parley_words)'\n" },
};
#define N_SCRIPTS (sizeof scripts / sizeof *scripts)

/* ---- what is there already ---- */

struct known {
    char *command[CLI_WORDS_MAX];
    size_t n_command;
    const struct admin_op *op;
    size_t n_plain;   /* words behind the command */
    bool wants_value; /* the next word is the value of ... */
    const struct admin_field *field;
    enum cli_option_id common;
};

static void learn_option(struct known *k, struct str word)
{
    struct str value = word, name = str_cut(&value, '=');
    bool whole = name.n < word.n;
    name = str_starts(name, STR("--")) ? str_skip(name, 2) : STR_NONE;
    if (str_eq(word, STR("-c"))) name = STR("config");
    k->field = k->op ? cli_field_find(name, k->op) : NULL;
    k->common = k->field ? CLI_OPTION_N : cli_option_find(name, k->op);
    bool takes = k->field ? k->field->kind != ADMIN_BOOL
                          : k->common < CLI_OPTION_N && cli_options[k->common].value;
    k->wants_value = takes && !whole;
}

static void learn_plain(struct known *k, char *word)
{
    if (k->n_command < CLI_WORDS_MAX) {
        k->command[k->n_command] = word;
        const struct admin_op *op = cli_op_find(k->command, k->n_command + 1);
        if (!k->op || (op && op != k->op)) {
            k->n_command++;
            k->op = op;
            return;
        }
    }
    k->n_plain++;
}

/* bash makes three words of "--name=value". */
static void learn(struct known *k, char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], "=") == 0) {
            k->wants_value |= k->field != NULL;
        } else if (k->wants_value) {
            k->wants_value = false;
        } else if (words[i][0] == '-' && words[i][1]) {
            learn_option(k, str_of(words[i]));
        } else {
            learn_plain(k, words[i]);
        }
    }
}

/* ---- what can follow ---- */

static void offer(struct buf *to, struct str begun, const char *before, const char *word,
                  const char *help)
{
    _cleanup_(buf_done) struct buf whole = BUF_INIT(1000);
    buf_addf(&whole, "%s%s", before, word);
    if (str_starts(buf_str(&whole), begun))
        buf_addf(to, "%.*s\t%s\n", STR_ARG(buf_str(&whole)), help ? help : "");
}

static void offer_value(struct buf *to, struct str begun, const char *before,
                        const struct admin_field *f)
{
    static const char *const yes_no[] = { "true", "false", NULL };
    struct str value = str_skip(begun, strlen(before));
    const char *const *words = f->kind == ADMIN_BOOL ? yes_no : f->words;
    for (size_t i = 0; words && words[i]; i++) offer(to, begun, before, words[i], f->help);
    bool text = f->kind == ADMIN_TEXT || f->kind >= ADMIN_TEXTS;
    if (text && !*before && str_starts(value, STR("@"))) buf_add_cstr(to, ":files\n");
}

static void offer_common_value(struct buf *to, enum cli_option_id id)
{
    if (id == CLI_CONFIG || id == CLI_KEY_FILE) buf_add_cstr(to, ":files\n");
}

static void offer_options(struct buf *to, struct str begun, const struct known *k)
{
    const struct admin_op *op = k->op;
    bool local = !op && k->n_command && !cli_is_subject(k->command[0]);
    for (const struct admin_field *f = op ? op->args : NULL; f && f->name; f++) {
        char name[CLI_TITLE_MAX];
        cli_name(f->name, name);
        if (!admin_in_path(op, f->name)) offer(to, begun, "--", name, f->help);
    }
    for (enum cli_option_id id = 0; id < CLI_OPTION_N; id++)
        if (local ? id == CLI_CONFIG : cli_option_fits(id, op))
            offer(to, begun, "--", cli_options[id].name, cli_options[id].help);
}

/* "--name=..." as one word. */
static void offer_joined(struct buf *to, struct str begun, const struct known *k)
{
    char before[CLI_TITLE_MAX + 4];
    struct str rest = begun, name = str_cut(&rest, '=');
    const struct admin_field *f = k->op ? cli_field_find(str_skip(name, 2), k->op) : NULL;
    if (!f || name.n >= CLI_TITLE_MAX) return;
    snprintf(before, sizeof before, "%.*s=", STR_ARG(name));
    offer_value(to, begun, before, f);
}

/* Was this word offered for an earlier operation? */
static bool offered(const struct admin_op *op, const struct known *k, struct str word)
{
    cli_each_op(o)
    {
        if (o == op) return false;
        if (cli_begins(o, k->command, k->n_command) < k->n_command) continue;
        struct str id = str_of(o->id), part = STR_NONE;
        for (size_t i = 0; i <= k->n_command; i++) part = str_cut(&id, '.');
        if (str_eq(part, word)) return true;
    }
    return false;
}

static void offer_commands(struct buf *to, struct str begun, const struct known *k)
{
    cli_each_op(op)
    {
        char word[CLI_TITLE_MAX], name[CLI_TITLE_MAX];
        struct str id = str_of(op->id), part = STR_NONE;
        if (cli_begins(op, k->command, k->n_command) < k->n_command) continue;
        if (cli_id_words(op) <= k->n_command) continue;
        for (size_t i = 0; i <= k->n_command; i++) part = str_cut(&id, '.');
        if (offered(op, k, part)) continue;
        snprintf(word, sizeof word, "%.*s", STR_ARG(part));
        cli_name(word, name);
        offer(to, begun, "", name, id.n ? "" : op->summary);
    }
}

static void offer_locals(struct buf *to, struct str begun, const struct known *k)
{
    if (!k->n_command) {
        for (const struct cli_local *l = cli_locals; l->name; l++)
            offer(to, begun, "", l->name, l->help);
        offer(to, begun, "", "help", "what a command does and takes");
    } else if (k->n_command == 1 && strcmp(k->command[0], "completion") == 0) {
        for (size_t i = 0; i < N_SCRIPTS; i++) offer(to, begun, "", scripts[i].shell, "");
    }
}

/* The argument that the next plain word is; NULL: there is none. */
static const struct admin_field *next_plain(const struct known *k)
{
    const struct admin_field *fields[CLI_PLAIN_MAX];
    size_t n = cli_plain_fields(k->op, fields);
    return k->n_plain < n ? fields[k->n_plain] : NULL;
}

void cli_complete(struct buf *to, char *const *words, size_t n)
{
    struct known k = { .common = CLI_OPTION_N };
    if (!n) return;
    struct str begun = str_of(words[n - 1]);
    bool equals = str_eq(begun, STR("=")); /* bash: the cursor is right behind it */
    if (equals) begun = STR_NONE;
    bool help = n > 1 && strcmp(words[0], "help") == 0;
    learn(&k, words + help, n - 1 - help);
    if (equals && k.field) k.wants_value = true;
    const struct admin_field *plain = k.op ? next_plain(&k) : NULL;
    if (k.wants_value && k.field)
        offer_value(to, begun, "", k.field);
    else if (k.wants_value)
        offer_common_value(to, k.common);
    else if (str_starts(begun, STR("--")) && str_find_char(begun, '=') != SIZE_MAX)
        offer_joined(to, begun, &k);
    else if (str_starts(begun, STR("-")))
        offer_options(to, begun, &k);
    else if (plain)
        offer_value(to, begun, "", plain);
    if (k.wants_value || k.op || str_starts(begun, STR("-"))) return;
    offer_locals(to, begun, &k);
    offer_commands(to, begun, &k);
}

/* ---- the command ---- */

const char *cli_completion_script(const char *shell)
{
    for (size_t i = 0; i < N_SCRIPTS; i++)
        if (strcmp(scripts[i].shell, shell) == 0) return scripts[i].script;
    return NULL;
}

int completion_main(const char *conf_path, char **args)
{
    (void)conf_path;
    _cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
    size_t n = 0;
    if (args[0] && strcmp(args[0], "words") == 0) {
        while (args[1 + n]) n++;
        cli_complete(&text, args + 1, n);
        fwrite(buf_str(&text).p, 1, text.n, stdout);
        return CLI_WELL;
    }
    const char *script = args[0] && !args[1] ? cli_completion_script(args[0]) : NULL;
    if (!script) {
        fprintf(stderr, "usage: parley completion bash|zsh|fish\n");
        return CLI_WRONG;
    }
    fputs(script, stdout);
    return CLI_WELL;
}
