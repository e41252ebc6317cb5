// The page: the counts, and one document at a time.

class Comparison {
  constructor(data) {
    this.data = data;
    this.chosen = -1;
    const { overview } = data;
    for (const side of ["a", "b"]) byId(`run-${side}`).textContent = overview.runs[side].run;
    byId("view-overview").replaceChildren(...counts(overview));
    const rest = overview.n_differ - data.lines.length;
    byId("found").textContent = `${plural(data.lines.length, "document")} that differ most first${rest > 0 ? `; ${count(rest)} more differ less` : ""}`;
    this.rows = data.lines.map(([id, many, snippet], place) => this.row(id, many, snippet, place));
    byId("list").replaceChildren(...this.rows);
    for (const view of ["overview", "documents"]) byId(`tab-${view}`).addEventListener("click", () => this.view(view));
    document.addEventListener("keydown", (event) => this.key(event));
    this.view(data.lines.length ? "documents" : "overview");
  }

  row(id, many, snippet, place) {
    return element(
      "div",
      { class: "row", role: "option", "aria-selected": "false", onclick: () => this.open(place) },
      element("div", { class: "row-head" }, element("span", { class: "row-id", dir: "auto" }, id), element("span", { class: "row-count" }, plural(many, "difference"))),
      element("div", { class: "row-text", dir: "auto" }, snippet),
    );
  }

  view(name) {
    for (const one of ["overview", "documents"]) {
      byId(`view-${one}`).hidden = one !== name;
      byId(`tab-${one}`).setAttribute("aria-selected", String(one === name));
    }
    if (name === "documents" && this.chosen < 0 && this.rows.length) this.open(0);
  }

  async open(place) {
    this.rows[this.chosen]?.setAttribute("aria-selected", "false");
    this.chosen = place;
    this.rows[place].setAttribute("aria-selected", "true");
    this.rows[place].scrollIntoView({ block: "nearest" });
    const doc = await this.data.document(place);
    if (this.chosen !== place) return; // another was chosen while this one was opened
    const empty = { entities: [], summary_sentences: [], extraction_fields: [], answer_entities: [] };
    const text = new Text({ ...doc, ...empty, answers: doc.values.flatMap((pair) => [pair.a, pair.b]) }, {}, () => {});
    const pairs = new Pairs(doc, text);
    byId("document").replaceChildren(
      element("h2", { dir: "auto" }, doc.document_id),
      element("p", { class: "facts" }, plural(doc.values.length, "difference")),
      element("div", { class: "columns-two" }, element("div", { class: "reading-side" }, text.node), element("div", { class: "cards" }, ...pairs.nodes)),
    );
    byId("document").scrollTop = 0;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("view-documents").hidden) return;
    const step = { j: 1, k: -1 }[event.key];
    const place = this.chosen + (step || 0);
    if (step && place >= 0 && place < this.rows.length) this.open(place);
  }
}

async function start() {
  if (typeof DecompressionStream === "undefined") throw new Error("This browser is too old to open the data of this page (it lacks DecompressionStream).");
  window.comparison = new Comparison(await Data.open());
}

start().catch((error) => {
  byId("notice").hidden = false;
  byId("notice").textContent = error.message;
});
