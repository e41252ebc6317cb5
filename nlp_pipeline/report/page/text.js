// The text of a document, in segments: no entity, sentence or answer begins or ends inside one.

const OTHER_COLOR = "#ddd"; // displaCy's

class Text {
  constructor(doc, colors, chooseSentence) {
    this.doc = doc;
    const text = doc.text || "";
    this.unit = offsets(text);
    const sentences = doc.sentences.length ? doc.sentences : [{ start_char: 0, end_char: [...text].length }];
    const spans = [...doc.answers, ...doc.summary_sentences, ...doc.extraction_fields, ...doc.answer_entities];
    const cuts = new Set([0, text.length]);
    for (const sentence of sentences) this.bare(sentence).forEach((place) => cuts.add(place));
    for (const span of [...doc.entities, ...spans]) {
      if (span.start_char === null || span.start_char === undefined) continue;
      cuts.add(this.unit(span.start_char));
      cuts.add(this.unit(span.end_char));
    }
    this.cuts = [...cuts].sort((a, b) => a - b);
    this.segments = [];
    this.sentences = [];
    this.node = element("div", { class: "text", dir: "auto" });
    this.fill(text, sentences, colors, chooseSentence);
  }

  fill(text, sentences, colors, chooseSentence) {
    const entities = this.doc.entities.map((one) => ({ ...one, from: this.unit(one.start_char), to: this.unit(one.end_char) }));
    const places = sentences.map((one) => this.bare(one));
    let entity = 0;
    let number = 0;
    let home = null;
    let mark = null;
    for (let index = 0; index + 1 < this.cuts.length; index += 1) {
      const [from, to] = [this.cuts[index], this.cuts[index + 1]];
      while (number < places.length && places[number][1] <= from) number += 1;
      const within = number < places.length && places[number][0] <= from;
      if (!within) home = null;
      else if (home === null || home.number !== number) home = this.sentence(number, chooseSentence);
      while (entity < entities.length && entities[entity].to <= from) entity += 1;
      const named = entity < entities.length && entities[entity].from <= from ? entities[entity] : null;
      const parent = home ? home.node : this.node;
      if (!named) mark = null;
      else if (!mark || mark.entity !== named || mark.parent !== parent) {
        mark = { entity: named, parent, node: element("mark", { class: "entity", style: { "--color": colors[named.label] || OTHER_COLOR } }) };
        parent.append(mark.node);
      }
      const segment = element("span", { class: "segment" }, text.slice(from, to));
      (mark ? mark.node : parent).append(segment);
      if (mark && to >= named.to) mark.node.append(element("span", { class: "label" }, named.label));
      this.segments.push({ from, to, node: segment });
    }
  }

  // A sentence without the white space at its end.
  bare({ start_char: start, end_char: end }) {
    const from = this.unit(start);
    return [from, from + (this.doc.text || "").slice(from, this.unit(end)).trimEnd().length];
  }

  sentence(number, choose) {
    const pick = () => choose(number);
    const node = element("span", { class: "sentence", "data-sentence": number, onclick: pick });
    this.sentences[number] = node;
    this.node.append(node);
    return { number, node };
  }

  // Lights the place of an answer and the sentences that speak for it.
  light(place, evidence) {
    this.dark();
    const hits = [];
    if (place && place.start_char !== null) {
      const [from, to] = [this.unit(place.start_char), this.unit(place.end_char)];
      for (const segment of this.segments) if (segment.from >= from && segment.to <= to) hits.push(segment.node);
    }
    hits.forEach((node) => node.classList.add("hit"));
    for (const number of evidence || []) this.sentences[number]?.classList.add("evidence");
    return hits[0] || this.sentences[(evidence || [])[0]] || null;
  }

  dark() {
    for (const node of this.node.querySelectorAll(".hit, .evidence")) node.classList.remove("hit", "evidence");
  }
}
