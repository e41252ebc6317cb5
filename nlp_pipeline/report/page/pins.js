// Cards of which one at a time can be pinned: it keeps what it shows lit in the text.

class Pins {
  // `dark` puts out what is lit.
  constructor(dark) {
    this.dark = dark;
    this.pinned = null;
  }

  // A card that shows something on hover and keyboard focus, and goes on showing it after a click.
  // `show` returns the first node that it lights, if any.
  add(node, show) {
    const pin = () => {
      this.pinned?.node.setAttribute("aria-pressed", "false");
      this.pinned = this.pinned?.node === node ? null : { node, show };
      if (this.pinned) node.setAttribute("aria-pressed", "true");
      const first = show();
      if (this.pinned && first) first.scrollIntoView({ block: "nearest", behavior: "smooth" });
    };
    const leave = () => (this.pinned ? this.pinned.show() : this.dark());
    node.addEventListener("mouseenter", show);
    node.addEventListener("mouseleave", leave);
    node.addEventListener("focus", show);
    node.addEventListener("blur", leave);
    node.addEventListener("click", pin);
    node.addEventListener("keydown", (event) => {
      if (event.target !== node || (event.key !== "Enter" && event.key !== " ")) return;
      event.preventDefault();
      pin();
    });
    return node;
  }
}
