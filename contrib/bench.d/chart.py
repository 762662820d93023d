# SPDX-License-Identifier: Apache-2.0
"""The chart: each workload's speed relative to passthrough_ll, as bars, in SVG."""

import html

from report import machine_lines, number, ratio

COLOURS = {
    "coffer": "#0b6e4f",
    "gocryptfs": "#9aa7b5",
    "securefs": "#bcc6d0",
    "encfs": "#d9dfe5",
}
TITLE = "Speed relative to passthrough_ll, which does not encrypt"
LEFT, RIGHT, SCALE_WIDTH = 250, 120, 520
BAR, GAP, TOP = 11, 12, 92
MOST = 4.0  # bars longer than that are cut, and marked


def _text(x, y, content, anchor="start", size=12, weight="normal", fill="#222"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{fill}" stroke="#fff" stroke-width="2" '
        f'paint-order="stroke">{html.escape(content)}</text>'
    )


def _rect(x, y, width, height, fill):
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height}" '
        f'fill="{fill}"/>'
    )


def _bars(workload, names):
    """(system, value, how many times as fast as passthrough_ll) of those that were measured."""
    base = workload["median"].get("passthrough_ll")
    for name in names:
        value = workload["median"].get(name)
        speed = ratio(workload, value, base)
        if speed is not None:
            yield name, value, speed


def _legend(systems):
    x, parts = LEFT, []
    for s in systems:
        parts.append(_rect(x, 50, 12, 12, COLOURS[s["name"]]))
        parts.append(_text(x + 17, 60, s["label"]))
        x += 40 + 8 * len(s["label"])
    parts.append(_text(x, 60, "| passthrough_ll = 1", fill="#b3261e"))
    return parts


def svg(document):
    systems = [s for s in document["systems"] if s["name"] in COLOURS]
    names = [s["name"] for s in systems]
    rows = [(w, list(_bars(w, names))) for w in document["workloads"]]
    rows = [(w, bars) for w, bars in rows if bars]
    longest = max((speed for _, bars in rows for _, _, speed in bars), default=1.0)
    scale = SCALE_WIDTH / min(MOST, max(longest, 1.2))
    y, body, labels = TOP, [], []
    for workload, bars in rows:
        height = BAR * len(bars)
        labels.append(_text(LEFT - 10, y + height / 2 + 4, workload["title"], "end"))
        for name, value, speed in bars:
            shown = min(speed, MOST)
            body.append(_rect(LEFT, y, shown * scale, BAR - 1, COLOURS[name]))
            label = f"{number(value)} {workload['unit']}"
            if speed > MOST:
                label = f"\u00bb {speed:.1f}x, {label}"
            weight = "bold" if name == "coffer" else "normal"
            labels.append(
                _text(LEFT + shown * scale + 5, y + BAR - 2, label, size=10, weight=weight)
            )
            y += BAR
        y += GAP
    line = LEFT + scale
    body.append(
        f'<line x1="{line:.1f}" y1="{TOP - 8}" x2="{line:.1f}" y2="{y - GAP + 4}" '
        'stroke="#b3261e" stroke-width="1.5"/>'
    )
    caption = [_text(16, y + 14 + 15 * i, part, size=10, fill="#555")
               for i, part in enumerate(machine_lines(document))]  # fmt: skip
    width, height = LEFT + SCALE_WIDTH + RIGHT, y + 60
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif">',
        _rect(0, 0, width, height, "#fff"),
        _text(16, 26, TITLE, size=16, weight="bold"),
        _text(16, 44, "longer is faster; medians beside the bars", fill="#555"),
        *_legend(systems), *body, *labels, *caption, "</svg>", "",
    ])  # fmt: skip
