/* codec.c - which compression library does the work. */
#include "stream/codec.h"

#include <stdlib.h>
#include <string.h>

const vox_codec *vox_codec_choose(void) {
#ifdef VOX_HAVE_ISAL
    const char *wish = getenv("VOXCONV_GZIP");
    if (!wish || strcmp(wish, vox_codec_zlib.name) != 0)
        return &vox_codec_isal;
#endif
    return &vox_codec_zlib;
}

const vox_codec *vox_codec_for_level(int *level) {
    const vox_codec *codec = vox_codec_choose();
    if (*level < 0)
        *level = codec->default_level;
    return *level <= 3 ? codec : &vox_codec_zlib;
}

const char *vox_gzip_backend(void) {
    return vox_codec_choose()->name;
}
