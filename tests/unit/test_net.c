/* SPDX-License-Identifier: BSD-3-Clause */
/* Trained networks at float64: derivatives against central differences, deep linear learning against Saxe's solution.
 */
#define EOC_REAL_DOUBLE
#include "check.h"

#include "eoc/net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES = 5, OUTPUTS = 4, WIDTH = 7, DEPTH = 3, SAMPLES = 6 };

static eoc_network layered(const char *architecture, const char *activation, const char *initializer, int depth,
                           int width)
{
    eoc_network network = {.depth = depth, .width = width, .weight_variance = 1.3, .bias_variance = 0.2};
    assert_int_equal(eoc_architecture_find(architecture, &network.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find(activation, &network.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find(initializer, &network.initializer), EOC_OK);
    assert_int_equal(eoc_network_check(&network), EOC_OK);
    network.key = eoc_rng_key("test_net");
    return network;
}

static eoc_network network_of(const char *activation, const char *initializer, int depth, int width)
{
    return layered("fully_connected", activation, initializer, depth, width);
}

static eoc_net *net_of(const eoc_network *network, const eoc_net_limits *with)
{
    eoc_net *net = NULL;
    eoc_weights *weights = NULL;
    eoc_net_limits of_this = *with, *limits = &of_this;
    of_this.needs = network->architecture.kind->needs(network);
    const int positions = of_this.needs.positions; /* the read-out takes them all */
    const int rows = of_this.needs.taps > positions ? of_this.needs.taps : positions;
    int fan = limits->features > 2 * limits->max_width ? limits->features : 2 * limits->max_width;
    fan = limits->outputs > fan ? limits->outputs : fan;
    assert_int_equal(eoc_weights_create(fan * (rows > 1 ? rows : 1), 1, &weights), EOC_OK);
    assert_int_equal(eoc_net_f64_create(limits, &net), EOC_OK);
    bool drawn = false;
    assert_int_equal(eoc_net_f64_draw(net, network, 0.8, weights, NULL, &drawn), EOC_OK);
    assert_true(drawn);
    eoc_weights_destroy(&weights);
    return net;
}

/* How many more calls until it gives up. */
static bool give_up(void *context)
{
    int *const left = context;
    return --*left <= 0;
}

static const eoc_net_limits small = {.max_depth = DEPTH,
                                     .max_width = WIDTH,
                                     .features = FEATURES,
                                     .outputs = OUTPUTS,
                                     .batch = SAMPLES,
                                     .num_states = 2,
                                     .whole_gradient = true};

typedef struct {
    double x[SAMPLES * FEATURES];
    int32_t labels[SAMPLES];
    float targets[SAMPLES * OUTPUTS];
} samples;

static samples draw_samples(void)
{
    samples s;
    double normals[SAMPLES * OUTPUTS];
    const eoc_stream x = {eoc_rng_key("samples"), 0, 0, 0}, t = {eoc_rng_key("targets"), 0, 0, 0};
    eoc_rng_normals(&x, s.x, SAMPLES * FEATURES);
    eoc_rng_normals(&t, normals, SAMPLES * OUTPUTS);
    for (int i = 0; i < SAMPLES * OUTPUTS; i++) {
        s.targets[i] = (float)normals[i];
    }
    for (int i = 0; i < SAMPLES; i++) {
        s.labels[i] = (i * 3 + 1) % OUTPUTS;
    }
    return s;
}

static double loss_of(eoc_net *net, const eoc_loss_kind *loss, const samples *s, bool labelled)
{
    assert_true(eoc_net_f64_forward(net, s->x, SAMPLES, 1, 0, NULL));
    return eoc_net_f64_loss(net, loss, labelled ? s->labels : NULL, s->targets, SAMPLES, 1.0 / SAMPLES, NULL) / SAMPLES;
}

/*
 * Every derivative of a loss: (E(w + d) - E(w - d))/(2 d), error O(d^2) + rounding/d; a batch's normalization and a
 * step's masks included.
 */
static void check_derivatives(const eoc_network *network, const eoc_loss_kind *loss, const samples *s, bool labelled,
                              const char *name)
{
    eoc_net *net = net_of(network, &small);
    /* Off the start, where gamma is 1 and beta 0 in all units and one half of a mirrored matrix is that of the other.
     */
    const eoc_stream stream = {eoc_rng_key("off"), 0, 0, 0};
    double *const off = malloc(sizeof(double) * net->num_parameters);
    eoc_rng_normals(&stream, off, net->num_parameters);
    for (size_t i = 0; i < net->num_parameters; i++) {
        net->parameters[i] += 0.1 * off[i];
    }
    free(off);
    loss_of(net, loss, s, labelled);
    assert_true(eoc_net_f64_backward(net, s->x, SAMPLES, NULL, NULL));
    double greatest = 0.0, worst = 0.0;
    for (size_t i = 0; i < net->num_parameters; i++) {
        const double d = 1e-5, w = net->parameters[i];
        net->parameters[i] = w + d;
        const double up = loss_of(net, loss, s, labelled);
        net->parameters[i] = w - d;
        const double down = loss_of(net, loss, s, labelled);
        net->parameters[i] = w;
        worst = fmax(worst, fabs((up - down) / (2.0 * d) - net->gradient[i]));
        greatest = fmax(greatest, fabs(net->gradient[i]));
    }
    if (!(worst <= 1e-6 * greatest) || greatest == 0.0) {
        fail_msg("%s, %s, %s: off by %g of %g", name, network->activation.kind->name, loss->name, worst, greatest);
    }
    eoc_net_f64_destroy(&net);
}

static void derivatives_are_differences(void **state)
{
    (void)state;
    const samples s = draw_samples();
    for (int a = 0; a < eoc_activation_count(); a++) {
        const eoc_network network =
            network_of(eoc_activation_row(a)->name, a % 2 ? "orthogonal" : "gaussian", DEPTH, WIDTH);
        for (int row = 0; row < 2 * eoc_loss_count(); row++) {
            const eoc_loss_kind *loss = eoc_loss_row(row / 2);
            const bool labelled = row % 2 == 0 || strcmp(loss->name, "cross_entropy") == 0;
            check_derivatives(&network, loss, &s, labelled, "fully_connected");
        }
    }
}

static const char *const architectures[] = {
    "fully_connected(keep=0.7)",
    "fully_connected(normalization=batch)",
    "fully_connected(normalization=batch, gamma=0.8, beta=0.3, epsilon=0.4, keep=0.8)",
    "fully_connected(normalization=layer)",
    "fully_connected(normalization=layer, gamma=1.5, beta=-0.2, epsilon=0, keep=0.8)",
    "residual",
    "residual(branch=1/sqrt(depth), skip=0.9, keep=0.7)",
    "residual(normalization=batch, branch=0.5)",
    "residual(normalization=layer, branch=0.5, keep=0.8)",
    "residual(form=reduced, branch=0.6)",
    "residual(form=reduced, normalization=batch, keep=0.8)",
    "residual(form=reduced, normalization=layer, skip=-0.5)",
    "residual(form=full, branch=0.7, skip=1.1)",
    "residual(form=full, normalization=batch, keep=0.8)",
    "residual(form=full, normalization=layer, branch=1/sqrt(depth))",
};
enum { NUM_ARCHITECTURES = sizeof architectures / sizeof architectures[0] };

static const struct {
    const char *activation, *initializer;
} pairs[] = {{"tanh", "gaussian"}, {"gelu", "orthogonal"}, {"crelu", "he_normal"}, {"crelu", "looks_linear"}};
enum { NUM_PAIRS = sizeof pairs / sizeof pairs[0] };

static void derivatives_of_every_architecture(void **state)
{
    (void)state;
    const samples s = draw_samples();
    for (int k = 0; k < NUM_ARCHITECTURES; k++) {
        for (int p = 0; p < NUM_PAIRS; p++) {
            if (strstr(architectures[k], "reduced") && strcmp(pairs[p].activation, "crelu") == 0) {
                continue; /* refused by eoc_network_check */
            }
            const eoc_network network =
                layered(architectures[k], pairs[p].activation, pairs[p].initializer, DEPTH, WIDTH);
            check_derivatives(&network, eoc_loss_row(p % 2), &s, p % 2 == 0, architectures[k]);
        }
    }
}

/* -- convolutions -- */

/* Images of two channels, 4 x 4 pixels: in two dimensions blocks of 2 x 2, in one of 2 pixels. */
enum { SIDE = 4, CHANNELS = 2, IMAGE = CHANNELS * SIDE * SIDE, FEW = 3, SMALL = 4, WIDE = 19 };
static const eoc_net_limits of_images = {.max_depth = DEPTH,
                                         .max_width = WIDE,
                                         .features = IMAGE,
                                         .rows = SIDE,
                                         .columns = SIDE,
                                         .outputs = OUTPUTS,
                                         .batch = FEW,
                                         .num_states = 2,
                                         .whole_gradient = true};

static const struct {
    const char *architecture, *activation, *initializer;
    int width;
} convolutions[] = {
    {"convolutional(dimensions=1, side=8)", "tanh", "gaussian", SMALL},
    {"convolutional(dimensions=1, side=8, padding=zero)", "tanh", "gaussian", WIDE}, /* more than go at once */
    {"convolutional(dimensions=1, side=8, kernel=5, padding=zero, readout=average)", "erf", "he_normal", SMALL},
    {"convolutional(side=2, kernel=1)", "tanh", "orthogonal", SMALL},
    {"convolutional(side=4)", "gelu", "delta_orthogonal", SMALL},
    {"convolutional(side=4, padding=zero)", "tanh", "gaussian_taps(tap_1=0.3)", SMALL},
    {"convolutional(side=4, readout=average)", "crelu", "looks_linear", SMALL},
    {"convolutional(side=4, readout=average, normalization=batch, keep=0.8)", "tanh", "glorot_normal", SMALL},
    {"convolutional(side=4, normalization=layer, keep=0.8)", "crelu", "gaussian", SMALL},
    {"convolutional(side=4, form=pre_activation, branch=0.5, normalization=batch)", "tanh", "gaussian", SMALL},
    {"convolutional(side=4, form=reduced, padding=zero, normalization=layer)", "tanh", "gaussian", SMALL},
    {"convolutional(side=4, form=full, skip=0.9, keep=0.7)", "gelu", "delta_orthogonal", SMALL},
};
enum { NUM_CONVOLUTIONS = sizeof convolutions / sizeof convolutions[0] };

typedef struct {
    double x[FEW * IMAGE];
    int32_t labels[FEW];
} images;

static images draw_images(void)
{
    images drawn = {.labels = {2, 0, 3}};
    const eoc_stream stream = {eoc_rng_key("images"), 0, 0, 0};
    eoc_rng_normals(&stream, drawn.x, FEW * IMAGE);
    return drawn;
}

/* The loss of all samples, in pieces of the batch, and with `step` its gradient in net->gradient, or that step. */
static double image_loss(eoc_net *net, const images *s, int size, const eoc_net_step *step)
{
    double sum = 0.0;
    for (int first = 0, piece = 0; first < FEW; first += size, piece++) {
        const int n = FEW - first < size ? FEW - first : size;
        const double *const x = s->x + first * IMAGE;
        assert_true(eoc_net_f64_forward(net, x, n, 1, piece, NULL));
        sum += eoc_net_f64_loss(net, eoc_loss_row(0), s->labels + first, NULL, n, 1.0 / FEW, NULL);
        if (step) {
            eoc_net_step of_piece = *step;
            of_piece.piece = piece;
            of_piece.pieces = (FEW + size - 1) / size;
            assert_true(eoc_net_f64_backward(net, x, n, &of_piece, NULL));
        }
    }
    return sum / FEW;
}

static eoc_network convolution_of(int row)
{
    return layered(convolutions[row].architecture, convolutions[row].activation, convolutions[row].initializer, DEPTH,
                   convolutions[row].width);
}

/* As check_derivatives: every weight of every tap, the read-out's, gamma and beta. */
static void derivatives_of_convolutions(void **state)
{
    (void)state;
    const images s = draw_images();
    for (int row = 0; row < NUM_CONVOLUTIONS; row++) {
        const eoc_network network = convolution_of(row);
        eoc_net *net = net_of(&network, &of_images);
        const eoc_stream stream = {eoc_rng_key("off"), 0, 0, 0};
        double *const off = malloc(sizeof(double) * net->num_parameters), greatest = 0.0, worst = 0.0;
        eoc_rng_normals(&stream, off, net->num_parameters);
        for (size_t i = 0; i < net->num_parameters; i++) {
            net->parameters[i] += 0.1 * off[i];
        }
        free(off);
        image_loss(net, &s, FEW, NULL);
        assert_true(eoc_net_f64_backward(net, s.x, FEW, NULL, NULL));
        for (size_t i = 0; i < net->num_parameters; i++) {
            const double d = 1e-5, w = net->parameters[i];
            net->parameters[i] = w + d;
            const double up = image_loss(net, &s, FEW, NULL);
            net->parameters[i] = w - d;
            const double down = image_loss(net, &s, FEW, NULL);
            net->parameters[i] = w;
            worst = fmax(worst, fabs((up - down) / (2.0 * d) - net->gradient[i]));
            greatest = fmax(greatest, fabs(net->gradient[i]));
        }
        if (!(worst <= 1e-6 * greatest) || greatest == 0.0) {
            fail_msg("%s: off by %g of %g", convolutions[row].architecture, worst, greatest);
        }
        eoc_net_f64_destroy(&net);
    }
}

/* The step of a batch does not depend, to the last bit, on how many layers are kept at a time, nor on threads. */
static void segments_and_threads_leave_the_bits(void **state)
{
    (void)state;
    enum { DEEP = 11 };
    const images s = draw_images();
    eoc_optimizer momentum;
    assert_int_equal(eoc_optimizer_find("momentum", &momentum), EOC_OK);
    const eoc_net_step step = {.optimizer = &momentum, .learning_rate = 0.1, .bias_rate = 1.0, .step = 1};
    for (int row = 0; row < NUM_CONVOLUTIONS; row++) {
        const eoc_network network = layered(convolutions[row].architecture, convolutions[row].activation,
                                            convolutions[row].initializer, DEEP, convolutions[row].width);
        eoc_net_limits limits = of_images;
        limits.max_depth = DEEP;
        double *first = NULL;
        for (int variant = 0; variant < 3; variant++) {
            limits.memory = variant == 1 ? 1.0 : 0.0; /* as little as can be */
            limits.threads = variant == 2 ? 3 : 1;
            eoc_net *net = net_of(&network, &limits);
            assert_true(variant == 1 ? net->segment < DEEP && net->segment > 1 : net->segment == DEEP);
            image_loss(net, &s, FEW, &step);
            const size_t bytes = sizeof(double) * net->num_parameters;
            if (variant == 0) {
                first = malloc(bytes);
                memcpy(first, net->parameters, bytes);
            }
            assert_memory_equal(first, net->parameters, bytes);
            eoc_net_f64_destroy(&net);
        }
        free(first);
    }
}

/* A batch in pieces of 2 and 1 samples makes the step of the whole batch, but for the order of sums. */
static void pieces_add_up(void **state)
{
    (void)state;
    const images s = draw_images();
    eoc_optimizer momentum;
    assert_int_equal(eoc_optimizer_find("momentum", &momentum), EOC_OK);
    const eoc_net_step step = {.optimizer = &momentum, .learning_rate = 0.1, .bias_rate = 1.0, .step = 1};
    for (int row = 0; row < NUM_CONVOLUTIONS; row++) {
        if (strstr(convolutions[row].architecture, "batch") || strstr(convolutions[row].architecture, "keep")) {
            continue; /* means over the batch; masks of each piece */
        }
        const eoc_network network = convolution_of(row);
        eoc_net *whole = net_of(&network, &of_images), *pieces = net_of(&network, &of_images);
        const double loss = image_loss(whole, &s, FEW, &step), in_pieces = image_loss(pieces, &s, 2, &step);
        CHECK_RELATIVE(loss, in_pieces, 1e-13);
        for (size_t i = 0; i < whole->num_parameters; i++) {
            CHECK_NEAR(whole->parameters[i], pieces->parameters[i], 1e-13);
        }
        eoc_net_f64_destroy(&whole);
        eoc_net_f64_destroy(&pieces);
    }
}

/* Many samples, whose rows come in some twenty blocks and all groups of them, against one sample at a time. */
static void blocks_add_up(void **state)
{
    (void)state;
    enum { MANY = 80, LONG = 64, GRADIENTS = 2 };
    const eoc_network network = layered("convolutional(dimensions=1, side=64)", "tanh", "gaussian", 2, SMALL);
    eoc_net_limits limits = {.max_depth = 2,
                             .max_width = SMALL,
                             .features = LONG,
                             .rows = 1,
                             .columns = LONG,
                             .outputs = OUTPUTS,
                             .batch = MANY,
                             .num_states = 1,
                             .whole_gradient = true};
    double *const x = malloc(sizeof(double) * MANY * LONG), *gradients[GRADIENTS] = {NULL};
    int32_t labels[MANY];
    const eoc_stream stream = {eoc_rng_key("many"), 0, 0, 0};
    eoc_rng_normals(&stream, x, MANY * LONG);
    eoc_optimizer momentum;
    assert_int_equal(eoc_optimizer_find("momentum", &momentum), EOC_OK);
    for (int i = 0; i < MANY; i++) {
        labels[i] = i % OUTPUTS;
    }
    size_t count = 0;
    for (int k = 0; k < GRADIENTS; k++) {
        const int size = k == 0 ? MANY : 1;
        limits.threads = 1 + k;
        eoc_net *net = net_of(&network, &limits);
        for (int first = 0; first < MANY; first += size) {
            const eoc_net_step step = {.optimizer = &momentum, .step = 1, .piece = first / size, .pieces = MANY / size};
            assert_true(eoc_net_f64_forward(net, x + first * LONG, size, 1, step.piece, NULL));
            eoc_net_f64_loss(net, eoc_loss_row(0), labels + first, NULL, size, 1.0 / MANY, NULL);
            assert_true(eoc_net_f64_backward(net, x + first * LONG, size, &step, NULL));
        }
        count = net->num_parameters;
        gradients[k] = malloc(sizeof(double) * count);
        memcpy(gradients[k], net->gradient, sizeof(double) * count);
        eoc_net_f64_destroy(&net);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK_NEAR(gradients[0][i], gradients[1][i], 1e-14);
    }
    free(x);
    free(gradients[0]);
    free(gradients[1]);
}

/* One position and one tap: the fully connected network of the same key. */
static void one_position_is_fully_connected(void **state)
{
    (void)state;
    const samples s = draw_samples();
    const char *const spellings[] = {"fully_connected", "convolutional(dimensions=1, side=1, kernel=1)"};
    double outputs[2][SAMPLES * OUTPUTS];
    for (int k = 0; k < 2; k++) {
        const eoc_network network = layered(spellings[k], "tanh", "gaussian", DEPTH, WIDTH);
        eoc_net_limits limits = small;
        limits.rows = 1;
        limits.columns = 1; /* one pixel of as many channels */
        eoc_net *net = net_of(&network, &limits);
        assert_true(eoc_net_f64_forward(net, s.x, SAMPLES, 0, 0, NULL));
        memcpy(outputs[k], net->output, sizeof outputs[k]);
        eoc_net_f64_destroy(&net);
    }
    for (int i = 0; i < SAMPLES * OUTPUTS; i++) {
        CHECK_NEAR(outputs[0][i], outputs[1][i], 1e-13);
    }
}

/*
 * In a network of one linear layer y = V D (W x + b), D diagonal, 1/keep with probability keep, else 0: over the masks
 * of many steps y has the mean V z, which is what the network gives when it is used, and the variance
 * (1 - keep)/keep sum_i V_ki^2 z_i^2; samples and steps are independent.
 */
static void dropout_keeps_the_mean(void **state)
{
    (void)state;
    enum { STEPS = 40000 };
    const double keep = 0.7;
    const samples s = draw_samples();
    const eoc_network network = layered("fully_connected(keep=0.7)", "linear", "gaussian", 1, WIDTH);
    eoc_net *net = net_of(&network, &small);
    enum { VALUES = SAMPLES * OUTPUTS };
    double used[VALUES], sum[VALUES] = {0.0}, squares[VALUES] = {0.0}, across = 0.0;
    assert_true(eoc_net_f64_forward(net, s.x, SAMPLES, 0, 0, NULL));
    memcpy(used, net->output, sizeof used);
    for (int t = 1; t <= STEPS; t++) {
        assert_true(eoc_net_f64_forward(net, s.x, SAMPLES, t, 0, NULL));
        for (int i = 0; i < VALUES; i++) {
            const double off = net->output[i] - used[i];
            sum[i] += off;
            squares[i] += off * off;
        }
        across += (net->output[0] - used[0]) * (net->output[OUTPUTS] - used[OUTPUTS]);
    }
    const double *const w = net->parameters + net->layers[0].offset, *const v = net->parameters + net->layers[1].offset;
    double variance[VALUES];
    for (int i = 0; i < VALUES; i++) {
        variance[i] = 0.0;
        for (int j = 0; j < WIDTH; j++) {
            double z = w[WIDTH * FEATURES + j];
            for (int f = 0; f < FEATURES; f++) {
                z += w[j * FEATURES + f] * s.x[i / OUTPUTS * FEATURES + f];
            }
            variance[i] += (1.0 - keep) / keep * pow(v[i % OUTPUTS * WIDTH + j] * z, 2.0);
        }
        CHECK_NEAR(sum[i] / STEPS, 0.0, 5.0 * sqrt(variance[i] / STEPS)); /* five standard errors */
        CHECK_NEAR(squares[i] / STEPS / variance[i], 1.0,
                   5.0 * sqrt(3.0 / STEPS)); /* kurtosis of such sums is below 4 */
    }
    CHECK_NEAR(across / STEPS, 0.0, 5.0 * sqrt(variance[0] * variance[OUTPUTS] / STEPS));
    eoc_net_f64_destroy(&net);
}

/* Batch normalization as it is used: the plain mean of what ten steps saw, then a tenth of the way each step. */
static void running_averages_are_what_is_used(void **state)
{
    (void)state;
    enum { STEPS = 14 };
    const eoc_network network =
        layered("fully_connected(normalization=batch, epsilon=0.01)", "linear", "gaussian", 1, WIDTH);
    eoc_net *net = net_of(&network, &small);
    const double *const w = net->parameters + net->layers[0].offset;
    double seen[STEPS][2][WIDTH], x[SAMPLES * FEATURES];
    for (int t = 1; t <= STEPS; t++) {
        const eoc_stream stream = {eoc_rng_key("batches"), (uint32_t)t, 0, 0};
        eoc_rng_normals(&stream, x, SAMPLES * FEATURES);
        assert_true(eoc_net_f64_forward(net, x, SAMPLES, t, 0, NULL));
        for (int j = 0; j < WIDTH; j++) {
            double z[SAMPLES], mean = 0.0, square = 0.0;
            for (int r = 0; r < SAMPLES; r++) {
                z[r] = w[WIDTH * FEATURES + j];
                for (int f = 0; f < FEATURES; f++) {
                    z[r] += w[j * FEATURES + f] * x[r * FEATURES + f];
                }
                mean += z[r] / SAMPLES;
            }
            for (int r = 0; r < SAMPLES; r++) {
                square += pow(z[r] - mean, 2.0);
            }
            seen[t - 1][0][j] = mean;
            seen[t - 1][1][j] = square / (SAMPLES - 1);
        }
    }
    /* One sample now, of which there is no variance. */
    assert_true(eoc_net_f64_forward(net, x, 1, 0, 0, NULL));
    const double *const v = net->parameters + net->layers[1].offset;
    for (int k = 0; k < OUTPUTS; k++) {
        double y = 0.0;
        for (int j = 0; j < WIDTH; j++) {
            double z = w[WIDTH * FEATURES + j], running[2];
            for (int f = 0; f < FEATURES; f++) {
                z += w[j * FEATURES + f] * x[f];
            }
            for (int m = 0; m < 2; m++) {
                running[m] = 0.0;
                for (int t = 0; t < 10; t++) {
                    running[m] += seen[t][m][j] / 10.0;
                }
                for (int t = 10; t < STEPS; t++) {
                    running[m] += (seen[t][m][j] - running[m]) / 10.0;
                }
            }
            y += v[k * WIDTH + j] * (z - running[0]) / sqrt(running[1] + 0.01);
        }
        CHECK_NEAR(net->output[k], y, 1e-12);
    }
    eoc_net_f64_destroy(&net);
}

/* A mirrored matrix is [W', -W'] of the sampler's W'; the second matrix of a block is the sampler's second tensor. */
static void draws_matrices_of_architectures(void **state)
{
    (void)state;
    enum { N = 70 };
    const eoc_net_limits limits = {
        .max_depth = 3, .max_width = N, .features = 40, .outputs = OUTPUTS, .batch = 1, .num_states = 0};
    const eoc_network networks[] = {layered("fully_connected", "crelu", "looks_linear", 3, N),
                                    layered("residual(form=full)", "tanh", "orthogonal", 3, N)};
    for (int k = 0; k < 2; k++) {
        eoc_net *net = net_of(&networks[k], &limits);
        eoc_weights *weights = NULL;
        assert_int_equal(eoc_weights_create(N, 1, &weights), EOC_OK);
        assert_int_equal(net->num_layers, k == 0 ? 4 : 6);
        const eoc_net_layer *layer = &net->layers[k == 0 ? 1 : 2]; /* layer 2: the only matrix, or the second one */
        assert_int_equal(layer->layer, 2);
        assert_int_equal(layer->fan_in, k == 0 ? 2 * N : N);
        const eoc_matrix matrix = {.initializer = networks[k].initializer,
                                   .weight_variance = networks[k].weight_variance,
                                   .key = networks[k].key,
                                   .layer = 2,
                                   .tensor = EOC_TENSOR_WEIGHT + (k == 0 ? 0 : 1),
                                   .fan_out = N,
                                   .fan_in = N};
        double column[N], unit[N];
        for (int j = 0; j < N; j++) {
            memset(unit, 0, sizeof unit);
            unit[j] = 1.0;
            eoc_sampler_find("explicit")->apply(weights, &matrix, unit, column, 1, NULL);
            for (int i = 0; i < N; i++) {
                const double *const row = net->parameters + layer->offset + (size_t)(i * layer->fan_in);
                CHECK_NEAR(row[j], column[i], 1e-14);
                if (k == 0) {
                    CHECK_NEAR(row[N + j], -column[i], 1e-14);
                }
            }
        }
        eoc_weights_destroy(&weights);
        eoc_net_f64_destroy(&net);
    }
}

/* Balduzzi et al. 2017: a looks-linear network is W'^L ... W'^1, whatever its depth: of W' orthogonal an isometry. */
static void looks_linear_starts_linear(void **state)
{
    (void)state;
    enum { L = 60 };
    const samples s = draw_samples();
    eoc_network network = layered("fully_connected", "crelu", "looks_linear", L, WIDTH);
    network.weight_variance = 1.0;
    network.bias_variance = 0.0;
    eoc_net_limits limits = small;
    limits.max_depth = L;
    eoc_net *net = net_of(&network, &limits);
    assert_true(eoc_net_f64_forward(net, s.x, SAMPLES, 0, 0, NULL));
    double first[SAMPLES * OUTPUTS], minus[SAMPLES * FEATURES], norm_1 = 0.0, norm_L = 0.0;
    memcpy(first, net->output, sizeof first);
    for (int i = 0; i < WIDTH; i++) {
        const double a = net->parts[0].width == WIDTH ? net->parts[1].out[i] - net->parts[1].out[WIDTH + i] : NAN;
        const eoc_net_part *top = &net->parts[net->num_parts - 2];
        norm_1 += a * a;
        norm_L += pow(top->out[i] - top->out[WIDTH + i], 2.0);
    }
    CHECK_NEAR(norm_L / norm_1, 1.0, 1e-12);
    for (int i = 0; i < SAMPLES * FEATURES; i++) {
        minus[i] = -s.x[i];
    }
    /* z is odd in x, so what the read-out, which is not mirrored, sees of -x are the features of x, swapped. */
    double *const v = net->parameters + net->layers[L].offset;
    for (int k = 0; k < OUTPUTS; k++) {
        for (int i = 0; i < WIDTH; i++) {
            const double other = v[k * 2 * WIDTH + i];
            v[k * 2 * WIDTH + i] = v[k * 2 * WIDTH + WIDTH + i];
            v[k * 2 * WIDTH + WIDTH + i] = other;
        }
    }
    assert_true(eoc_net_f64_forward(net, minus, SAMPLES, 0, 0, NULL));
    for (int i = 0; i < SAMPLES * OUTPUTS; i++) {
        CHECK_NEAR(net->output[i], first[i], 1e-12);
    }
    eoc_net_f64_destroy(&net);
}

/* Initial weights are those of the explicit sampler: W applied to unit vectors. */
static void draws_what_probes_draw(void **state)
{
    (void)state;
    static const char *const initializers[] = {"gaussian", "orthogonal", "he_uniform", "small_uniform"};
    enum { N = 150 };
    const eoc_net_limits limits = {
        .max_depth = 2, .max_width = N, .features = 40, .outputs = OUTPUTS, .batch = 1, .num_states = 0};
    for (int k = 0; k < 4; k++) {
        const eoc_network network = network_of("tanh", initializers[k], 2, N);
        eoc_net *net = net_of(&network, &limits);
        eoc_weights *weights = NULL;
        assert_int_equal(eoc_weights_create(N, 1, &weights), EOC_OK);
        double *const column = malloc(sizeof(double) * N), unit[N];
        for (int l = 1; l <= 2; l++) {
            const int fan_in = l == 1 ? 40 : N;
            const eoc_matrix matrix = {.initializer = network.initializer,
                                       .weight_variance = network.weight_variance,
                                       .key = network.key,
                                       .layer = (uint32_t)l,
                                       .tensor = EOC_TENSOR_WEIGHT,
                                       .fan_out = N,
                                       .fan_in = fan_in};
            for (int j = 0; j < fan_in; j++) {
                memset(unit, 0, sizeof unit);
                unit[j] = 1.0;
                eoc_sampler_find("explicit")->apply(weights, &matrix, unit, column, 1, NULL);
                for (int i = 0; i < N; i++) {
                    CHECK_NEAR(net->parameters[net->layers[l - 1].offset + (size_t)(i * fan_in + j)], column[i], 1e-14);
                }
            }
        }
        free(column);
        eoc_weights_destroy(&weights);
        eoc_net_f64_destroy(&net);
    }
}

/* Three steps of every optimizer on one parameter of known gradients, by hand from the formulas of its paper. */
static void optimizers_step_as_written(void **state)
{
    (void)state;
    const double g[3] = {0.5, -0.25, 1.0}, a = 0.1;
    double w[4] = {1.0, 1.0, 1.0, 1.0}, v = 0.0, s = 0.0, m = 0.0, u = 0.0;
    for (int t = 1; t <= 3; t++) {
        const double gradient = g[t - 1];
        w[0] -= a * gradient;
        v = 0.9 * v + gradient;
        w[1] -= a * v;
        s = 0.99 * s + 0.01 * gradient * gradient;
        w[2] -= a * gradient / (sqrt(s) + 1e-8);
        m = 0.9 * m + 0.1 * gradient;
        u = 0.999 * u + 0.001 * gradient * gradient;
        w[3] -= a * (m / (1.0 - pow(0.9, t))) / (sqrt(u / (1.0 - pow(0.999, t))) + 1e-8);
    }
    static const char *const names[] = {"sgd", "momentum", "rmsprop", "adam"};
    extern const eoc_net_loops eoc_net_loops_double_generic;
    assert_int_equal(eoc_optimizer_count(), 4);
    for (int k = 0; k < 4; k++) {
        eoc_optimizer optimizer;
        assert_int_equal(eoc_optimizer_find(names[k], &optimizer), EOC_OK);
        double parameter = 1.0, one[1] = {0.0}, two[1] = {0.0};
        double *const states[EOC_OPTIMIZER_STATES] = {one, two};
        for (int t = 1; t <= 3; t++) {
            const double twice = 2.0 * g[t - 1]; /* and a scale of one half, as clipping gives */
            eoc_net_loops_double_generic.optimizers[optimizer.row].update(optimizer.parameters, a, t, 0.5, &twice,
                                                                          &parameter, states, 1);
        }
        CHECK_NEAR(parameter, w[k], 1e-14);
    }
}

/* Clipping: the step is that of the gradient scaled to the norm. */
static void clipping_scales_the_whole_gradient(void **state)
{
    (void)state;
    const samples s = draw_samples();
    const eoc_network network = network_of("tanh", "gaussian", DEPTH, WIDTH);
    eoc_net *net = net_of(&network, &small);
    const eoc_loss_kind *loss = eoc_loss_row(0);
    loss_of(net, loss, &s, true);
    assert_true(eoc_net_f64_backward(net, s.x, SAMPLES, NULL, NULL));
    const size_t n = net->num_parameters;
    double *const before = malloc(sizeof(double) * n), *const gradient = malloc(sizeof(double) * n), norm2 = 0.0;
    memcpy(before, net->parameters, sizeof(double) * n);
    memcpy(gradient, net->gradient, sizeof(double) * n);
    for (size_t i = 0; i < n; i++) {
        norm2 += gradient[i] * gradient[i];
    }
    eoc_optimizer sgd;
    assert_int_equal(eoc_optimizer_find("sgd", &sgd), EOC_OK);
    const eoc_net_step step = {
        .optimizer = &sgd, .learning_rate = 0.1, .bias_rate = 1.0, .step = 1, .clip = 0.25 * sqrt(norm2)};
    loss_of(net, loss, &s, true);
    assert_true(eoc_net_f64_backward(net, s.x, SAMPLES, &step, NULL));
    for (size_t i = 0; i < n; i++) {
        CHECK_NEAR(net->parameters[i], before[i] - 0.1 * 0.25 * gradient[i], 1e-13);
    }
    free(before);
    free(gradient);
    eoc_net_f64_destroy(&net);
}

/*
 * Saxe, McClelland & Ganguli 2014, eq. 12-13: two weight matrices, balanced, whitened inputs, mode of strength s. With
 * loss 1/2 |Y - W2 W1 X|^2 the mode grows as tau du/dt = 2 u (s - u), u(t) = s e^(2st/tau)/(e^(2st/tau) - 1 + s/u_0).
 * Euler steps of size a follow it to O(a). The loss `mse` is 2/(samples outputs) times theirs.
 */
static void deep_linear_modes_follow_saxe(void **state)
{
    (void)state;
    enum { N = 3, STEPS = 2000 };
    const double strength[N] = {3.0, 2.0, 1.0}, u_0 = 1e-3;
    eoc_network network = network_of("linear", "gaussian", 1, N);
    network.bias_variance = 0.0;
    const eoc_net_limits limits = {
        .max_depth = 1, .max_width = N, .features = N, .outputs = N, .batch = N, .whole_gradient = true};
    eoc_net *net = net_of(&network, &limits);
    memset(net->parameters, 0, sizeof(double) * net->num_parameters);
    for (int l = 0; l < 2; l++) {
        for (int i = 0; i < N; i++) {
            net->parameters[net->layers[l].offset + (size_t)(i * N + i)] = sqrt(u_0);
        }
    }
    double x[N * N] = {0.0}; /* one sample a mode: X X^t = I */
    float targets[N * N] = {0.0F};
    for (int i = 0; i < N; i++) {
        x[i * N + i] = 1.0;
        targets[i * N + i] = (float)strength[i];
    }
    eoc_optimizer sgd;
    assert_int_equal(eoc_optimizer_find("sgd", &sgd), EOC_OK);
    const double dt = 1e-3; /* of t/tau */
    for (int t = 1; t <= STEPS; t++) {
        assert_true(eoc_net_f64_forward(net, x, N, t, 0, NULL));
        eoc_net_f64_loss(net, eoc_loss_row(1), NULL, targets, N, 0.5 * N, NULL); /* their 1/2 sum of squares */
        /* biases stay out, as in the paper */
        const eoc_net_step step = {.optimizer = &sgd, .learning_rate = dt, .bias_rate = 1.0, .step = t};
        assert_true(eoc_net_f64_backward(net, x, N, &step, NULL));
        for (int l = 0; l < 2; l++) {
            memset(net->parameters + net->layers[l].offset + N * N, 0, sizeof(double) * N);
        }
        for (int i = 0; i < N && t % 250 == 0; i++) {
            const double s = strength[i], growth = exp(2.0 * s * dt * t);
            const double exact = s * growth / (growth - 1.0 + s / u_0);
            const double u = net->parameters[net->layers[0].offset + (size_t)(i * N + i)] *
                             net->parameters[net->layers[1].offset + (size_t)(i * N + i)];
            /* Euler's method lags by a time of at most s dt (ln u/u_0 + 1) or so: relative error 2 s dt that. */
            CHECK_NEAR(u / exact, 1.0, 0.05);
        }
    }
    eoc_net_f64_destroy(&net);
}

/* Between matrices that are drawn, and before the step of a whole gradient is made, the host may give up. */
static void given_up_between_layers(void **state)
{
    (void)state;
    const eoc_network network = network_of("tanh", "gaussian", DEPTH, WIDTH);
    eoc_net_limits limits = small;
    limits.whole_gradient = true;
    eoc_net *net = net_of(&network, &limits);
    eoc_weights *weights = NULL;
    assert_int_equal(eoc_weights_create(64, 1, &weights), EOC_OK);
    int left = 2;
    const eoc_net_host host = {.context = &left, .tick = give_up};
    bool drawn = true;
    assert_int_equal(eoc_net_f64_draw(net, &network, 0.8, weights, &host, &drawn), EOC_OK);
    assert_false(drawn);
    assert_int_equal(left, 0);
    left = DEPTH + 2; /* the read-out too */
    assert_int_equal(eoc_net_f64_draw(net, &network, 0.8, weights, &host, &drawn), EOC_OK);
    assert_true(drawn);

    eoc_optimizer sgd;
    assert_int_equal(eoc_optimizer_find("sgd", &sgd), EOC_OK);
    const double x[2 * FEATURES] = {0.3, -0.7, 0.1};
    const int32_t labels[2] = {0, 1};
    const double before = net->parameters[0];
    const eoc_net_step step = {.optimizer = &sgd, .learning_rate = 0.1, .bias_rate = 1.0, .step = 1, .clip = 1e-3};
    assert_true(eoc_net_f64_forward(net, x, 2, 1, 0, NULL));
    eoc_net_f64_loss(net, eoc_loss_row(0), labels, NULL, 2, 0.5, NULL);
    left = DEPTH + 2; /* past the way back */
    assert_false(eoc_net_f64_backward(net, x, 2, &step, &host));
    assert_true(net->parameters[0] == before);
    left = 3 * (DEPTH + 1) + 1;
    assert_true(eoc_net_f64_forward(net, x, 2, 1, 0, NULL));
    eoc_net_f64_loss(net, eoc_loss_row(0), labels, NULL, 2, 0.5, NULL);
    assert_true(eoc_net_f64_backward(net, x, 2, &step, &host));
    assert_false(net->parameters[0] == before);
    eoc_weights_destroy(&weights);
    eoc_net_f64_destroy(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derivatives_are_differences),
        cmocka_unit_test(derivatives_of_every_architecture),
        cmocka_unit_test(derivatives_of_convolutions),
        cmocka_unit_test(segments_and_threads_leave_the_bits),
        cmocka_unit_test(pieces_add_up),
        cmocka_unit_test(blocks_add_up),
        cmocka_unit_test(one_position_is_fully_connected),
        cmocka_unit_test(dropout_keeps_the_mean),
        cmocka_unit_test(running_averages_are_what_is_used),
        cmocka_unit_test(draws_matrices_of_architectures),
        cmocka_unit_test(looks_linear_starts_linear),
        cmocka_unit_test(draws_what_probes_draw),
        cmocka_unit_test(optimizers_step_as_written),
        cmocka_unit_test(clipping_scales_the_whole_gradient),
        cmocka_unit_test(given_up_between_layers),
        cmocka_unit_test(deep_linear_modes_follow_saxe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
