// The data of the page: blocks of compressed JSON, opened when they are needed.

const KEPT_BLOCKS = 12;
const KEPT_TEXT = 60e6; // characters of lower-case text that the search keeps

async function unpack(id) {
  const packed = document.getElementById(id).textContent;
  const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(plain).json();
}

class Data {
  static async open() {
    const data = new Data();
    [data.lines, data.overview] = await Promise.all([unpack("lines"), unpack("overview")]);
    data.blocks = new Map();
    data.texts = new Map();
    data.kept = 0;
    return data;
  }

  // The document at a place in the list of all documents.
  async document(place) {
    const number = Math.floor(place / this.overview.block);
    if (!this.blocks.has(number)) {
      this.blocks.set(number, unpack(`block-${number}`));
      if (this.blocks.size > KEPT_BLOCKS) this.blocks.delete(this.blocks.keys().next().value);
    }
    return (await this.blocks.get(number))[place % this.overview.block];
  }

  // Which of these places hold a text, in the document or in what was generated about it.
  async *search(places, wanted) {
    const { block } = this.overview;
    let number = -1;
    let texts = [];
    for (const place of places) {
      if (Math.floor(place / block) !== number) {
        number = Math.floor(place / block);
        texts = await this.textsOf(number);
      }
      if (this.lines[place][0].toLowerCase().includes(wanted) || texts[place % block].includes(wanted)) yield place;
    }
  }

  async textsOf(number) {
    if (this.texts.has(number)) return this.texts.get(number);
    const texts = (await unpack(`text-${number}`)).map((pair) => pair.join("\n").toLowerCase());
    const size = texts.reduce((sum, text) => sum + text.length, 0);
    if (this.kept + size <= KEPT_TEXT) {
      this.kept += size;
      this.texts.set(number, texts);
    }
    return texts;
  }
}

// Offsets in the tables count code points, strings here count UTF-16 units.
function offsets(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (place) => place;
  const units = [0];
  for (const char of text) units.push(units[units.length - 1] + char.length);
  return (place) => units[Math.min(place, units.length - 1)];
}
