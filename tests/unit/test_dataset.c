/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"

#include "eoc/dataset.h"

#include <hdf5.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every test works in a folder of its own, so that names are looked for there alone. */
static char folder[512];

static int begin(void **state)
{
    (void)state;
    const char *of_user = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/eoc_test_dataset_XXXXXX", of_user && *of_user ? of_user : P_tmpdir);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    unsetenv("EOC_DATA_PATH");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char command[sizeof folder + 16];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return chdir("/") == 0 ? system(command) : -1;
}

/* -- writing files -- */

typedef struct {
    const char *name; /* NULL: nothing */
    hid_t file_type, memory_type;
    int rank;
    hsize_t dims[5];
    const void *values;
    const char *layout; /* attribute, or NULL */
} piece;

static void write_attribute(hid_t object, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text));
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, text) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

static void write_piece(hid_t file, const piece *p)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(p->rank, p->dims, NULL);
    H5Pset_create_intermediate_group(links, 1);
    hid_t dataset = H5Dcreate2(file, p->name, p->file_type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(dataset >= 0);
    assert_true(H5Dwrite(dataset, p->memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, p->values) >= 0);
    if (p->layout) {
        write_attribute(dataset, "layout", p->layout);
    }
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(links);
}

static void write_file(const char *path, const piece *pieces, int count)
{
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    for (int i = 0; i < count; i++) {
        if (pieces[i].name) {
            write_piece(file, &pieces[i]);
        }
    }
    H5Fclose(file);
}

/* Two classes, three and two images of 2 x 2 bytes. */
static const unsigned char bytes[24] = {0,  1,  2,  3,  4,  5,  6,   7,   8,   9,   10,  11,
                                        50, 60, 70, 80, 90, 99, 100, 120, 130, 200, 254, 255};
static const unsigned char labels[] = {1, 0, 1};
enum { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS, NUM_PIECES };

static void good_pieces(piece pieces[NUM_PIECES])
{
    const piece good[] = {
        {"train/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 3, {3, 2, 2}, bytes, NULL},
        {"train/labels", H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, {3}, labels, NULL},
        {"test/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 3, {2, 2, 2}, bytes + 12, NULL},
        {"test/labels", H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, {2}, labels, NULL},
    };
    memcpy(pieces, good, sizeof good);
}

static eoc_data read_good(const char *path)
{
    eoc_data data;
    if (eoc_dataset_read(path, 0, 0, &data) != EOC_OK) {
        fail_msg("%s", eoc_status_why());
    }
    return data;
}

/* -- the set that comes with the program -- */

/* Sums, labels and pixels of jobs/data/mnist10k.h5 by h5py and numpy. */
static void shipped_digits(void **state)
{
    (void)state;
    eoc_dataset_request request = {.preprocessing = NULL};
    eoc_data data, sizes;
    assert_int_equal(eoc_data_source_parse("mnist10k", &request.source), EOC_OK);
    assert_int_equal(eoc_dataset_load(&request, &data), EOC_OK);
    assert_int_equal(data.rows, 28);
    assert_int_equal(data.columns, 28);
    assert_int_equal(data.channels, 1);
    assert_int_equal(data.features, 784);
    assert_int_equal(data.outputs, 10);
    assert_int_equal(data.train_count, 8000);
    assert_int_equal(data.test_count, 2000);
    static const int32_t first_train[] = {4, 5, 3, 2, 4, 9}, first_test[] = {1, 1, 6, 6, 3, 3};
    assert_memory_equal(data.train_label, first_train, sizeof first_train);
    assert_memory_equal(data.test_label, first_test, sizeof first_test);
    double train = 0.0, test = 0.0;
    for (int i = 0; i < 8000 * 784; i++) {
        train += data.train_x[i];
        test += i < 2000 * 784 ? data.test_x[i] : 0.0;
    }
    CHECK_RELATIVE(train, 209850137 / 255.0, 1e-7); /* float32 of x/255 */
    CHECK_RELATIVE(test, 52296463 / 255.0, 1e-7);   /* float32 of x/255 */
    assert_true(data.train_x[5 * 784 + 10 * 28 + 18] == 249 / 255.0f);
    assert_int_equal(eoc_dataset_sizes(&request, &sizes), EOC_OK);
    assert_null(sizes.train_x);
    assert_int_equal(sizes.train_count, 8000);
    assert_int_equal(sizes.features, 784);
    assert_int_equal(sizes.outputs, 10);
    eoc_data_clear(&data);

    request.train_samples = 9;
    request.test_samples = 2000;
    assert_int_equal(eoc_dataset_load(&request, &data), EOC_OK);
    assert_int_equal(data.train_count, 9);
    assert_int_equal(data.outputs, 10);
    assert_memory_equal(data.train_label, first_train, sizeof first_train);
    eoc_data_clear(&data);
    request.train_samples = 8001;
    assert_int_equal(eoc_dataset_load(&request, &data), EOC_ERR_USAGE);
    assert_non_null(strstr(eoc_status_why(), "mnist10k.h5 has 8000 training samples, 8001 are asked for"));
    assert_null(data.train_x);
}

/* -- formats -- */

/* Images are the same whichever way they are stored: (channel, row, column), uint8 as x/255. */
static void layouts(void **state)
{
    (void)state;
    static const char first[] = "sample, channel, row, column", last[] = "sample, row, column, channel";
    static const struct {
        int rank;
        hsize_t dims[3]; /* of one image */
        const char *layout;
        int rows, columns, channels;
        int order[12]; /* of the bytes of one image; {0}: as they are */
    } cases[] = {
        {2, {4}, NULL, 1, 4, 1, {0}},
        {3, {2, 2}, NULL, 2, 2, 1, {0}},
        {3, {1, 4}, NULL, 1, 4, 1, {0}},
        {4, {1, 6, 2}, first, 6, 2, 1, {0}},
        {4, {2, 1, 6}, NULL, 1, 6, 2, {0}},
        {4, {2, 3, 2}, first, 3, 2, 2, {0}},
        {4, {3, 2, 2}, last, 3, 2, 2, {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}},
        {4, {1, 6, 2}, last, 1, 6, 2, {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}},
        {4, {6, 1, 2}, NULL, 6, 1, 2, {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        piece pieces[NUM_PIECES];
        good_pieces(pieces);
        pieces[TRAIN_LABELS].dims[0] = pieces[TEST_LABELS].dims[0] = 2; /* labels 1, 0 */
        for (int p = TRAIN_IMAGES; p <= TEST_IMAGES; p += TEST_IMAGES) {
            pieces[p].rank = cases[k].rank;
            pieces[p].dims[0] = 2;
            memcpy(pieces[p].dims + 1, cases[k].dims, sizeof cases[k].dims);
            pieces[p].layout = cases[k].layout;
            pieces[p].values = bytes;
        }
        write_file("layout.h5", pieces, NUM_PIECES);
        eoc_data data = read_good("layout.h5");
        assert_int_equal(data.rows, cases[k].rows);
        assert_int_equal(data.columns, cases[k].columns);
        assert_int_equal(data.channels, cases[k].channels);
        assert_int_equal(data.features, cases[k].rows * cases[k].columns * cases[k].channels);
        for (int i = 0; i < 2 * data.features; i++) {
            const int image = i / data.features, feature = i % data.features;
            const int from = cases[k].order[1] ? cases[k].order[feature] : feature;
            assert_true(data.train_x[i] == bytes[image * data.features + from] / 255.0f);
            assert_true(data.test_x[i] == data.train_x[i]);
        }
        eoc_data_clear(&data);
    }
}

static void floats_and_targets(void **state)
{
    (void)state;
    static const double x[6] = {-1.5, 2, 1e30, 0.1, 0, 3}, y[6] = {1, 2, 3, 4, 5, 0.1};
    const piece pieces[] = {
        {"train/images", H5T_IEEE_F64BE, H5T_NATIVE_DOUBLE, 2, {3, 2}, x, NULL},
        {"train/targets", H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, 2, {3, 2}, y, NULL},
        {"test/images", H5T_IEEE_F32BE, H5T_NATIVE_DOUBLE, 2, {1, 2}, x + 2, NULL},
        {"test/targets", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, {1, 2}, y + 4, NULL},
    };
    piece own[4];
    memcpy(own, pieces, sizeof own);
    write_file("targets.h5", own, 4);
    eoc_data data = read_good("targets.h5");
    assert_null(data.train_label);
    assert_int_equal(data.outputs, 2);
    for (int i = 0; i < 6; i++) {
        assert_true(data.train_x[i] == (float)x[i]);
        assert_true(data.train_y[i] == (float)y[i]);
    }
    assert_true(data.test_x[1] == 0.1f && data.test_y[1] == 0.1f);
    eoc_data_clear(&data);
    /* One target a sample may do without its axis. */
    own[1].rank = own[3].rank = 1;
    write_file("targets.h5", own, 4);
    data = read_good("targets.h5");
    assert_int_equal(data.outputs, 1);
    assert_true(data.train_y[2] == 3.0f);
    eoc_data_clear(&data);
}

/* More images than one piece of the reading holds (8 MiB): none is lost or doubled. */
static void many_pieces(void **state)
{
    (void)state;
    enum { N = 700, F = 50000 };
    unsigned char *const x = malloc((size_t)N * F), *const l = calloc(N, 1);
    for (size_t i = 0; i < (size_t)N * F; i++) {
        x[i] = (unsigned char)((i * 2654435761U) >> 13);
    }
    const piece pieces[] = {
        {"train/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 2, {N, F}, x, NULL},
        {"train/labels", H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, {N}, l, NULL},
        {"test/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 2, {1, F}, x, NULL},
        {"test/labels", H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, {1}, l, NULL},
    };
    write_file("many.h5", pieces, 4);
    eoc_data data = read_good("many.h5");
    for (size_t i = 0; i < (size_t)N * F; i++) {
        assert_true(data.train_x[i] == x[i] / 255.0f);
    }
    eoc_data_clear(&data);
    free(x);
    free(l);
}

/* -- refusals: one change to a good set each -- */

static const float not_a_number[4] = {0, 1, NAN, 2};
static const double too_great[4] = {0, 1, 2, 1e39};
static const int32_t negative[3] = {0, 1, -1}, gap[3] = {0, 2, 2}, high[2] = {0, 2}, enormous[3] = {0, 1, 2000000000};
static const float some_floats[12] = {0};

static void refusals(void **state)
{
    (void)state;
    const struct {
        int which;
        piece instead;
        const char *says;
    } cases[] = {
        {TRAIN_IMAGES, {.name = NULL}, "there is no train/images; a data set holds"},
        {TEST_IMAGES, {.name = NULL}, "there is no test/images; a data set holds"},
        {TRAIN_LABELS, {.name = NULL}, "there is no train/labels; a data set holds"},
        {TRAIN_IMAGES,
         {"train/images/x", H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, {3}, bytes, NULL},
         "train/images is not a dataset"},
        {TRAIN_IMAGES,
         {"train/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, {3}, bytes, NULL},
         "train/images has 1 dimensions; accepted: (n, features)"},
        {TRAIN_IMAGES,
         {"train/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 5, {3, 2, 1, 2, 1}, bytes, NULL},
         "train/images has 5 dimensions"},
        {TRAIN_IMAGES,
         {"train/images", H5T_STD_I32LE, H5T_NATIVE_INT32, 2, {3, 1}, negative, NULL},
         "train/images holds neither uint8 nor float32"},
        {TRAIN_IMAGES,
         {"train/images", H5T_STD_I8LE, H5T_NATIVE_UINT8, 3, {3, 2, 2}, bytes, NULL},
         "train/images holds neither uint8 nor float32"},
        {TRAIN_IMAGES,
         {"train/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 4, {3, 2, 2, 1}, bytes, NULL},
         "which axis of (3, 2, 2, 1) holds the channels is not clear; set its attribute layout"},
        {TRAIN_IMAGES,
         {"train/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 4, {3, 2, 2, 1}, bytes, "HWC"},
         "train/images: the attribute layout is 'HWC'; accepted: 'sample, channel, row, column'"},
        {TRAIN_IMAGES,
         {"train/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 3, {3, 0, 2}, bytes, NULL},
         "train/images is empty"},
        {TRAIN_LABELS,
         {"train/labels", H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, {2}, labels, NULL},
         "train/labels has 2 samples, train/images has 3"},
        {TEST_LABELS,
         {"test/labels", H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, {3}, labels, NULL},
         "test/labels has 3 samples, test/images has 2"},
        {TRAIN_LABELS,
         {"train/labels", H5T_STD_U8LE, H5T_NATIVE_UINT8, 2, {3, 1}, labels, NULL},
         "train/labels has 2 dimensions; accepted: (n), one label a sample"},
        {TRAIN_LABELS,
         {"train/labels", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, {3}, some_floats, NULL},
         "train/labels does not hold integers"},
        {TRAIN_LABELS,
         {"train/labels", H5T_STD_I32LE, H5T_NATIVE_INT32, 1, {3}, negative, NULL},
         "train/labels: sample 2 has label -1; accepted: 0, 1, 2"},
        {TRAIN_LABELS,
         {"train/labels", H5T_STD_I32LE, H5T_NATIVE_INT32, 1, {3}, gap, NULL},
         "train/labels: no sample has label 1, and the largest is 2; labels must be"},
        {TRAIN_LABELS,
         {"train/labels", H5T_STD_I32LE, H5T_NATIVE_INT32, 1, {3}, enormous, NULL},
         "train/labels: no sample has label 2, and the largest is 2000000000"},
        {TEST_LABELS,
         {"test/labels", H5T_STD_I32LE, H5T_NATIVE_INT32, 1, {2}, high, NULL},
         "test/labels: sample 1 has label 2; the labels of train/labels go from 0 to 1"},
        {TEST_IMAGES,
         {"test/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, 3, {2, 1, 4}, bytes, NULL},
         "test/images are of 1 x 4 x 1 (rows, columns, channels), train/images of 2 x 2 x 1"},
        {TEST_IMAGES,
         {"test/images", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 3, {1, 2, 2}, not_a_number, NULL},
         "test/labels has 2 samples, test/images has 1"},
        {TEST_LABELS,
         {"test/targets", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, {2}, some_floats, NULL},
         "train has labels, test has targets; accepted: the same of both"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        piece pieces[NUM_PIECES];
        eoc_data data;
        good_pieces(pieces);
        pieces[cases[k].which] = cases[k].instead;
        write_file("wrong.h5", pieces, NUM_PIECES);
        assert_int_equal(eoc_dataset_read("wrong.h5", 0, 0, &data), EOC_ERR_USAGE);
        if (!strstr(eoc_status_why(), cases[k].says) || strncmp(eoc_status_why(), "wrong.h5: ", 10) != 0) {
            fail_msg("case %zu: %s", k, eoc_status_why());
        }
        assert_null(data.train_x);
        assert_int_equal(data.features, 0);
    }
}

static void refused_numbers(void **state)
{
    (void)state;
    piece pieces[NUM_PIECES];
    eoc_data data;
    good_pieces(pieces);
    pieces[TEST_IMAGES] = (piece){"test/images", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 3, {1, 2, 2}, not_a_number, NULL};
    pieces[TEST_LABELS].dims[0] = 1;
    write_file("wrong.h5", pieces, NUM_PIECES);
    assert_int_equal(eoc_dataset_read("wrong.h5", 0, 0, &data), EOC_ERR_USAGE);
    assert_string_equal(eoc_status_why(), "wrong.h5: test/images: sample 0 is not finite in float32: it holds nan");
    pieces[TEST_IMAGES] = (piece){"test/images", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 3, {1, 2, 2}, too_great, NULL};
    write_file("wrong.h5", pieces, NUM_PIECES);
    assert_int_equal(eoc_dataset_read("wrong.h5", 0, 0, &data), EOC_ERR_USAGE);
    assert_string_equal(eoc_status_why(), "wrong.h5: test/images: sample 0 is not finite in float32: it holds inf");
    assert_null(data.train_x);

    static const double x[4] = {1, 2, 3, 4};
    static const float y[4] = {1, NAN, 3, 4};
    piece targets[] = {
        {"train/images", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, {2, 2}, x, NULL},
        {"train/targets", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2, {2, 2}, x, NULL},
        {"test/images", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, {2, 2}, x, NULL},
        {"test/targets", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2, {2, 2}, y, NULL},
        {NULL, 0, 0, 0, {0}, NULL, NULL},
    };
    write_file("wrong.h5", targets, 5);
    assert_int_equal(eoc_dataset_read("wrong.h5", 0, 0, &data), EOC_ERR_USAGE);
    assert_string_equal(eoc_status_why(), "wrong.h5: test/targets: sample 0 is not finite in float32: it holds nan");
    targets[3].rank = 1;
    write_file("wrong.h5", targets, 5);
    assert_int_equal(eoc_dataset_read("wrong.h5", 0, 0, &data), EOC_ERR_USAGE);
    assert_string_equal(eoc_status_why(), "wrong.h5: test/targets have 1 outputs, train/targets 2");
    targets[4] = (piece){"train/labels", H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, {2}, labels, NULL};
    write_file("wrong.h5", targets, 5);
    assert_int_equal(eoc_dataset_read("wrong.h5", 0, 0, &data), EOC_ERR_USAGE);
    assert_string_equal(eoc_status_why(), "wrong.h5: train has both labels and targets; accepted: one of them");
}

static void files_that_are_none(void **state)
{
    (void)state;
    eoc_data data;
    FILE *const file = fopen("text.h5", "w");
    assert_non_null(file);
    fputs("not HDF5 at all\n", file);
    fclose(file);
    assert_int_equal(mkdir("folder.h5", 0777), 0);
    static const struct {
        const char *path, *says;
    } cases[] = {
        {"nothing.h5", "nothing.h5: No such file or directory"},
        {"text.h5", "text.h5 is not an HDF5 file, or a damaged one; a data set (.h5) is wanted"},
        {"folder.h5", "folder.h5 is a directory; a data set (.h5) is wanted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(eoc_dataset_read(cases[i].path, 0, 0, &data), EOC_ERR_USAGE);
        assert_string_equal(eoc_status_why(), cases[i].says);
    }
    /* A file that was cut: its data, or as much of its structure, is gone. */
    piece pieces[NUM_PIECES];
    good_pieces(pieces);
    write_file("cut.h5", pieces, NUM_PIECES);
    struct stat entry;
    assert_int_equal(stat("cut.h5", &entry), 0);
    assert_int_equal(truncate("cut.h5", entry.st_size / 2), 0);
    assert_int_equal(eoc_dataset_read("cut.h5", 0, 0, &data), EOC_ERR_USAGE);
    assert_string_equal(eoc_status_why(), "cut.h5 is not an HDF5 file, or a damaged one; a data set (.h5) is wanted");
}

/* -- finding -- */

static void write_good(const char *path)
{
    piece pieces[NUM_PIECES];
    good_pieces(pieces);
    write_file(path, pieces, NUM_PIECES);
}

static void write_result(const char *path)
{
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    write_attribute(file, "source", "eoc 0.1.0");
    write_attribute(file, "schema_version", "1.0");
    H5Fclose(file);
}

static void check_found(const char *name, const char *sweep_path, const char *want)
{
    char *path = NULL;
    if (eoc_dataset_find(name, sweep_path, &path) != EOC_OK) {
        fail_msg("%s: %s", name, eoc_status_why());
    }
    assert_string_equal(path, want);
    free(path);
}

/* The path as it stands, EOC_DATA_PATH, beside the sweep file, the program's own: the first that has it. */
static void order_of_the_search(void **state)
{
    (void)state;
    assert_int_equal(mkdir("one", 0777) + mkdir("two", 0777) + mkdir("sweeps", 0777), 0);
    char *path = NULL;
    assert_int_equal(eoc_dataset_find("digits", "sweeps/a.yaml", &path), EOC_ERR_USAGE);
    assert_null(path);
    write_good("sweeps/digits.h5");
    check_found("digits", "sweeps/a.yaml", "sweeps/digits.h5");
    setenv("EOC_DATA_PATH", "one::two", 1);
    write_good("two/digits.h5");
    check_found("digits", "sweeps/a.yaml", "two/digits.h5");
    write_good("one/digits.h5");
    check_found("digits", "sweeps/a.yaml", "one/digits.h5");
    check_found("digits.h5", "sweeps/a.yaml", "one/digits.h5");
    write_good("digits.h5");
    check_found("digits", "sweeps/a.yaml", "digits.h5");
    check_found("two/digits", NULL, "two/digits.h5");
    write_good("digits.hdf5");
    check_found("digits.hdf5", NULL, "digits.hdf5");
    /* A result file of that name, as sweeps named after their data leave it, is passed over. */
    write_result("digits.h5");
    check_found("digits", "sweeps/a.yaml", "one/digits.h5");
    write_result("result.h5");
    assert_int_equal(eoc_dataset_find("result", NULL, &path), EOC_ERR_USAGE);
    assert_non_null(strstr(eoc_status_why(), "is a result file of eoc"));
    write_good("mnist10k.h5");
    check_found("mnist10k", NULL, "mnist10k.h5");
    assert_int_equal(unlink("mnist10k.h5"), 0);
    assert_int_equal(eoc_dataset_find("mnist10k", NULL, &path), EOC_OK);
    assert_non_null(strstr(path, "/data/mnist10k.h5"));
    free(path);
}

static void helpful_when_missing(void **state)
{
    (void)state;
    char *path = NULL;
    assert_int_equal(mkdir("sets", 0777), 0);
    setenv("EOC_DATA_PATH", "sets", 1);
    assert_int_equal(eoc_dataset_find("mnist", NULL, &path), EOC_ERR_USAGE);
    assert_non_null(strstr(eoc_status_why(), "no data set 'mnist'"));
    assert_non_null(strstr(eoc_status_why(), "looked for: the path as it stands, sets, "));
    assert_int_equal(eoc_dataset_find("mnist10", NULL, &path), EOC_ERR_USAGE);
    assert_non_null(strstr(eoc_status_why(), "did you mean 'mnist10k'?"));
    assert_int_equal(eoc_dataset_find("gausian_classes", NULL, &path), EOC_ERR_USAGE);
    assert_non_null(strstr(eoc_status_why(), "did you mean 'gaussian_classes'?"));
    assert_int_equal(eoc_dataset_find("/nowhere/mnist10k", NULL, &path), EOC_ERR_USAGE);
    assert_null(path);
}

/* -- load: synthetic sets, and preprocessing after the cut -- */

static void loads_what_is_asked(void **state)
{
    (void)state;
    eoc_dataset_request request = {.train_samples = 5, .test_samples = 3, .seed = 4};
    eoc_data data, drawn, sizes;
    assert_int_equal(eoc_data_source_parse("gaussian_classes(features=20)", &request.source), EOC_OK);
    assert_int_equal(eoc_dataset_load(&request, &data), EOC_OK);
    assert_int_equal(eoc_data_draw(&request.source, 4, &drawn), EOC_OK);
    assert_int_equal(data.train_count, 5);
    assert_memory_equal(data.train_x, drawn.train_x, 5 * 20 * sizeof(float));
    assert_int_equal(eoc_dataset_sizes(&request, &sizes), EOC_OK);
    assert_int_equal(sizes.train_count, 5);
    assert_int_equal(sizes.outputs, 10);
    assert_null(sizes.train_x);
    eoc_data_clear(&data);
    eoc_data_clear(&drawn);
    request.test_samples = 1001;
    assert_int_equal(eoc_dataset_load(&request, &data), EOC_ERR_USAGE);
    assert_non_null(strstr(eoc_status_why(), "gaussian_classes(features=20) has 1000 test samples, 1001 are asked"));

    /* Statistics are of the samples that are kept: of one sample alone all is constant. */
    write_good("digits.h5");
    eoc_dataset_request one = {.train_samples = 1, .preprocessing = eoc_preprocessing_row(1)};
    assert_string_equal(one.preprocessing->name, "standardized");
    assert_int_equal(eoc_data_source_parse("digits", &one.source), EOC_OK);
    assert_int_equal(eoc_dataset_load(&one, &data), EOC_OK);
    for (int i = 0; i < 4; i++) {
        assert_true(data.train_x[i] == 0.0f && data.test_x[i] == 0.0f);
    }
    assert_int_equal(data.outputs, 2);
    eoc_data_clear(&data);
}

/* What a probe's inputs ask for: the first images as they are among all of them, and whether they are the same. */
static void keeps_images(void **state)
{
    (void)state;
    enum { KEPT = 7, FEATURES = 20, ALL = 30 };
    char text[] = "gaussian_classes(features=20, train=30, test=4)";
    for (int row = 0; row < eoc_preprocessing_count(); row++) {
        eoc_inputs inputs = {.points = KEPT, .preprocessing = eoc_preprocessing_row(row)};
        assert_int_equal(eoc_data_source_parse(text, &inputs.dataset), EOC_OK);
        eoc_dataset_request request = eoc_dataset_request_of(&inputs, 4, NULL), whole = request;
        eoc_data some, all, other;
        whole.kept = 0;
        assert_int_equal(eoc_dataset_load(&request, &some), EOC_OK);
        assert_int_equal(eoc_dataset_load(&whole, &all), EOC_OK);
        assert_true(some.train_count == KEPT && some.test_count == 1 && all.train_count == ALL);
        assert_memory_equal(some.train_x, all.train_x, sizeof(float) * KEPT * FEATURES);
        request.seed = 5;
        assert_int_equal(eoc_dataset_load(&request, &other), EOC_OK);
        assert_true(eoc_dataset_images_checksum(&some) != eoc_dataset_images_checksum(&other));
        some.test_x[0] += 1.0f; /* is no image of a probe */
        const uint32_t sum = eoc_dataset_images_checksum(&some);
        some.train_x[KEPT * FEATURES - 1] += 1.0f;
        assert_true(sum != eoc_dataset_images_checksum(&some));
        some.train_x[KEPT * FEATURES - 1] = all.train_x[KEPT * FEATURES - 1];
        assert_true(sum == eoc_dataset_images_checksum(&some));
        request.kept = ALL + 1;
        eoc_data_clear(&other);
        assert_int_equal(eoc_dataset_load(&request, &other), EOC_OK);
        assert_int_equal(other.train_count, ALL);
        eoc_data_clear(&some);
        eoc_data_clear(&all);
        eoc_data_clear(&other);
    }
    /* Of a file too; statistics are those of all its images, be it that one is kept. */
    write_good("digits.h5");
    for (int row = 0; row < eoc_preprocessing_count(); row++) {
        eoc_inputs inputs = {.points = 1, .preprocessing = eoc_preprocessing_row(row)};
        assert_int_equal(eoc_data_source_parse("digits", &inputs.dataset), EOC_OK);
        eoc_dataset_request request = eoc_dataset_request_of(&inputs, 4, NULL), whole = request;
        eoc_data some, all, sizes;
        whole.kept = 0;
        assert_int_equal(eoc_dataset_load(&request, &some), EOC_OK);
        assert_int_equal(eoc_dataset_load(&whole, &all), EOC_OK);
        assert_true(some.train_count == 1 && some.test_count == 1 && all.train_count > 1);
        assert_memory_equal(some.train_x, all.train_x, sizeof(float) * (size_t)all.features);
        assert_int_equal(eoc_dataset_sizes(&request, &sizes), EOC_OK);
        assert_int_equal(sizes.features, all.features);
        assert_true(sizes.train_count >= 1);
        eoc_data_clear(&some);
        eoc_data_clear(&all);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shipped_digits),
        TEST(layouts),
        TEST(floats_and_targets),
        TEST(many_pieces),
        TEST(refusals),
        TEST(refused_numbers),
        TEST(files_that_are_none),
        TEST(order_of_the_search),
        TEST(helpful_when_missing),
        TEST(loads_what_is_asked),
        TEST(keeps_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
