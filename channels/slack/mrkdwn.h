/*
 * mrkdwn - the last step of slack_format: text and marks of ours, told apart, become what Slack
 * reads. Only here is anything escaped, so it happens once. Pure.
 */
#pragma once
#include "core/base/buf.h"

/*
 * Marks of ours in the text: bytes that are in no UTF-8, so that nobody else can write them. A
 * style's end is MRKDWN_ENDS behind its beginning.
 */
#define MRKDWN_BOLD     '\xF5'
#define MRKDWN_ITALIC   '\xF6'
#define MRKDWN_STRIKE   '\xF7'
#define MRKDWN_CODE     '\xF8' /* between it and its end: no line end and no other mark */
#define MRKDWN_ENDS     4
#define MRKDWN_LINK     '\xFD' /* LINK address LABEL label LINK_END, or LINK address LINK_END */
#define MRKDWN_LABEL    '\xFE'
#define MRKDWN_LINK_END '\xFF'
#define MRKDWN_PRE      '\xC0' /* two, around lines that stand alone */
#define MRKDWN_QUOTE    '\xC1' /* at the start of a line */

/*
 * Append `marked` to `to`. Styles and code do not span lines and have no blanks inside at their
 * ends. What the text has of Slack's signs is kept from meaning anything, with an invisible
 * character on both sides, where it would: elsewhere it stays as it is.
 * False: `to` is full.
 */
bool mrkdwn_write(struct str marked, struct buf *to);

/* Append `text` with & < > as Slack wants them: nothing in it is a link or calls anybody. */
bool mrkdwn_escape(struct str text, struct buf *to);
