/*
 * commands - what main calls: each returns the process's exit status. conf_path NULL = defaults;
 * args: what follows the command, NULL-terminated. 0 = well, 1 = it failed, 2 = the command line or
 * the configuration is wrong.
 */
#pragma once

extern const char *command_model; /* --model, for commands that ask one; NULL = the first */

int serve_main(const char *conf_path, char **args);
int migrate_main(const char *conf_path, char **args);
int check_main(const char *conf_path, char **args);
int conf_main(const char *conf_path, char **args);
int approve_main(const char *conf_path, char **args);
int steps_main(const char *conf_path, char **args);
int prices_main(const char *conf_path, char **args);
int embed_main(const char *conf_path, char **args);
int tools_main(const char *conf_path, char **args);
int openapi_main(const char *conf_path, char **args);
int man_main(const char *conf_path, char **args);
int completion_main(const char *conf_path, char **args);
