/*
 * curl_loop - libcurl's multi interface on our loop: its sockets, its timer, its time to run. What
 * the transfers are about is http_client's.
 */
#pragma once
#include "core/loop/loop.h"
#include <curl/curl.h>

struct curl_loop {
    struct loop *loop;
    CURLM *multi;
    struct loop_hook before_sleep;
    struct timer timer;         /* curl's */
    bool kick;                  /* curl wants to run before the loop sleeps */
    struct curl_socket **by_fd; /* what curl has open */
    size_t n_by_fd;
    struct list changed;  /* struct curl_socket: to be watched otherwise than it is */
    curl_socket_t driven; /* in settle(): that curl has run for; CURL_SOCKET_BAD = none */
    /*
     * Called after each run of curl, outside of its callbacks, where every call of curl is allowed:
     * the place to hand on what came and to read finished transfers from `multi`. True: somebody
     * else's code was run.
     */
    bool (*settle)(struct curl_loop *cl);
};

/* False: no memory or no libcurl. */
bool curl_loop_open(struct curl_loop *cl, struct loop *loop, bool (*settle)(struct curl_loop *cl));
/* Every transfer is out of `multi`. Then run the loop until its handles are closed. */
void curl_loop_close(struct curl_loop *cl);
/* Once for each easy handle: its sockets are opened and closed through us. */
void curl_loop_adopt(struct curl_loop *cl, CURL *easy);
/*
 * In settle(): let the socket that curl has run for rest so long. What comes meanwhile is read in
 * one go afterwards. Whoever asks for it must have the socket for himself. Ends early when curl
 * wants something else of it.
 */
void curl_loop_rest(struct curl_loop *cl, uint64_t ms);
/* What curl_loop_adopt sets as CURLOPT_OPENSOCKETFUNCTION, for a function that decides before. */
curl_socket_t curl_loop_socket(struct curl_loop *cl, const struct curl_sockaddr *a);
