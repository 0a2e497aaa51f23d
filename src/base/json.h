/* json.h - JSON that is read, through jansson: the one place that tells a bad text from too little
 * memory. */
#ifndef VOX_JSON_H
#define VOX_JSON_H

#include "base/base.h"

#include <jansson.h>

/* The value of the text, freed with json_decref(); of an object's member named twice, none. NULL
 * with VOX_ERR_WEIGHTS that names `subject` (a file, or a part of one), line and reason, or with
 * VOX_ERR_RESOURCE. Threads: any. */
json_t *vox_json_parse(const char *subject, const void *text, int64_t bytes, vox_error *err);

#endif
