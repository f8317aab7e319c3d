"use strict";
for (const matrix of document.querySelectorAll(".matrix")) {
  const data = matrix.querySelector("script"), texts = data ? JSON.parse(data.textContent) : {};
  const shown = matrix.querySelector(".texts"), rows = [...matrix.querySelector("tbody").rows];
  const labels = rows.map((row) => row.cells[0].textContent);
  const place = (button) => {
    const cell = button.closest("td");
    return cell ? [rows.indexOf(cell.parentElement), cell.cellIndex - 1] : button.dataset.cell.split(",").map(Number);
  };
  const about = ([own, other]) => {
    const button = rows[own].cells[other + 1].querySelector("button");
    const count = button.firstChild.textContent.trim();
    return `${count} ${count === "1" ? "text" : "texts"} of class ${labels[own]} predicted as ${labels[other]}`;
  };
  const rest = (button, shownTexts) => {
    const [own, other] = place(button), all = rows[own].cells[other + 1].querySelector("button").firstChild.textContent;
    return parseInt(all.replaceAll(",", ""), 10) === shownTexts ? ":" : `; ${shownTexts === 1 ? "one" : shownTexts} of them:`;
  };
  for (const button of matrix.querySelectorAll("button")) {
    if (button.closest("td")) button.setAttribute("aria-label", about(place(button)));
    button.addEventListener("click", () => {
      const found = texts[place(button)] || [];
      const heading = document.createElement("p");
      heading.textContent = about(place(button)) + (found.length ? rest(button, found.length) : "");
      const list = document.createElement("ul");
      for (const text of found) {
        const item = document.createElement("li");
        item.dir = "auto";
        item.textContent = text;
        list.append(item);
      }
      shown.replaceChildren(heading, ...(found.length ? [list] : []));
      for (const other of matrix.querySelectorAll("[aria-pressed]")) other.removeAttribute("aria-pressed");
      button.setAttribute("aria-pressed", "true");
      shown.scrollIntoView({ block: "nearest" });
    });
  }
  const cells = [...matrix.querySelectorAll("td button")]; // one stop of the tab key; arrows move within the table
  const stop = (cell) => cells.forEach((other) => { other.tabIndex = other === cell ? 0 : -1; });
  stop(cells[0]);
  matrix.querySelector("table").addEventListener("focusin", (event) => event.target.closest("td") && stop(event.target));
  matrix.querySelector("table").addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || !event.target.closest("td")) return;
    let [row, column] = place(event.target);
    for (row += step[0], column += step[1]; rows[row]?.cells[column + 1]; row += step[0], column += step[1]) {
      const next = column >= 0 && rows[row].cells[column + 1].querySelector("button");
      if (next) {
        next.focus();
        event.preventDefault();
        return;
      }
    }
  });
}
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead button").forEach((button, column) => {
    const head = button.parentElement;
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const isNumber = head.classList.contains("number");
      const text = (row) => row.cells[column].textContent.trim();
      const key = (row) => (isNumber ? parseFloat(text(row).replaceAll(",", "")) : text(row));
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (isNumber && (Number.isNaN(x) || Number.isNaN(y))) return Number.isNaN(x) - Number.isNaN(y); // unknown ones last
        return (down ? -1 : 1) * (isNumber ? x - y : x.localeCompare(y));
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    });
  });
}
const tip = document.createElement("div");
tip.className = "tip";
tip.setAttribute("role", "status");
tip.hidden = true;
document.body.append(tip);
for (const chart of document.querySelectorAll("figure svg")) {
  const points = [...chart.querySelectorAll("[data-tip]")].map((use) => ({
    x: Number(use.getAttribute("x")), y: Number(use.getAttribute("y")), text: use.dataset.tip,
  }));
  if (!points.length) continue;
  const mark = document.createElementNS(chart.namespaceURI, "circle");
  mark.setAttribute("class", "mark");
  mark.setAttribute("r", "5");
  let current = -1;
  const hide = () => { tip.hidden = true; mark.remove(); };
  const show = (index) => {
    const point = points[current = index], screen = chart.getScreenCTM();
    mark.setAttribute("cx", point.x);
    mark.setAttribute("cy", point.y);
    chart.append(mark);
    tip.textContent = point.text;
    tip.hidden = false;
    const x = point.x * screen.a + screen.e, y = point.y * screen.d + screen.f;
    tip.style.left = `${Math.max(4, Math.min(innerWidth - tip.offsetWidth - 4, x - tip.offsetWidth / 2))}px`;
    tip.style.top = `${y > tip.offsetHeight + 16 ? y - tip.offsetHeight - 10 : y + 12}px`;
  };
  const nearest = (event) => {
    const screen = chart.getScreenCTM();
    const x = (event.clientX - screen.e) / screen.a, y = (event.clientY - screen.f) / screen.d;
    let best = 0, least = Infinity;
    points.forEach((point, index) => {
      const distance = Math.hypot(point.x - x, point.y - y);
      if (distance < least) [best, least] = [index, distance];
    });
    if (least < 60) show(best); else hide();
  };
  chart.addEventListener("pointermove", nearest);
  chart.addEventListener("pointerdown", nearest);
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    show((current + step + points.length) % points.length);
  });
}
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
