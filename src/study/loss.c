/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/loss.h"

#include <assert.h>
#include <math.h>

/* log sum exp(y) - t.y, for a target that sums to 1 */
static double cross_entropy(const double *y, const double *target, int outputs, double *dy)
{
    double greatest = y[0], sum = 0.0, along = 0.0;
    for (int k = 1; k < outputs; k++) {
        greatest = y[k] > greatest ? y[k] : greatest;
    }
    for (int k = 0; k < outputs; k++) {
        along += target[k] * (y[k] - greatest);
    }
    for (int k = 0; k < outputs; k++) {
        dy[k] = exp(y[k] - greatest);
        sum += dy[k];
    }
    for (int k = 0; k < outputs; k++) {
        dy[k] = dy[k] / sum - target[k];
    }
    return log(sum) - along;
}

static double mean_squared_error(const double *y, const double *target, int outputs, double *dy)
{
    double sum = 0.0;
    for (int k = 0; k < outputs; k++) {
        const double difference = y[k] - target[k];
        sum += difference * difference;
        dy[k] = 2.0 * difference / outputs;
    }
    return sum / outputs;
}

static const eoc_loss_kind losses[] = {
    {.name = "cross_entropy",
     .formula = "-log softmax(y)_label, mean over samples",
     .source = "Goodfellow, Bengio & Courville 2016, 6.2.2",
     .needs_labels = true,
     .of_sample = cross_entropy},
    {.name = "mse",
     .formula = "|y - t|^2/outputs, mean over samples; of labels t is 1 at the label, else 0",
     .source = "Saxe, McClelland & Ganguli 2014, but for the factor outputs/2",
     .of_sample = mean_squared_error},
};

int eoc_loss_count(void)
{
    return (int)(sizeof losses / sizeof losses[0]);
}

const eoc_loss_kind *eoc_loss_row(int row)
{
    assert(row >= 0 && row < eoc_loss_count());
    return &losses[row];
}
