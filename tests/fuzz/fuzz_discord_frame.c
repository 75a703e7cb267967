/* Any bytes as payloads of the gateway, in any pieces: what is known of one does not depend on
 * them. */
#include "channels/discord/frame.h"

#include <stdlib.h>

static bool wanted(struct str type)
{
    return type.n % 2;
}

static enum err_kind read_in(struct str text, size_t piece, struct discord_frames *f,
                             struct discord_frame *ret)
{
    for (size_t at = 0; at < text.n; at += piece)
        discord_frames_feed(f, str_head(str_skip(text, at), piece));
    return discord_frames_end(f, ret, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct discord_frames one, other;
    struct discord_frame a, b;
    struct str text = str_from((const char *)data, size);
    discord_frames_init(&one, wanted);
    discord_frames_init(&other, wanted);
    enum err_kind kind = read_in(text, size + 1, &one, &a);
    size_t piece = size ? 1 + data[0] % 7 : 1;
    if (read_in(text, piece, &other, &b) != kind) abort();
    if (kind == ERR_NONE && (a.op != b.op || a.seq != b.seq || a.skipped != b.skipped)) abort();
    struct str d = discord_frame_data(a.text);
    if (d.n && (d.p < a.text.p || d.p + d.n > a.text.p + a.text.n)) abort();
    discord_has_key(d, "guild_id");
    discord_frames_done(&one);
    discord_frames_done(&other);
    return 0;
}
