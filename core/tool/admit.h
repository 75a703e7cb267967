/*
 * admit - what a configuration of tool servers, and a server itself, may name. Pure.
 */
#pragma once
#include "core/base/conf.h"

/*
 * An address of a server. Plain http is for this machine only where `secure`; a user or a password
 * inside is never taken: it would be logged. ERR_CONF says what is wrong.
 */
enum err_kind admit_url(struct str url, bool secure, struct err *why);
/*
 * An address that a server gives, made whole by the one it was given at. ERR_REFUSED: it leads to
 * another origin.
 */
enum err_kind admit_same_origin(struct str base, struct str given, struct buf *ret,
                                struct err *why);
/* Its host is localhost, or a loopback address as a literal. */
bool admit_is_local(struct str url);
/* A program: where `secure`, by its absolute path, or one of `allowed` by its bare name. */
enum err_kind admit_command(struct str program, const struct conf_list *allowed, bool secure,
                            struct err *why);
/* The name of a server: it is part of its tools' names. */
enum err_kind admit_name(struct str name, struct err *why);
/* "Name: value", and fit to be sent. */
enum err_kind admit_header(struct str line, struct err *why);
/* "NAME" or "NAME=value". */
enum err_kind admit_env(struct str line, struct err *why);
