# SPDX-License-Identifier: BSD-3-Clause
"""The command line behind tools/bench."""
import argparse
import sys

from .rows import ROWS

EXAMPLES = """examples:
  tools/bench                              every row, 22 minutes
  tools/bench --quick                      the same with few rounds, four
  tools/bench --row explicit-1000          one row; may be repeated
  tools/bench --json bench.json            every single measurement too
"""


class Parser(argparse.ArgumentParser):
    """Errors in one sentence."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help tells more)\n")


def row_name(text):
    names = [row.name for row in ROWS]
    if text not in names:
        raise argparse.ArgumentTypeError(f"no row {text}; there is {', '.join(names)}")
    return text


def make_parser():
    parser = Parser(prog="tools/bench", description="eoc and PyTorch side by side on the same work, one core each.", epilog=EXAMPLES,
                    allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds: some minutes")
    parser.add_argument("--row", metavar="NAME", dest="rows", action="append", type=row_name, help="only this row; may be repeated")
    parser.add_argument("--list", action="store_true", help="the rows' names, and nothing else")
    parser.add_argument("--json", metavar="FILE", help="write every measurement there")
    # Between the shell script and this: what the rows asked for need, and the program.
    parser.add_argument("--needs", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--program", help=argparse.SUPPRESS)
    return parser


def needs_torch(rows):
    return any(getattr(row.beside, "program", "") == "torch" for row in rows)


def run(rows, options):
    from . import machine, measure, report

    bench = measure.Bench(options.program)
    about = machine.describe(options.program)
    checks = measure.check_rows(bench, rows)
    results = measure.measure_rows(bench, rows, checks, options.quick)
    print(report.markdown(about, bench.versions, results, options.quick))
    if options.json:
        report.write_json(options.json, about, bench.versions, checks, results, options.quick)
    failed = [result for result in results if result.failure]
    for result in failed:
        print(f"bench: {result.row.name} was not measured: {result.failure}", file=sys.stderr)
    return 1 if failed else 0


def main(arguments):
    options = make_parser().parse_args(arguments)
    rows = [row for row in ROWS if not options.rows or row.name in options.rows]
    if options.list:
        width = max(len(row.name) for row in ROWS)
        for row in ROWS:
            print(f"{row.name:{width}}  {row.what}" + (f"; to reach: {row.reach}" if row.reach else ""))
        return 0
    if options.needs:
        print("torch" if needs_torch(rows) else "")
        return 0
    return run(rows, options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
