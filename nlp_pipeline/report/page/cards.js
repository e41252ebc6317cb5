// What was generated about a document: a card each, which lights its place in the text.

const ALIGNMENTS = {
  exact: "word for word",
  normalized: "but for case, spaces or inflection",
  fuzzy: "most of its words",
  none: "not found in the text",
};

class Cards {
  constructor(doc, text) {
    this.doc = doc;
    this.text = text;
    this.pins = new Pins(() => this.text.dark());
    this.nodes = [
      ...doc.answers.map((answer) => this.answer(answer)),
      ...doc.summaries.map((summary) => this.summary(summary)),
      ...doc.classifications.map((row) => this.classification(row)),
      ...doc.extractions.map((row) => this.extraction(row)),
      ...doc.generations.map((row) => this.generation(row)),
    ];
  }

  // A card that lights a place on hover and keyboard focus, and keeps it lit after a click.
  card(kind, place, evidence, ...children) {
    const node = element("div", { class: `card ${kind}`, role: "button", tabindex: 0, "aria-pressed": "false" }, ...children);
    return this.pins.add(node, () => this.text.light(place, evidence));
  }

  answer(row) {
    const checks = this.doc.answer_entities.filter((one) => one.component === row.component && one.question_id === row.question_id);
    return this.card(
      `answer ${row.status}`,
      row,
      row.evidence,
      element("div", { class: "asked", dir: "auto" }, row.question || row.question_id),
      this.said(row, row.answer, checks),
      this.figures(row, row.alignment),
    );
  }

  summary(row) {
    const sentences = this.doc.summary_sentences.filter((one) => one.component === row.component);
    const checks = this.doc.answer_entities.filter((one) => one.component === row.component && one.question_id === null);
    const evidence = [...new Set(sentences.flatMap((one) => one.evidence || []))];
    return this.card("summary", null, evidence, element("div", { class: "asked" }, "Summary"), this.said(row, row.summary, checks), this.figures(row));
  }

  classification(row) {
    const scores = this.doc.categories;
    return element(
      "div",
      { class: "card" },
      element("div", { class: "asked" }, row.component),
      row.error ? element("div", { class: "said bad" }, row.error) : null,
      ...scores.map(({ label, score }) =>
        element(
          "div",
          { class: "meter" },
          element("span", { class: (row.labels || []).includes(label) ? "chosen" : "" }, label),
          element("span", { class: "track" }, element("span", { class: "level", style: { width: `${100 * (score || 0)}%` } })),
          element("span", { class: "number" }, count(score, 2)),
        ),
      ),
    );
  }

  extraction(row) {
    const fields = this.doc.extraction_fields.filter((one) => one.component === row.component);
    return element(
      "div",
      { class: "card" },
      element("div", { class: "asked" }, row.component),
      row.error ? element("div", { class: "said bad" }, row.error) : null,
      ...fields.map((one) =>
        this.card("field", one, [], element("span", { class: "path" }, one.field), element("span", { dir: "auto" }, one.value === null ? "–" : one.value)),
      ),
    );
  }

  generation(row) {
    return element("div", { class: "card" }, element("div", { class: "asked" }, row.attribute || row.component), this.said(row, row.text, []), this.figures(row));
  }

  // The text itself, as dark as the model was sure of it; what the document does not bear out is marked.
  said(row, said, checks) {
    if (row.status === "error") return element("div", { class: "said bad" }, row.error || "failed");
    if (said === null || said === undefined) return element("div", { class: "said none" }, "no answer");
    const sure = row.mean_logprob === null ? null : Math.exp(row.mean_logprob);
    const style = sure === null ? {} : { "--sure": `${Math.round(100 * sure)}%` };
    return element("div", { class: "said", dir: "auto", style }, element("span", { class: "shade" }, ...marked(said, checks)));
  }

  figures(row, alignment) {
    const sure = row.mean_logprob === null || row.mean_logprob === undefined ? null : Math.exp(row.mean_logprob);
    const chips = [];
    if (alignment && row.status === "ok") chips.push(element("span", { class: `chip ${alignment === "none" ? "warn" : "good"}`, title: ALIGNMENTS[alignment] }, alignment));
    if (sure !== null) chips.push(element("span", { class: "chip", title: "mean probability of a token (geometric)" }, `p ${count(sure, 2)}`));
    if (row.support_score !== null && row.support_score !== undefined) chips.push(element("span", { class: "chip", title: "names, numbers and dates that the text has" }, `support ${count(row.support_score, 2)}`));
    if (row.n_chunks > 1) chips.push(chip(`${row.n_chunks} chunks`));
    return element("div", { class: "figures" }, ...chips);
  }
}

// A generated text with the names and numbers that the document lacks underlined.
function marked(said, checks) {
  const unit = offsets(said);
  const wrong = checks.filter((one) => !one.supported).map((one) => [unit(one.answer_start), unit(one.answer_end)]);
  wrong.sort((a, b) => a[0] - b[0]);
  const pieces = [];
  let done = 0;
  for (const [from, to] of wrong) {
    if (from < done) continue;
    pieces.push(said.slice(done, from), element("span", { class: "unsupported", title: "not in the document" }, said.slice(from, to)));
    done = to;
  }
  return [...pieces, said.slice(done)];
}
