/* report.h - plans, reports and headers as text for people and as JSON for programs.
 *
 * JSON is one object on one line. json.c is the only file that knows the JSON library.
 */
#ifndef VOX_CLI_REPORT_H
#define VOX_CLI_REPORT_H

#include "cli/label_table.h"
#include "cli/layer_table.h"

void print_plan(const vox_plan *plan, const layer_table *layers);
/* What was drawn, "flip D,W; rot90 k=1 in HW; no noise". Writes into and returns buf. */
enum { AUGMENT_TEXT = 128 };
const char *augment_text(const vox_augment_options *o, const vox_augment_drawn *drawn,
                         char buf[AUGMENT_TEXT]);
void print_augment_plan(const vox_augment_options *o, const vox_augment_memory *plan);
/* A vector a line. */
void print_values(const vox_tensor *values);
/* `statistics` may be NULL. */
void print_info(const vox_volume_info *info, const vox_statistics *statistics);

/* Errors: VOX_ERR_RESOURCE. */
vox_status print_plan_json(const vox_plan *plan, const layer_table *layers, vox_error *err);
/* With a table of no labels: without one. */
vox_status print_report_json(const vox_report *report, const char *output,
                             const label_table *labels, vox_error *err);
vox_status print_augment_plan_json(const vox_augment_options *o, const vox_augment_memory *plan,
                                   vox_error *err);
vox_status print_augment_report_json(const vox_augment_options *o, const vox_augment_report *report,
                                     const char *const *outputs, int count, vox_error *err);
vox_status print_values_json(const vox_tensor *values, vox_error *err);
vox_status print_info_json(const vox_volume_info *info, const vox_statistics *statistics,
                           vox_error *err);

#endif
