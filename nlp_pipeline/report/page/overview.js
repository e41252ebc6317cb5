// The run as a whole: figures and bars; a bar leads to the documents behind it.

const FIRST_LABELS = 14;
const FIRST_QUESTIONS = 6;

class Overview {
  constructor(overview, find) {
    this.overview = overview;
    this.find = find;
  }

  draw(box) {
    const { overview } = this;
    box.replaceChildren(
      element("div", { class: "tiles" }, ...this.tiles()),
      element(
        "div",
        { class: "charts" },
        this.questions(),
        this.bars("Labels", overview.labels, (label) => ({ "by-label": label })),
        this.bars("Entities", overview.entities, (label) => ({ "by-label": label }), overview.colors),
        this.bars("Where answers stand in the text", overview.alignment),
        this.columns("How sure the model was", "mean probability of an answer's tokens", this.confidence()),
        this.columns("Lengths", "tokens of a document", overview.lengths.map(([from, to, many]) => [from, many, `${from}–${to - 1} tokens: ${plural(many, "document")}`])),
        this.pace(),
        this.bars("Errors", overview.errors, () => ({ "by-status": "error" })),
      ),
      this.about(),
    );
  }

  tiles() {
    const { counts, supported, documents_per_second: pace, tokens_per_second: speed } = this.overview;
    const tile = (number, name, values) =>
      element(values ? "button" : "div", { class: "tile", onclick: values ? () => this.find(values) : null }, element("b", {}, number), element("span", {}, name));
    const tiles = [tile(count(counts.documents), counts.documents === 1 ? "document" : "documents", {})];
    tiles.push(tile(count(counts.failed), "with errors", counts.failed ? { "by-status": "error" } : null));
    if (counts.tokens) tiles.push(tile(count(counts.tokens), "tokens"));
    if (counts.entities) tiles.push(tile(count(counts.entities), "entities"));
    if (counts.answers) tiles.push(tile(count(counts.answers), "answers"));
    if (counts.summaries) tiles.push(tile(count(counts.summaries), "summaries"));
    if (supported.unsupported) tiles.push(tile(count(supported.unsupported), "unsupported names, numbers", { "by-status": "unsupported" }));
    if (pace) tiles.push(tile(count(pace, 2), "documents a second"));
    if (speed) tiles.push(tile(count(speed, 1), "tokens a second"));
    return tiles;
  }

  questions() {
    const { questions } = this.overview;
    if (!questions.length) return null;
    const names = { ok: "answered", no_answer: "no answer", error: "failed" };
    const asked = (question) => Object.values(question.statuses).reduce((sum, many) => sum + many, 0);
    const first = [...questions].sort((a, b) => asked(b) - asked(a)).slice(0, FIRST_QUESTIONS);
    const rows = first.map((question) => {
      const all = asked(question);
      const parts = Object.entries(names)
        .filter(([status]) => question.statuses[status])
        .map(([status, name]) =>
          element("button", {
            class: `part ${status}`,
            style: { "flex-grow": question.statuses[status] },
            title: `${name}: ${count(question.statuses[status])} of ${count(all)}`,
            "aria-label": `${question.text}: ${name} ${question.statuses[status]}`,
            onclick: () => this.find({ "by-question": question.id, "by-answer": status }),
          }),
        );
      const given = question.statuses.ok || 0;
      return element("div", { class: "question" }, element("div", { class: "name", dir: "auto" }, question.text, element("span", { class: "number" }, `${count(given)} of ${count(all)}`)), element("div", { class: "parts" }, ...parts));
    });
    const legend = Object.entries(names).map(([status, name]) => element("span", { class: "key" }, element("i", { class: status }), name));
    const more = questions.length - rows.length;
    const rest = more > 0 ? element("p", { class: "more" }, `and ${more} more`) : null;
    return element("figure", { class: "wide" }, element("figcaption", {}, "Answers per question"), ...rows, rest, element("div", { class: "legend" }, ...legend));
  }

  bars(title, pairs, values, colors = {}) {
    if (!pairs.length) return null;
    const most = Math.max(...pairs.map((pair) => pair[1]));
    const rows = pairs.slice(0, FIRST_LABELS).map(([name, many]) =>
      element(
        values ? "button" : "div",
        { class: "line", onclick: values ? () => this.find(values(name)) : null },
        element("span", { class: "name" }, name),
        element("span", { class: "track" }, element("span", { class: "level", style: { width: `${(100 * many) / most}%`, ...(colors[name] ? { "--bar": colors[name] } : {}) } })),
        element("span", { class: "number" }, count(many)),
      ),
    );
    const more = pairs.length - rows.length;
    return element("figure", {}, element("figcaption", {}, title), ...rows, more > 0 ? element("p", { class: "more" }, `and ${more} more`) : null);
  }

  confidence() {
    const bins = this.overview.confidence;
    if (!bins.some(Boolean)) return [];
    return bins.map((many, index) => {
      const from = index / bins.length;
      return [count(from, 2), many, `${count(from, 2)}–${count(from + 1 / bins.length, 2)}: ${count(many)}`];
    });
  }

  columns(title, axis, bins) {
    if (!bins.length) return null;
    const most = Math.max(...bins.map((bin) => bin[1]), 1);
    const columns = bins.map(([, many, hint]) => element("span", { class: "column", title: hint, style: { height: `${(100 * many) / most}%` } }));
    const marks = [bins[0][0], bins[Math.floor(bins.length / 2)][0], bins[bins.length - 1][0]].map((mark) => element("span", {}, String(mark)));
    return element("figure", {}, element("figcaption", {}, title), element("div", { class: "columns" }, ...columns), element("div", { class: "axis" }, ...marks), element("p", { class: "more" }, axis));
  }

  pace() {
    const points = this.overview.pace;
    if (!points.length) return null;
    const [width, height] = [320, 110];
    const [end, all] = points[points.length - 1];
    const at = ([seconds, done]) => `${(width * seconds) / end},${height - (height * done) / all}`;
    const line = drawn("polyline", { class: "curve", points: points.map(at).join(" ") });
    const picture = drawn("svg", { class: "pace", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": "Documents over time" }, line);
    const marks = [0, end / 2, end].map((seconds) => element("span", {}, duration(seconds)));
    return element("figure", {}, element("figcaption", {}, "Documents over time"), picture, element("div", { class: "axis" }, ...marks), element("p", { class: "more" }, "since the first part was written"));
  }

  about() {
    const { overview } = this;
    const facts = {
      Corpus: overview.corpus,
      Pipeline: overview.pipeline,
      Components: overview.pipes.join(", "),
      Model: overview.models.join(", "),
      Started: overview.started && overview.started.replace("T", " ").replace("+00:00", " UTC"),
      Took: overview.seconds && duration(overview.seconds),
      State: overview.state === "finished" ? null : `${overview.state}: ${count(overview.counts.documents)} documents are shown${overview.total ? ` of ${count(overview.total)}` : ""}`,
    };
    const rows = Object.entries(facts).filter(([, value]) => value);
    return element("dl", { class: "about" }, ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", { dir: "auto" }, String(value))]));
  }
}

function duration(seconds) {
  if (seconds < 90) return `${count(seconds, seconds < 10 ? 1 : 0)} s`;
  return seconds < 5400 ? `${count(seconds / 60, 1)} min` : `${count(seconds / 3600, 1)} h`;
}
