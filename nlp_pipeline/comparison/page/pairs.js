// What two runs say about one text: a card for each pair, which lights both places.

class Pairs {
  constructor(doc, text) {
    this.text = text;
    this.pins = new Pins(() => this.dark());
    this.nodes = doc.values.map((pair) => this.card(pair));
  }

  card(pair) {
    const node = element(
      "div",
      { class: "card pair", role: "button", tabindex: 0, "aria-pressed": "false" },
      element("div", { class: "asked", dir: "auto" }, pair.question || pair.component),
      this.side("a", pair.a),
      this.side("b", pair.b),
      element("div", { class: "figures" }, chip(pair.outcome), ...["a", "b"].filter((side) => pair[side].alignment === "none").map((side) => chip(`${side.toUpperCase()} is not in the text`, "warn"))),
    );
    return this.pins.add(node, () => this.light(pair));
  }

  side(name, value) {
    const kind = { ok: "", no_answer: "none", error: "bad" }[value.status];
    const said = value.text === null ? (value.status === "error" ? "failed" : "no answer") : value.text;
    return element("div", { class: "side" }, element("i", { class: `side-${name}` }, name.toUpperCase()), element("span", { class: `said ${kind}`, dir: "auto" }, said));
  }

  light(pair) {
    this.dark();
    let first = null;
    for (const side of ["a", "b"]) {
      const { start_char: start, end_char: end } = pair[side];
      if (start === null) continue;
      const [from, to] = [this.text.unit(start), this.text.unit(end)];
      for (const segment of this.text.segments) {
        if (segment.from < from || segment.to > to) continue;
        segment.node.classList.add(`in-${side}`);
        first = first || segment.node;
      }
    }
    return first;
  }

  dark() {
    for (const node of this.text.node.querySelectorAll(".in-a, .in-b")) node.classList.remove("in-a", "in-b");
  }
}
