// Elements are made here and nowhere else; text is always set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const byId = (id) => document.getElementById(id);

const count = (number, digits = 0) =>
  number === null || number === undefined ? "–" : number.toLocaleString("en", { maximumFractionDigits: digits });

const plural = (number, one, many = one + "s") => `${count(number)} ${number === 1 ? one : many}`;

function chip(text, kind = "") {
  return element("span", { class: `chip ${kind}` }, text);
}
