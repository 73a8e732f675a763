/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* sched_getaffinity */
#include "provenance.h"

#include "eoc/linalg.h"
#include "eoc/vecmath.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void json_text(eoc_text *json, const char *key, const char *value)
{
    eoc_text_append(json, "%s\"%s\": \"", json->length > 1 ? ", " : "", key);
    for (const char *c = value; *c; c++) {
        if (*c == '"' || *c == '\\') {
            eoc_text_append(json, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            eoc_text_append(json, "\\u%04x", (unsigned)(unsigned char)*c);
        } else {
            eoc_text_append(json, "%c", *c);
        }
    }
    eoc_text_append(json, "\"");
}

enum { FACT_BYTES = 256 };

/* The distinct texts of all ranks, "a x 2, b x 2", on rank 0; returns how many differ. */
static int distinct_all(MPI_Comm comm, const char *mine, eoc_text *list)
{
    int rank = 0, size = 1, distinct = 0;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    char padded[FACT_BYTES] = "";
    snprintf(padded, sizeof padded, "%s", mine);
    char *all = rank == 0 ? malloc((size_t)size * FACT_BYTES) : NULL;
    MPI_Gather(padded, FACT_BYTES, MPI_CHAR, all, FACT_BYTES, MPI_CHAR, 0, comm);
    for (int i = 0; all && i < size; i++) {
        const char *const text = all + (size_t)i * FACT_BYTES;
        int seen = 0, same = 0;
        for (int k = 0; k < size; k++) {
            const int equal = strcmp(text, all + (size_t)k * FACT_BYTES) == 0;
            seen += equal && k < i;
            same += equal;
        }
        if (!seen) {
            eoc_text_append(list, "%s%s x %d", distinct++ ? ", " : "", text, same);
        }
    }
    free(all);
    return distinct;
}

static void slurm_facts(eoc_text *json)
{
    static const char *const names[] = {"SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT",
                                        "SLURM_JOB_NODELIST"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (getenv(names[i])) {
            json_text(json, names[i], getenv(names[i]));
        }
    }
}

void eoc_provenance_gather_all(MPI_Comm comm, const eoc_run_options *options, eoc_text *facts)
{
    char host[MPI_MAX_PROCESSOR_NAME], library[MPI_MAX_LIBRARY_VERSION_STRING], kernels[FACT_BYTES];
    int length = 0;
    MPI_Get_processor_name(host, &length);
    snprintf(kernels, sizeof kernels, "%s; %s", eoc_vec_isa(), eoc_linalg_description());
    eoc_text hosts = {0}, blas = {0};
    distinct_all(comm, host, &hosts);
    if (distinct_all(comm, kernels, &blas) > 1) {
        fprintf(stderr,
                "eoc: warning: ranks run on different processor kernels (%s): results agree to rounding, not to the "
                "bit, with "
                "those of another hand-out\n",
                blas.data);
    }
    MPI_Get_library_version(library, &length);
    library[strcspn(library, ",\n")] = '\0';
    eoc_text_append(facts, "{");
    json_text(facts, "command", options->command_line ? options->command_line : "");
    json_text(facts, "program", options->program);
    json_text(facts, "mpi", library);
    json_text(facts, "blas", blas.data ? blas.data : "");
    slurm_facts(facts);
    json_text(facts, "hosts", hosts.data ? hosts.data : "");
    eoc_text_clear(&hosts);
    eoc_text_clear(&blas);
}

void eoc_provenance_warn_of_crowding_all(MPI_Comm comm, int threads)
{
    MPI_Comm node;
    int rank = 0, ranks_here = 1;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &ranks_here);
    MPI_Comm_free(&node);
    cpu_set_t bound;
    const int cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    const int cores_of_rank = sched_getaffinity(0, sizeof bound, &bound) == 0 ? CPU_COUNT(&bound) : cores;
    /* The fullest node and the narrowest rank of all; what each has beyond its cores. */
    struct {
        int excess, rank;
    } mine[2] = {{ranks_here * threads - cores, rank}, {threads - cores_of_rank, rank}}, worst[2];
    MPI_Allreduce(mine, worst, 2, MPI_2INT, MPI_MAXLOC, comm);
    if (worst[0].excess > 0 && worst[0].rank == rank) {
        fprintf(stderr,
                "eoc: warning: %d rank%s of %d thread%s share the %d core%s of a node, and wait for each other\n",
                ranks_here, ranks_here == 1 ? "" : "s", threads, threads == 1 ? "" : "s", cores, cores == 1 ? "" : "s");
    } else if (worst[0].excess <= 0 && worst[1].excess > 0 && worst[1].rank == rank) {
        fprintf(stderr,
                "eoc: warning: the %d threads of a rank are bound to %d core%s, and wait for each other; mpirun wants "
                "--bind-to none, srun --cpus-per-task %d\n",
                threads, cores_of_rank, cores_of_rank == 1 ? "" : "s", threads);
    }
}

void eoc_provenance_write(const eoc_text *facts, const char *ended, eoc_text *json)
{
    eoc_text_append(json, "%s", facts->data);
    json_text(json, "ended", ended);
    eoc_text_append(json, "}");
}
