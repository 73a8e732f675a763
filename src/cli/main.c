/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include "eoc/linalg.h"
#include "eoc/record.h"
#include "eoc/store.h"
#include "eoc/text.h"
#include "eoc/vecmath.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;
    eoc_command_function *run;
    const char *summary;
    bool once; /* writes a file without MPI: of several processes that mpirun or srun started the first does it */
} command;

static const command commands[] = {
    {"run", eoc_cli_run, "work through a sweep file: alone, under mpirun, or under srun; goes on where it stopped",
     false},
    {"plan", eoc_cli_plan, "what a sweep will cost: time on so many ranks, memory, file size, --time for Slurm", false},
    {"status", eoc_cli_status, "how far a result file is, also while it is being written", false},
    {"merge", eoc_cli_merge, "join result files: the parts of a sweep, or a finished file into a larger sweep", true},
    {"theory", eoc_cli_theory, "mean-field theory alone: of a sweep to a file, or of one point to the screen", true},
    {"critical", eoc_cli_critical, "the edge of chaos of an activation: weight and bias variance, gain, stability",
     false},
    {"advise", eoc_cli_advise, "which initializer for an activation, width and depth, and why", false},
    {"list", eoc_cli_list, "every activation, initializer, architecture, ... with its formula and source", false},
};

enum { NUM_COMMANDS = sizeof commands / sizeof commands[0] };

const char *eoc_cli_program(void)
{
    return "eoc " EOC_VERSION " (" EOC_COMMIT ")";
}

int eoc_cli_exit_code(eoc_status status)
{
    return status == EOC_OK                                       ? EXIT_DONE
           : status == EOC_ERR_USAGE || status == EOC_ERR_UNKNOWN ? EXIT_USAGE
                                                                  : EXIT_OTHER;
}

int eoc_cli_launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *rank = getenv(names[i]);
        if (rank) {
            return atoi(rank);
        }
    }
    return 0;
}

static void help(FILE *out)
{
    fputs("eoc sweeps grids of deep random networks and writes their mean-field and gradient statistics to one HDF5 "
          "file.\n\n"
          "  mpirun eoc run jobs/tanh-phase-diagram.yaml      the order-chaos transition of tanh networks\n"
          "  eoc-plot phase tanh-phase-diagram.h5             its picture\n\n"
          "Commands (eoc COMMAND --help tells more):\n",
          out);
    for (int i = 0; i < NUM_COMMANDS; i++) {
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\n  --help, --version\n\n"
          "Exit codes: 0 everything done; 1 an error; 2 bad usage or sweep file; 3 finished, but some units failed;\n"
          "75 stopped in good order with units left: run the same command again.\n",
          out);
}

static void version(void)
{
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(mpi, &length);
    mpi[strcspn(mpi, ",\n")] = '\0';
    printf("%s\nresult file schema %s, physics version %d\n%s\n%s\n%s\nvector instructions: %s\n", eoc_cli_program(),
           EOC_SCHEMA_VERSION, EOC_PHYSICS_VERSION, mpi, eoc_store_library(), eoc_linalg_description(), eoc_vec_isa());
}

static int unknown(const char *word)
{
    const char *names[NUM_COMMANDS];
    for (int i = 0; i < NUM_COMMANDS; i++) {
        names[i] = commands[i].name;
    }
    const char *nearest = eoc_text_nearest(word, names, NUM_COMMANDS);
    if (eoc_cli_launched_rank() > 0) {
        return EXIT_USAGE;
    }
    fprintf(stderr, "eoc: unknown command '%s'%s%s%s; see eoc --help\n", word, nearest ? "; did you mean '" : "",
            nearest ? nearest : "", nearest ? "'?" : "");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        version();
        return EXIT_DONE;
    }
    for (int i = 0; i < NUM_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            if (commands[i].once && eoc_cli_launched_rank() > 0) {
                return EXIT_DONE;
            }
            char name[32];
            snprintf(name, sizeof name, "eoc %s", commands[i].name);
            argv[1] = name;
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    return unknown(argv[1]);
}
