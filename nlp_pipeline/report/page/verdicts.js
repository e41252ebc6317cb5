// What a person thinks of the answers: kept in the browser's storage, saved as review.jsonl.

class Verdicts {
  constructor(name, warn) {
    this.name = `nlp-pipeline review ${name}`;
    this.warn = warn;
    this.all = new Map();
    this.reviewer = "";
    try {
      const saved = JSON.parse(localStorage.getItem(this.name) || "{}");
      this.all = new Map(saved.verdicts || []);
      this.reviewer = saved.reviewer || "";
    } catch {
      warn("This browser keeps no data for this page: download the review before you leave it.");
    }
  }

  static key(doc, answer) {
    return JSON.stringify([doc, answer.component, answer.question_id]);
  }

  get(doc, answer) {
    return this.all.get(Verdicts.key(doc.document_id, answer));
  }

  // A verdict on an answer of a document; what is right, where it is a correction.
  set(doc, answer, verdict, right = {}) {
    const note = this.get(doc, answer)?.note ?? null;
    this.all.set(Verdicts.key(doc.document_id, answer), {
      document_id: doc.document_id,
      target: "answers",
      text_digest: doc.text_digest,
      component: answer.component,
      question_id: answer.question_id,
      verdict,
      answer: answer.answer,
      text: right.text ?? null,
      start_char: right.start_char ?? null,
      end_char: right.end_char ?? null,
      note,
      reviewer: null,
      reviewed_at: new Date().toISOString(),
    });
    this.save();
  }

  // A remark; on an answer without a verdict it waits for one.
  remark(doc, answer, note) {
    const before = this.get(doc, answer) || { verdict: null };
    this.all.set(Verdicts.key(doc.document_id, answer), { ...before, note: note || null });
    this.save();
  }

  // Takes a verdict back; its note stays.
  remove(doc, answer) {
    const note = this.get(doc, answer)?.note;
    this.all.delete(Verdicts.key(doc.document_id, answer));
    if (note) this.remark(doc, answer, note);
    this.save();
  }

  sign(reviewer) {
    this.reviewer = reviewer;
    this.save();
  }

  isDone(key) {
    return Boolean(this.all.get(key)?.verdict);
  }

  save() {
    try {
      localStorage.setItem(this.name, JSON.stringify({ reviewer: this.reviewer, verdicts: [...this.all] }));
    } catch {
      this.warn("This browser can keep no more data for this page: download the review before you leave it.");
    }
  }

  // One review a line, as `nlp-pipeline review` reads them.
  lines() {
    const done = [...this.all.values()].filter((one) => one.verdict);
    return done.map((one) => JSON.stringify({ ...one, reviewer: this.reviewer || null }) + "\n").join("");
  }

  download() {
    const link = element("a", { download: "review.jsonl", href: URL.createObjectURL(new Blob([this.lines()], { type: "application/jsonl" })) });
    link.click();
    URL.revokeObjectURL(link.href);
  }
}
