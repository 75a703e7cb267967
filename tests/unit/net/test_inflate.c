/*
 * zlib streams: recorded messages, any chunking, bombs, damage.
 */
#include "core/base/buf.h"
#include "core/net/inflate.h"
#include <criterion/criterion.h>
#include <zlib.h>

static const char first[] =
    "\x78\x9c\xaa\x56\x2a\x51\xb2\xca\x2b\xcd\xc9\xd1\x51\x2a\x86\x31\xf2\x0b"
    "\x94\xac\x0c\x0d\x74\x94\x52\x94\xac\xaa\x95\x32\x52\x13\x8b\x4a\x92\x52"
    "\x13\x4b\xe2\x33\xf3\x4a\x52\x8b\xca\x12\x73\x94\xac\x4c\x0c\x8d\x4c\x0d"
    "\x6a\x6b\x01\x00\x00\x00\xff\xff";
static const char second[] = "\xaa\xc6\xa5\xd7\x10\xac\x17\x24\x50\x0b\x00\x00\x00\xff\xff";
static const char first_text[] =
    "{\"t\":null,\"s\":null,\"op\":10,\"d\":{\"heartbeat_interval\":41250}}";
static const char second_text[] = "{\"t\":null,\"s\":null,\"op\":11,\"d\":null}";

static bool to_buf(void *ctx, struct str plain)
{
    cr_expect_leq(plain.n, 65536);
    return buf_add(ctx, plain);
}

static enum err_kind feed(struct inflate *z, struct str in, size_t step, struct buf *out)
{
    enum err_kind kind = ERR_NONE;

    for (; in.n && kind == ERR_NONE; in = str_skip(in, step)) {
        kind = inflate_feed(z, str_head(in, step), to_buf, out, NULL);
        cr_expect_eq(inflate_at_boundary(z), in.n <= step && !kind, "%zu left", in.n);
    }
    return kind;
}

Test(inflate, two_messages_of_one_stream_in_any_chunking)
{
    _cleanup_(buf_done) struct buf out = BUF_INIT(1000);

    for (size_t step = 1; step <= sizeof first; step++) {
        struct inflate *z = inflate_new(sizeof first_text - 1);
        buf_clear(&out);
        cr_expect(!inflate_at_boundary(z));
        cr_assert_eq(feed(z, str_from(first, sizeof first - 1), step, &out), ERR_NONE);
        cr_expect(str_eq(buf_str(&out), str_of(first_text)), "by %zu: %s", step, out.p);
        inflate_mark(z);
        buf_clear(&out);
        cr_assert_eq(feed(z, str_from(second, sizeof second - 1), step, &out), ERR_NONE);
        cr_expect(str_eq(buf_str(&out), str_of(second_text)), "by %zu: %s", step, out.p);
        inflate_free(z);
    }
}

Test(inflate, the_maximum_is_of_one_message)
{
    _cleanup_(buf_done) struct buf out = BUF_INIT(1000);
    struct err why = ERR_INIT;
    struct inflate *z = inflate_new(sizeof first_text - 2);

    cr_expect_eq(inflate_feed(z, str_from(first, sizeof first - 1), to_buf, &out, &why), ERR_LIMIT);
    cr_expect_eq(why.kind, ERR_LIMIT);
    cr_expect_lt(out.n, sizeof first_text - 1);
    inflate_mark(z);
    cr_expect_eq(inflate_feed(z, STR("x"), to_buf, &out, NULL), ERR_LIMIT, "for good");
    inflate_free(z);

    /* Not marked: one message more is too much, to the byte. */
    for (size_t more = 0; more < 2; more++) {
        z = inflate_new(sizeof first_text + sizeof second_text - 3 + more);
        cr_expect_eq(feed(z, str_from(first, sizeof first - 1), 7, &out), ERR_NONE);
        cr_expect_eq(feed(z, str_from(second, sizeof second - 1), 7, &out),
                     more ? ERR_NONE : ERR_LIMIT);
        inflate_free(z);
    }
}

static bool count(void *ctx, struct str plain)
{
    *(size_t *)ctx += plain.n;
    return true;
}

/* A megabyte of zeros that needs nothing before it, so that it can be fed a thousand times. */
Test(inflate, bomb, .timeout = 20)
{
    enum { MB = 1 << 20, MAX = 8 * MB + 5 };
    static unsigned char zeros[MB], packed[4096];
    size_t n = 0;
    struct err why = ERR_INIT;
    struct inflate *z = inflate_new(MAX);
    z_stream d = { .next_in = zeros, .avail_in = MB, .next_out = packed, .avail_out = 4096 };

    cr_assert_eq(deflateInit(&d, 9), Z_OK);
    cr_assert_eq(deflate(&d, Z_FULL_FLUSH), Z_OK);
    cr_assert_eq(d.avail_in, 0);
    size_t n_packed = 4096 - d.avail_out;
    deflateEnd(&d);

    cr_assert_eq(inflate_feed(z, str_from((char *)packed, 2), count, &n, &why), ERR_NONE);
    enum err_kind kind = ERR_NONE;
    int fed = 0;
    for (; fed < 1024 && !kind; fed++)
        kind = inflate_feed(z, str_from((char *)packed + 2, n_packed - 2), count, &n, &why);
    cr_expect_eq(kind, ERR_LIMIT);
    cr_expect_eq(fed, 9);
    cr_expect(n > 8 * MB - 65536 && n <= MAX, "%zu", n);
    inflate_free(z);
}

static bool refuse(void *ctx, struct str plain)
{
    (void)plain;
    ++*(int *)ctx;
    return false;
}

Test(inflate, sink_stops)
{
    struct inflate *z = inflate_new(1000);
    struct err why = ERR_INIT;
    int n = 0;

    cr_expect_eq(inflate_feed(z, str_from(first, sizeof first - 1), refuse, &n, &why),
                 ERR_CANCELLED);
    cr_expect_eq(inflate_feed(z, str_from(second, sizeof second - 1), refuse, &n, &why),
                 ERR_CANCELLED);
    cr_expect_eq(n, 1);
    inflate_free(z);
}

/* A header that is none, a preset dictionary, a block of type 3, a distance too far back. */
static const struct {
    const char *bytes;
    size_t n;
} garbage[] = {
    { "GET / HTTP/1.1\r\n", 16 },
    { "\x78\xbb\x01\x02\x03\x04", 6 },
    { "\x78\x9c\xff\xff", 4 },
    { "\x78\x9c\x4b\x04\x33\xff\xff\x13\x84", 9 },
};

Test(inflate, garbage)
{
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        for (size_t step = 1; step <= 16; step += 15) {
            _cleanup_(buf_done) struct buf out = BUF_INIT(1000);
            struct inflate *z = inflate_new(1000);
            struct str in = str_from(garbage[i].bytes, garbage[i].n);
            struct err why = ERR_INIT;
            enum err_kind kind = ERR_NONE;
            for (; in.n && !kind; in = str_skip(in, step))
                kind = inflate_feed(z, str_head(in, step), to_buf, &out, &why);
            cr_expect_eq(kind, ERR_PROTO, "row %zu by %zu", i, step);
            cr_expect(str_starts(str_of(why.msg), STR("inflate: ")), "%s", why.msg);
            cr_expect_eq(inflate_feed(z, STR_NONE, to_buf, &out, NULL), ERR_PROTO, "for good");
            inflate_free(z);
        }
    }
}

Test(inflate, cut_off_and_ended_streams)
{
    _cleanup_(buf_done) struct buf out = BUF_INIT(1000);
    struct inflate *z = inflate_new(1000);

    cr_expect_eq(inflate_feed(z, str_from(first, sizeof first - 9), to_buf, &out, NULL), ERR_NONE);
    cr_expect(!inflate_at_boundary(z));
    cr_expect_lt(out.n, sizeof first_text - 1);
    inflate_free(z);

    Bytef packed[100];
    uLongf n = sizeof packed;
    cr_assert_eq(compress(packed, &n, (const Bytef *)"the end", 7), Z_OK);
    z = inflate_new(1000);
    buf_clear(&out);
    cr_expect_eq(inflate_feed(z, str_from((char *)packed, n), to_buf, &out, NULL), ERR_NONE);
    cr_expect(str_eq(buf_str(&out), STR("the end")));
    cr_expect_eq(inflate_feed(z, STR("x"), to_buf, &out, NULL), ERR_PROTO);
    inflate_free(z);
}
