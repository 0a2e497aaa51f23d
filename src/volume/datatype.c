/* datatype.c - the table of datatypes and their names. */
#include "volume/datatype.h"

#include <nifti2_io.h>
#include <string.h>

static const vox_datatype table[] = {
    {NIFTI_TYPE_UINT8, "uint8", VOX_STORE_UINT8, 1, 1, true},
    {NIFTI_TYPE_INT8, "int8", VOX_STORE_INT8, 1, 1, true},
    {NIFTI_TYPE_UINT16, "uint16", VOX_STORE_UINT16, 1, 2, true},
    {NIFTI_TYPE_INT16, "int16", VOX_STORE_INT16, 1, 2, true},
    {NIFTI_TYPE_UINT32, "uint32", VOX_STORE_UINT32, 1, 4, true},
    {NIFTI_TYPE_INT32, "int32", VOX_STORE_INT32, 1, 4, true},
    {NIFTI_TYPE_UINT64, "uint64", VOX_STORE_UINT64, 1, 8, true},
    {NIFTI_TYPE_INT64, "int64", VOX_STORE_INT64, 1, 8, true},
    {NIFTI_TYPE_FLOAT32, "float32", VOX_STORE_FLOAT32, 1, 4, true},
    {NIFTI_TYPE_FLOAT64, "float64", VOX_STORE_FLOAT64, 1, 8, true},
    {NIFTI_TYPE_RGB24, "rgb24", VOX_STORE_UINT8, 3, 3, false},
    {NIFTI_TYPE_RGBA32, "rgba32", VOX_STORE_UINT8, 4, 4, false},
    {NIFTI_TYPE_COMPLEX64, "complex64", VOX_STORE_FLOAT32, 2, 8, true},
    {NIFTI_TYPE_COMPLEX128, "complex128", VOX_STORE_FLOAT64, 2, 16, true},
};
enum { TABLE_COUNT = sizeof table / sizeof table[0] };

const vox_datatype *vox_datatype_find(int code) {
    for (int i = 0; i < TABLE_COUNT; i++)
        if (table[i].code == code)
            return &table[i];
    return NULL;
}

const char *vox_datatype_not_served(int code) {
    switch (code) {
    case DT_BINARY:
        return "binary";
    case NIFTI_TYPE_FLOAT128:
        return "float128";
    case NIFTI_TYPE_COMPLEX256:
        return "complex256";
    default:
        return NULL;
    }
}

int vox_datatype_from_name(const char *name) {
    for (int i = 0; i < TABLE_COUNT; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].code;
    return 0;
}

const char *vox_datatype_name(int datatype) {
    const vox_datatype *t = vox_datatype_find(datatype);
    return t ? t->name : NULL;
}
