"""A small writer of plots: bars and lines as SVG that can be read on light and on dark pages."""
from xml.sax.saxutils import escape

FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
# Light and dark, by what a mark stands for: ours stands out, the floor is quiet.
COLOURS = {"floor": ("#8a97a6", "#75838f"), "orlop": ("#2f6fb0", "#6aa9e6"), "crun-static": ("#b3541e", "#e0915c"),
           "crun-new": ("#c98a3b", "#e8b774"), "crun": ("#d9b26f", "#b89457"), "runc": ("#6b8f3c", "#9dc266")}
SPARE = [("#7a5195", "#b58fd0"), ("#3f8f8f", "#74c4c4"), ("#a0446b", "#d884a8")]


def colour(name, names):
    """The two colours of a runtime."""
    return COLOURS.get(name) or SPARE[[n for n in names if n not in COLOURS].index(name) % len(SPARE)]


def nice(most):
    """A round number that is not smaller, and the step of its grid."""
    step = 10.0 ** (len(str(int(most))) - 1) if most >= 1 else 0.1
    for factor in (0.2, 0.5, 1, 2):
        if most / (step * factor) <= 6:
            break
    step *= factor
    return (int(most / step) + 1) * step, step


def number(value):
    """As labels show it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


class Picture:
    """Shapes, collected."""

    def __init__(self, width, height, title, description, names):
        self.width, self.height, self.title, self.description = width, height, title, description
        self.names, self.shapes = list(names), []

    def text(self, x, y, text, style="text", anchor="start"):
        """A line of text."""
        self.shapes.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>')

    def bar(self, x, y, width, height, name):
        """A bar of a runtime."""
        self.shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" '
                           f'class="{self.style(name)}"/>')

    def line(self, points, name):
        """Connected points of a runtime."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.shapes.append(f'<polyline points="{path}" class="line {self.style(name)}"/>')
        self.shapes += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" class="{self.style(name)}"/>' for x, y in points]

    def rule(self, x1, y1, x2, y2, style="grid"):
        """A line of the grid."""
        self.shapes.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>')

    def style(self, name):
        """The class of a runtime's marks."""
        return f"r{self.names.index(name)}"

    def legend(self, x, y):
        """Which colour is whose."""
        for name in self.names:
            self.bar(x, y - 10, 12, 12, name)
            self.text(x + 18, y, name)
            x += 36 + 8 * len(name)

    def write(self, path):
        """Writes the file."""
        light = [f"    .r{i} {{ fill: {colour(n, self.names)[0]}; }}" for i, n in enumerate(self.names)]
        dark = [f"      .r{i} {{ fill: {colour(n, self.names)[1]}; }}" for i, n in enumerate(self.names)]
        light += [f"    .line.r{i} {{ fill: none; stroke: {colour(n, self.names)[0]}; }}" for i, n in enumerate(self.names)]
        dark += [f"      .line.r{i} {{ fill: none; stroke: {colour(n, self.names)[1]}; }}" for i, n in enumerate(self.names)]
        head = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height:.0f}" role="img" '
            f'aria-labelledby="title desc"', f'     font-family="{FONT}" font-size="13">',
            f'  <title id="title">{escape(self.title)}</title>', f'  <desc id="desc">{escape(self.description)}</desc>',
            "  <style>", "    .page { fill: #ffffff; }", "    .text { fill: #1d2630; }", "    .soft { fill: #5a6773; font-size: 12px; }",
            "    .head { fill: #1d2630; font-size: 15px; font-weight: bold; }", "    .grid { stroke: #e2e6ea; }",
            "    .axis { stroke: #8a97a6; }", "    .line { stroke-width: 2.2; }", *light,
            "    @media (prefers-color-scheme: dark) {", "      .page { fill: #0d1117; }", "      .text, .head { fill: #e4e9ee; }",
            "      .soft { fill: #a3afba; }", "      .grid { stroke: #2a323c; }", "      .axis { stroke: #75838f; }", *dark, "    }",
            "  </style>", f'  <rect class="page" width="{self.width}" height="{self.height:.0f}" rx="6"/>']
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(head + ["  " + shape for shape in self.shapes] + ["</svg>"]) + "\n")
