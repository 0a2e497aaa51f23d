/* leaks.c - what LeakSanitizer is to leave out of the unit tests: Criterion's own allocations,
 * which it now and then finds when the runner ends. Criterion starts its workers with an
 * environment of its own, so that options in the environment do not reach all of them; this does.
 */

const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void) {
    return "leak:libcriterion\n";
}
