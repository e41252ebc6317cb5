// A piece of a document's text that is selected, with the mouse or with keys, in code points.

class Selected {
  // `text` is the Text on the page, `content` what it shows.
  constructor(text, content) {
    this.text = text;
    this.content = content;
    this.words = [...content.matchAll(/[\p{L}\p{N}\p{M}_]+|[^\s\p{L}\p{N}\p{M}_]/gu)].map((one) => [one.index, one.index + one[0].length]);
    this.first = -1;
    this.last = -1;
  }

  // The piece without white space at its ends; null where nothing of the text is selected.
  piece() {
    const selection = getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return null;
    const range = selection.getRangeAt(0);
    const hits = this.text.segments.filter((segment) => range.intersectsNode(segment.node));
    if (!hits.length) return null;
    const at = (node, container, offset, whole) => (node.contains(container) && container.nodeType === Node.TEXT_NODE ? offset : whole);
    const [head, tail] = [hits[0], hits[hits.length - 1]];
    let from = head.from + at(head.node, range.startContainer, range.startOffset, 0);
    let to = tail.from + at(tail.node, range.endContainer, range.endOffset, tail.to - tail.from);
    while (from < to && /\s/.test(this.content[from])) from += 1;
    while (to > from && /\s/.test(this.content[to - 1])) to -= 1;
    // No half of a character beyond U+FFFF.
    if (/[\udc00-\udfff]/.test(this.content[from] || "") && from > 0) from -= 1;
    if (/[\udc00-\udfff]/.test(this.content[to] || "")) to += 1;
    return from < to ? this.place(from, to) : null;
  }

  place(from, to) {
    const points = (unit) => [...this.content.slice(0, unit)].length;
    return { text: this.content.slice(from, to), start_char: points(from), end_char: points(to) };
  }

  // Selects the next word or the one before; with `extend` as many more or fewer.
  move(step, extend) {
    if (!this.words.length) return;
    const within = (number) => Math.max(0, Math.min(this.words.length - 1, number));
    if (this.first < 0) this.first = this.last = step > 0 ? 0 : this.words.length - 1;
    else if (extend) this.last = Math.max(this.first, within(this.last + step));
    else this.first = this.last = within(this.first + step);
    this.show(this.words[this.first][0], this.words[this.last][1]);
  }

  // Begins at the word that holds a place, so that keys go on from an answer.
  begin(from) {
    this.first = this.last = this.words.findIndex((word) => word[1] > from);
  }

  show(from, to) {
    const range = document.createRange();
    for (const { from: start, to: end, node } of this.text.segments) {
      const inside = node.firstChild;
      if (!inside) continue;
      if (start <= from && from < end) range.setStart(inside, from - start);
      if (start < to && to <= end) range.setEnd(inside, to - start);
    }
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    range.startContainer.parentElement.scrollIntoView({ block: "nearest" });
  }
}
