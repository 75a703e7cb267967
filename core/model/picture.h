/*
 * picture - which of the kinds of pictures that models can look at some bytes are. Pure.
 */
#pragma once
#include "core/base/str.h"

/* "image/png", "image/jpeg", "image/gif" or "image/webp", by how the file begins; NULL: none of
 * them, whatever its name says. */
const char *picture_type(struct str file);
