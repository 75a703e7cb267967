/*
 * embed - files that the build puts inside the program (scripts/embed.cmake): migrations, the web
 * page.
 */
#pragma once
#include <stddef.h>

struct embedded_file {
    const char *name; /* NULL ends a table */
    const unsigned char *bytes;
    size_t n;
};
