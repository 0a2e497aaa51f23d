/* numbers.c - a decimal point is a point, wherever the user lives. */
#include "weights/weights.h"

#include <locale.h>

vox_status vox_c_numbers_begin(vox_c_numbers *n, vox_error *err) {
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return vox_fail(err, VOX_ERR_RESOURCE, "locale: the C locale cannot be set up");
    n->c = c;
    n->before = uselocale(c);
    return VOX_OK;
}

void vox_c_numbers_end(vox_c_numbers *n) {
    uselocale(n->before);
    freelocale(n->c);
}
