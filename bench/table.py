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
        values = self.values[contender]
        return (max(values) - min(values)) / 2 / self.median(contender)

    def ratio(self, ours, theirs):
        """Above 1: ours is better."""
        ratio = self.median(ours) / self.median(theirs)
        return ratio if self.better == "more" else 1 / ratio


def show(samples, contender):
    if contender not in samples.values:
        return "-"
    return f"{samples.median(contender):,.1f} ±{samples.spread(contender) * 100:.0f} %"


def render(quantities, contenders, ours, theirs):
    """Aligned columns: a row for each quantity, a column for each contender, and by how much ours is better."""
    rows = [["", "unit", *contenders, f"{ours} is better by"]]
    for samples in quantities:
        both = ours in samples.values and theirs in samples.values
        ratio = f"{samples.ratio(ours, theirs):.2f} x" if both else "-"
        rows.append([samples.name, samples.unit, *(show(samples, contender) for contender in contenders), ratio])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
