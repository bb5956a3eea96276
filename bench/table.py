"""Figures of all rounds, and the table made of them."""

import statistics

# The order of the table, by the beginnings of the figures' names.
ORDER = ["CPU us per JSON", "JSON", "added", "CPU us per chunk", "chunk", "RSS", "PSS", "start"]


class Figures:
    """figure -> proxy -> one value a round, in the order they were first added."""

    def __init__(self, base):
        self.base = base  # the proxy that ratios are to
        self.rounds = {}

    def add(self, figure, proxy, value):
        self.rounds.setdefault(figure, {}).setdefault(proxy, []).append(value)

    def table(self, proxies):
        """Medians with the least and the greatest round, and ratios to the base."""
        width = max(map(len, self.rounds)) + 2
        lines = ["".ljust(width) + "".join(name.ljust(30) for name in proxies)]
        for figure, by_proxy in sorted(self.rounds.items(), key=lambda item: place(item[0])):
            base = None if len(by_proxy) == 1 else by_proxy.get(self.base)
            cells = (cell(by_proxy.get(name), base, name == self.base) for name in proxies)
            lines.append((figure.ljust(width) + "".join(c.ljust(30) for c in cells)).rstrip())
        return "\n".join(lines)


def place(figure):
    return next(number for number, start in enumerate(ORDER) if figure.startswith(start))


def cell(values, base, is_base):
    if not values:
        return "-"
    text = f"{number(statistics.median(values)):>7}"
    if base and not is_base and statistics.median(base) > 0:
        text += f" {ratio(values, base):5.2f}x"
    else:
        text += " " * 7
    if len(values) > 1:
        text += f" ({number(min(values))}..{number(max(values))})"
    return text


def ratio(values, base):
    """Rounds stand side by side in time: the median of the rounds' own ratios
    bears a machine that is slow for a while better than a ratio of medians."""
    pairs = [value / other for value, other in zip(values, base) if other > 0]
    return statistics.median(pairs) if pairs else float("nan")


def number(value):
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
