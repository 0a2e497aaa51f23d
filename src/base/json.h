/* json.h - JSON that is read, through jansson: the one place that tells a bad text from too little
 * memory. */
#ifndef VOX_JSON_H
#define VOX_JSON_H

#include "base/base.h"

#include <jansson.h>

/* *root is the value of the text, freed with json_decref(), or NULL. A member of an object that is
 * named twice is an error. Errors: VOX_ERR_WEIGHTS, which names `subject` (a file, or a part of
 * one), line, reason and column; VOX_ERR_RESOURCE. Threads: any. */
vox_status vox_json_parse(const char *subject, const void *text, int64_t bytes, json_t **root,
                          vox_error *err);

#endif
