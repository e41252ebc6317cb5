// The review: one answer after the other, least sure first, and what a person says of each.

const VERDICT_NAMES = { accept: "accepted", reject: "rejected", correct: "corrected" };

class ReviewView {
  constructor(data) {
    this.data = data;
    this.verdicts = new Verdicts(data.overview.review_name, (message) => {
      byId("notice").hidden = false;
      byId("notice").textContent = message;
    });
    this.items = this.sorted();
    this.number = -1;
    this.box = byId("view-review");
  }

  // Every answer as [document's place, its number there, key]; a failed one comes last.
  sorted() {
    const items = this.data.lines.flatMap(([id, , , , answers], place) =>
      answers.map(([question_id, status, sure, component], index) => ({
        place,
        index,
        key: Verdicts.key(id, { component, question_id }),
        rank: status === "error" ? 2 : sure ?? 1,
      })),
    );
    return items.sort((one, other) => one.rank - other.rank || one.place - other.place || one.index - other.index);
  }

  async open() {
    if (this.number < 0) await this.nextOpen();
    else await this.draw();
  }

  async next(step) {
    this.number = Math.max(0, Math.min(this.items.length - 1, this.number + step));
    return this.draw();
  }

  // The next answer that is still open, from the first again after the last; else stays.
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
    this.answer = doc && doc.answers[item.index];
    this.text = null;
    this.box.replaceChildren(this.head(), doc ? this.body() : element("p", { class: "hint" }, "This run has no answers."));
    if (doc) this.light();
  }

  head() {
    const done = this.items.filter((item) => this.verdicts.isDone(item.key)).length;
    const name = element("input", { id: "reviewer", placeholder: "Your name", "aria-label": "Your name", value: this.verdicts.reviewer });
    name.addEventListener("change", () => this.verdicts.sign(name.value.trim()));
    return element(
      "div",
      { class: "review-head" },
      element("p", { id: "progress", "aria-live": "polite" }, `${count(done)} of ${count(this.items.length)} reviewed`),
      element("button", { class: "quiet", onclick: () => this.next(-1) }, "← Previous"),
      element("button", { class: "quiet", onclick: () => this.next(1) }, "Next →"),
      name,
      element("button", { id: "download", disabled: done === 0, onclick: () => this.verdicts.download() }, "Download review.jsonl"),
    );
  }

  body() {
    const { doc, answer } = this;
    const verdict = this.verdicts.get(doc, answer);
    const right = verdict?.verdict === "correct" && verdict.start_char !== null ? verdict : null;
    // A piece that was marked is cut out too, so that it can be lit.
    const shown = { ...doc, answers: right ? [...doc.answers, right] : doc.answers };
    this.text = new Text(shown, this.data.overview.colors, () => {});
    this.selected = new Selected(this.text, doc.text || "");
    const start = right || answer;
    if (start.start_char !== null) this.selected.begin(this.text.unit(start.start_char));
    return element(
      "div",
      { class: "columns-two" },
      element("div", { class: "reading-side" }, element("h2", { dir: "auto" }, doc.document_id), doc.text === null ? null : this.text.node),
      element("div", { class: "cards" }, this.card(answer, verdict)),
    );
  }

  card(answer, verdict) {
    const said = { ok: answer.answer, no_answer: "no answer", error: answer.error || "failed" }[answer.status];
    const failed = answer.status === "error";
    const button = (id, key, label, act, disabled = false) => element("button", { id, disabled, onclick: act }, label, " ", element("kbd", {}, key));
    const note = element("textarea", { id: "note", rows: 2, placeholder: "Note", "aria-label": "Note" }, verdict?.note || "");
    note.addEventListener("change", () => this.verdicts.remark(this.doc, answer, note.value.trim()));
    return element(
      "div",
      { class: "card judged" },
      element("div", { class: "asked", dir: "auto" }, answer.question || answer.question_id),
      element("div", { class: `said ${answer.status === "ok" ? "" : failed ? "bad" : "none"}`, dir: "auto" }, said),
      answer.confidence === null ? null : chip(`confidence ${count(answer.confidence, 2)}`),
      element("div", { id: "verdict", "aria-live": "polite" }, verdict?.verdict ? this.outcome(verdict) : "not reviewed yet"),
      element(
        "div",
        { class: "choices-of-verdict" },
        button("accept", "a", "Accept", () => this.judge("accept"), failed),
        button("reject", "r", "Reject", () => this.judge("reject"), failed),
        button("mark", "m", "Selection is right", () => this.mark()),
        button("nothing", "0", "The text holds none", () => this.judge("correct")),
        button("undo", "u", "Undo", () => this.undo(), !verdict?.verdict),
      ),
      note,
      element("p", { class: "hint" }, "Select the right piece with the mouse; or with ", element("kbd", {}, "←"), " ", element("kbd", {}, "→"), " word by word, with Shift more of them. ", element("kbd", {}, "j"), " ", element("kbd", {}, "k"), " next, previous."),
    );
  }

  outcome(verdict) {
    const name = VERDICT_NAMES[verdict.verdict];
    if (verdict.verdict !== "correct") return name;
    return [`${name}: `, verdict.text === null ? "the text holds none" : element("b", { dir: "auto" }, verdict.text)];
  }

  light() {
    const verdict = this.verdicts.get(this.doc, this.answer);
    const place = verdict?.verdict === "correct" ? verdict : this.answer;
    const first = this.text.light(place.start_char === null ? null : place, []);
    first?.scrollIntoView({ block: "center" });
  }

  // A verdict, and the next answer that has none.
  judge(verdict, right) {
    if (!this.answer || (this.answer.status === "error" && verdict !== "correct")) return;
    this.verdicts.set(this.doc, this.answer, verdict, right);
    getSelection().removeAllRanges();
    this.nextOpen();
  }

  mark() {
    const piece = this.selected?.piece();
    if (piece) this.judge("correct", piece);
  }

  undo() {
    this.verdicts.remove(this.doc, this.answer);
    this.draw();
  }

  // Whether a key was one of the review's.
  key(event) {
    const acts = {
      a: () => this.judge("accept"),
      r: () => this.judge("reject"),
      m: () => this.mark(),
      0: () => this.judge("correct"),
      u: () => this.undo(),
      j: () => this.next(1),
      k: () => this.next(-1),
      ArrowRight: () => this.selected?.move(1, event.shiftKey),
      ArrowLeft: () => this.selected?.move(-1, event.shiftKey),
    };
    const act = acts[event.key];
    if (!act) return false;
    event.preventDefault();
    act();
    return true;
  }
}
