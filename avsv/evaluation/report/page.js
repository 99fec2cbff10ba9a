// Tables sort on a click on a head (or Enter, or the space bar); without this script they stand as they were written.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => ({ row, key: keyOf(row.cells[column]) }));
      rows.sort((a, b) => compare(a.key, b.key, down ? -1 : 1));
      body.append(...rows.map((one) => one.row));
    });
  });
}

function keyOf(cell) {
  const value = cell.dataset.v;
  if (value !== undefined) return Number(value);
  return cell.classList.length ? null : cell.textContent; // a cell of numbers that holds none
}

// What is not known comes last, whichever way the rest is sorted.
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
}

// The hint and the shadow of a table that is wider than the page go where all of it is visible, or its last column is.
for (const area of document.querySelectorAll(".wide")) {
  const update = () => {
    const hidden = area.scrollWidth - area.clientWidth;
    area.parentElement.classList.toggle("fits", hidden <= 1);
    area.parentElement.classList.toggle("at-end", area.scrollLeft >= hidden - 1);
    area.tabIndex = hidden > 1 ? 0 : -1;
  };
  area.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(area);
  update();
}

// One recording is heard at a time.
document.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
}, true);
