/* SPDX-License-Identifier: BSD-3-Clause */
#include "units.h"

#include <math.h>
#include <stdio.h>

const char *eoc_cli_time(double seconds, char out[EOC_CLI_TIME_BYTES])
{
    const double s = floor(seconds + 0.5), m = floor(s / 60.0), h = floor(s / 3600.0), d = floor(s / 86400.0);
    if (!(seconds >= 59.5)) {
        snprintf(out, EOC_CLI_TIME_BYTES, seconds < 9.95 ? "%.2g s" : "%.0f s", seconds);
    } else if (h < 1.0) {
        snprintf(out, EOC_CLI_TIME_BYTES, "%.0f min %.0f s", m, s - 60.0 * m);
    } else if (d < 1.0) {
        snprintf(out, EOC_CLI_TIME_BYTES, "%.0f h %.0f min", h, m - 60.0 * h);
    } else {
        snprintf(out, EOC_CLI_TIME_BYTES, "%.6g d %.0f h", d, h - 24.0 * d);
    }
    return out;
}

const char *eoc_cli_slurm_time(double seconds, char out[EOC_CLI_TIME_BYTES])
{
    const double s = ceil(seconds), d = floor(s / 86400.0), h = floor((s - 86400.0 * d) / 3600.0);
    const double m = floor((s - 86400.0 * d - 3600.0 * h) / 60.0), rest = s - 86400.0 * d - 3600.0 * h - 60.0 * m;
    if (d >= 1.0) {
        snprintf(out, EOC_CLI_TIME_BYTES, "%.0f-%02.0f:%02.0f:%02.0f", d, h, m, rest);
    } else {
        snprintf(out, EOC_CLI_TIME_BYTES, "%.0f:%02.0f:%02.0f", h, m, rest);
    }
    return out;
}

const char *eoc_cli_size(double bytes, char out[EOC_CLI_SIZE_BYTES])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    int unit = 0;
    for (; bytes >= 999.5 && unit < 6; unit++) {
        bytes /= 1000.0;
    }
    snprintf(out, EOC_CLI_SIZE_BYTES, "%.3g %s", bytes, units[unit]);
    return out;
}
