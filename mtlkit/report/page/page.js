"use strict";
for (const matrix of document.querySelectorAll(".matrix")) {
  const texts = JSON.parse(matrix.querySelector("script").textContent);
  const shown = matrix.querySelector(".texts");
  for (const button of matrix.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const found = texts[button.dataset.cell] || [];
      const heading = document.createElement("p");
      heading.textContent = button.dataset.about + (found.length ? `; ${found.length} of them:` : "");
      const list = document.createElement("ul");
      for (const text of found) {
        const item = document.createElement("li");
        item.textContent = text;
        list.append(item);
      }
      shown.replaceChildren(heading, list);
    });
  }
}
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th button").forEach((button, column) => {
    let down = false;
    button.addEventListener("click", () => {
      const key = (row) => row.cells[column].textContent.replaceAll(",", "").trim();
      const rows = [...table.tBodies[0].rows];
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)], [p, q] = [parseFloat(x), parseFloat(y)];
        return column && !Number.isNaN(p) && !Number.isNaN(q) ? p - q : x.localeCompare(y);
      };
      rows.sort((a, b) => (down ? compare(b, a) : compare(a, b)));
      down = !down;
      table.tBodies[0].append(...rows);
    });
  });
}
