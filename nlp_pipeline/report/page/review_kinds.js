// What can be reviewed: answers, labels, values of objects, entities; how each is shown and named.

const WHY = ["", "the text does not bear it out", "the other run says something else"];

// The rank of what comes first: what another run says otherwise, what the text does not bear out,
// then by how sure it is.
const rank = (why, sure) => [2 - why, sure ?? 1];
const FAILED = [3, 0];

// Each kind: `items` of a document's line (a key, a rank, why), the `row` behind one, its `title`,
// the `value` that is judged, what is `shown` of it, the `names` by which a review finds it, the
// `labels` that may be right instead, whether a `span` of the text or `none` at all may be.
const REVIEW_KINDS = {
  answers: {
    name: "Answers",
    items: ([id, , , , answers]) =>
      answers.map(([question_id, status, sure, component, why]) => ({
        key: Verdicts.key(id, "answers", { component, question_id }),
        rank: status === "error" ? FAILED : rank(why, sure),
        why: status === "error" ? 0 : why,
      })),
    row: (doc, { index }) => doc.answers[index],
    title: (row) => row.question || row.question_id,
    value: (row) => row.answer,
    shown: (row) => ({ ok: row.answer, no_answer: null, error: row.error || "failed" })[row.status],
    names: ({ component, question_id }) => ({ component, question_id }),
    labels: () => [],
    span: true,
    none: "The text holds none",
  },
  categories: {
    name: "Labels",
    items: ([id, , , , , , , [labels]]) =>
      labels.map(([label, score, why]) => ({ key: Verdicts.key(id, "categories", { label }), rank: rank(why, score), why, label, score })),
    row: (doc, { label, score }) => ({ label, score, start_char: null, end_char: null, other: doc.other_labels && labelsOf(doc.other_labels) }),
    title: () => "Label",
    value: (row) => row.label,
    shown: (row) => row.label,
    names: ({ label }) => ({ label }),
    labels: (row, overview) => overview.categories.filter((label) => label !== row.label),
    relabel: (label) => ({ text: label }),
  },
  extraction_fields: {
    name: "Values",
    items: ([id, , , , , , , [, values]]) =>
      values.map(([component, field, why]) => ({ key: Verdicts.key(id, "extraction_fields", { component, field }), rank: rank(why, 1), why })),
    row: (doc, { index }) => doc.extraction_fields[index],
    title: (row) => `${row.component} ${row.field}`,
    value: (row) => row.value,
    shown: (row) => row.value,
    names: ({ component, field }) => ({ component, field }),
    labels: () => [],
    span: true,
    none: "The text holds none",
  },
  entities: {
    name: "Entities",
    items: ([id, , , , , , , [, , many, differing]]) => {
      const other = new Set(differing);
      return Array.from({ length: many }, (_, number) => {
        const why = other.has(number) ? 2 : 0;
        return { key: Verdicts.key(id, "entities", { entity_id: number }), rank: rank(why, 1), why };
      });
    },
    row: (doc, { index }) => ({ ...doc.entities[index], entity_id: index, text: pieceOf(doc, doc.entities[index]) }),
    title: (row) => `Entity ${row.label}`,
    value: (row) => row.text,
    shown: (row) => row.text,
    names: ({ entity_id, label }) => ({ entity_id, label }),
    labels: (row, overview) => overview.entities.map((pair) => pair[0]).filter((label) => label !== row.label),
    relabel: (label) => ({ label }),
    span: true,
  },
};

// What another run has chosen, as what it says of an answer.
function labelsOf(labels) {
  return { status: labels.length ? "ok" : "no_answer", text: labels.join(", ") || null, labels };
}

function pieceOf(doc, { start_char: start, end_char: end }) {
  const unit = offsets(doc.text || "");
  return (doc.text || "").slice(unit(start), unit(end));
}
