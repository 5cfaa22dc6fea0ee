"use strict";
// Filters the gallery. Without it the page shows every card and no form.
(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  const shown = document.getElementById("shown");
  const none = document.getElementById("none");
  const cards = Array.from(document.querySelectorAll(".card"), (card) => ({
    card,
    split: card.dataset.split,
    classes: card.dataset.classes.split(" "),
    text: Array.from(card.querySelectorAll("h3, .text"), (part) => part.textContent)
      .join(" ")
      .toLowerCase(),
  }));
  const apply = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/);
    const split = form.elements.split.value;
    const present = form.elements.present.value;
    let count = 0;
    for (const entry of cards) {
      const fits =
        (!split || entry.split === split) &&
        (!present || entry.classes.includes(present)) &&
        words.every((word) => entry.text.includes(word));
      entry.card.hidden = !fits;
      count += fits;
    }
    shown.textContent = count === cards.length ? `All ${count} shown` : `${count} of ${cards.length} shown`;
    none.hidden = count > 0;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  form.hidden = false;
  apply();
})();
