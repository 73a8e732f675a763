/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * share_data DATASET [private] [late]: shares a data set over all ranks and compares every array, bit for bit, with
 * what each rank loads by itself. One line a rank, in order: "rank 0: same, 3 sharers", "rank 1: status 5". With
 * `private` files are limited to a few bytes, so that no shared memory can be made; with `late` rank 0 ends first.
 */
#include "eoc/share_data.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static bool same_array(const void *a, const void *b, size_t bytes)
{
    return a && b ? memcmp(a, b, bytes) == 0 : !a && !b;
}

static bool same(const eoc_data *a, const eoc_data *b)
{
    const size_t train = (size_t)b->train_count, test = (size_t)b->test_count;
    const size_t x = sizeof(float) * (size_t)b->features, y = sizeof(float) * (size_t)b->outputs;
    return a->rows == b->rows && a->columns == b->columns && a->channels == b->channels && a->features == b->features &&
           a->outputs == b->outputs && a->train_count == b->train_count && a->test_count == b->test_count &&
           same_array(a->train_x, b->train_x, train * x) && same_array(a->test_x, b->test_x, test * x) &&
           same_array(a->train_label, b->train_label, train * sizeof(int32_t)) &&
           same_array(a->test_label, b->test_label, test * sizeof(int32_t)) &&
           same_array(a->train_y, b->train_y, train * y) && same_array(a->test_y, b->test_y, test * y);
}

static void forbid_large_files(void)
{
    const struct rlimit limit = {4096, 4096};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
}

int main(int argc, char **argv)
{
    int rank = 0, size = 1;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    bool late = false;
    for (int i = 2; i < argc; i++) {
        late = late || strcmp(argv[i], "late") == 0;
        if (strcmp(argv[i], "private") == 0) {
            forbid_large_files();
        }
    }
    eoc_dataset_request request = {.preprocessing = eoc_preprocessing_row(1), .train_samples = 0, .seed = 3};
    if (argc < 2 || eoc_data_source_parse(argv[1], &request.source) != EOC_OK) {
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    /* What is asked for counts on rank 0 alone. */
    const eoc_dataset_request nothing = {.train_samples = -1};
    eoc_shared_data *shared = NULL;
    const eoc_status status = eoc_share_data_all(MPI_COMM_WORLD, rank == 0 ? &request : &nothing, &shared);
    char line[512];
    if (status != EOC_OK) {
        snprintf(line, sizeof line, "status %d%s%s", (int)status, status == EOC_ERR_PEER ? "" : ": ",
                 status == EOC_ERR_PEER ? "" : eoc_status_why());
    } else {
        if (late && rank == 0) {
            eoc_shared_data_destroy(&shared);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        eoc_data alone = {0};
        const bool loaded = eoc_dataset_load(&request, &alone) == EOC_OK;
        snprintf(line, sizeof line, "%s, %d sharers",
                 !shared                                               ? "gone"
                 : loaded && same(eoc_shared_data_get(shared), &alone) ? "same"
                                                                       : "different",
                 shared ? eoc_shared_data_sharers(shared) : 0);
        eoc_data_clear(&alone);
        eoc_shared_data_destroy(&shared);
    }
    char all[64][sizeof line];
    MPI_Gather(line, sizeof line, MPI_CHAR, all, sizeof line, MPI_CHAR, 0, MPI_COMM_WORLD);
    for (int r = 0; rank == 0 && r < size && r < 64; r++) {
        printf("rank %d: %s\n", r, all[r]);
    }
    MPI_Finalize();
    return status == EOC_OK ? 0 : 2;
}
