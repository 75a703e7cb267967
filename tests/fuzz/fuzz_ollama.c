/* Ollama's own API: see codec_fuzz.h. */
#include "tests/fuzz/codec_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct ollama m = {
        .remote.base = { .type = &model_ollama, .name = "m", .model = "", .reply_max = 4096 },
        .remote.base_url = "http://127.0.0.1",
        .remote.api_key = "",
        .keep_alive = "",
    };
    codec_fuzz(&m.remote.base, data, n);
    return 0;
}
