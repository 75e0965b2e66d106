"""Samples, and the table that is made of them."""

import statistics


class Samples:
    """What was measured of one quantity, for each contender."""

    def __init__(self, name, unit, better):
        self.name, self.unit, self.better = name, unit, better  # better: "more" or "less"
        self.values = {}

    def add(self, contender, value):
        self.values.setdefault(contender, []).append(value)

    def median(self, contender):
        return statistics.median(self.values[contender])

    def spread(self, contender):
        """Half the distance between the extremes, as a part of the median."""
        values, median = self.values[contender], self.median(contender)
        return (max(values) - min(values)) / 2 / median if median else 0

    def ratio(self, ours, theirs):
        """Above 1: ours is better."""
        ratio = self.median(ours) / self.median(theirs)
        return ratio if self.better == "more" else 1 / ratio


def show(samples, contender):
    if contender not in samples.values:
        return "-"
    return f"{samples.median(contender):,.1f} ±{samples.spread(contender) * 100:.0f} %"


def render(quantities, contenders, ours, *theirs):
    """Aligned columns: a row for each quantity, a column for each contender, and by how much ours is better than each
    of `theirs`."""
    titles = [f"{ours} is better by"] if len(theirs) == 1 else [f"than {peer}" for peer in theirs]
    rows = [["", "unit", *contenders, *titles]]
    for samples in quantities:
        ratios = [f"{samples.ratio(ours, peer):.2f} x" if {ours, peer} <= samples.values.keys() else "-"
                  for peer in theirs]
        rows.append([samples.name, samples.unit, *(show(samples, contender) for contender in contenders), *ratios])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
