// The dependency tree of a sentence: words in a row, an arc from each head to its dependents.

const WORD_GAP = 26;
const LEVEL = 34;

function tree(doc, sentence) {
  const { start_token: first, end_token: last } = doc.sentences[sentence];
  const unit = offsets(doc.text);
  const words = [];
  for (let token = first; token < last; token += 1) {
    const [from, to, pos, dep, head] = doc.tree.slice(5 * token, 5 * token + 5);
    words.push({ text: doc.text.slice(unit(from), unit(to)), pos: doc.pos[pos], dep: doc.dep[dep], head: head - first });
  }
  if (!words.length) return null;
  const arcs = words
    .map((word, index) => ({ from: Math.min(index, word.head), to: Math.max(index, word.head), left: word.head > index, dep: word.dep }))
    .filter((arc) => arc.from !== arc.to && arc.from >= 0 && arc.to < words.length)
    .sort((a, b) => a.to - a.from - (b.to - b.from));
  levels(arcs);
  const centers = layOut(words);
  const high = arcs.reduce((top, arc) => Math.max(top, arc.level), 0);
  const base = 16 + LEVEL * (high + 1);
  const width = centers[centers.length - 1] + words[words.length - 1].width / 2 + WORD_GAP;
  const picture = drawn("svg", { class: "tree", width, height: base + 46, viewBox: `0 0 ${width} ${base + 46}`, role: "img", "aria-label": "Dependency tree" });
  for (const arc of arcs) picture.append(...drawnArc(arc, centers, base));
  words.forEach((word, index) => {
    picture.append(
      drawn("text", { class: "word", x: centers[index], y: base + 22 }, word.text.trim() || "␣"),
      drawn("text", { class: "pos", x: centers[index], y: base + 39 }, word.pos || ""),
    );
  });
  return picture;
}

// Short arcs lie below the longer ones that reach over them.
function levels(arcs) {
  arcs.forEach((arc, index) => {
    const under = arcs.slice(0, index).filter((one) => one.from < arc.to && one.to > arc.from);
    arc.level = under.reduce((top, one) => Math.max(top, one.level + 1), 0);
  });
}

function layOut(words) {
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = `15px ${getComputedStyle(document.body).fontFamily}`;
  let x = WORD_GAP;
  return words.map((word) => {
    const wide = Math.max(ruler.measureText(word.text).width, 8 * (word.pos || "").length, 34);
    word.width = wide;
    x += wide + WORD_GAP;
    return x - WORD_GAP - wide / 2;
  });
}

function drawnArc(arc, centers, base) {
  const [from, to] = [centers[arc.from] + 5, centers[arc.to] - 5];
  const top = base - LEVEL * (arc.level + 0.75);
  const bend = Math.min(14, (to - from) / 2);
  const path = `M${from},${base} V${top + bend} Q${from},${top} ${from + bend},${top} H${to - bend} Q${to},${top} ${to},${top + bend} V${base}`;
  const tip = arc.left ? from : to;
  return [
    drawn("path", { class: "arc", d: path }),
    drawn("path", { class: "tip", d: `M${tip - 4},${base - 7} h8 l-4,7 z` }),
    drawn("text", { class: "dep", x: (from + to) / 2, y: top - 4 }, arc.dep),
  ];
}
