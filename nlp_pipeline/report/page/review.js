// The review: one row after the other, what is most worth a look first, and what a person says of it.

const VERDICT_NAMES = { accept: "accepted", reject: "rejected", correct: "corrected" };

class ReviewView {
  constructor(data) {
    this.data = data;
    this.verdicts = new Verdicts(data.overview.review_name, (message) => {
      byId("notice").hidden = false;
      byId("notice").textContent = message;
    });
    this.sorted = new Map();
    this.kinds = Object.keys(REVIEW_KINDS).filter((name) => data.lines.some((line) => line[7] && REVIEW_KINDS[name].items(line).length));
    this.choose(this.kinds[0] || "answers");
    this.box = byId("view-review");
  }

  // Goes over to the rows of a kind.
  choose(name) {
    this.target = name;
    this.kind = REVIEW_KINDS[name];
    this.items = this.itemsOf(name);
    this.number = -1;
  }

  // Every row of a kind as the document's place, its number there, its key; a failed one comes last.
  itemsOf(name) {
    if (!this.sorted.has(name)) {
      const items = this.data.lines.flatMap((line, place) => (line[7] ? REVIEW_KINDS[name].items(line).map((item, index) => ({ ...item, place, index })) : []));
      items.sort((one, other) => one.rank[0] - other.rank[0] || one.rank[1] - other.rank[1] || one.place - other.place || one.index - other.index);
      this.sorted.set(name, items);
    }
    return this.sorted.get(name);
  }

  async open() {
    if (this.number < 0) await this.nextOpen();
    else await this.draw();
  }

  async next(step) {
    this.number = Math.max(0, Math.min(this.items.length - 1, this.number + step));
    return this.draw();
  }

  // The next row that is still open, from the first again after the last; else stays.
  async nextOpen() {
    const many = this.items.length;
    const numbers = this.items.map((_, step) => (this.number + 1 + step) % many);
    const open = numbers.find((number) => !this.verdicts.isDone(this.items[number].key));
    this.number = open ?? Math.max(0, this.number);
    return this.draw();
  }

  async draw() {
    const item = this.items[this.number];
    const doc = item && (await this.data.document(item.place));
    if (item !== this.items[this.number]) return; // another was chosen meanwhile
    this.doc = doc;
    this.item = item;
    this.row = doc && this.kind.row(doc, item);
    this.failed = Boolean(doc) && this.row.status === "error";
    this.text = null;
    this.box.replaceChildren(this.head(), doc ? this.body() : element("p", { class: "hint" }, "This run has nothing to review."));
    if (doc) this.light();
  }

  head() {
    const done = this.items.filter((item) => this.verdicts.isDone(item.key)).length;
    const name = element("input", { id: "reviewer", placeholder: "Your name", "aria-label": "Your name", value: this.verdicts.reviewer });
    name.addEventListener("change", () => this.verdicts.sign(name.value.trim()));
    return element(
      "div",
      { class: "review-head" },
      this.kinds.length > 1 ? this.chooser() : null,
      element("p", { id: "progress", "aria-live": "polite" }, `${count(done)} of ${count(this.items.length)} reviewed`),
      element("button", { class: "quiet", onclick: () => this.next(-1) }, "← Previous"),
      element("button", { class: "quiet", onclick: () => this.next(1) }, "Next →"),
      name,
      "showSaveFilePicker" in window ? element("button", { id: "keep", onclick: () => this.verdicts.chooseFile() }, "Save into a file …") : null,
      element("button", { id: "download", disabled: this.verdicts.many === 0, onclick: () => this.verdicts.download() }, "Download review.jsonl"),
    );
  }

  chooser() {
    const options = this.kinds.map((name) => element("option", { value: name, selected: name === this.target }, REVIEW_KINDS[name].name));
    const chooser = element("select", { id: "kind", "aria-label": "What to review" }, ...options);
    chooser.addEventListener("change", () => {
      this.choose(chooser.value);
      this.nextOpen();
    });
    return chooser;
  }

  body() {
    const { doc, row } = this;
    const verdict = this.verdicts.get(this.item.key);
    const right = verdict?.verdict === "correct" && verdict.start_char !== null ? verdict : null;
    // A piece that was marked is cut out too, so that it can be lit.
    const shown = { ...doc, answers: right ? [...doc.answers, right] : doc.answers };
    this.text = new Text(shown, this.data.overview.colors, () => {});
    this.selected = this.kind.span ? new Selected(this.text, doc.text || "") : null;
    const start = right || row;
    if (start.start_char !== null) this.selected?.begin(this.text.unit(start.start_char));
    return element(
      "div",
      { class: "columns-two" },
      element("div", { class: "reading-side" }, element("h2", { dir: "auto" }, doc.document_id), doc.text === null ? null : this.text.node),
      element("div", { class: "cards" }, this.card(verdict)),
    );
  }

  card(verdict) {
    const { row, kind, failed } = this;
    const shown = kind.shown(row);
    const score = row.confidence ?? row.score ?? null;
    const note = element("textarea", { id: "note", rows: 2, placeholder: "Note", "aria-label": "Note" }, verdict?.note || "");
    note.addEventListener("change", () => this.verdicts.remark(this.item.key, note.value.trim()));
    return element(
      "div",
      { class: "card judged" },
      element("div", { class: "asked", dir: "auto" }, kind.title(row)),
      element("div", { class: `said ${failed ? "bad" : shown === null ? "none" : ""}`, dir: "auto" }, shown === null ? "none" : shown),
      element("div", { class: "figures" }, score === null ? null : chip(`confidence ${count(score, 2)}`), this.item.why ? chip(WHY[this.item.why], "warn") : null),
      row.other && row.other !== true ? element("div", { id: "other", dir: "auto" }, `${this.data.overview.against}: `, row.other.text === null ? "none" : element("b", {}, row.other.text)) : null,
      element("div", { id: "verdict", "aria-live": "polite" }, verdict?.verdict ? this.outcome(verdict) : "not reviewed yet"),
      element("div", { class: "choices-of-verdict" }, ...this.buttons(verdict)),
      note,
      this.hint(),
    );
  }

  buttons(verdict) {
    const { kind, failed } = this;
    const button = (id, key, label, act, disabled = false) => element("button", { id, disabled, onclick: act }, label, key ? [" ", element("kbd", {}, key)] : null);
    const labels = kind.labels(this.row, this.data.overview);
    return [
      button("accept", "a", "Accept", () => this.judge("accept"), failed),
      button("reject", "r", "Reject", () => this.judge("reject"), failed),
      kind.span ? button("mark", "m", "Selection is right", () => this.mark()) : null,
      kind.none ? button("nothing", "0", kind.none, () => this.judge("correct")) : null,
      this.fromOther() ? button("other-is-right", "b", "The other run is right", () => this.takeOther()) : null,
      ...labels.map((label, number) => button(null, number < 9 ? String(number + 1) : null, label, () => this.relabel(number))),
      button("undo", "u", "Undo", () => this.undo(), !verdict?.verdict),
    ];
  }

  hint() {
    const keys = (...names) => names.map((name) => [element("kbd", {}, name), " "]).flat();
    const select = this.kind.span ? ["Select the right piece with the mouse; or with ", ...keys("←", "→"), "word by word, with Shift more of them. "] : [];
    return element("p", { class: "hint" }, ...select, ...keys("j", "k"), "next, previous.");
  }

  outcome(verdict) {
    const name = VERDICT_NAMES[verdict.verdict];
    if (verdict.verdict !== "correct") return name;
    const right = verdict.text ?? (this.target === "entities" ? verdict.label : null);
    return [`${name}: `, right === null ? "the text holds none" : element("b", { dir: "auto" }, right)];
  }

  light() {
    const verdict = this.verdicts.get(this.item.key);
    const place = verdict?.verdict === "correct" && verdict.start_char !== null ? verdict : this.row;
    const is_none = verdict?.verdict === "correct" && this.kind.none && verdict.start_char === null;
    const first = this.text.light(is_none || place.start_char === null ? null : place, []);
    first?.scrollIntoView({ block: "center" });
  }

  // A verdict, and the next row that has none.
  judge(verdict, right) {
    if (!this.row || (this.failed && verdict !== "correct")) return;
    if (verdict === "correct" && !right && !this.kind.none) return;
    const { kind, row, target } = this;
    this.verdicts.set(this.item.key, this.doc, { target, names: kind.names(row), answer: kind.value(row), verdict, right });
    getSelection().removeAllRanges();
    this.nextOpen();
  }

  mark() {
    const piece = this.selected?.piece();
    if (piece) this.judge("correct", piece);
  }

  relabel(number) {
    const label = this.row && this.kind.labels(this.row, this.data.overview)[number];
    if (label !== undefined) this.judge("correct", this.kind.relabel(label));
  }

  // What is right if the other run is; null where it says nothing that could be.
  fromOther() {
    const other = this.row.other;
    if (!other || other === true || other.status === "error") return null;
    if (other.labels) return other.labels.length === 1 ? { text: other.labels[0] } : null;
    return { text: other.text, start_char: other.start_char, end_char: other.end_char };
  }

  takeOther() {
    const right = this.row && this.fromOther();
    if (right) this.judge("correct", right);
  }

  undo() {
    this.verdicts.remove(this.item.key);
    this.draw();
  }

  // Whether a key was one of the review's.
  key(event) {
    const acts = {
      a: () => this.judge("accept"),
      r: () => this.judge("reject"),
      m: () => this.mark(),
      0: () => this.judge("correct"),
      b: () => this.takeOther(),
      u: () => this.item && this.undo(),
      j: () => this.next(1),
      k: () => this.next(-1),
      ArrowRight: () => this.selected?.move(1, event.shiftKey),
      ArrowLeft: () => this.selected?.move(-1, event.shiftKey),
    };
    const act = /^[1-9]$/.test(event.key) ? () => this.relabel(Number(event.key) - 1) : acts[event.key];
    if (!act) return false;
    event.preventDefault();
    act();
    return true;
  }
}
