// The figures of both runs, as tables.

const COUNTS = ["same", "changed", "appeared", "vanished", "newly_grounded", "no_longer_grounded", "only_a", "only_b"];

function table(caption, heads, rows) {
  const line = (cells, kind) => element("tr", {}, ...cells.map((cell) => element(kind, { dir: "auto" }, cell === null || cell === undefined ? "–" : String(cell))));
  return element("table", { class: "counts" }, element("caption", {}, caption), element("thead", {}, line(heads, "th")), element("tbody", {}, ...rows.map((row) => line(row, "td"))));
}

const percent = (share) => (share === null || share === undefined ? null : (100 * share).toFixed(1));

function measures(name, values) {
  const of = ({ a, b, difference }) => [percent(a), percent(b), difference && `${percent(difference.value)} [${percent(difference.low)}, ${percent(difference.high)}]`];
  return [name, count(values.n), ...of(values.exact_match), ...of(values.f1), count(values.better), count(values.worse), values.mcnemar.p.toFixed(3)];
}

function counts(overview) {
  const { a, b } = overview.runs;
  const facts = [
    ...["run", "state", "corpus", "pipeline"].map((name) => [name, a[name], b[name]]),
    ["models", a.models.join(", "), b.models.join(", ")],
    ...["documents", "failed", "prompt_tokens", "reused_tokens", "output_tokens"].map((name) => [name.replace("_", " "), count(a[name]), count(b[name])]),
    ["seconds", count(a.seconds, 1), count(b.seconds, 1)],
    ["documents a second", count(a.documents_per_second, 2), count(b.documents_per_second, 2)],
  ];
  const { shared, changed_texts: changed, only_a: onlyA, only_b: onlyB } = overview.documents;
  const tables = [
    table(`${plural(shared, "document")} compared; ${count(onlyA)} only in A, ${count(onlyB)} only in B, ${count(changed)} with another text`, ["", "A", "B"], facts),
    table(
      "What both say",
      ["", ...COUNTS.map((name) => name.replaceAll("_", " "))],
      overview.values.map((row) => [row.question || row.component, ...COUNTS.map((name) => count(row[name]))]),
    ),
  ];
  if (overview.references) {
    const { overall, by_question: byQuestion, labels } = overview.references;
    const rows = [["all", overall], ...Object.entries(byQuestion), ["labels", labels]].filter(([, values]) => values).map(([name, values]) => measures(name, values));
    tables.push(table(`Against the ${overview.references.source === "reviews" ? "reviews" : "references"} (percent; in brackets the 95% interval of B less A)`, ["questions", "n", "exact A", "exact B", "B less A", "F1 A", "F1 B", "B less A", "better", "worse", "McNemar p"], rows));
  }
  return tables;
}
