/* Configuration files: what cannot be read, includes, lists of groups. */
#include "core/base/conf.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct conf_field fields[] = {
    { "typing", CONF_BOOL, 0 },
    CONF_END,
};
static const char *const sections[] = { "chat", "telegram", "channels", NULL };
static char path[64];

static void write_file(const char *content, size_t n)
{
    strcpy(path, "/tmp/test_conf_XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, content, n), (ssize_t)n);
    close(fd);
}

Test(conf_file, files)
{
    struct err why = ERR_INIT;
    struct conf_doc *doc;
    char want[128];

    cr_assert_eq(conf_open("/nonexistent/parley.conf", &doc, &why), ERR_CONF);
    cr_assert_str_eq(why.msg,
                     "/nonexistent/parley.conf: cannot be read: No such file or directory");
    cr_assert_eq(conf_open("/tmp", &doc, &why), ERR_CONF);
    cr_assert_str_eq(why.msg, "/tmp: cannot be read: Is a directory");
    cr_assert_eq(conf_open("/dev/zero", &doc, &why), ERR_CONF);
    cr_assert_str_eq(why.msg, "/dev/zero: is larger than 1024 KB");

    write_file("chat = {};\0 what comes here would be ignored", 40);
    cr_assert_eq(conf_open(path, &doc, &why), ERR_CONF);
    snprintf(want, sizeof(want), "%s: is not a text file", path);
    cr_assert_str_eq(why.msg, want);
    unlink(path);

    write_file("chat = {\n  oops\n};", 18);
    cr_assert_eq(conf_open(path, &doc, &why), ERR_CONF);
    snprintf(want, sizeof(want), "%s:3: syntax error", path);
    cr_assert_str_eq(why.msg, want);
    unlink(path);

    write_file("chat = { typing = false; };\n", 28);
    cr_assert_eq(conf_open(path, &doc, &why), ERR_NONE);
    conf_close(doc);
    unlink(path);
}

Test(conf_file, an_include_is_named_in_messages)
{
    struct err why = ERR_INIT;
    struct conf_doc *doc;
    struct conf_group *g;
    bool typing;
    char text[128], want[128];

    write_file("chat = {\n\n typing = 3; };\n", 26);
    snprintf(text, sizeof(text), "\n@include \"%s\"\n", path);
    cr_assert_eq(conf_open_text(str_of(text), "parley.conf", &doc, &why), ERR_NONE);
    cr_assert_eq(conf_section(doc, "chat", &g, &why), ERR_NONE);
    cr_assert_eq(conf_read(doc, g, "chat", fields, NULL, &typing, &why), ERR_CONF);
    snprintf(want, sizeof(want), "%s:3: chat.typing: must be true or false", path);
    cr_assert_str_eq(why.msg, want, "%s", why.msg);
    conf_close(doc);
    unlink(path);
}

Test(conf_file, lists_of_groups)
{
    static const char text[] = "channels = (\n"
                               "  { type = \"web\"; },\n"
                               "  { type = \"telegram\"; name = \"support\"; }\n"
                               ");\n"
                               "telegram = { type = 5; };\n";
    struct err why = ERR_INIT;
    struct conf_doc *doc;

    cr_assert_eq(conf_open_text(str_of(text), "parley.conf", &doc, &why), ERR_NONE);
    cr_assert_eq(conf_known(doc, sections, &why), ERR_NONE);
    cr_assert_eq(conf_groups(doc, "channels"), 2);
    struct conf_group *g = conf_group_at(doc, "channels", 1);
    cr_assert_str_eq(conf_peek(g, "type"), "telegram");
    cr_assert_str_eq(conf_peek(g, "name"), "support");
    cr_assert_str_eq(conf_peek(g, "token"), "");
    cr_assert_null(conf_group_at(doc, "channels", 2));
    cr_assert_eq(conf_groups(doc, "telegram"), 1, "one group is a list of one");
    cr_assert_str_eq(conf_peek(conf_group_at(doc, "telegram", 0), "type"), "", "not a string");

    err_set(&why, ERR_CONF, "name is used twice");
    cr_assert_eq(conf_blame(doc, g, "name", &why), ERR_CONF);
    cr_assert_str_eq(why.msg, "parley.conf:3: name is used twice");
    err_set(&why, ERR_CONF, "no secret");
    conf_blame(doc, g, "secret", &why);
    cr_assert_str_eq(why.msg, "parley.conf:3: no secret");
    err_set(&why, ERR_CONF, "nothing to do");
    conf_blame(doc, NULL, NULL, &why);
    cr_assert_str_eq(why.msg, "parley.conf: nothing to do");
    conf_close(doc);
}
