/* fuzz_card.c - model cards. */
#include "fuzz/common.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_file file = fuzz_file_open(data, size);
    vox_error err = {VOX_OK, ""};
    vox_card card;
    const vox_status status = vox_card_read(file.path, &card, &err);
    if (status)
        fuzz_expect_error(status, &err);
    for (int a = 0; a < 3; a++)
        fuzz_expect(card.prepare.spacing_mm[a] >= 0 && card.prepare.shape[a] >= 0,
                    "sizes are positive, or not given");
    fuzz_expect(strlen(card.prepare.orientation) % 3 == 0, "three letters or none");
    fuzz_expect(!status || !card.labels, "nothing is left of a card that is refused");
    vox_card_clear(&card);
    fuzz_file_close(&file);
    return 0;
}
