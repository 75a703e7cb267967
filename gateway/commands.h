/*
 * commands - what main calls: each returns the process's exit status. conf_path NULL = defaults.
 * 0 = well, 1 = it failed, 2 = the command line or the configuration is wrong.
 */
#pragma once

int serve_main(const char *conf_path);
int migrate_main(const char *conf_path);
int check_main(const char *conf_path);
int conf_main(const char *conf_path);
int steps_main(const char *conf_path);
