/* prepare.h - options that say what goes into a network. */
#ifndef VOX_CLI_PREPARE_H
#define VOX_CLI_PREPARE_H

#include "cli/options.h"

option_set set_intensity; /* vox_prepare */

/* The rows of the table of `type`, whose values have execution_options as `execution`. */
#define PREPARE_ROWS(type)                                                                         \
    OPTION_ROW(type, 0, "intensity", "SCALING", "What goes in",                                    \
               "none, minmax, percentile:LO,HI, zscore[:nonzero], window:LEVEL,WIDTH",             \
               set_intensity, execution.prepare)

#endif
