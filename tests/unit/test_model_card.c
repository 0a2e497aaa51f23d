/* test_model_card.c - model cards: what they say, and what is refused. */
#include "voxconv.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/voxconv-card-XXXXXX";

static void setup(void) {
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void teardown(void) {
    unlink(path);
}

TestSuite(model_card, .init = setup, .fini = teardown);

static vox_status read_text(const char *text, vox_card *card, vox_error *err) {
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
    return vox_card_read(path, card, err);
}

Test(model_card, all_keys) {
    vox_card c;
    vox_error err;
    const char *text = "{\"axes\": \"whd\", \"orientation\": \"LIA\", \"spacing\": [3, 1, 0.5],"
                       "\"shape\": 256, \"intensity\": \"percentile:2,98.5\", \"softmax\": false,"
                       "\"argmax\": true, \"labels\": \"names.txt\", \"description\": \"x\"}";
    cr_assert_eq(read_text(text, &c, &err), VOX_OK, "%s", err.message);
    cr_expect(c.axes_given && c.axes_whd && c.argmax && !c.softmax);
    cr_expect_str_eq(c.prepare.orientation, "LIA");
    cr_expect(c.prepare.spacing_mm[0] == 3 && c.prepare.spacing_mm[1] == 1 &&
              c.prepare.spacing_mm[2] == 0.5);
    for (int a = 0; a < 3; a++)
        cr_expect_eq(c.prepare.shape[a], 256);
    cr_expect_eq(c.prepare.intensity, VOX_INTENSITY_PERCENTILE);
    cr_expect(c.prepare.parameter[0] == 2 && c.prepare.parameter[1] == 98.5);
    cr_expect_str_eq(c.labels, "/tmp/names.txt"); /* beside the card */
    vox_card_clear(&c);
    cr_expect_null(c.labels);
}

Test(model_card, nothing_said_is_nothing_set) {
    static const vox_card none;
    vox_card c;
    cr_assert_eq(read_text(" {}\n", &c, NULL), VOX_OK);
    cr_expect(!c.axes_given && !c.softmax && !c.argmax && !c.labels);
    cr_expect_eq(c.prepare.intensity, VOX_INTENSITY_UNSET);
    cr_expect_eq(*c.prepare.orientation, '\0');
    cr_expect_arr_eq(c.prepare.shape, none.prepare.shape, sizeof c.prepare.shape);
    cr_assert_eq(read_text("{\"labels\": {\"0\": \"air\"}, \"axes\": \"dhw\"}", &c, NULL), VOX_OK);
    cr_expect_str_eq(c.labels, path); /* the card has them itself */
    cr_expect(c.axes_given && !c.axes_whd);
    vox_card_clear(&c);
}

Test(model_card, what_is_refused) {
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"", ": is empty"},
        {"{", ": line 1: string or '}' expected near end of file (JSON, column 1)"},
        {"{}x", ": line 1: end of file expected near 'x' (JSON, column 3)"},
        {"[]", ": no model card: an object { } is missing"},
        {"{\"axes\": \"dhw\", \"axes\": \"dhw\"}",
         ": line 1: duplicate object key near '\"axes\"' (JSON, column 22)"},
        {"{\"Axes\": \"dhw\"}", ": Axes: no key of a model card; there are axes, intensity, "},
        {"{\"axes\": \"xyz\"}", ": axes: must be \"dhw\" or \"whd\""},
        {"{\"axes\": 1}", ": axes: must be"},
        {"{\"orientation\": \"RAT\"}", ": orientation: must be three letters"},
        {"{\"orientation\": [\"R\", \"A\", \"S\"]}", ": orientation: must be three letters"},
        {"{\"spacing\": \"1mm\"}", ": spacing: must be a number of mm above 0"},
        {"{\"spacing\": 0}", ": spacing: must be a number of mm above 0"},
        {"{\"spacing\": [1, 1]}", ": spacing: must be a number of mm above 0"},
        {"{\"spacing\": [1, 1, -1]}", ": spacing: must be a number of mm above 0"},
        {"{\"spacing\": true}", ": spacing: must be a number of mm above 0"},
        {"{\"shape\": 1.5}", ": shape: must be a whole number"},
        {"{\"shape\": [64, 64, 0]}", ": shape: must be a whole number"},
        {"{\"shape\": 3000000000}", ": shape: must be a whole number of 1 to 2147483647"},
        {"{\"intensity\": \"minmaxx\"}", ": intensity: must be none, minmax, "},
        {"{\"intensity\": \"percentile:9,1\"}", ": intensity: percentiles 9 and 1: "},
        {"{\"intensity\": null}", ": intensity: must be none, minmax, "},
        {"{\"softmax\": 1}", ": softmax: must be true or false"},
        {"{\"argmax\": \"yes\"}", ": argmax: must be true or false"},
        {"{\"labels\": 3}", ": labels: must be a file's name, or names by number"},
        {"{\"labels\": \"../names.txt\"}", ": path=../names.txt: leads out of"},
        {"{\"description\": {}}", ": description: must be a text"},
    };
    for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
        vox_card c;
        vox_error err = {.message = ""};
        cr_expect_eq(read_text(rows[i].text, &c, &err), VOX_ERR_WEIGHTS, "%s", rows[i].text);
        cr_expect(!strncmp(err.message, path, strlen(path)), "%s", err.message);
        cr_expect_not_null(strstr(err.message, rows[i].reason), "%s: %s", rows[i].text,
                           err.message);
        cr_expect_null(c.labels);
    }
    vox_card c;
    cr_expect_eq(vox_card_read("/no/such/card", &c, NULL), VOX_ERR_WEIGHTS);
}
