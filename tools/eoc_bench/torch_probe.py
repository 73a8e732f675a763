# SPDX-License-Identifier: BSD-3-Clause
"""The probe of one random tanh network as a careful user of PyTorch writes it: float32, one thread, both inputs as one batch.

  tools/bench --row gaussian-1000                                   times it beside eoc
  python3 -m eoc_bench.torch_probe --width 1000 --depth 100         alone, with tools/ on PYTHONPATH
  python3 -m eoc_bench.torch_probe --check result.h5                compares its statistics with those in eoc's file

Every layer's weights are drawn into one array that is made once and used by every network (normal_ with the standard deviation,
or nn.init.orthogonal_). The backward pass is written by hand and reads them again. The tangent J u and the cotangent J^T (J u) are
one more row of the batch, forward and back. The gradient of the weights never exists: its mean square is a product of two Gram
matrices. The only loop is the one over layers, statistics are taken of all layers at once after it.

What was tried, N = 1000, L = 100, gaussian, all statistics, on one core of an AMD EPYC (Zen 4), Debian's PyTorch 1.13 on OpenBLAS:
  by hand, normal_ on each layer's array                5 ms a layer; 4.5 of them draw a million normals
  autograd and forward_ad instead (--variant autograd)  8 ms
  randn times the standard deviation                    2 to 4 ms more than normal_; randn(out=) no less than it
  NumPy's SFC64 generator for the weights               4 ms more
  one column a vector instead of one row                no difference
orthogonal: nn.init.orthogonal_ 50 ms a layer. Leaving Q as its reflections (geqrf, ormqr; --initializer orthogonal-reflections) 26 ms:
hardly anybody writes that, so tools/bench has it as a row of its own.
"""
import argparse
import json
import math
import resource
import sys
import time

import torch

from .setting import BIAS_VARIANCE, CORRELATION, INPUT_VARIANCE, INPUTS, JACOBIAN, WEIGHT_VARIANCE


def draw_gaussian(weights):
    weights.normal_(0.0, math.sqrt(WEIGHT_VARIANCE / weights.shape[-1]))


def draw_orthogonal(weights):
    torch.nn.init.orthogonal_(weights, gain=math.sqrt(WEIGHT_VARIANCE))


class Matrices:
    """All layers' weights, written out."""

    def __init__(self, width, depth, draw):
        self.weights = [torch.empty(width, width) for _ in range(depth)]  # for autograd each its own version
        self.draw_one = draw

    def draw(self, layer):
        self.draw_one(self.weights[layer])

    def apply(self, layer, rows, out):
        torch.mm(rows, self.weights[layer].t(), out=out)

    def apply_transposed(self, layer, rows, out):
        torch.mm(rows, self.weights[layer], out=out)


class Reflections:
    """Haar matrices as the reflections of a QR factorization: half the work of nn.init.orthogonal_, which multiplies them out."""

    def __init__(self, width, depth):
        self.width = width
        self.layers = [None] * depth
        self.gain = math.sqrt(WEIGHT_VARIANCE)

    def draw(self, layer):
        reflections, tau = torch.geqrf(torch.randn(self.width, self.width))
        # Q with the signs of R's diagonal is uniformly distributed (Mezzadri 2007).
        self.layers[layer] = reflections, tau, reflections.diagonal().sign() * self.gain

    def apply(self, layer, rows, out):
        reflections, tau, signs = self.layers[layer]
        out.copy_(torch.ormqr(reflections, tau, (rows * signs).t()).t())

    def apply_transposed(self, layer, rows, out):
        reflections, tau, signs = self.layers[layer]
        torch.mul(torch.ormqr(reflections, tau, rows.t(), transpose=True).t(), signs, out=out)


DRAWS = {
    "gaussian": lambda width, depth: Matrices(width, depth, draw_gaussian),
    "orthogonal": lambda width, depth: Matrices(width, depth, draw_orthogonal),
    "orthogonal-reflections": Reflections,
}


def draw_pair(width):
    """Two vectors in uniformly distributed directions, |x|^2/N and cosine exactly as asked."""
    basis, _ = torch.linalg.qr(torch.randn(width, 2))
    first, second = basis.t() * math.sqrt(INPUT_VARIANCE * width)
    return torch.stack((first, CORRELATION * first + math.sqrt(1.0 - CORRELATION**2) * second))


def unit_vector(width):
    vector = torch.randn(width)
    return vector / vector.norm()


def cosine(rows):
    """Of rows 0 and 1 of every layer: rows (depth, inputs, width)."""
    return torch.nn.functional.cosine_similarity(rows[:, 0], rows[:, 1], dim=-1)


def forward_statistics(z):
    """Of the pre-activations z (depth, inputs, width)."""
    directions = torch.nn.functional.normalize(z, dim=-1)
    return {"log_q": z.square().mean((1, 2)).log(), "c": cosine(z),
            "one_minus_c": 0.5 * (directions[:, 0] - directions[:, 1]).square().sum(-1)}


def gradient_statistics(dz, h):
    """Of the gradients dz (depth, inputs, width) by pre-activations, h the features below them."""
    width = dz.shape[-1]
    grams = (dz @ dz.transpose(1, 2)) * (h @ h.transpose(1, 2))
    return {"log_gradient_q": dz.square().mean((1, 2)).log(), "gradient_c": cosine(dz),
            "log_weight_gradient_q": grams.sum((1, 2)).log() - 2.0 * math.log(width)}


class Probe:
    """One network after the other in the same arrays; backward pass and tangent by hand."""

    def __init__(self, width, depth, initializer, statistics):
        self.width, self.depth = width, depth
        self.gradient = "gradient" in statistics
        self.jacobian = "jacobian" in statistics
        rows = INPUTS + self.jacobian
        self.weights = DRAWS[initializer](width, depth)
        self.biases = torch.empty(depth, width)
        self.h = torch.empty(depth + 1, rows, width)  # features; the last row is the tangent
        self.z = torch.empty(depth, rows, width)
        self.slope = torch.empty(depth, rows, width)  # phi'(z), the tangent's that of input 0
        self.dz = torch.empty(depth, rows, width)  # gradients; the last row is the cotangent
        self.dh = torch.empty(rows, width)

    def go_up(self):
        z, h, slope = self.z, self.h, self.slope
        self.biases.normal_(0.0, math.sqrt(BIAS_VARIANCE))
        h[0, :INPUTS] = draw_pair(self.width)
        if self.jacobian:
            h[0, INPUTS] = unit_vector(self.width)
        for layer in range(self.depth):
            self.weights.draw(layer)
            self.weights.apply(layer, h[layer], out=z[layer])
            z[layer, :INPUTS] += self.biases[layer]
            torch.tanh(z[layer, :INPUTS], out=h[layer + 1, :INPUTS])
            if self.jacobian:
                self.take_slope(layer)
                torch.mul(slope[layer, INPUTS], z[layer, INPUTS], out=h[layer + 1, INPUTS])
        if self.gradient and not self.jacobian:
            self.take_slope(slice(None))

    def take_slope(self, layer):
        """1 - tanh^2 of one layer, or of all."""
        above = self.h[1:][layer]
        slope = self.slope[layer]
        torch.mul(above[..., :INPUTS, :], above[..., :INPUTS, :], out=slope[..., :INPUTS, :])
        slope[..., :INPUTS, :].neg_().add_(1.0)
        if self.jacobian:
            slope[..., INPUTS, :] = slope[..., 0, :]

    def go_down(self):
        dz, dh, slope = self.dz, self.dh, self.slope
        dh[:INPUTS] = torch.randn(self.width)
        if self.jacobian:
            dh[INPUTS] = self.h[self.depth, INPUTS]
        for layer in reversed(range(self.depth)):
            torch.mul(dh, slope[layer], out=dz[layer])
            if layer > 0 or self.jacobian:
                self.weights.apply_transposed(layer, dz[layer], out=dh)

    def network(self):
        """Draws a network and returns its statistics, by the names of the result file."""
        self.go_up()
        result = forward_statistics(self.z[:, :INPUTS])
        if self.gradient or self.jacobian:
            self.go_down()
        if self.gradient:
            result |= gradient_statistics(self.dz[:, :INPUTS], self.h[:-1, :INPUTS])
        if self.jacobian:
            result["log_jacobian_m1"] = self.h[-1, INPUTS].square().sum().log()
            result["log_jacobian_m2"] = self.dh[INPUTS].square().sum().log()
        return result


class AutogradProbe:
    """The same with a graph and forward-mode differentiation instead of the passes by hand."""

    def __init__(self, width, depth, initializer, statistics):
        if set(statistics) != set(JACOBIAN) or initializer == "orthogonal-reflections":
            raise SystemExit("torch_probe: the autograd variant takes all statistics, of gaussian or orthogonal weights")
        self.width, self.depth = width, depth
        self.weights = DRAWS[initializer](width, depth)
        self.biases = torch.empty(depth, width)

    def network(self):
        self.biases.normal_(0.0, math.sqrt(BIAS_VARIANCE))
        x = draw_pair(self.width)
        tangent = torch.stack((unit_vector(self.width), torch.zeros(self.width)))
        with torch.enable_grad(), torch.autograd.forward_ad.dual_level():
            h = torch.autograd.forward_ad.make_dual(x.requires_grad_(), tangent)
            hs, zs = [h], []
            for layer in range(self.depth):
                self.weights.draw(layer)
                zs.append(torch.addmm(self.biases[layer], hs[-1], self.weights.weights[layer].t()))
                hs.append(torch.tanh(zs[-1]))
            top, pushed = torch.autograd.forward_ad.unpack_dual(hs[-1])
            read_out = torch.randn(self.width).expand(INPUTS, -1)
            dz = torch.autograd.grad(top, zs, grad_outputs=read_out, retain_graph=True)
            (pulled,) = torch.autograd.grad(top, x, grad_outputs=pushed)
        primal = torch.autograd.forward_ad.unpack_dual
        result = forward_statistics(torch.stack([primal(z).primal.detach() for z in zs]))
        result |= gradient_statistics(torch.stack(dz).detach(), torch.stack([primal(h).primal.detach() for h in hs[:-1]]))
        result["log_jacobian_m1"] = pushed[0].square().sum().log()
        result["log_jacobian_m2"] = pulled[0].square().sum().log()
        return result


VARIANTS = {"by-hand": Probe, "autograd": AutogradProbe}


def time_networks(probe, count):
    """Wall seconds of each network."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        probe.network()
        seconds.append(time.perf_counter() - start)
    return seconds


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def blas_description():
    """The BLAS that PyTorch has loaded, as it names itself."""
    import ctypes

    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split()[-1] for line in maps if "blas" in line and ".so" in line}
    for path in sorted(paths):
        try:
            config = ctypes.CDLL(path).openblas_get_config
        except (OSError, AttributeError):
            continue
        config.restype = ctypes.c_char_p
        return config().decode()
    if torch.backends.mkl.is_available():
        return "MKL"
    return ", ".join(sorted(path.rpartition("/")[2] for path in paths)) or "unknown"


def serve(probe):
    """For the harness: a line on standard input is a number of networks, the answer their seconds."""
    time_networks(probe, 1)  # first touch of the arrays
    print(json.dumps({"torch": torch.__version__, "blas": blas_description(), "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        seconds = time_networks(probe, int(line))
        print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes()}), flush=True)


def make_parser():
    parser = argparse.ArgumentParser(prog="torch_probe", description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--initializer", choices=tuple(DRAWS), default="gaussian")
    parser.add_argument("--statistics", default=",".join(JACOBIAN), help="as in the sweep file (default %(default)s)")
    parser.add_argument("--variant", choices=tuple(VARIANTS), default="by-hand")
    parser.add_argument("--networks", type=int, default=5, help="how many to time (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help="time as many networks as each line of standard input says")
    parser.add_argument("--check", metavar="FILE", help="compare with the statistics in eoc's result file instead")
    return parser


def main(arguments):
    options = make_parser().parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    torch.manual_seed(options.seed)
    if options.check:
        from .check import check_file

        return check_file(options.check, VARIANTS[options.variant], options.initializer)
    probe = VARIANTS[options.variant](options.width, options.depth, options.initializer, options.statistics.split(","))
    if options.serve:
        serve(probe)
        return 0
    time_networks(probe, 1)
    seconds = sorted(time_networks(probe, options.networks))
    median = seconds[len(seconds) // 2]
    print(f"{median:.4g} s a network, {1e3 * median / options.depth:.4g} ms a layer ({options.networks} networks, fastest "
          f"{seconds[0]:.4g} s, slowest {seconds[-1]:.4g} s); peak memory {peak_bytes() / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
