/* execution.h - what every command that filters volumes is asked alike: where the output goes, how
 * the input is read, how the work is done. */
#ifndef VOX_CLI_EXECUTION_H
#define VOX_CLI_EXECUTION_H

#include "cli/options.h"
#include "cli/label_table.h"
#include "cli/progress.h"

enum { NOT_GIVEN = -1 };

typedef struct blend_option {
    vox_blend kind;
    double sigma_scale; /* 0: the library's */
} blend_option;

/* A command's struct of values has these as its member `execution`. */
typedef struct execution_options {
    int time, datatype;
    bool split;
    int64_t threads, max_memory, slab;
    int64_t patch_size[3]; /* 0,0,0: not given */
    double overlap[3];     /* or NOT_GIVEN */
    blend_option blend;
    const char *isa;
    bool plan;
    const char *output;
    bool force, quiet, verbose, json;
    int64_t compression;
    int progress;
    const vox_labels *label_names; /* of the labels 0 to label_count - 1 of the output, which are */
    int64_t label_count;           /* counted and shown at the end; or 0 */
    vox_prepare prepare;           /* what goes into the network */
} execution_options;

option_set set_datatype, set_overlap, set_blend;
extern const char *const time_names[];

/* The rows of the table of `type`. */
#define OUTPUT_ROWS(type)                                                                          \
    OPTION_ROW(type, 'o', "output", "FILE", "Output",                                              \
               ".nii, .nii.gz, .hdr or .img (a pair), .npy, or - for stdout", set_text,            \
               execution.output),                                                                  \
        OPTION_ROW(type, 'f', "force", NULL, "Output", "replace an existing output", set_flag,     \
                   execution.force),                                                               \
        OPTION_ROW(type, 't', "datatype", "TYPE", "Output",                                        \
                   "float32 (default), uint8, int16, ..., or input: the input's type and scaling", \
                   set_datatype, execution.datatype),                                              \
        OPTION_ROW(type, 'z', "compression", "LEVEL", "Output", "gzip level, 0 to 9", set_integer, \
                   execution.compression, .max = 9),                                               \
        OPTION_ROW(type, 0, "split", NULL, "Output", "write a file for each output channel",       \
                   set_flag, execution.split)
#define EXECUTION_ROWS(type)                                                                       \
    OPTION_ROW(type, 0, "time", "auto|batch|channels", "Data",                                     \
               "what a 4-D file's t axis is (default auto: by the layer's in_channels)",           \
               set_choice, execution.time, .choices = time_names),                                 \
        OPTION_ROW(type, 'j', "threads", "N", "Execution",                                         \
                   "default: OMP_NUM_THREADS or all cores", set_integer, execution.threads,        \
                   .min = 1, .max = 4096),                                                         \
        OPTION_ROW(type, 'm', "max-memory", "SIZE", "Execution",                                   \
                   "cap on peak memory: 512M, 2G (default: 80% of what is available)", set_bytes,  \
                   execution.max_memory),                                                          \
        OPTION_ROW(type, 0, "slab", "N", "Execution", "D-planes at a time (default: chosen)",      \
                   set_integer, execution.slab, .min = 1),                                         \
        OPTION_ROW(type, 0, "patch-size", "N|D,H,W", "Execution",                                  \
                   "work through the volume in patches", set_triple, execution.patch_size,         \
                   .min = 1, .max = INT32_MAX),                                                    \
        OPTION_ROW(type, 0, "blend", "MODE", "Execution",                                          \
                   "exact (default): patches change no bit; average, gaussian[:SIGMA_SCALE]: "     \
                   "each patch is a "                                                              \
                   "volume of its own, overlaps are averaged",                                     \
                   set_blend, execution.blend),                                                    \
        OPTION_ROW(type, 0, "overlap", "X|D,H,W", "Execution",                                     \
                   "of patches that are averaged: voxels, or below 1 a share of the patch "        \
                   "(default 0.25)",                                                               \
                   set_overlap, execution.overlap),                                                \
        OPTION_ROW(type, 0, "plan", NULL, "Execution",                                             \
                   "print shapes and memory on stdout and stop", set_flag, execution.plan),        \
        OPTION_ROW(type, 0, "isa", "NAME", "Execution",                                            \
                   "instruction set: auto or one that --version lists", set_text, execution.isa),  \
        OPTION_ROW(type, 'q', "quiet", NULL, "General", "no warnings, no progress", set_flag,      \
                   execution.quiet),                                                               \
        OPTION_ROW(type, 'v', "verbose", NULL, "General", "say on stderr what was done", set_flag, \
                   execution.verbose),                                                             \
        OPTION_ROW(type, 0, "progress", "auto|always|never", "General",                            \
                   "default auto: on a terminal", set_choice, execution.progress,                  \
                   .choices = progress_modes),                                                     \
        OPTION_ROW(type, 0, "json", NULL, "General",                                               \
                   "print the plan or a report of the run on stdout as JSON", set_flag,            \
                   execution.json)

void execution_defaults(execution_options *o);
/* Options that contradict each other or would do nothing. Errors: VOX_ERR_USAGE. */
vox_status execution_check(const char *command, const execution_options *o, int input_count,
                           bool needs_output, vox_error *err);
/* --isa, --quiet: before anything is done. */
vox_status execution_begin(const execution_options *o, vox_error *err);
/* Filters the input, or with --plan says what that would take. in_channels as in vox_input_layout.
 */
vox_status execution_run(const execution_options *o, vox_input *in, const vox_network *network,
                         int64_t in_channels, vox_error *err);
/* The same for a network that gives a vector for each frame: printed, or written as a tensor file
 * (.npy, .txt, ...). */
vox_status execution_values(const execution_options *o, vox_input *in, const vox_network *network,
                            int64_t in_channels, vox_error *err);

#endif
