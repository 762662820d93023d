# SPDX-License-Identifier: Apache-2.0
"""Medians, ratios, and the table. Works on the document that --json writes."""

import statistics

PEERS = ("gocryptfs", "securefs", "encfs")


def ratio(workload, first, second):
    """How many times as fast as `second` `first` is."""
    if not first or not second:
        return None
    return second / first if workload["less_is_better"] else first / second


def summarise(document):
    """Adds medians, spreads and ratios to each workload of the document."""
    for workload in document["workloads"]:
        medians = {s: statistics.median(v) for s, v in workload["values"].items() if v}
        workload["median"] = medians
        workload["min"] = {s: min(workload["values"][s]) for s in medians}
        workload["max"] = {s: max(workload["values"][s]) for s in medians}
        coffer = medians.get("coffer")
        peers = [p for p in PEERS if p in medians]
        choose = min if workload["less_is_better"] else max
        best = choose(peers, key=medians.get) if peers else None
        workload["best_peer"] = best
        workload["vs_best_peer"] = ratio(workload, coffer, medians.get(best))
        workload["vs_passthrough_ll"] = ratio(workload, coffer, medians.get("passthrough_ll"))


def number(value):
    """Three significant digits without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def times(value):
    return "-" if value is None else f"{value:.2f}x"


def machine_lines(document):
    m = document["machine"]
    memory = f"{m['memory_gib']} GiB"
    yield f"{m['cpu']}, {m['cpus']} CPUs, {memory}, Linux {m['kernel']}, {m['system']}"
    versions = [f"{s['label']} {s['version']}" for s in document["systems"] if s["version"]]
    yield ", ".join(versions)
    yield (
        f"{document['date']}, backing store on {document['backing']}, sizes: {document['size']}, "
        f"rounds: {document['rounds']}, load before: {m['load_before']}"
    )


def size_line(document):
    """What the workloads' names leave open."""
    s = document["sizes"]
    mib = {k: v >> 20 for k, v in s.items()}
    return (
        f"{mib['big']} MiB with 1 MiB blocks, {mib['small_blocks']} MiB with 4 KiB blocks; "
        f"{s['random_reads']} random reads and {s['random_writes']} writes in {mib['big']} MiB; "
        f"{s['appends']} appends; 4 x {mib['writer']} MiB; {s['files']} files of {mib['tree']} MiB "
        f"in all; mapped {mib['mapped']} MiB; sparse {mib['sparse'] >> 10} GiB; "
        f"many: {s['many']} files"
    )


def table(document):
    """Two lines for each workload: the medians, and below them the smallest and largest values."""
    systems = document["systems"]
    width = max(len(w["title"]) for w in document["workloads"]) + 7

    def row(first, cells, passthrough="", peer=""):
        middle = "".join(f"{c:>15}" for c in cells)
        return f"{first:<{width}}{middle}{passthrough:>13}  {peer}".rstrip()

    labels = [s["label"] for s in systems]
    lines = [row("median, min-max", labels, "vs passthr.", "vs best peer")]
    for w in document["workloads"]:
        medians, spreads = [], []
        for s in systems:
            name = s["name"]
            known = name in w["median"]
            medians.append(number(w["median"][name]) if known else "-")
            spreads.append(f"{number(w['min'][name])}-{number(w['max'][name])}" if known else "")
        against = f"{times(w['vs_best_peer'])} {w['best_peer'] or ''}".rstrip()
        title = f"{w['title']}, {w['unit']}"
        lines.append(row(title, medians, times(w["vs_passthrough_ll"]), against))
        if document["rounds"] > 1:
            lines.append(row("", spreads))
    return lines


def text(document):
    lines = [*machine_lines(document), size_line(document), "", *table(document), ""]
    lines.append("vs: how many times as fast coffer is, from the medians; more than 1 is faster.")
    if document["failures"]:
        lines.append("Not measured:")
    for failure in document["failures"]:
        where = f" {failure['workload']}" if failure["workload"] else ""
        lines.append(f"  {failure['system']}{where}: {failure['reason']}")
    return "\n".join(lines)
