/* onnx_fold.c - constant folding: arithmetic, number by number, with broadcasting. Whole numbers
 * stay whole; floating-point ones are computed in double and rounded to float32. */
#include "model/onnx_walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Broadcasting ---- */

/* The shape of two operands together, aligned at their last axes; false where they do not fit. */
static bool broadcast(const onnx_constant *a, const onnx_constant *b, int *rank,
                      int64_t shape[VOX_MAX_RANK]) {
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 1; i <= *rank; i++) {
        const int64_t x = i <= a->rank ? a->shape[a->rank - i] : 1;
        const int64_t y = i <= b->rank ? b->shape[b->rank - i] : 1;
        if (x != y && x != 1 && y != 1)
            return false;
        shape[*rank - i] = x == 1 ? y : x;
    }
    return true;
}

/* Where number `at` of the result comes from in an operand. */
static int64_t source(const onnx_constant *result, const onnx_constant *c, int64_t at) {
    int64_t index = 0, stride = 1;
    for (int i = 1; i <= result->rank; i++) {
        const int64_t n = result->shape[result->rank - i];
        if (i <= c->rank && c->shape[c->rank - i] > 1) {
            index += at % n * stride;
            stride *= n;
        }
        at /= n;
    }
    return index;
}

/* A result as large as two operands together; NULL with an error. */
static onnx_constant *result_of(onnx_walk *w, const onnx_constant *a, const onnx_constant *b,
                                bool integer, vox_error *err) {
    int rank;
    int64_t shape[VOX_MAX_RANK], count;
    if (!broadcast(a, b, &rank, shape)) {
        ONNX_BAD(w, err, "its inputs' shapes do not fit each other");
        return NULL;
    }
    if (!vox_product(shape, rank, &count))
        count = INT64_MAX;
    return onnx_fold_room(w, count, err) ? NULL : onnx_constant_new(integer, rank, shape, err);
}

/* ---- Two operands ---- */

typedef enum operation {
    ADD,
    SUB,
    MUL,
    DIV,
    MOD,
    POW,
    MIN,
    MAX,
    EQUAL,
    LESS,
    GREATER,
    AND,
    OR,
} operation;

static const struct {
    const char *type;
    operation op;
} binary[] = {
    {"Add", ADD},   {"Sum", ADD},         {"Sub", SUB}, {"Mul", MUL}, {"Div", DIV},
    {"Mod", MOD},   {"Pow", POW},         {"Min", MIN}, {"Max", MAX}, {"Equal", EQUAL},
    {"Less", LESS}, {"Greater", GREATER}, {"And", AND}, {"Or", OR},
};

static double of_reals(operation op, double a, double b) {
    switch (op) {
    case ADD:
        return a + b;
    case SUB:
        return a - b;
    case MUL:
        return a * b;
    case DIV:
        return a / b;
    case MOD:
        return fmod(a, b);
    case POW:
        return pow(a, b);
    case MIN:
        return a < b ? a : b;
    case MAX:
        return a > b ? a : b;
    case EQUAL:
        return a == b;
    case LESS:
        return a < b;
    case GREATER:
        return a > b;
    case AND:
        return a != 0 && b != 0;
    default:
        return a != 0 || b != 0;
    }
}

/* As two's complement wraps. b is not 0 where op divides. */
static int64_t of_integers(operation op, int64_t a, int64_t b) {
    const uint64_t x = (uint64_t)a, y = (uint64_t)b;
    switch (op) {
    case ADD:
        return (int64_t)(x + y);
    case SUB:
        return (int64_t)(x - y);
    case MUL:
        return (int64_t)(x * y);
    case DIV:
        return b == -1 ? (int64_t)(0 - x) : a / b;
    case MOD: /* the divisor's sign */
        return b == -1 ? 0 : (a % b != 0 && (a % b < 0) != (b < 0)) ? a % b + b : a % b;
    case EQUAL:
        return a == b;
    case LESS:
        return a < b;
    case GREATER:
        return a > b;
    case MIN:
        return a < b ? a : b;
    case MAX:
        return a > b ? a : b;
    case AND:
        return a && b;
    case OR:
        return a || b;
    default: {
        const double p = pow((double)a, (double)b);
        return fabs(p) < 0x1p62 ? (int64_t)p : 0;
    }
    }
}

vox_status onnx_fold_binary(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err), *b = a ? onnx_given(w, 1, err) : NULL;
    operation op = ADD;
    if (!b)
        return err->status;
    if (w->node->n_input != 2)
        return ONNX_REFUSE(w, err, "%zu constants: two are served", w->node->n_input);
    for (size_t i = 0; i < sizeof binary / sizeof *binary; i++)
        if (strcmp(binary[i].type, w->node->op_type) == 0)
            op = binary[i].op;
    const bool whole = a->integer && b->integer;
    onnx_constant *c = result_of(w, a, b, whole || op >= EQUAL, err);
    for (int64_t k = 0; c && k < c->count; k++) {
        const int64_t x = source(c, a, k), y = source(c, b, k);
        if (whole && (op == DIV || op == MOD) && b->i[y] == 0) {
            onnx_constant_free(c);
            return ONNX_BAD(w, err, "a division by 0");
        }
        if (whole)
            c->i[k] = of_integers(op, a->i[x], b->i[y]);
        else if (c->integer)
            c->i[k] = of_reals(op, onnx_number(a, x), onnx_number(b, y)) != 0;
        else
            c->f[k] = (float)of_reals(op, onnx_number(a, x), onnx_number(b, y));
    }
    return onnx_give_constant(w, 0, c);
}

/* ---- One operand ---- */

static double of_real(const char *type, double x) {
    if (strcmp(type, "Neg") == 0)
        return -x;
    if (strcmp(type, "Abs") == 0)
        return fabs(x);
    if (strcmp(type, "Floor") == 0)
        return floor(x);
    if (strcmp(type, "Ceil") == 0)
        return ceil(x);
    if (strcmp(type, "Round") == 0)
        return nearbyint(x);
    if (strcmp(type, "Sqrt") == 0)
        return sqrt(x);
    if (strcmp(type, "Exp") == 0)
        return exp(x);
    if (strcmp(type, "Log") == 0)
        return log(x);
    if (strcmp(type, "Reciprocal") == 0)
        return 1 / x;
    if (strcmp(type, "Relu") == 0)
        return x < 0 ? 0 : x;
    return x == 0; /* Not */
}

vox_status onnx_fold_unary(onnx_walk *w, vox_error *err) {
    const char *type = w->node->op_type;
    const onnx_constant *a = onnx_given(w, 0, err);
    if (!a || onnx_fold_room(w, a->count, err))
        return err->status;
    onnx_constant *c = onnx_constant_new(a->integer, a->rank, a->shape, err);
    for (int64_t k = 0; c && k < c->count; k++)
        if (!c->integer)
            c->f[k] = (float)of_real(type, (double)a->f[k]);
        else if (strcmp(type, "Neg") == 0 || (strcmp(type, "Abs") == 0 && a->i[k] < 0))
            c->i[k] = (int64_t)(0 - (uint64_t)a->i[k]);
        else if (strcmp(type, "Not") == 0)
            c->i[k] = !a->i[k];
        else
            c->i[k] = strcmp(type, "Relu") == 0 ? vox_max(a->i[k], 0) : a->i[k];
    return onnx_give_constant(w, 0, c);
}

/* Towards zero, and to the nearest bound what lies outside. */
static int64_t to_integer(double x) {
    if (!(x > -0x1p63))
        return x != x ? 0 : INT64_MIN;
    return x < 0x1p63 ? (int64_t)x : INT64_MAX;
}

vox_status onnx_fold_cast(onnx_walk *w, vox_error *err) {
    const int64_t to = onnx_int(w, "to", 0);
    const onnx_constant *a = onnx_given(w, 0, err);
    if (!a || onnx_fold_room(w, a->count, err))
        return err->status;
    const bool real = to == ONNX_FLOAT || to == ONNX_DOUBLE;
    if (!real && to != ONNX_INT32 && to != ONNX_INT64 && to != ONNX_BOOL)
        return ONNX_REFUSE(w, err, "to=%lld: not served", (long long)to);
    onnx_constant *c = onnx_constant_new(!real, a->rank, a->shape, err);
    for (int64_t k = 0; c && k < c->count; k++)
        if (real)
            c->f[k] = (float)onnx_number(a, k);
        else if (to == ONNX_BOOL)
            c->i[k] = onnx_number(a, k) != 0;
        else
            c->i[k] = a->integer ? a->i[k] : to_integer((double)a->f[k]);
    return onnx_give_constant(w, 0, c);
}

vox_status onnx_fold_where(onnx_walk *w, vox_error *err) {
    const onnx_constant *s = onnx_given(w, 0, err), *a = s ? onnx_given(w, 1, err) : NULL;
    const onnx_constant *b = a ? onnx_given(w, 2, err) : NULL;
    onnx_constant *both = b ? result_of(w, a, b, true, err) : NULL;
    onnx_constant *c = both ? result_of(w, both, s, a->integer && b->integer, err) : NULL;
    for (int64_t k = 0; c && k < c->count; k++) {
        const onnx_constant *from = onnx_number(s, source(c, s, k)) != 0 ? a : b;
        const int64_t at = source(c, from, k);
        if (c->integer)
            c->i[k] = from->i[at];
        else
            c->f[k] = (float)onnx_number(from, at);
    }
    onnx_constant_free(both);
    return c ? onnx_give_constant(w, 0, c) : err->status;
}

vox_status onnx_fold_expand(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err);
    int64_t list[ONNX_MOST_AXES];
    int count;
    if (!a || onnx_list(w, NULL, 1, list, &count, err))
        return err->status;
    onnx_constant wanted = {.rank = count};
    if (count < 0 || count > VOX_MAX_RANK)
        return ONNX_BAD(w, err, "a shape of %d axes", count);
    for (int i = 0; i < count; i++) {
        if (list[i] < 0)
            return ONNX_BAD(w, err, "shape[%d]=%lld: negative", i, (long long)list[i]);
        wanted.shape[i] = list[i];
    }
    onnx_constant *c = result_of(w, a, &wanted, a->integer, err);
    for (int64_t k = 0; c && k < c->count; k++)
        if (c->integer)
            c->i[k] = a->i[source(c, a, k)];
        else
            c->f[k] = a->f[source(c, a, k)];
    return c ? onnx_give_constant(w, 0, c) : err->status;
}

/* ---- Sums over axes ---- */

static double reduce_start(const char *type) {
    if (strcmp(type, "ReduceMax") == 0)
        return -INFINITY;
    if (strcmp(type, "ReduceMin") == 0)
        return INFINITY;
    return strcmp(type, "ReduceProd") == 0;
}

static double reduce_step(const char *type, double sum, double x) {
    if (strcmp(type, "ReduceMax") == 0)
        return x > sum ? x : sum;
    if (strcmp(type, "ReduceMin") == 0)
        return x < sum ? x : sum;
    return strcmp(type, "ReduceProd") == 0 ? sum * x : sum + x;
}

/* The sum is kept in double: exact for the sizes that shape arithmetic multiplies. */
static onnx_constant *reduce(const onnx_constant *a, unsigned reduced, const char *type,
                             vox_error *err) {
    int64_t shape[VOX_MAX_RANK];
    for (int i = 0; i < a->rank; i++)
        shape[i] = reduced >> i & 1 ? 1 : a->shape[i];
    onnx_constant *c = onnx_constant_new(a->integer, a->rank, shape, err);
    double *sum = c ? vox_alloc(c->count, sizeof *sum, "constant", err) : NULL;
    if (!sum) {
        onnx_constant_free(c);
        return NULL;
    }
    for (int64_t k = 0; k < c->count; k++)
        sum[k] = reduce_start(type);
    for (int64_t k = 0; k < a->count; k++) {
        double *s = &sum[source(a, c, k)];
        *s = reduce_step(type, *s, onnx_number(a, k));
    }
    for (int64_t k = 0; k < c->count; k++) {
        if (strcmp(type, "ReduceMean") == 0)
            sum[k] /= (double)(a->count / c->count);
        if (c->integer)
            c->i[k] = to_integer(sum[k]);
        else
            c->f[k] = (float)sum[k];
    }
    free(sum);
    return c;
}

vox_status onnx_fold_reduce(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err);
    int64_t axes[ONNX_MOST_AXES];
    int count;
    if (!a || onnx_list(w, "axes", 1, axes, &count, err) ||
        onnx_axes(w, count, axes, a->rank, err) || onnx_fold_room(w, a->count, err))
        return err->status;
    unsigned reduced = count < 1 && !onnx_int(w, "noop_with_empty_axes", 0) ? ~0U : 0;
    for (int i = 0; i < count; i++)
        reduced |= 1U << axes[i];
    onnx_constant *c = reduce(a, reduced, w->node->op_type, err);
    if (!c)
        return err->status;
    if (!onnx_int(w, "keepdims", 1)) {
        int rank = 0;
        for (int i = 0; i < a->rank; i++)
            if (!(reduced >> i & 1))
                c->shape[rank++] = c->shape[i];
        c->rank = rank;
    }
    return onnx_give_constant(w, 0, c);
}
