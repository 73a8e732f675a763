/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/share_data.h"

#include "eoc/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* A broadcast's count is an int; pieces also keep what MPI buffers small. */
static const size_t PIECE_BYTES = (size_t)64 << 20;

enum { ALIGNMENT = 64, NUM_ARRAYS = 6 };

struct eoc_shared_data {
    eoc_data data; /* arrays point into block, or are its own where that is NULL */
    void *block;   /* (bytes) */
    size_t bytes;
    bool is_mapped; /* block is shared memory, else from the heap */
    int sharers;
};

const eoc_data *eoc_shared_data_get(const eoc_shared_data *shared)
{
    return &shared->data;
}

int eoc_shared_data_sharers(const eoc_shared_data *shared)
{
    return shared->sharers;
}

static void release_block(eoc_shared_data *s)
{
    if (s->is_mapped) {
        munmap(s->block, s->bytes);
    } else {
        free(s->block);
    }
    s->block = NULL;
    s->is_mapped = false;
}

void eoc_shared_data_destroy(eoc_shared_data **shared)
{
    eoc_shared_data *const s = *shared;
    if (!s) {
        return;
    }
    if (s->block) {
        release_block(s);
    } else {
        eoc_data_clear(&s->data);
    }
    free(s);
    *shared = NULL;
}

/* -- one block for all arrays -- */

/* Sizes of the arrays in bytes, in the order of their places in the block; 0 where there is none. */
static void array_sizes(const eoc_data *data, bool labelled, size_t sizes[NUM_ARRAYS])
{
    const size_t train = (size_t)data->train_count, test = (size_t)data->test_count;
    const size_t x = sizeof(float) * (size_t)data->features, y = sizeof(float) * (size_t)data->outputs;
    const size_t answer[2] = {labelled ? sizeof(int32_t) : 0, labelled ? 0 : y};
    const size_t all[NUM_ARRAYS] = {train * x,        test * x,          train * answer[0],
                                    test * answer[0], train * answer[1], test * answer[1]};
    memcpy(sizes, all, sizeof all);
}

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t block_bytes(const size_t sizes[NUM_ARRAYS])
{
    size_t total = 0;
    for (int i = 0; i < NUM_ARRAYS; i++) {
        total += aligned(sizes[i]);
    }
    return total;
}

/* Points the arrays of `data` into the block; copies what they hold where `source` is not NULL. */
static void place_arrays(eoc_data *data, const eoc_data *source, void *block, const size_t sizes[NUM_ARRAYS])
{
    void *places[NUM_ARRAYS];
    const void *const contents[NUM_ARRAYS] = {source ? source->train_x : NULL,     source ? source->test_x : NULL,
                                              source ? source->train_label : NULL, source ? source->test_label : NULL,
                                              source ? source->train_y : NULL,     source ? source->test_y : NULL};
    unsigned char *place = block;
    for (int i = 0; i < NUM_ARRAYS; i++) {
        places[i] = sizes[i] ? place : NULL;
        if (sizes[i] && source) {
            memcpy(place, contents[i], sizes[i]);
        }
        place += aligned(sizes[i]);
    }
    data->train_x = places[0];
    data->test_x = places[1];
    data->train_label = places[2];
    data->test_label = places[3];
    data->train_y = places[4];
    data->test_y = places[5];
}

/* -- shared memory of a node -- */

enum { NAME_BYTES = 64 };

/* Its space is there when this returns, not when it is first written to: a full /dev/shm is an answer, not a SIGBUS.
 * `name` is empty where there is none. */
static int make_memory(char name[NAME_BYTES], size_t bytes)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* containers may share /dev/shm and not their process numbers */
    snprintf(name, NAME_BYTES, "/eoc-data-%ld-%ld", (long)getpid(), now.tv_nsec);
    const int descriptor = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (descriptor >= 0 && posix_fallocate(descriptor, 0, (off_t)bytes) == 0) {
        return descriptor;
    }
    if (descriptor >= 0) {
        close(descriptor);
        shm_unlink(name);
    }
    name[0] = '\0';
    return -1;
}

static void *map_memory(int descriptor, size_t bytes, int protection)
{
    if (descriptor < 0) {
        return NULL;
    }
    void *const memory = mmap(NULL, bytes, protection, MAP_SHARED, descriptor, 0);
    close(descriptor);
    return memory == MAP_FAILED ? NULL : memory;
}

/* All ranks of a node map one memory, or none does. The name is gone before anything is in it. */
static void map_block_all(MPI_Comm node, eoc_shared_data *s)
{
    int rank = 0, size = 1;
    char name[NAME_BYTES] = "";
    MPI_Comm_rank(node, &rank);
    MPI_Comm_size(node, &size);
    if (rank == 0) {
        s->block = map_memory(make_memory(name, s->bytes), s->bytes, PROT_READ | PROT_WRITE);
    }
    MPI_Bcast(name, NAME_BYTES, MPI_CHAR, 0, node);
    if (rank != 0) {
        s->block = map_memory(shm_open(name, O_RDONLY, 0), s->bytes, PROT_READ);
    }
    int mapped = s->block != NULL;
    MPI_Allreduce(MPI_IN_PLACE, &mapped, 1, MPI_INT, MPI_LAND, node);
    if (rank == 0 && name[0]) {
        shm_unlink(name);
    }
    s->is_mapped = s->block != NULL;
    s->sharers = mapped ? size : 1;
    if (!mapped && s->block) {
        release_block(s);
    }
}

/* -- the broadcast -- */

/* The sizes of the set and whether it has labels, from rank 0. */
static void share_sizes_all(MPI_Comm comm, eoc_data *data, bool *labelled)
{
    int sizes[] = {data->rows,    data->columns,     data->channels,   data->features,
                   data->outputs, data->train_count, data->test_count, data->train_label != NULL};
    MPI_Bcast(sizes, (int)(sizeof sizes / sizeof sizes[0]), MPI_INT, 0, comm);
    data->rows = sizes[0];
    data->columns = sizes[1];
    data->channels = sizes[2];
    data->features = sizes[3];
    data->outputs = sizes[4];
    data->train_count = sizes[5];
    data->test_count = sizes[6];
    *labelled = sizes[7];
}

static void broadcast_all(MPI_Comm comm, unsigned char *bytes, size_t count)
{
    for (size_t from = 0; from < count; from += PIECE_BYTES) {
        const size_t now = count - from < PIECE_BYTES ? count - from : PIECE_BYTES;
        MPI_Bcast(bytes + from, (int)now, MPI_BYTE, 0, comm);
    }
}

/* Memory for the set on every rank, shared or not; `fills` says that this rank writes its memory. */
static eoc_status allocate_all(MPI_Comm comm, MPI_Comm node, eoc_shared_data *s, bool *fills)
{
    int node_rank = 0, node_size = 1;
    MPI_Comm_rank(node, &node_rank);
    MPI_Comm_size(node, &node_size);
    s->sharers = 1;
    if (node_size > 1) {
        map_block_all(node, s);
    }
    *fills = !s->is_mapped || node_rank == 0;
    if (!s->is_mapped) {
        s->block = malloc(s->bytes);
    }
    return eoc_agree_all(
        comm,
        s->block ? EOC_OK : EOC_FAIL(EOC_ERR_NOMEM, "out of memory for a data set of %.3g MB", (double)s->bytes / 1e6));
}

/* `loaded` is rank 0's own set; s->data has its sizes and no arrays. */
static eoc_status distribute_all(MPI_Comm comm, const eoc_data *loaded, eoc_shared_data *s)
{
    int rank = 0;
    bool labelled = false, fills = false;
    size_t sizes[NUM_ARRAYS];
    MPI_Comm node, fillers;
    MPI_Comm_rank(comm, &rank);
    s->data = *loaded;
    share_sizes_all(comm, &s->data, &labelled);
    array_sizes(&s->data, labelled, sizes);
    s->bytes = block_bytes(sizes);
    /* In the order of comm: rank 0 is the first of its node, and of those that fill. */
    MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
    const eoc_status status = allocate_all(comm, node, s, &fills);
    if (status == EOC_OK) {
        place_arrays(&s->data, rank == 0 ? loaded : NULL, s->block, sizes);
        MPI_Comm_split(comm, fills ? 0 : MPI_UNDEFINED, rank, &fillers);
        if (fills) {
            broadcast_all(fillers, s->block, s->bytes);
            MPI_Comm_free(&fillers);
        }
        MPI_Barrier(node); /* nobody reads before it is there */
    }
    MPI_Comm_free(&node);
    return status;
}

eoc_status eoc_share_data_all(MPI_Comm comm, const eoc_dataset_request *request, eoc_shared_data **shared)
{
    int rank = 0, size = 1;
    eoc_data loaded = {0};
    *shared = NULL;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    eoc_shared_data *s = calloc(1, sizeof *s);
    eoc_status status = s ? EOC_OK : EOC_FAIL(EOC_ERR_NOMEM, "out of memory for a data set");
    if (status == EOC_OK && rank == 0) {
        status = eoc_dataset_load(request, &loaded);
    }
    status = eoc_agree_all(comm, status);
    if (status == EOC_OK && size == 1) {
        s->data = loaded;
        s->sharers = 1;
        *shared = s;
        return EOC_OK;
    }
    if (status == EOC_OK) {
        status = distribute_all(comm, &loaded, s);
    }
    eoc_data_clear(&loaded);
    if (status != EOC_OK) {
        if (s) {
            release_block(s);
        }
        free(s);
        return status;
    }
    *shared = s;
    return EOC_OK;
}
