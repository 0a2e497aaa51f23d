/* prepare.h - options that say what goes into a network. */
#ifndef VOX_CLI_PREPARE_H
#define VOX_CLI_PREPARE_H

#include "cli/options.h"

option_set set_intensity;   /* vox_prepare */
option_set set_orientation; /* vox_prepare */
option_set set_spacing;     /* double[3] */

/* The rows of the table of `type`, whose values have execution_options as `execution`. */
#define PREPARE_ROWS(type)                                                                         \
    OPTION_ROW(type, 0, "intensity", "SCALING", "What goes in",                                    \
               "none, minmax, percentile:LO,HI, zscore[:nonzero], window:LEVEL,WIDTH",             \
               set_intensity, execution.prepare),                                                  \
        OPTION_ROW(type, 0, "orientation", "CODES", "What goes in",                                \
                   "turn the volume so that W, H and D grow towards: RAS, LIA, ...",               \
                   set_orientation, execution.prepare),                                            \
        OPTION_ROW(type, 0, "spacing", "MM|D,H,W", "What goes in",                                 \
                   "resample it to voxels of this size: 1mm, 3,1,1", set_spacing,                  \
                   execution.prepare.spacing_mm),                                                  \
        OPTION_ROW(type, 0, "shape", "N|D,H,W", "What goes in",                                    \
                   "to so many voxels about its middle: 256", set_triple, execution.prepare.shape, \
                   .min = 1, .max = INT32_MAX)

/* The card of a model: `named`, or, where that is NULL, the file MODEL.card.json where there is
 * one; empty where there is none. `verbose`: which one it is goes to stderr. */
vox_status read_card(const char *model, const char *named, bool verbose, vox_card *card,
                     vox_error *err);
/* Fills what is not given with what the card says. */
void fill_from_card(vox_prepare *p, const vox_prepare *card);

#endif
