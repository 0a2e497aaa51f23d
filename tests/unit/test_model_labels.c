/* test_model_labels.c - names of labels from a file. What a file says is what is written in it
 * here; the colour table is in the form of FreeSurfer's FreeSurferColorLUT.txt, colormap.json in
 * that of brainchop's models. */
#include "weights_support.h"

TestSuite(model_labels, .init = make_folder, .fini = remove_folder);

static vox_labels *open_text(const char *text, vox_error *err) {
    return vox_labels_open(write_file("labels", text, strlen(text)), err);
}

static void expect_name(const vox_labels *l, int64_t number, const char *name) {
    const char *found = vox_labels_name(l, number);
    if (!name)
        cr_expect_null(found, "label %d: %s", (int)number, found);
    else if (!found)
        cr_expect_fail("label %d: no name", (int)number);
    else
        cr_expect_str_eq(found, name, "label %d: '%s', not '%s'", (int)number, found, name);
}

/* Names by number, of which -1 ends the list. */
static void expect_names(const char *text, const int64_t *number, const char *const *name) {
    vox_error err = {0};
    vox_labels *l = open_text(text, &err);
    cr_assert_not_null(l, "%s: %s", text, err.message);
    for (int i = 0; number[i] >= 0; i++)
        expect_name(l, number[i], name[i]);
    vox_labels_free(l);
}

Test(model_labels, colour_table) {
    static const int64_t number[] = {0, 2, 14, 9, 1, 41, -1};
    static const char *const name[] = {
        "Unknown", "Left-Cerebral-White-Matter", "3rd-Ventricle", "two words", NULL, "last"};
    expect_names("#No. Label Name:                R   G   B   A\n"
                 "\n"
                 "14  3rd-Ventricle             204 182 142 0\n"
                 "0   Unknown                   0   0   0   0\r\n"
                 "  2\tLeft-Cerebral-White-Matter\t245 245 245 0  \n"
                 "9 two words\n"
                 "  # a comment\n"
                 "41 last",
                 number, name);
}

/* Numbers that are no colour: fewer than four, or over 255. */
Test(model_labels, numbers_in_a_name) {
    static const int64_t number[] = {1, 2, 3, 4, 5, -1};
    static const char *const name[] = {"area 4", "layer 1 2 3", "a 1 2 3 256", "a 1 2 3 4 5 -6",
                                       "area 4"};
    expect_names("1 area 4\n2 layer 1 2 3\n3 a 1 2 3 256\n4 a 1 2 3 4 5 -6\n5 area 4 1 2 3 4\n",
                 number, name);
}

Test(model_labels, json) {
    static const int64_t number[] = {0, 1, 2, 3, -1};
    static const char *const name[] = {"background", "White Matter", "Grey Matter", NULL};
    static const char *const texts[] = {
        "{\"0\": \"background\", \"2\": \"Grey Matter\", \"1\": \"White Matter\"}",
        "{\"1\": {\"name\": \"White Matter\", \"color\": [1, 2, 3]},"
        " \"2\": {\"name\": \"Grey Matter\"}, \"0\": \"background\"}",
        "\n [\"background\", {\"name\": \"White Matter\"}, \"Grey Matter\"]",
        "{\"R\": [0, 255, 205], \"G\": [0, 255, 62], \"B\": [0, 255, 78],"
        " \"labels\": [\"background\", \"White Matter\", \"Grey Matter\"]}",
        "{\"labels\": {\"0\": \"background\", \"1\": \"White Matter\", \"2\": \"Grey Matter\"}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect_names(texts[i], number, name);
}

Test(model_labels, refused) {
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"\n# nothing\n", "/labels: no label in it"},
        {"0 a\n\none b\n", "/labels:3: one b: no label"},
        {"-1 a\n", "/labels:1: -1 a: no label"},
        {"0x1 a\n", "/labels:1: 0x1 a: no label"},
        {"1000000000 a\n", "/labels:1: 1000000000 a: no label"},
        {"99999999999999999999 a\n", "/labels:1: "},
        {"0 a\n1\n", "/labels:2: 1: a label without a name"},
        {"0 a\n1  \t\r\n", "/labels:2: 1: a label without a name"},
        {"5 1 2 3 4\n", "/labels:1: 5: a label without a name"},
        {"5 a\n0 b\n5 c\n", "/labels:3: label 5: named in line 1 already"},
        {"0 a\n1 b\x01\n", "/labels: byte 1 in line 2"},
        {"{\"0\": \"a\",\n", "/labels: line 2: "},
        {"{\"0\": \"a\", \"0\": \"b\"}", "/labels: line 1: duplicate"},
        {"{\"0\": \"a\", \"00\": \"b\"}", "/labels: label 0: named twice"},
        {"{\"one\": \"a\"}", "/labels: 'one': not a label's number"},
        {"{\"1\": 7}", "/labels: label 1: no name"},
        {"{\"1\": \"\"}", "/labels: label 1: no name"},
        {"[\"a\", {\"R\": 1}]", "/labels: label 1: no name"},
        {"{\"labels\": 3}", "/labels: labels: neither"},
        {"{}", "/labels: no label in it"},
        {"[]", "/labels: no label in it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vox_error err = {0};
        cr_expect_null(open_text(cases[i].text, &err), "%s", cases[i].text);
        cr_expect_eq(err.status, VOX_ERR_WEIGHTS, "%s: status %d", cases[i].text, err.status);
        cr_expect_not_null(strstr(err.message, cases[i].reason), "%s: %s", cases[i].text,
                           err.message);
    }
    vox_error err = {0};
    cr_expect_null(vox_labels_open(in_folder("none"), &err));
    cr_expect_eq(err.status, VOX_ERR_WEIGHTS);
}
