/*
 * web_impl - what the files of the web channel share, and nobody else.
 *
 *   web.c       configuration, open and close
 *   page.c      the files of the page
 *   access.c    who may come in: Host, Origin, session cookie, invite key
 *   session.c   the same, without I/O (pure)
 *   socket.c    one WebSocket: its frames in, its limits
 *   protocol.c  frames -> struct web_in (pure)
 *   job.c       what takes a while for a socket: taking a message in
 *   history.c   the same: conversations and their messages
 *   upload.c    files that go along with a message
 *   push.c      frames out, to every socket of a person in every process
 *   growing.c   answers that grow, piece by piece
 */
#pragma once
#include "channels/web/protocol.h"
#include "channels/web/session.h"
#include "core/base/embed.h"
#include "core/base/map.h"
#include "core/cache/rate.h"
#include "core/chat/chat.h"
#include "core/net/pg.h"
#include "core/net/redis.h"
#include "core/net/ws.h"
#include <netinet/in.h>

#define WEB_TEXT_MAX    (256 * 1024)
#define WEB_STREAMS_MAX 16 /* answers that grow at once before one person's eyes */
#define WEB_JOBS_MAX    32 /* of one socket */
#define WEB_REF_MAX     64

struct web {
    struct channel channel;
    const char *title;
    const char *key; /* "" = none: then only this machine gets in */
    struct conf_list origins;
    int64_t frame_max, send_queue_max, person_connections_max;
    int64_t frames_per_second;
    int64_t attachment_max;

    struct http_route page, assets, session, upload;
    struct ws_route socket;
    struct map people;   /* struct web_person: those who are here */
    struct list jobs;    /* struct web_job */
    struct list invites; /* struct invite, see access.c */
    struct list uploads; /* struct upload, see upload.c */
    struct redis_sub pushes;
    struct buf frame; /* the one being written */
};

/* Everybody with one session token: the tabs of a browser. Lives while a socket is open. */
struct web_person {
    struct map_node node;
    char id[SESSION_IDENTITY_MAX];
    struct list sockets;
    size_t n_sockets;
};

/* How much of a growing answer a socket has got, and what waits behind that. */
struct web_stream {
    struct uuid request; /* nil = free */
    size_t sent;
    uint64_t at_ms;
    struct buf held;
    char thread[UUID_TEXT_MAX]; /* of what is held */
};

struct web_socket {
    struct web *web;
    struct web_person *person;
    struct ws_conn *conn; /* NULL until it is open */
    struct list link;     /* in person->sockets */
    char ip[INET6_ADDRSTRLEN];
    struct web_stream *streams; /* places, at most WEB_STREAMS_MAX: most watch one at a time */
    size_t n_streams;
    uint64_t piece_ms;  /* when it last got a piece */
    struct timer flush; /* armed: pieces wait */
    size_t n_jobs;
    double tokens; /* frames it may still send now */
    uint64_t tokens_at_ms;
    unsigned n_refused; /* in a row */
};

/* page.c */
extern const struct embedded_file embedded_page[];
void page_get(struct http_route *route, struct http_in *in);
void assets_get(struct http_route *route, struct http_in *in);
/* The file of that name with the headers of a page; false: there is none. */
bool page_answer(struct http_in *in, int status, struct str name);

/* access.c */
/* 0 = come in (ret_identity is set), or an HTTP status to refuse with. */
int access_check(const struct web *w, const struct http_in *in,
                 char ret_identity[SESSION_IDENTITY_MAX]);
bool access_host_known(const struct web *w, const struct http_in *in);
bool access_granted(const struct web *w, const struct http_in *in); /* no key, or came by it */
/* GET /?key=...: answers, now or later. */
void access_invite(struct web *w, struct http_in *in, struct str guess);
void access_invites_drop(struct web *w);
void session_post(struct http_route *route, struct http_in *in);

/* upload.c */
void upload_post(struct http_route *route, struct http_in *in);
void uploads_drop(struct web *w);
const char *web_attachment_kind(struct str mime); /* "photo" or "document" */

/* socket.c */
extern const struct ws_handler web_socket_handler;
struct web_person *web_person_find(const struct web *w, struct str identity);
void web_socket_error(struct web_socket *s, const char *id, const struct err *why);

/* job.c */
struct web_job {
    struct op op;
    struct list link;
    struct web *web;
    struct web_socket *socket; /* NULL: it has left */
    char identity[SESSION_IDENTITY_MAX];
    struct web_in in;
    struct json *doc; /* the strings of `in` */
    struct accepted accepted;
    struct pg_rows rows, messages;
    struct attachment attachments[WEB_ATTACHMENTS_MAX];
    char refs[WEB_ATTACHMENTS_MAX][WEB_REF_MAX];
    char ids[WEB_ATTACHMENTS_MAX * UUID_TEXT_MAX + 2]; /* "{uuid,...}" */
};
void web_job_start(struct web_socket *s, const struct web_in *in, struct json *doc); /* takes doc */
void web_jobs_leave(struct web_socket *s); /* it is going away: its jobs end without it */
void web_jobs_drop(struct web *w);
/* The op failed: the page hears that it is no use, or when to try again. Frees the job. */
void web_job_failed(struct web_job *job);
void web_job_free(struct web_job *job);

/* history.c: begin job->op; each ends the job by itself. */
void web_list_start(struct web_job *job);
void web_history_start(struct web_job *job);
void web_change_start(struct web_job *job); /* rename, pin, hide */

/* push.c */
/* A frame: begin, add fields, then send it to one socket or to everybody of a person. */
struct json_out web_frame(struct web *w, const char *type);
void web_frame_send(struct web_socket *s, struct json_out *o);
/* To all sockets of a person but `except`, here and in the other processes. */
void web_frame_push(struct web *w, struct str identity, const struct web_socket *except,
                    struct json_out *o);
void web_push_heard(struct redis_sub *sub, struct str payload);
void web_put_uuid(struct json_out *o, const char *key, struct uuid id); /* nil: left out */
void web_send(struct channel *ch, struct op *op, const struct outbound *out, struct sent *ret);
void web_typing(struct channel *ch, const struct place *where);

/* growing.c */
void web_progress(struct channel *ch, const struct place *where, struct uuid request,
                  struct str so_far, struct str grown);
void web_growing_flush(struct web_person *p);                    /* what waits goes out */
void web_growing_end(struct web_person *p, struct uuid request); /* the whole message came */
void web_growing_left(struct web_socket *s);
void web_growing_due(struct timer *t); /* of web_socket.flush */
