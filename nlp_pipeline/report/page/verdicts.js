// What a person thinks of the rows of a run: kept in the browser's storage, saved as review.jsonl.

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

  // The key of a row: of an answer as pages of before had it.
  static key(document_id, target, names) {
    return JSON.stringify(target === "answers" ? [document_id, names.component, names.question_id] : [document_id, target, ...Object.values(names)]);
  }

  get(key) {
    return this.all.get(key);
  }

  // A verdict on a row of a document: `names` are what the row is found by, `answer` is what was
  // judged, `right` what is right, where it is a correction.
  set(key, doc, { target, names, answer, verdict, right = {} }) {
    const note = this.get(key)?.note ?? null;
    this.all.set(key, {
      document_id: doc.document_id,
      target,
      text_digest: doc.text_digest,
      ...names,
      verdict,
      answer,
      text: null,
      start_char: null,
      end_char: null,
      ...right,
      note,
      reviewer: null,
      reviewed_at: new Date().toISOString(),
    });
    this.save();
  }

  // A remark; on a row without a verdict it waits for one.
  remark(key, note) {
    const before = this.get(key) || { verdict: null };
    this.all.set(key, { ...before, note: note || null });
    this.save();
  }

  // Takes a verdict back; its note stays.
  remove(key) {
    const note = this.get(key)?.note;
    this.all.delete(key);
    if (note) this.remark(key, note);
    this.save();
  }

  // How many rows have a verdict.
  get many() {
    return [...this.all.values()].filter((one) => one.verdict).length;
  }

  sign(reviewer) {
    this.reviewer = reviewer;
    this.save();
  }

  isDone(key) {
    return Boolean(this.all.get(key)?.verdict);
  }

  save() {
    if (this.file) this.write().catch((error) => this.warn(`The file cannot be written (${error.message}): download the review instead.`));
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

  // Lets a person choose a file, beside the report for instance, which every verdict goes into from
  // then on; where the browser writes files.
  async chooseFile() {
    try {
      this.file = await showSaveFilePicker({ suggestedName: "review.jsonl" });
      await this.write();
    } catch (error) {
      if (error.name !== "AbortError") this.warn(`The file cannot be written (${error.message}): download the review instead.`);
    }
  }

  // Writes the file that was chosen, one time after the other.
  write() {
    const write = async () => {
      const stream = await this.file.createWritable();
      await stream.write(this.lines());
      await stream.close();
    };
    this.writing = (this.writing || Promise.resolve()).then(write);
    return this.writing;
  }

  download() {
    const link = element("a", { download: "review.jsonl", href: URL.createObjectURL(new Blob([this.lines()], { type: "application/jsonl" })) });
    link.click();
    URL.revokeObjectURL(link.href);
  }
}
