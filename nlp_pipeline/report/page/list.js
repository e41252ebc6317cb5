// The list of documents: only the rows in sight are elements, however many documents there are.

const ROW = 62; // pixels, as in the style sheet
const SPARE = 6;

class List {
  constructor(data, choose) {
    this.data = data;
    this.choose = choose;
    this.places = data.lines.map((_, place) => place);
    this.chosen = -1;
    this.box = byId("list");
    this.rows = byId("rows");
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  show(places) {
    this.places = places;
    this.rows.style.setProperty("height", `${places.length * ROW}px`);
    this.box.scrollTop = 0;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - SPARE);
    const last = Math.min(this.places.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + SPARE);
    const rows = [];
    for (let index = first; index < last; index += 1) rows.push(this.row(index));
    this.rows.replaceChildren(...rows);
  }

  row(index) {
    const place = this.places[index];
    const [id, failed, tokens, , answers, unsupported, snippet] = this.data.lines[place];
    const given = answers.filter((answer) => answer[1] === "ok").length;
    return element(
      "div",
      {
        class: "row",
        role: "option",
        id: `row-${place}`,
        "aria-selected": String(place === this.chosen),
        style: { top: `${index * ROW}px` },
        onclick: () => this.choose(place),
      },
      element(
        "div",
        { class: "row-head" },
        element("span", { class: "row-id" }, id),
        failed ? chip("error", "bad") : null,
        unsupported ? chip("unsupported", "warn") : null,
        answers.length ? element("span", { class: "row-count", title: "answers" }, `${given}/${answers.length}`) : null,
        element("span", { class: "row-count", title: "tokens" }, count(tokens)),
      ),
      element("div", { class: "row-text" }, snippet),
    );
  }

  select(place) {
    this.chosen = place;
    const index = this.places.indexOf(place);
    if (index >= 0) {
      const top = index * ROW;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      else if (top + ROW > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + ROW - this.box.clientHeight;
    }
    this.draw();
    this.box.setAttribute("aria-activedescendant", `row-${place}`);
  }

  // The document so many lines further on, if there is one.
  beside(step) {
    const index = this.places.indexOf(this.chosen);
    return this.places[index < 0 ? 0 : index + step];
  }
}

// What the filters leave, in the order of the corpus.
class Filters {
  constructor(data, changed) {
    this.data = data;
    this.changed = changed;
    const { overview } = data;
    const labels = [...new Set([...overview.labels, ...overview.entities].map((pair) => pair[0]))];
    this.choices("by-status", "Any status", [["ok", "ok"], ["error", "with errors"], ["unsupported", "with unsupported names or numbers"], ...(overview.against ? [["differs", `with what ${overview.against} says otherwise`]] : [])]);
    this.choices("by-label", "Any label", labels.map((label) => [label, label]));
    this.choices("by-question", "Any question", overview.questions.map((one) => [one.id, one.text]));
    this.choices("by-answer", "Any answer", [["ok", "answered"], ["no_answer", "no answer"], ["error", "failed"]]);
    const form = byId("filters");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => this.apply());
    let waiting = 0;
    byId("search").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.apply(), 150);
    });
    byId("clear").addEventListener("click", () => this.set({}));
  }

  choices(id, any, options) {
    const box = byId(id);
    box.append(element("option", { value: "" }, any), ...options.map(([value, text]) => element("option", { value }, text)));
    box.hidden = options.length === 0;
  }

  set(values) {
    for (const id of ["search", "by-status", "by-label", "by-question", "by-answer"]) byId(id).value = values[id] || "";
    return this.apply();
  }

  async apply() {
    const turn = (this.turn = (this.turn || 0) + 1);
    const [status, label, question, answer] = ["by-status", "by-label", "by-question", "by-answer"].map((id) => byId(id).value);
    const wanted = byId("search").value.trim().toLowerCase();
    const has = (failed, unsupported, review) => ({ ok: !failed, error: failed, unsupported, differs: review?.[4] })[status];
    const fits = ([, failed, , labels, answers, unsupported, , review]) =>
      (!status || has(failed, unsupported, review)) &&
      (!label || labels.includes(label)) &&
      ((!question && !answer) || answers.some(([id, said]) => (!question || id === question) && (!answer || said === answer)));
    let places = [];
    this.data.lines.forEach((line, place) => fits(line) && places.push(place));
    if (wanted) {
      const found = [];
      for await (const place of this.data.search(places, wanted)) {
        if (turn !== this.turn) return; // something else is wanted by now
        found.push(place);
      }
      places = found;
    }
    if (turn !== this.turn) return;
    const all = this.data.lines.length;
    byId("clear").hidden = !(status || label || question || answer || wanted);
    byId("found").textContent = places.length === all ? plural(all, "document") : `${count(places.length)} of ${plural(all, "document")}`;
    this.changed(places);
  }
}
