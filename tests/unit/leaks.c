/* leaks.c - no leak check in Criterion's runner, which now and then ends with an allocation of its
 * own.
 *
 * The workers, which run the tests, are checked. (A suppression would not do: in a worker every
 * stack has a frame of libcriterion, so that it would hide each leak that a test finds.) Workers
 * are told apart by BXFI_MAP, which BoxFort, Criterion's way of starting them, puts into their
 * environment. */
#include <stdlib.h>

int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void) {
    return getenv("BXFI_MAP") == NULL;
}
