/* SPDX-License-Identifier: BSD-3-Clause */
/* What the probe measures of a random network, of one that is being trained. Private to the room. */
#ifndef EOC_NET_STATISTICS_H
#define EOC_NET_STATISTICS_H

#include "eoc/data.h"
#include "eoc/net.h"
#include "eoc/train.h"

/** Memory for networks within limits; one a rank. */
typedef struct eoc_net_scan eoc_net_scan;

eoc_status eoc_net_scan_create(const eoc_net_limits *limits, eoc_net_scan **scan);
void eoc_net_scan_destroy(eoc_net_scan **scan);
double eoc_net_scan_bytes(const eoc_net_limits *limits);

/**
 * Statistics of a net as it stands, with test samples 0 and 1 as its inputs, in double precision: rows of `rows` that
 * are not NULL, at `cell` of their (learning_rate, step) and, of those along layers, `num_layers` kept layers each.
 * False when given up.
 */
bool eoc_net_scan_run(eoc_net_scan *scan, const eoc_net *net, const eoc_data *data, unsigned statistics,
                      const int *layers, int num_layers, size_t cell, const eoc_net_host *host, eoc_train_rows *rows);

#endif
