/* test_volume_make.h - NIfTI files made byte by byte from the standard's offsets, for the tests of
 * volume.
 *
 * Independent of src/volume: it knows no struct of nifticlib, only the tables in nifti1.h's and
 * nifti2.h's comments, and writes either byte order.
 */
#ifndef TEST_VOLUME_MAKE_H
#define TEST_VOLUME_MAKE_H

#include "volume/volume.h"

typedef struct nifti_maker {
    int version;
    bool big_endian;
    unsigned char bytes[1 << 16]; /* header, extender, extensions, voxels */
    int64_t size;
} nifti_maker;

/* Each test gets an empty folder of its own; suites use these as .init and .fini. */
void volume_test_setup(void);
void volume_test_teardown(void);
/* A path in that folder; valid until the test ends. */
const char *volume_test_path(const char *name);

/* A valid single-file header: rank 3, 4 x 3 x 2 voxels of float32, no scaling, no qform or sform.
 */
void make_header(nifti_maker *m, int version, bool big_endian);
/* Sets a numeric field by its NIfTI name, "dim[3]" for arrays. */
void make_field(nifti_maker *m, const char *field, double value);
void make_text(nifti_maker *m, const char *field, const char *text, int bytes);
/* Extents, rank and, from the datatype, nothing else. */
void make_dims(nifti_maker *m, int rank, const int64_t *dim);
void make_datatype(nifti_maker *m, int datatype, int bitpix);
/* Appends an extension: flag, esize, ecode, `bytes` of edata (a multiple of 16, minus 8). */
void make_extension(nifti_maker *m, int32_t ecode, const void *edata, int32_t bytes);
/* Appends numbers in the file's byte order, behind what is there. */
void make_append(nifti_maker *m, const void *values, int size, int64_t count);
/* vox_offset = the size so far; call before appending voxels. */
void make_data_here(nifti_maker *m);

const char *make_file(const nifti_maker *m, const char *name);
const char *make_bytes(const char *name, const void *bytes, int64_t size);
const char *make_gzip(const char *name, const void *bytes, int64_t size);
/* The file's bytes, gunzipped where they are gzip (zlib). The caller frees. */
unsigned char *slurp(const char *path, int64_t *size);

/* All of an input as (N, C, D, H, W), read in slabs through a ring; fails the test on errors. */
float *read_everything(vox_input *in, const vox_layout *layout, int64_t slab);
/* Writes (N, C, D, H, W) in slabs. */
vox_status write_everything(const vox_input *in, vox_output *o, const float *values, int64_t batch,
                            vox_error *err);
vox_input *open_one(const char *path);

#endif
