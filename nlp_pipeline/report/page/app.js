// The page: three views, one document at a time, keys.

const VIEWS = ["overview", "documents", "review"];

class App {
  constructor(data) {
    this.data = data;
    this.list = new List(data, (place) => this.open(place));
    this.overview = new Overview(data.overview, (values) => this.find(values));
    this.filters = new Filters(data, (places) => this.list.show(places));
    this.review = new ReviewView(data);
    for (const view of VIEWS) byId(`tab-${view}`).addEventListener("click", () => this.view(view));
    byId("theme").addEventListener("click", theme);
    document.addEventListener("keydown", (event) => this.key(event));
    this.overview.draw(byId("view-overview"));
    this.filters.apply();
    this.view(data.lines.length ? "overview" : "documents");
  }

  view(name) {
    for (const one of VIEWS) {
      byId(`view-${one}`).hidden = one !== name;
      byId(`tab-${one}`).setAttribute("aria-selected", String(one === name));
    }
    if (name === "review") this.review.open();
    if (name === "documents") {
      this.list.draw();
      const wide = matchMedia("(min-width: 800px)").matches;
      if (wide && this.list.chosen < 0 && this.list.places.length) this.open(this.list.places[0]);
      byId("list").focus({ preventScroll: true });
    }
  }

  async find(values) {
    byId("view-documents").classList.remove("reading");
    await this.filters.set(values);
    this.list.chosen = -1;
    this.view("documents");
  }

  async open(place) {
    this.list.select(place);
    const doc = await this.data.document(place);
    if (this.list.chosen !== place) return; // another was chosen while this one was opened
    this.cards = null;
    byId("document").replaceChildren(...this.page(doc));
    byId("document").scrollTop = 0;
    byId("view-documents").classList.add("reading");
  }

  page(doc) {
    const trees = element("div", { class: "trees", hidden: true });
    const text = new Text(doc, this.data.overview.colors, (number) => this.tree(doc, text, trees, number));
    this.cards = new Cards(doc, text);
    const facts = [doc.source && `${doc.source}${doc.line ? `:${doc.line}` : ""}`, doc.n_tokens !== null && plural(doc.n_tokens, "token")];
    const close = () => byId("view-documents").classList.remove("reading");
    return [
      element("button", { class: "back quiet", onclick: close }, "← Documents"),
      element("h2", { dir: "auto" }, doc.document_id),
      element("p", { class: "facts" }, facts.filter(Boolean).join(" · ")),
      ...doc.errors.map((error) => element("p", { class: "problem" }, element("b", {}, error.type), ` ${error.message}`)),
      element(
        "div",
        { class: "columns-two" },
        element("div", { class: "reading-side" }, doc.text === null ? null : text.node, doc.tree.length ? element("p", { class: "hint" }, "Click a sentence for its dependency tree.") : null, this.meta(doc)),
        this.cards.nodes.length ? element("div", { class: "cards" }, ...this.cards.nodes) : null,
      ),
      trees,
    ];
  }

  tree(doc, text, box, number) {
    const open = box.dataset.sentence === String(number);
    text.sentences.forEach((node, index) => node.classList.toggle("parsed", !open && index === number));
    box.dataset.sentence = open ? "" : number;
    const picture = open || !doc.tree.length || !doc.sentences.length ? null : tree(doc, number);
    box.hidden = !picture;
    box.replaceChildren(...(picture ? [picture] : []));
  }

  meta(doc) {
    if (!doc.meta || doc.meta === "{}") return null;
    let shown = doc.meta;
    try {
      shown = JSON.stringify(JSON.parse(doc.meta), null, 2);
    } catch {
      // numbers that JSON has no word for: shown as they stand
    }
    return element("details", { class: "meta" }, element("summary", {}, "Other fields of the record"), element("pre", {}, shown));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "Escape") return this.escape(typing);
    if (typing) return;
    if (!byId("view-review").hidden && this.review.key(event)) return;
    if (event.key === "/") {
      event.preventDefault();
      this.view("documents");
      byId("search").focus();
    } else if (event.key === "n") this.nextCard();
    else if (["j", "ArrowDown", "k", "ArrowUp"].includes(event.key) && !byId("view-documents").hidden) {
      if (event.key.startsWith("Arrow") && event.target.closest("#document")) return; // these scroll it
      event.preventDefault();
      const next = this.list.beside(event.key === "j" || event.key === "ArrowDown" ? 1 : -1);
      if (next !== undefined) this.open(next);
    }
  }

  escape(typing) {
    byId("view-documents").classList.remove("reading");
    if (typing) byId("list").focus();
    else if (!byId("clear").hidden) this.filters.set({});
  }

  nextCard() {
    const cards = [...document.querySelectorAll("#document [role=button]")];
    if (cards.length) cards[(cards.indexOf(document.activeElement) + 1) % cards.length].focus();
  }
}

function theme() {
  const dark = getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}

async function start() {
  if (typeof DecompressionStream === "undefined") throw new Error("This browser is too old to open the data of this page (it lacks DecompressionStream).");
  window.app = new App(await Data.open());
}

start().catch((error) => {
  byId("notice").hidden = false;
  byId("notice").textContent = error.message;
});
