/* web: the configuration of the web channel, and its start and end. */
#include "channels/web/web.h"
#include "channels/web/web_impl.h"
#include "core/base/log.h"

#define PUSH_CHANNEL "parley:web"
#define KEY_MIN      12 /* characters */

#define FIELD(name) offsetof(struct web, name)
static const struct conf_field web_fields[] = {
    { .key = "title",
      .type = CONF_STR,
      .offset = FIELD(title),
      .def = "Parley",
      .help = "The name that the page shows." },
    { .key = "key",
      .type = CONF_SECRET,
      .offset = FIELD(key),
      .help =
          "Whoever is to come in opens https://.../?key=KEY once; a new key shuts everybody out. "
          "Required when other machines can reach the page; at least 12 characters." },
    { .key = "origins",
      .type = CONF_LIST,
      .offset = FIELD(origins),
      .help = "Origins besides our own address whose pages may connect, as "
              "\"https://chat.example.org\": needed when a proxy changes the Host header." },
    { .key = "frame_max",
      .type = CONF_SIZE,
      .offset = FIELD(frame_max),
      .def = "512KB",
      .min = 4096,
      .max = 8 << 20,
      .help = "Bytes of one WebSocket message from the page; more closes the connection." },
    { .key = "send_queue_max",
      .type = CONF_SIZE,
      .offset = FIELD(send_queue_max),
      .def = "4MB",
      .min = 2 << 20,
      .max = 256 << 20,
      .help = "Bytes that wait for a browser that does not read; more closes the connection." },
    { .key = "connections_max",
      .type = CONF_INT,
      .offset = FIELD(channel.sockets_max),
      .def = "2000",
      .min = 1,
      .max = 1000000,
      .help = "Open pages; more are refused, and try again by themselves." },
    { .key = "person_connections_max",
      .type = CONF_INT,
      .offset = FIELD(person_connections_max),
      .def = "20",
      .min = 1,
      .max = 1000,
      .help = "Open pages of one browser." },
    { .key = "frames_per_second",
      .type = CONF_INT,
      .offset = FIELD(frames_per_second),
      .def = "20",
      .min = 1,
      .max = 10000,
      .help = "WebSocket messages a second that a page may send for long; five times as many at "
              "once." },
    { .key = "attachment_max",
      .type = CONF_SIZE,
      .offset = FIELD(attachment_max),
      .def = "4MB",
      .min = 1024,
      .max = 32 << 20,
      .help = "Bytes of one file that is sent along." },
    CONF_END,
};
#undef FIELD

static struct web *of_channel(struct channel *ch)
{
    return container_of(ch, struct web, channel);
}

/* The page has one address, so there is one web channel. */
static bool is_second(const struct channel *ch)
{
    list_each (it, next, &ch->host->chat->channels) {
        const struct channel *other = container_of(it, struct channel, link);
        if (other != ch && other->type == &web_type && other->opened) return true;
    }
    return false;
}

/* An origin elsewhere means a proxy there: that is the world, whatever address we listen on. */
static enum err_kind origins_check(const struct web *w, struct err *why)
{
    for (size_t i = 0; i < w->origins.n; i++) {
        const char *origin = w->origins.v[i];
        enum origin_kind kind = session_origin_kind(str_of(origin));
        if (kind == ORIGIN_BAD)
            return err_set(why, ERR_CONF,
                           "origins: \"%s\" is not like \"https://chat.example.org\"", origin);
        if (kind == ORIGIN_OTHER && !*w->key)
            return err_set(why, ERR_CONF,
                           "origins: people come by %s from other machines, so the web channel "
                           "needs a key (key = \"env:WEB_KEY\"); they come in by /?key=...",
                           origin);
    }
    return ERR_NONE;
}

static enum err_kind may_open(const struct web *w, struct err *why)
{
    const char *address = http_server_address(w->channel.host->server);
    if (is_second(&w->channel))
        return err_set(why, ERR_CONF, "a second web channel: the page has one address only");
    if (*w->key && strlen(w->key) < KEY_MIN)
        return err_set(why, ERR_CONF, "key: shorter than %d characters", KEY_MIN);
    if (!*w->key && !session_address_local(address))
        return err_set(why, ERR_CONF,
                       "http.address %s can be reached from other machines, so the web channel "
                       "needs a key (key = \"env:WEB_KEY\"); people come in by /?key=...",
                       address);
    return origins_check(w, why);
}

static void add_routes(struct web *w)
{
    struct http_server *server = w->channel.host->server;
    w->page = (struct http_route){ .method = "GET", .path = "/", .handle = page_get };
    w->assets = (struct http_route){ .method = "GET", .path = "/assets/*", .handle = assets_get };
    w->session = (struct http_route){
        .method = "POST", .path = "/session", .handle = session_post, .body_max = 1024
    };
    w->upload = (struct http_route){ .method = "POST",
                                     .path = "/attachments",
                                     .handle = upload_post,
                                     .body_max = (size_t)w->attachment_max };
    w->socket = (struct ws_route){ .http = { .method = "WS", .path = "/ws" },
                                   .handler = &web_socket_handler,
                                   .conf = { .message_max = w->frame_max,
                                             .send_queue_max = w->send_queue_max,
                                             .connections_max = w->channel.sockets_max } };
    http_route_add(server, &w->page);
    http_route_add(server, &w->assets);
    http_route_add(server, &w->session);
    http_route_add(server, &w->upload);
    ws_route_add(server, &w->socket);
}

static enum err_kind web_open(struct channel *ch, struct err *why)
{
    struct web *w = of_channel(ch);
    if (may_open(w, why)) return why->kind;
    map_init(&w->people);
    list_init(&w->jobs);
    list_init(&w->invites);
    list_init(&w->uploads);
    buf_init(&w->frame, 32 << 20);
    w->pushes = (struct redis_sub){ .channel = PUSH_CHANNEL, .on_message = web_push_heard };
    redis_subscribe(ch->host->redis, &w->pushes);
    add_routes(w);
    channel_up(ch);
    return ERR_NONE;
}

/* Those who are here stay, to get their answers; what they write now is refused with "again". */
static void web_pause(struct channel *ch)
{
    (void)ch;
}

static void web_close(struct channel *ch)
{
    struct web *w = of_channel(ch);
    http_route_drop(&w->page);
    http_route_drop(&w->assets);
    http_route_drop(&w->session);
    http_route_drop(&w->upload);
    ws_route_drop(&w->socket);
    access_invites_drop(w);
    uploads_drop(w);
    web_jobs_drop(w);
    redis_unsubscribe(ch->host->redis, &w->pushes);
    map_done(&w->people);
    buf_done(&w->frame);
}

const struct channel_type web_type = {
    .name = "web",
    .help = "Chat in the browser, at http.address; one such channel.",
    .fields = web_fields,
    .size = sizeof(struct web),
    .caps = CHANNEL_KEYED | CHANNEL_CAN_TYPE,
    .text_max = WEB_TEXT_MAX,
    .text_unit = TEXT_BYTES,
    .open = web_open,
    .pause = web_pause,
    .close = web_close,
    .send = web_send,
    .typing = web_typing,
    .progress = web_progress,
};
