/* Text files: the good ones as a person writes them, and a line number for the others. */
#include "weights_support.h"

#include <locale.h>

TestSuite(weights_text, .init = make_folder, .fini = remove_folder);

static const char *write_text(const char *text) {
    return write_file("k.txt", text, strlen(text));
}

Test(weights_text, sizes_numbers_and_comments) {
    vox_tensor *t = read_array(write_text("# a kernel\n\n 2 3 # slowest first\n1 -2.5\t.5\r\n"
                                          "1e-3\n\n+4 # five\n0x1p-3"),
                               NULL);
    const float expected[] = {1, -2.5f, .5f, 1e-3f, 4, 0.125f};
    cr_assert(t->rank == 2 && t->shape[0] == 2 && t->shape[1] == 3);
    cr_expect_eq(memcmp(t->data, expected, sizeof expected), 0);
    vox_tensor_free(t);
}

/* 1 + 2^-24 + 2^-60 lies above the tie, so the float above 1 is nearest. By way of a double it
 * would be rounded to the tie first, and then down to 1. */
Test(weights_text, decimal_to_float_rounds_once) {
    vox_tensor *t = read_array(
        write_text("1\n1.000000059604644776257986737988403547205962240695953369140625\n"), NULL);
    cr_expect_eq(t->data[0], 0x1.000002p+0f);
    vox_tensor_free(t);
}

Test(weights_text, any_name_without_another_format_is_text) {
    vox_tensor *t = read_array(write_file("kernel.dat", "1 1\n3", 5), NULL);
    cr_expect(t->rank == 2 && t->data[0] == 3);
    vox_tensor_free(t);
}

typedef struct text_case {
    char text[120], phrase[80];
} text_case;

ParameterizedTestParameters(weights_text, malformed) {
    static text_case cases[] = {
        {"\n", "line 2: a line of sizes is missing"},
        {"# only words", "line 1: a line of sizes is missing"},
        {"2 2", "line 1: sizes=(2, 2): more numbers than the file has room for"},
        {"2\n1\n", "line 3: ends after 1 numbers, sizes=(2,) need 2"},
        {"2 2\n1 2\n3 #4\n", "line 4: ends after 3 numbers, sizes=(2, 2) need 4"},
        {"2\n1 2\n3\n", "line 3: more numbers than the 2 of sizes=(2,)"},
        {"1 2\n1 two\n", "line 2: 'two': not a number"},
        {"1 2\n1 2,5\n", "line 2: '2,5': not a number"},
        {"1 2\n1 2.5.\n", "line 2: '2.5.': not a number"},
        {"1 2\n1 1e39\n", "line 2: '1e39': beyond float32's range"},
        {"0 2\n1 2\n", "line 1: '0': not a size"},
        {"-1\n1 2\n", "line 1: '-1': not a size"},
        {"1.5 2\n1 2\n", "line 1: '1.5': not a size"},
        {"1 1 1 1 1 1\n1\n", "line 1: more than 5 sizes"},
        {"99999999999999999999\n1\n", "line 1: '99999999999999999999': not a size"},
        {"9223372036854775807 2\n1\n", "room for"},
        {"1000000 1000000\n1\n", "room for"},
        {"hello\n", "line 1: 'hello': not a size"},
        {"\xfe\n", "line 1: '?': not a size"},
    };
    return cr_make_param_array(text_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(text_case *c, weights_text, malformed) {
    expect_bad(write_text(c->text), NULL, c->phrase);
}

Test(weights_text, binary_garbage) {
    expect_bad(write_file("k.txt", "1\n5\0005\n", 6), NULL, "line 2: '5?5': not a number");
    char digits[300];
    memset(digits, '1', sizeof digits);
    memcpy(digits, "1\n", 2);
    expect_bad(write_file("k.txt", digits, sizeof digits), NULL, "...': not a number");
}

/* In a locale with a decimal comma, numbers are still read and written with a point. */
Test(weights_text, locale_does_not_matter) {
    static const char *const candidates[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    const char *set = NULL;
    for (int i = 0; i < 4 && !set; i++)
        set = setlocale(LC_ALL, candidates[i]);
    if (!set)
        cr_skip_test("this machine has no locale with a decimal comma");
    char printed[8];
    snprintf(printed, sizeof printed, "%.1f", 0.5);
    cr_assert_str_eq(printed, "0,5");
    vox_tensor *t = read_array(write_text("1\n0.5\n"), NULL);
    cr_expect_eq(t->data[0], 0.5f);
    const vox_tensor *all[] = {t};
    vox_error err = {0};
    cr_assert_eq(vox_weights_save(in_folder("o.txt"), 1, NULL, all, false, &err), VOX_OK, "%s",
                 err.message);
    size_t n;
    char *text = read_whole(in_folder("o.txt"), &n);
    cr_expect_str_eq(text, "1\n0.5\n");
    free(text);
    vox_tensor_free(t);
    snprintf(printed, sizeof printed, "%.1f", 0.5);
    cr_expect_str_eq(printed, "0,5", "the caller's locale was changed");
}
