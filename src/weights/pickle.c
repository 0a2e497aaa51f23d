/* pickle.c - see pickle.h.
 *
 * Source: Python's Lib/pickletools.py, which describes every opcode. The table `opcodes` at the end
 * is the list of those that are known here.
 */
#include "weights/pickle.h"

#include <stdlib.h>
#include <string.h>

/* No pickler puts more than the 1,000 pairs of one SETITEMS onto the stack at a level, and what is
 * saved has a few levels. */
enum { MOST_STACK = 1 << 20, MOST_MARKS = 1000, MOST_GLOBAL = 200 };

/* Values that need not be made again and again, so that the shortest opcodes cost no memory. */
enum { NONE, FALSE_VALUE, TRUE_VALUE, EMPTY_TUPLE, CONSTANTS };

typedef struct words {
    uint32_t *data;
    int64_t count, room;
} words;

struct vox_pickle {
    const unsigned char *bytes;
    vox_pickle_value *values;
    int64_t count, room;
    words items; /* of all containers */
    uint32_t root;
};

typedef struct machine {
    vox_pickle *p;
    const char *label;
    const vox_pickle_global *globals;
    int global_count;
    int64_t length, at, opcode; /* next byte to read, byte of the opcode at work */
    words stack, memo;
    uint32_t marks[MOST_MARKS];
    int mark_count;
    int variant; /* of the opcode at work, from the table */
    bool stopped;
    vox_error *err;
} machine;

/* ---- Messages ---- */

static bool bad(machine *m, const char *what) {
    vox_fail(m->err, VOX_ERR_WEIGHTS, "%s: byte %lld, opcode 0x%02x: %s", m->label,
             (long long)m->opcode, m->p->bytes[m->opcode], what);
    return false;
}

/* Names for those that a pickle could have and this machine has not. */
static const char *unknown_name(unsigned char opcode) {
    static const struct {
        unsigned char opcode;
        const char *name;
    } names[] = {
        {'i', " (INST)"},           {'o', " (OBJ)"},        {0x81, " (NEWOBJ)"},
        {0x92, " (NEWOBJ_EX)"},     {0x82, " (EXT1)"},      {0x83, " (EXT2)"},
        {0x84, " (EXT4)"},          {'P', " (PERSID)"},     {'0', " (POP)"},
        {'1', " (POP_MARK)"},       {'2', " (DUP)"},        {'B', " (BINBYTES)"},
        {'C', " (SHORT_BINBYTES)"}, {0x8e, " (BINBYTES8)"}, {0x96, " (BYTEARRAY8)"},
        {0x8f, " (EMPTY_SET)"},     {0x91, " (FROZENSET)"}, {0x97, " (NEXT_BUFFER)"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].opcode == opcode)
            return names[i].name;
    return "";
}

static bool unknown_opcode(machine *m) {
    const unsigned char opcode = m->p->bytes[m->opcode];
    vox_fail(
        m->err, VOX_ERR_WEIGHTS,
        "%s: byte %lld: opcode 0x%02x%s: no state_dict uses it, and nothing of a pickle is run",
        m->label, (long long)m->opcode, opcode, unknown_name(opcode));
    return false;
}

/* ---- Arrays that grow ---- */

static bool grow(machine *m, void **data, int64_t *room, int64_t wanted, size_t size) {
    if (wanted <= *room)
        return true;
    const int64_t more = vox_max(wanted, vox_max(2 * *room, 64));
    void *grown = wanted <= UINT32_MAX ? realloc(*data, (size_t)more * size) : NULL;
    if (!grown) {
        vox_fail(m->err, VOX_ERR_RESOURCE, "%s: out of memory", m->label);
        return false;
    }
    *data = grown;
    *room = more;
    return true;
}

static bool words_reserve(machine *m, words *w, int64_t wanted) {
    void *data = w->data;
    const bool grown = grow(m, &data, &w->room, wanted, sizeof *w->data);
    w->data = data;
    return grown;
}

static bool words_push(machine *m, words *w, uint32_t word) {
    if (!words_reserve(m, w, w->count + 1))
        return false;
    w->data[w->count++] = word;
    return true;
}

/* ---- The stack ---- */

static bool push(machine *m, uint32_t value) {
    return m->stack.count < MOST_STACK ? words_push(m, &m->stack, value)
                                       : bad(m, "more values on the stack than a state_dict needs");
}

static bool push_new(machine *m, vox_pickle_value v) {
    vox_pickle *p = m->p;
    void *values = p->values;
    const bool grown = grow(m, &values, &p->room, p->count + 1, sizeof *p->values);
    p->values = values;
    if (!grown)
        return false;
    v.at = (uint32_t)m->opcode;
    p->values[p->count++] = v;
    return push(m, (uint32_t)(p->count - 1));
}

/* How many values there are above the last mark. */
static int64_t above_mark(const machine *m) {
    return m->stack.count - (m->mark_count ? m->marks[m->mark_count - 1] : 0);
}

/* Whether `count` values can be taken without taking a mark with them. */
static bool needs(machine *m, int count) {
    return above_mark(m) >= count || bad(m, "the stack holds too few values for it");
}

/* The value `depth` below the top; valid until the next value is made. */
static vox_pickle_value *peek(const machine *m, int64_t depth) {
    return &m->p->values[m->stack.data[m->stack.count - 1 - depth]];
}

static bool mark(machine *m) {
    if (m->mark_count == MOST_MARKS)
        return bad(m, "nested too deeply");
    m->marks[m->mark_count++] = (uint32_t)m->stack.count;
    return true;
}

/* Takes the last mark away; *count values were above it. */
static bool take_mark(machine *m, int64_t *count) {
    if (!m->mark_count)
        return bad(m, "there is no mark");
    *count = above_mark(m);
    m->mark_count--;
    return true;
}

/* ---- What stands behind an opcode ---- */

static bool has(machine *m, uint64_t bytes) {
    return bytes <= (uint64_t)(m->length - m->at) || bad(m, "the pickle ends within it");
}

/* A little-endian number of up to 8 bytes. */
static bool read_number(machine *m, int bytes, uint64_t *number) {
    if (!has(m, (uint64_t)bytes))
        return false;
    *number = 0;
    for (int i = bytes; i-- > 0;)
        *number = *number << 8 | m->p->bytes[m->at + i];
    m->at += bytes;
    return true;
}

static bool proto(machine *m) {
    uint64_t version;
    if (!read_number(m, 1, &version))
        return false;
    if (m->opcode != 0)
        return bad(m, "PROTO stands at the beginning only");
    return (version >= 2 && version <= 5) || bad(m, "protocols 2 to 5 are known");
}

/* Frames are for reading ahead; they change nothing. */
static bool frame(machine *m) {
    uint64_t bytes;
    return read_number(m, 8, &bytes) && has(m, bytes);
}

static bool stop(machine *m) {
    if (m->stack.count != 1 || m->mark_count)
        return bad(m, "STOP with another number of values than one");
    m->p->root = m->stack.data[0];
    m->stopped = true;
    return m->at == m->length || bad(m, "something follows STOP");
}

/* ---- Numbers, texts and constants ---- */

static bool constant(machine *m) {
    return push(m, (uint32_t)m->variant);
}

static bool push_integer(machine *m, int bytes, bool is_signed) {
    uint64_t n;
    if (!read_number(m, bytes, &n))
        return false;
    if (is_signed && bytes > 0 && bytes < 8 && n >> (8 * bytes - 1))
        n |= ~(uint64_t)0 << 8 * bytes;
    return push_new(m, (vox_pickle_value){.kind = VOX_PICKLE_INT, .integer = (int64_t)n});
}

static bool unsigned_integer(machine *m) {
    return push_integer(m, m->variant, false);
}

static bool signed_integer(machine *m) {
    return push_integer(m, m->variant, true);
}

static bool long1(machine *m) {
    uint64_t bytes;
    if (!read_number(m, 1, &bytes))
        return false;
    return bytes <= 8 ? push_integer(m, (int)bytes, true)
                      : bad(m, "an integer of more than 64 bits");
}

/* The one number that is big-endian. */
static bool binfloat(machine *m) {
    uint64_t bits;
    double number;
    if (!read_number(m, 8, &bits))
        return false;
    bits = __builtin_bswap64(bits);
    memcpy(&number, &bits, sizeof number);
    return push_new(m, (vox_pickle_value){.kind = VOX_PICKLE_FLOAT, .number = number});
}

static bool text(machine *m) {
    uint64_t length;
    if (!read_number(m, m->variant, &length) || !has(m, length))
        return false;
    const vox_pickle_value v = {.kind = VOX_PICKLE_TEXT,
                                .text = {(uint32_t)m->at, (uint32_t)length}};
    m->at += (int64_t)length;
    return push_new(m, v);
}

/* ---- Containers ---- */

static bool empty(machine *m) {
    return push_new(m, (vox_pickle_value){.kind = (vox_pickle_kind)m->variant});
}

/* Moves the `count` values on top of the stack into the container. Where it has no room for them,
 * its items move to the end of the array, with room for as many again: what is left behind is never
 * more than what there is. */
static bool add_items(machine *m, uint32_t container, int64_t count) {
    vox_pickle *p = m->p;
    vox_pickle_value *c = &p->values[container];
    const int64_t wanted = c->items.count + count;
    if (wanted > c->items.room) {
        const int64_t room = c->items.count ? 2 * wanted : wanted;
        if (!words_reserve(m, &p->items, p->items.count + room))
            return false;
        if (c->items.count)
            memcpy(p->items.data + p->items.count, p->items.data + c->items.first,
                   c->items.count * sizeof *p->items.data);
        c->items.first = (uint32_t)p->items.count;
        c->items.room = (uint32_t)room;
        p->items.count += room;
    }
    if (count)
        memcpy(p->items.data + c->items.first + c->items.count,
               m->stack.data + m->stack.count - count, (size_t)count * sizeof *p->items.data);
    c->items.count = (uint32_t)wanted;
    m->stack.count -= count;
    return true;
}

static bool make_tuple(machine *m, int64_t count) {
    if (!push_new(m, (vox_pickle_value){.kind = VOX_PICKLE_TUPLE}))
        return false;
    const uint32_t made = m->stack.data[--m->stack.count];
    return add_items(m, made, count) && push(m, made);
}

static bool tuple_of(machine *m) {
    return needs(m, m->variant) && make_tuple(m, m->variant);
}

static bool tuple(machine *m) {
    int64_t count;
    return take_mark(m, &count) && make_tuple(m, count);
}

/* The `count` values on top go into the container under them. */
static bool add(machine *m, int64_t count) {
    const vox_pickle_kind kind = (vox_pickle_kind)m->variant;
    if (above_mark(m) <= count)
        return bad(m, "the stack holds too few values for it");
    if (peek(m, count)->kind != kind)
        return bad(m, kind == VOX_PICKLE_LIST ? "what it adds to is no list"
                                              : "what it adds to is no dictionary");
    if (kind == VOX_PICKLE_DICT && count % 2)
        return bad(m, "a key without a value");
    return add_items(m, m->stack.data[m->stack.count - 1 - count], count);
}

static bool add_one(machine *m) {
    return add(m, m->variant == VOX_PICKLE_DICT ? 2 : 1);
}

static bool add_above_mark(machine *m) {
    int64_t count;
    return take_mark(m, &count) && add(m, count);
}

/* ---- The memo ---- */

/* Picklers count through; so no number in a file decides how large the memo is. */
static bool put(machine *m) {
    uint64_t index = (uint64_t)m->memo.count;
    if (m->variant && !read_number(m, m->variant, &index))
        return false;
    if (!needs(m, 1))
        return false;
    if (index != (uint64_t)m->memo.count)
        return bad(m, "not the next index of the memo");
    return words_push(m, &m->memo, m->stack.data[m->stack.count - 1]);
}

static bool get(machine *m) {
    uint64_t index;
    if (!read_number(m, m->variant, &index))
        return false;
    return index < (uint64_t)m->memo.count ? push(m, m->memo.data[index])
                                           : bad(m, "nothing is in the memo there");
}

/* ---- Globals and what is done with them ---- */

static bool is(const char *word, const char *bytes, int64_t length) {
    return strlen(word) == (size_t)length && memcmp(word, bytes, (size_t)length) == 0;
}

/* A global where the pickle begins is the class of what it holds; deeper it is one of its parts. */
static bool unknown_global(machine *m, const char *module, int64_t module_length, const char *name,
                           int64_t name_length) {
    const bool whole =
        m->stack.count == 0 || is("torch.nn.modules", module, vox_min(module_length, 16));
    vox_fail(m->err, VOX_ERR_WEIGHTS,
             "%s: byte %lld: global %.*s.%.*s: %s; nothing of it is run; "
             "torch.save(model.state_dict(), FILE) makes a file that is read",
             m->label, (long long)m->opcode, (int)vox_min(module_length, MOST_GLOBAL), module,
             (int)vox_min(name_length, MOST_GLOBAL), name,
             whole ? "a pickled object, as of torch.save(model, FILE)"
                   : "not part of a state_dict");
    return false;
}

static bool push_global(machine *m, const char *module, int64_t module_length, const char *name,
                        int64_t name_length) {
    for (int i = 0; i < m->global_count; i++)
        if (is(m->globals[i].module, module, module_length) &&
            is(m->globals[i].name, name, name_length))
            return push_new(
                m, (vox_pickle_value){.kind = VOX_PICKLE_GLOBAL, .call = {.global = (uint32_t)i}});
    return unknown_global(m, module, module_length, name, name_length);
}

/* A line of text without its newline. */
static bool line(machine *m, const char **from, int64_t *length) {
    const unsigned char *start = m->p->bytes + m->at;
    const unsigned char *end = memchr(start, '\n', (size_t)(m->length - m->at));
    if (!end)
        return bad(m, "the pickle ends within it");
    *from = (const char *)start;
    *length = end - start;
    m->at += *length + 1;
    return true;
}

static bool global(machine *m) {
    const char *module, *name;
    int64_t module_length, name_length;
    return line(m, &module, &module_length) && line(m, &name, &name_length) &&
           push_global(m, module, module_length, name, name_length);
}

static bool stack_global(machine *m) {
    if (!needs(m, 2))
        return false;
    const vox_pickle_value module = *peek(m, 1), name = *peek(m, 0);
    if (module.kind != VOX_PICKLE_TEXT || name.kind != VOX_PICKLE_TEXT)
        return bad(m, "a global's names are texts");
    m->stack.count -= 2;
    return push_global(m, vox_pickle_text(m->p, &module), module.text.length,
                       vox_pickle_text(m->p, &name), name.text.length);
}

static bool reduce(machine *m) {
    if (!needs(m, 2))
        return false;
    const vox_pickle_value callee = *peek(m, 1), args = *peek(m, 0);
    const uint32_t args_index = m->stack.data[m->stack.count - 1];
    if (callee.kind != VOX_PICKLE_GLOBAL || args.kind != VOX_PICKLE_TUPLE)
        return bad(m, "REDUCE without a global and a tuple");
    m->stack.count -= 2;
    switch (m->globals[callee.call.global].use) {
    case VOX_PICKLE_MAKES_DICT:
        if (args.items.count)
            return bad(m, "REDUCE of a dictionary with arguments");
        return push_new(m, (vox_pickle_value){.kind = VOX_PICKLE_DICT, .made_by_call = true});
    case VOX_PICKLE_MAKES_CALL:
        return push_new(m, (vox_pickle_value){.kind = VOX_PICKLE_CALL,
                                              .call = {callee.call.global, args_index}});
    default:
        return bad(m, "REDUCE of what cannot be called");
    }
}

/* An OrderedDict has attributes beside its items: a state_dict its _metadata. They go. */
static bool build(machine *m) {
    if (!needs(m, 2))
        return false;
    const vox_pickle_value *object = peek(m, 1);
    if (!object->made_by_call || peek(m, 0)->kind != VOX_PICKLE_DICT)
        return bad(m, "BUILD of something else than the attributes of an OrderedDict");
    m->stack.count--;
    return true;
}

static bool binpersid(machine *m) {
    if (!needs(m, 1))
        return false;
    const uint32_t id = m->stack.data[--m->stack.count];
    return push_new(m, (vox_pickle_value){.kind = VOX_PICKLE_PERSISTENT, .id = id});
}

/* ---- The machine ---- */

/* By opcode: what it does, and which of its variants it is: a number of bytes or of values, a kind
 * or one of the constants. */
static const struct {
    bool (*run)(machine *m);
    int variant;
} opcodes[256] = {
    [0x80] = {proto, 0},
    [0x95] = {frame, 0},
    ['.'] = {stop, 0},
    /* NONE, NEWFALSE, NEWTRUE, EMPTY_TUPLE */
    ['N'] = {constant, NONE},
    [0x89] = {constant, FALSE_VALUE},
    [0x88] = {constant, TRUE_VALUE},
    [')'] = {constant, EMPTY_TUPLE},
    /* BININT1, BININT2, BININT, LONG1, BINFLOAT, SHORT_BINUNICODE, BINUNICODE */
    ['K'] = {unsigned_integer, 1},
    ['M'] = {unsigned_integer, 2},
    ['J'] = {signed_integer, 4},
    [0x8a] = {long1, 0},
    ['G'] = {binfloat, 0},
    [0x8c] = {text, 1},
    ['X'] = {text, 4},
    /* EMPTY_LIST, EMPTY_DICT, TUPLE1 to TUPLE3, MARK, TUPLE, APPEND(S), SETITEM(S) */
    [']'] = {empty, VOX_PICKLE_LIST},
    ['}'] = {empty, VOX_PICKLE_DICT},
    [0x85] = {tuple_of, 1},
    [0x86] = {tuple_of, 2},
    [0x87] = {tuple_of, 3},
    ['('] = {mark, 0},
    ['t'] = {tuple, 0},
    ['a'] = {add_one, VOX_PICKLE_LIST},
    ['e'] = {add_above_mark, VOX_PICKLE_LIST},
    ['s'] = {add_one, VOX_PICKLE_DICT},
    ['u'] = {add_above_mark, VOX_PICKLE_DICT},
    /* BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET */
    ['q'] = {put, 1},
    ['r'] = {put, 4},
    [0x94] = {put, 0},
    ['h'] = {get, 1},
    ['j'] = {get, 4},
    /* GLOBAL, STACK_GLOBAL, REDUCE, BUILD, BINPERSID */
    ['c'] = {global, 0},
    [0x93] = {stack_global, 0},
    ['R'] = {reduce, 0},
    ['b'] = {build, 0},
    ['Q'] = {binpersid, 0},
};

static bool run(machine *m) {
    static const vox_pickle_kind constants[CONSTANTS] = {
        [NONE] = VOX_PICKLE_NONE,
        [FALSE_VALUE] = VOX_PICKLE_BOOL,
        [TRUE_VALUE] = VOX_PICKLE_BOOL,
        [EMPTY_TUPLE] = VOX_PICKLE_TUPLE,
    };
    for (int i = 0; i < CONSTANTS; i++)
        if (!push_new(m, (vox_pickle_value){.kind = constants[i]}))
            return false;
    m->p->values[TRUE_VALUE].integer = 1;
    m->stack.count = 0;
    while (!m->stopped) {
        if (m->at == m->length) {
            vox_fail(m->err, VOX_ERR_WEIGHTS, "%s: byte %lld: the pickle ends without STOP",
                     m->label, (long long)m->at);
            return false;
        }
        m->opcode = m->at++;
        const unsigned char opcode = m->p->bytes[m->opcode];
        if (!opcodes[opcode].run)
            return unknown_opcode(m);
        m->variant = opcodes[opcode].variant;
        if (!opcodes[opcode].run(m))
            return false;
    }
    return true;
}

vox_status vox_pickle_read(const char *label, const unsigned char *bytes, int64_t length,
                           const vox_pickle_global *globals, int count, vox_pickle **pickle,
                           vox_error *err) {
    *pickle = NULL;
    if (length > VOX_PICKLE_MOST_BYTES)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %lld bytes: no state_dict takes more than %d",
                        label, (long long)length, VOX_PICKLE_MOST_BYTES);
    vox_error local = {.status = VOX_OK};
    vox_pickle *p = calloc(1, sizeof *p);
    machine *m = calloc(1, sizeof *m);
    if (p && m) {
        p->bytes = bytes;
        *m = (machine){.p = p,
                       .label = label,
                       .globals = globals,
                       .global_count = count,
                       .length = length,
                       .err = &local};
        if (run(m))
            *pickle = p;
        free(m->stack.data);
        free(m->memo.data);
    } else {
        vox_fail(&local, VOX_ERR_RESOURCE, "%s: out of memory", label);
    }
    free(m);
    if (!*pickle)
        vox_pickle_free(p);
    return *pickle ? VOX_OK : vox_fail(err, local.status, "%s", local.message);
}

void vox_pickle_free(vox_pickle *p) {
    if (!p)
        return;
    free(p->values);
    free(p->items.data);
    free(p);
}

/* ---- Looking at values ---- */

uint32_t vox_pickle_root(const vox_pickle *p) {
    return p->root;
}

const vox_pickle_value *vox_pickle_at(const vox_pickle *p, uint32_t index) {
    return &p->values[index];
}

uint32_t vox_pickle_item(const vox_pickle *p, const vox_pickle_value *container, uint32_t i) {
    return p->items.data[container->items.first + i];
}

const char *vox_pickle_text(const vox_pickle *p, const vox_pickle_value *text) {
    return (const char *)p->bytes + text->text.from;
}

bool vox_pickle_text_is(const vox_pickle *p, const vox_pickle_value *v, const char *text) {
    return v->kind == VOX_PICKLE_TEXT && is(text, vox_pickle_text(p, v), v->text.length);
}
