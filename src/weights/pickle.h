/* pickle.h - the part of Python's pickle format that a state_dict uses, read into values.
 *
 * A pickle is a program for a machine with a stack and a memo. This machine makes values and calls
 * nothing: what a pickle wants called is a value like others, and what it means is for the reader
 * to say (torch.c). It knows the opcodes that are listed in pickle.c and the globals that the
 * caller lists; any other ends the reading. Values live in a few arrays that together take less
 * than a hundred bytes for each byte of the pickle, and are named by their index.
 */
#ifndef VOX_PICKLE_H
#define VOX_PICKLE_H

#include "base/base.h"

typedef enum vox_pickle_kind {
    VOX_PICKLE_NONE,
    VOX_PICKLE_BOOL,
    VOX_PICKLE_INT,
    VOX_PICKLE_FLOAT,
    VOX_PICKLE_TEXT,
    VOX_PICKLE_TUPLE,
    VOX_PICKLE_LIST,
    VOX_PICKLE_DICT,
    VOX_PICKLE_GLOBAL,
    VOX_PICKLE_CALL,       /* a global and the arguments that it should be called with */
    VOX_PICKLE_PERSISTENT, /* what the id stands for lies outside of the pickle */
} vox_pickle_kind;

typedef struct vox_pickle_value {
    vox_pickle_kind kind : 8;
    bool made_by_call; /* a DICT that came of calling a global */
    uint32_t at;       /* the byte of the opcode that made it */
    union {
        int64_t integer; /* of an INT; 0 or 1 of a BOOL */
        double number;
        struct {
            uint32_t from, length; /* bytes of the pickle, neither ended by a NUL nor without one */
        } text;
        struct {
            uint32_t first, count, room; /* see vox_pickle_item */
        } items;
        struct {
            uint32_t global; /* row of the caller's list */
            uint32_t args;   /* of a CALL: a TUPLE */
        } call;
        uint32_t id;
    };
} vox_pickle_value;

/* What a pickle may name. */
typedef struct vox_pickle_global {
    const char *module, *name;
    enum {
        VOX_PICKLE_NAME, /* cannot be called */
        VOX_PICKLE_MAKES_DICT,
        VOX_PICKLE_MAKES_CALL,
    } use;
} vox_pickle_global;

/* A tensor takes some 150 bytes, so this is for a hundred thousand of them. */
enum { VOX_PICKLE_MOST_BYTES = 1 << 24 };

typedef struct vox_pickle vox_pickle;

/* Reads a whole pickle of protocol 2 to 5. `label` says in messages what it is; `bytes` and
 * `globals` (`count` rows) are the caller's and stay. Errors: VOX_ERR_WEIGHTS, VOX_ERR_RESOURCE. */
vox_status vox_pickle_read(const char *label, const unsigned char *bytes, int64_t length,
                           const vox_pickle_global *globals, int count, vox_pickle **pickle,
                           vox_error *err);
void vox_pickle_free(vox_pickle *p);

/* Indices of values: what the pickle stands for, and the items of a TUPLE, LIST or DICT, which has
 * its keys and values in turn. A value may be in several places, and in itself. */
uint32_t vox_pickle_root(const vox_pickle *p);
const vox_pickle_value *vox_pickle_at(const vox_pickle *p, uint32_t index);
uint32_t vox_pickle_item(const vox_pickle *p, const vox_pickle_value *container, uint32_t i);
/* The bytes of a TEXT, text.length of them. */
const char *vox_pickle_text(const vox_pickle *p, const vox_pickle_value *text);
bool vox_pickle_text_is(const vox_pickle *p, const vox_pickle_value *v, const char *text);

#endif
