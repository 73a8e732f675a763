/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Status codes and the one sentence that goes with a failure.
 *
 * A function that can fail for a reason outside the program (a user's mistake, a full disk, no memory) returns an
 * eoc_status and leaves one sentence behind; only `main` prints it. Programming errors are asserts, and scientific
 * outcomes (a network that overflows) are results, not errors.
 */
#ifndef EOC_STATUS_H
#define EOC_STATUS_H

typedef enum {
    EOC_OK,
    EOC_ERR_USAGE,   /* a bad option or sweep file */
    EOC_ERR_UNKNOWN, /* no kind of that name */
    EOC_ERR_NOMEM,   /* out of memory */
    EOC_ERR_IO,      /* a file cannot be used */
    EOC_ERR_PEER     /* another rank failed */
} eoc_status;

/** Stores the sentence and returns `code`, so that a caller can write `return EOC_FAIL(...)`. */
#define EOC_FAIL(code, ...) eoc_status_fail((code), __VA_ARGS__)

#define EOC_TRY(call)                         \
    do {                                      \
        const eoc_status try_status = (call); \
        if (try_status != EOC_OK) {           \
            return try_status;                \
        }                                     \
    } while (0)

#define EOC_REQUIRE(cond, code, ...)              \
    do {                                          \
        if (!(cond)) {                            \
            return EOC_FAIL((code), __VA_ARGS__); \
        }                                         \
    } while (0)

eoc_status eoc_status_fail(eoc_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The sentence of the last failure; "" when nothing failed. Valid until the next failure, not to be freed. */
const char *eoc_status_why(void);

#endif
