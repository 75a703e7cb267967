/* Cohere: see codec_fuzz.h. */
#include "tests/fuzz/codec_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct cohere m = {
        .remote.base = { .type = &model_cohere, .name = "m", .model = "", .reply_max = 4096 },
        .remote.base_url = "http://127.0.0.1",
        .remote.api_key = "",
    };
    codec_fuzz(&m.remote.base, data, n);
    return 0;
}
