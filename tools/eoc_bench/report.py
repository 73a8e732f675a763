# SPDX-License-Identifier: BSD-3-Clause
"""The table as Markdown, everything as JSON."""
import json
import math

from .measure import Spread

PREFIXES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def three_digits(value):
    if value == 0 or not math.isfinite(value):
        return f"{value}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def seconds_text(spread):
    """'4.64 ms (4.25 to 5.88)', all three in the median's unit."""
    scale, name = next(((s, n) for s, n in PREFIXES if spread.median >= s), PREFIXES[-1])
    return f"{three_digits(spread.median / scale)} {name} ({three_digits(spread.low / scale)} to {three_digits(spread.high / scale)})"


def bytes_text(count):
    return f"{three_digits(count / 2**30)} GiB" if count >= 2**30 else f"{three_digits(count / 2**20)} MiB"


def side_text(measured, index):
    """What was measured of one side: seconds per unit, a whole network or command where that differs, memory."""
    row, samples = measured.row, measured.samples[index]
    parts = [f"{seconds_text(Spread.of(measured.values(index)))} {row.unit.text}"]
    seconds = Spread.of([sample.seconds for sample in samples])
    if row.unit.count(measured.sides[index]) != 1:
        parts.append(f"network {seconds_text(seconds).partition(' (')[0]}")
    walls = [sample.wall for sample in samples if sample.wall is not None]
    if walls and walls != [sample.seconds for sample in samples]:
        networks = samples[0].networks
        command = "command" if networks is None else f"command with {networks} network{'s' * (networks > 1)}"
        parts.append(f"{command} {seconds_text(Spread.of(walls)).partition(' (')[0]}")
    if getattr(measured.sides[index], "across", 0) and getattr(measured.sides[index], "note", ""):
        parts.append(f"{measured.sides[index].note} layout")
    peaks = [sample.peak_bytes for sample in samples if sample.peak_bytes is not None]
    if peaks:
        parts.append(f"peak {bytes_text(max(peaks))}")
    return "; ".join(parts)


def ratio_text(measured):
    ratios = measured.ratios()
    if not ratios:
        return ""
    spread = Spread.of(ratios)
    return f"**{three_digits(spread.median)}** ({three_digits(spread.low)} to {three_digits(spread.high)})"


def table_line(measured):
    row = measured.row
    if measured.failure:
        words = " ".join(measured.failure.split()).replace("|", "\\|")
        return f"| {row.what} | not measured: {words} | | | | {row.reach} |"
    beside = side_text(measured, 1) if len(measured.sides) > 1 else ""
    return (f"| {row.what} | {side_text(measured, 0)} | {beside} | {ratio_text(measured)} | {len(measured.samples[0])} | "
            f"{row.reach} |")


def machine_lines(machine, versions):
    lines = [f"{machine['date']}: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['system']}; "
             f"load before the start {machine['load']:.2f}."]
    program, _, *libraries = machine["eoc"]
    lines.append(f"{program} ({machine['build_type']} build): {'; '.join(libraries)}. float64, explicit weights have float32 resolution; training float32.")
    if versions:
        lines.append(f"PyTorch {versions['torch']}, {versions['threads']} thread: {versions['blas']}. float32.")
    return lines


def markdown(machine, versions, results, quick):
    lines = [*machine_lines(machine, versions), ""]
    lines.append("One core each, both sides in turn; medians over the rounds, in brackets least to greatest. eoc's time is that of a network "
                 "(median of a round's networks) or of a step, without the program's start." + (" Quick form: few rounds." if quick else ""))
    lines += ["", "| what | eoc | beside it | ratio | rounds | to reach |", "|---|---|---|---|---|---|"]
    lines += [table_line(measured) for measured in results]
    return "\n".join(lines)


def spread_json(values):
    spread = Spread.of(values)
    return {"median": spread.median, "min": spread.low, "max": spread.high}


def row_json(measured):
    row = measured.row
    data = {"name": row.name, "what": row.what, "reach": row.reach, "unit": row.unit.text}
    if measured.failure:
        return {**data, "failure": measured.failure}
    data["sides"] = [
        {"description": side.describe(), "seconds_per_unit": spread_json(measured.values(index)),
         "samples": [vars(sample) for sample in measured.samples[index]]}
        for index, side in enumerate(measured.sides)]
    ratios = measured.ratios()
    if ratios:
        data["ratio"] = {**spread_json(ratios), "rounds": ratios}
    return data


def write_json(path, machine, versions, checks, results, quick):
    data = {"quick": quick, "machine": machine, "torch": versions,
            "checks": [vars(check) for check in checks.values()],
            "rows": [row_json(measured) for measured in results]}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.write("\n")
