# SPDX-License-Identifier: Apache-2.0
"""contrib/bench calls this; `contrib/bench --help` is its documentation."""

import argparse
import datetime
import json
import os
import pathlib
import signal
import sys

import chart
import machine
import report
import systems
import workloads
from machine import Failure


class Bench:
    """One run: which systems and workloads, what was measured, and what could not be."""

    def __init__(self, options):
        self.options = options
        self.sizes = workloads.SIZES[options.size]
        self.systems = options.systems
        self.workloads = options.workloads
        self.values = {w.name: {s.name: [] for s in self.systems} for w in self.workloads}
        self.failures = []

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def fail(self, system, workload, reason):
        """The first failure counts; a system is not asked for the same again."""
        self.failures.append({"system": system.label, "workload": workload, "reason": str(reason)})
        self.say(f"{system.label}{f' {workload}' if workload else ''}: {reason}")

    def failed(self, system, workload):
        return any(
            f["system"] == system.label and f["workload"] in (None, workload) for f in self.failures
        )

    def prepare(self, workspace):
        machine.install("fio", "fuse3", "util-linux", "coreutils", "findutils", "tar")
        machine.install(*sorted({w.package for w in self.workloads if w.package} or {"fio"}))
        for system in self.systems:
            self.say(f"preparing {system.label}")
            try:
                system.install(workspace)
            except (Failure, OSError) as e:
                system.version = ""
                self.fail(system, None, e)

    def run_group(self, workspace, sources, system, group, chosen, title):
        """One fresh mount; the workloads after one that failed need not fail too."""
        chosen = [w for w in chosen if not self.failed(system, w.name)]
        if not chosen:
            return
        current = chosen[0]
        try:
            with systems.Place(system, workspace) as place:
                work = group(place, self.sizes, sources)
                for current in chosen:
                    value = current.measure(work)
                    self.values[current.name][system.name].append(value)
                    self.say(
                        f"{title} {system.label}: {current.name} "
                        f"{report.number(value)} {current.unit}"
                    )
        except (Failure, OSError) as e:
            self.fail(system, current.name, e)
            rest = chosen[chosen.index(current) + 1 :]
            self.run_group(workspace, sources, system, group, rest, title)

    def run(self):
        extras = any(w.extra for w in self.workloads)
        workspace = machine.Workspace(
            self.options.disk, workloads.room_needed(self.sizes, extras)
        )
        try:
            self.prepare(workspace)
            about = machine.describe()
            sources = workloads.Sources(workspace.sources, self.sizes)
            for round_number in range(self.options.rounds):
                title = f"round {round_number + 1}/{self.options.rounds}"
                for group, chosen in workloads.grouped(self.workloads).items():
                    for system in self.systems:
                        self.run_group(workspace, sources, system, group, chosen, title)
            return self.document(about, workspace.backing_kind)
        finally:
            workspace.close()

    def document(self, about, backing):
        return {
            "format": 1,
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "machine": about,
            "backing": backing,
            "size": self.options.size,
            "rounds": self.options.rounds,
            "sizes": vars(self.sizes),
            "systems": [
                {"name": s.name, "label": s.label, "version": s.version} for s in self.systems
            ],
            "workloads": [
                {
                    "name": w.name,
                    "title": w.title,
                    "unit": w.unit,
                    "less_is_better": w.less_is_better,
                    "values": self.values[w.name],
                }
                for w in self.workloads
            ],
            "failures": self.failures,
        }


def choose(parser, text, known, what):
    """The members of `known` that a list of names selects, in their own order."""
    names = text.split(",")
    unknown = [n for n in names if n not in {k.name for k in known}]
    if unknown:
        parser.error(f"unknown {what}: {', '.join(unknown)}; see --help")
    return [k for k in known if k.name in names]


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench", add_help=False, allow_abbrev=False)
    parser.add_argument("--disk", metavar="DIR")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", dest="size", action="store_const", const="quick", default="full")
    parser.add_argument("--smoke", dest="size", action="store_const", const="smoke")
    parser.add_argument("--only", metavar="A,B")
    parser.add_argument("--workloads", metavar="A,B")
    parser.add_argument("--extras", action="store_true")
    parser.add_argument("--coffer", metavar="PROGRAM")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    parser.add_argument("--from", dest="earlier", metavar="FILE")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.disk and not os.path.isdir(options.disk):
        parser.error(f"{options.disk} is no directory")
    if options.coffer:
        options.coffer = os.path.abspath(options.coffer)
        if not os.access(options.coffer, os.X_OK):
            parser.error(f"{options.coffer} cannot be run")
    known = systems.all_systems(options.coffer)
    options.systems = choose(parser, options.only, known, "system") if options.only else known
    if options.workloads:
        options.workloads = choose(parser, options.workloads, workloads.WORKLOADS, "workload")
    else:
        options.workloads = [w for w in workloads.WORKLOADS if options.extras or not w.extra]
    return options


def measure(options):
    if os.geteuid() != 0:
        raise Failure("must be run by root: it installs packages, mounts and drops caches")
    if not os.path.exists("/dev/fuse"):
        raise Failure("no /dev/fuse; modprobe fuse")

    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupted(*_):
        for number in ends:  # nothing interrupts the cleaning up
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in ends:
        signal.signal(number, interrupted)
    machine.raise_limits()
    return Bench(options).run()


def main():
    options = parse(sys.argv[1:])
    try:
        if options.earlier:
            document = json.loads(pathlib.Path(options.earlier).read_text())
        else:
            document = measure(options)
        report.summarise(document)
        print(report.text(document))
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
        if options.svg:
            pathlib.Path(options.svg).write_text(chart.svg(document))
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    except (Failure, OSError, ValueError, KeyError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2
    return 1 if document["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
